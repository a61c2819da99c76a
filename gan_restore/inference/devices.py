"""The device that training, evaluation and restoration compute on."""

import inspect
from dataclasses import dataclass
from typing import Any, Literal

import lightning_fabric
import torch
from lightning_fabric.strategies import DDPStrategy
from torch.nn.parallel import DistributedDataParallel

from gan_restore.files import UserError
from gan_restore.inference.environment import commit, device_name, versions

Device = Literal["auto", "cpu", "cuda", "mps"]
Precision = Literal["32-true", "bf16-mixed", "16-mixed"]


@dataclass(frozen=True)
class Compute:
    """Device, precision and number of processes, passed on to Lightning Fabric."""

    device: Device = "auto"
    """auto uses a GPU if there is one."""
    devices: int = 1
    """Number of devices; each has a process of its own, which computes its share of every batch."""
    precision: Literal["auto"] | Precision = "auto"
    """auto uses bfloat16 on a GPU that supports it, and 32 bits elsewhere."""
    strategy: str = "auto"
    """Lightning Fabric's strategy for several devices; auto is DistributedDataParallel."""
    workers: int = 0
    """Number of processes that prepare batches for each device."""

    def fabric(self) -> lightning_fabric.Fabric:
        """Create and launch a Fabric. With several devices, this starts the other processes.

        Raises:
            UserError: if this machine has no such device, or a number is out of range.
        """
        if self.devices < 1 or self.workers < 0:
            raise UserError(
                f"devices must be at least 1 and workers at least 0, not {self.devices} and {self.workers}"
            )
        several = DDPStrategy(**_separate_buffers()) if self.devices > 1 else "auto"
        try:
            fabric = lightning_fabric.Fabric(
                accelerator=self.device,
                devices=self.devices,
                precision=self.chosen_precision(),
                strategy=several if self.strategy == "auto" else self.strategy,
            )
        except Exception as error:  # Fabric raises many types of errors for a missing device
            raise UserError(
                f"cannot compute on '{self.device}': {str(error).splitlines()[0]}; try --device auto"
            ) from None
        fabric.launch()
        return fabric

    def chosen_precision(self) -> Precision:
        """The precision that is used: what `auto` stands for on this machine."""
        if self.precision != "auto":
            return self.precision
        cuda = self.device in ("auto", "cuda") and torch.cuda.is_available()
        return "bf16-mixed" if cuda and torch.cuda.is_bf16_supported() else "32-true"

    def environment(self, device: torch.device) -> dict[str, Any]:
        """What a result computed on `device` depends on besides its recipe, as plain values for JSON.

        Returns:
            versions (of Python and packages), commit (of this library, or None), device (its name), devices (their
            number) and precision.
        """
        return {
            "versions": versions(),
            "commit": commit(),
            "device": device_name(device),
            "devices": self.devices,
            "precision": self.chosen_precision(),
        }


def _separate_buffers() -> dict[str, Any]:
    """The option of DistributedDataParallel that leaves BatchNorm's statistics to each process.

    By default they are overwritten at every forward pass, which fails in the second of the discriminator's two
    passes: the gradients of the first need the old values.
    """
    options = inspect.signature(DistributedDataParallel).parameters
    # forward_sync_buffers replaces the deprecated broadcast_buffers from PyTorch 2.13 on.
    return {"forward_sync_buffers" if "forward_sync_buffers" in options else "broadcast_buffers": False}
