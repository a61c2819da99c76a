"""Several processes, on one machine or on several: what can go wrong when they start and while they train."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager

import torch.distributed as dist
from lightning_fabric.plugins.environments import SLURMEnvironment, TorchElasticEnvironment

from gan_restore.files import UserError


def check_slurm(devices: int, num_nodes: int) -> None:
    """Refuse a run of several processes in a Slurm job that did not start as many.

    Fabric takes the number of processes from Slurm and starts none itself. Fewer would wait for the others, or
    train alone.

    Raises:
        UserError: if `srun` did not start a process for each device. In an interactive job and under `torchrun`,
            Slurm is not asked.
    """
    if devices * num_nodes == 1 or TorchElasticEnvironment.detect() or "SLURM_NTASKS" not in os.environ:
        return
    if SLURMEnvironment.job_name() in ("bash", "interactive"):  # Fabric starts the processes there
        return
    started = int(os.environ["SLURM_NTASKS"]) if "SLURM_STEP_ID" in os.environ else 1  # only srun sets the latter
    if started != devices * num_nodes:
        raise UserError(
            f"{devices} devices on each of {num_nodes} machines need {devices * num_nodes} processes, but Slurm "
            f"started {started}; start the command with srun in a job with --nodes={num_nodes} and "
            f"--ntasks-per-node={devices}"
        )


@contextmanager
def start_errors_explained() -> Iterator[None]:
    """Turn the errors of processes that do not fit together or cannot connect into one line.

    Raises:
        UserError: instead of those errors.
    """
    try:
        yield
    except ValueError as error:  # Fabric compares the options with what torchrun or Slurm started
        raise UserError(f"the processes do not fit --devices and --num-nodes: {error}") from None
    except RuntimeError as error:
        if not _is_of_connection(error):
            raise
        raise UserError(
            f"the processes cannot connect ({_reason(error)}); set GLOO_SOCKET_IFNAME to the name of the network "
            "interface between the machines (docs/training.md)"
        ) from None


@contextmanager
def lost_connection_explained() -> Iterator[None]:
    """Turn the error of a process whose connection to another one is lost into one line.

    Raises:
        UserError: instead of that error.
    """
    try:
        yield
    except RuntimeError as error:
        if not _is_of_connection(error):
            raise
        raise UserError(
            f"lost the connection to another process ({_reason(error)}); see what that one printed. If the state "
            "was saved, the same command with --resume continues from there"
        ) from None


def _is_of_connection(error: RuntimeError) -> bool:
    """Whether torch.distributed raised it. Errors of gloo have no type of their own, but name their source file."""
    return isinstance(error, dist.DistError) or "gloo" in str(error).lower()


def _reason(error: RuntimeError) -> str:
    """The first sentence of an error, without the source file."""
    return re.sub(r"\[\S+:\d+\] ", "", str(error).splitlines()[0]).split(". ")[0]
