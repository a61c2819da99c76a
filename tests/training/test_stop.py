"""Stopping, resuming, and several processes."""

import json
import multiprocessing
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
from gan_restore.files import UserError, read_csv
from gan_restore.images import write
from gan_restore.inference.checkpoints import load_facts, load_generator, load_state
from gan_restore.inference.devices import Compute
from gan_restore.recipes.base import Recipe
from gan_restore.recipes.names import RECIPES
from gan_restore.training import Trainer

# Sends a signal to its own process at the start of a step, then trains by the command line.
PROGRAM = """
import os, sys
from gan_restore.cli import main
from gan_restore.training import Trainer
number, step = int(os.environ["SIGNAL"]), int(os.environ["AT_STEP"])
training_step = Trainer.training_step
def interrupted(trainer, batch):
    if trainer.step == step and trainer.fabric.global_rank == 0:
        os.kill(os.getpid(), number)
    return training_step(trainer, batch)
Trainer.training_step = interrupted
sys.exit(main())
"""


def resumable() -> Recipe:
    """A recipe of 6 steps an epoch with everything that is random, averaged or has statistics."""
    return tiny(
        crops_per_image=2, epochs=3, dropout=0.2, norm="batch", ema=0.9, adversarial_weight=0.1, augment="dihedral"
    )


def command_line(recipe: Recipe, out: Path) -> list[str]:
    options = {"out": out, "device": "cpu"} | recipe.to_dict()
    name = options.pop("recipe")
    return [
        "train", name, *(f"--{option.replace('_', '-')}={value}" for option, value in options.items()
        if value is not None and not isinstance(value, bool)),
    ]  # fmt: skip


