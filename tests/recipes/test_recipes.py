import dataclasses
import json
import runpy
from pathlib import Path

import pytest
import torch
from support import tiny
from torch import nn

from gan_restore.data.layouts import split_of
from gan_restore.degradations import seeded
from gan_restore.files import UserError
from gan_restore.networks.discriminators import LocalDiscriminator
from gan_restore.recipes.names import RECIPES, from_dict, get


@pytest.mark.parametrize("scale", ["smoke", "small", "full"])
@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_builds_at_every_scale_and_survives_json(name: str, scale: str) -> None:
    recipe = get(name, scale, seed=5)
    assert from_dict(recipe.to_dict()) == recipe
    assert recipe.baselines() and recipe.degradation()
    with torch.no_grad():
        small = recipe.generator().eval()(torch.rand(1, 3, 32, 32))
        assert small.shape == (1, 3, 32 * recipe.factor, 32 * recipe.factor)
        assert recipe.discriminator()(small, small).ndim in (2, 4)


PUBLISHED = {
    "unet-denoiser": {
        "batch_size": 16, "epochs": 5, "learning_rate": 1e-3, "image_size": 128, "width": 64, "depth": 5,
        "dropout": 0.2, "pixel_loss": "mse", "adversarial_weight": 0.0, "density": 0.06, "salt": 0.5,
        "residual": False, "mask_input": False, "ema": 0.0, "lr_decay": "none",
    },
    "pix2pix": {
        "batch_size": 8, "epochs": 50, "learning_rate": 2e-4, "beta1": 0.5, "image_size": 256, "square": 256,
        "width": 64, "levels": 8, "dropout": 0.5, "norm": "batch", "upsample": "transposed", "residual": False,
        "pixel_loss": "l1", "pixel_weight": 2 * 100.0, "adversarial": "bce", "adversarial_weight": 1.0,
        "discriminator_width": 64, "lr_decay": "none", "ema": 0.0, "augment": "flip", "jitter": 286 / 256,
        "initialisation": "normal",
    },
    "resnet-gan": {
        "pixel_loss": "mse", "adversarial": "bce", "upsample": "transposed", "norm": "batch", "residual": False,
        "down": 2, "blocks": 9, "kernel": 7, "adversarial_weight": 1e-3,
    },
    "face-cgan": {
        "pixel_loss": "l1", "adversarial": "bce", "upsample": "resize", "residual": False, "blocks": 0,
        "kernel": 7, "pixel_weight": 2 * 100.0, "adversarial_weight": 1.0,
    },
    "srgan": {
        "enlarge": 2, "width": 64, "blocks": 16, "kernel": 9, "norm": "batch", "upsample": "shuffle",
        "residual": False, "image_size": 96, "batch_size": 16, "learning_rate": 1e-4, "pixel_loss": "mse",
        "adversarial_weight": 1e-3, "perceptual_weight": 1.0, "pixel_weight": 4.0, "lr_decay": "step",
        "factor": 2, "channel": "Y", "crop_border": 2,
    },
}  # fmt: skip


@pytest.mark.parametrize("name", RECIPES)
def test_full_is_published(name: str) -> None:
    recipe = get(name, "full")
    assert recipe == RECIPES[name](), "the defaults are the published settings"
    assert {field: getattr(recipe, field) for field in PUBLISHED[name]} == PUBLISHED[name]


def test_recipes_cannot_be_changed_only_replaced() -> None:
    recipe = tiny()
    with pytest.raises(dataclasses.FrozenInstanceError):
        recipe.epochs = 3
    assert dataclasses.replace(recipe, epochs=9).epochs == get("unet-denoiser", "smoke", epochs=9).epochs == 9


