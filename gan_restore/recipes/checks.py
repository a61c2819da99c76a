"""Checks of a recipe's fields: their types, their allowed words and their ranges."""

import dataclasses
import math
from typing import Any, Literal, get_args, get_origin, get_type_hints

from gan_restore.degradations.base import bounds
from gan_restore.files import UserError, did_you_mean

_SIZES = (
    "crops_per_image", "batch_size", "accumulate", "epochs", "width", "depth", "unshuffle", "discriminator_width",
    "kernel",
)  # fmt: skip
_COUNTS = ("val_images", "square", "pretrain_epochs", "blocks", "down")
_WEIGHTS = ("pixel_weight", "adversarial_weight", "perceptual_weight")
_LIMITS: dict[str, tuple[float, float]] = {
    **dict.fromkeys(_SIZES, (1, math.inf)),
    **dict.fromkeys(_COUNTS, (0, math.inf)),
    **dict.fromkeys(_WEIGHTS, (0, 1e6)),
    "learning_rate": (1e-12, 1),
    "discriminator_learning_rate": (0, 1),
    "adversarial_learning_rate": (0, 1),
    "gradient_clip": (0, math.inf),
    "real_label": (0.5, 1),
    "levels": (1, 8),
    "beta1": (0, 0.9999),
    "ema": (0, 0.999999),
    "dropout": (0, 0.99),
    "jitter": (1, 2),
    "density": (0, 1),
    "salt": (0, 1),
    "noise_sigma": (0, 1),
    "blur_sigma": (0, 100),
    "jpeg_quality": (1, 100),
    "largest_factor": (1, 100),
    "toned": (0, 1),
    "undamaged": (0, 1),
    "seed": (0, 2**63 - 1),
}
_WORDS = {str: "text", int: "a whole number", float: "a number", bool: "true or false", type(None): "none"}


def check_fields(recipe: Any) -> None:
    """Check every field of a dataclass against its type hint and the limits of its name.

    Raises:
        UserError: if a value has another type, is not one of the allowed words, or is out of range.
    """
    hints = get_type_hints(type(recipe))
    for field in dataclasses.fields(recipe):
        value = getattr(recipe, field.name)
        _check_type(field.name, value, hints[field.name])
        low, high = _LIMITS.get(field.name, (-math.inf, math.inf))
        if field.name in _LIMITS and not all(low <= end <= high for end in bounds(value)):
            allowed = f"at least {low}" if high == math.inf else f"from {low} to {high}"
            raise UserError(f"{field.name} must be {allowed}, not {value}")
        if field.name == "kernel" and value % 2 == 0:
            raise UserError(f"kernel must be odd, not {value}")


def _check_type(name: str, value: Any, hint: Any) -> None:
    if get_origin(hint) is Literal:
        words = get_args(hint)
        if value not in words:
            listed = ", ".join(words)
            raise UserError(f"{name} must be one of {listed}, not {value!r}{did_you_mean(value, words)}")
        return
    types = get_args(hint) or (hint,)  # `str | None` allows two types
    kinds = tuple(kind for kind in types if get_origin(kind) is not tuple)
    pair = len(kinds) < len(types)
    allowed = (*kinds, int) if float in kinds else kinds
    values = value if pair and isinstance(value, tuple) and len(value) == 2 else (value,)
    # True is an int too.
    if not all(isinstance(end, allowed) and (bool in kinds or not isinstance(end, bool)) for end in values):
        described = " or ".join(_WORDS[kind] for kind in kinds) + " or a pair of them (low, high)" * pair
        raise UserError(f"{name} must be {described}, not {value!r}")
