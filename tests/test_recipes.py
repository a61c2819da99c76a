import dataclasses

import pytest
import torch
from conftest import tiny

from gan_restore import recipes
from gan_restore.files import UserError
from gan_restore.recipes import RECIPES, from_dict, get


@pytest.mark.parametrize("scale", ["smoke", "small", "full"])
@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_builds_at_every_scale_and_survives_json(name: str, scale: str) -> None:
    recipe = get(name, scale, seed=5)
    assert from_dict(recipe.to_dict()) == recipe
    assert recipe.baselines() and recipe.degradation()
    with torch.no_grad():
        small = recipe.generator().eval()(torch.rand(1, 3, 32, 32))
        assert recipe.discriminator()(small, small).ndim in (2, 4)


def test_full_is_published() -> None:
    recipe = get("unet-denoiser", "full")
    assert recipe == recipes.UnetDenoiser(), "the defaults are the published settings"
    published = {
        "batch_size": 16,
        "epochs": 5,
        "learning_rate": 1e-3,
        "image_size": 128,
        "width": 64,
        "depth": 5,
        "dropout": 0.2,
        "pixel_loss": "mse",
        "adversarial_weight": 0.0,
        "density": 0.06,
        "salt": 0.5,
        "residual": False,
        "mask_input": False,
        "ema": 0.0,
        "lr_decay": "none",
    }
    assert {name: getattr(recipe, name) for name in published} == published


def test_recipes_cannot_be_changed_only_replaced() -> None:
    recipe = tiny()
    with pytest.raises(dataclasses.FrozenInstanceError):
        recipe.epochs = 3
    assert dataclasses.replace(recipe, epochs=9).epochs == get("unet-denoiser", "smoke", epochs=9).epochs == 9


@pytest.mark.parametrize(
    ("arguments", "changes", "message"),
    [
        (("unet",), {}, "no recipe 'unet'; choose one of unet-denoiser"),
        (("unet-denoiser", "huge"), {}, "no scale 'huge'"),
        (("unet-denoiser",), {"widht": 3}, "no field 'widht'; did you mean width"),
        (("unet-denoiser",), {"zzz": 3}, "no field 'zzz'; see"),
    ],
)
def test_mistakes_are_named(arguments: tuple, changes: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        get(*arguments, **changes)


@pytest.mark.parametrize("scale", ["small", "full"])
def test_a_missing_data_set_says_how_to_get_it(scale: str) -> None:
    with pytest.raises(UserError, match=r"download_kaggle\.py get fer2013-csv"):
        get("unet-denoiser", scale).images("train")
