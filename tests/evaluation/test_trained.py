import json
from pathlib import Path

import pytest
import torch
from support import tiny

from gan_restore import training
from gan_restore.evaluation import Pairs, as_text, best, evaluate_checkpoint, trained, untrained
from gan_restore.files import UserError
from gan_restore.inference.checkpoints import load_facts, load_generator, save_generator
from gan_restore.metrics.fidelity import luma, psnr

OPTIMISTIC = "'val' chose this checkpoint's epoch, so its scores there are optimistic"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return training.train(tiny(), tmp_path_factory.mktemp("runs") / "run")


@pytest.fixture(scope="module")
def two_stages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return training.train(tiny("srgan"), tmp_path_factory.mktemp("runs") / "run")


def test_the_table_of_a_run(run: Path) -> None:
    rows = evaluate_checkpoint(run, split="val", limit=1)
    assert [row["kind"] for row in rows] == ["input"] + ["classical"] * 5 + ["learned"]
    assert all(set(row) == set(rows[0]) and row["n_images"] == 1 for row in rows)
    assert best(rows, "learned")["psnr"] > best(rows, "input")["psnr"] + 8
    text = as_text(rows)
    assert len(text.splitlines()) == len(rows) + 4 and "RGB" in text and "scikit-image photos (val)" in text
    assert json.loads(json.dumps(rows)) == rows


def test_a_network_has_a_note_that_says_which_split_chose_its_epoch(run: Path) -> None:
    chosen = "epoch chosen on 2 images of 'val' (seed 0)"
    assert trained(run)[0].note == chosen
    assert trained(run, split="val")[0].note == f"{chosen}; {OPTIMISTIC}"
    assert "trained on 'train', so" in trained(run, split="train")[0].note
    everything = trained(run, split="all")[0].note
    assert OPTIMISTIC in everything and "trained on 'train', so" in everything
    assert trained(run, split="all", other_data=True)[0].note == chosen


def test_notes_distinguish_the_training_set_from_other_data(folder: Path, tmp_path: Path) -> None:
    run = training.train(tiny(data=str(folder), epochs=1), tmp_path / "run")
    rows = evaluate_checkpoint(run, limit=1)
    assert rows[0]["data"] == "photos (test)" and rows[0]["n_images"] == 1
    assert "unet-denoiser: epoch chosen on" in as_text(rows) and "optimistic" not in as_text(rows)
    with pytest.raises(UserError, match="name the images to evaluate on by --data"):
        evaluate_checkpoint(run / "best.safetensors")
    other = tmp_path / "other"
    folder.rename(other)
    assert OPTIMISTIC not in as_text(evaluate_checkpoint(run, str(other), "val", limit=1))
    other.rename(folder)
    assert OPTIMISTIC in as_text(evaluate_checkpoint(run, str(folder), "val", limit=1))
    assert OPTIMISTIC in as_text(evaluate_checkpoint(run / "best.safetensors", str(folder), "val", limit=1))


def test_a_run_of_two_stages_shows_both_networks(two_stages: Path) -> None:
    rows = evaluate_checkpoint(two_stages, limit=1)
    learned = [row for row in rows if row["kind"] == "learned"]
    assert [row["method"] for row in learned] == ["srgan, pixel loss", "srgan, GAN"]
    assert best(rows, "learned") is learned[1]
    assert learned[0]["note"].startswith("epoch chosen on 2 images") and learned[1]["note"] == "its last epoch"
    assert rows[0]["method"] == "bicubic enlargement" and rows[0]["channel"] == "Y" and rows[0]["crop_border"] == 2
    assert [method.name for method in trained(two_stages / "best.safetensors")] == ["srgan, GAN"]
    assert [method.name for method in trained(two_stages / "pretrained.safetensors")] == ["srgan, pixel loss"]


def test_a_run_that_stopped_in_its_first_stage_is_listed_once(two_stages: Path, tmp_path: Path) -> None:
    for name in ("best.safetensors", "pretrained.safetensors"):
        (tmp_path / name).write_bytes((two_stages / "pretrained.safetensors").read_bytes())
    assert [method.name for method in trained(tmp_path)] == ["srgan, pixel loss"]


def test_a_stage_without_a_discriminator_is_not_called_a_gan(tmp_path: Path) -> None:
    recipe = tiny("srgan", adversarial_weight=0.0, perceptual_weight=1.0)
    save_generator(
        tmp_path / "best.safetensors", recipe.generator(), recipe, step=9, stage="adversarial", chosen_on=None
    )
    assert [method.name for method in trained(tmp_path)] == ["srgan, perceptual loss"]


def test_a_stage_that_started_from_another_run_is_called_a_gan_too(tmp_path: Path) -> None:
    recipe, file = tiny(adversarial_weight=0.1), tmp_path / "best.safetensors"
    facts = {"step": 9, "stage": "adversarial", "started_from": {"file": "best.safetensors", "step": 5}}
    save_generator(file, recipe.generator(), recipe, **facts, chosen_on=None)
    assert [method.name for method in trained(tmp_path)] == ["unet-denoiser, GAN"]


@pytest.mark.parametrize("adversarial_weight", [0.0, 0.1])
def test_a_generator_that_keep_every_kept_says_its_step(adversarial_weight: float, tmp_path: Path) -> None:
    recipe = tiny(adversarial_weight=adversarial_weight, epochs=2)
    run = training.train(recipe, tmp_path / "run", keep_every=1)
    (first,), (last,) = (trained(run / f"epoch-000{epoch}.safetensors") for epoch in (1, 2))
    steps = load_facts(run)["steps"]
    assert first.name == last.name == "unet-denoiser"
    assert (first.note, last.note) == (f"after step {steps // 2} of {steps}", "its last epoch")


def test_a_checkpoint_without_facts(tmp_path: Path) -> None:
    recipe = tiny()
    save_generator(tmp_path / "best.safetensors", recipe.generator(), recipe)
    assert trained(tmp_path)[0].note == "how its epoch was chosen is not recorded"


@pytest.mark.parametrize("name", ["srgan", "unet-denoiser"])
def test_validation_follows_the_protocol_in_evaluation_mode(name: str, tmp_path: Path) -> None:
    """Scores in a checkpoint are those of its network in evaluation mode, by the recipe's channel and border."""
    changes = {"norm": "batch", "residual": False, "ema": 0.0, "epochs": 1, "pretrain_epochs": 0}
    recipe = tiny(name, **changes | ({"dropout": 0.5} if name == "unet-denoiser" else {}))
    generator, _, facts = load_generator(training.train(recipe, tmp_path / "run"))
    border, expected = recipe.crop_border, []
    for pair in Pairs(recipe.images("val"), recipe, crop=256):
        with torch.no_grad():
            images = generator(pair.degraded), pair.clean
        if recipe.channel == "Y":
            images = [luma(image)[..., border:-border, border:-border] for image in images]
        expected.append(psnr(*images).item())
    assert facts["val_psnr"] == pytest.approx(sum(expected) / len(expected), abs=1e-4)


def test_the_start_of_a_training_is_a_row_of_its_own(run: Path, tmp_path: Path) -> None:
    recipe = tiny()
    start = untrained(recipe)
    assert (start.name, start.kind) == ("unet-denoiser, before training", "start")
    pair = Pairs(recipe.images("test"), recipe, crop=32)[0]
    assert torch.equal(start(pair), untrained(recipe)(pair)) and not torch.equal(start(pair), trained(run)[0](pair))
    further = untrained(tiny(start_from=str(run)))
    assert torch.equal(further(pair), trained(run)[0](pair)) and further.note == "the weights of run"
