import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from PIL import ExifTags, Image, ImageOps, TiffImagePlugin
from support import described, encoded

from gan_restore import photos
from gan_restore.files import MemoryFile, UserError
from gan_restore.images import SUFFIXES, read, to_tensor
from gan_restore.photos import Photo, PhotoWarning, photo_warnings, read_photo, write_photo


def with_thumbnail(exif: bytes) -> bytes:
    """The same EXIF data with a thumbnail: a second directory, linked from the end of the first."""
    tiff = exif.removeprefix(b"Exif\0\0")
    count = struct.unpack_from("<H", tiff, 8)[0]
    link = 10 + 12 * count
    start, length = (0x0201, 4, 1, len(tiff) + 30), (0x0202, 4, 1, 5)  # of the thumbnail
    directory = struct.pack("<HHHLLHHLLL", 2, *start, *length, 0)
    return b"Exif\0\0" + tiff[:link] + struct.pack("<L", len(tiff)) + tiff[link + 4 :] + directory + b"thumb"


def test_alpha_gray_and_16_bits_survive(tmp_path: Path) -> None:
    alpha = torch.linspace(0, 1, 64).reshape(1, 1, 8, 8)
    write_photo(tmp_path / "alpha.png", Photo.of(torch.rand(1, 3, 8, 8), alpha=alpha))
    assert torch.allclose(read_photo(tmp_path / "alpha.png").alpha, alpha, atol=0.5 / 255)
    deep = torch.linspace(0, 1, 64).reshape(1, 1, 8, 8).expand(-1, 3, -1, -1)
    write_photo(tmp_path / "deep.png", Photo.of(deep, gray=True, bits=16))
    again = read_photo(tmp_path / "deep.png")
    assert again.gray and again.bits == 16 and torch.allclose(again.rgb, deep, atol=1 / 65535)


def test_the_colour_profile_is_handed_on(tmp_path: Path) -> None:
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png", icc_profile=b"a profile")
    write_photo(tmp_path / "b.png", read_photo(tmp_path / "a.png"))
    assert Image.open(tmp_path / "b.png").info["icc_profile"] == b"a profile"


def test_floats_in_the_unit_range_stay_there(tmp_path: Path) -> None:
    Image.fromarray(np.full((4, 4), 0.25, np.float32)).save(tmp_path / "f.tif")
    assert torch.allclose(read_photo(tmp_path / "f.tif").rgb, torch.tensor(0.25), atol=1e-5)


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
    with photo_warnings() as told:
        photo = read_photo(tmp_path / "a.jpg")
    lost = [] if photo.exif else [f"{tmp_path}/a.jpg: its EXIF data is damaged, and is left out"]
    assert told == lost and bool(lost) == (place not in (16, 22) or value == 26)
    write_photo(tmp_path / "b.jpg", photo)
    assert read(tmp_path / "b.jpg").shape == expected.shape


@pytest.mark.parametrize("suffix", [".png", ".webp", ".jpg"])
def test_exif_data_with_a_damaged_header_is_left_out_and_said(tmp_path: Path, suffix: str) -> None:
    path, exif = tmp_path / f"a{suffix}", Image.Exif()
    path.write_bytes(encoded(suffix, exif=described().replace(b"II*", b"\0I*")))
    with pytest.warns(PhotoWarning, match=r"its EXIF data is damaged"):
        assert read_photo(path).exif is None
    exif[ExifTags.Base.Orientation] = 6
    path.write_bytes(encoded(suffix, exif=exif))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read_photo(path).exif is None, "there is nothing but the orientation"


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
    write_photo(target, photo)
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
    step = 1 / 255 if white == 255 else 1 / 65535
    assert torch.allclose(expected[0, 0], torch.from_numpy(values / white), atol=0.51 * step)
    for bright in (1.001, 1.5, 9.0):
        values[7, 7] = bright * white
        Image.fromarray(values).save(tmp_path / "bright.tif")
        assert torch.equal(read_photo(tmp_path / "bright.tif").rgb, expected), bright
    values[0, :2] = np.nan, -np.inf
    Image.fromarray(values).save(tmp_path / "broken.tif")
    assert torch.isfinite(read_photo(tmp_path / "broken.tif").rgb).all()


def test_webp_loses_nothing(tmp_path: Path) -> None:
    photo = Photo.of(
        to_tensor(torch.randint(0, 256, (1, 3, 20, 30), dtype=torch.uint8)), alpha=torch.zeros(1, 1, 20, 30)
    )
    write_photo(tmp_path / "a.webp", photo)
    assert torch.equal(read_photo(tmp_path / "a.webp").rgb, photo.rgb)


