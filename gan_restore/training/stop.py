"""Stopping a run by a signal and saving it at intervals: at the end of the same step in all its processes."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import lightning_fabric
import torch
import torch.distributed as dist


@contextmanager
def stop_on_signal(fabric: lightning_fabric.Fabric) -> Iterator[Callable[[bool, bool], tuple[bool, bool]]]:
    """Handle Ctrl-C (SIGINT) and SIGTERM inside the block, which must run in the main thread to have an effect.

    Yields:
        A function that every process calls once a step, with whether it wants to stop and whether to save. It
        returns whether any process got a signal or wants to stop, and whether any wants to save: the same answers
        everywhere, so all processes stop and save after the same step. A second signal interrupts at once.
    """
    requested = threading.Event()
    # On the CPU, so that asking does not wait for a GPU to finish its step.
    group: Any = dist.new_group(backend="gloo") if fabric.world_size > 1 else None

    def agreed(stop: bool, save: bool) -> tuple[bool, bool]:
        if group is None:
            return stop or requested.is_set(), save
        flags = torch.tensor([stop or requested.is_set(), save], dtype=torch.int32)
        dist.all_reduce(flags, dist.ReduceOp.MAX, group=group)
        return bool(flags[0]), bool(flags[1])

    def request(_number: int, _frame: object) -> None:
        if requested.is_set():
            raise KeyboardInterrupt
        requested.set()

    if threading.current_thread() is not threading.main_thread():  # only the main thread may handle signals
        yield agreed
        return
    before = {number: signal.signal(number, request) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield agreed
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
