import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from support import noise_images, same_weights, tiny

from gan_restore import training
from gan_restore.files import UserError, read_csv, read_json
from gan_restore.inference.checkpoints import load_generator, load_state
from gan_restore.inference.compiling import Compile
from gan_restore.inference.devices import Compute
from gan_restore.recipes.base import Recipe
from gan_restore.training import Trainer

COMPILED = Compute(device="cpu", precision="32-true", compile="on")


class StopAfterTwoSteps(training.Watcher):
    def after_step(self, trainer: Trainer) -> bool:
        return trainer.step == 2


def trained(recipe: Recipe, out: Path, compile: Compile, precision: str = "32-true") -> tuple[Trainer, list]:
    """A trainer after two steps, and their losses."""
    images = noise_images(*[(40, 40)] * 8)
    fabric = Compute(device="cpu", precision=precision).fabric()
    trainer, losses = Trainer(recipe, out, fabric, images, images, compile=compile), []
    for _ in range(2):
        found = trainer.training_step(trainer.batches[trainer.step])
        losses.append({name: value.item() for name, value in found.items()})
        trainer.step += 1
    return trainer, losses


@pytest.mark.parametrize(
    ("name", "precision", "changes"),
    [
        ("unet-denoiser", "32-true", {}),
        ("pix2pix", "bf16-mixed", {"gradient_clip": 0.1}),
        ("resnet-gan", "32-true", {"accumulate": 2, "norm": "batch"}),
        ("srgan", "32-true", {"discriminator_kind": "local", "adversarial": "hinge"}),  # spectral normalisation
    ],
)
def test_compiled_steps_are_the_same(
    graphs: list, tmp_path: Path, name: str, precision: str, changes: dict[str, object]
) -> None:
    recipe = tiny(name, pretrain_epochs=0, adversarial_weight=0.1, epochs=5, **changes)
    (plain, expected), (ours, losses) = (trained(recipe, tmp_path, way, precision) for way in ("off", "on"))
    for found, wanted in zip(losses, expected, strict=True):
        assert found == pytest.approx(wanted, rel=1e-4 if precision == "32-true" else 1e-3)
    for part, state in plain.parts.state_dict().items():
        assert list(ours.parts.state_dict()[part]) == list(state), f"the names in {part} stay the same"
    count = len(graphs)
    ours.training_step(ours.batches[ours.step])
    assert len(graphs) == count > 0, "later steps compile nothing"


def test_a_compiled_run_is_resumed_with_and_without_compiling(graphs: list, tmp_path: Path) -> None:
    recipe = tiny("pix2pix", ema=0.9)
    whole = training.train(recipe, tmp_path / "whole", COMPILED)
    for compile in ("on", "off"):
        out = tmp_path / compile
        with pytest.raises(KeyboardInterrupt):
            training.train(recipe, out, COMPILED, watchers=[StopAfterTwoSteps()])
        graphs.clear()
        training.train(recipe, out, Compute("cpu", precision="32-true", compile=compile), resume=True)
        assert bool(graphs) == (compile == "on")
        assert [one["compile"] for one in read_json(out / "environment.json")] == ["on", compile]
    assert same_weights(whole / "best.safetensors", tmp_path / "on" / "best.safetensors")
    compiled, plain = (load_generator(run)[0].state_dict() for run in (whole, tmp_path / "off"))
    torch.testing.assert_close(compiled, plain, rtol=0, atol=1e-5)
    for name in ("g_loss", "d_loss", "val_psnr"):
        ours, wanted = (read_csv(run / "metrics.csv")[-1][name] for run in (whole, tmp_path / "off"))
        assert ours == pytest.approx(wanted, rel=1e-4)


@torch._dynamo.config.patch(recompile_limit=2)  # by default, eight variants of a function
def test_only_training_compiles_and_each_run_anew(graphs: list, tmp_path: Path) -> None:
    counts = []

    def look(generator: torch.nn.Module, _discriminator: None) -> None:
        generator(torch.rand(1, 3, 48, 40))
        counts.append(len(graphs))

    for width, epochs in ((4, 2), (5, 1), (6, 1)):
        recipe = tiny("resnet-gan", ema=0.0, width=width, epochs=epochs, adversarial_weight=0.0)
        training.train(recipe, tmp_path / str(width), COMPILED, after_epoch=look)
    each = counts[0]
    assert counts == [each, each, 2 * each, 3 * each]


TWO_PROCESSES = """
import json, sys
from pathlib import Path
from gan_restore import training
from gan_restore.inference import compiling
from gan_restore.inference.devices import Compute
from gan_restore.recipes.names import from_dict
compiling._OPTIONS["on"] = {"backend": "aot_eager"}
recipe = from_dict(json.loads(sys.argv[2]))
for compile in ("off", "on"):
    compute = Compute(device="cpu", devices=2, precision="32-true", compile=compile)
    training.train(recipe, Path(sys.argv[1]) / compile, compute)
"""


def test_two_processes_compile(tmp_path: Path) -> None:
    recipe, program = tiny("pix2pix", epochs=1, dropout=0.0), tmp_path / "two.py"
    program.write_text(TWO_PROCESSES)
    arguments = [sys.executable, program, tmp_path, json.dumps(recipe.to_dict())]
    done = subprocess.run(arguments, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stderr[-2000:]
    plain, ours = (load_state(tmp_path / compile / "last.ckpt") for compile in ("off", "on"))
    for part in ("generator", "discriminator"):
        torch.testing.assert_close(ours[part], plain[part], rtol=0, atol=1e-5)


def test_each_step_with_cuda_graphs_is_announced(
    graphs: list, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[int] = []
    monkeypatch.setattr(torch.compiler, "cudagraph_mark_step_begin", lambda: begun.append(len(begun)))
    for compile, steps in (("on", 0), ("cuda-graphs", 2)):
        trained(tiny("resnet-gan", adversarial_weight=0.0), tmp_path, compile)
        assert len(begun) == steps


def test_a_run_that_cannot_compile_is_not_started(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^--compile cuda-graphs needs a CUDA GPU, and this is for cpu"):
        training.train(tiny(), tmp_path / "run", Compute("cpu", compile="cuda-graphs"))
    assert not (tmp_path / "run" / "recipe.json").exists()
