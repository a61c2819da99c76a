import weakref
from typing import Any

import numpy as np
import pytest
import scipy.stats
import torch
import torch.nn.functional as F
from support import ODD, Dotted, Halved, noise_images, tiny

from gan_restore.evaluation import Method, Pair, Pairs, as_text, best, evaluate, methods, paired_gain, score
from gan_restore.figures import scores_chart
from gan_restore.files import UserError
from gan_restore.metrics.fidelity import luma, psnr, texture_distance


def test_every_method_restores_the_same_degraded_images() -> None:
    recipe, seen = tiny(), []
    pairs = Pairs(recipe.images("test"), recipe, crop=32)[:1]
    spy = lambda degraded: seen.append(degraded) or degraded  # noqa: E731
    evaluate([Method(str(i), "classical", spy) for i in range(3)], pairs, recipe, "x")
    assert len(seen) == 3 and all(torch.equal(batch, seen[0]) for batch in seen)
    with pytest.raises(UserError, match="no test images"):
        evaluate([], [], recipe, "x")


def test_images_are_made_one_after_the_other_and_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gan_restore.evaluation.pairs.BATCH_PIXELS", 1)
    recipe, seen, alive = Halved(image_size=11), [], []

    def restore(degraded: torch.Tensor) -> torch.Tensor:
        restored = recipe.as_input(degraded)
        seen.extend([weakref.ref(degraded), weakref.ref(restored)])
        alive.append(sum(ref() is not None for ref in seen))
        return restored

    pairs = Pairs(noise_images(*[(20, 20)] * 8), recipe)
    rows = evaluate([Method(name, "classical", restore) for name in "ab"], pairs, recipe, "noise")
    assert len(seen) == 32 and max(alive) <= 4 and rows[0]["n_images"] == 8


def test_a_super_resolution_table() -> None:
    recipe = Halved(image_size=11)
    pairs = Pairs(noise_images(*ODD), recipe)
    rows = evaluate(methods(recipe, pairs), pairs, recipe, "noise")
    assert [row["method"] for row in rows] == ["nearest", "bilinear"]
    assert {(row["channel"], row["crop_border"]) for row in rows} == {("Y", 2)}
    inner = (..., slice(2, -2), slice(2, -2))
    expected = [psnr(luma(recipe.as_input(pair.degraded))[inner], luma(pair.clean)[inner]).item() for pair in pairs]
    assert rows[0]["psnr"] == pytest.approx(np.mean(expected))
    assert rows[0]["per_image"]["psnr"] == pytest.approx(expected) and len(rows[0]["per_image"]["ssim"]) == 3
    assert rows[0]["normalised_psnr"] == 1
    restored = [recipe.baselines()["bilinear"](pair.degraded) for pair in pairs]
    smooth = [score(image, pair.clean, 2, "Y")["psnr"].item() for image, pair in zip(restored, pairs, strict=True)]
    assert rows[1]["normalised_psnr"] == pytest.approx(np.mean(np.divide(smooth, expected)))


def test_the_text_states_the_protocol() -> None:
    recipe = Halved(image_size=11)
    pairs = Pairs(noise_images(*ODD), recipe)
    text = as_text(evaluate(methods(recipe, pairs), pairs, recipe, "noise (test)"))
    line = text.splitlines()[-2]
    assert line.startswith("3 images of noise (test), 30 x 36 to 48 x 64 pixels; preparation: cut to a multiple")
    assert "; Y, range [0, 1], 2 pixels of border left out; <function" in line
    two = Pairs(noise_images((20, 20), (30, 24)), recipe)
    assert evaluate(methods(recipe, two), two, recipe, "noise")[0]["sizes"] == "20 x 20 to 24 x 30"
    one = Pairs(noise_images((12, 20)), tiny(image_size=24))
    text = as_text(evaluate([Method("a", "input", lambda x: x)], one, one.recipe, "noise"))
    assert "40 x 24 pixels; preparation: a shorter side below 24 pixels enlarged to 24 (bilinear); RGB" in text


