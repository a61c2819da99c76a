import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from conftest import same_weights, tiny

from gan_restore import training
from gan_restore.checkpoints import load_state
from gan_restore.degradations import seeded
from gan_restore.devices import Compute
from gan_restore.files import UserError, read_csv, read_json
from gan_restore.recipes import from_dict

GAME = {"adversarial_weight": 0.1, "residual": False, "mask_input": False, "norm": "batch"}


def batch(recipe, size: int = 32) -> tuple[torch.Tensor, torch.Tensor]:
    clean = torch.rand(4, 3, size, size, generator=seeded(0))
    return recipe.degradation()(clean, seeded(1)), clean


@pytest.mark.parametrize("pixel_loss", ["mse", "l1"])
@pytest.mark.parametrize("adversarial", ["bce", "least-squares", "hinge"])
@pytest.mark.parametrize("improved", [True, False])
def test_every_loss_term_reaches_the_generator(pixel_loss: str, adversarial: str, improved: bool) -> None:
    recipe = tiny(pixel_loss=pixel_loss, adversarial=adversarial, **({} if improved else GAME))
    torch.manual_seed(0)
    generator, discriminator = recipe.generator(), recipe.discriminator()
    degraded, clean = batch(recipe)
    terms = training.generator_terms(discriminator, degraded, clean, generator(degraded), recipe)
    assert set(terms) == {"pixel", "adversarial"}
    for name, term in terms.items():
        gradients = torch.autograd.grad(term, generator.out.weight, retain_graph=True)
        assert gradients[0].abs().sum() > 0, name
    assert all(p.requires_grad for p in discriminator.parameters()), "the discriminator can learn again"


def test_each_step_teaches_one_player_only() -> None:
    recipe = tiny(**GAME)
    generator, discriminator = recipe.generator(), recipe.discriminator()
    g_optimizer = torch.optim.Adam(generator.parameters(), 0.01)
    d_optimizer = torch.optim.Adam(discriminator.parameters(), 0.01)
    degraded, clean = batch(recipe)
    restored = generator(degraded)

    def weights(network: torch.nn.Module) -> torch.Tensor:
        return torch.cat([p.detach().flatten().clone() for p in network.parameters()])

    g_before, d_before = weights(generator), weights(discriminator)
    news = training.discriminator_step(discriminator, d_optimizer, degraded, clean, restored, recipe)
    assert torch.equal(weights(generator), g_before) and not torch.equal(weights(discriminator), d_before)
    assert set(news) == {"d_loss", "d_real", "d_fake"} and 0 < news["d_real"] < 1
    d_before = weights(discriminator)
    news = training.generator_step(discriminator, g_optimizer, degraded, clean, restored, recipe)
    assert torch.equal(weights(discriminator), d_before) and not torch.equal(weights(generator), g_before)
    assert news["g_loss"].item() == pytest.approx((news["pixel"] + 0.1 * news["adversarial"]).item())


def test_a_discriminator_learns_to_tell() -> None:
    recipe = tiny(**GAME)
    torch.manual_seed(0)
    discriminator = recipe.discriminator()
    optimizer = torch.optim.Adam(discriminator.parameters(), 0.01)
    degraded, clean = batch(recipe)
    for _ in range(30):
        news = training.discriminator_step(discriminator, optimizer, degraded, clean, clean.flip(3), recipe)
    assert news["d_real"] > 0.8 and news["d_fake"] < 0.2


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
    assert {path.name for path in run.iterdir()} == {"recipe.json", "metrics.csv", "last.ckpt", "best.safetensors"}


def test_the_learning_rate_falls_as_a_cosine(tmp_path: Path) -> None:
    run = training.train(tiny(lr_decay="cosine"), tmp_path / "run")
    rates = [row["lr"] for row in read_csv(run / "metrics.csv")]
    assert rates[0] == 1e-3 and rates[3] == pytest.approx(5e-4) and rates == sorted(rates, reverse=True)


def test_training_learns(tmp_path: Path) -> None:
    recipe = tiny(width=8, residual=False, mask_input=False, crops_per_image=20, epochs=4, adversarial_weight=0.0)
    rows = read_csv(training.train(recipe, tmp_path / "run") / "metrics.csv")
    first, last = (sum(row["pixel"] for row in some) for some in (rows[:5], rows[-5:]))
    assert last < first / 1.5


def test_bfloat16_trains_both_players(tmp_path: Path) -> None:
    run = training.train(tiny(**GAME), tmp_path / "run", Compute(device="cpu", precision="bf16-mixed"))
    assert all(row["g_loss"] == row["g_loss"] for row in read_csv(run / "metrics.csv"))


def test_a_run_is_not_overwritten_unasked_and_resume_wants_the_same_recipe(tmp_path: Path) -> None:
    recipe, run = tiny(), tmp_path / "run"
    with pytest.raises(UserError, match="nothing to resume"):
        training.train(recipe, run, resume=True)
    training.train(recipe, run)
    with pytest.raises(UserError, match="already holds a run; pass --resume"):
        training.train(recipe, run)
    with pytest.raises(UserError, match="another epochs, learning_rate"):
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
        assert two.returncode == 130 and "Go on with the same command and --resume" in said
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
        "training.train(recipe, sys.argv[1], training.Compute(device='cpu', devices=2))",
    )
    script = tmp_path / "run.py"
    script.write_text(program)
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path / "run"), json.dumps(SMALL | {"epochs": 1} | GAME)],
        env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True, timeout=240,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert read_csv(tmp_path / "run" / "metrics.csv")[-1]["epoch"] == 1


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
    with pytest.raises(UserError, match="are not those of this run any more"):
        training.train(recipe, tmp_path / "run", resume=True)
    with pytest.raises(UserError, match="choose one of them"):
        training.train(recipe, tmp_path / "run", resume=True, overwrite=True)


def test_weights_alone_are_not_thrown_away(tmp_path: Path) -> None:
    run = training.train(tiny(), tmp_path / "run")
    (run / "last.ckpt").unlink()
    with pytest.raises(UserError, match="already holds a run"):
        training.train(tiny(), run)
    assert (run / "best.safetensors").exists()
