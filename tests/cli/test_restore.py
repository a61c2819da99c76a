import os
from pathlib import Path

import pytest
import torch
from PIL import ExifTags, Image
from skimage import data
from support import save_model, tiny

from gan_restore import inference
from gan_restore.cli import main
from gan_restore.degradations import SaltAndPepper, seeded
from gan_restore.files import UserError
from gan_restore.images import read, to_tensor, write
from gan_restore.inference.checkpoints import save_generator


@pytest.fixture
def checkpoint(tmp_path: Path) -> str:
    recipe = tiny()
    save_generator(tmp_path / "best.safetensors", recipe.generator(), recipe)
    return str(tmp_path / "best.safetensors")


def restore(checkpoint: str, out: Path, *photos: Path | str) -> int:
    return main(["restore", *map(str, photos), "--checkpoint", checkpoint, "--out", str(out), "--device", "cpu"])


def below(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.*"))


def test_subfolders_are_kept(checkpoint: str, tmp_path: Path) -> None:
    for name in ("a/1.png", "b/1.png", "1.png"):
        write(tmp_path / "album" / name, torch.rand(1, 3, 12, 16))
    assert restore(checkpoint, tmp_path / "out", tmp_path / "album") == 0
    assert below(tmp_path / "out") == ["1.png", "a/1.png", "b/1.png"]
    assert restore(checkpoint, tmp_path / "two", tmp_path / "album" / "a", tmp_path / "album" / "b") == 0
    assert below(tmp_path / "two") == ["a/1.png", "b/1.png"]


def test_a_subfolder_for_results_is_not_restored_again(checkpoint: str, tmp_path: Path, monkeypatch) -> None:
    write(tmp_path / "album" / "1.png", torch.rand(1, 3, 12, 16))
    for _ in range(2):
        assert restore(checkpoint, tmp_path / "album" / "out", tmp_path / "album") == 0
    assert below(tmp_path / "album") == ["1.png", "out/1.png"]
    monkeypatch.chdir(tmp_path)
    assert restore(checkpoint, Path(), Path("album")) == 0
    assert Path("1.png").exists(), "OUT above the photos"


def test_photos_of_one_target_and_photos_that_would_be_replaced(checkpoint: str, tmp_path: Path, capsys) -> None:
    for name in ("x/album/1.png", "y/album/1.png"):
        write(tmp_path / name, torch.rand(1, 3, 12, 16))
    assert restore(checkpoint, tmp_path / "out", tmp_path / "x" / "album", tmp_path / "y" / "album") == 2
    assert "would both become" in capsys.readouterr().err
    assert restore(checkpoint, tmp_path / "x" / "album", tmp_path / "x" / "album") == 2
    assert "would be overwritten" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("out", "message"),
    [
        ("photo.png", "--out is a folder, and photo.png is a file; give another one"),
        ("photo.png/below", "--out is a folder, and photo.png is a file; give another one"),
        ("new.jpg", "--out is a folder, also for one photo, and new.jpg is named like an image; try --out new"),
    ],
)
@pytest.mark.parametrize("more", [[], ["--ray", "local"]])
def test_a_file_is_no_folder_for_results(
    checkpoint: str, tmp_path: Path, monkeypatch, capsys, out: str, message: str, more: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write("photo.png", torch.rand(1, 3, 12, 16))
    assert restore(checkpoint, Path(out), "photo.png", *more) == 2
    assert capsys.readouterr().err == f"gan-restore: {message}\n"
    assert not Path("new.jpg").exists()


def test_a_folder_named_like_an_image_is_used(checkpoint: str, tmp_path: Path) -> None:
    write(tmp_path / "photo.png", torch.rand(1, 3, 12, 16))
    (tmp_path / "album.jpg").mkdir()
    assert restore(checkpoint, tmp_path / "album.jpg", tmp_path / "photo.png") == 0


def test_a_folder_with_broken_exif_and_damaged_files_is_restored(checkpoint: str, tmp_path: Path, capsys) -> None:
    exif = Image.Exif()
    exif.update({ExifTags.Base.Orientation: 6, ExifTags.Base.Artist: "Ada"})
    (tmp_path / "album").mkdir()
    Image.new("RGB", (16, 12)).save(tmp_path / "album" / "a.jpg", exif=exif, dpi=(300, 300))
    data = (tmp_path / "album" / "a.jpg").read_bytes()
    broken = data.replace(b"\x01\x3b\x00\x02", b"\x00\x00\x00\x02")  # ends exif_transpose in struct.error
    assert broken != data
    (tmp_path / "album" / "b.jpg").write_bytes(broken)
    (tmp_path / "album" / "c.jpg").write_bytes(data[:200])
    assert restore(checkpoint, tmp_path / "out", tmp_path / "album") == 2
    told = capsys.readouterr()
    assert "restored 2 photos" in told.out and "left out 1 of 3" in told.err and "c.jpg" in told.err
    with Image.open(tmp_path / "out" / "a.jpg") as image:
        assert image.size == (12, 16) and image.info["dpi"] == (300, 300)
        assert image.getexif().get(ExifTags.Base.Artist) == "Ada"


def test_each_photo_that_is_left_out_has_a_line(checkpoint: str, tmp_path: Path, capsys) -> None:
    photos = [tmp_path / f"{name}.png" for name in "abcde"]
    for photo in photos:
        photo.touch()
    assert restore(checkpoint, tmp_path / "out", *photos) == 2
    told = capsys.readouterr().err.splitlines()[-6:]
    assert all(str(photo) in line for photo, line in zip(photos, told[:5], strict=True))
    assert told[5] == "gan-restore: left out 5 of 5, which are named above"


def test_names_that_are_not_utf8_are_restored_and_told(checkpoint: str, tmp_path: Path, capsys) -> None:
    name = os.fsdecode(b"caf\xe9")
    try:
        write(tmp_path / name / f"{name}.png", torch.rand(1, 3, 12, 16))
    except UserError:
        pytest.skip("this file system takes UTF-8 names only")
    (tmp_path / name / f"{name}.jpg").write_bytes(b"no image")
    assert restore(checkpoint, tmp_path / f"out_{name}", tmp_path / name) == 2
    told = capsys.readouterr()
    assert "restored 1 photo into" in told.out and r"caf\udce9.jpg" in told.err
    assert (tmp_path / f"out_{name}" / f"{name}.png").exists()


def test_patterns_are_expanded(checkpoint: str, tmp_path: Path, capsys) -> None:
    for name in ("a1.png", "a2.png", "b.png", "[1].png"):
        write(tmp_path / "album" / name, torch.rand(1, 3, 12, 16))
    assert restore(checkpoint, tmp_path / "out", tmp_path / "album" / "a*.png", tmp_path / "album" / "[1].png") == 0
    assert below(tmp_path / "out") == ["[1].png", "a1.png", "a2.png"], "a file of that name is no pattern"
    assert restore(checkpoint, tmp_path / "out", tmp_path / "album" / "c*.png") == 2
    assert "no file matches" in capsys.readouterr().err


def test_it_goes_on_where_it_stopped_and_overwrites_when_told(checkpoint: str, tmp_path: Path, capsys) -> None:
    for name in ("1.png", "2.png"):
        write(tmp_path / "album" / name, torch.rand(1, 3, 12, 16))
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "1.png").write_text("mine")
    assert restore(checkpoint, tmp_path / "out", tmp_path / "album") == 0
    assert capsys.readouterr().out == (
        f"restored 1 photo into {tmp_path / 'out'}; skipped 1 photo whose file is there already, "
        "perhaps from another model (--overwrite replaces it)\n"
    )
    assert (tmp_path / "out" / "1.png").read_text() == "mine"
    assert restore(checkpoint, tmp_path / "out", tmp_path / "album", "--overwrite") == 0
    assert "restored 2 photos" in (told := capsys.readouterr().out) and "skipped" not in told
    assert (tmp_path / "out" / "1.png").read_bytes()[:4] == b"\x89PNG"


