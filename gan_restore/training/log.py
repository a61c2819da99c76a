"""The losses of a run: their means become the rows of metrics.csv."""

from pathlib import Path
from typing import Any

import lightning_fabric
import torch
from torch import Tensor

from gan_restore.files import UserError, write_csv
from gan_restore.inference.checkpoints import BEST, METRICS, load_facts


class Log:
    """Sums the losses of each step on the device, and writes their means.

    Args:
        folder: the run folder.
        fabric: a launched Fabric; the means are those of all its processes.

    Attributes:
        rows: the rows of metrics.csv.
    """

    def __init__(self, folder: Path, fabric: lightning_fabric.Fabric) -> None:
        self.folder, self.fabric = folder, fabric
        self.rows: list[dict[str, float]] = []
        self._start()

    def _start(self, names: tuple[str, ...] = ()) -> None:
        self._names, self._steps = names, 0
        self._sums = torch.zeros(len(names), device=self.fabric.device)
        self._finite = torch.zeros(len(names), dtype=torch.int64, device=self.fabric.device)
        """Number of steps until a sum was not finite."""

    def add(self, losses: dict[str, Tensor]) -> None:
        """Add the losses of a step, scalars. Nothing waits for the device."""
        if not self._steps:
            self._start(tuple(losses))
        self._sums = self._sums + torch.stack(list(losses.values()))
        self._finite += torch.isfinite(self._sums)  # once a sum is not finite, it stays so
        self._steps += 1

    def check_finite(self, step: int) -> None:
        """Stop a run whose losses are no numbers any more; `step` is the number of the step that was added last.

        Raises:
            UserError: in every process, if a loss since the last row was infinite or not a number in any of them.
        """
        if not self._steps:
            return
        minimum: Any = torch.distributed.ReduceOp.MIN
        least: Any = self.fabric.all_reduce(self._finite, reduce_op=minimum)
        finite = least.tolist()
        first = min(finite)
        if first < self._steps:
            names = ", ".join(name for name, steps in zip(self._names, finite, strict=True) if steps == first)
            raise diverged(self.folder, f"{names} not finite in step {step - self._steps + first + 1}")

    def write_row(self, counters: dict[str, float], scores: dict[str, float]) -> dict[str, float]:
        """Add a row to metrics.csv: counters, the mean losses since the last row, scores; returns these means."""
        means = self._sums_of_all() / self._steps
        losses = dict(zip(self._names, means.tolist(), strict=True))
        self.rows.append(counters | losses | scores)
        if self.fabric.is_global_zero:
            write_csv(self.folder / METRICS, self.rows)
        self._start()
        return losses

    def _sums_of_all(self) -> Tensor:
        """The sums, as means over the processes."""
        reduced: Any = self.fabric.all_reduce(self._sums, reduce_op="mean")
        return reduced

    def state_dict(self) -> dict[str, Any]:
        """The rows, and of each loss since the last row the sum and the number of steps."""
        sums = torch.stack([self._sums_of_all(), torch.full_like(self._sums, self._steps)], 1)
        return {"rows": self.rows, "sums": dict(zip(self._names, sums, strict=True))}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` returned; other entries are ignored."""
        self.rows, sums = state["rows"], state["sums"]
        self._start(tuple(sums))
        for i, (total, steps) in enumerate(sums.values()):
            self._sums[i], self._steps = total, int(steps)
        self._finite += self._steps


def diverged(folder: Path, problem: str) -> UserError:
    """The error of a run that diverged, with the last good checkpoint in its folder."""
    best = folder / BEST
    kept = "none yet"
    if best.exists():
        kept = f"{best} of step {load_facts(best)['step']}; in another --out, --start-from begins with its weights"
    return UserError(
        f"training diverged: {problem}; lower learning_rate or adversarial_weight, or set gradient_clip "
        f"(last good checkpoint: {kept})"
    )
