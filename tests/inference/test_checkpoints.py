import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from support import tiny

from gan_restore.files import UserError, write_json
from gan_restore.inference import checkpoints


def test_a_checkpoint_needs_nothing_else(tmp_path: Path) -> None:
    recipe = tiny(density=0.1, data="/home/a/photos")
    generator = recipe.generator().eval()
    checkpoints.save_generator(tmp_path / "a.safetensors", generator, recipe, val_psnr=30.5)
    again, its_recipe, facts = checkpoints.load_generator(tmp_path / "a.safetensors")
    noisy = torch.rand(1, 3, 20, 20)
    assert torch.equal(again(noisy), generator(noisy)) and not again.training
    assert its_recipe == tiny(density=0.1), "no path of this machine is stored"
    assert facts == {"val_psnr": 30.5}


def test_no_path_is_in_a_checkpoint(tmp_path: Path) -> None:
    paths = {name: f"/somebody/s/{name}" for name in ("data", "start_from", "overlays", "vgg_weights")}
    recipe = tiny("pix2pix", **{**paths, "overlays": str(tmp_path)}, epochs=3)
    assert recipe.local_paths().keys() == paths.keys()
    checkpoints.save_generator(tmp_path / "a.safetensors", recipe.generator(), recipe)
    with safe_open(tmp_path / "a.safetensors", "pt") as opened:
        metadata = str(opened.metadata())
    assert "/somebody" not in metadata and str(tmp_path) not in metadata and '"epochs": 3' in metadata


def test_a_run_folder_knows_its_data(tmp_path: Path) -> None:
    recipe = tiny(data="/home/a/photos")
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


def test_checkpoints_of_earlier_versions_are_read(tmp_path: Path) -> None:
    generator = tiny("pix2pix").generator().eval()
    recipe = tiny("pix2pix").to_dict()
    recipe["show_marks"] = recipe.pop("top_hat_input")
    facts = {"step": 3, "own_data": False, "val_psnr": 20.0, "val_ssim": 0.5}
    metadata = {"recipe": json.dumps(recipe), "facts": json.dumps(facts), "format": "gan-restore 1"}
    save_file(generator.state_dict(), tmp_path / "old.safetensors", metadata)
    again, its_recipe, its_facts = checkpoints.load_generator(tmp_path / "old.safetensors")
    image = torch.rand(1, 3, 32, 32)
    assert torch.equal(again(image), generator(image))
    assert its_recipe == tiny("pix2pix") and its_facts == facts == checkpoints.load_facts(
        tmp_path / "old.safetensors"
    )


def test_states_of_earlier_versions_are_refused(tmp_path: Path) -> None:
    torch.save({"step": 1, "data": ""}, tmp_path / "old.ckpt")
    with pytest.raises(UserError, match="was written by another version of gan-restore and cannot be resumed"):
        checkpoints.load_state(tmp_path / "old.ckpt")
    checkpoints.save_state(tmp_path / "new.ckpt", {"step": 1})
    assert checkpoints.load_state(tmp_path / "new.ckpt")["step"] == 1


def test_facts_are_read_without_the_weights(tmp_path: Path) -> None:
    (tmp_path / "text.safetensors").write_text("hello")
    for name, message in (("text.safetensors", "is not a gan-restore checkpoint"), ("none", "no checkpoint at")):
        with pytest.raises(UserError, match=message):
            checkpoints.load_facts(tmp_path / name)
    write_json(tmp_path / checkpoints.RECIPE, [])
    with pytest.raises(UserError, match="holds no recipe"):
        checkpoints.read_recipe(tmp_path)
