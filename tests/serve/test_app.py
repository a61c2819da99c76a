import io
import json
import threading
import urllib.parse
import warnings
from collections.abc import Callable

import pytest
import torch
from flask import Flask
from flask.testing import FlaskClient
from PIL import ExifTags, Image
from support import described, encoded

from gan_restore import serve
from gan_restore.files import MemoryFile
from gan_restore.inference import (
    Compute,
    PhotoWarning,
    load_restorer,
    models,
    read_mask,
    read_photo,
    restore_photo,
    restored_photos,
    write_photo,
)
from gan_restore.serve import Busy, Jobs, Result

PHOTO = encoded(".png")


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


def restored(*names: str, suffix: str = ".png", mask: bytes | None = None, **options: float) -> bytes:
    """The file that the library makes of `PHOTO`."""
    restorers = [load_restorer(models.model_path(name), Compute(device="cpu"), **options) for name in names]
    painted = None if mask is None else read_mask(MemoryFile("mask.png", mask))
    file = MemoryFile(f"a{suffix}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PhotoWarning)
        write_photo(file, restore_photo(read_photo(MemoryFile("a.png", PHOTO)), *restorers, mask=painted))
    return file.getvalue()


def test_every_route_is_described(app: Flask, client: FlaskClient) -> None:
    routes = {
        (rule.rule.replace("<", "{").replace(">", "}"), method.lower())
        for rule in app.url_map.iter_rules()
        for method in rule.methods - {"HEAD", "OPTIONS"}
    }
    description = client.get("/api/openapi.json").json
    documented = {
        (path, method) for path, item in description["paths"].items() for method in item if method != "parameters"
    }
    assert routes == documented | {("/", "get"), ("/page/{path:filename}", "get")}
    assert (
        description["components"]["schemas"]["Order"]["properties"]["format"]["enum"][1:]
        == client.get("/api/models").json["formats"]
    )


def test_models_are_listed_and_the_server_is_healthy(client: FlaskClient) -> None:
    told = client.get("/api/models").json
    assert told["models"] == [
        {"name": "clean", "purpose": "scratched photos", "factor": 1},
        {"name": "x2", "purpose": "scratched photos", "factor": 2},
    ]
    assert told["bytes"] == 1_000_000 and told["megapixels"] == 0.1
    assert client.get("/healthz").json == {"status": "ok"}


@pytest.mark.parametrize("names", [("clean",), ("clean", "x2")])
def test_a_photo_is_restored_as_the_library_does(post: Callable, names: tuple[str, ...]) -> None:
    answer = post(PHOTO, model=list(names))
    assert answer.status_code == 200 and answer.data == restored(*names) and answer.data != PHOTO
    assert answer.mimetype == "image/png"
    assert answer.headers["Content-Disposition"] == f"attachment; filename=photo-{'-'.join(names)}.png"


def test_a_photo_of_many_bytes_is_taken(post: Callable) -> None:
    file = io.BytesIO()
    Image.effect_noise((250, 250), 50).convert("RGB").save(file, "BMP")
    answer = post(file.getvalue() + bytes(700_000), "a.bmp")
    assert answer.status_code == 200 and opened(answer.data).format == "PNG"


def test_options_and_the_mask_reach_the_restorer(post: Callable) -> None:
    mask = io.BytesIO()
    half = Image.new("L", (32, 24))
    half.paste(255, (0, 0, 16, 24))
    half.save(mask, "PNG")
    answer = post(PHOTO, mask=(io.BytesIO(mask.getvalue()), "mask.png"), strength="0.5", guarded="true")
    assert answer.data == restored("clean", mask=mask.getvalue(), strength=0.5)
    before, after = (read_photo(MemoryFile("a.png", data)).pixels for data in (PHOTO, answer.data))
    assert torch.equal(before[..., 16:], after[..., 16:]) and not torch.equal(before[..., :16], after[..., :16])
    assert post(PHOTO, preserve="1", ensemble="true", guarded="false").data == restored("clean", preserve=1)


def test_metadata_is_kept_and_the_format_follows_the_photo_or_the_request(post: Callable) -> None:
    photo = encoded(".jpg", exif=described(), icc_profile=b"a profile", dpi=(300, 300))
    for wanted, kind in ((None, "JPEG"), ("png", "PNG"), ("webp", "WEBP"), ("tiff", "TIFF")):
        answer = post(photo, "old.JPEG", format=wanted)
        after = opened(answer.data)
        assert after.format == kind and after.size == (24, 32), "upright"
        assert after.info["icc_profile"] == b"a profile" and after.getexif()[ExifTags.Base.Artist] == "Ada"
        assert ExifTags.Base.Orientation not in after.getexif()
        assert answer.mimetype == f"image/{kind.lower()}"
        if kind in ("JPEG", "TIFF"):
            assert after.info["dpi"] == (300, 300)
    assert "filename=old-clean.tif" in answer.headers["Content-Disposition"]


def test_what_the_guard_says_reaches_the_user(post: Callable, client: FlaskClient) -> None:
    answer = post(PHOTO, guarded="false")
    (told,) = json.loads(answer.headers["Gan-Restore-Warnings"])
    assert told.startswith("brightness or colour of large areas changed by up to")
    job = finished(client, post(PHOTO, to="/api/jobs").json["id"])
    assert job["state"] == "done" and job["warnings"][0].endswith("the input's were kept")


def finished(client: FlaskClient, id: str) -> dict:
    client.application.extensions["gan_restore_jobs"].find(id).future.exception(60)
    return client.get(f"/api/jobs/{id}").json


def test_a_job_is_started_watched_fetched_and_dropped(post: Callable, client: FlaskClient) -> None:
    answer = post(PHOTO, "Grüße.png", to="/api/jobs")
    assert answer.status_code == 202
    address = answer.headers["Location"]
    assert address == f"/api/jobs/{answer.json['id']}"
    job = finished(client, answer.json["id"])
    assert (job["state"], job["progress"], job["ahead"], job["name"]) == ("done", 1, 0, "Grüße-clean.png")
    result = client.get(f"{address}/result")
    assert result.data == restored("clean")
    assert urllib.parse.quote("Grüße-clean.png") in result.headers["Content-Disposition"]
    assert client.delete(address).status_code == 204
    for gone in (client.get(address), client.get(f"{address}/result"), client.delete(address)):
        assert gone.status_code == 404 and "no such job" in gone.json["error"]


def test_a_job_that_fails_says_why(post: Callable, client: FlaskClient, monkeypatch, capsys) -> None:
    job = finished(client, post(PHOTO[:-100], "half.png", to="/api/jobs").json["id"])
    assert job["state"] == "failed" and "cannot read the image half.png" in job["error"]
    answer = client.get(f"/api/jobs/{job['id']}/result")
    assert answer.status_code == 422 and answer.json == {"error": job["error"]}
    monkeypatch.setattr(restored_photos, "guard", lambda *_, **__: 1 / 0)
    assert post(PHOTO).status_code == 500
    assert "ZeroDivisionError" in capsys.readouterr().err
    job = finished(client, post(PHOTO, to="/api/jobs").json["id"])
    assert job["error"] == "the server failed; its terminal says why"
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_beyond_the_queue_uploads_are_refused_and_health_is_not(app: Flask, post: Callable, client) -> None:
    jobs: Jobs = app.extensions["gan_restore_jobs"]
    started, go = threading.Event(), threading.Event()

    def slow(progress: Callable[[float], None]) -> Result:
        progress(0.25)
        started.set()
        go.wait(60)
        progress(0.5)
        return Result(b"", "", "image/png")

    running = jobs.submit(slow)
    started.wait(60)
    ids = [post(PHOTO, to="/api/jobs").json["id"] for _ in range(jobs.waiting)]
    with pytest.raises(Busy):
        jobs.check()
    for to in ("/api/jobs", "/api/restore", "/api/preview", "/api/advice"):
        answer = post(PHOTO, to=to)
        assert answer.status_code == 503 and answer.headers["Retry-After"] == "5"
        assert "4 wait already" in answer.json["error"]
    assert client.get("/healthz").status_code == 200
    assert client.get(f"/api/jobs/{running.id}").json["progress"] == 0.25
    assert client.get(f"/api/jobs/{ids[1]}").json | {"id": ""} == {
        "id": "", "state": "waiting", "progress": 0, "ahead": 2,
    }  # fmt: skip
    assert client.get(f"/api/jobs/{ids[1]}/result").status_code == 409
    assert client.delete(f"/api/jobs/{running.id}").status_code == 204
    assert client.get(f"/api/jobs/{running.id}").json["state"] == "cancelled"
    go.set()
    assert finished(client, ids[-1])["state"] == "done"


def test_a_format_that_browsers_cannot_show_is_shown_as_png(post: Callable) -> None:
    answer = post(encoded(".tif"), "scan.tif", to="/api/preview")
    assert opened(answer.data).format == "PNG"
    assert opened(answer.data).tobytes() == opened(encoded(".tif")).tobytes()


def test_models_are_advised_for_a_photo(post: Callable) -> None:
    (choice,) = post(PHOTO, to="/api/advice").json["advice"]
    assert choice["model"] == "x2" and not choice["use"] and "would be enlarged, too" in choice["reason"]
    smooth = io.BytesIO()
    Image.linear_gradient("L").resize((80, 60)).save(smooth, "PNG")
    (choice,) = post(smooth.getvalue(), to="/api/advice").json["advice"]
    assert choice == {"model": "x2", "use": True, "reason": "80 x 60 pixels are few"}
    (choice,) = post(smooth.getvalue(), to="/api/advice", same_size="true").json["advice"]
    assert not choice["use"] and "a result of the same size" in choice["reason"]


@pytest.mark.parametrize("path", ["/", "/page/style.css", "/healthz", "/api/models", "/nowhere"])
def test_every_response_has_the_security_headers(client: FlaskClient, path: str) -> None:
    headers = client.get(path).headers
    policy = dict(part.strip().split(" ", 1) for part in headers["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == "'none'" and policy["frame-ancestors"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert headers["X-Content-Type-Options"] == "nosniff" and headers["Referrer-Policy"] == "no-referrer"
    assert (headers.get("Cache-Control") == "no-store") == path.startswith("/api/")


def test_other_hosts_and_pages_of_other_sites_are_refused(client: FlaskClient, post: Callable) -> None:
    for host, status in {
        "localhost": 200, "LOCALHOST:8000": 200, "127.0.0.1:1": 200, "127.0.0.2:8000": 200,
        "[::1]:8000": 200, "10.0.0.2:8000": 403, "": 403,
        "evil.example": 403, "localhost.evil.example": 403, "127.0.0.1.evil.example:8000": 403, "[": 403,
    }.items():  # fmt: skip
        assert client.get("/healthz", headers={"Host": host}).status_code == status, host
    for headers, status in (
        ({}, 400),  # allowed, and then there is no photo
        ({"Origin": "http://localhost"}, 400),
        ({"Origin": "http://localhost", "Sec-Fetch-Site": "same-origin"}, 400),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "http://localhost:9999"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
    ):
        for path in ("/api/restore", "/api/jobs", "/api/preview", "/api/advice"):
            assert client.post(path, headers=headers).status_code == status, headers
    id = post(PHOTO, to="/api/jobs").json["id"]
    assert client.delete(f"/api/jobs/{id}", headers={"Origin": "http://evil.example"}).status_code == 403


def test_on_a_network_any_host_name_is_taken_and_other_origins_are_not(models_folder, app: Flask) -> None:
    client = serve.create_app(Compute(device="cpu"), local=False).test_client()
    assert client.get("/healthz", headers={"Host": "photos.example"}).status_code == 200
    headers = {"Host": "photos.example", "Origin": "http://photos.example"}
    assert client.post("/api/restore", headers=headers).status_code == 400
    assert client.post("/api/restore", headers=headers | {"Host": "10.0.0.2"}).status_code == 403