def test_notes_stand_below_the_table() -> None:
    recipe = Halved(image_size=11)
    pairs = Pairs(noise_images((20, 20)), recipe)
    noted = Method("net", "learned", recipe.as_input, note="its last epoch")
    lines = as_text(evaluate([*methods(recipe), noted], pairs, recipe, "noise")).splitlines()
    assert [line for line in lines if "epoch" in line] == ["net: its last epoch"]


def test_a_colour_cast_stands_in_the_table() -> None:
    recipe, clean = Halved(image_size=11), torch.full((1, 3, 16, 16), 0.5)
    pairs = [Pair("a", clean, F.avg_pool2d(clean, 2))]
    red = torch.tensor([0.1, 0, 0])[:, None, None]
    rows = evaluate([Method("red", "classical", lambda x: recipe.as_input(x) + red)], pairs, recipe, "gray")
    assert rows[0]["mean_shift"] == pytest.approx([25.5, 0, 0], abs=1e-4)
    assert 31 < rows[0]["psnr"] < 37 and "+25.5" in as_text(rows)


def test_further_metrics_are_measured_on_the_whole_image_in_rgb() -> None:
    recipe = Halved(image_size=11)
    pairs = Pairs(noise_images(*ODD), recipe)
    (row, _) = evaluate(methods(recipe), pairs, recipe, "noise", {"texture": texture_distance})
    expected = [texture_distance(recipe.as_input(pair.degraded), pair.clean).item() for pair in pairs]
    assert row["extra"] == {"texture": pytest.approx(np.mean(expected))}


def test_oracles_are_given_the_mask_and_marked() -> None:
    recipe = Dotted(image_size=11)
    pairs = Pairs(noise_images((16, 12), (14, 13), (16, 12)), recipe)
    assert "oracle" not in [method.kind for method in methods(recipe)]
    rows = evaluate(methods(recipe, pairs), pairs, recipe, "dots")
    assert best(rows, "oracle")["psnr"] > best(rows, "classical")["psnr"] == best(rows, "input")["psnr"]
    marked = [line for line in as_text(rows).splitlines() if "oracle: knows the mask" in line]
    assert len(marked) == 1 and marked[0].startswith("gray where damaged")
    scores_chart(rows)
    own = [Pair("own pairs of the data set have no mask", pairs[0].clean, pairs[0].degraded)]
    assert [method.kind for method in methods(recipe, own)] == ["input", "classical"]


def test_the_best_network_is_that_of_best_safetensors() -> None:
    def row(method: str, kind: str, psnr: float, checkpoint: str = "") -> dict[str, object]:
        return {"method": method, "kind": kind, "psnr": psnr, "checkpoint": checkpoint}

    rows = [row("a", "classical", 20), row("b", "classical", 21), row("c", "learned", 30, "pretrained.safetensors")]
    rows.append(row("d", "learned", 29, "best.safetensors"))
    assert best(rows, "classical")["method"] == "b" and best(rows, "learned")["method"] == "d"
    assert best(rows[:3], "learned")["method"] == "c"
    with pytest.raises(ValueError, match="no row of kind 'oracle'"):
        best(rows, "oracle")


def test_the_paired_gain_is_that_of_the_paired_t_test() -> None:
    draw = np.random.default_rng(0)
    photos = draw.normal(30, 5, 12)  # photos differ by much more than the two methods
    ours, theirs = photos + 0.5 + draw.normal(0, 0.2, 12), photos
    rows: list[Any] = [{"per_image": {"psnr": list(values)}} for values in (ours, theirs)]
    mean, low, high = paired_gain(*rows)
    reference = scipy.stats.ttest_rel(ours, theirs).confidence_interval(0.95)
    assert (low, high) == pytest.approx((reference.low, reference.high)) and low < mean < high
    assert low > 0.3 and high < 0.8
    single: Any = {"per_image": {"psnr": [30.0]}}
    assert paired_gain(single, single) == (0, -np.inf, np.inf)
