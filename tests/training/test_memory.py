import resource
from pathlib import Path

import pytest
import torch
from support import glibc, pages_mapped_by_a_tensor, tiny

from gan_restore import training
from gan_restore.training.memory import freed_memory_kept

MEGABYTE = 1 << 20


def resident() -> float:
    """Megabytes of memory that the process has."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / MEGABYTE


@glibc
def test_memory_is_mapped_once_inside_the_block_and_returned_after_it() -> None:
    before = resident()
    with freed_memory_kept():
        mapped = [pages_mapped_by_a_tensor() for _ in range(5)]
        assert mapped[-1] < 100, mapped  # the first ones may find no free piece that is large enough
        assert resident() > before + 100
    assert resident() < before + 50


@glibc
def test_training_keeps_freed_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen, step = [], training.Trainer.training_step

    def watched(trainer: training.Trainer, batch: torch.Tensor) -> dict:
        seen.append(pages_mapped_by_a_tensor())
        return step(trainer, batch)

    monkeypatch.setattr(training.Trainer, "training_step", watched)
    training.train(tiny(), tmp_path / "run")
    assert seen[-1] < 100, seen


def test_another_c_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ctypes.CDLL", lambda _name: object())
    with freed_memory_kept():
        pass
