"""Batches of random crops of decoded images; a batch depends on its number and the seed only."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from gan_restore.data.datasets import Images
from gan_restore.files import UserError
from gan_restore.images import enlarge_to, to_bytes, to_tensor

Augment = Literal["none", "flip", "dihedral"]


class Batches(Dataset):
    """Batches of random crops. Batch `step` is a pure function of (seed, step), so a run resumes exactly.

    Item `step` is a uint8 tensor N x C x H x W, with C = 1 if all sources are gray and C = 3 otherwise. If the
    images have degraded ones, it is N x 2C x H x W: the clean channels, then the degraded channels, cropped and
    turned in the same way.

    An epoch draws `crops_per_image` crops from every image, in a new order; the images that do not fill a last
    batch are left out. Images smaller than `size` are enlarged here, unless all of them are squares of one size:
    those are returned whole, to be enlarged on the device (`images.enlarge_to`).

    Args:
        images: The images to crop.
        size: Side of the square crops in pixels.
        batch_size: Number of images in a batch, over all processes.
        seed: Seed of order, crops and augmentation.
        augment: "flip" mirrors half the crops; "dihedral" also turns them by multiples of 90 degrees.
        crops_per_image: Number of crops of each image in an epoch.
        rank: Number of this process.
        world: Number of processes; this one takes every `world`-th image of a batch, from `rank` on.

    Raises:
        UserError: If `batch_size` is no multiple of `world`.

    Example:
        >>> photos = Images([np.zeros((20, 30, 3), np.uint8)] * 8, list("abcdefgh"), "black")
        >>> batches = Batches(photos, size=16, batch_size=4)
        >>> len(batches), batches[0].shape
        (2, torch.Size([4, 3, 16, 16]))
    """

    def __init__(
        self,
        images: Images,
        size: int,
        batch_size: int,
        seed: int = 0,
        augment: Augment = "none",
        crops_per_image: int = 1,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        if batch_size % world:
            raise UserError(f"a batch of {batch_size} cannot be shared by {world} devices evenly")
        self.images, self.batch_size, self.seed = images, batch_size, seed
        self.augment, self.crops_per_image, self.rank, self.world = augment, crops_per_image, rank, world
        self._sides = [images.arrays] if images.degraded is None else [images.arrays, images.degraded]
        shapes = {array.shape for side in self._sides for array in side}
        self._channels = 3 if any(len(shape) == 3 for shape in shapes) else 1
        sizes = {shape[:2] for shape in shapes}
        height, width = next(iter(sizes))
        self._crop_size = height if len(sizes) == 1 and height == width < size else size
        self.steps_per_epoch = max(1, len(images) * crops_per_image // batch_size)
        self._order: tuple[int, np.ndarray] = (-1, np.empty(0))

    def __len__(self) -> int:
        """Number of batches in one epoch. Later items are valid, too: they belong to later epochs."""
        return self.steps_per_epoch

    def __getitem__(self, step: int) -> Tensor:
        """Batch `step`, counted over all epochs: uint8 N x C x H x W (or N x 2C x H x W, see the class)."""
        epoch, position = divmod(step, self.steps_per_epoch)
        if self._order[0] != epoch:
            indices = np.tile(np.arange(len(self.images)), self.crops_per_image)
            order = np.random.default_rng((self.seed, 0, epoch)).permutation(indices)
            self._order = (epoch, np.resize(order, max(len(order), self.batch_size)))
        start = position * self.batch_size + self.rank
        mine = self._order[1][start : (position + 1) * self.batch_size : self.world].tolist()
        draws = np.random.default_rng((self.seed, 1, step, self.rank)).random((len(mine), 5)).tolist()
        size, channels = self._crop_size, self._channels
        batch = np.empty((len(mine), len(self._sides), size, size, channels), np.uint8)
        # Copying the slices one by one into the batch is many times faster than advanced indexing.
        for targets, index, draw in zip(batch, mine, draws, strict=True):
            for target, arrays in zip(targets, self._sides, strict=True):
                self._crop_into(target, arrays[index], draw)
        planes = torch.from_numpy(batch).permute(0, 1, 4, 2, 3)
        return planes.reshape(len(mine), len(self._sides) * channels, size, size)

    def _crop_into(self, target: np.ndarray, array: np.ndarray, draws: list[float]) -> None:
        """Copy a crop of `array` into `target`. Five draws from [0, 1) decide its place and how it is turned."""
        top, left, mirror, flip, turn = draws
        size = len(target)
        array = array if array.ndim == 3 else array[..., None]
        if min(array.shape[:2]) < size:
            array = to_bytes(enlarge_to(to_tensor(array), size))[0].permute(1, 2, 0).numpy()
        y, x = (int(draw * (side - size + 1)) for draw, side in zip((top, left), array.shape, strict=False))
        crop = array[y : y + size, x : x + size]
        # Two flips and a transposition give all eight orientations of a square, each by the fastest way found: rows
        # are flipped while they are copied, columns by torch, and the transposition moves whole pixels.
        if self.augment == "dihedral" and flip < 0.5:
            crop = crop[::-1]
        target[...] = crop
        if self.augment != "none" and mirror < 0.5:
            target[...] = torch.from_numpy(target).flip(1).numpy()
        if self.augment == "dihedral" and turn < 0.5:
            pixels = target.view(f"V{target.shape[-1]}")[..., 0]
            pixels[...] = pixels.T.copy()

    def loader(self, start: int, stop: int, workers: int = 0) -> Iterator[Tensor]:
        """Iterate over batches `start` to `stop` - 1 in order, through a torch `DataLoader` with `workers`."""
        loader = DataLoader(
            self,
            None,
            sampler=range(start, stop),
            num_workers=workers,
            pin_memory=torch.cuda.is_available(),
            worker_init_fn=_obey_only_the_parent,
        )
        return iter(loader)


def _obey_only_the_parent(_worker: int) -> None:
    """Let a worker outlive a signal that is sent to all processes of a run: SIGTERM by Slurm, Ctrl-C by a terminal.

    If it ended, the training process would fail before it has saved its state. SIGTERM from the training process
    itself still ends the worker; without that, Python would wait for it at exit.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is None or not hasattr(signal, "sigwaitinfo"):  # macOS lacks it
        return
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})

    def end() -> None:
        while signal.sigwaitinfo({signal.SIGTERM}).si_pid != parent.pid:
            pass
        os._exit(0)

    threading.Thread(target=end, daemon=True).start()
