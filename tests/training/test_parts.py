import dataclasses
import math
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from support import same_weights, tiny

from gan_restore import training
from gan_restore.files import UserError, read_csv
from gan_restore.inference import models
from gan_restore.inference.checkpoints import load_facts, load_generator, load_state
from gan_restore.inference.devices import Compute
from gan_restore.recipes.base import Recipe
from gan_restore.training import Trainer
from gan_restore.training.parts import Parts, with_shared_statistics

PIXEL_LOSS = {"epochs": 1, "pretrain_epochs": 0, "adversarial_weight": 0.0}


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the pixel loss alone."""
    return training.train(tiny("srgan", **PIXEL_LOSS), tmp_path_factory.mktemp("start") / "first")


def second(start: Path | str, **changes: object) -> Recipe:
    options = {"pretrain_epochs": 0, "epochs": 2, "adversarial_weight": 0.1, "start_from": str(start)}
    return tiny("srgan", **options | changes)


def test_a_run_starts_from_the_weights_of_another(start: Path, tmp_path: Path, monkeypatch) -> None:
    first_step, seen = Trainer.training_step, {}

    def watched(trainer: Trainer, batch: torch.Tensor) -> dict[str, torch.Tensor]:
        if not trainer.step:
            for name, network in (("generator", trainer.parts.generator.module), ("ema", trainer.parts.ema.module)):
                seen[name] = {key: value.clone() for key, value in network.state_dict().items()}
        return first_step(trainer, batch)

    monkeypatch.setattr(Trainer, "training_step", watched)
    run = training.train(second(start), tmp_path / "run")
    weights = load_generator(start)[0].state_dict()
    for state in seen.values():
        assert state.keys() == weights.keys() and all(torch.equal(state[name], weights[name]) for name in state)
    facts = load_facts(run / "best.safetensors")
    assert facts["started_from"] == {"file": "first", "step": load_facts(start / "best.safetensors")["step"]}
    assert (facts["stage"], facts["chosen_on"]) == ("adversarial", None), "the latest, as after a first stage"
    assert read_csv(run / "metrics.csv")[0]["lr"] == second(start).adversarial_learning_rate
    again = training.train(second(start), tmp_path / "again")
    assert same_weights(run / "best.safetensors", again / "best.safetensors")
    assert "started_from" not in load_facts(start / "best.safetensors")


def test_a_resumed_run_needs_no_start_any_more(start: Path, tmp_path: Path, monkeypatch) -> None:
    file = tmp_path / "start.safetensors"
    file.write_bytes((start / "best.safetensors").read_bytes())
    whole = training.train(second(file), tmp_path / "whole")
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Trainer, "_log", interrupt_after(4))
        training.train(second(file), tmp_path / "run")
    file.unlink()
    run = training.train(second(file), tmp_path / "run", resume=True)
    assert same_weights(run / "best.safetensors", whole / "best.safetensors")
    assert load_facts(run / "best.safetensors")["started_from"]["file"] == "start.safetensors"


def test_a_run_starts_from_a_model_by_its_name(start: Path, tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "x2.safetensors").write_bytes((start / "best.safetensors").read_bytes())
    monkeypatch.setattr(models, "MODELS", tmp_path)
    run = training.train(second("x2", epochs=1), tmp_path / "run")
    assert load_facts(run / "best.safetensors")["started_from"]["file"] == "x2"
    training.train(second("x2", epochs=1), run, resume=True)


def interrupt_after(step: int):
    log = Trainer._log

    def interrupted(trainer: Trainer, *arguments: object) -> None:
        log(trainer, *arguments)
        if trainer.step == step:
            trainer._save_state()
            raise KeyboardInterrupt

    return interrupted


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_the_local_discriminator_is_resumed_with_its_estimates(start: Path, tmp_path: Path, precision: str) -> None:
    local = second(start, discriminator_kind="local", adversarial="hinge")
    compute = Compute(device="cpu", precision=precision)
    whole = training.train(local, tmp_path / "whole", compute)
    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Trainer, "_log", interrupt_after(2))
        training.train(local, tmp_path / "run", compute)
    run = training.train(local, tmp_path / "run", compute, resume=True)
    assert same_weights(run / "best.safetensors", whole / "best.safetensors")
    assert all(math.isfinite(row["d_loss"]) for row in read_csv(run / "metrics.csv"))


def test_a_state_of_an_earlier_version_is_resumed(tmp_path: Path) -> None:
    recipe = tiny(epochs=1)
    run = training.train(recipe, tmp_path / "run")
    state = load_state(run / "last.ckpt")
    del state["started_from"]
    torch.save(state, run / "last.ckpt")
    training.train(recipe, run, resume=True)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"width": 8}, "it holds a generator of srgan, width 4; this recipe is srgan, width 8$"),
        (
            {"blocks": 2, "kernel": 5},
            "it holds a generator of srgan, blocks 1, kernel 3; this recipe is srgan, blocks 2, kernel 5$",
        ),
        (
            {"residual": False},
            "it holds a generator of srgan, residual True; this recipe is srgan, residual False$",
        ),
        ({"enlarge": 4}, "it holds a generator of srgan, enlarge 2; this recipe is srgan, enlarge 4$"),
    ],
)
def test_weights_that_do_not_fit_are_refused_in_one_line(
    start: Path, tmp_path: Path, changes: dict, message: str
) -> None:
    with pytest.raises(UserError, match=rf"^start_from: .*first does not fit: {message}"):
        training.train(second(start, **changes), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_weights_of_another_system_are_refused(start: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"it holds a generator of srgan.*; this recipe is unet-denoiser"):
        training.train(tiny(start_from=str(start)), tmp_path / "run")
    with pytest.raises(UserError, match="no checkpoint at"):
        training.train(tiny(start_from=str(tmp_path / "absent")), tmp_path / "run")


def test_a_start_allows_the_adversarial_loss_alone(start: Path) -> None:
    alone = second(start, pixel_weight=0.0)
    assert alone.two_stages and not dataclasses.replace(alone, start_from=None).two_stages
    with pytest.raises(UserError, match="first stage trains on the pixel loss"):
        second(start, pixel_weight=0.0, pretrain_epochs=1)


def test_the_gradient_scaler_of_half_precision_is_part_of_the_state() -> None:
    fabric = Compute(device="cpu", precision="bf16-mixed").fabric()  # 16-mixed needs a GPU
    fabric.strategy.precision.scaler = torch.amp.GradScaler("cpu", init_scale=8.0)
    state = Parts(tiny(), fabric).state_dict()
    fabric.strategy.precision.scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    Parts(tiny(), fabric).load_state_dict(state)
    assert fabric.strategy.precision.scaler.get_scale() == 8
    fabric.strategy.precision.scaler = None
    assert "scaler" not in Parts(tiny(), fabric).state_dict()


@pytest.mark.parametrize(
    ("processes", "device", "shared"), [(2, "cuda", True), (1, "cuda", False), (2, "cpu", False), (2, "mps", False)]
)
def test_batchnorm_is_shared_by_processes_on_gpus(processes: int, device: str, shared: bool) -> None:
    recipe = tiny(norm="batch", adversarial_weight=0.1)
    fabric = SimpleNamespace(world_size=processes, device=torch.device(device))
    for make in (recipe.generator, recipe.discriminator):
        network = with_shared_statistics(make(), fabric)
        kinds = {type(module) for module in network.modules()}
        assert (torch.nn.SyncBatchNorm in kinds) == shared
        assert (torch.nn.BatchNorm2d in kinds) != shared
        assert network.state_dict().keys() == make().state_dict().keys(), "checkpoints stay the same"