def start(script: Path, program: str, *args: str, **environment: str) -> subprocess.Popen:
    script.write_text(program)
    return subprocess.Popen(
        [sys.executable, str(script), *args],
        env=os.environ | {"OMP_NUM_THREADS": "1"} | environment,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def finish(program: subprocess.Popen) -> tuple[str, str]:
    """Wait until all processes that write to the program's pipes have ended; returns what they wrote."""
    try:
        return program.communicate(timeout=300)
    except subprocess.TimeoutExpired:
        program.kill()
        raise


@pytest.fixture(scope="module")
def never_stopped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return training.train(resumable(), tmp_path_factory.mktemp("whole") / "run")


def interrupt(run: Path, by: signal.Signals, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    if by == signal.SIGKILL:  # this process is to live on
        program = start(run.parent / "run.py", PROGRAM, *command_line(resumable(), run), SIGNAL="9", AT_STEP="8")
        finish(program)
        assert program.returncode == -signal.SIGKILL
        return
    training_step = Trainer.training_step

    def interrupted(trainer: Trainer, batch: torch.Tensor) -> dict:
        if trainer.step == 8:
            signal.raise_signal(by)
        return training_step(trainer, batch)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Trainer, "training_step", interrupted)
        training.train(resumable(), run)
    assert "Stopped after step 9 of 18" in capsys.readouterr().out


@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda by: by.name)
def test_stopped_and_resumed_equals_never_stopped(
    never_stopped: Path, tmp_path: Path, by: signal.Signals, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    run = tmp_path / "run"
    interrupt(run, by, monkeypatch, capsys)
    assert load_state(run / "last.ckpt")["step"] == (6 if by == signal.SIGKILL else 9)
    training.train(resumable(), run, resume=True)  # so a killed process leaves no lock behind
    first, second = load_state(never_stopped / "last.ckpt"), load_state(run / "last.ckpt")
    for name in ("generator", "discriminator", "ema"):
        assert first[name].keys() == second[name].keys()
        assert all(torch.equal(first[name][key], second[name][key]) for key in first[name]), name
    assert same_weights(never_stopped / "best.safetensors", run / "best.safetensors")
    whole, parted = (
        [{k: v for k, v in row.items() if k != "seconds"} for row in read_csv(path / "metrics.csv")]
        for path in (never_stopped, run)
    )
    assert whole == parted


def test_a_signal_to_all_processes_spares_the_workers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    training_step = Trainer.training_step

    def interrupted(trainer: Trainer, batch: torch.Tensor) -> dict:
        if trainer.step == 8:  # as Slurm does; `kill` is not the workers' parent
            workers = [str(worker.pid) for worker in multiprocessing.active_children()]
            subprocess.run(["kill", "-TERM", *workers], check=True)
            time.sleep(0.5)  # PyTorch raises an error as soon as a worker has ended
            signal.raise_signal(signal.SIGTERM)
        return training_step(trainer, batch)

    monkeypatch.setattr(Trainer, "training_step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        training.train(resumable(), tmp_path / "run", Compute(device="cpu", workers=2))
    assert "Stopped after step 9 of 18" in capsys.readouterr().out
    assert not multiprocessing.active_children()


def test_a_killed_worker_is_told_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    training_step = Trainer.training_step

    def killed(trainer: Trainer, batch: torch.Tensor) -> dict:
        if trainer.step == 8:
            multiprocessing.active_children()[0].kill()
            time.sleep(0.5)  # PyTorch raises an error as soon as a worker has ended
        return training_step(trainer, batch)

    monkeypatch.setattr(Trainer, "training_step", killed)
    with pytest.raises(UserError, match="a process that prepares batches was killed"):
        training.train(resumable(), tmp_path / "run", Compute(device="cpu", workers=2))
    assert load_state(tmp_path / "run" / "last.ckpt")["step"] == 6


def test_two_processes_stop_together(tmp_path: Path) -> None:
    args = [*command_line(resumable(), tmp_path / "run"), "--devices=2"]
    program = start(tmp_path / "run.py", PROGRAM, *args, SIGNAL=str(int(signal.SIGTERM)), AT_STEP="8")
    out, err = finish(program)
    assert program.returncode == 130, err[-2000:]
    assert out.count("Stopped after step 9 of 18") == 1 and "Traceback" not in err
    assert load_state(tmp_path / "run" / "last.ckpt")["step"] == 9


def test_a_killed_process_ends_the_other_in_one_line(tmp_path: Path) -> None:
    args = [*command_line(resumable(), tmp_path / "run"), "--devices=2"]
    program = start(tmp_path / "run.py", PROGRAM, *args, SIGNAL=str(int(signal.SIGKILL)), AT_STEP="8")
    _, err = finish(program)
    assert program.returncode == -signal.SIGKILL
    assert "gan-restore: lost the connection to another process (" in err and "Traceback" not in err
    assert load_state(tmp_path / "run" / "last.ckpt")["step"] == 6


TWO_PROCESSES = """
import json, os, sys
from pathlib import Path
import torch
from gan_restore import training
from gan_restore.inference.devices import Compute
from gan_restore.recipes.names import from_dict
out, values = Path(sys.argv[1]), json.loads(sys.argv[2])
seeds, manual_seed = [], torch.manual_seed
torch.manual_seed = lambda seed: seeds.append(seed) or manual_seed(seed)
run = training.Trainer.run
def told(trainer):
    run(trainer)
    weights = torch.cat([p.detach().flatten() for p in trainer.parts.generator.parameters()])
    torch.save({"weights": weights, "seeds": seeds}, out / f"rank{trainer.fabric.global_rank}.pt")
training.Trainer.run = told
training.train(from_dict(values), out / "two", Compute(device="cpu", devices=2, precision="32-true"))
"""


def test_two_processes_compute_what_one_would(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    for i in range(20):  # pairs as large as the crops: nothing about a batch is random but its order
        clean = torch.from_numpy(rng.random((1, 3, 32, 32), dtype=np.float32))
        write(tmp_path / "pairs" / "color" / f"{i}.png", clean)
        write(tmp_path / "pairs" / "gray" / f"{i}.png", 1 - clean)
    recipe = tiny(
        "pix2pix", data=str(tmp_path / "pairs"), square=0, batch_size=16, epochs=1, norm="none",
        adversarial_weight=0.0, dropout=0.0, augment="none",
    )  # fmt: skip
    program = start(tmp_path / "two.py", TWO_PROCESSES, str(tmp_path), json.dumps(recipe.to_dict()))
    _, err = finish(program)
    assert program.returncode == 0, err[-2000:]
    assert "deprecated" not in err
    first, second = (torch.load(tmp_path / f"rank{rank}.pt") for rank in (0, 1))
    assert torch.equal(first["weights"], second["weights"]), "both take the same steps"

    seeds: list[int] = []
    manual_seed = torch.manual_seed
    monkeypatch.setattr(torch, "manual_seed", lambda seed: seeds.append(seed) or manual_seed(seed))
    training.train(recipe, tmp_path / "one", Compute(device="cpu", precision="32-true"))
    assert first["seeds"] == seeds, "the first process draws the dropout of a single one"
    assert first["seeds"][0] == second["seeds"][0] and first["seeds"][1:] != second["seeds"][1:]
    one, two = (load_state(tmp_path / name / "last.ckpt") for name in ("one", "two"))
    for i, state in one["g_optimizer"]["state"].items():  # Adam's mean gradient; its steps hide a factor
        other = two["g_optimizer"]["state"][i]
        torch.testing.assert_close(other["exp_avg"], state["exp_avg"], rtol=1e-3, atol=1e-7)
    for name, weights in one["generator"].items():
        torch.testing.assert_close(two["generator"][name], weights, rtol=0, atol=1e-5)
    losses = [[row["g_loss"] for row in run["rows"]] for run in (one, two)]
    assert losses[1] == pytest.approx(losses[0], rel=1e-5), "the mean over both processes"
    for name in ("val_psnr", "val_ssim"):
        scores = [run["rows"][-1][name] for run in (one, two)]
        assert scores[1] == pytest.approx(scores[0], rel=1e-4), "each process validates a part of the images"


EVERY_RECIPE = """
import json, sys
from pathlib import Path
from gan_restore import training
from gan_restore.inference.devices import Compute
from gan_restore.recipes.names import from_dict
for values in json.loads(sys.argv[2]):
    recipe = from_dict(values)
    training.train(recipe, Path(sys.argv[1]) / recipe.name, Compute(device="cpu", devices=2))
"""


def test_two_processes_train_every_recipe_into_one_set_of_files(tmp_path: Path) -> None:
    every = [tiny(name, epochs=2, ema=0.9, norm="batch", val_images=2) for name in RECIPES]
    values = json.dumps([recipe.to_dict() for recipe in every])
    program = start(tmp_path / "every.py", EVERY_RECIPE, str(tmp_path / "runs"), values)
    _, err = finish(program)
    assert program.returncode == 0 and "Traceback" not in err, err[-2000:]
    for recipe in every:
        run = tmp_path / "runs" / recipe.name
        weights = ["best", "pretrained"] if recipe.two_stages else ["best"]
        assert {path.name for path in run.iterdir()} == {f"{name}.safetensors" for name in weights} | {
            "recipe.json", "environment.json", "metrics.csv", "last.ckpt", "previous.ckpt", ".lock"
        }  # fmt: skip
        steps = [row["step"] for row in read_csv(run / "metrics.csv")]
        assert steps == sorted(set(steps)) and steps[-1] == load_state(run / "last.ckpt")["step"]
        # Both processes validated what the first one saved, though their statistics of BatchNorm differ.
        again = training.Validation(recipe.images("val"), recipe).scores(load_generator(run)[0])
        facts = load_facts(run / "best.safetensors")
        assert {name: facts[name] for name in again} == pytest.approx(again, rel=1e-6)
