from pathlib import Path

import pytest
import torch
from conftest import tiny

from gan_restore import evaluation, training
from gan_restore.baselines import unchanged
from gan_restore.evaluation import Contender, Pair, evaluate, make_pairs, restore_all, score
from gan_restore.files import UserError
from gan_restore.metrics import psnr

FIELDS = {"restorer", "kind", "data", "n_images", "psnr", "ssim", "mse", "channel", "crop_border"}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return training.train(tiny(), tmp_path_factory.mktemp("runs") / "run")


def test_pairs_are_the_same_each_time_and_do_not_depend_on_each_other() -> None:
    recipe = tiny()
    images = recipe.images("test")
    first, second = make_pairs(images, recipe, crop=64), make_pairs(images, recipe, limit=2, crop=64)
    assert len(first) == 3 and len(second) == 2
    assert all(torch.equal(a.degraded, b.degraded) for a, b in zip(first, second, strict=False))
    assert first[0].clean.shape == (1, 3, 64, 64) and first[0].name == "astronaut.png"


def test_restorers_of_any_batch_give_the_images_in_order() -> None:
    pairs = [
        Pair(str(i), torch.full((1, 3, 12 + i % 2, 12), i / 10), torch.rand(1, 3, 12 + i % 2, 12)) for i in range(7)
    ]
    restored = restore_all(unchanged, pairs, batch_size=2)
    assert all(torch.equal(image, pair.degraded) for image, pair in zip(restored, pairs, strict=True))
    scores = score(restored, pairs)
    assert scores["psnr"][3] == pytest.approx(psnr(pairs[3].degraded, pairs[3].clean).item())


def test_the_border_is_left_out() -> None:
    clean = torch.full((1, 3, 20, 20), 0.5)
    wrong_border = clean.clone()
    wrong_border[..., 0, :] = 1
    pairs = [Pair("a", clean, clean)]
    assert score([wrong_border], pairs, crop_border=1)["mse"] == [0] < score([wrong_border], pairs)["mse"]


def test_the_table(run: Path) -> None:
    rows = evaluation.evaluate_checkpoint(run, limit=1)
    assert [row["kind"] for row in rows] == ["input"] + ["classical"] * 5 + ["learned"]
    assert all(set(row) >= FIELDS and row["n_images"] == 1 for row in rows)
    by_kind = {row["kind"]: row for row in rows}
    assert by_kind["learned"]["psnr"] > by_kind["input"]["psnr"] + 8
    text = evaluation.as_text(rows)
    assert len(text.splitlines()) == len(rows) + 2 and "astronaut" not in text and "RGB" in text


def test_every_restorer_sees_the_same_damage() -> None:
    recipe, seen = tiny(), []
    pairs = make_pairs(recipe.images("test"), recipe, limit=1, crop=32)
    spy = lambda degraded: seen.append(degraded) or degraded  # noqa: E731
    kept = {}
    evaluate([Contender(str(i), "classical", spy) for i in range(3)], pairs, recipe, "x", kept.__setitem__)
    assert len(seen) == 3 == len(kept) and all(torch.equal(batch, seen[0]) for batch in seen)
    with pytest.raises(UserError, match="no test images"):
        evaluate([], [], recipe, "x")


def test_a_checkpoint_of_somebodys_data_wants_to_be_told_what_to_evaluate_on(folder: Path, tmp_path: Path) -> None:
    run = training.train(tiny(data=str(folder), epochs=1), tmp_path / "run")
    assert evaluation.evaluate_checkpoint(run, limit=1)[0]["data"] == "photos (test)"
    with pytest.raises(UserError, match="name the images to evaluate on by --data"):
        evaluation.evaluate_checkpoint(run / "best.safetensors")