@pytest.mark.parametrize(
    ("arguments", "changes", "message"),
    [
        (("unet",), {}, "no recipe 'unet'; choose one of unet-denoiser, pix2pix"),
        (("unet-denoiser", "huge"), {}, "no scale 'huge'"),
        (("unet-denoiser",), {"widht": 3}, r"no field 'widht' \(did you mean width\?\)"),
        (("unet-denoiser",), {"zzz": 3}, "no field 'zzz'; see"),
        (("srgan",), {"kernel": 4}, "kernel must be odd"),
        (("pix2pix",), {"image_size": 16}, "image_size must be at least 24"),
        (("srgan", "full"), {"pixel_weight": 0.0}, "pretrain_epochs to 0"),
        (("srgan", "full"), {"pixel_weight": 0.0, "epochs": 100}, "pretrain_epochs to 0"),
        (("unet-denoiser", "full"), {"pixel_weight": 0.0}, "no loss"),
    ],
)
def test_mistakes_are_named(arguments: tuple, changes: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        get(*arguments, **changes)


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("pix2pix", {"pixel_loss": "l2"}, "pixel_loss must be one of mse, l1, not 'l2'$"),
        ("pix2pix", {"adversarial": "BCE"}, r"adversarial must be .*, not 'BCE' \(did you mean bce"),
        (
            "pix2pix",
            {"norm": "bacth"},
            r"norm must be one of batch, instance, none, not 'bacth' \(did you mean batch",
        ),
        ("face-cgan", {"upsample": "rezise"}, "did you mean resize"),
        ("srgan", {"width": "16"}, "width must be a whole number, not '16'"),
        ("srgan", {"epochs": 2.5}, "epochs must be a whole number, not 2.5"),
        ("srgan", {"epochs": True}, "epochs must be a whole number, not True"),
        ("srgan", {"residual": 1}, "residual must be true or false, not 1"),
        ("srgan", {"learning_rate": "fast"}, "learning_rate must be a number, not 'fast'"),
        ("srgan", {"data": Path("photos")}, "data must be text or none"),
    ],
)
def test_a_field_refuses_values_that_its_type_does_not_allow(name: str, changes: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        get(name, **changes)
    with pytest.raises(UserError, match=message):
        dataclasses.replace(get(name), **changes)


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("kind", ["published", "local"])
def test_the_discriminator_takes_crops_of_the_smallest_size_allowed(name: str, kind: str) -> None:
    least = RECIPES[name].smallest + RECIPES[name].smallest % 2  # super-resolution needs a multiple of its factor
    recipe = get(name, image_size=least, discriminator_width=4, discriminator_kind=kind)
    degraded, clean = (
        torch.rand(2, 3, least // recipe.factor, least // recipe.factor),
        torch.rand(2, 3, least, least),
    )
    network = recipe.discriminator()
    assert network(degraded, clean).isfinite().all() and isinstance(network, LocalDiscriminator) == (
        kind == "local"
    )


def test_a_whole_number_stands_for_a_float() -> None:
    assert get("pix2pix", pixel_weight=3).pixel_weight == 3


def test_the_start_of_pix2pix_is_normal_at_full_only() -> None:
    torch.manual_seed(0)
    for name in ("pix2pix", "resnet-gan", "face-cgan"):
        for scale, std in (("full", 0.02), ("smoke", None)):
            recipe = get(name, scale)
            for network in (recipe.generator(), recipe.discriminator()):
                layer = max(
                    (m for m in network.modules() if isinstance(m, nn.Conv2d)), key=lambda m: m.weight.numel()
                )
                assert (layer.weight.std().item() == pytest.approx(0.02, rel=0.02)) == (std is not None), name


def test_pix2pix_enlarges_training_images_by_its_jitter(folder: Path) -> None:
    recipe = tiny("pix2pix", "full", data=str(folder), square=32)
    assert recipe.images("train").arrays[0].shape[:2] == (36, 36)
    assert recipe.images("test").arrays[0].shape[:2] == (32, 32)


def test_crops_that_are_larger_than_the_squares_are_refused(folder: Path) -> None:
    recipe = tiny("pix2pix", data=str(folder), square=24)
    assert recipe.images("val")
    with pytest.raises(UserError, match="crops of 32 do not fit into squares of 24; set square to 0"):
        recipe.images("train")


def test_srgan_trains_the_steps_of_its_paper_on_div2k() -> None:
    recipe = get("srgan", "full")
    images = sum(split_of(f"{number:04}") != "val" for number in range(1, 801))
    steps = images * recipe.crops_per_image // recipe.batch_size
    assert recipe.pretrain_epochs * steps == pytest.approx(1e6, rel=0.002)
    assert (recipe.epochs - recipe.pretrain_epochs) * steps == pytest.approx(2e5, rel=0.002)


def test_a_checkpoint_of_an_earlier_version_is_read() -> None:
    values = get("pix2pix", "full", epochs=3, top_hat_input=True).to_dict()
    values["show_marks"] = values.pop("top_hat_input")  # its name then
    for newer in ("jitter", "initialisation"):
        del values[newer]
    recipe = from_dict(values)
    assert recipe == get("pix2pix", "full", epochs=3, top_hat_input=True, jitter=1.0, initialisation="default")


@pytest.mark.parametrize(("name", "fits"), [("unet-denoiser", True), ("srgan", False), ("face-cgan", False)])
def test_small_faces_are_enlarged_only_where_that_is_the_protocol(fer_csv: Path, name: str, fits: bool) -> None:
    recipe = get(name, "full", data=str(fer_csv))
    if fits:
        assert len(recipe.images("train")) == 8
    else:
        with pytest.raises(UserError, match=r"48 x 48 pixels, Training/2; the shorter side must be at least"):
            recipe.images("train")


@pytest.mark.parametrize("name", RECIPES)
def test_recipes_and_the_download_script_agree_on_data_sets(name: str) -> None:
    script = runpy.run_path(str(Path(__file__).parents[2] / "data_scripts" / "download_kaggle.py"))
    assert {data_set for data_set, kind in script["DATA_SETS"].items() if name in kind.recipes} == set(
        RECIPES[name].data_sets
    )


@pytest.mark.parametrize("scale", ["small", "full"])
@pytest.mark.parametrize(
    ("name", "data_set"),
    [
        ("unet-denoiser", "fer2013-csv"),
        ("pix2pix", "humanface8000"),
        ("resnet-gan", "div2k"),
        ("face-cgan", "celeba"),
        ("srgan", "div2k"),
    ],
)
def test_a_missing_data_set_says_how_to_get_it(name: str, data_set: str, scale: str) -> None:
    with pytest.raises(UserError, match=rf"download_kaggle\.py get {data_set}"):
        get(name, scale).images("train")


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("srgan", {"enlarge": 3}, "enlarge must be 2 or 4"),
        ("srgan", {"image_size": 33}, "multiple of 4"),
        ("pix2pix", {"levels": 9}, "levels must be from 1 to 8"),
        ("pix2pix", {"real_label": 0.1}, "real_label must be from 0.5 to 1"),
        ("resnet-gan", {"jpeg_quality": 0}, "quality"),
    ],
)
def test_impossible_settings_are_refused(name: str, changes: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        get(name, "smoke", **changes)


def test_srgan_shows_its_input_enlarged_by_bicubic() -> None:
    recipe = get("srgan", enlarge=4, image_size=64)
    assert recipe.as_input(torch.rand(1, 3, 5, 7)).shape == (1, 3, 20, 28)
    assert recipe.factor == recipe.crop_border == 4 and recipe.channel == "Y"


@pytest.mark.parametrize(
    ("name", "preparation"),
    [
        ("unet-denoiser", "a shorter side below 128 pixels enlarged to 128 (bilinear)"),
        ("pix2pix", "largest centred square resized to 256 x 256 (bicubic)"),
        ("face-cgan", "largest centred square resized to 128 x 128 (bicubic)"),
        ("resnet-gan", "images as they are"),
        ("srgan", "cut to a multiple of 2 pixels at the right and the bottom"),
    ],
)
def test_a_recipe_says_how_its_clean_images_are_prepared(name: str, preparation: str) -> None:
    assert get(name, "full").preparation == preparation


RANGES = [
    ("unet-denoiser", {"density": (0.01, 0.4)}),
    ("resnet-gan", {"blur_sigma": (0.3, 1.5), "noise_sigma": (0.0, 0.1), "jpeg_quality": (40, 95)}),
]


@pytest.mark.parametrize(("name", "changes"), RANGES)
def test_a_range_of_damage_is_drawn_for_each_image_and_survives_json(name: str, changes: dict) -> None:
    recipe = tiny(name, **changes)
    assert from_dict(json.loads(json.dumps(recipe.to_dict()))) == recipe
    clean = torch.full((8, 3, 64, 64), 0.5)
    damage = (recipe.degradation()(clean, seeded(0)) - clean).square().mean((1, 2, 3))
    assert damage.max() > 3 * damage.min()
    for restore in recipe.baselines().values():
        assert restore(torch.rand(1, 3, 24, 24)).shape == (1, 3, 24, 24)


@pytest.mark.parametrize("wrong", [(0.4, 0.01), (0.1,), (0.1, 2), ("a", "b"), (True, 1), [0.1, 0.2, 0.3]])
def test_an_impossible_range_is_refused(wrong: object) -> None:
    with pytest.raises(UserError, match="density must be"):
        tiny("unet-denoiser", density=wrong)


def test_pix2pix_damages_as_old_prints_are_and_still_has_its_oracle() -> None:
    recipe = tiny("pix2pix", damage="print", noise_sigma=0.02)
    clean = torch.full((1, 3, 64, 64), 0.3)
    degraded, mask = recipe.degradation().with_mask(clean, seeded(1))
    assert "OldPrint" in repr(recipe.degradation()) and mask.any() and recipe.oracles()
    assert (degraded - clean).abs()[(mask == 0).expand_as(clean)].max() < 0.15, "grain only"
