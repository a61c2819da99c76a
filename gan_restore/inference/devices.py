"""The device that training, evaluation and restoration compute on."""

from dataclasses import dataclass
from typing import Literal

import lightning_fabric
import torch
from lightning_fabric.strategies import DDPStrategy

from gan_restore.files import UserError

Device = Literal["auto", "cpu", "cuda", "mps"]


@dataclass(frozen=True)
class Compute:
    """What to compute on; Lightning Fabric does the rest."""

    device: Device = "auto"
    """auto takes a GPU where there is one."""
    devices: int = 1
    """How many of them; each takes its share of every batch."""
    precision: Literal["auto", "32-true", "bf16-mixed", "16-mixed"] = "auto"
    """auto takes bfloat16 on a GPU that has it, and 32 bits elsewhere."""
    strategy: str = "auto"
    """Lightning Fabric's strategy for several devices."""
    workers: int = 0
    """Processes that prepare batches."""

    def fabric(self) -> lightning_fabric.Fabric:
        """A launched Fabric.

        Raises:
            UserError: if this machine has no such device.
        """
        if self.devices < 1 or self.workers < 0:
            raise UserError(
                f"devices must be at least 1 and workers at least 0, not {self.devices} and {self.workers}"
            )
        precision = self.precision
        if precision == "auto":
            cuda = self.device in ("auto", "cuda") and torch.cuda.is_available()
            precision = "bf16-mixed" if cuda and torch.cuda.is_bf16_supported() else "32-true"
        # BatchNorm's statistics must not be exchanged between the discriminator's two forward passes.
        several = DDPStrategy(broadcast_buffers=False) if self.devices > 1 else "auto"
        strategy = several if self.strategy == "auto" else self.strategy
        try:
            fabric = lightning_fabric.Fabric(
                accelerator=self.device, devices=self.devices, precision=precision, strategy=strategy
            )
        except Exception as error:  # Fabric raises many kinds for a device that is not there
            raise UserError(
                f"cannot compute on '{self.device}': {str(error).splitlines()[0]}; try --device auto"
            ) from None
        fabric.launch()
        return fabric
