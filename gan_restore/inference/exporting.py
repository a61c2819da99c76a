"""Trained networks as files for programs without this library: ONNX, and programs of `torch.export`."""

import json
from importlib import metadata, util
from pathlib import Path
from typing import Literal

import torch
from torch import nn
from torch.export import Dim

from gan_restore.files import UserError, install, writing
from gan_restore.inference.checkpoints import load_generator
from gan_restore.inference.environment import commit
from gan_restore.recipes.base import Recipe

Format = Literal["onnx", "torch"]
"""onnx is Open Neural Network Exchange, which onnxruntime and others run; torch is for `torch.export.load`."""

SUFFIXES: dict[Format, str] = {"onnx": ".onnx", "torch": ".pt2"}
FACTS = "gan-restore.json"
"""The file inside a program of `torch.export` that holds `facts_of` the network."""

_EXAMPLE = 2, 3, 75, 101  # no side of 1 and no two alike: the exporter would take either for a rule


def export(checkpoint: str | Path, path: str | Path, format: Format = "onnx") -> None:
    """Write the network of a checkpoint to a file: its operations, and its weights in float32.

    The input "degraded" is N x 3 x H x W, RGB in [0, 1], with any N, H and W. The output "restored" is N x 3 x
    factor H x factor W, in [0, 1]. Where the network needs multiples of some pixels, it pads its input itself.

    The file holds the network alone. A `Restorer` also divides large photos into tiles, restores old prints over
    scales and keeps the tone of gray photos. The metadata of the file are `facts_of` the network.

    Args:
        checkpoint: the file, the run folder, or the model's name, as `load_generator` takes them.
        path: the file to write, with the suffix of its format: .onnx or .pt2.
        format: onnx needs the extra `export`.

    Raises:
        UserError: if there is no such checkpoint or model, the suffix is another one, a package is missing, or the
            file cannot be written.
    """
    if Path(path).suffix != SUFFIXES[format]:
        raise UserError(f"a file of the format {format} ends in {SUFFIXES[format]}; {path} does not")
    if format == "onnx" and util.find_spec("onnxscript") is None:
        raise UserError(f"ONNX needs the package onnxscript; {install('export')}")
    generator, recipe, _ = load_generator(checkpoint)
    facts = facts_of(generator, recipe)
    with writing(path) as part:
        if format == "onnx":
            part.write_bytes(_onnx(generator, facts))
        else:
            shapes = ({0: Dim.DYNAMIC, 2: Dim.DYNAMIC, 3: Dim.DYNAMIC},)
            program = torch.export.export(generator, (torch.rand(_EXAMPLE),), dynamic_shapes=shapes)
            torch.export.save(program, part, extra_files={FACTS: json.dumps(facts)})


def facts_of(generator: nn.Module, recipe: Recipe) -> dict[str, str]:
    """What a program needs to know to use an exported network.

    Returns:
        Texts by name: program and commit, which wrote the file; recipe, as JSON; input and output, in words;
        factor, the side of the restored image over that of the degraded one; multiple, the network itself pads its
        input to multiples of this many pixels; radius, how far in pixels the input can influence the output;
        over_scales and keep_tone, the fields of the recipe that only a `Restorer` carries out.
    """
    size = "H x W" if recipe.factor == 1 else f"{recipe.factor}H x {recipe.factor}W"
    return {
        "program": f"gan-restore {metadata.version('gan-restore')}",
        "commit": commit() or "unknown",
        "recipe": json.dumps(recipe.portable().to_dict()),
        "input": "degraded: N x 3 x H x W, float32, RGB in [0, 1], any H and W",
        "output": f"restored: N x 3 x {size}, float32, RGB in [0, 1]",
        "factor": str(recipe.factor),
        "multiple": str(getattr(generator, "multiple", 1)),
        "radius": str(generator.radius),
        "over_scales": str(recipe.over_scales),
        "keep_tone": str(recipe.keep_tone),
    }


def _onnx(generator: nn.Module, facts: dict[str, str]) -> bytes:
    """The network as an ONNX file."""
    program = torch.onnx.export(
        generator,
        (torch.rand(_EXAMPLE),),
        dynamo=True,
        verbose=False,
        input_names=["degraded"],
        output_names=["restored"],
        dynamic_shapes=({0: "batch", 2: "height", 3: "width"},),
    )
    assert program is not None  # it is for the exporter that dynamo=True replaces
    program.model.metadata_props.update(facts)
    return program.model_proto.SerializeToString()
