"""`torch.compile` for a network: fewer and larger kernels, and CUDA graphs."""

from collections.abc import Callable, Sequence
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn
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
        _compiled(torch.neg, compile)(torch.zeros(1, device=device))
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
    return cast("nn.Module", _compiled(network, compile, dynamic=dynamic))


def _compiled(function: Callable[..., Any], compile: Compile, **options: Any) -> Callable[..., Any]:
    # Of channels_last images on the CPU, PyTorch 2.15 expects a gradient in another layout than it computes, and
    # stops. It takes another definition from this table, which has no public name. The import takes seconds.
    from torch._inductor.decomposition import decompositions

    decompositions[torch.ops.aten.replication_pad2d_backward.default] = replication_pad2d_backward
    return torch.compile(function, **options, **_OPTIONS[compile])


def replication_pad2d_backward(gradient: Tensor, images: Tensor, padding: Sequence[int]) -> Tensor:
    """The gradient of `F.pad(images, padding, mode="replicate")` with respect to the images.

    The first and last rows and columns get the sum over their copies.

    Args:
        gradient: of the padded images, N x C x (top + H + bottom) x (left + W + right).
        images: N x C x H x W, before padding.
        padding: left, right, top and bottom, none of them negative.

    Returns:
        N x C x H x W. NotImplemented, for images of one row or column and for negative padding, leaves them to
        PyTorch.
    """
    left, right, top, bottom = padding
    if min(padding) < 0 or min(images.shape[-2:]) < 2:
        return NotImplemented
    for dim, before, after in ((-1, left, right), (-2, top, bottom)):
        inner = images.shape[dim] - 2
        first, middle, last = gradient.split([before + 1, inner, after + 1], dim)
        gradient = torch.cat([first.sum(dim, keepdim=True), middle, last.sum(dim, keepdim=True)], dim)
    return gradient
