import dataclasses
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from support import ODD, tiny

from gan_restore import evaluation, training
from gan_restore.baselines.base import unchanged
from gan_restore.data.datasets import Images
from gan_restore.evaluation.pairs import Pair, make_pairs, restore_all, score
from gan_restore.evaluation.table import Method, as_text, best, evaluate, methods
from gan_restore.figures import scores_chart
from gan_restore.files import UserError
from gan_restore.metrics.fidelity import luma, psnr
from gan_restore.recipes.unet_denoiser import UnetDenoiser

FIELDS = {"method", "kind", "data", "n_images", "psnr", "ssim", "mse", "channel", "crop_border", "range"}
FIELDS |= {"normalised_psnr", "estimated_mos", "mean_shift", "damage", "seed", "seconds_per_image"}


@dataclass(frozen=True)
class Halved(UnetDenoiser):
    """A stand-in for super-resolution: the damaged image has half the side; measured on Y."""

    factor, channel, crop_border, input_name = 2, "Y", 2, "nearest"

    def degradation(self):
        return lambda clean, generator: F.avg_pool2d(clean, 2)

    def as_input(self, degraded):
        return F.interpolate(degraded, scale_factor=2)

    def baselines(self):
        return {"bilinear": lambda x: F.interpolate(x, scale_factor=2, mode="bilinear")}


class Dot:
    """A stand-in for scratches: one white block whose place depends on the seed."""

    def with_mask(self, clean, generator):
        mask = torch.zeros_like(clean[:, :1])
        top = int(torch.randint(clean.shape[-2] - 4, (), generator=generator))
        mask[..., top : top + 4, 3:7] = 1
        return torch.where(mask > 0, 1.0, clean), mask

    def __call__(self, clean, generator):
        return self.with_mask(clean, generator)[0]


@dataclass(frozen=True)
class Dotted(UnetDenoiser):
    def degradation(self):
        return Dot()

    def baselines(self):
        return {"unchanged": unchanged}

    def oracles(self):
        return {"gray where damaged": lambda degraded, mask: torch.where(mask > 0, 0.5, degraded)}


def some_images(*sizes: tuple[int, int], **options: object) -> Images:
    rng = np.random.default_rng(0)
    arrays = [rng.integers(0, 200, (*size, 3), dtype=np.uint8) for size in sizes]
    return Images(arrays, [str(i) for i in range(len(sizes))], "some", **options)


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
    restored = restore_all(unchanged, pairs)
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
    assert len(text.splitlines()) == len(rows) + 3 and "astronaut" not in text and "RGB" in text


def test_every_restorer_sees_the_same_damage() -> None:
    recipe, seen = tiny(), []
    pairs = make_pairs(recipe.images("test"), recipe, limit=1, crop=32)
    spy = lambda degraded: seen.append(degraded) or degraded  # noqa: E731
    kept = {}
    evaluate([Method(str(i), "classical", spy) for i in range(3)], pairs, recipe, "x", kept.__setitem__)
    assert len(seen) == 3 == len(kept) and all(torch.equal(batch, seen[0]) for batch in seen)
    with pytest.raises(UserError, match="no test images"):
        evaluate([], [], recipe, "x")


def test_a_checkpoint_of_somebodys_data_wants_to_be_told_what_to_evaluate_on(folder: Path, tmp_path: Path) -> None:
    run = training.train(tiny(data=str(folder), epochs=1), tmp_path / "run")
    assert evaluation.evaluate_checkpoint(run, limit=1)[0]["data"] == "photos (test)"
    with pytest.raises(UserError, match="name the images to evaluate on by --data"):
        evaluation.evaluate_checkpoint(run / "best.safetensors")


