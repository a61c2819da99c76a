"""`torch.compile` for a network: fewer and larger kernels, and CUDA graphs."""

from typing import Any, Literal, cast

import torch
from torch import nn
from torch._dynamo.exc import BackendCompilerFailed

from gan_restore.files import UserError

Compile = Literal["off", "on", "cuda-graphs"]

_OPTIONS: dict[str, dict[str, Any]] = {"on": {}, "cuda-graphs": {"mode": "reduce-overhead"}}
"""Arguments of `torch.compile`."""


def check_compiler(compile: Compile, device: torch.device) -> None:
    """Compile a function of one line, so that a missing compiler is noticed before the work starts.

    Raises:
        UserError: if nothing can be compiled on this machine, or CUDA graphs are asked for without such a GPU.
    """
    if compile == "off":
        return
    if compile == "cuda-graphs" and device.type != "cuda":
        raise UserError(f"--compile cuda-graphs needs a CUDA GPU, and this is for {device}; use --compile on")
    try:
        torch.compile(torch.neg, **_OPTIONS[compile])(torch.zeros(1, device=device))
    except BackendCompilerFailed as error:
        reason = " ".join(str(error).partition("\n\n")[0].split())  # then follows advice on debugging PyTorch
        raise UserError(
            f"torch.compile fails on {device} ({reason}); install a C++ compiler such as g++, or use --compile off"
        ) from None


def compiled(network: nn.Module, compile: Compile, dynamic: bool = False) -> nn.Module:
    """The network with compiled calls, or with "off" itself.

    It is to be given to `Fabric.setup`. What Fabric returns has the weights under their own names, and the network
    as it was in `module`.

    Args:
        network: is compiled when it is called, once for each way of calling it: with gradients or without, say.
        compile: how (see `Compute`).
        dynamic: whether images of other sizes may follow. Otherwise the size is a constant of the compiled code.
    """
    if compile == "off":
        return network
    return cast("nn.Module", torch.compile(network, dynamic=dynamic, **_OPTIONS[compile]))
