"""A trained generator applied to batches of images of any size."""

import dataclasses
import functools
import itertools
import math
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from gan_restore.files import UserError
from gan_restore.inference.checkpoints import load_generator
from gan_restore.inference.compiling import check_compiler, compiled
from gan_restore.inference.devices import Compute
from gan_restore.inference.finishing import finish
from gan_restore.inference.heap import freed_memory_kept
from gan_restore.inference.memory import bytes_per_pixel, is_out_of_memory, tile_side
from gan_restore.inference.models import best_score
from gan_restore.inference.scales import ENLARGED, SMALLEST_SIDE, restore_enlarged, restore_over_scales
from gan_restore.inference.tiles import OVERLAP, Tiling, in_tiles
from gan_restore.recipes.base import Recipe

_SMALL = 256**2  # pixels that fit into the memory of every device


class Restorer:
    """A trained generator on a device, as a function degraded -> restored, for images of any size.

    Large images stay where they are; one tile at a time is moved to the device (`tiles.in_tiles`). The side of the
    tiles follows from the memory of the device and is halved when that is not enough.

    Args:
        generator: a network N x 3 x H x W -> N x 3 x factor H x factor W, both in [0, 1].
        compute: the device, the precision and whether to compile; by default a GPU if there is one.
        recipe: the recipe of the generator. It says by which factor images are enlarged, whether large and very
            small images are restored at other sizes (`Recipe.over_scales`), and whether gray photos stay gray
            (`Recipe.keep_tone`). Without it, the generator is applied to the image as it is.
        strength: between the degraded image, 0, and the restored one, 1. Enlargements mix with bicubic ones.
        preserve: pixels whose channels all changed by less than this, in [0, 1], keep their values exactly. Only
            for generators that keep the size: an enlargement has no pixel to keep.
        ensemble: restore the eight flips and quarter turns of each tile and average them. It takes eight times as
            long; super-resolution gains a little PSNR (Timofte et al. 2016, "enhanced prediction").

    Raises:
        UserError: if a value is out of range, `preserve` is asked of an enlargement, several devices are asked for,
            or the network cannot be compiled as asked.

    Example:
        >>> from gan_restore import recipes
        >>> recipe = recipes.get("srgan", "smoke")
        >>> restorer = Restorer(recipe.generator(), recipe=recipe)
        >>> restorer(torch.rand(1, 3, 20, 30)).shape
        torch.Size([1, 3, 80, 120])
    """

    def __init__(
        self,
        generator: nn.Module,
        compute: Compute | None = None,
        recipe: Recipe | None = None,
        *,
        strength: float = 1.0,
        preserve: float = 0.0,
        ensemble: bool = False,
    ) -> None:
        self._over_scales = recipe.over_scales if recipe else 0
        self._keep_tone = recipe.keep_tone if recipe else False
        self.factor: int = recipe.factor if recipe else getattr(generator, "factor", 1)
        """Side of the restored image over that of the degraded one."""
        if not (0 <= strength <= 1 and 0 <= preserve <= 1):
            raise UserError(f"strength and preserve must be between 0 and 1, not {strength:g} and {preserve:g}")
        if preserve and self.factor > 1:
            raise UserError("preserve keeps pixels as they are, and an enlargement has none of them; leave it out")
        self._strength, self._preserve, self._ensemble = strength, preserve, ensemble
        compute = compute or Compute()
        if compute.devices * compute.num_nodes > 1:  # each process would restore the same images
            raise UserError("devices and num_nodes are for training; a restorer has one device and one process")
        self._multiple: int = getattr(generator, "multiple", 1)
        if compute.compile == "cuda-graphs":
            raise UserError("cuda-graphs records images of one size, for training; restore with --compile on")
        if compute.compile == "on" and self._multiple > 1:  # the padding depends on the size
            raise UserError("--compile on would compile this network again for each size of image; leave it out")
        self._fabric = compute.fabric()
        check_compiler(compute.compile, self._fabric.device)
        self.usual_change: float | None = None
        """Root mean square of the damage in the model's test images, in [0, 1], if its card says so."""
        self.generator = generator
        """The network itself, on its device and in evaluation mode."""
        network = compiled(generator.eval().to(memory_format=torch.channels_last), compute.compile, dynamic=True)
        self._module = self._fabric.setup_module(network)

    @torch.no_grad()
    def __call__(self, degraded: Tensor) -> Tensor:
        """Restore a batch N x C x H x W of RGB or gray images: float32 in [0, 1], uint8 or uint16.

        Returns:
            N x C x factor H x factor W, of the same type, on the device that the batch is on.

        Raises:
            UserError: if the memory does not suffice for the smallest tile.
        """
        return self.finish(degraded, self.restore(degraded))

    def finish(self, degraded: Tensor, restored: Tensor, mask: Tensor | None = None) -> Tensor:
        """Keep the tone, mix and preserve, as the recipe and the options say; `restored` is changed in place.

        Args:
            degraded: the batch that was restored.
            restored: what `restore` made of it.
            mask: 1 x 1 x H x W, bool, the only pixels that may change; None for all.

        Raises:
            UserError: if a mask is given for an enlargement, or has another size.
        """
        if mask is not None:
            self.check_mask(degraded, mask)
        finish(
            degraded,
            restored,
            keep_tone=self._keep_tone,
            strength=self._strength,
            preserve=self._preserve,
            mask=mask,
        )
        return restored

    def check_mask(self, degraded: Tensor, mask: Tensor) -> None:
        """Look whether a mask 1 x 1 x H x W fits the photos and this restorer.

        Raises:
            UserError: if it has another size, or the restorer enlarges.
        """
        if self.factor > 1:
            raise UserError("a mask keeps pixels as they are, and an enlargement has none of them; leave it out")
        if mask.shape[-2:] != degraded.shape[-2:]:
            (height, width), (rows, columns) = mask.shape[-2:], degraded.shape[-2:]
            raise UserError(f"the mask has {width} x {height} pixels, and the photo {columns} x {rows}")

    @torch.no_grad()
    def restore(self, degraded: Tensor, progress: Callable[[float], None] = lambda part: None) -> Tensor:
        """What the network makes of a batch, tile by tile, before it is finished; as `__call__` else.

        Args:
            degraded: as `__call__` takes it.
            progress: called at the start and after each tile with the part of the work that is done, from 0 to 1.
        """
        tiling = self._tiling(degraded)
        while True:
            try:
                # After a small image, it would take longer to return the memory than to map it.
                with nullcontext() if _is_small(degraded) else freed_memory_kept():
                    return self._restore(degraded, tiling, progress)
            except RuntimeError as error:
                if not is_out_of_memory(error):
                    raise
                if tiling.side <= tiling.least:
                    sides = f"{tiling.side} x {tiling.side}"
                    raise UserError(f"not enough memory for a tile of {sides} pixels; free some") from None
            # After the block, which holds on to the tensors of the failed attempt.
            tiling = dataclasses.replace(tiling, side=max(tiling.least, tiling.side // 2))

    def _tiling(self, images: Tensor) -> Tiling:
        """Tiles that fit into memory."""
        count, _, height, width = images.shape
        overlap = min(getattr(self.generator, "radius", OVERLAP), OVERLAP)
        tiling = Tiling(max(height, width), overlap, self._multiple, self.factor)
        if _is_small(images):
            return tiling
        side = tile_side(count * self._bytes_per_pixel, self._fabric.device, self._multiple)
        return dataclasses.replace(tiling, side=max(side, tiling.least))

    @functools.cached_property
    def _bytes_per_pixel(self) -> float:
        with torch.compiler.set_stance("force_eager"):  # compiled code hides its tensors, which are not more
            return bytes_per_pixel(self._module, self._fabric.device, self._multiple)

    def _restore(self, images: Tensor, tiling: Tiling, progress: Callable[[float], None]) -> Tensor:
        enlarged = self._over_scales > 0 and max(images.shape[-2:]) < SMALLEST_SIDE
        height, width = images.shape[-2:]
        total, done = ENLARGED**2 * height * width if enlarged else self._pixels(height, width, tiling), 0

        def apply(tile: Tensor) -> Tensor:
            nonlocal done
            restored = self._apply(tile)
            done += tile.shape[-2] * tile.shape[-1]
            progress(done / total)
            return restored

        progress(0.0)
        if enlarged:
            return restore_enlarged(apply, images)
        if self._over_scales:
            return restore_over_scales(apply, images, self._over_scales, tiling)
        return in_tiles(lambda tile, _: apply(tile), images, tiling)

    def _pixels(self, height: int, width: int, tiling: Tiling) -> int:
        """Pixels of all tiles of an image, over all scales."""
        pixels = math.prod(sum(end - start for start, end in tiling.spans(side)) for side in (height, width))
        if not self._over_scales or max(height, width) <= self._over_scales:
            return pixels
        return pixels + self._pixels(max(1, round(height / 2)), max(1, round(width / 2)), tiling)

    def _apply(self, tile: Tensor) -> Tensor:
        """The network on a tile N x C x h x w; C is 1 or 3."""
        images = tile.to(self._fabric.device).expand(-1, 3, -1, -1)
        restored = self._turned(images) if self._ensemble else self._module(images).float()
        return restored.mean(1, keepdim=True) if tile.shape[1] == 1 else restored

    def _turned(self, images: Tensor) -> Tensor:
        """The mean over the eight flips and quarter turns."""
        total = torch.zeros(())
        for flips, turns in itertools.product(([], [3]), range(4)):
            restored = self._module(images.flip(flips).rot90(turns, (2, 3))).float()
            total = total.to(restored) + restored.rot90(-turns, (2, 3)).flip(flips)
        return total / 8


def _is_small(images: Tensor) -> bool:
    """Whether a batch has at most `_SMALL` pixels."""
    return images.numel() // images.shape[1] <= _SMALL


def load_restorer(checkpoint: str | Path, compute: Compute | None = None, **options: Any) -> Restorer:
    """Load a checkpoint, `best.safetensors` of a run folder, or a model that is part of the package.

    Args:
        checkpoint: the file, the run folder, or the model's name, as `load_generator` takes them.
        compute: the device and precision.
        options: `strength`, `preserve` and `ensemble` of `Restorer`.

    Raises:
        UserError: if there is no such checkpoint, model or device, or an option is out of range.
    """
    generator, recipe, facts = load_generator(checkpoint)
    restorer = Restorer(generator, compute, recipe, **options)
    if "card" in facts and recipe.factor == 1:
        restorer.usual_change = max(best_score(table, "input")["mse"] for table in facts["card"]["measured"]) ** 0.5
    return restorer