def test_a_photo_whose_suffix_is_of_no_format_becomes_png(checkpoint: str, tmp_path: Path) -> None:
    photos = [tmp_path / name for name in ("photo.HEIC", "scan", "other.HEIC", "other.png")]
    for photo in photos:
        Image.new("RGB", (16, 12)).save(photo, format="PNG")
    assert restore(checkpoint, tmp_path / "out", *photos, photos[0]) == 0
    assert below(tmp_path / "out") == ["other.HEIC.png", "other.png", "photo.png", "scan.png"]


def test_after_ctrl_c_it_says_how_far_it_came(checkpoint: str, tmp_path: Path, monkeypatch, capsys) -> None:
    for name in ("1.png", "2.png", "3.png"):
        write(tmp_path / "album" / name, torch.rand(1, 3, 12, 16))

    def until_the_second(source: Path, *rest: object, **options: object) -> None:
        if source.name == "2.png":
            raise KeyboardInterrupt

    monkeypatch.setattr(inference, "restore_file", until_the_second)
    assert restore(checkpoint, tmp_path / "out", tmp_path / "album") == 130
    said = "Stopped; restored 1 of 3 photos."
    assert capsys.readouterr().out == f"{said} The same command continues from there.\n"
    assert restore(checkpoint, tmp_path / "out", tmp_path / "album", "--overwrite") == 130
    assert capsys.readouterr().out == f"{said}\n", "the same command would begin again"


