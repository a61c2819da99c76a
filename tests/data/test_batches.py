from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from gan_restore.data.batches import Batches
from gan_restore.data.datasets import Images, load
from gan_restore.files import UserError


def numbered(count: int, shape: tuple[int, ...] = (40, 50)) -> Images:
    return Images([np.full(shape, i, np.uint8) for i in range(count)], [str(i) for i in range(count)], "numbers")


def test_an_epoch_shows_every_image_and_a_batch_depends_on_its_number_only() -> None:
    batches = Batches(numbered(12), 8, 4, seed=1, crops_per_image=2)
    assert len(batches) == 6
    seen = np.concatenate([batches[step][:, 0, 0, 0].numpy() for step in range(6)])
    assert (np.bincount(seen) == 2).all()
    fresh = Batches(numbered(12), 8, 4, seed=1, crops_per_image=2)
    assert torch.equal(fresh[9], batches[9]) and not torch.equal(batches[0], batches[6])
    assert all(torch.equal(a, batches[i]) for i, a in zip(range(2, 5), batches.loader(2, 5), strict=True))


def test_processes_share_a_batch() -> None:
    whole = Batches(numbered(12), 8, 4)[1][:, 0, 0, 0].tolist()
    shares = [Batches(numbered(12), 8, 4, rank=rank, world=2)[1][:, 0, 0, 0].tolist() for rank in (0, 1)]
    assert sorted(shares[0] + shares[1]) == sorted(whole)
    with pytest.raises(UserError, match="cannot be shared by 3 devices"):
        Batches(numbered(12), 8, 4, world=3)


def test_small_images_are_enlarged() -> None:
    assert Batches(numbered(4, (20, 20)), 32, 4)[0].shape == (4, 1, 20, 20), "all alike: on the device"
    mixed = Images([np.zeros((20, 30, 3), np.uint8), np.zeros((64, 64, 3), np.uint8)], ["a", "b"], "mixed")
    assert Batches(mixed, 32, 2)[0].shape == (2, 3, 32, 32)


def test_augmentation_turns_and_mirrors() -> None:
    picture = np.arange(16, dtype=np.uint8).reshape(4, 4)
    batches = Batches(Images([picture], ["a"], "one"), 4, 1, augment="dihedral")
    seen = {bytes(batches[step].numpy().tobytes()) for step in range(100)}
    assert len(seen) == 8
    with_flips = Batches(Images([picture], ["a"], "one"), 4, 1, augment="flip")
    assert len({bytes(with_flips[step].numpy().tobytes()) for step in range(50)}) == 2


def test_small_images_that_are_not_square_give_square_crops() -> None:
    batches = Batches(numbered(4, (48, 60, 3)), 64, 4, augment="dihedral")
    assert all(batches[step].shape == (4, 3, 64, 64) for step in range(8))


def coordinates(count: int = 6, height: int = 40, width: int = 50) -> list[np.ndarray]:
    """Images that say where each of their pixels lies: row, column, number of the image."""
    rows, columns = np.mgrid[:height, :width].astype(np.uint8)
    return [np.stack([rows, columns, np.full_like(rows, i)], -1) for i in range(count)]


@pytest.mark.parametrize("augment", ["none", "flip", "dihedral"])
@pytest.mark.parametrize("size", [16, 45], ids=["crops", "enlarged"])
def test_the_two_images_of_a_pair_are_cropped_and_turned_together(augment: str, size: int) -> None:
    clean = coordinates()
    pairs = Images(clean, list("abcdef"), "six", degraded=[image[..., ::-1].copy() for image in clean])
    batch = Batches(pairs, size, 6, seed=3, augment=augment)[4]
    assert batch.shape == (6, 6, size, size) and batch.dtype == torch.uint8
    assert torch.equal(batch[:, :3], batch[:, 3:].flip(1))
    assert torch.equal(batch[:, :3], Batches(replace(pairs, degraded=None), size, 6, seed=3, augment=augment)[4])


def test_small_gray_pairs_come_back_whole() -> None:
    faces = [np.full((20, 20), i, np.uint8) for i in range(4)]
    batch = Batches(Images(faces, list("abcd"), "faces", degraded=[face + 100 for face in faces]), 32, 4)[0]
    assert batch.shape == (4, 2, 20, 20) and torch.equal(batch[:, 0] + 100, batch[:, 1])


def test_a_crop_is_a_square_of_one_image_laid_in_one_of_eight_ways() -> None:
    batches = Batches(Images(coordinates(), list("abcdef"), "six"), 16, 6, augment="dihedral")
    square = torch.stack(torch.meshgrid(torch.arange(16), torch.arange(16), indexing="ij"))
    laid = [torch.rot90(way, turn, (1, 2)) for way in (square, square.flip(2)) for turn in range(4)]
    corners, ways = set(), set()
    for step in range(60):
        for crop in batches[step].long():
            assert len(crop[2].unique()) == 1, "of one image"
            corner = crop[:2].amin((1, 2))
            found = [way for way in range(8) if torch.equal(laid[way] + corner[:, None, None], crop[:2])]
            assert len(found) == 1
            ways.update(found)
            corners.add(tuple(corner.tolist()))
    assert len(ways) == 8
    assert {0, 40 - 16} <= {top for top, _ in corners} and {0, 50 - 16} <= {left for _, left in corners}


def test_a_batch_is_the_same_with_workers_and_from_a_store(folder: Path) -> None:
    batches = Batches(load(folder, "all"), 32, 8, seed=1, augment="dihedral")
    alone, together = (list(batches.loader(1, 5, workers)) for workers in (0, 2))
    assert len(alone) == 4 and all(torch.equal(a, b) for a, b in zip(alone, together, strict=True))