@pytest.mark.filterwarnings("ignore::gan_restore.photos.PhotoWarning")
@pytest.mark.parametrize("suffix", sorted(SUFFIXES))
def test_every_kind_of_photo_is_written_in_every_format(tmp_path: Path, suffix: str) -> None:
    rgb, facts = torch.rand(1, 3, 9, 8), {"icc": b"profile", "exif": described(1), "dpi": (72.0, 72.0)}
    for alpha in (None, torch.rand(1, 1, 9, 8)):
        for gray in (False, True):
            for bits in (8, 16):
                write_photo(tmp_path / f"a{suffix}", Photo.of(rgb, alpha, gray, bits, **facts))
                assert read_photo(tmp_path / f"a{suffix}").rgb.shape == rgb.shape


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("deep", [False, True])
def test_every_orientation_is_applied_once(tmp_path: Path, orientation: int, deep: bool) -> None:
    pixels = np.arange(4 * 6 * 3, dtype=np.uint16).reshape(4, 6, 3) * 500
    if deep:
        tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="rgb", extratags=[(274, 3, 1, orientation, True)])
    else:
        exif = Image.Exif()
        exif[ExifTags.Base.Orientation] = orientation
        Image.fromarray((pixels >> 8).astype(np.uint8)).save(tmp_path / "a.tif", exif=exif)
    expected = Image.fromarray((pixels[..., 0] >> 8).astype(np.uint8))
    expected.getexif()[ExifTags.Base.Orientation] = orientation
    expected = torch.from_numpy(np.array(ImageOps.exif_transpose(expected)))
    for name in ("b.tif", "c.tif"):
        photo = read_photo(tmp_path / "a.tif")
        assert photo.bits == (16 if deep else 8)
        assert torch.equal((photo.pixels[0, 0].int() // (256 if deep else 1)).byte(), expected)
        write_photo(tmp_path / name, photo)
        (tmp_path / name).replace(tmp_path / "a.tif")  # the second time, it is upright already


@pytest.mark.parametrize("mode", ["LA", "RGBA", "P", "L", "I;16", "RGB", "1"])
@pytest.mark.parametrize("size", [(1, 1), (1, 40), (40, 1), (9, 8)])
def test_a_png_of_every_mode_comes_back_as_it_went(tmp_path: Path, mode: str, size: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    if mode == "I;16":
        image = Image.fromarray(rng.integers(0, 65536, size, np.uint16))
    else:
        image = Image.fromarray(rng.integers(0, 256, (*size, 4), np.uint8)).convert("RGB" if mode == "P" else mode)
    image = image.convert("P") if mode == "P" else image
    image.save(tmp_path / "a.png", **({"transparency": 3} if mode == "P" else {}))
    photo = read_photo(tmp_path / "a.png")
    assert photo.gray == (mode in ("L", "LA", "I;16", "1")) and photo.bits == (16 if mode == "I;16" else 8)
    assert (photo.alpha is not None) == (mode in ("LA", "RGBA", "P"))
    write_photo(tmp_path / "b.png", photo)
    kind = {"P": "RGBA", "1": "L"}.get(mode, mode)
    with Image.open(tmp_path / "a.png") as before, Image.open(tmp_path / "b.png") as after:
        assert after.mode == kind
        assert np.array_equal(before.convert(kind) if kind != mode else before, after)


@pytest.mark.parametrize("channels", [3, 4])
def test_16_bit_colour_is_kept_in_tiff_files(tmp_path: Path, channels: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 65536, (9, 8, channels), np.uint16)
    kinds = ["unassalpha"] if channels == 4 else []
    tifffile.imwrite(
        tmp_path / "a.tif", pixels, photometric="rgb", extrasamples=kinds, resolution=(300, 300),
        resolutionunit="INCH", iccprofile=b"a profile",
    )  # fmt: skip
    for name in ("b.tif", "c.tif"):
        photo = read_photo(tmp_path / "a.tif")
        assert photo.bits == 16 and photo.icc == b"a profile" and photo.dpi == (300, 300)
        assert np.array_equal(photo.pixels[0].permute(1, 2, 0), pixels[..., :3])
        assert (photo.alpha is None) == (channels == 3)
        write_photo(tmp_path / name, photo)
        (tmp_path / name).replace(tmp_path / "a.tif")
    write_photo(tmp_path / "d.png", photo)
    assert (read_photo(tmp_path / "d.png").rgb - photo.rgb).abs().max() < 0.51 / 255


def test_a_deflated_tiff_that_holds_more_than_its_size_says_is_not_inflated(tmp_path: Path, monkeypatch) -> None:
    inflated, real = [], tifffile.TiffPage.asarray
    monkeypatch.setattr(tifffile.TiffPage, "asarray", lambda page: inflated.append(page) or real(page))
    options = {"dtype": np.uint16, "photometric": "rgb", "compression": "zlib"}
    for size in (72, 2**23):
        with tifffile.TiffWriter(tmp_path / "a.tif") as file:
            file.write(iter([zlib.compress(bytes(size), 9)]), shape=(3, 4, 3), rowsperstrip=3, **options)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", PhotoWarning)
            assert read_photo(tmp_path / "a.tif").bits == (16 if size == 72 else 8)
    assert len(inflated) == 1, "Pillow reads the second, and stops where its size says"
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        assert not photos._is_plain(file.pages.first, (4, 2)), "not the size that Pillow bounded"


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize(("photometric", "extra"), [("separated", []), ("rgb", [0]), ("rgb", [1])])
def test_other_16_bit_channels_are_not_taken_for_rgb_and_transparency(
    tmp_path: Path, photometric: str, extra: list[int], order: str
) -> None:
    """Inks; a sample of no stated meaning (0); colours that are multiplied by their transparency (1)."""
    pixels = np.full((4, 6, 4), 60 * 257, np.uint16)
    pixels[..., 3] = 120 * 257
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric=photometric, extrasamples=extra, byteorder=order)
    with pytest.warns(PhotoWarning, match="16 bits a channel in colour, and is read with 8"):
        photo = read_photo(tmp_path / "a.tif")
    inks = (255 - 60) * (255 - 120) / 255
    level = inks if photometric == "separated" else 60 * 255 / 120 if extra == [1] else 60
    assert photo.bits == 8 and (photo.pixels.float() - level).abs().max() <= 1
    assert (photo.alpha_pixels == 120).all() if extra == [1] else photo.alpha is None


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_a_gray_tiff_whose_white_is_zero_is_no_negative(tmp_path: Path, dtype: type) -> None:
    values = np.linspace(0, 1 if dtype is np.float32 else np.iinfo(dtype).max, 24).reshape(4, 6).astype(dtype)
    for photometric in ("minisblack", "miniswhite"):
        tifffile.imwrite(tmp_path / f"{photometric}.tif", values, photometric=photometric)
    black, white = (read_photo(tmp_path / f"{name}.tif") for name in ("minisblack", "miniswhite"))
    assert black.bits == white.bits and torch.allclose(black.rgb, 1 - white.rgb)
    assert black.rgb[..., 0, 0].max() == 0


@pytest.mark.parametrize("kind", ["P5", "P2"])
@pytest.mark.parametrize("white", [1000, 65535])
def test_white_in_a_dark_16_bit_pgm_is_what_the_file_says(tmp_path: Path, kind: str, white: int) -> None:
    values = np.array([[0, 1], [2, 3]])
    pixels = values.astype(">u2").tobytes() if kind == "P5" else b"0 1 2 3\n"
    (tmp_path / "a.pgm").write_bytes(f"{kind} 2 2 {white}\n".encode() + pixels)
    photo = read_photo(tmp_path / "a.pgm")
    assert photo.bits == 16 and torch.allclose(photo.rgb[0, 0], torch.from_numpy(values / white).float(), atol=1e-5)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_16_bit_gray_keeps_its_transparency_with_8_and_says_so(tmp_path: Path, suffix: str) -> None:
    before = Photo.of(torch.rand(1, 3, 9, 8), alpha=torch.rand(1, 1, 9, 8), gray=True, bits=16)
    with pytest.warns(PhotoWarning, match=rf"a{suffix}: it is gray with transparency, and is written with 8"):
        write_photo(tmp_path / f"a{suffix}", before)
    after = read_photo(tmp_path / f"a{suffix}")
    assert after.gray and (after.rgb - before.rgb).abs().max() < 0.51 / 255
    assert (after.alpha - before.alpha).abs().max() < 0.51 / 255


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif"])
def test_photos_are_read_and_written_in_memory(suffix: str, tmp_path: Path) -> None:
    for bits in (8, 16):
        photo = Photo.of(torch.rand(1, 3, 5, 4), bits=bits, icc=b"a profile", exif=described(1), dpi=(300, 300))
        write_photo(tmp_path / f"a{suffix}", photo)
        file = MemoryFile(f"a{suffix}")
        write_photo(file, photo)
        content = (tmp_path / f"a{suffix}").read_bytes()
        assert len(file.getvalue()) == len(content) and not list(Path().glob(f"a{suffix}"))
        again = read_photo(MemoryFile("any name", file.getvalue()))
        assert torch.equal(again.pixels, read_photo(tmp_path / f"a{suffix}").pixels) and again.icc == photo.icc
    with pytest.raises(UserError, match=r"cannot read the image any name: it is damaged or not an image"):
        read_photo(MemoryFile("any name", content), formats=("BMP",))
    with pytest.raises(UserError, match=r"cannot write a\.txt: its suffix"):
        write_photo(MemoryFile("a.txt"), photo)


def test_16_bit_colour_elsewhere_is_read_with_8_and_said(tmp_path: Path) -> None:
    rows = b"".join(b"\0" + bytes(range(24)) for _ in range(3))  # 4 pixels of 3 x 2 bytes
    header = struct.pack(">LLBBBBB", 4, 3, 16, 2, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n"
    for kind, content in ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")):
        data += struct.pack(">L", len(content)) + kind + content + struct.pack(">L", zlib.crc32(kind + content))
    (tmp_path / "a.png").write_bytes(data)
    with pytest.warns(PhotoWarning, match=r"a\.png: it has 16 bits"):
        assert read_photo(tmp_path / "a.png").bits == 8
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (tmp_path / "b.png").write_bytes(encoded(".png"))
        read_photo(tmp_path / "b.png")


def test_a_cmyk_jpeg_becomes_rgb(tmp_path: Path) -> None:
    image = Image.new("CMYK", (16, 16), (0, 200, 200, 20))
    image.save(tmp_path / "a.jpg", icc_profile=b"for four inks")
    photo = read_photo(tmp_path / "a.jpg")
    assert photo.icc is None and not photo.gray
    write_photo(tmp_path / "b.jpg", photo)
    with Image.open(tmp_path / "b.jpg") as after:
        assert after.mode == "RGB" and after.getpixel((8, 8))[0] > 200 > 100 > after.getpixel((8, 8))[1]


def test_animations_are_refused_and_photos_with_further_views_are_not(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (9, 8), colour) for colour in ("red", "blue")]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    frames[0].save(tmp_path / "a.tif", save_all=True, append_images=frames[1:])
    for name in ("a.gif", "a.tif"):
        with pytest.raises(UserError, match=rf"{name}: it has several frames or pages"):
            read_photo(tmp_path / name)
    frames[0].save(tmp_path / "a.jpg", format="MPO", save_all=True, append_images=frames[1:])
    assert read_photo(tmp_path / "a.jpg").rgb[0, 0].min() > 0.9


def test_a_tiff_of_many_pages_is_refused_before_all_are_read(tmp_path: Path, monkeypatch) -> None:
    """To count the pages, Pillow reads the tags of each, and looks for it among all before."""
    read_tags, load = [], TiffImagePlugin.ImageFileDirectory_v2.load
    monkeypatch.setattr(
        TiffImagePlugin.ImageFileDirectory_v2, "load", lambda *args: read_tags.append(1) or load(*args)
    )
    counts = []
    for pages in (2, 20):
        tifffile.imwrite(tmp_path / "a.tif", np.zeros((pages, 4, 6), np.uint8), photometric="minisblack")
        read_tags.clear()
        with pytest.raises(UserError, match="several frames or pages"):
            read_photo(tmp_path / "a.tif")
        counts.append(len(read_tags))
    assert 0 < counts[0] == counts[1]


def test_images_beyond_pillows_warning_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pillow warns from 89 megapixels on and refuses twice as many."""
    (tmp_path / "a.png").write_bytes(encoded(".png"))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 24 * 32 - 1)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\.")
        assert read_photo(tmp_path / "a.png").pixels.shape == (1, 3, 24, 32)


def test_warnings_about_photos_are_collected_and_others_are_shown() -> None:
    with pytest.warns(RuntimeWarning, match="of another library"), photo_warnings() as told:
        warnings.warn("a photo", PhotoWarning, stacklevel=1)
        warnings.warn("of another library", RuntimeWarning, stacklevel=1)
    assert told == ["a photo"]
