import dataclasses

import pytest
import torch
from support import ODD, Dotted, Halved, noise_images, tiny

from gan_restore.evaluation import Pair, Pairs, measure, score
from gan_restore.evaluation.pairs import BATCH_IMAGES, BATCH_PIXELS, batches
from gan_restore.files import UserError
from gan_restore.metrics.fidelity import psnr


def random_pairs(*sizes: tuple[int, int]) -> list[Pair]:
    return [Pair(str(i), torch.rand(1, 3, *size), torch.rand(1, 3, *size)) for i, size in enumerate(sizes)]


def test_a_pair_is_the_same_every_time_and_independent_of_the_others() -> None:
    recipe = tiny()
    images = recipe.images("test")
    pairs, fewer = Pairs(images, recipe, crop=64), Pairs(images, recipe, crop=64)[:2]
    assert len(pairs) == 3 and len(fewer) == 2
    assert all(torch.equal(a.degraded, b.degraded) for a, b in zip(pairs, fewer, strict=False))
    assert pairs[0].clean.shape == (1, 3, 64, 64) and pairs[0].name == "astronaut.png"
    assert pairs[-1].name == "camera.png"
    with pytest.raises(IndexError):
        pairs[3]


def test_every_image_has_a_damage_of_its_own() -> None:
    images = noise_images((40, 40))
    images = dataclasses.replace(images, arrays=2 * images.arrays, names=["a", "b"])
    first, second = Pairs(images, tiny())
    assert torch.equal(first.clean, second.clean) and not torch.equal(first.degraded, second.degraded)
    assert not torch.equal(Pairs(images, tiny(seed=1))[0].degraded, first.degraded)


def test_a_pair_is_made_when_it_is_asked_for_and_not_kept(monkeypatch) -> None:
    recipe, made = tiny(), []
    images = recipe.images("test")
    pair = images.pair
    monkeypatch.setattr(images, "pair", lambda index, *rest: made.append(index) or pair(index, *rest))
    pairs = Pairs(images, recipe, crop=32)
    assert made == []
    assert pairs[1].name == "chelsea.png" and made == [1]
    list(pairs)
    assert made == [1, 0, 1, 2]


def test_clean_images_are_not_resampled_unless_the_recipe_says_so() -> None:
    images = noise_images(*ODD)
    pairs = Pairs(images, tiny("resnet-gan", image_size=64))
    assert [tuple(pair.clean.shape[-2:]) for pair in pairs] == ODD
    assert all(torch.equal(pair.clean * 255, images[i][None].float()) for i, pair in enumerate(pairs))
    assert min(Pairs(images, tiny(image_size=64))[0].clean.shape[-2:]) == 64  # as FER2013's faces are enlarged
    with pytest.raises(UserError, match="0 has 30 x 10 pixels, too few for SSIM"):
        Pairs(noise_images((10, 30)), tiny("resnet-gan"))[0]


def test_clean_images_are_cut_to_multiples_of_the_factor() -> None:
    pairs = Pairs(noise_images(*ODD), Halved(image_size=11))
    assert [tuple(pair.clean.shape[-2:]) for pair in pairs] == [(36, 30), (64, 48), (16, 90)]
    assert all(pair.degraded.shape[-1] * 2 == pair.clean.shape[-1] for pair in pairs)


def test_masks_belong_to_their_damage() -> None:
    recipe = Dotted(image_size=11)
    pairs, again = (list(Pairs(noise_images((16, 12), (14, 13), (16, 12)), recipe)) for _ in range(2))
    assert all(torch.equal(a.mask, b.mask) for a, b in zip(pairs, again, strict=True))
    assert all(pair.mask.sum() == 16 and (pair.degraded[:, :1][pair.mask > 0] == 1).all() for pair in pairs)


def test_degraded_images_of_the_data_set_are_used() -> None:
    images = noise_images((16, 12), (20, 13))
    images = dataclasses.replace(images, degraded=[255 - array for array in images.arrays])
    pairs = Pairs(images, Dotted(image_size=11), crop=14)
    assert all(torch.allclose(pair.degraded, 1 - pair.clean) and pair.mask is None for pair in pairs)
    assert pairs[1].clean.shape == (1, 3, 14, 13) and pairs[0].damage == "the data set's own pairs"


def test_batches_hold_every_pair_once_and_few_at_a_time() -> None:
    drawn = 0

    def counted(pairs: list[Pair]):
        nonlocal drawn
        for pair in pairs:
            drawn += 1
            yield pair

    pairs, seen, side = random_pairs(*((12 + i % 2, 12) for i in range(2 * BATCH_IMAGES + 3))), [], 2**9
    for positions, batch in batches(pairs):
        assert len(positions) == len(batch.clean) <= BATCH_IMAGES
        for place, position in enumerate(positions):
            assert torch.equal(batch.degraded[place], pairs[position].degraded[0])
        seen += positions
    assert sorted(seen) == list(range(len(pairs)))
    assert side * side * 4 == BATCH_PIXELS
    large = [Pair(str(i), torch.empty(1, 3, side, side), torch.empty(1, 3, side, side)) for i in range(12)]
    for step, (positions, _) in enumerate(batches(counted(large)), start=1):
        assert len(positions) == 4 and drawn == 4 * step


def test_a_large_pair_is_neither_copied_nor_held_beside_the_next() -> None:
    shape, drawn = (1, 1, BATCH_PIXELS // 512 + 1, 512), []

    def large(count: int):
        for i in range(count):
            drawn.append(Pair(str(i), torch.empty(shape), torch.empty(shape)))
            yield drawn[-1]

    for step, (positions, batch) in enumerate(batches(large(3))):
        assert positions == [step] and batch is drawn[step] and len(drawn) == step + 1


def test_scores_are_in_the_order_of_the_pairs() -> None:
    pairs = random_pairs(*((12 + i % 2, 12) for i in range(7)))
    scores = measure(lambda degraded: degraded, pairs, Dotted(image_size=11))
    expected = [psnr(pair.degraded, pair.clean).item() for pair in pairs]
    assert scores["psnr"] == pytest.approx(expected, rel=1e-12) and len(set(expected)) == 7


def test_the_border_is_left_out() -> None:
    clean = torch.full((1, 3, 20, 20), 0.5)
    for side in ((..., 0, slice(None)), (..., -1, slice(None)), (..., 0), (..., -1)):
        wrong_border = clean.clone()
        wrong_border[side] = 1
        assert score(wrong_border, clean, crop_border=1)["mse"] == 0 < score(wrong_border, clean)["mse"]
