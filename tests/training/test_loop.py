import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from support import same_weights, tiny

from gan_restore import training
from gan_restore.evaluation.pairs import Pairs
from gan_restore.files import UserError, read_csv, read_json
from gan_restore.images import write
from gan_restore.inference.checkpoints import load_generator, load_state
from gan_restore.inference.devices import Compute
from gan_restore.recipes.names import RECIPES, from_dict

GAME = {"adversarial_weight": 0.1, "residual": False, "mask_input": False, "norm": "batch"}


@pytest.mark.parametrize(
    "changes", [{}, GAME, {"ema": 0.0, "adversarial_weight": 0.0}], ids=["smoke", "gan", "mse"]
)
def test_a_run_folder_explains_itself(tmp_path: Path, changes: dict) -> None:
    recipe = tiny(**changes)
    run = training.train(recipe, tmp_path / "run", Compute(device="cpu"))
    assert from_dict(read_json(run / "recipe.json")) == recipe
    rows = read_csv(run / "metrics.csv")
    assert [row["step"] for row in rows] == [1, 2, 3, 4, 5, 6] and rows[-1]["epoch"] == 2
    assert [row["step"] for row in rows if "val_psnr" in row] == [3, 6]
    assert ("d_real" in rows[0]) == bool(recipe.adversarial_weight)
    assert {path.name for path in run.iterdir()} == {
        "recipe.json", "environment.json", "metrics.csv", "last.ckpt", "best.safetensors", ".lock"
    }  # fmt: skip


def test_the_learning_rate_falls_as_a_cosine(tmp_path: Path) -> None:
    run = training.train(tiny(lr_decay="cosine"), tmp_path / "run")
    rates = [row["lr"] for row in read_csv(run / "metrics.csv")]
    assert rates[0] == 1e-3 and rates[3] == pytest.approx(5e-4) and rates == sorted(rates, reverse=True)


def test_a_step_divides_the_learning_rate_by_ten_halfway_through_the_last_stage(tmp_path: Path) -> None:
    recipe = tiny(
        "srgan", lr_decay="step", epochs=3, adversarial_learning_rate=0.0
    )  # 3 steps an epoch, 1 + 2 epochs
    rates = [row["lr"] for row in read_csv(training.train(recipe, tmp_path / "run") / "metrics.csv")]
    assert rates == pytest.approx([1e-3] * 6 + [1e-4] * 3)


def test_the_average_is_kept_and_not_the_last_network(tmp_path: Path) -> None:
    run = training.train(tiny(ema=0.5, epochs=1), tmp_path / "run")
    state, kept = load_state(run / "last.ckpt"), load_generator(run)[0].state_dict()
    assert all(torch.equal(kept[name], state["ema"][f"module.{name}"]) for name in kept)
    assert any(not torch.equal(kept[name], state["generator"][name]) for name in kept)


def test_each_network_has_its_rate_and_momentum(tmp_path: Path) -> None:
    recipe = tiny(beta1=0.3, discriminator_learning_rate=2e-4, lr_decay="none", epochs=1, adversarial_weight=0.1)
    state = load_state(training.train(recipe, tmp_path / "run") / "last.ckpt")
    groups = [state[name]["param_groups"][0] for name in ("g_optimizer", "d_optimizer")]
    assert [group["lr"] for group in groups] == [recipe.learning_rate, 2e-4]
    assert [tuple(group["betas"]) for group in groups] == [(0.3, 0.999)] * 2


def test_training_learns(tmp_path: Path) -> None:
    recipe = tiny(width=8, residual=False, mask_input=False, crops_per_image=20, epochs=4, adversarial_weight=0.0)
    rows = read_csv(training.train(recipe, tmp_path / "run") / "metrics.csv")
    first, last = (sum(row["pixel"] for row in some) for some in (rows[:5], rows[-5:]))
    assert last < first / 1.5


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("scale", ["smoke", "full"])
@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_every_recipe_trains_two_steps(tmp_path: Path, name: str, scale: str, precision: str, folder: Path) -> None:
    options = {"data": str(folder), "epochs": 1, "batch_size": 8, "perceptual_weight": 0.0, "pretrain_epochs": 0}
    options |= {"square": 0, "crops_per_image": 1}
    recipe = tiny(name, scale, **options)
    rows = read_csv(
        training.train(recipe, tmp_path / "run", Compute(device="cpu", precision=precision)) / "metrics.csv"
    )
    assert rows[-1]["step"] >= 2 and all(math.isfinite(row["g_loss"]) for row in rows)
    assert ("d_loss" in rows[-1]) == bool(recipe.adversarial_weight)


