import pytest
import torch
from precision import fast_precision


@pytest.mark.parametrize(
    ("capabilities", "cuda", "precision"),
    [
        ({"avx512_f": True, "avx512_bf16": True}, False, "bf16-mixed"),
        ({"amx_bf16": True}, False, "bf16-mixed"),
        ({"avx512_f": True, "avx512_bf16": False, "amx_bf16": False}, False, "auto"),
        ({"neon": True}, False, "auto"),
        ({"avx512_bf16": True}, True, "auto"),
    ],
)
def test_bfloat16_is_used_on_a_cpu_that_has_it(
    monkeypatch: pytest.MonkeyPatch, capabilities: dict[str, bool], cuda: bool, precision: str
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    assert fast_precision() == precision
