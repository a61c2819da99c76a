from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from support import ODD

from gan_restore.files import UserError
from gan_restore.images import (
    Photo,
    decode,
    enlarge_to,
    group_by_shape,
    list_images,
    read,
    read_photo,
    to_bytes,
    to_tensor,
    write,
)


@pytest.mark.parametrize("size", ODD)
def test_a_png_comes_back_as_it_went(tmp_path: Path, size: tuple[int, int]) -> None:
    image = to_tensor(torch.randint(0, 256, (1, 3, *size), dtype=torch.uint8))
    write(tmp_path / "a.png", image)
    assert torch.equal(read(tmp_path / "a.png"), image)
    assert read(tmp_path / "a.png").dtype == torch.float32


def test_exif_turn_is_applied(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned by a quarter
    Image.new("RGB", (30, 20)).save(tmp_path / "turned.jpg", exif=exif)
    assert read(tmp_path / "turned.jpg").shape == (1, 3, 30, 20)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "F"])
def test_every_mode_becomes_rgb_in_range(tmp_path: Path, mode: str) -> None:
    if mode == "I;16":
        image, name = Image.fromarray(np.full((8, 9), 40000, np.uint16)), "a.png"
    elif mode == "F":
        image, name = Image.fromarray(np.full((8, 9), 100, np.float32)), "a.tif"
    else:
        image = Image.new("RGB", (9, 8), (200, 100, 50)).convert(mode)
        name = "a.tif" if mode == "CMYK" else "a.png"
    image.save(tmp_path / name)
    photo = read_photo(tmp_path / name)
    assert photo.rgb.shape == (1, 3, 8, 9) and 0 <= photo.rgb.min() <= photo.rgb.max() <= 1
    assert decode(tmp_path / name).shape == (8, 9, 3)


def test_alpha_gray_and_16_bits_survive(tmp_path: Path) -> None:
    alpha = torch.linspace(0, 1, 64).reshape(1, 1, 8, 8)
    write(tmp_path / "alpha.png", Photo(torch.rand(1, 3, 8, 8), alpha=alpha))
    assert torch.allclose(read_photo(tmp_path / "alpha.png").alpha, alpha, atol=0.5 / 255)
    deep = torch.linspace(0, 1, 64).reshape(1, 1, 8, 8).expand(-1, 3, -1, -1)
    write(tmp_path / "deep.png", Photo(deep, gray=True, bits=16))
    again = read_photo(tmp_path / "deep.png")
    assert again.gray and again.bits == 16 and torch.allclose(again.rgb, deep, atol=1 / 65535)


def test_the_colour_profile_is_handed_on(tmp_path: Path) -> None:
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png", icc_profile=b"a profile")
    write(tmp_path / "b.png", read_photo(tmp_path / "a.png"))
    assert Image.open(tmp_path / "b.png").info["icc_profile"] == b"a profile"


def test_floats_in_the_unit_range_stay_there(tmp_path: Path) -> None:
    Image.fromarray(np.full((4, 4), 0.25, np.float32)).save(tmp_path / "f.tif")
    assert torch.allclose(read_photo(tmp_path / "f.tif").rgb, torch.tensor(0.25))


def test_transparent_parts_are_laid_on_white(tmp_path: Path) -> None:
    Image.new("RGBA", (4, 4), (255, 0, 0, 0)).save(tmp_path / "clear.png")
    assert (read(tmp_path / "clear.png") == 1).all()


def test_a_truncated_jpeg_is_named(tmp_path: Path) -> None:
    write(tmp_path / "whole.jpg", torch.rand(1, 3, 64, 64))
    (tmp_path / "cut.jpg").write_bytes((tmp_path / "whole.jpg").read_bytes()[:700])
    with pytest.raises(UserError, match=r"cannot read the image .*cut\.jpg"):
        read(tmp_path / "cut.jpg")


def test_other_mistakes(tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("hello")
    for path, message in (
        (tmp_path / "text.png", "cannot read the image"),
        (tmp_path / "none.png", "no such file"),
    ):
        with pytest.raises(UserError, match=message):
            read(path)
    with pytest.raises(UserError, match="names no image format"):
        write(tmp_path / "a.xyz", torch.rand(1, 3, 4, 4))
    with pytest.raises(UserError, match="no such folder"):
        list_images(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="no images in"):
        list_images(tmp_path / "empty")


def test_enlarging_matches_pillow() -> None:
    face = torch.randint(0, 256, (1, 1, 48, 48), dtype=torch.uint8)
    ours = to_bytes(enlarge_to(to_tensor(face), 128))[0, 0].numpy().astype(int)
    pillow = np.asarray(Image.fromarray(face[0, 0].numpy()).resize((128, 128), Image.Resampling.BILINEAR)).astype(
        int
    )
    assert np.abs(ours - pillow).max() <= 1
    assert torch.equal(enlarge_to(to_tensor(face), 48), to_tensor(face))


def test_by_shape_gives_every_image_once() -> None:
    images = [torch.rand(1, 3, 4 + i % 2, 4) for i in range(7)]
    seen = {i: batch[k] for positions, batch in group_by_shape(images, 2) for k, i in enumerate(positions)}
    assert sorted(seen) == list(range(7)) and all(torch.equal(seen[i], images[i][0]) for i in seen)
