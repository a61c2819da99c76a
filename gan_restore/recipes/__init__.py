"""Recipes: one frozen dataclass for each of the five systems, and the recipes by name.

>>> recipe = get("unet-denoiser", "smoke", epochs=1)
>>> recipe.learning_rate
0.001
"""

from gan_restore.recipes.base import Recipe, Scale
from gan_restore.recipes.face_cgan import FaceCgan
from gan_restore.recipes.names import RECIPES, from_dict, get
from gan_restore.recipes.pix2pix import Pix2Pix
from gan_restore.recipes.resnet_gan import ResnetGan
from gan_restore.recipes.srgan import Srgan
from gan_restore.recipes.unet_denoiser import UnetDenoiser

__all__ = [
    "RECIPES",
    "FaceCgan",
    "Pix2Pix",
    "Recipe",
    "ResnetGan",
    "Scale",
    "Srgan",
    "UnetDenoiser",
    "from_dict",
    "get",
]
