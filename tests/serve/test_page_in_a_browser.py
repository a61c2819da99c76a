"""The page in Chromium: upload, restore, compare, paint, download."""

import io
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from flask import Flask
from PIL import Image
from support import described, encoded, eventually

from gan_restore.files import MemoryFile
from gan_restore.inference import Compute, PhotoWarning, load_restorer, models, read_mask, restore_photo
from gan_restore.photos import read_photo
from gan_restore.serve import Result, Server

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")
PHOTO = encoded(".png", exif=described(1), dpi=(300, 300))


@pytest.fixture
def page(app: Flask) -> Iterator:
    playwright = pytest.importorskip("playwright.sync_api")
    server = Server(app, port=0)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_context(viewport={"width": 1000, "height": 900}, has_touch=True).new_page()
        page.set_default_timeout(60_000)
        complaints: list[str] = []
        page.on("console", lambda message: complaints.append(message.text))  # of the security policy, too
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: complaints.extend([request.url] * (server.address not in request.url)))
        page.goto(server.address)
        page.locator("[name=model]").first.wait_for()
        yield page
        browser.close()
        assert not [text for text in complaints if "blob:" not in text and "status of 4" not in text]
    server.close()
    thread.join(60)


def choose(page, name: str, content: bytes) -> None:
    page.set_input_files("#photo", {"name": name, "mimeType": "image/png", "buffer": content})


def download(page, selector: str) -> bytes:
    with page.expect_download() as started:
        page.click(selector)
    return Path(started.value.path()).read_bytes(), started.value.suggested_filename


def restore(page) -> None:
    page.click("#restore")
    page.locator("#results").wait_for()


def test_models_are_chosen_by_measurement(page) -> None:
    choose(page, "small.png", encoded(".png"))
    page.check("[name=model][value=clean]")
    page.click("#advise")
    page.locator("#advice li", has_text="x2 not used: noise of about").wait_for()
    assert not page.locator("[name=model]:checked").count()
    choose(page, "other.png", encoded(".png"))
    page.locator("#about", has_text="other.png").wait_for()
    assert not page.locator("#advice li").count(), "it was about the photo before"


def pixels(data: bytes) -> torch.Tensor:
    return read_photo(MemoryFile("a.png", data)).pixels


def expected(mask: torch.Tensor | None = None) -> torch.Tensor:
    restorer = load_restorer(models.model_path("clean"), Compute(device="cpu"))
    with pytest.warns(PhotoWarning):
        return restore_photo(read_photo(MemoryFile("a.png", PHOTO)), restorer, mask=mask, guarded=False).pixels


def line(page) -> float:
    """Where the line between before and after is drawn, from 0 to 1."""
    stage, drawn = page.locator("#stage").bounding_box(), page.locator("#line").bounding_box()
    return (drawn["x"] + 1 - stage["x"]) / stage["width"]


