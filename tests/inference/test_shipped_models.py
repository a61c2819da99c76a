"""The files in gan_restore/models: each does what its card says, on photos that are installed with scikit-image."""

import re

import pytest
import torch
from safetensors import safe_open

from gan_restore.data.datasets import load
from gan_restore.evaluation import Pairs, measure
from gan_restore.inference import (
    Compute,
    best_score,
    gain,
    load_card,
    load_generator,
    load_restorer,
    model_names,
    model_path,
)

each_model = pytest.mark.parametrize("name", model_names())


def test_all_models_together_are_at_most_30_mb() -> None:
    assert sum(model_path(name).stat().st_size for name in model_names()) <= 30e6


@each_model
def test_a_card_states_a_gain_and_no_loss(name: str) -> None:
    card = load_card(name)
    assert card["purpose"] and card["trained_on"] and gain(card["measured"][0]) > 0
    for measured in card["measured"]:
        learned = [row for row in measured["rows"] if row["kind"] == "learned"]
        assert len(learned) == 1, measured["data"]
        assert learned[0]["psnr"] >= best_score(measured, "input")["psnr"], measured["data"]


@each_model
def test_weights_are_finite_and_half_and_no_path_of_a_machine_is_beside_them(name: str) -> None:
    with safe_open(model_path(name), "pt") as opened:
        weights = [opened.get_tensor(key) for key in opened.keys()]  # noqa: SIM118
        metadata = opened.metadata()
    assert {value.dtype for value in weights} <= {torch.float16, torch.int64}
    assert all(value.isfinite().all() for value in weights)
    assert not [text for text in metadata.values() if re.search(r"""["'](/|~|[A-Z]:)""", text)]


@each_model
def test_a_model_restores_photos_with_its_own_damage(name: str) -> None:
    _, recipe, _ = load_generator(name)
    restorer = load_restorer(name, Compute(device="cpu"))
    pairs = Pairs(load(None, "test"), recipe, crop=160)
    restored, degraded = (measure(method, pairs, recipe)["psnr"] for method in (restorer, recipe.as_input))
    assert sum(restored) > sum(degraded)
