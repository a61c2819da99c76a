import dataclasses
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from support import ODD, TINY, tiny
from torch import Tensor, nn

from gan_restore.cli import main
from gan_restore.files import UserError
from gan_restore.images import read
from gan_restore.inference import (
    Compute,
    export,
    exporting,
    load_generator,
    load_restorer,
    model_names,
    save_generator,
)

SIZES = [(1, 3, *ODD[0]), (2, 3, *ODD[2]), (1, 3, 8, 8), (1, 3, 101, 77)]
NETWORKS = [f"{name} full" for name in TINY]  # as published; the models have the options of the other scales
DOCS = Path(__file__).parents[2] / "docs" / "restoring.md"
MISSING = "the extra gan-restore[export] is not installed"


def checkpoint(which: str, folder: Path) -> Path:
    """A checkpoint of a small generator whose weights are random, so that every layer changes the result."""
    name, scale = which.split()
    recipe = tiny(name, scale)
    generator = recipe.generator()
    torch.manual_seed(0)
    for module in generator.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.kaiming_normal_(module.weight, a=0.1)
    save_generator(folder / "best.safetensors", generator, recipe)
    return folder / "best.safetensors"


def photos(size: tuple[int, ...]) -> Tensor:
    """Random images with black and white impulses."""
    images = torch.rand(size)
    images[..., ::7, ::5], images[..., 1::6, 2::5] = 1, 0
    return images


def in_onnxruntime(path: Path) -> Callable[[Tensor], Tensor]:
    """A function images -> restored images."""
    onnxruntime = pytest.importorskip("onnxruntime", reason=MISSING)
    session = onnxruntime.InferenceSession(path)
    return lambda images: torch.from_numpy(session.run(["restored"], {"degraded": images.numpy()})[0])


def same(exported: Callable[[Tensor], Tensor], generator: nn.Module) -> None:
    for size in SIZES:
        images = photos(size)
        with torch.no_grad():
            wanted, restored = generator(images), exported(images)
        assert restored.shape == wanted.shape
        assert (restored - wanted).abs().max() < 1e-4
        if wanted.shape == images.shape:
            assert (wanted - images).abs().max() > 1e-3, "the network changes nothing"


@pytest.mark.parametrize("which", [*NETWORKS, *model_names()])
def test_onnxruntime_computes_what_the_network_computes_at_any_size(which: str, tmp_path: Path) -> None:
    pytest.importorskip("onnxscript", reason=MISSING)
    source = which if which in model_names() else checkpoint(which, tmp_path)
    export(source, tmp_path / "network.onnx")
    same(in_onnxruntime(tmp_path / "network.onnx"), load_generator(source)[0])


def test_the_example_in_the_docs_restores_a_photo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the file says what it is."""
    for package in ("onnxscript", "onnxruntime"):
        pytest.importorskip(package, reason=MISSING)
    monkeypatch.chdir(tmp_path)
    assert main(["export", "x4", "--out", "x4.onnx"]) == 0
    assert main(["export", "x4", "--out", "x4.onnx"]) == 2, "nothing is overwritten"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (23, 31, 3), np.uint8)).save("small.png")
    example = re.search(r"```python\n([^`]*onnxruntime[^`]*)```", DOCS.read_text())
    found: dict[str, Any] = {}
    exec(example[1], found)
    wanted = load_restorer("x4", Compute(device="cpu"))(read("small.png"))
    assert (read("large.png") - wanted).abs().max() < 0.51 / 255
    generator, recipe, _ = load_generator("x4")
    assert found["session"].get_modelmeta().custom_metadata_map == exporting.facts_of(generator, recipe)
    assert found["session"].get_inputs()[0].shape == ["batch", 3, "height", "width"]


@pytest.mark.parametrize("which", ["pix2pix full", "srgan full"])
def test_a_program_of_torch_export_computes_what_the_network_computes(which: str, tmp_path: Path) -> None:
    source = checkpoint(which, tmp_path)
    export(source, tmp_path / "network.pt2", "torch")
    files = {exporting.FACTS: ""}
    program = torch.export.load(tmp_path / "network.pt2", extra_files=files).module(check_guards=False)
    generator, recipe, _ = load_generator(source)
    same(lambda images: program(images), generator)
    assert json.loads(files[exporting.FACTS]) == exporting.facts_of(generator, recipe)


def test_the_metadata_say_what_the_network_needs(tmp_path: Path) -> None:
    """And hold no path of a machine."""
    source = checkpoint("srgan full", tmp_path)
    generator, recipe, _ = load_generator(source)
    facts = exporting.facts_of(generator, dataclasses.replace(recipe, data=str(tmp_path)))
    assert json.loads(facts["recipe"])["recipe"] == "srgan" and str(tmp_path) not in str(facts)
    assert facts["output"] == "restored: N x 3 x 2H x 2W, float32, RGB in [0, 1]"
    assert (facts["factor"], facts["multiple"], facts["keep_tone"]) == ("2", "1", "False")
    generator, recipe, _ = load_generator(checkpoint("pix2pix full", tmp_path))
    facts = exporting.facts_of(generator, dataclasses.replace(recipe, damage="print"))
    assert facts["output"] == "restored: N x 3 x H x W, float32, RGB in [0, 1]"
    assert (facts["factor"], facts["multiple"], facts["keep_tone"]) == ("1", "8", "True")


def test_a_suffix_of_another_format_and_a_missing_package_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UserError, match=r"the format onnx ends in .onnx; .*network.pt2 does not"):
        export("x4", tmp_path / "network.pt2")
    monkeypatch.setattr(exporting.util, "find_spec", lambda _: None)
    with pytest.raises(UserError, match=r"pip install '.\[export\]'"):
        export("x4", tmp_path / "network.onnx")
    assert not list(tmp_path.iterdir())
