from pathlib import Path

import pytest
import torch
from support import glibc, pages_mapped_by_a_tensor, tiny

from gan_restore import training


@glibc
def test_training_keeps_freed_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen, step = [], training.Trainer.training_step

    def watched(trainer: training.Trainer, batch: torch.Tensor) -> dict:
        seen.append(pages_mapped_by_a_tensor())
        return step(trainer, batch)

    monkeypatch.setattr(training.Trainer, "training_step", watched)
    training.train(tiny(), tmp_path / "run")
    assert min(seen) < 100, seen
