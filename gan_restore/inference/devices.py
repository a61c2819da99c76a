"""The device that training, evaluation and restoration compute on."""

import dataclasses
import inspect
import logging
import warnings
from dataclasses import dataclass
from typing import Any, Literal

import lightning_fabric
import torch
from lightning_fabric.strategies import STRATEGY_REGISTRY, DDPStrategy
from torch.nn.parallel import DistributedDataParallel

from gan_restore.files import UserError, did_you_mean
from gan_restore.inference.compiling import Compile
from gan_restore.inference.environment import commit, device_name, versions
from gan_restore.inference.processes import check_slurm, start_errors_explained

Device = Literal["auto", "cpu", "cuda", "mps"]
Precision = Literal["32-true", "bf16-mixed", "16-mixed"]

# Fabric prints a line on the precision each time it is created, so for every run and every restorer.
logging.getLogger("lightning_fabric.utilities.rank_zero").setLevel(logging.WARNING)
# It recommends srun wherever that is installed, also for one process; `check_slurm` says when it is needed.
warnings.filterwarnings("ignore", "The `srun` command is available")


@dataclass(frozen=True)
class Compute:
    """Device, precision and number of processes and machines, passed on to Lightning Fabric."""

    device: Device = "auto"
    """auto uses a GPU if there is one."""
    devices: int = 1
    """Number of devices of each machine; each has a process of its own, which computes its share of every batch."""
    num_nodes: int = 1
    """Number of machines; docs/training.md has the commands to start a run on several."""
    precision: Literal["auto"] | Precision = "auto"
    """auto trains in bfloat16 where the device has it in hardware (recent GPUs, CPUs with AVX512-BF16 or AMX), and
    in 32 bits elsewhere. To restore and to measure, auto uses bfloat16 on such GPUs only."""
    strategy: str = "auto"
    """Lightning Fabric's strategy for several devices; auto is DistributedDataParallel."""
    compile: Compile = "off"
    """on compiles the networks with torch.compile, which takes a minute or more at the start; cuda-graphs, for
    training on a GPU, also records their kernels. docs/training.md and docs/restoring.md say when it pays."""
    workers: int = 0
    """Number of processes that prepare batches for each device."""

    def fabric(self) -> lightning_fabric.Fabric:
        """Create and launch a Fabric. With several devices, this starts the other processes.

        Raises:
            UserError: if this machine has no such device, there is no such strategy, a number is out of range, or
                the other processes were not started or cannot be reached.
        """
        if self.devices < 1 or self.num_nodes < 1 or self.workers < 0:
            raise UserError(
                "devices and num_nodes must be at least 1 and workers at least 0, "
                f"not {self.devices}, {self.num_nodes} and {self.workers}"
            )
        missing = {"cuda": not torch.cuda.is_available(), "mps": not torch.backends.mps.is_available()}
        if missing.get(self.device):
            raise UserError(f"no GPU was found for the device {self.device}; try --device cpu")
        strategies = ("auto", *STRATEGY_REGISTRY.available_strategies())
        if self.strategy not in strategies:
            near = did_you_mean(self.strategy, strategies)
            raise UserError(f"no strategy '{self.strategy}'{near}; choose one of {', '.join(strategies)}")
        check_slurm(self.devices, self.num_nodes)
        several = DDPStrategy(**_separate_buffers()) if self.devices * self.num_nodes > 1 else "auto"
        try:
            fabric = lightning_fabric.Fabric(
                accelerator=self.device,
                devices=self.devices,
                num_nodes=self.num_nodes,
                precision=self.chosen_precision(),
                strategy=several if self.strategy == "auto" else self.strategy,
            )
        except Exception as error:  # Fabric raises many types of errors for missing devices and packages
            option = "device" if self.strategy == "auto" else "strategy"
            problem = f"cannot compute with {option} '{getattr(self, option)}': {str(error).splitlines()[0]}"
            raise UserError(f"{problem}; try --{option} auto") from None
        with start_errors_explained():
            fabric.launch()
        return fabric

    def chosen_precision(self) -> Precision:
        """The precision that is used: what `auto` stands for on this machine, apart from training."""
        if self.precision != "auto":
            return self.precision
        # PyTorch also emulates bfloat16 on older GPUs, where it is slower than 32 bits.
        cuda = self.device in ("auto", "cuda") and torch.cuda.is_available()
        return "bf16-mixed" if cuda and torch.cuda.is_bf16_supported(including_emulation=False) else "32-true"

    def for_training(self) -> "Compute":
        """The same with the precision that `auto` stands for in training.

        bfloat16 has eight significant bits. That is enough for gradients, with weights in 32 bits, and faster; but
        its rounding lowers the PSNR of a good restoration.

        Example:
            >>> Compute(precision="32-true").for_training().precision
            '32-true'
        """
        on_cpu = self.device == "cpu" or (self.device == "auto" and not torch.accelerator.is_available())
        fast = self.precision == "auto" and on_cpu and _cpu_has_bfloat16()
        return dataclasses.replace(self, precision="bf16-mixed" if fast else self.chosen_precision())

    def environment(self, device: torch.device) -> dict[str, Any]:
        """What a result computed on `device` depends on besides its recipe, as plain values for JSON.

        Returns:
            versions (of Python and packages), commit (of this library, or None), device (its name), devices (their
            number on all machines), precision and compile.
        """
        return {
            "versions": versions(),
            "commit": commit(),
            "device": device_name(device),
            "devices": self.devices * self.num_nodes,
            "precision": self.chosen_precision(),
            "compile": self.compile,
        }


def _cpu_has_bfloat16() -> bool:
    """Whether the CPU multiplies bfloat16 in hardware; emulation takes several times as long as 32 bits."""
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))


def _separate_buffers() -> dict[str, Any]:
    """The option of DistributedDataParallel that leaves BatchNorm's statistics to each process.

    By default they are overwritten with those of the first process at every forward pass. Before PyTorch 2.12 that
    fails in the second of the discriminator's two passes: the gradients of the first need the old values.
    """
    options = inspect.signature(DistributedDataParallel).parameters
    # forward_sync_buffers replaces the deprecated broadcast_buffers from PyTorch 2.13 on.
    return {"forward_sync_buffers" if "forward_sync_buffers" in options else "broadcast_buffers": False}