def test_a_super_resolution_table() -> None:
    recipe = Halved(image_size=11)
    pairs = make_pairs(some_images(*ODD), recipe)
    assert [tuple(pair.clean.shape[-2:]) for pair in pairs] == [(36, 30), (64, 48), (16, 90)]
    assert all(pair.degraded.shape[-1] * 2 == pair.clean.shape[-1] for pair in pairs)
    rows = evaluate(methods(recipe, pairs), pairs, recipe, "noise")
    assert [row["method"] for row in rows] == ["nearest", "bilinear"]
    assert {(row["channel"], row["crop_border"]) for row in rows} == {("Y", 2)}
    inner = (..., slice(2, -2), slice(2, -2))
    expected = [psnr(luma(recipe.as_input(pair.degraded))[inner], luma(pair.clean)[inner]).item() for pair in pairs]
    assert rows[0]["psnr"] == pytest.approx(np.mean(expected))
    assert rows[0]["normalised_psnr"] == 1
    smooth = score([recipe.baselines()["bilinear"](pair.degraded) for pair in pairs], pairs, 2, "Y")["psnr"]
    assert rows[1]["normalised_psnr"] == pytest.approx(np.mean(np.divide(smooth, expected)), rel=1e-5)
    assert "; Y, range [0, 1], 2 pixels of border left out" in as_text(rows)


def test_a_colour_cast_stands_in_the_table() -> None:
    recipe, clean = Halved(image_size=11), torch.full((1, 3, 16, 16), 0.5)
    pairs = [Pair("a", clean, F.avg_pool2d(clean, 2))]
    red = torch.tensor([0.1, 0, 0])[:, None, None]
    rows = evaluate([Method("red", "classical", lambda x: recipe.as_input(x) + red)], pairs, recipe, "gray")
    assert rows[0]["mean_shift"] == pytest.approx([25.5, 0, 0], abs=1e-4)
    assert rows[0]["estimated_mos"] == 4 and 31 < rows[0]["psnr"] < 37 and "+25.5" in as_text(rows)


def test_oracles_are_told_the_mask_and_marked() -> None:
    recipe = Dotted(image_size=11)
    images = some_images((16, 12), (14, 13), (16, 12))
    pairs = make_pairs(images, recipe)
    again = make_pairs(images, dataclasses.replace(recipe), limit=2)
    assert all(torch.equal(a.mask, b.mask) for a, b in zip(pairs, again, strict=False))
    assert all(pair.mask.sum() == 16 and (pair.degraded[:, :1][pair.mask > 0] == 1).all() for pair in pairs)
    assert "oracle" not in [method.kind for method in methods(recipe)]
    rows = evaluate(methods(recipe, pairs), pairs, recipe, "dots")
    assert best(rows, "oracle")["psnr"] > best(rows, "classical")["psnr"] == best(rows, "input")["psnr"]
    marked = [line for line in as_text(rows).splitlines() if "oracle: knows the mask" in line]
    assert len(marked) == 1 and marked[0].startswith("gray where damaged")
    scores_chart(rows)
    with pytest.raises(ValueError):
        best(rows, "learned")


def test_a_data_sets_own_damage_is_taken() -> None:
    images = some_images((16, 12), (20, 13))
    images = dataclasses.replace(images, degraded=[255 - array for array in images.arrays])
    pairs = make_pairs(images, Dotted(image_size=11), crop=14)
    assert all(torch.allclose(pair.degraded, 1 - pair.clean) and pair.mask is None for pair in pairs)
    assert pairs[1].clean.shape == (1, 3, 14, 13)
    assert [row.kind for row in methods(Dotted(image_size=11), pairs)] == ["input", "classical"]


def test_a_run_of_two_stages_shows_both(tmp_path: Path) -> None:
    rows = evaluation.evaluate_checkpoint(training.train(tiny("srgan"), tmp_path / "run"), limit=1)
    learned = [row["method"] for row in rows if row["kind"] == "learned"]
    assert learned == ["srgan, pixel loss only", "srgan"]
    assert rows[0]["method"] == "bicubic enlargement" and rows[0]["channel"] == "Y" and rows[0]["crop_border"] == 2
