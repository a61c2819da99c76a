import pytest
import torch

from gan_restore import recipes
from gan_restore.files import UserError
from gan_restore.training.examples import degraded_and_clean


def test_a_share_of_the_crops_stays_undamaged() -> None:
    batch = torch.randint(256, (64, 3, 16, 16), dtype=torch.uint8)
    half = recipes.get("resnet-gan", undamaged=0.5)
    degraded, clean = degraded_and_clean(batch, half, 0, 0, torch.device("cpu"))
    same = (degraded == clean).flatten(1).all(1)
    assert 16 < same.sum() < 48
    all_damaged, _ = degraded_and_clean(batch, recipes.get("resnet-gan"), 0, 0, torch.device("cpu"))
    assert torch.equal(degraded[~same], all_damaged[~same]), "the damage of the others does not depend on the share"
    assert not (all_damaged == clean).flatten(1).all(1).any()


def test_pairs_of_a_data_set_are_toned_together_and_a_share_stays_undamaged() -> None:
    clean = torch.randint(256, (64, 3, 16, 16), dtype=torch.uint8)
    batch = torch.cat([clean, clean.flip(3)], dim=1)  # the "damaged" images are mirrored
    recipe = recipes.get("pix2pix", toned=1.0, undamaged=0.5)
    degraded, toned = degraded_and_clean(batch, recipe, 0, 0, torch.device("cpu"))
    assert 10 < (toned.std(dim=1).flatten(1).amax(1) < 1e-3).sum() < 40, "about a third is gray"
    same = (degraded == toned).flatten(1).all(1)
    assert 16 < same.sum() < 48
    assert torch.allclose(degraded[~same], toned[~same].flip(3), atol=0.01), "the tone of both is the same"


def test_enlargements_have_no_undamaged_crops() -> None:
    with pytest.raises(UserError, match="undamaged is for recipes that keep the size"):
        recipes.get("srgan", undamaged=0.1)
