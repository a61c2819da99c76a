import gc
import resource
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from support import glibc, pages_mapped_by_a_tensor

from gan_restore.inference import Restorer
from gan_restore.inference.devices import Compute
from gan_restore.inference.heap import freed_memory_kept, one_heap

MEGABYTE = 1 << 20
IN_A_THREAD = """
import threading
from support import pages_mapped_by_a_tensor
from gan_restore.inference.heap import freed_memory_kept, one_heap

def work():
    with freed_memory_kept():
        print(min(pages_mapped_by_a_tensor() for _ in range(5)))

one_heap()
threading.Thread(target=work).start()
"""


def resident() -> float:
    """Megabytes of memory that the process has, without what earlier tests have freed or no longer refer to."""
    gc.collect()
    with freed_memory_kept():
        pass
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / MEGABYTE


@glibc
def test_memory_is_mapped_once_inside_the_block_and_returned_after_it() -> None:
    before = resident()
    with freed_memory_kept():
        with freed_memory_kept():
            pages_mapped_by_a_tensor()
        mapped = [pages_mapped_by_a_tensor() for _ in range(5)]
        assert min(mapped) < 100, mapped  # not all: the heap may have no free piece that is large enough
        assert resident() > before + 100  # inside the outer block, nothing is returned
    assert resident() < before + 50


@glibc
def test_a_thread_keeps_memory_in_the_heap_of_the_process() -> None:
    program = [sys.executable, "-c", IN_A_THREAD]
    done = subprocess.run(program, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[1])
    assert int(done.stdout) < 100


@glibc
def test_a_restorer_keeps_the_memory_of_a_tile_for_the_next_and_returns_it() -> None:
    mapped = []

    class Network(torch.nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            mapped.extend(pages_mapped_by_a_tensor() for _ in range(5))
            return images

    before = resident()
    Restorer(Network(), Compute("cpu")).restore(torch.rand(1, 3, 600, 600))
    assert min(mapped) < 100, mapped
    assert resident() < before + 50


def test_another_c_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ctypes.CDLL", lambda _name: object())
    one_heap()
    with freed_memory_kept():
        pass
