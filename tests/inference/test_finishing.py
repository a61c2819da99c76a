import pytest
import torch
from support import tiny
from torch import Tensor

from gan_restore.baselines import bicubic
from gan_restore.files import UserError
from gan_restore.images import to_bytes
from gan_restore.inference import Compute, Restorer
from gan_restore.inference.finishing import enlarged, finish


@pytest.fixture(params=[2**18, 100])
def strip_pixels(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Images in one strip, and in many."""
    monkeypatch.setattr("gan_restore.strips.STRIP_PIXELS", request.param)


@pytest.mark.usefixtures("strip_pixels")
def test_strength_lies_between_input_and_output() -> None:
    before, after = torch.rand(2, 3, 21, 17), torch.rand(2, 3, 21, 17)
    for strength in (0.0, 0.25, 1.0):
        result = after.clone()
        finish(before, result, strength=strength)
        assert torch.allclose(result, before + strength * (after - before), atol=1e-6)


@pytest.mark.usefixtures("strip_pixels")
def test_an_enlargement_of_strength_0_is_bicubic() -> None:
    before = torch.rand(1, 3, 21, 17)
    expected = bicubic(4)(before)
    result = torch.rand(1, 3, 84, 68)
    finish(before, result, strength=0.0)
    assert torch.allclose(result, expected, atol=1e-5)
    assert torch.allclose(enlarged(before, 4), expected, atol=1e-5)
    assert (enlarged(to_bytes(before), 4).int() - to_bytes(expected).int()).abs().max() <= 1


@pytest.mark.usefixtures("strip_pixels")
@pytest.mark.parametrize("dtype", [torch.float32, torch.uint8, torch.uint16])
def test_pixels_that_changed_little_are_preserved_exactly(dtype: torch.dtype) -> None:
    before, change = torch.rand(1, 3, 21, 17) * 0.5, torch.rand(1, 1, 21, 17) * 0.1
    change = torch.cat([change, torch.zeros(1, 2, 21, 17)], 1)
    little = change.amax(1) < 0.05
    white = 1 if dtype == torch.float32 else torch.iinfo(dtype).max
    images, restored = ((image * white).to(dtype) for image in (before, before + change))
    result = restored.clone()
    finish(images, result, preserve=0.05)
    near = (change.amax(1) - 0.05).abs() < 0.01  # rounding decides about these
    result, images, restored = (image.float().movedim(1, -1) for image in (result, images, restored))
    assert torch.equal(result[little & ~near], images[little & ~near])
    assert torch.allclose(result[~little & ~near], restored[~little & ~near], atol=1e-6)


def test_a_restorer_mixes_preserves_and_turns(photo: Tensor) -> None:
    recipe = tiny("pix2pix")
    generator = recipe.generator()
    torch.manual_seed(0)
    torch.nn.init.normal_(generator.out.weight, std=0.3)

    def restore(**options: object) -> Tensor:
        return Restorer(generator, Compute(device="cpu"), recipe, **options)(photo)

    full = restore()
    change = (full - photo).abs().amax(1, keepdim=True)
    assert torch.allclose(restore(strength=0.5), photo.lerp(full, 0.5), atol=1e-6)
    kept = restore(preserve=float(change.median()))
    assert 0.4 < (kept == photo).all(1).float().mean() < 0.6
    square = photo[..., :48]
    turned = Restorer(generator, Compute(device="cpu"), recipe, ensemble=True)
    for turn in (lambda x: x.flip(3), lambda x: x.rot90(1, (2, 3))):
        assert torch.allclose(turned(turn(square)), turn(turned(square)), atol=1e-5), "as all turns count alike"
    assert not torch.allclose(turned(square), full[..., :48], atol=1e-3)


def test_options_that_make_no_sense_are_refused() -> None:
    for options in ({"strength": 1.5}, {"preserve": -0.1}):
        with pytest.raises(UserError, match="between 0 and 1"):
            Restorer(tiny().generator(), **options)
    with pytest.raises(UserError, match="an enlargement has none"):
        Restorer(tiny("srgan").generator(), recipe=tiny("srgan"), preserve=0.1)
