import pytest
import results
import torch

from gan_restore.recipes.names import RECIPES


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
    assert results.fast_precision() == precision


def test_no_recipe_is_measured_on_images_that_it_was_trained_or_chosen_on() -> None:
    assert results.DATA.keys() == RECIPES.keys()
    for trained_on, tested_on, split in results.DATA.values():
        assert split == "test" or (split == "all" and trained_on != tested_on)
