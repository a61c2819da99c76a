import io
import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import ExifTags, Image
from support import ODD

from gan_restore.files import UserError
from gan_restore.images import (
    SUFFIXES,
    Photo,
    decode,
    enlarge_to,
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


def encoded(suffix: str, **options: object) -> bytes:
    """A small image file in the format of the suffix."""
    file = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8)
    Image.fromarray(pixels).save(file, Image.registered_extensions()[suffix], **options)
    return file.getvalue()


def described(orientation: int = 6) -> bytes:
    """EXIF data as a camera writes it, with an orientation."""
    exif = Image.Exif()
    exif.endian = "<"
    exif.update({ExifTags.Base.Artist: "Ada", ExifTags.Base.Orientation: orientation})
    exif[ExifTags.IFD.Exif] = {ExifTags.Base.DateTimeOriginal: "2001:02:03 04:05:06"}
    exif[ExifTags.IFD.Exif] |= {ExifTags.Base.ExifImageWidth: 32, ExifTags.Base.MakerNote: b"private"}
    exif[ExifTags.IFD.GPSInfo] = {ExifTags.GPS.GPSLatitudeRef: "N"}
    return exif.tobytes()


def with_thumbnail(exif: bytes) -> bytes:
    """The same EXIF data with a thumbnail: a second directory, linked from the end of the first."""
    tiff = exif.removeprefix(b"Exif\0\0")
    count = struct.unpack_from("<H", tiff, 8)[0]
    link = 10 + 12 * count
    start, length = (0x0201, 4, 1, len(tiff) + 30), (0x0202, 4, 1, 5)  # of the thumbnail
    directory = struct.pack("<HHHLLHHLLL", 2, *start, *length, 0)
    return b"Exif\0\0" + tiff[:link] + struct.pack("<L", len(tiff)) + tiff[link + 4 :] + directory + b"thumb"


FUZZ = """
import random, resource, sys
from pathlib import Path
from gan_restore.files import UserError
from gan_restore.images import decode, read_photo

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


@pytest.mark.parametrize(("place", "value"), [(22, 0), (22, 26), (48, 6), (136, 3), (0, 0), (16, 9)])
def test_a_jpeg_with_damaged_exif_is_read(tmp_path: Path, place: int, value: int) -> None:
    """Pillow raises struct.error, TypeError, ValueError and TypeError; the last two hide the orientation."""
    data, plain = bytearray(encoded(".jpg", exif=described())), tmp_path / "plain.jpg"
    data[data.index(b"Exif\0\0") + 6 + place] = value
    (tmp_path / "a.jpg").write_bytes(data)
    plain.write_bytes(encoded(".jpg"))
    image = read(plain)
    expected = image if place in (0, 16) else image.rot90(-1, (2, 3))
    assert torch.equal(read(tmp_path / "a.jpg"), expected)
    write(tmp_path / "b.jpg", read_photo(tmp_path / "a.jpg"))
    assert read(tmp_path / "b.jpg").shape == expected.shape


def test_a_tiff_without_a_resolution_gets_none(tmp_path: Path) -> None:
    (tmp_path / "a.tif").write_bytes(encoded(".tif"))
    assert read_photo(tmp_path / "a.tif").dpi is None


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif", ".webp"])
def test_exif_profile_and_resolution_are_kept_and_say_upright(tmp_path: Path, suffix: str) -> None:
    source, target = tmp_path / f"a{suffix}", tmp_path / f"b{suffix}"
    exif = described() if suffix == ".tif" else with_thumbnail(described())
    source.write_bytes(encoded(suffix, exif=exif, icc_profile=b"a profile", dpi=(300, 300)))
    if suffix == ".jpg":
        assert b"thumb" in source.read_bytes()
    photo = read_photo(source)
    assert photo.rgb.shape == (1, 3, 32, 24)
    write(target, photo)
    with Image.open(target) as image:
        found = image.getexif()
        assert image.size == (24, 32) and image.info["icc_profile"] == b"a profile"
        assert suffix == ".webp" or image.info["dpi"] == pytest.approx((300, 300), abs=0.1)
        assert found[ExifTags.Base.Artist] == "Ada" and ExifTags.Base.Orientation not in found
        assert found.get_ifd(ExifTags.IFD.Exif) == {ExifTags.Base.DateTimeOriginal: "2001:02:03 04:05:06"}
        assert found.get_ifd(ExifTags.IFD.GPSInfo) == {ExifTags.GPS.GPSLatitudeRef: "N"}
        assert not found.get_ifd(ExifTags.IFD.IFD1) and b"thumb" not in target.read_bytes()
    assert torch.equal(read(target).argmax(), photo.rgb.argmax()) or suffix == ".jpg"


@pytest.mark.parametrize("white", [1.0, 255.0, 65535.0])
def test_a_few_floats_above_white_are_cut_off(tmp_path: Path, white: float) -> None:
    values = np.linspace(0, white, 64, dtype=np.float32).reshape(8, 8)
    Image.fromarray(values).save(tmp_path / "plain.tif")
    expected = read_photo(tmp_path / "plain.tif").rgb
    assert torch.allclose(expected[0, 0], torch.from_numpy(values / white), atol=1e-6)
    for bright in (1.001, 1.5, 9.0):
        values[7, 7] = bright * white
        Image.fromarray(values).save(tmp_path / "bright.tif")
        assert torch.equal(read_photo(tmp_path / "bright.tif").rgb, expected), bright
    values[0, :2] = np.nan, -np.inf
    Image.fromarray(values).save(tmp_path / "broken.tif")
    assert torch.isfinite(read_photo(tmp_path / "broken.tif").rgb).all()


def test_webp_loses_nothing(tmp_path: Path) -> None:
    photo = Photo(
        to_tensor(torch.randint(0, 256, (1, 3, 20, 30), dtype=torch.uint8)), alpha=torch.zeros(1, 1, 20, 30)
    )
    write(tmp_path / "a.webp", photo)
    assert torch.equal(read_photo(tmp_path / "a.webp").rgb, photo.rgb)


@pytest.mark.parametrize("suffix", sorted(SUFFIXES))
def test_every_kind_of_photo_is_written_in_every_format(tmp_path: Path, suffix: str) -> None:
    rgb, facts = torch.rand(1, 3, 9, 8), {"icc": b"profile", "exif": described(1), "dpi": (72.0, 72.0)}
    for alpha in (None, torch.rand(1, 1, 9, 8)):
        for gray in (False, True):
            for bits in (8, 16):
                write(tmp_path / f"a{suffix}", Photo(rgb, alpha, gray, bits, **facts))
                assert read_photo(tmp_path / f"a{suffix}").rgb.shape == rgb.shape


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