def test_two_stages(tmp_path: Path) -> None:
    recipe = tiny("srgan", epochs=3, pretrain_epochs=2, adversarial_weight=1.0)
    run = training.train(recipe, tmp_path / "run")
    rows = read_csv(run / "metrics.csv")
    assert ["d_loss" in row for row in rows] == [row["epoch"] > 2 for row in rows]
    assert all("perceptual" not in row for row in rows)
    rates = [row["lr"] for row in rows]
    second = rates[next(i for i, row in enumerate(rows) if row["epoch"] > 2) :]
    assert rates[0] == recipe.learning_rate and second[0] == recipe.adversarial_learning_rate
    steps = [load_generator(run / name)[2]["step"] for name in ("pretrained.safetensors", "best.safetensors")]
    per_epoch = rows[-1]["step"] / 3
    assert steps[0] <= 2 * per_epoch and steps[1] == 3 * per_epoch, "the second stage keeps its last generator"


def test_the_published_second_stage_learns_from_vgg19_too(tmp_path: Path, folder: Path, vgg_file: Path) -> None:
    weights = {"perceptual_weight": 1.0, "vgg_weights": str(vgg_file), "adversarial_weight": 1e-3}
    run = training.train(tiny("srgan", "full", data=str(folder), epochs=2, **weights), tmp_path / "run")
    rows = read_csv(run / "metrics.csv")
    second = [row["epoch"] > 1 for row in rows]
    assert ["perceptual" in row for row in rows] == ["d_loss" in row for row in rows] == second


def test_a_first_stage_that_nothing_follows_has_one_fall_of_the_rate(tmp_path: Path) -> None:
    run = training.train(tiny("srgan", epochs=3, adversarial_weight=0.0, lr_decay="cosine"), tmp_path / "run")
    rates = [row["lr"] for row in read_csv(run / "metrics.csv")]
    assert rates == sorted(rates, reverse=True)


def test_the_first_stage_alone(tmp_path: Path) -> None:
    run = training.train(tiny("srgan", epochs=1, pretrain_epochs=5), tmp_path / "run")
    assert all("d_loss" not in row for row in read_csv(run / "metrics.csv"))
    assert not (run / "pretrained.safetensors").exists()


def test_pairs_of_the_data_set_are_used_as_they_are(tmp_path: Path, monkeypatch) -> None:
    rng = np.random.default_rng(0)
    for i in range(20):
        clean = torch.from_numpy(rng.random((1, 3, 32, 32), dtype=np.float32))
        write(tmp_path / "pairs" / "color" / f"{i}.png", clean)
        write(tmp_path / "pairs" / "gray" / f"{i}.png", 1 - clean)
    recipe = tiny("pix2pix", data=str(tmp_path / "pairs"), epochs=1)
    with pytest.raises(UserError, match="holds pairs of images of one size"):
        tiny("srgan", data=recipe.data).images("train")
    pair = Pairs(recipe.images("train"), recipe)[0]
    assert pair.damage == "the data set's own pairs"
    seen = []
    network = recipe.generator()
    network.register_forward_pre_hook(lambda _module, inputs: seen.append(inputs[0]))
    monkeypatch.setattr(type(recipe), "generator", lambda _recipe: network)
    training.train(recipe, tmp_path / "run", Compute(device="cpu"))
    images = recipe.images("train")
    negatives = torch.stack([255 - images[i] for i in range(len(images))]).float() / 255
    views = [torch.rot90(view, k, (2, 3)) for view in (negatives, negatives.flip(3)) for k in range(4)]
    assert all(min((view - crop).abs().amax((1, 2, 3)).min() for view in views) < 0.01 for crop in seen[0])


def test_a_run_is_not_overwritten_unasked_and_resume_wants_the_same_recipe(tmp_path: Path) -> None:
    recipe, run = tiny(), tmp_path / "run"
    with pytest.raises(UserError, match="nothing to resume"):
        training.train(recipe, run, resume=True)
    training.train(recipe, run)
    with pytest.raises(UserError, match="already holds a run; pass --resume"):
        training.train(recipe, run)
    with pytest.raises(UserError, match="with epochs 2, not 9; learning_rate"):
        training.train(tiny(epochs=9, learning_rate=0.1), run, resume=True)
    before = load_state(run / "last.ckpt")["step"]
    training.train(recipe, run, resume=True)  # a finished run stays as it is
    assert load_state(run / "last.ckpt")["step"] == before
    training.train(recipe, run, overwrite=True)


def test_errors_come_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file or folder"):
        training.train(tiny(data=str(tmp_path / "none")), tmp_path / "run")
    assert not (tmp_path / "run").exists()
    training.train(tiny(), tmp_path / "good")
    with pytest.raises(UserError, match="no such file or folder"):
        training.train(tiny(data=str(tmp_path / "none")), tmp_path / "good", overwrite=True)
    with pytest.raises(UserError, match="vgg"):
        nowhere = {"perceptual_weight": 1.0, "vgg_weights": str(tmp_path / "vgg.pth")}
        training.train(tiny(**nowhere), tmp_path / "good", overwrite=True)
    assert (tmp_path / "good" / "best.safetensors").exists(), "nor is anything thrown away"
    with pytest.raises(UserError, match="try --device auto"):
        training.train(tiny(), tmp_path / "run", Compute(device="tpu"))
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match="cannot write"):
        training.train(tiny(), tmp_path / "file" / "run")