def test_a_photo_is_restored_compared_painted_and_downloaded(page) -> None:
    page.locator(".order summary").click()
    page.uncheck("[name=guarded]")
    choose(page, "Grüße.png", PHOTO)
    page.locator("#view").wait_for()
    page.click("#restore")
    page.get_by_text("Choose at least one model.").wait_for()
    page.check("[value=clean]")
    restore(page)
    content, name = download(page, "#download")
    assert name == "Grüße-clean.png" and torch.equal(pixels(content), expected())
    image = Image.open(io.BytesIO(content))
    assert image.getexif()[315] == "Ada" and round(image.info["dpi"][0]) == 300
    assert "brightness or colour of large areas changed" in page.inner_text("#warnings")

    # The line follows the mouse, the slider's keys and a finger; each side shows its photo.
    box = page.locator("#stage").bounding_box()
    assert line(page) == pytest.approx(0.5, abs=0.01)
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 50)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.8 * box["width"], box["y"] + 50, steps=3)
    page.mouse.up()
    assert line(page) == pytest.approx(0.8, abs=0.01) and page.input_value("#wipe") == "80"
    page.focus("#wipe")
    for _ in range(10):
        page.keyboard.press("ArrowLeft")
    assert line(page) == pytest.approx(0.7, abs=0.01)
    page.touchscreen.tap(box["x"] + 0.25 * box["width"], box["y"] + 50)
    assert line(page) == pytest.approx(0.25, abs=0.01)

    def brightness(cut: str) -> int:
        page.focus("#wipe")
        page.keyboard.press(cut)
        shot = Image.open(io.BytesIO(page.locator("#stage").screenshot())).convert("L")
        middle = shot.crop(
            (shot.width // 2 - 60, shot.height // 2 - 60, shot.width // 2 + 60, shot.height // 2 + 60)
        )
        return sum(middle.tobytes()) // (120 * 120)

    assert brightness("End") > brightness("Home") + 15, "the restored photo is darker"

    # Zoom by the wheel, keys and buttons.
    page.click("#full")
    assert page.inner_text("#zoom") == "100 %"
    page.locator("#stage").hover()
    page.mouse.wheel(0, -100)
    assert page.inner_text("#zoom") == "125 %"
    page.focus("#stage")
    page.keyboard.press("0")
    fitted = page.inner_text("#zoom")
    page.keyboard.press("+")
    assert page.inner_text("#zoom") != fitted
    page.click("#fit")
    assert page.inner_text("#zoom") == fitted

    # Only painted pixels change, and a saved mask does the same again.
    page.click("#paint")
    box = page.locator("#stage").bounding_box()
    page.mouse.move(box["x"] + 0.4 * box["width"], box["y"] + 0.5 * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + 0.6 * box["width"], box["y"] + 0.5 * box["height"], steps=4)
    page.mouse.up()
    saved, name = download(page, "#save")
    assert name == "Grüße-mask.png"
    mask = read_mask(MemoryFile("mask.png", saved))
    assert mask.shape[-2:] == (24, 32) and 0.02 < mask.float().mean() < 0.5 and mask[0, 0, 12, 16]
    restore(page)
    content, _ = download(page, "#download")
    assert torch.equal(pixels(content), expected(mask))
    page.click("#paint")
    page.click("#clear")
    page.set_input_files("#load", {"name": "mask.png", "mimeType": "image/png", "buffer": saved})
    restore(page)
    assert torch.equal(pixels(download(page, "#download")[0]), expected(mask))
    page.check("[value=x2]")
    page.click("#restore")
    page.get_by_text("x2 enlarges the photo").wait_for()
    page.click("#paint")
    page.click("#clear")
    restore(page)
    assert pixels(download(page, "#download")[0]).shape[-2:] == (48, 64)
    page.click("#continue")
    page.get_by_text("Grüße-clean-x2.png: 64 × 48 pixels").wait_for()


def test_photos_are_dropped_and_pasted_and_two_fingers_zoom(page) -> None:
    give = """([kind, name, bytes]) => {
        const data = new DataTransfer();
        data.items.add(new File([new Uint8Array(bytes)], name, { type: "image/png" }));
        const event = kind === "drop" ? new DragEvent(kind, { dataTransfer: data, bubbles: true, cancelable: true })
                                      : new ClipboardEvent(kind, { clipboardData: data, bubbles: true });
        document.body.dispatchEvent(event);
    }"""
    for kind in ("drop", "paste"):
        page.evaluate(give, [kind, f"{kind}.png", list(PHOTO)])
        page.get_by_text(f"{kind}.png: 32 × 24 pixels").wait_for()
    box = page.locator("#stage").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    touch = page.context.new_cdp_session(page)
    fitted = int(page.inner_text("#zoom").split()[0])
    for kind, apart in (("touchStart", 40), ("touchMove", 60), ("touchMove", 80), ("touchEnd", None)):
        fingers = [] if apart is None else [{"x": x - apart, "y": y}, {"x": x + apart, "y": y}]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": fingers})
    assert int(page.inner_text("#zoom").split()[0]) == pytest.approx(min(2 * fitted, 3200), rel=0.05)


def test_a_job_that_waits_is_shown_and_cancelled(page, app: Flask) -> None:
    jobs = app.extensions["gan_restore_jobs"]
    go = threading.Event()
    jobs.submit(lambda progress: go.wait(60) and Result(b"", "", "image/png"))
    choose(page, "a.png", PHOTO)
    page.check("[value=clean]")
    page.click("#restore")
    page.get_by_text("Waiting: 1 photo is restored before this one.").wait_for()
    page.click("#cancel")
    page.get_by_text("Cancelled.").wait_for()
    go.set()
    restore(page)
    assert page.inner_text("#status").startswith("Done: a-clean.png")
    eventually(lambda: not any(job.size for job in list(jobs._jobs.values())))  # the page drops what it fetched


def test_formats_that_browsers_cannot_show_bad_files_and_narrow_screens(page) -> None:
    page.set_viewport_size({"width": 360, "height": 740})
    choose(page, "text.png", b"This is text.")
    page.get_by_text("Text.png is damaged or not an image").wait_for()
    choose(page, "large.png", bytes(1_000_001))
    page.get_by_text("The server takes at most 1.0 MB").wait_for()
    assert page.is_disabled("#restore")
    choose(page, "scan.tif", encoded(".tif"))
    page.get_by_text("scan.tif: 32 × 24 pixels").wait_for()
    assert page.inner_text("#error") == ""
    page.check("[value=clean]")
    restore(page)
    content, name = download(page, "#download")
    assert name == "scan-clean.tif" and Image.open(io.BytesIO(content)).format == "TIFF"
    assert page.evaluate("document.documentElement.scrollWidth") == 360, "nothing beyond the right edge"