def test_files_that_are_no_images_are_counted(checkpoint: str, tmp_path: Path, capsys) -> None:
    write(tmp_path / "album" / "1.png", torch.rand(1, 3, 12, 16))
    for name in ("a.CR2", "b.heic", "notes", ".DS_Store", "out/notes.txt"):
        (tmp_path / "album" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "album" / name).touch()
    assert restore(checkpoint, tmp_path / "album" / "out", tmp_path / "album") == 0
    expected = "restored 1 photo into {}\n3 files are no images of a known format: .cr2, .heic, without suffix\n"
    assert capsys.readouterr().out == expected.format(tmp_path / "album" / "out")


def test_models_are_applied_one_after_another(models_folder: Path, tmp_path: Path) -> None:
    save_model("scratches")
    save_model("x2", tiny("srgan"))
    write(tmp_path / "a.png", torch.rand(1, 3, 12, 16))
    names = ["--model", "scratches", "--model", "x2", "--model", "x2"]
    assert (
        main(["restore", str(tmp_path / "a.png"), *names, "--out", str(tmp_path / "out"), "--device", "cpu"]) == 0
    )
    with Image.open(tmp_path / "out" / "a.png") as image:
        assert image.size == (64, 48)


def test_strength_0_gives_the_photo_and_a_photo_that_changed_is_told(tmp_path: Path, capsys) -> None:
    recipe = tiny("pix2pix")
    generator = recipe.generator()
    torch.nn.init.constant_(generator.out.bias, 1.0)  # adds a tenth
    save_generator(tmp_path / "best.safetensors", generator, recipe)
    write(tmp_path / "a.png", torch.full((1, 3, 12, 16), 0.5))
    images = {}
    for name, options in {
        "kept": [],
        "changed": ["--unguarded"],
        "none": ["--unguarded", "--strength", "0"],
    }.items():
        assert restore(str(tmp_path / "best.safetensors"), tmp_path / name, tmp_path / "a.png", *options) == 0
        told = capsys.readouterr().err
        assert f"{tmp_path / 'a.png'}: brightness or colour of large areas changed by up to 26" in told
        images[name] = float(read(tmp_path / name / "a.png").mean())
    assert images["kept"] == pytest.approx(0.5, abs=0.01) == images["none"]
    assert images["changed"] == pytest.approx(0.6, abs=0.01)


def test_only_painted_pixels_change(checkpoint: str, tmp_path: Path, capsys) -> None:
    noisy = SaltAndPepper(0.2)(torch.full((1, 3, 12, 16), 0.5), seeded(0))
    mask = torch.zeros(1, 3, 12, 16)
    mask[..., :8] = 1
    write(tmp_path / "a.png", noisy)
    write(tmp_path / "b.png", torch.rand(1, 3, 12, 15))
    write(tmp_path / "mask.png", mask)
    photos = tmp_path / "a.png", tmp_path / "b.png"
    assert restore(checkpoint, tmp_path / "out", *photos, "--mask", tmp_path / "mask.png") == 2
    assert "the mask has 16 x 12 pixels, and the photo 15 x 12" in capsys.readouterr().err
    before, after = read(tmp_path / "a.png"), read(tmp_path / "out" / "a.png")
    assert torch.equal(before[..., 8:], after[..., 8:])
    assert not torch.equal(before[..., :8], after[..., :8])


def test_preserve_is_refused_for_enlargements(models_folder: Path, tmp_path: Path, capsys) -> None:
    save_model("x2", tiny("srgan"))
    write(tmp_path / "a.png", torch.rand(1, 3, 12, 16))
    options = ["--model", "x2", "--preserve", "0.1", "--out", str(tmp_path / "out"), "--device", "cpu"]
    assert main(["restore", str(tmp_path / "a.png"), *options]) == 2
    assert "preserve keeps pixels as they are" in capsys.readouterr().err


def test_models_are_chosen_by_measurement(tmp_path: Path, capsys) -> None:
    cat = to_tensor(data.chelsea())
    write(tmp_path / "in" / "noisy.png", SaltAndPepper(0.05)(cat, seeded(0))[..., :64, :80])
    write(tmp_path / "in" / "well.png", torch.nn.functional.interpolate(cat, scale_factor=3, mode="bilinear"))
    arguments = ["restore", str(tmp_path / "in"), "--out", str(tmp_path / "out"), "--device", "cpu"]
    assert main([*arguments, "--enhance", "auto"]) == 0
    printed = capsys.readouterr().out
    assert "noisy.png: salt-pepper: " in printed
    assert "well.png: x2 not used: 1353 x 900 pixels are enough" in printed
    assert "restored 1 photo" in printed and "1 photo needed nothing" in printed
    assert below(tmp_path / "out") == ["noisy.png"]
    assert read(tmp_path / "out" / "noisy.png").shape[2:] == (256, 320), "enlarged, too"
    assert main([*arguments, "--enhance", "auto", "--model", "x4"]) == 2
    assert "give either --model NAME, --checkpoint FILE or --enhance auto" in capsys.readouterr().err
