"""The widgets in JupyterLab: a browser moves each of them and sees its picture change; one steers a run."""

import io
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from textwrap import dedent
from typing import Any

import nbformat
import pytest
import torch
from nbformat.v4 import new_code_cell, new_notebook
from PIL import Image

from gan_restore.degradations import SaltAndPepper, seeded
from gan_restore.files import read_csv
from gan_restore.images import read, write
from gan_restore.inference.checkpoints import LAST, METRICS, load_state, read_recipe

ROOT = Path(__file__).parents[2]

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
PICTURES = [
    """
    import torch
    from gan_restore import widgets
    image = torch.zeros(1, 3, 100, 400)
    image[:, 0, :, :200] = 1  # red at the left, blue at the right
    image[:, 2, :, 200:] = 1""",
    "widgets.before_after(torch.zeros(1, 3, 100, 400), torch.ones(1, 3, 100, 400))",
    "widgets.interactive(lambda gray=0.5: torch.full((1, 3, 100, 400), gray), gray=(0.0, 1.0, 0.1))",
    "widgets.point_at(image, lambda row, column: image[..., row : row + 1, column : column + 1], start=(0, 199))",
]
RUN = """
    from gan_restore import recipes, widgets
    small = dict(width=4, depth=2, image_size=32, batch_size=4, crops_per_image=8, val_images=2)
    recipe = recipes.get("unet-denoiser", "smoke", lr_decay="none", epochs=100_000, **small)
    widgets.RunMonitor().train(recipe, "run", resume={resume})"""
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")


def eventually(is_true: Callable[[], object], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not is_true():
        assert time.monotonic() < end, "nothing changed"
        time.sleep(0.1)


@contextmanager
def jupyterlab(folder: Path, cells: list[str]) -> Iterator[str]:
    """JupyterLab with a notebook of these cells; yields the notebook's address."""
    notebook = new_notebook(cells=[new_code_cell(dedent(cell).strip()) for cell in cells])
    notebook.metadata["kernelspec"] = {"name": "python3", "language": "python", "display_name": "Python 3"}
    nbformat.write(notebook, folder / "widgets.ipynb")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    own = {name: str(folder / "jupyter") for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR")}
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--expose-app-in-browser"]
    command += [f"--ServerApp.port={port}", "--IdentityProvider.token=t", f"--ServerApp.root_dir={folder}"]
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(command, env=os.environ | own, stdout=log, stderr=log, cwd=folder)
    try:
        eventually(lambda: answers(f"http://127.0.0.1:{port}/api"), 120)
        yield f"http://127.0.0.1:{port}/lab/tree/widgets.ipynb?token=t"
    finally:
        server.terminate()
        server.wait(60)


@pytest.fixture
def page() -> Iterator[Any]:
    """A page of a browser."""
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1000, "height": 1200})
        page.set_default_timeout(120_000)
        yield page
        browser.close()


def run_all_cells(page: Any, address: str) -> None:
    page.goto(address)
    page.wait_for_function("() => window.jupyterapp?.shell.currentWidget?.sessionContext?.isReady")
    page.evaluate("void jupyterapp.commands.execute('notebook:run-all-cells')")


def answers(address: str) -> bool:
    try:
        urllib.request.urlopen(address)
    except OSError:
        return False
    return True


