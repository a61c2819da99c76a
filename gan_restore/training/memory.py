"""Memory: on the CPU it is kept for the next step, and an error says what to change if there is too little."""

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from gan_restore.files import UserError
from gan_restore.inference.memory import is_out_of_memory
from gan_restore.recipes.base import Recipe

# Parameters of mallopt, from glibc's malloc.h.
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _MMAP_MAX = -1, -3, -4


@contextmanager
def freed_memory_kept() -> Iterator[None]:
    """Inside the block, glibc keeps the memory that the process frees; after the block it is returned.

    By default, glibc maps every large tensor anew and returns it to the system when it is freed. The system then
    has to clear the same memory in every step. Where the C library is not glibc, the block changes nothing.
    """
    libc = ctypes.CDLL(None)
    if not hasattr(libc, "mallopt") or not hasattr(libc, "malloc_trim"):
        yield
        return
    libc.mallopt(_MMAP_MAX, 0)  # large tensors come from the heap, too
    libc.mallopt(_TRIM_THRESHOLD, -1)  # and the heap is never made smaller
    try:
        yield
    finally:
        libc.mallopt(_MMAP_MAX, 1 << 16)  # glibc's default
        libc.mallopt(_MMAP_THRESHOLD, 32 << 20)  # the values that glibc itself arrives at after large tensors
        libc.mallopt(_TRIM_THRESHOLD, 64 << 20)
        libc.malloc_trim(0)


@contextmanager
def memory_errors_explained(recipe: Recipe, device: torch.device) -> Iterator[None]:
    """Turn the error of a device without free memory into one that names the fields to change.

    Raises:
        UserError: instead of that error.
    """
    try:
        yield
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        size = recipe.image_size
        raise UserError(
            f"out of memory on {device} with batch_size {recipe.batch_size}, accumulate {recipe.accumulate} and "
            f"crops of {size} x {size}; raise accumulate, or lower batch_size, image_size or width"
        ) from None
