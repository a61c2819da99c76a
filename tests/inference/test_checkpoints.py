from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from support import tiny

from gan_restore.files import UserError, write_json
from gan_restore.inference import checkpoints


def test_a_checkpoint_needs_nothing_else(tmp_path: Path) -> None:
    recipe = tiny(density=0.1, data="/somebody/s/photos")
    generator = recipe.generator().eval()
    checkpoints.save_generator(tmp_path / "a.safetensors", generator, recipe, val_psnr=30.5)
    again, its_recipe, facts = checkpoints.load_generator(tmp_path / "a.safetensors")
    noisy = torch.rand(1, 3, 20, 20)
    assert torch.equal(again(noisy), generator(noisy)) and not again.training
    assert its_recipe == tiny(density=0.1), "the path of somebody's data does not travel with the weights"
    assert facts == {"val_psnr": 30.5}


def test_no_path_is_in_a_checkpoint(tmp_path: Path) -> None:
    paths = {name: f"/somebody/s/{name}" for name in ("data", "overlays", "vgg_weights")}
    recipe = tiny("pix2pix", **{**paths, "overlays": str(tmp_path)}, epochs=3)
    assert recipe.local_paths().keys() == paths.keys()
    checkpoints.save_generator(tmp_path / "a.safetensors", recipe.generator(), recipe)
    with safe_open(tmp_path / "a.safetensors", "pt") as opened:
        metadata = str(opened.metadata())
    assert "/somebody" not in metadata and str(tmp_path) not in metadata and '"epochs": 3' in metadata


def test_a_run_folder_knows_its_data(tmp_path: Path) -> None:
    recipe = tiny(data="/somebody/s/photos")
    checkpoints.save_generator(tmp_path / checkpoints.BEST, recipe.generator(), recipe)
    write_json(tmp_path / checkpoints.RECIPE, recipe.to_dict())
    assert checkpoints.load_generator(tmp_path)[1] == recipe


def test_what_is_no_checkpoint(tmp_path: Path) -> None:
    (tmp_path / "text.safetensors").write_text("hello")
    save_file({"x": torch.zeros(1)}, tmp_path / "other.safetensors")
    cases = {
        "none.safetensors": "no checkpoint at",
        ".": "no checkpoint at .*train first",
        "text.safetensors": "is not a gan-restore checkpoint",
        "other.safetensors": "was not written by gan-restore",
    }
    for name, message in cases.items():
        with pytest.raises(UserError, match=message):
            checkpoints.load_generator(tmp_path / name)


def test_weights_that_do_not_fit_their_recipe(tmp_path: Path) -> None:
    checkpoints.save_generator(tmp_path / "a.safetensors", tiny(width=8).generator(), tiny(width=4))
    with pytest.raises(UserError, match="does not fit its recipe"):
        checkpoints.load_generator(tmp_path / "a.safetensors")


def test_a_state_is_loaded_without_running_anything(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "sprung",))

    torch.save({"step": 1, "x": Trap()}, tmp_path / "trap.ckpt")
    for name, message in (("trap.ckpt", "not a training state"), ("none.ckpt", "nothing to resume")):
        with pytest.raises(UserError, match=message):
            checkpoints.load_state(tmp_path / name)
    assert not (tmp_path / "sprung").exists()
    torch.save([1], tmp_path / "list.ckpt")
    with pytest.raises(UserError, match="not a training state of gan-restore"):
        checkpoints.load_state(tmp_path / "list.ckpt")
