import itertools
from typing import Any

import pytest
import torch
from restoration_memory import border_steps
from support import ODD, TINY, tiny
from torch import Tensor, nn

from gan_restore import recipes
from gan_restore.degradations import SaltAndPepper, seeded
from gan_restore.files import UserError
from gan_restore.inference import Compute, Restorer, memory, restorer, tiles
from gan_restore.inference.tiles import Tiling, in_tiles
from gan_restore.networks import RestoringNetwork

SIZES = [(101, 77), (64, 150)]
FILLS_IMPULSES = "unet-denoiser smoke", "unet-denoiser small"  # and changes no other pixels
NETWORKS = [f"{name} {scale}" for name in TINY for scale in ("smoke", "small", "full")]


def network(which: str) -> RestoringNetwork:
    """A small generator of a recipe, with random weights that let every pixel within the radius count."""
    name, scale = which.split()
    generator = tiny(name, scale, **({"levels": 3} if name == "pix2pix" else {})).generator().eval()
    torch.manual_seed(0)
    for module in generator.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.kaiming_normal_(module.weight, a=0.1)
    return generator


def tiled(generator: RestoringNetwork, images: Tensor, overlap: int, side: int = 0) -> Tensor:
    tiling = Tiling(side, overlap, generator.multiple, getattr(generator, "factor", 1))
    assert len(tiling.spans(images.shape[-1])) > 1 or len(tiling.spans(images.shape[-2])) > 1
    with torch.no_grad():
        return in_tiles(lambda tile, window: generator(tile), images, tiling)


@pytest.mark.parametrize("which", NETWORKS)
def test_tiles_give_the_whole_image_where_they_overlap_by_the_radius(which: str) -> None:
    generator = network(which)
    least = Tiling(0, generator.radius, generator.multiple).least
    images = torch.rand(1, 3, 19, least + 2 * generator.multiple + 13).transpose(2, 3)
    with torch.no_grad():
        whole = generator(images)
    assert (tiled(generator, images, generator.radius) - whole).abs().max() < 1e-5


def test_the_step_lengths_of_the_initial_estimate_depend_on_the_whole_image_by_little() -> None:
    """The one thing that tiles change, however far they overlap."""
    generator = network("unet-denoiser smoke")
    nn.init.zeros_(generator.out.weight)
    smooth = torch.linspace(0.2, 0.8, 300).expand(1, 3, 40, 300)
    images = SaltAndPepper(0.06)(smooth, seeded(0))
    with torch.no_grad():
        difference = (tiled(generator, images, 44) - generator(images)).abs()
    assert 0 < difference.max() < 0.5 / 255


