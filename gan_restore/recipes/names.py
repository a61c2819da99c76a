"""The recipes by name. A setting is changed with `get(name, scale, field=value)`, `dataclasses.replace`, or the
command-line flag of the same name.
"""

import dataclasses
from typing import Any

from gan_restore.files import UserError, did_you_mean
from gan_restore.recipes.base import Recipe, Scale
from gan_restore.recipes.face_cgan import FaceCgan
from gan_restore.recipes.pix2pix import Pix2Pix
from gan_restore.recipes.resnet_gan import ResnetGan
from gan_restore.recipes.srgan import Srgan
from gan_restore.recipes.unet_denoiser import UnetDenoiser

RECIPES: dict[str, type[Recipe]] = {
    recipe.name: recipe for recipe in (UnetDenoiser, Pix2Pix, ResnetGan, FaceCgan, Srgan)
}

# Fields that had another name in checkpoints of earlier versions.
_RENAMED = {"show_marks": "top_hat_input"}

# Fields that earlier checkpoints lack, with the value that was built in then.
_ADDED: dict[str, Any] = {"initialisation": "default", "jitter": 1.0}


def get(name: str, scale: Scale = "smoke", **changes: Any) -> Recipe:
    """The recipe `name` at `scale`, with some fields changed.

    Raises:
        UserError: if there is no such recipe, scale or field, or if a field does not allow its value.

    Example:
        >>> recipe = get("unet-denoiser", "smoke", epochs=1)
        >>> recipe.epochs, recipe.learning_rate
        (1, 0.001)
    """
    kind = RECIPES.get(name)
    if kind is None:
        raise UserError(f"no recipe '{name}'; choose one of {', '.join(RECIPES)}{did_you_mean(name, RECIPES)}")
    if scale not in kind.scales:
        raise UserError(
            f"no scale '{scale}'; choose one of {', '.join(kind.scales)}{did_you_mean(scale, kind.scales)}"
        )
    fields = [field.name for field in dataclasses.fields(kind)]
    for field in changes:
        if field not in fields:
            hint = did_you_mean(field, fields) or f"; see `gan-restore train {name} --help`"
            raise UserError(f"{name} has no field '{field}'{hint}")
    return kind(**{"scale": scale, **kind.scales[scale], **changes})


def from_dict(values: dict[str, Any]) -> Recipe:
    """The recipe that `to_dict` wrote, in this version or an earlier one.

    Fields that an earlier version lacked get the value that was built in then.

    Raises:
        UserError: if the values are not those of a recipe.

    Example:
        >>> recipe = get("srgan", enlarge=4)
        >>> from_dict(recipe.to_dict()) == recipe
        True
    """
    try:
        changes = {_RENAMED.get(name, name): value for name, value in values.items()}
        changes = {name: tuple(value) if isinstance(value, list) else value for name, value in changes.items()}
        name, scale = changes.pop("recipe"), changes.pop("scale")
        added = {field: value for field, value in _ADDED.items() if hasattr(RECIPES[name], field)}
        return get(name, scale, **{**added, **changes})
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"not a recipe: {error}") from None
