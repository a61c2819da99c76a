"""The precision that benchmarks train in."""

from typing import Literal

import torch


def fast_precision() -> Literal["auto", "bf16-mixed"]:
    """bfloat16 on a CPU that computes it in hardware, `auto` elsewhere: emulation takes several times longer.

    x86 processors compute it with AVX512-BF16 or AMX.
    """
    capabilities = torch.cpu.get_capabilities()
    in_hardware = capabilities.get("avx512_bf16") or capabilities.get("amx_bf16")
    return "bf16-mixed" if in_hardware and not torch.cuda.is_available() else "auto"
