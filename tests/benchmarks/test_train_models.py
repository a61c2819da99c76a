import contextlib
import dataclasses
import shutil
from collections.abc import Iterator
from pathlib import Path

import model_scores
import pytest
import torch
import train_models
from model_recipes import METRICS, MODELS, SEVERAL_SEEDS, TEST_SETS
from model_scores import COMPUTE, MEASURED
from support import CARD, TINY, same_weights

from gan_restore import evaluation, training
from gan_restore.files import UserError, read_json
from gan_restore.inference.checkpoints import BEST, EPOCH, load_card, load_generator, save_generator
from gan_restore.inference.models import Card

AS_THEY_ARE = dict(MODELS)
SMALL = {"square": 0, "width": 4, "discriminator_width": 4, "image_size": 32, "batch_size": 8, "crops_per_image": 1}
SMALL |= {"epochs": 1, "val_images": 1}


@pytest.fixture(scope="module", autouse=True)
def tiny_networks() -> Iterator[None]:
    """The models as they are, but for the fields of their size."""
    with pytest.MonkeyPatch.context() as patch:
        for name, model in MODELS.items():
            own = {"start_from", *model.changes}
            shape = {field: value for field, value in TINY[model.recipe].items() if field not in own}
            shape |= {"pretrain_epochs": 0} if model.start_from else {}
            patch.setitem(MODELS, name, dataclasses.replace(model, cpu=SMALL | shape))
        yield


