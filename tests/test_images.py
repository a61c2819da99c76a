import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from support import ODD, described, encoded

from gan_restore.files import UserError
from gan_restore.images import (
    decode,
    enlarge_to,
    list_images,
    read,
    to_bytes,
    to_tensor,
    write,
)
from gan_restore.photos import read_photo


@pytest.mark.parametrize("size", ODD)
def test_a_png_comes_back_as_it_went(tmp_path: Path, size: tuple[int, int]) -> None:
    image = to_tensor(torch.randint(0, 256, (1, 3, *size), dtype=torch.uint8))
    write(tmp_path / "a.png", image)
    assert torch.equal(read(tmp_path / "a.png"), image)
    assert read(tmp_path / "a.png").dtype == torch.float32


def test_every_8_bit_value_comes_back() -> None:
    values = torch.arange(256, dtype=torch.uint8).expand(1, 3, 1, 256)
    assert torch.equal(to_bytes(to_tensor(values)), values)


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


def test_formats_that_are_not_read_are_named(tmp_path: Path) -> None:
    (tmp_path / "photo.HEIC").write_bytes(b"\0\0\0\x18ftypheic")
    Image.new("RGB", (16, 12)).save(tmp_path / "photo.dng", format="TIFF")  # camera RAW holds a thumbnail as TIFF
    for name, kind in (("photo.HEIC", "HEIC"), ("photo.dng", "camera RAW")):
        with pytest.raises(UserError, match=f"{name}: {kind} is not read; export it as JPEG, PNG or TIFF"):
            read(tmp_path / name)
    Image.new("RGB", (16, 12)).save(tmp_path / "photo.HEIC", format="PNG")
    assert read(tmp_path / "photo.HEIC").shape == (1, 3, 12, 16), "the content decides, and not the name"


def test_enlarging_matches_pillow() -> None:
    face = torch.randint(0, 256, (1, 1, 48, 48), dtype=torch.uint8)
    ours = to_bytes(enlarge_to(to_tensor(face), 128))[0, 0].numpy().astype(int)
    pillow = np.asarray(Image.fromarray(face[0, 0].numpy()).resize((128, 128), Image.Resampling.BILINEAR)).astype(
        int
    )
    assert np.abs(ours - pillow).max() <= 1
    assert torch.equal(enlarge_to(to_tensor(face), 48), to_tensor(face))


FUZZ = """
import random, resource, sys, warnings
from pathlib import Path
from gan_restore.files import UserError
from gan_restore.images import decode
from gan_restore.photos import PhotoWarning, read_photo

warnings.simplefilter("ignore", PhotoWarning)
whole = [(path.suffix, path.read_bytes()) for path in sorted(Path(sys.argv[1]).iterdir())]
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
draw, counts = random.Random(0), {"read": 0, "refused": 0}
for number in range(500):
    suffix, data = whole[number % len(whole)]
    data = bytearray(data)
    for _ in range(draw.choice([1, 3, 30])):  # mostly in the header, where a format says most
        place = draw.randrange(draw.choice([64, 300, len(data)])) % len(data)
        data[place] = draw.choice([0, 1, 127, 255, draw.randrange(256)])
    if draw.random() < 0.2:
        del data[draw.randrange(len(data)) :]
    file = Path(sys.argv[2] + suffix)
    file.write_bytes(data)
    for function in (decode, read_photo):
        try:
            function(file)
            counts["read"] += 1
        except UserError as error:
            assert str(error).startswith(f"cannot read the image {file}: ") and "\\n" not in str(error), error
            counts["refused"] += 1
print(counts["read"], counts["refused"], (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


def test_damaged_files_are_read_or_refused_in_one_line(tmp_path: Path) -> None:
    """In a process of its own, to see what it prints and how much memory it takes."""
    (tmp_path / "whole").mkdir()
    for suffix in (".jpg", ".png", ".tif", ".webp", ".gif"):
        exif = {} if suffix == ".gif" else {"exif": described(), "dpi": (72, 72)}
        (tmp_path / "whole" / f"a{suffix}").write_bytes(encoded(suffix, **exif))
    arguments = [sys.executable, "-W", "always", "-c", FUZZ, str(tmp_path / "whole"), str(tmp_path / "damaged")]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0 and done.stderr == "", done.stderr[-2000:]
    read_, refused, mebibytes = map(int, done.stdout.split())
    assert read_ > 100 and refused > 100 and read_ + refused == 1000
    assert mebibytes < 1500, "at Pillow's limit an image takes 0.5 GB as RGB"


def test_what_a_format_cannot_hold_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"cannot write .*wide\.webp.*16383"):
        write(tmp_path / "wide.webp", torch.zeros(1, 3, 1, 16384))
    assert not list(tmp_path.iterdir())


def test_a_decompression_bomb_is_refused_with_the_limit(tmp_path: Path) -> None:
    data = encoded(".png")
    wide = data[:16] + struct.pack(">LL", 20000, 20000) + data[24:]
    header = wide[:29] + struct.pack(">L", zlib.crc32(wide[12:29])) + wide[33:]
    (tmp_path / "bomb.png").write_bytes(header)
    with pytest.raises(UserError, match=r"bomb\.png: it has more than 178,956,970 pixels"):
        read(tmp_path / "bomb.png")


def test_names_that_are_not_utf8(tmp_path: Path) -> None:
    name = os.fsdecode(os.fsencode(tmp_path / "caf") + b"\xe9")
    try:
        write(f"{name}.png", torch.zeros(1, 3, 4, 4))
    except UserError:
        pytest.skip("this file system takes UTF-8 names only")
    assert read(f"{name}.png").shape == (1, 3, 4, 4) and len(list_images(tmp_path)) == 1
    Path(f"{name}.jpg").write_bytes(b"no image")
    for function, path in ((read, f"{name}.jpg"), (read, f"{name}.tif"), (list_images, name)):
        with pytest.raises(UserError, match="caf") as error:
            function(path)
        str(error.value).encode()


def test_an_array_without_channels_is_refused() -> None:
    with pytest.raises(ValueError, match="H x W x 3, not 5 x 7"):
        to_tensor(np.zeros((5, 7), np.uint8))
