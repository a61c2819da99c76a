"""How large a tile may be: the memory of a network for each pixel, and the memory that there is."""

import math
import weakref
from collections import Counter
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

CPU_BYTES = 5 * 2**27
"""Memory for the network's features on the CPU. With the libraries and a photo, restoration stays under 2.5 GiB."""

_GPU_SHARE = 0.5  # of the free memory, because convolutions take workspace beside their features
_LARGEST = 2048  # side of a tile from which on larger ones gain no speed
_NO_MEMORY = ("can't allocate memory", "not enough memory", "out of memory")
_MARGIN = 1.25  # for the workspace of convolutions, which is not a tensor


@torch.no_grad()
def bytes_per_pixel(network: nn.Module, device: torch.device, multiple: int = 1) -> float:
    """Estimate the memory that a network takes for each pixel of its input.

    The network is applied to two small images, one twice as wide as the other. The estimate is the difference in
    memory of all tensors that exist at once, at the most, and a quarter more. What does not grow with the image,
    such as a copy of the weights in another precision, does not count.

    Args:
        network: N x 3 x H x W -> N x 3 x factor H x factor W.
        device: the device that it is on.
        multiple: the network enlarges its input to multiples of this many pixels.

    Example:
        >>> bytes_per_pixel(nn.Conv2d(3, 29, 3, padding=1), torch.device("cpu"))  # 1.25 x 32 channels of 4 bytes
        160.0
    """
    side, most = max(64, multiple), []
    for width in (side, 2 * side):
        with _Held() as held:
            network(torch.zeros(1, 3, side, width, device=device))
        most.append(held.most)
    return _MARGIN * (most[1] - most[0]) / side**2


class _Held(TorchDispatchMode):
    """Inside this context, the memory of the tensors that operations return is counted until they are freed.

    Attributes:
        most: bytes that existed at once, at the most.
    """

    def __init__(self) -> None:
        super().__init__()
        self.most = self._bytes = 0
        self._tensors: Counter[int] = Counter()  # in each block of memory: a view shares that of its tensor

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Carry out an operation and count what it returns."""
        result = func(*args, **(kwargs or {}))
        for tensor in (value for value in tree_leaves(result) if isinstance(value, Tensor)):
            block = tensor.untyped_storage()
            self._change(block.data_ptr(), block.nbytes(), 1)
            weakref.finalize(tensor, self._change, block.data_ptr(), block.nbytes(), -1)
        self.most = max(self.most, self._bytes)
        return result

    def _change(self, block: int, size: int, by: int) -> None:
        before = self._tensors[block]
        self._tensors[block] += by
        self._bytes += size * ((before + by > 0) - (before > 0))


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
