from contextlib import ExitStack
from pathlib import Path

import pytest
import timed_steps
import torch
import training_speed
from support import glibc, noise_images, pages_mapped_by_a_tensor, tiny

from gan_restore.inference.devices import Compute
from gan_restore.networks import layers
from gan_restore.training import Trainer, steps


@pytest.mark.parametrize("name", ["unet-denoiser", "pix2pix", "resnet-gan", "face-cgan", "srgan"])
def test_the_plain_step_computes_what_the_trainer_does(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.Tensor, "contiguous", torch.Tensor.contiguous)  # the plain step replaces these
    monkeypatch.setattr(layers, "pays", layers.pays)
    options = {"dropout": 0.0} if name in ("unet-denoiser", "pix2pix") else {}
    recipe = tiny(name, "full", perceptual_weight=0.0, pretrain_epochs=0, epochs=5, **options)
    images = noise_images(*[(40, 40)] * 8)
    trainer = Trainer(recipe, tmp_path, Compute(device="cpu").fabric(), images, images)
    ours = trainer.training_step(trainer.batches[0])
    plain = timed_steps.plain_step(trainer)(trainer.batches[0])
    expected = [ours[loss].item() for loss in ("d_loss", "g_loss") if loss in ours]
    assert plain == pytest.approx(expected, rel=1e-4)


def test_each_part_of_the_speed_can_be_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    for owner, name in ((layers, "pays"), (torch.Tensor, "contiguous"), (steps, "_frozen"), (torch.optim, "Adam")):
        monkeypatch.setattr(owner, name, getattr(owner, name))  # set back after the test
    network, image = torch.nn.Conv2d(1, 1, 1), torch.ones(1, 2, 3, 3)
    timed_steps.without("layers")
    assert not layers.pays(image)
    timed_steps.without("channels-last")
    assert image.contiguous(memory_format=torch.channels_last).is_contiguous()
    timed_steps.without("freezing")
    with steps._frozen(network):
        assert network.weight.requires_grad
    timed_steps.without("fused-adam")
    assert torch.optim.Adam(network.parameters(), fused=True).defaults["fused"] is None


@glibc
@pytest.mark.parametrize(("variant", "kept"), [("32-true", True), ("without-kept-memory", False)])
def test_the_step_that_is_measured_keeps_freed_memory(
    variant: str, kept: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ExitStack() as until_the_end:
        monkeypatch.setattr(timed_steps, "UNTIL_THE_END", until_the_end)
        batches, step, _ = timed_steps.one_step("resnet-gan", variant, "smoke", "cpu")
        step(next(batches))
        assert (min(pages_mapped_by_a_tensor() for _ in range(5)) < 100) is kept


def test_the_table_of_a_scale_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    readme, full, smoke = tmp_path / "README.md", "<!-- training speed: full -->", "<!-- training speed: smoke -->"
    readme.write_text(f"a\n{full}old<!-- end -->\n{smoke}b<!-- end -->\n")
    monkeypatch.setattr(training_speed, "README", readme)
    for table in ("first", "second"):
        training_speed.write(table, full)
    assert readme.read_text() == f"a\n{full}\n\nsecond\n\n<!-- end -->\n{smoke}b<!-- end -->\n"
