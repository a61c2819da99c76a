"""How large a tile may be: the memory of a network for each pixel, and the memory that there is."""

import math

import torch
from torch import Tensor, nn

CPU_BYTES = 640 * 2**20
"""Memory for the network's features on the CPU. With the libraries and a photo, restoration stays under 2.5 GiB."""

_GPU_SHARE = 0.5  # of the free memory, because convolutions take workspace beside their features
_LARGEST = 2048  # side of a tile from which on larger ones gain no speed
_NO_MEMORY = ("can't allocate memory", "not enough memory", "out of memory")
_HELD = 3  # layers whose input and output are held at once: the largest one and skip connections beside it


@torch.no_grad()
def bytes_per_pixel(network: nn.Module, device: torch.device, multiple: int = 1) -> float:
    """Estimate the memory that a network takes for each pixel of its input.

    The network is applied to a small image. The estimate is three times the size of the input and the output of
    the layer where they are largest.

    Args:
        network: N x 3 x H x W -> N x 3 x factor H x factor W.
        device: the device that it is on.
        multiple: the network enlarges its input to multiples of this many pixels.

    Example:
        >>> bytes_per_pixel(nn.Conv2d(3, 29, 3, padding=1), torch.device("cpu"))  # 3 x 32 channels of 4 bytes
        384.0
    """
    largest = 0

    def measure(_: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal largest
        largest = max(largest, sum(values.numel() * values.element_size() for values in (*inputs, output)))

    leaves = [module for module in network.modules() if not list(module.children())]
    hooks = [leaf.register_forward_hook(measure) for leaf in leaves]
    side = max(64, multiple)
    try:
        network(torch.zeros(1, 3, side, side, device=device))
    finally:
        for hook in hooks:
            hook.remove()
    return _HELD * largest / side**2


def free_bytes(device: torch.device) -> float:
    """The memory that a tile may take: `CPU_BYTES`, or on a GPU half of its free memory."""
    if device.type == "cuda":
        # What PyTorch holds without using it is free too.
        unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return _GPU_SHARE * (torch.cuda.mem_get_info(device)[0] + unused)
    if device.type == "mps":
        return _GPU_SHARE * (torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory())
    return CPU_BYTES


def tile_side(per_pixel: float, device: torch.device, multiple: int = 1) -> int:
    """The side of square tiles, in pixels of the input, that fit into memory; at most 2048.

    Args:
        per_pixel: bytes for each pixel, as `bytes_per_pixel` estimates them.
        device: the device that computes.
        multiple: the side is a multiple of this.
    """
    side = min(_LARGEST, math.isqrt(int(free_bytes(device) / per_pixel)))
    return max(multiple, side // multiple * multiple)


def is_out_of_memory(error: RuntimeError) -> bool:
    """Whether PyTorch could not allocate memory; on the CPU and on MPS only the message says so."""
    return isinstance(error, torch.OutOfMemoryError) or any(words in str(error) for words in _NO_MEMORY)