PROGRAM = """
import json, sys
from gan_restore import recipes, training
from gan_restore.files import UserError
recipe = recipes.get("unet-denoiser", "smoke", **json.loads(sys.argv[2]))
try:
    training.train(recipe, sys.argv[1], resume=len(sys.argv) > 3)
except KeyboardInterrupt:
    sys.exit(130)
"""
TELL_WEIGHTS = """
import torch
from pathlib import Path
run = training.Trainer.run
def tell(trainer):
    run(trainer)
    weights = torch.cat([p.detach().flatten() for p in trainer.generator.parameters()])
    torch.save(weights, Path(sys.argv[1]).parent / f"rank{trainer.fabric.global_rank}.pt")
training.Trainer.run = tell
"""
SMALL = {"width": 4, "depth": 2, "discriminator_width": 4, "image_size": 32, "crops_per_image": 4, "epochs": 6}
RESUMABLE = SMALL | {"dropout": 0.2, "norm": "batch", "ema": 0.9, "adversarial_weight": 0.1, "augment": "dihedral"}


@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGKILL], ids=["Ctrl-C", "kill -9"])
def test_killed_and_resumed_equals_never_killed(tmp_path: Path, by: signal.Signals) -> None:
    whole, parted = tmp_path / "whole", tmp_path / "parted"
    start = lambda out, *more: subprocess.Popen(  # noqa: E731
        [sys.executable, "-c", PROGRAM, str(out), json.dumps(RESUMABLE), *more],
        env=os.environ | {"OMP_NUM_THREADS": "1"}, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    one, two = start(whole), start(parted)
    deadline = time.monotonic() + 120
    while not (parted / "last.ckpt").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    two.send_signal(by)
    said, _ = two.communicate()
    if by == signal.SIGINT:
        assert two.returncode == 130 and "continue with the same command and --resume" in said
    stopped = load_state(parted / "last.ckpt")["step"]
    assert 0 < stopped < 36, "it was stopped half-way"
    assert start(parted, "resume").wait() == 0 and one.wait() == 0
    first, second = load_state(whole / "last.ckpt"), load_state(parted / "last.ckpt")
    for name in ("generator", "discriminator", "ema"):
        assert first[name].keys() == second[name].keys()
        assert all(torch.equal(first[name][key], second[name][key]) for key in first[name]), name
    assert same_weights(whole / "best.safetensors", parted / "best.safetensors")
    without_seconds = [
        [{k: v for k, v in row.items() if k != "seconds"} for row in read_csv(run / "metrics.csv")]
        for run in (whole, parted)
    ]
    assert without_seconds[0] == without_seconds[1]


def test_two_processes_train_together(tmp_path: Path) -> None:
    program = PROGRAM.replace(
        "training.train(recipe, sys.argv[1], resume=len(sys.argv) > 3)",
        "training.train(recipe, sys.argv[1], training.loop.Compute(device='cpu', devices=2))",
    )
    program = program.replace("try:", TELL_WEIGHTS + "try:", 1)
    script = tmp_path / "run.py"
    script.write_text(program)
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path / "run"), json.dumps(SMALL | {"epochs": 1} | GAME)],
        env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True, timeout=240,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert read_csv(tmp_path / "run" / "metrics.csv")[-1]["epoch"] == 1
    first, second = (torch.load(tmp_path / f"rank{rank}.pt") for rank in (0, 1))
    assert first.isfinite().all() and torch.equal(first, second), "both learned from both halves of the batch"


def test_a_run_that_diverges_is_said(tmp_path: Path) -> None:
    recipe = tiny(
        residual=False, mask_input=False, norm="none", learning_rate=1.0, epochs=30, adversarial_weight=1e6
    )
    broken = recipe.generator()
    torch.nn.init.constant_(broken.out.weight, float("nan"))
    object.__setattr__(recipe, "generator", lambda: broken)
    with pytest.raises(UserError, match="training diverged before step"):
        training.train(recipe, tmp_path / "run")
    assert not (tmp_path / "run" / "best.safetensors").exists()


def test_resume_refuses_other_images_and_two_minds(folder: Path, tmp_path: Path) -> None:
    recipe = tiny(data=str(folder), epochs=1)
    training.train(recipe, tmp_path / "run")
    (folder / "photo_00.png").rename(folder / "renamed.png")
    with pytest.raises(UserError, match="have changed since this run started"):
        training.train(recipe, tmp_path / "run", resume=True)
    with pytest.raises(UserError, match="choose one of them"):
        training.train(recipe, tmp_path / "run", resume=True, overwrite=True)


def test_weights_alone_are_not_thrown_away(tmp_path: Path) -> None:
    run = training.train(tiny(), tmp_path / "run")
    (run / "last.ckpt").unlink()
    with pytest.raises(UserError, match="already holds a run"):
        training.train(tiny(), run)
    assert (run / "best.safetensors").exists()
