import torch
import torch.nn.functional as F

from gan_restore.inference.places import Places


def test_the_interpolation_of_a_tile_is_that_of_the_whole_image() -> None:
    small = torch.rand(1, 3, 40, 61)
    whole = F.interpolate(small, size=(81, 122), mode="bilinear")
    rows, columns = Places(slice(30, 70), 81, 40), Places(slice(50, 122), 122, 61)
    part = columns.interpolate(rows.interpolate(small[..., rows.around, columns.around], 2), 3)
    assert torch.allclose(part, whole[..., 30:70, 50:122], atol=1e-5)
