"""Validation: the scores of a generator on images that it is not trained on."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import lightning_fabric
import torch
import torch.distributed as dist
from torch import nn

from gan_restore.data.datasets import Images
from gan_restore.evaluation.pairs import Pairs, measure
from gan_restore.recipes.base import Recipe

CROP = 256


class Validation:
    """Scores generators on a fixed sample of the validation images, always with the same damage.

    Large images are cropped to their central 256 x 256 pixels.

    Args:
        images: the validation split.
        recipe: chooses the damage, the metric's channel and border, and the size of the sample (`val_images`).
    """

    def __init__(self, images: Images, recipe: Recipe) -> None:
        self.recipe = recipe
        sampled = images.sample(recipe.val_images, recipe.seed)
        self.pairs = Pairs(sampled, recipe, crop=CROP)
        self.images: dict[str, Any] = {"split": "val", "n_images": len(sampled), "seed": recipe.seed}
        """What is validated on: the split, the size of the sample and its seed; for a checkpoint's metadata."""

    def scores(self, generator: nn.Module, fabric: lightning_fabric.Fabric | None = None) -> dict[str, float]:
        """Mean PSNR in dB (val_psnr) and SSIM (val_ssim) over the images, the generator in evaluation mode.

        Args:
            generator: has the same weights in all processes. The statistics of BatchNorm may differ; those of the
                first process replace the others, because they are the ones that are saved.
            fabric: of a run of several processes, all of which call this. Each restores every n-th image.

        Raises:
            UserError: if an image is too small to be measured.
        """
        device = next(generator.parameters()).device
        rank, processes = (fabric.global_rank, fabric.world_size) if fabric else (0, 1)
        if processes > 1:
            for buffer in generator.buffers():
                dist.broadcast(buffer, 0)
        share = range(rank, len(self.pairs), processes)
        sums: Any = torch.full((2,), math.nan, dtype=torch.float64)
        try:
            with evaluation_mode(generator):
                scores = measure(lambda degraded: generator(degraded.to(device)), self.pairs, self.recipe, share)
            sums = torch.tensor([math.fsum(scores[name]) for name in ("psnr", "ssim")], dtype=torch.float64)
        finally:  # also after an error: the others wait for this process, and stop when the sums are not finite
            if fabric and processes > 1:
                sums = fabric.all_reduce(sums.to(device), reduce_op="sum")
        return dict(zip(("val_psnr", "val_ssim"), (sums / len(self.pairs)).tolist(), strict=True))


@contextmanager
def evaluation_mode(*networks: nn.Module | None) -> Iterator[None]:
    """Inside the block the networks are in evaluation mode and no gradients are computed; None is ignored.

    Nothing is compiled (`torch.compile`): the images have other sizes than those of training.
    """
    modes = {network: network.training for network in networks if network is not None}
    for network in modes:
        network.eval()
    try:
        with torch.no_grad(), torch.compiler.set_stance("force_eager"):
            yield
    finally:
        for network, mode in modes.items():
            network.train(mode)
