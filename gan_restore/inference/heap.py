"""Memory that the process keeps for the next training step or tile, instead of mapping it anew."""

import ctypes
import threading
from collections.abc import Iterator
from contextlib import contextmanager

# Parameters of mallopt, from glibc's malloc.h.
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _MMAP_MAX, _ARENA_MAX = -1, -3, -4, -8

_lock = threading.Lock()
_blocks = 0  # of `freed_memory_kept` that are open, in all threads


@contextmanager
def freed_memory_kept() -> Iterator[None]:
    """Inside the block, glibc keeps the memory that the process frees; after the outermost block it is returned.

    By default, glibc maps every large tensor anew and returns it to the system when it is freed. The system then
    has to clear the same memory for every batch and every tile, which took from a fifth to almost half of
    the processor time. Where the C library is not glibc, the block changes nothing.
    """
    global _blocks
    if (libc := _glibc()) is None:
        yield
        return
    with _lock:
        _blocks += 1
        libc.mallopt(_MMAP_MAX, 0)  # large tensors come from the heap, too
        libc.mallopt(_TRIM_THRESHOLD, -1)  # and the heap is never made smaller
    try:
        yield
    finally:
        with _lock:
            _blocks -= 1
            if not _blocks:
                libc.mallopt(_MMAP_MAX, 1 << 16)  # glibc's default
                libc.mallopt(_MMAP_THRESHOLD, 32 << 20)  # what glibc itself arrives at after large tensors
                libc.mallopt(_TRIM_THRESHOLD, 64 << 20)
                libc.malloc_trim(0)


def one_heap() -> None:
    """Let the threads that start from now on share the heap of the process.

    Otherwise glibc gives each of them heaps of 64 MiB and maps what does not fit into one, which
    `freed_memory_kept` cannot change.
    """
    if libc := _glibc():
        libc.mallopt(_ARENA_MAX, 1)


def _glibc() -> ctypes.CDLL | None:
    """The C library, if it is glibc."""
    libc = ctypes.CDLL(None)
    return libc if hasattr(libc, "mallopt") and hasattr(libc, "malloc_trim") else None
