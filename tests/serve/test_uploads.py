import io
import struct
import urllib.parse
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from flask.testing import FlaskClient
from PIL import Image
from support import encoded
from werkzeug.datastructures import FileStorage

from gan_restore.inference import models
from gan_restore.serve import uploads


def png_of(width: int, height: int) -> bytes:
    """The header of a large PNG file, and no pixels."""
    header = b"IHDR" + struct.pack(">LLBBBBB", width, height, 8, 2, 0, 0, 0)
    data = b"IDAT" + zlib.compress(bytes(1000))
    parts = [
        struct.pack(">L", len(part) - 4) + part + struct.pack(">L", zlib.crc32(part)) for part in (header, data)
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def animation() -> bytes:
    file = io.BytesIO()
    frames = [Image.new("L", (8, 8), value) for value in (0, 100)]
    frames[0].save(file, "GIF", save_all=True, append_images=frames[1:])
    return file.getvalue()


@pytest.mark.parametrize("to", ["/api/restore", "/api/preview", "/api/advice"])
@pytest.mark.parametrize(
    ("photo", "name", "status", "message"),
    [
        (b"This is text.", "text.png", 415, "text.png is damaged or not an image; send JPEG, PNG"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "a.png", 415, "a.png is damaged or not an image"),
        (encoded(".jpg")[:-300], "half.jpg", 422, "cannot read the image half.jpg"),
        (b"", "empty.png", 400, "empty.png is empty"),
        (png_of(30_000, 30_000), "bomb.png", 413, "more than 0.1 megapixels"),
        (png_of(500, 500), "large.png", 413, "large.png has 500 x 500 pixels, more than 0.1 megapixels"),
        (png_of(30, 30), "short.png", 422, "cannot read the image short.png"),
        (animation(), "a.gif", 422, "it has several frames or pages"),
        (None, "", 400, "send one file in the field 'photo'"),
    ],
)
def test_bad_uploads_get_a_clear_message(
    post: Callable, client: FlaskClient, to: str, photo: bytes | None, name: str, status: int, message: str
) -> None:
    answer = post(photo, name, to)
    assert answer.status_code == status and message in answer.json["error"]
    assert post(encoded(".png")).status_code == 200, "the server goes on"


def test_an_upload_of_too_many_bytes_is_refused(post: Callable) -> None:
    answer = post(bytes(1_000_001), "large.png")
    assert answer.status_code == 413 and "capacity limit" in answer.json["error"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("../../etc/passwd.png", "passwd-clean.png"),
        ("/etc/passwd", "photo-clean.png"),
        ("..", "photo-clean.png"),
        ("é" * 300 + ".png", "é" * 80 + "-clean.png"),
    ],
)
def test_file_names_are_names_only(post: Callable, tmp_path: Path, monkeypatch, name: str, expected: str) -> None:
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    answer = post(encoded(".png"), name)
    told = urllib.parse.unquote(answer.headers["Content-Disposition"])
    assert answer.status_code == 200 and told.endswith(("=" + expected, "''" + expected))
    assert sorted(tmp_path.rglob("*")) == before, "nothing is written"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (r"C:\Windows\..\a.jpeg", "a.jpeg"),
        ("a\0b\r\nc\u202e.png", "abc.png"),
        ('"<script>".png', "script.png"),
        ("", "photo"),
        ("\n/", "photo"),
    ],
)
def test_characters_that_harm_are_left_out_of_file_names(name: str, expected: str) -> None:
    assert uploads._file_name(FileStorage(filename=name)) == expected


@pytest.mark.parametrize(
    "name", ["clear", "../models/clean", "clean.safetensors", "", "{folder}/clean.safetensors"]
)
def test_a_model_is_one_of_the_list_and_no_path(post: Callable, name: str) -> None:
    answer = post(encoded(".png"), model=name.format(folder=models.MODELS))
    assert answer.status_code == 400
    assert "there is no model" in answer.json["error"] and "the models are clean, x2" in answer.json["error"]


@pytest.mark.parametrize(
    ("fields", "status", "message"),
    [
        ({"model": None}, 400, "name 1 to 4 models in the field 'model'"),
        ({"model": ["clean"] * 5}, 400, "name 1 to 4 models"),
        ({"model": ["x2"] * 4}, 413, "the result has 512 x 384 pixels, more than 0.1 megapixels"),
        ({"strength": "nan"}, 400, "strength must be a number from 0 to 1"),
        ({"strength": "2"}, 400, "strength must be a number from 0 to 1"),
        ({"preserve": "much"}, 400, "preserve must be a number from 0 to 1"),
        ({"ensemble": "yes"}, 400, "ensemble must be true or false"),
        ({"format": "../png"}, 400, "format must be one of png, jpeg, webp, tiff"),
        ({"model": "x2", "preserve": "0.1"}, 400, "x2 enlarges the photo"),
        ({"strength": "1" * 100_000}, 400, "strength must be"),
        ({"strenght": "0.5"}, 400, "there is no field 'strenght' (did you mean strength?)"),
        ({"masks": (io.BytesIO(encoded(".png")), "a.png")}, 400, "there is no field 'masks'"),
    ],
)
def test_wrong_fields_are_named(post: Callable, fields: dict[str, object], status: int, message: str) -> None:
    answer = post(encoded(".png"), **fields)
    assert answer.status_code == status and message in answer.json["error"]


def test_masks_are_checked_as_photos_are(post: Callable) -> None:
    def masked(mask: bytes, model: str = "clean") -> tuple[int, str]:
        answer = post(encoded(".png"), mask=(io.BytesIO(mask), "mask.png"), model=model)
        return answer.status_code, answer.json["error"]

    other = io.BytesIO()
    Image.fromarray(np.zeros((9, 9), np.uint8)).save(other, "PNG")
    status, message = masked(other.getvalue())
    assert status == 422 and "the mask has 9 x 9 pixels, and the photo 32 x 24" in message
    assert masked(b"text")[0] == 415 and masked(png_of(30_000, 30_000))[0] == 413
    status, message = masked(encoded(".png"), "x2")
    assert status == 400 and "x2 enlarges the photo" in message


def test_the_other_mime_types_and_methods_are_refused(client: FlaskClient) -> None:
    assert client.post("/api/restore", json={"photo": "a.png", "model": "clean"}).status_code == 400
    assert client.get("/api/restore").status_code == 405
