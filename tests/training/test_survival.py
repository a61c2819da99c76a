"""What a run survives: SIGKILL at any moment, damaged files, a full disk; and the errors that stop it."""

import errno
import os
import random
import shutil
import signal
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from support import same_weights, tiny

from gan_restore import training
from gan_restore.files import UserError, read_csv
from gan_restore.inference.checkpoints import load_facts, load_state
from gan_restore.inference.devices import Compute
from gan_restore.recipes.base import Recipe
from gan_restore.training import Trainer
from gan_restore.training.memory import memory_errors_explained

KILLS = 10


def eventful() -> Recipe:
    """A recipe of 6 steps with everything that is random, averaged or has statistics."""
    return tiny(dropout=0.2, norm="batch", ema=0.9, adversarial_weight=0.1, augment="dihedral", crops_per_image=2)


def train_until_killed(recipe: Recipe, run: Path, moment: int) -> bool:
    """Train in a process that kills itself at a moment, and return whether it came to an end before.

    The moments are numbered: before and after each step, in the middle and at the end of the writing of each file,
    before and after each renaming.
    """
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    left = [moment]

    def tick() -> None:
        left[0] -= 1
        if not left[0]:
            os.kill(os.getpid(), signal.SIGKILL)

    step, save, replace = Trainer.training_step, torch.save, Path.replace

    def watched_step(trainer: Trainer, batch: torch.Tensor) -> dict:
        tick()
        losses = step(trainer, batch)
        tick()
        return losses

    def watched_save(value: object, path: Path) -> None:
        save(value, path)
        whole = path.read_bytes()
        path.write_bytes(whole[: len(whole) // 2])
        tick()
        path.write_bytes(whole)
        tick()

    def watched_replace(path: Path, target: Path) -> Path:
        tick()
        replaced = replace(path, target)
        tick()
        return replaced

    try:
        Trainer.training_step, torch.save, Path.replace = watched_step, watched_save, watched_replace
        started = (run / "last.ckpt").exists() or (run / "previous.ckpt").exists()
        options = {"resume": True} if started else {"overwrite": True}
        training.train(recipe, run, Compute(device="cpu"), save_every=0, **options)
        os._exit(0)
    finally:
        os._exit(1)  # a failure must not run the tests again in this process


def test_a_run_that_is_killed_again_and_again_equals_one_that_is_not(tmp_path: Path) -> None:
    recipe, draw, run = eventful(), random.Random(0), tmp_path / "run"
    whole = training.train(recipe, tmp_path / "whole", Compute(device="cpu"))
    moments = [draw.randint(1, 40) for _ in range(KILLS)]
    for moment in moments:
        train_until_killed(recipe, run, moment)
    assert train_until_killed(recipe, run, moment=-1)
    first, second = load_state(whole / "last.ckpt"), load_state(run / "last.ckpt")
    for name in ("generator", "discriminator", "ema"):
        assert first[name].keys() == second[name].keys()
        assert all(torch.equal(first[name][key], second[name][key]) for key in first[name]), name
    for name in ("g_optimizer", "d_optimizer"):
        assert str(first[name]) == str(second[name])
    assert same_weights(whole / "best.safetensors", run / "best.safetensors")
    one, other = (
        [
            {name: value for name, value in row.items() if name != "seconds"}
            for row in read_csv(path / "metrics.csv")
        ]
        for path in (whole, run)
    )
    assert one == other
    files = {path.name for path in run.iterdir()}
    assert files == {path.name for path in whole.iterdir()}, "no unfinished file is left"


@pytest.mark.parametrize("damage", ["cut", "flipped", "missing"])
def test_a_damaged_state_falls_back_to_the_one_before(tmp_path: Path, damage: str, capsys) -> None:
    recipe, run = tiny(), tmp_path / "run"
    training.train(recipe, run)
    whole = shutil.copy(run / "best.safetensors", tmp_path / "whole.safetensors")
    last = run / "last.ckpt"
    content = bytearray(last.read_bytes())
    if damage == "missing":
        last.unlink()
    elif damage == "cut":
        last.write_bytes(content[: len(content) // 2])
    else:
        with zipfile.ZipFile(last) as file:
            weights = file.read(max(file.infolist(), key=lambda part: part.file_size))
        content[content.index(weights)] ^= 1  # one bit of a weight
        last.write_bytes(content)
    training.train(recipe, run, resume=True)
    assert (
        "last.ckpt is missing or damaged; continuing from previous.ckpt, saved after step 3"
        in capsys.readouterr().out
    )
    assert same_weights(run / "best.safetensors", whole)
    for name in ("last.ckpt", "previous.ckpt"):
        (run / name).write_bytes(b"PK")
    with pytest.raises(UserError, match=r"previous\.ckpt is not a training state or is damaged"):
        training.train(recipe, run, resume=True)


def test_a_full_disk_costs_nothing_that_was_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe, run, save = tiny(), tmp_path / "run", torch.save
    saved = []

    def full(value: dict, path: Path) -> None:
        if len(saved) == 1:
            path.write_bytes(b"half")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        saved.append(path)
        save(value, path)

    with monkeypatch.context() as patch:
        patch.setattr(torch, "save", full)
        with pytest.raises(UserError, match=r"cannot write .*last\.ckpt: No space left on device; free some space"):
            training.train(recipe, run)
    assert load_state(run / "last.ckpt")["step"] == 3
    training.train(recipe, run, resume=True)
    whole = training.train(recipe, tmp_path / "whole")
    assert same_weights(run / "best.safetensors", whole / "best.safetensors")


def test_a_state_of_other_networks_is_refused_and_stays(tmp_path: Path) -> None:
    narrow, wide = (training.train(tiny(width=width, epochs=1), tmp_path / str(width)) for width in (4, 8))
    shutil.copy(wide / "last.ckpt", narrow / "last.ckpt")
    before = (narrow / "last.ckpt").read_bytes()
    with pytest.raises(UserError, match=r"the state in .* does not fit the networks of unet-denoiser \(.*size"):
        training.train(tiny(epochs=1), narrow, resume=True)
    with pytest.raises(UserError, match="is a run of unet-denoiser; resume it with unet-denoiser"):
        training.train(tiny("resnet-gan", epochs=1), narrow, resume=True)
    assert (narrow / "last.ckpt").read_bytes() == before and (narrow / "best.safetensors").exists()


def test_losses_that_are_not_finite_stop_the_run_with_step_and_term(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = Trainer.training_step

    def broken(trainer: Trainer, batch: torch.Tensor) -> dict:
        losses = step(trainer, batch)
        if trainer.step == 25:
            losses["d_fake"] = losses["d_fake"] / 0
        return losses

    monkeypatch.setattr(Trainer, "training_step", broken)
    run, recipe = tmp_path / "run", tiny(crops_per_image=20, adversarial_weight=0.1)  # a row every 6 steps
    with pytest.raises(UserError) as caught:
        training.train(recipe, run, save_every=0)
    assert str(caught.value) == (
        "training diverged: d_fake not finite in step 26; lower learning_rate or adversarial_weight, or set "
        "gradient_clip (last good checkpoint: none yet)"
    )
    assert load_state(run / "last.ckpt")["step"] == 25, "a state that is not finite is not saved"
    monkeypatch.setattr(Trainer, "training_step", step)
    training.train(recipe, run, resume=True)
    monkeypatch.setattr(Trainer, "training_step", broken)
    state = load_state(run / "last.ckpt")
    assert state["step"] == 120 and load_facts(run / "best.safetensors")["step"] in (60, 120)


def test_weights_that_are_not_finite_are_not_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    step = Trainer.training_step

    def broken(trainer: Trainer, batch: torch.Tensor) -> dict:
        losses = step(trainer, batch)
        if trainer.step == 65:
            trainer.parts.generator.module.out.weight.data[0] = float("inf")
        return losses

    monkeypatch.setattr(Trainer, "training_step", broken)
    run = tmp_path / "run"
    with pytest.raises(UserError) as caught:
        training.train(tiny(crops_per_image=20), run, save_every=0)
    assert str(caught.value) == (
        "training diverged: weights not finite after step 66; lower learning_rate or adversarial_weight, or set "
        f"gradient_clip (last good checkpoint: {run / 'best.safetensors'} of step 60; in another --out, "
        "--start-from begins with its weights)"
    )
    assert load_state(run / "last.ckpt")["step"] == 65


def test_too_little_memory_names_the_batch_and_the_fields(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with ThreadPoolExecutor(1) as thread:  # a thread of its own: glibc gives it other memory after the failure
        failure = thread.submit(torch.empty, 1 << 60).exception()

    def too_large(_trainer: Trainer, _batch: torch.Tensor) -> dict:
        assert failure is not None
        raise failure

    monkeypatch.setattr(Trainer, "training_step", too_large)
    expected = (
        "out of memory on cpu with batch_size 4, accumulate 1 and crops of 32 x 32; raise accumulate, or lower"
    )
    with pytest.raises(UserError, match=expected):
        training.train(tiny(), tmp_path / "run", Compute(device="cpu"))
    cuda = torch.device("cuda")
    with pytest.raises(UserError, match="out of memory on cuda"), memory_errors_explained(tiny(), cuda):
        raise torch.OutOfMemoryError("CUDA out of memory.")
    with pytest.raises(RuntimeError, match="another"), memory_errors_explained(tiny(), cuda):
        raise RuntimeError("another")


def test_the_state_is_saved_at_intervals_within_an_epoch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saved, save = [], Trainer._save_state
    monkeypatch.setattr(Trainer, "_save_state", lambda trainer: saved.append(trainer.step) or save(trainer))
    training.train(tiny(epochs=1), tmp_path / "often", save_every=0)
    assert saved == [1, 2, 3]
    saved.clear()
    training.train(tiny(epochs=1), tmp_path / "seldom", save_every=60)
    assert saved == [3]


def test_generators_are_kept_at_intervals_on_request(tmp_path: Path) -> None:
    run = training.train(tiny(epochs=4), tmp_path / "run", keep_every=2)
    kept = sorted(path.name for path in run.glob("epoch-*"))
    assert kept == ["epoch-0002.safetensors", "epoch-0004.safetensors"]
    facts = load_facts(run / kept[0])
    assert facts["step"] == 6 and facts["chosen_on"] is None
    training.train(tiny(epochs=1), run, overwrite=True)
    assert not list(run.glob("epoch-*"))
