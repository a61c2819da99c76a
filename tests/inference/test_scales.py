import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from gan_restore.baselines import median
from gan_restore.images import to_bytes
from gan_restore.inference import Restorer, restore_over_scales, scales
from gan_restore.inference.scales import restore_enlarged
from gan_restore.inference.tiles import Tiling
from gan_restore.recipes.names import get


def repair(degraded: Tensor) -> Tensor:
    """Removes lines of up to 5 pixels: a median of 11 x 11."""
    around = F.pad(degraded, (5, 5, 5, 5), mode="replicate")
    return F.unfold(around.transpose(0, 1), 11).median(1).values.view(degraded.shape)


def scratched(width: int, size: int = 192) -> tuple[Tensor, Tensor]:
    """A smooth photo with fine detail, and the same with a light scratch of `width` pixels."""
    ramp = torch.linspace(0.2, 0.5, size).expand(1, 3, size, size)
    clean = ramp + 0.01 * (torch.arange(size) % 2)
    degraded = clean.clone()
    degraded[..., size // 2 : size // 2 + width] = 0.95
    return clean, degraded


def test_a_wide_scratch_is_found_at_a_smaller_size_only() -> None:
    clean, degraded = scratched(width=12)
    assert (repair(degraded) - clean).abs().max() > 0.4
    restored = restore_over_scales(repair, degraded, side=48)
    assert (restored - clean).abs().max() < 0.05


def test_what_is_not_damaged_keeps_its_fine_detail() -> None:
    clean, degraded = scratched(width=12)
    restored = restore_over_scales(lambda small: repair(small) if small.shape[-1] < 100 else small, degraded, 48)
    assert (restored - clean)[..., :70].abs().max() < 0.002, "as it was, to the finest detail"


def test_a_smooth_change_is_added_and_keeps_the_detail() -> None:
    clean, _ = scratched(width=0)
    restored = restore_over_scales(lambda small: small + 0.1 if small.shape[-1] <= 48 else small, clean, 48)
    assert (restored - clean - 0.1).abs().max() < 0.005


@pytest.mark.parametrize("size", [(1, 300), (301, 7), (97, 96)])
def test_odd_sizes_keep_their_shape_and_range(size: tuple[int, int]) -> None:
    images = torch.rand(2, 3, *size)
    restored = restore_over_scales(median, images, side=32)
    assert restored.shape == images.shape and restored.min() >= 0 and restored.max() <= 1


def test_an_image_of_one_column_is_restored_as_one_of_one_row() -> None:
    row = torch.rand(1, 3, 1, 300)
    restored = restore_over_scales(median, row, side=32)
    assert torch.equal(restore_over_scales(median, row.mT.contiguous(), side=32), restored.mT)


def test_only_old_prints_are_restored_over_scales(monkeypatch: pytest.MonkeyPatch) -> None:
    assert get("pix2pix").over_scales == 0 and get("srgan").over_scales == 0
    recipe = get("pix2pix", damage="print", width=4, levels=3)
    seen = []
    generator = recipe.generator()
    generator.register_forward_pre_hook(lambda _, inputs: seen.append(tuple(inputs[0].shape[-2:])))
    restorer, images = Restorer(generator, recipe=recipe), torch.rand(1, 3, 30, 1200)
    assert restorer(images).shape == images.shape
    assert seen == [(8, 300), (15, 600), (30, 1200)]
    seen.clear()
    told: list[float] = []
    assert restorer.restore(torch.rand(1, 3, 26, 48), progress=told.append).shape == (1, 3, 26, 48)
    assert seen == [(156, 288)], "a very small image is enlarged"
    assert told[0] == 0 and told[-1] == 1


def test_only_the_change_of_an_enlarged_image_reaches_the_image() -> None:
    images = torch.rand(2, 3, 5, 31)
    assert torch.equal(restore_enlarged(lambda large: large, to_bytes(images)), to_bytes(images))
    brighter = restore_enlarged(lambda large: large + 0.1, images)
    assert torch.allclose(brighter, (images + 0.1).clamp(0, 1), atol=1e-6)


@pytest.mark.parametrize("size", [(301, 199), (96, 333)])
def test_tiles_restore_over_scales_as_the_whole_image(size: tuple[int, int], monkeypatch) -> None:
    images = torch.rand(1, 3, *size)
    whole = restore_over_scales(median, images, side=64)
    monkeypatch.setattr(scales, "_AT_ONCE", 1000)
    tiled = restore_over_scales(median, images, 64, Tiling(0, overlap=2))
    assert (tiled - whole).abs().max() < 1e-5
    in_bytes = restore_over_scales(median, to_bytes(images), 64, Tiling(0, overlap=2))
    assert in_bytes.dtype == torch.uint8 and (in_bytes / 255 - whole).abs().mean() < 1 / 255