@pytest.mark.parametrize("which", [which for which in NETWORKS if which not in FILLS_IMPULSES])
def test_no_pixel_beyond_the_radius_counts(which: str) -> None:
    """And the radius is not far larger than needed."""
    generator = network(which)
    for module in generator.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            module.weight.data.abs_().div_(module.weight.abs().sum() / module.weight.shape[0])
    radius, multiple = generator.radius, generator.multiple
    images = torch.rand(1, 3, 2 * multiple, 2 * (radius + 2 * multiple)) * 0.2 + 0.75
    farthest = 0
    with torch.no_grad():
        whole = generator(images)
        for place in range(radius + multiple, radius + 2 * multiple, max(1, multiple // 2)):
            other = images.clone()
            other[..., place] -= 0.2
            changed = (generator(other) != whole).any(0).any(0).any(0).nonzero().flatten() // (
                whole.shape[-1] // images.shape[-1]
            )
            farthest = max(farthest, place - int(changed[0]), int(changed[-1]) - place)
    assert 0.4 * radius <= farthest <= radius


@pytest.mark.parametrize("dtype", [torch.float32, torch.uint8, torch.uint16])
@pytest.mark.parametrize("size", SIZES)
def test_every_type_is_kept_and_exact(dtype: torch.dtype, size: tuple[int, int]) -> None:
    images = torch.rand(2, 3, *size)
    if dtype != torch.float32:
        images = (images * torch.iinfo(dtype).max).to(dtype)
    for factor, multiple in ((1, 1), (2, 4), (4, 8)):
        restored = in_tiles(
            lambda tile, _: tile.repeat_interleave(factor, 2).repeat_interleave(factor, 3),  # noqa: B023
            images,
            Tiling(40, 3, multiple, factor),
        )
        expected = images.float().repeat_interleave(factor, 2).repeat_interleave(factor, 3)
        assert restored.dtype == dtype and torch.allclose(restored.float(), expected, atol=1e-6)


def test_no_seam_is_seen_where_the_tiles_disagree() -> None:
    """Each tile gets its own brightness; the gradient across the borders stays that of the fading."""
    brightness = iter(torch.arange(100) % 2 * 0.4 + 0.3)
    restored = in_tiles(
        lambda tile, _: torch.full_like(tile, next(brightness)), torch.rand(1, 3, 50, 400), Tiling(0, 8)
    )
    assert restored.max() - restored.min() > 0.39
    assert max(restored.diff(dim=2).abs().max(), restored.diff(dim=3).abs().max()) < 0.4 / 16


def test_no_seam_shows_where_the_tiles_of_a_photo_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    """InstanceNorm takes its statistics from the tile. Without fading, the same photo has a seam."""
    photo = torch.linspace(0.1, 0.7, 500) + 0.2 * torch.rand(1, 3, 400, 500)
    norm = nn.InstanceNorm2d(3)
    ratios = []
    for feather in (tiles._FEATHER, 0):
        monkeypatch.setattr(tiles, "_FEATHER", feather)
        tiling = Tiling(160, overlap=8)
        restored = in_tiles(lambda tile, _: 0.5 + 0.1 * norm(tile), photo, tiling)
        at_borders, elsewhere = border_steps(restored - photo, tiling)
        ratios.append(at_borders / elsewhere)
    assert ratios[0] < 3 and ratios[1] > 10


def test_only_what_neighbours_share_is_kept_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    """The largest float32 tensor besides the tiles: the shared rows, however large the tiles are."""
    sizes = []
    empty, zeros = torch.empty, torch.zeros

    def counted(make: Any) -> Any:
        def made(*args: Any, **options: Any) -> Tensor:
            tensor = make(*args, **options)
            sizes.append(tensor.numel() if tensor.dtype == torch.float32 else 0)
            return tensor

        return made

    monkeypatch.setattr(torch, "empty", counted(empty))
    monkeypatch.setattr(torch, "zeros", counted(zeros))
    tiling = Tiling(300, overlap=4)
    images = torch.full((1, 3, 900, 1200), 100, dtype=torch.uint8)
    assert (in_tiles(lambda tile, _: tile, images, tiling) == 100).all()
    assert max(sizes) <= 3 * tiling.shared * 1200


def test_tiles_are_aligned_and_only_two_share_a_pixel() -> None:
    for multiple in (1, 8, 32):
        tiling = Tiling(100, 5, multiple)
        for length in range(1, 700, 23):
            spans = tiling.spans(length)
            assert spans[0][0] == 0 and spans[-1][1] == length
            assert all(start % multiple == 0 for start, _ in spans)
            assert all(end % multiple == 0 for _, end in spans[:-1])
            assert all(first[1] <= third[0] for first, third in zip(spans, spans[2:], strict=False))
            assert all(first[1] - second[0] >= 10 for first, second in itertools.pairwise(spans))


def test_the_progress_bar_is_for_many_tiles_only(capsys: pytest.CaptureFixture) -> None:
    for width, shown in ((100, False), (4000, True)):
        in_tiles(lambda tile, window: tile, torch.rand(1, 1, 30, width), Tiling(0, 8))
        assert ("tile" in capsys.readouterr().err) == shown


@pytest.mark.parametrize("name", TINY)
@pytest.mark.parametrize("size", [(8, 8), (1, 30), *ODD])
def test_any_size_is_restored_in_small_memory(name: str, size: tuple[int, int], monkeypatch) -> None:
    recipe = tiny(name)
    images, generator = torch.rand(1, 3, *size), recipe.generator()
    whole = Restorer(generator, Compute(device="cpu"), recipe)(images)
    monkeypatch.setattr(memory, "CPU_BYTES", 1)
    monkeypatch.setattr(restorer, "_SMALL", 0)
    monkeypatch.setattr(restorer, "OVERLAP", 4)
    restored = Restorer(generator, Compute(device="cpu"), recipe)(images)
    assert restored.shape == whole.shape
    assert (restored - whole).abs().max() < 1e-5, "the untrained network gives its initial estimate"


@pytest.mark.parametrize("name", ["srgan", "pix2pix"])
def test_progress_is_told_after_each_tile_and_can_stop(name: str, monkeypatch) -> None:
    monkeypatch.setattr(memory, "CPU_BYTES", 1)
    monkeypatch.setattr(restorer, "_SMALL", 0)
    recipe = tiny(name)
    restore = Restorer(recipe.generator(), Compute(device="cpu"), recipe)
    restore._over_scales = 64 if name == "pix2pix" else 0
    told: list[float] = []
    restore.restore(torch.rand(1, 3, 40, 700), told.append)
    assert told[0] == 0 and told[-1] == 1 and len(told) > 4 and told == sorted(set(told))

    def stop(part: float) -> None:
        if part > 0.3:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        restore.restore(torch.rand(1, 3, 40, 700), stop)


def test_out_of_memory_halves_the_tiles(monkeypatch) -> None:
    monkeypatch.setattr(restorer, "_SMALL", 0)
    monkeypatch.setattr(memory, "_MARGIN", 1e-9)  # the estimate is far too low
    recipe = tiny("srgan")
    generator, seen = recipe.generator(), []

    def refuse(_: nn.Module, inputs: tuple[Tensor]) -> None:
        seen.append(max(inputs[0].shape[-2:]))
        if seen[-1] > limit:
            raise torch.OutOfMemoryError("CUDA out of memory")

    limit = 200
    generator.register_forward_pre_hook(refuse)
    restore = Restorer(generator, Compute(device="cpu"), recipe)
    assert restore(torch.rand(1, 3, 20, 500)).shape == (1, 3, 40, 1000)
    assert seen.count(500) >= 2 and max(seen[-3:]) <= 200
    limit = 10
    with pytest.raises(UserError, match="not enough memory for a tile"):
        restore(torch.rand(1, 3, 20, 500))


def test_larger_networks_get_smaller_tiles() -> None:
    sides = []
    for width in (16, 64):
        generator = recipes.get("srgan", "smoke", width=width, blocks=1).generator()
        sides.append(memory.tile_side(memory.bytes_per_pixel(generator, torch.device("cpu")), torch.device("cpu")))
    assert sides[0] == pytest.approx(2 * sides[1], rel=0.05)