@pytest.fixture(scope="module")
def trained(data_sets: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The photos and a finished run, made once."""
    out = tmp_path_factory.mktemp("trained")
    train_models.run(data_sets, models=("x2-photos",), actions=("train",), out=out)
    return out


@pytest.fixture
def out(trained: Path, tmp_path: Path, models_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of its own with the run of x2; what is published goes to folders beside it."""
    monkeypatch.setattr(train_models, "RESULTS", tmp_path / "results.json")
    shutil.copytree(trained, tmp_path / "out")
    return tmp_path / "out"


def never(*args: object, **options: object) -> None:
    raise AssertionError("not needed again")


def other_weights(run: Path, factor: float) -> None:
    generator, recipe, facts = load_generator(run / BEST)
    with torch.no_grad():
        next(generator.parameters()).mul_(factor)
    save_generator(run / BEST, generator, recipe, **facts)


@pytest.mark.parametrize("name", MODELS)
def test_every_model_has_a_recipe_and_targets_that_exist(name: str) -> None:
    model, start = MODELS[name], None
    if model.start_from:
        assert list(MODELS).index(name) > list(MODELS).index(model.start_from)
        start = Path("start")
    for size in ("cpu", "small"):
        recipe = model.recipe_at(size, Path("data"), 3, start)
        assert recipe.scale == "small" and recipe.seed == 3
        for target in model.targets:
            dataclasses.replace(recipe, **target.changes)
    assert model.targets and {target.data for target in model.targets} <= TEST_SETS.keys()
    assert SEVERAL_SEEDS in MODELS


@pytest.mark.parametrize("size", ["cpu", "small"])
def test_models_of_the_package_fit_into_30_megabytes(size: str) -> None:
    total = 0
    for model in AS_THEY_ARE.values():
        with torch.device("meta"):
            generator = model.recipe_at(size, Path("data")).generator()
        total += 2 * sum(weights.numel() for weights in generator.parameters()) * model.part_of_package
    assert total < 30e6


def test_published_weights_have_a_share_of_those_at_the_start(data_sets: Path, out: Path) -> None:
    train_models.run(data_sets, models=("x2-photos", "x2"), actions=("train",), out=out)
    files = [out / "cpu" / name / BEST for name in ("x2-photos", "x2")]
    start, end = (load_generator(file)[0].state_dict() for file in files)
    model_scores.Scorer("x2", MODELS["x2"], out / "cpu" / "x2", data_sets)
    own = load_generator(out / "cpu" / "x2" / model_scores.HALF)[0].state_dict()
    assert not same_weights(*files)
    for name, weights in own.items():
        assert torch.equal(weights, end[name].lerp(start[name], MODELS["x2"].start_share).half().float())


def test_the_latest_weights_may_be_published_instead_of_the_best(
    data_sets: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = MODELS["x2-photos"]
    twice = dataclasses.replace(model, latest=True, cpu=model.cpu | {"epochs": 2, "pretrain_epochs": 2})
    monkeypatch.setitem(MODELS, "x2-photos", twice)
    shutil.rmtree(out / "cpu")
    train_models.run(data_sets, models=("x2-photos",), actions=("train",), out=out)
    run = out / "cpu" / "x2-photos"
    other_weights(run, 1.1)
    model_scores.Scorer("x2-photos", twice, run, data_sets)
    generator, _, facts = load_generator(run / model_scores.HALF)
    expected = load_generator(run / EPOCH.format(2))[0].half().float().state_dict()
    assert facts["step"] == facts["steps"] and facts["chosen_on"] is None
    assert all(torch.equal(value, expected[key]) for key, value in generator.state_dict().items())


def test_models_are_trained_measured_and_published_once(
    data_sets: Path, out: Path, tmp_path: Path, models_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    everything = {"models": ("x4", "x4-gan"), "actions": ("train", "measure", "publish"), "out": out}
    train_models.run(data_sets, **everything)
    generator, recipe, facts = load_generator("x4-gan")
    assert recipe.enlarge == 4 and facts["step"] == facts["steps"] and facts["started_from"]["file"] == BEST
    expected = load_generator(out / "cpu" / "x4-gan" / BEST)[0].half().float().state_dict()
    assert all(torch.equal(value, expected[key]) for key, value in generator.state_dict().items())

    card = load_card("x4-gan")
    assert card.keys() == Card.__required_keys__
    assert card["steps"] == facts["steps"] and card["purpose"] == MODELS["x4-gan"].purpose
    assert [table["data"] for table in card["measured"]] == ["set5", "cbsd68"]
    published = models_folder / "x4-gan.safetensors"
    rows = evaluation.evaluate_checkpoint(published, str(data_sets / "cbsd68"), "all", compute=COMPUTE)
    measured = card["measured"][1]["rows"]
    assert [row["psnr"] for row in measured] == pytest.approx([row["psnr"] for row in rows])
    assert measured[-1]["method"] == "x4-gan" and measured[-1]["extra"].keys() == METRICS.keys()

    entry = read_json(tmp_path / "results.json")["models"]["x4-gan"]
    assert entry["card"] == card and entry["changes"]["width"] == 4 and "data" not in entry["changes"]
    assert [(images["data"], images["n_images"]) for images in entry["everywhere"]] == [
        ("cbsd68", 3), ("set5", 2), ("faces/val", 2), ("fer2013.zip (PrivateTest)", 2)
    ]  # fmt: skip
    assert entry["everywhere"][0]["model"] == measured[-1]["psnr"]

    monkeypatch.setattr(training, "train", never)
    monkeypatch.setattr(evaluation, "evaluate", never)
    before = [path.read_bytes() for path in (published, tmp_path / "results.json")]
    train_models.run(data_sets, **everything)
    assert [path.read_bytes() for path in (published, tmp_path / "results.json")] == before
    assert not any(str(path).encode() in content for path in (data_sets, out) for content in before)


def test_the_seeds_are_measured_on_the_same_damage(data_sets: Path, out: Path, tmp_path: Path) -> None:
    train_models.run(data_sets, models=("x4",), actions=("train",), out=out)
    train_models.run(data_sets, models=(), actions=("train", "publish"), out=out, seeds=2)
    runs = [out / "cpu" / name for name in (SEVERAL_SEEDS, f"{SEVERAL_SEEDS}-seed1")]
    assert not same_weights(runs[0] / BEST, runs[1] / BEST)
    label = MODELS[SEVERAL_SEEDS].targets[0].label
    rows = [read_json(run / MEASURED)[f"table: {label}"]["value"] for run in runs]
    assert rows[0][0]["damage"] == rows[1][0]["damage"] and rows[0][0]["psnr"] == rows[1][0]["psnr"]
    seeds = read_json(tmp_path / "results.json")["seeds"]
    assert seeds["model"] == SEVERAL_SEEDS
    assert [run["scores"][f"PSNR (dB), {label}"] for run in seeds["runs"]] == [row[-1]["psnr"] for row in rows]
    assert all(f"{name}, {label}" in run["scores"] for run in seeds["runs"] for name in METRICS)


def test_a_stopped_measurement_goes_on_where_it_stopped(
    data_sets: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sets = []

    def evaluate(*args: object) -> list:
        sets.append(args[3])
        if len(sets) == 2:
            raise KeyboardInterrupt
        return evaluation.table.evaluate(*args)

    monkeypatch.setattr(evaluation, "evaluate", evaluate)
    for stopped in (True, False):
        with pytest.raises(KeyboardInterrupt) if stopped else contextlib.nullcontext():
            train_models.run(data_sets, models=("x2-photos",), actions=("measure",), out=out)
    assert sets[:3] == ["set5", "cbsd68", "cbsd68"] and "set5" not in sets[2:]


def test_a_measurement_is_repeated_only_if_its_weights_its_damage_its_sample_or_the_code_changed(
    data_sets: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured = []

    def evaluate(methods: list, pairs: list, recipe: object, data: str, extra: dict) -> list:
        measured.append(data)
        return evaluation.table.evaluate([methods[0], methods[-1]], pairs, recipe, data, extra)

    def measure(limit: int) -> list[str]:
        measured.clear()
        model = dataclasses.replace(MODELS["x2-photos"], targets=MODELS["x2-photos"].targets[:1])
        model_scores.Scorer("x2-photos", model, out / "cpu" / "x2-photos", data_sets, limit).table(model.targets[0])
        return list(measured)

    monkeypatch.setattr(evaluation, "evaluate", evaluate)
    assert measure(1) == ["set5"] and measure(1) == []
    assert measure(2) == ["set5"] and measure(2) == []
    other_weights(out / "cpu" / "x2-photos", 1.1)
    assert measure(2) == ["set5"] and measure(2) == []
    targets = (dataclasses.replace(MODELS["x2-photos"].targets[0], changes={"noise_sigma": 0.1}),)
    monkeypatch.setitem(MODELS, "x2-photos", dataclasses.replace(MODELS["x2-photos"], targets=targets))
    assert measure(2) == ["set5"] and measure(2) == []
    monkeypatch.setattr(model_scores, "_hash_of_code", lambda: "other code")
    assert measure(2) == ["set5"] and measure(2) == []


def test_a_run_that_was_started_elsewhere_is_taken_if_its_settings_and_images_are_the_same(
    data_sets: Path, out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = shutil.move(out, tmp_path / "elsewhere")
    shutil.copytree(elsewhere / "cpu", out / "cpu")
    train = training.train
    command = {"models": ("x2-photos",), "actions": ("train",), "out": out}
    monkeypatch.setattr(training, "train", never)
    train_models.run(data_sets, **command)

    resumed = []
    monkeypatch.setattr(training, "train", lambda *args, **options: resumed.append((args, options)))
    with monkeypatch.context() as patch:
        patch.setattr(train_models, "_is_finished", lambda folder: False)
        train_models.run(data_sets, **command)
    (recipe, *_), options = resumed[0]
    assert options["resume"] and recipe.data == str(out / "data" / "photos")
    monkeypatch.setattr(training, "train", train)

    longer = dataclasses.replace(
        MODELS["x2-photos"], cpu=MODELS["x2-photos"].cpu | {"epochs": 2, "pretrain_epochs": 2}
    )
    with monkeypatch.context() as patch, pytest.raises(UserError, match="epochs 1, not 2"):
        patch.setitem(MODELS, "x2-photos", longer)
        train_models.run(data_sets, **command)
    shutil.copy(data_sets / "cbsd68" / "cb00.png", out / "data" / "photos" / "train" / "bsd_bs00.png")
    with pytest.raises(UserError, match="was trained on other images"):
        train_models.run(data_sets, **command)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"models": ("scratch",)}, r"no model 'scratch' \(did you mean scratches\?\)"),
        ({"models": ("x2-photos",), "actions": ("publish",), "limit": 2}, "results of a sample are not published"),
        ({"models": ("x4",), "actions": ("publish",)}, "no finished run; train x4 first"),
        ({"models": ("x4-gan",)}, "x4-gan starts from x4; train that model first"),
        ({"models": ("x2-photos",), "threads": 0}, "threads at least 1"),
    ],
)
def test_what_cannot_be_done_is_refused(data_sets: Path, out: Path, options: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        train_models.run(data_sets, out=out, **options)


def test_weights_that_half_precision_cannot_hold_are_refused(data_sets: Path, out: Path) -> None:
    other_weights(out / "cpu" / "x2-photos", 1e9)
    with pytest.raises(UserError, match="beyond half precision"):
        train_models.run(data_sets, models=("x2-photos",), actions=("measure",), out=out)


def test_results_are_printed_beside_their_targets(capsys: pytest.CaptureFixture) -> None:
    model = dataclasses.replace(MODELS["scratches"], targets=MODELS["scratches"].targets[:1])
    everywhere = {"data": "set5", "n_images": 1, "damage": "", "preparation": "", "input": 22.0, "model": 21.99}
    scores = {
        "measured": CARD["measured"],
        "undamaged": CARD["undamaged"],
        "everywhere": [everywhere],
        "limit": 1,
        "seconds": 90.0,
    }
    train_models._report("scratches", model, scores)
    assert capsys.readouterr().out.splitlines() == [
        "scratches on cbsd68: 35.25 dB; input 22.00; inpainting 31.00, gain +4.25 (target 4.5: missed by 0.25)",
        "scratches on undamaged images of cbsd68 (all): 41.50 dB (target 40: reached)",
        "scratches, its own damage on set5: 22.00 -> 21.99 dB (below its input)",
        "scratches: measured in 1.5 minutes, 1 images of each set only",
    ]