def test_each_widget_moves(page: Any, tmp_path: Path) -> None:
    with jupyterlab(tmp_path, PICTURES) as address:
        run_all_cells(page, address)
        page.locator("img[tabindex='0']").wait_for()

        def colour(selector: str, across: float) -> tuple[int, ...]:
            shot = Image.open(io.BytesIO(page.locator(selector).last.screenshot())).convert("RGB")
            return shot.getpixel((int(across * shot.width), 3 * shot.height // 4))

        wipe = "input[aria-label='before / after']"
        assert colour(wipe, 0.7) == (255, 255, 255)
        page.locator(wipe).click(position={"x": 320, "y": 50})
        assert colour(wipe, 0.7) == (0, 0, 0)
        for _ in range(30):
            page.keyboard.press("ArrowLeft")
        assert colour(wipe, 0.7) == (255, 255, 255), "the keyboard moves it too"

        picture = ".widget-image"  # the last one is that of the pointer
        slider = page.locator(".noUi-handle")
        slider.focus()
        first = page.locator(picture).first
        assert pixel(first.screenshot()) == (128, 128, 128)
        page.keyboard.press("End")
        eventually(lambda: pixel(first.screenshot()) == (255, 255, 255))

        pointer = page.locator("img[tabindex='0']")
        assert colour(picture, 0.5) == (255, 0, 0)
        pointer.focus()
        page.keyboard.press("ArrowRight")
        eventually(lambda: colour(picture, 0.5) == (0, 0, 255))
        pointer.hover(position={"x": 40, "y": 20})
        eventually(lambda: colour(picture, 0.5) == (255, 0, 0))


def test_a_photo_is_chosen_painted_on_restored_and_saved(page: Any, tmp_path: Path) -> None:
    write(tmp_path / "noisy.png", SaltAndPepper(0.1)(torch.rand(1, 3, 100, 120), seeded(0)))
    with jupyterlab(
        tmp_path, ["from gan_restore import widgets\nwidgets.RestoreApp(model='salt-pepper')"]
    ) as address:
        run_all_cells(page, address)
        with page.expect_file_chooser() as chooser:
            page.get_by_role("button", name="Choose a photo").click()
        chooser.value.set_files(tmp_path / "noisy.png")
        box = page.locator("canvas").bounding_box()
        page.mouse.move(box["x"] + box["width"] / 4, box["y"] + box["height"] / 2)
        page.mouse.down()
        page.mouse.move(box["x"] + 3 * box["width"] / 4, box["y"] + box["height"] / 2, steps=4)
        page.mouse.up()
        page.get_by_role("button", name="Restore").click()
        page.locator("input[aria-label='noisy.png / restored']").wait_for()
        page.locator("button.jupyter-button", has_text="Save").click()
        page.get_by_text("saved as").wait_for()
    changed = (read(tmp_path / "restored" / "noisy.png") != read(tmp_path / "noisy.png")).any(1)[0]
    assert changed[46:54, 35:85].any(), "along the stroke"
    assert not changed[:30].any() and not changed[70:].any(), "elsewhere the photo stays as it was"


def test_a_run_is_steered_stopped_and_resumed(page: Any, tmp_path: Path) -> None:
    run = tmp_path / "run"
    for resume in (False, True):  # a kernel and a monitor of its own each time
        with jupyterlab(tmp_path, [RUN.format(resume=resume)]) as address:
            before = load_state(run / LAST)["step"] if resume else 0
            run_all_cells(page, address)
            eventually(lambda: page.locator(".widget-image").count() == 2, 120)
            eventually(lambda: page.locator(".widget-image").last.bounding_box()["height"] > 100)
            if not resume:
                page.locator(".noUi-handle").focus()
                page.keyboard.press("Home")
                eventually(lambda: read_csv(run / METRICS)[-1]["lr"] == pytest.approx(0.01 * rate(run)))
                page.get_by_role("button", name="Pause").click()
                eventually(lambda: rests(run / METRICS))
                page.get_by_role("button", name="Pause").click()
                eventually(lambda: not rests(run / METRICS))
            page.get_by_role("button", name="Stop and save").click()
            page.get_by_text("stopped and saved").first.wait_for()
            assert load_state(run / LAST)["step"] > before
    rows = read_csv(run / METRICS)
    steps = [row["step"] for row in rows]
    assert steps == sorted(set(steps)) and rows[-1]["lr"] < 0.02 * rows[0]["lr"], "resumed with the slider's factor"


def test_the_run_of_notebook_05_is_stopped_and_resumed(page: Any, tmp_path: Path) -> None:
    notebook = nbformat.read(ROOT / "notebooks" / "05_training.ipynb", as_version=4)
    cells = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    cells[0] += f"\nout_dir = {str(tmp_path)!r}"
    trains = next(number for number, cell in enumerate(cells) if "monitor.train(" in cell)
    log = tmp_path / "srgan" / METRICS
    assert "overwrite=True" in cells[trains]
    first_rows: list[dict[str, float]] = []
    for change in ("overwrite=True", "resume=True"):
        first_rows = read_csv(log) if log.exists() else []
        with jupyterlab(tmp_path, [*cells[:trains], cells[trains].replace("overwrite=True", change)]) as address:
            has_more = grows(log)
            run_all_cells(page, address)
            eventually(has_more, 300)
            page.get_by_role("button", name="Stop and save").click()
            page.get_by_text("stopped and saved").first.wait_for()
    rows = read_csv(log)
    steps = [row["step"] for row in rows]
    assert first_rows and rows[: len(first_rows)] == first_rows and steps == sorted(set(steps))
    assert load_state(log.parent / LAST)["step"] >= steps[-1]


def rate(run: Path) -> float:
    return read_recipe(run).learning_rate


def grows(log: Path) -> Callable[[], bool]:
    """Whether the log has more rows than now, to be asked later."""
    before = len(read_csv(log)) if log.exists() else 0
    return lambda: log.exists() and len(read_csv(log)) > before


def rests(path: Path) -> bool:
    """Whether the file keeps as it is for a second."""
    before = path.stat().st_mtime_ns
    time.sleep(1)
    return path.stat().st_mtime_ns == before


def pixel(screenshot: bytes) -> tuple[int, ...]:
    return Image.open(io.BytesIO(screenshot)).convert("RGB").getpixel((50, 50))
