import math
from pathlib import Path

import numpy as np
import pytest
import torch
from support import noise_images, tiny

from gan_restore import training
from gan_restore.evaluation.pairs import Pairs
from gan_restore.files import UserError, read_csv, read_json
from gan_restore.images import write
from gan_restore.inference.checkpoints import load_facts, load_generator, load_state
from gan_restore.inference.devices import Compute
from gan_restore.losses.perceptual import PerceptualLoss
from gan_restore.recipes.base import Recipe
from gan_restore.recipes.names import RECIPES, from_dict
from gan_restore.training import Trainer, Validation

GAN = {"adversarial_weight": 0.1, "residual": False, "mask_input": False, "norm": "batch"}


@pytest.fixture
def validated_as(monkeypatch: pytest.MonkeyPatch):
    """Make each validation of a run give the next of some PSNRs."""

    def fake(*psnrs: float) -> None:
        scores = iter([{"val_psnr": psnr, "val_ssim": 0.5} for psnr in psnrs])
        monkeypatch.setattr(Validation, "scores", lambda *_: next(scores))

    return fake


def trainer_of(recipe: Recipe, out: Path) -> Trainer:
    return Trainer(recipe, out, Compute(device="cpu").fabric(), recipe.images("train"), recipe.images("val"))


@pytest.mark.parametrize("changes", [{}, GAN, {"ema": 0.0, "adversarial_weight": 0.0}], ids=["smoke", "gan", "mse"])
def test_a_run_folder_explains_itself(tmp_path: Path, changes: dict) -> None:
    recipe = tiny(**changes)
    run = training.train(recipe, tmp_path / "run", Compute(device="cpu"))
    assert from_dict(read_json(run / "recipe.json")) == recipe
    rows = read_csv(run / "metrics.csv")
    assert [row["step"] for row in rows] == [1, 2, 3, 4, 5, 6] and rows[-1]["epoch"] == 2
    assert [row["step"] for row in rows if "val_psnr" in row] == [3, 6]
    assert ("d_real" in rows[0]) == bool(recipe.adversarial_weight)
    assert {path.name for path in run.iterdir()} == {
        "recipe.json", "environment.json", "metrics.csv", "last.ckpt", "previous.ckpt", "best.safetensors", ".lock"
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


def test_the_best_generator_is_kept_and_not_the_last(tmp_path: Path, validated_as) -> None:
    validated_as(20.0, 30.0, 25.0)
    run = training.train(tiny(epochs=3), tmp_path / "run")
    facts = load_facts(run / "best.safetensors")
    assert (facts["val_psnr"], facts["step"], facts["steps"]) == (30.0, 6, 9)
    assert facts["stage"] == "adversarial" and facts["own_data"] is False
    assert facts["chosen_on"] == {"split": "val", "n_images": 2, "seed": 0}


def test_the_average_is_kept_with_the_statistics_of_the_last_network(tmp_path: Path) -> None:
    run = training.train(tiny(ema=0.5, epochs=1, norm="batch"), tmp_path / "run")
    state, kept = load_state(run / "last.ckpt"), load_generator(run)[0]
    weights = {name for name, _ in kept.named_parameters()}
    for name, value in kept.state_dict().items():
        own = state["generator"][name]
        assert torch.equal(value, state["ema"][f"module.{name}"])
        assert torch.equal(value, own) == (name not in weights), name
    assert any("running_mean" in name for name in kept.state_dict())


def test_the_average_moves_by_one_minus_its_decay(tmp_path: Path) -> None:
    trainer = trainer_of(tiny(ema=0.9), tmp_path)
    batch, weights = next(trainer.batches.loader(0, 1)), []
    for _ in range(2):
        trainer.training_step(batch)
        weights.append([value.detach().clone() for value in trainer.parts.generator.parameters()])
    for average, first, second in zip(trainer.parts.ema.module.parameters(), *weights, strict=True):
        torch.testing.assert_close(average, 0.9 * first + 0.1 * second)


def test_damage_and_dropout_are_drawn_anew_at_every_step(tmp_path: Path) -> None:
    trainer = trainer_of(tiny(dropout=0.5), tmp_path)
    batch, inputs, outputs = next(trainer.batches.loader(0, 1)), [], []

    def watch(_module, given, restored) -> None:
        inputs.append(given[0].clone())
        outputs.append(restored.detach())

    trainer.parts.generator.register_forward_hook(watch)
    weights = {name: value.clone() for name, value in trainer.parts.generator.state_dict().items()}
    for step in (5, 6, 5):
        trainer.parts.generator.load_state_dict(weights)
        trainer.step = step
        trainer.training_step(batch)
    assert torch.equal(inputs[0], inputs[2]) and torch.equal(outputs[0], outputs[2]), "a function of the step"
    assert not torch.equal(inputs[0], inputs[1])


def test_each_network_has_its_rate_and_momentum(tmp_path: Path) -> None:
    recipe = tiny(beta1=0.3, discriminator_learning_rate=2e-4, lr_decay="none", epochs=1, adversarial_weight=0.1)
    state = load_state(training.train(recipe, tmp_path / "run") / "last.ckpt")
    groups = [state[name]["param_groups"][0] for name in ("g_optimizer", "d_optimizer")]
    assert [group["lr"] for group in groups] == [recipe.learning_rate, 2e-4]
    assert [tuple(group["betas"]) for group in groups] == [(0.3, 0.999)] * 2


def test_training_learns(tmp_path: Path) -> None:
    recipe = tiny(
        width=8,
        residual=False,
        mask_input=False,
        crops_per_image=8,
        epochs=4,
        adversarial_weight=0.0,
        learning_rate=0.01,
    )
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


def test_each_stage_has_its_losses_and_rates(tmp_path: Path) -> None:
    recipe = tiny("srgan", epochs=3, pretrain_epochs=2, adversarial_weight=1.0)
    rows = read_csv(training.train(recipe, tmp_path / "run") / "metrics.csv")
    assert ["d_loss" in row for row in rows] == [row["epoch"] > 2 for row in rows]
    assert all("perceptual" not in row for row in rows)
    rates = [row["lr"] for row in rows]
    second = rates[next(i for i, row in enumerate(rows) if row["epoch"] > 2) :]
    assert rates[0] == recipe.learning_rate and second[0] == recipe.adversarial_learning_rate


def test_the_first_stage_keeps_its_best_and_the_second_its_latest_generator(tmp_path: Path, validated_as) -> None:
    validated_as(20.0, 18.0, 25.0, 14.0)
    recipe = tiny("srgan", epochs=4, pretrain_epochs=2, adversarial_weight=1.0)
    run = training.train(recipe, tmp_path / "run")
    first, second = (load_facts(run / name) for name in ("pretrained.safetensors", "best.safetensors"))
    assert (first["val_psnr"], first["step"], first["stage"]) == (20.0, 3, "pixel loss")
    assert (second["val_psnr"], second["step"], second["stage"]) == (14.0, 12, "adversarial")
    assert first["chosen_on"]["split"] == "val" and second["chosen_on"] is None


def test_the_published_second_stage_learns_from_vgg19_too(tmp_path: Path, folder: Path, vgg_file: Path) -> None:
    weights = {"perceptual_weight": 1.0, "vgg_weights": str(vgg_file), "adversarial_weight": 1e-3}
    run = training.train(tiny("srgan", "full", data=str(folder), epochs=2, **weights), tmp_path / "run")
    rows = read_csv(run / "metrics.csv")
    second = [row["epoch"] > 1 for row in rows]
    assert ["perceptual" in row for row in rows] == ["d_loss" in row for row in rows] == second


def test_vgg19_computes_in_the_precision_of_the_run(
    tmp_path: Path, vgg_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = tiny("srgan", "full", pretrain_epochs=0, epochs=5, perceptual_weight=1.0, vgg_weights=str(vgg_file))
    images, dtypes, losses, features = noise_images(*[(40, 40)] * 8), [], [], PerceptualLoss._features

    def noted(network: PerceptualLoss, images: torch.Tensor) -> torch.Tensor:
        found = features(network, images)
        dtypes.append(found.dtype)
        return found

    monkeypatch.setattr(PerceptualLoss, "_features", noted)
    for precision in ("32-true", "bf16-mixed"):
        trainer = Trainer(recipe, tmp_path, Compute("cpu", precision=precision).fabric(), images, images)
        losses.append(trainer.training_step(trainer.batches[0])["perceptual"].item())
    assert dtypes == [torch.float32] * 2 + [torch.bfloat16] * 2
    assert losses[1] == pytest.approx(losses[0], rel=0.1) and losses[0] > 0


def test_a_first_stage_that_nothing_follows_has_one_fall_of_the_rate(tmp_path: Path) -> None:
    run = training.train(tiny("srgan", epochs=3, adversarial_weight=0.0, lr_decay="cosine"), tmp_path / "run")
    rates = [row["lr"] for row in read_csv(run / "metrics.csv")]
    assert rates == sorted(rates, reverse=True)


def test_a_run_without_a_second_stage_keeps_one_generator(tmp_path: Path) -> None:
    run = training.train(tiny("srgan", epochs=1, pretrain_epochs=5), tmp_path / "run")
    assert all("d_loss" not in row for row in read_csv(run / "metrics.csv"))
    assert load_facts(run / "best.safetensors")["stage"] == "pixel loss"
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


def test_a_run_that_diverges_is_said(tmp_path: Path) -> None:
    recipe = tiny(
        residual=False, mask_input=False, norm="none", learning_rate=1.0, epochs=30, adversarial_weight=1e6
    )
    broken = recipe.generator()
    torch.nn.init.constant_(broken.out.weight, float("nan"))
    object.__setattr__(recipe, "generator", lambda: broken)
    problem = "d_loss, d_fake, g_loss, pixel, adversarial not finite in step 1"
    with pytest.raises(UserError, match=rf"training diverged: {problem}; .*checkpoint: none yet"):
        training.train(recipe, tmp_path / "run")
    assert not (tmp_path / "run" / "best.safetensors").exists()


def test_one_may_look_at_the_networks_after_each_epoch_and_changes_nothing(tmp_path: Path) -> None:
    recipe = tiny("srgan", epochs=2, pretrain_epochs=0, discriminator_kind="local", adversarial="hinge")
    seen = []

    def look(generator: torch.nn.Module, discriminator: torch.nn.Module | None) -> None:
        assert discriminator is not None and not (generator.training or discriminator.training)
        image = torch.rand(1, 3, 16, 16)
        output = discriminator(image, image)  # in training mode this would change its spectral normalisation
        assert not output.requires_grad
        seen.append(generator(image))

    for name, after_epoch in (("watched", look), ("alone", None)):
        training.train(recipe, tmp_path / name, after_epoch=after_epoch)
    assert len(seen) == 2 and not torch.equal(*seen)
    watched, alone = (load_state(tmp_path / name / "last.ckpt") for name in ("watched", "alone"))
    for part in ("generator", "discriminator"):
        assert all(torch.equal(watched[part][key], value) for key, value in alone[part].items())
