"""The recipes by name. Change a run with `dataclasses.replace`, a command-line flag of the same name, or
`get(name, scale, field=value)`.
"""

import dataclasses
import difflib
import typing
from typing import Any

from gan_restore.files import UserError
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


def get(name: str, scale: Scale = "smoke", **changes: Any) -> Recipe:
    """The recipe `name` at `scale`, with single fields changed.

    Raises:
        UserError: if there is no such recipe, scale or field.

    Example:
        >>> get("unet-denoiser", "smoke", epochs=1).generator()
    """
    kind = RECIPES.get(name)
    if kind is None:
        raise UserError(f"no recipe '{name}'; choose one of {', '.join(RECIPES)}")
    if scale not in typing.get_args(Scale):
        raise UserError(f"no scale '{scale}'; choose one of {', '.join(typing.get_args(Scale))}")
    fields = {field.name for field in dataclasses.fields(kind)}
    for field in changes:
        if field not in fields:
            near = difflib.get_close_matches(field, fields, n=1)
            hint = f"did you mean {near[0]}?" if near else f"see `gan-restore train {name} --help`"
            raise UserError(f"{name} has no field '{field}'; {hint}")
    return kind(**{"scale": scale, **kind.scales[scale], **changes})


def from_dict(values: dict[str, Any]) -> Recipe:
    """The recipe that `to_dict` wrote, also by an earlier version.

    Raises:
        UserError: if the values are not those of a recipe.
    """
    try:
        changes = {_RENAMED.get(name, name): value for name, value in values.items()}
        return get(changes.pop("recipe"), changes.pop("scale"), **changes)
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"not a recipe: {error}") from None
