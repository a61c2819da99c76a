"""Archives on a Ray cluster. `make cluster` also runs the test that starts one."""

import functools
import http.server
import os
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import fsspec
import psutil
import pytest
import torch
from support import tiny

from gan_restore.cli import main
from gan_restore.files import UserError
from gan_restore.images import read, write
from gan_restore.inference import Compute, cluster, load_restorer, save_generator
from gan_restore.inference.cluster import Attempts, Settings, Worker, find_photos, missing, restore_archive


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    recipe = tiny("resnet-gan", "full")
    save_generator(tmp_path / "best.safetensors", recipe.generator(), recipe)
    return tmp_path / "best.safetensors"


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """A folder of eight photos, one of them in a subfolder and one damaged, and a hidden file."""
    for name in ("a.png", "b.png", "c.png", "d.png", "e.png", "f.png", "below/a.png"):
        write(tmp_path / "scans" / name, 0.2 * torch.rand(1, 3, 24, 31))  # dark: the network makes it lighter
    (tmp_path / "scans" / "text.png").write_text("no photo")
    (tmp_path / "scans" / ".hidden.png").write_text("")
    return tmp_path / "scans"


def settings(checkpoint: Path, **changes: object) -> Settings:
    return Settings((checkpoint.read_bytes(),), Compute(device="cpu"), {"strength": 0.5}, **changes)


def test_a_worker_restores_a_url_into_another_once(checkpoint: Path, archive: Path) -> None:
    memory = fsspec.filesystem("memory")
    memory.put_file(str(archive / "a.png"), "/worker/in/a.png")
    worker = Worker(settings(checkpoint, guarded=False))
    row = {"source": "memory://worker/in/a.png", "target": "memory://worker/out/a.png"}
    done = worker(row)
    assert not done["error"] and "brightness or colour" in done["warned"]
    assert memory.ls("/worker/out", detail=False) == ["/worker/out/a.png"], "nothing is left beside the result"
    memory.get_file("/worker/out/a.png", str(archive.parent / "result.png"))
    wanted = load_restorer(checkpoint, Compute(device="cpu"), strength=0.5)(read(archive / "a.png"))
    assert (read(archive.parent / "result.png") - wanted).abs().max() < 0.51 / 255
    memory.pipe_file("/worker/out/a.png", b"kept")
    worker(row)
    assert memory.cat_file("/worker/out/a.png") == b"kept"
    Worker(settings(checkpoint, overwrite=True))(row)
    assert memory.cat_file("/worker/out/a.png") != b"kept"


def test_a_worker_names_what_it_cannot_restore_and_leaves_nothing(checkpoint: Path, archive: Path) -> None:
    worker, out = Worker(settings(checkpoint)), archive.parent / "out"
    for name, words in (("text.png", "not an image"), ("missing.png", "FileNotFoundError")):
        source = f"file://{archive / name}"
        failed = worker({"source": source, "target": f"file://{out / name}"})
        assert words in failed["error"] and str(archive / name) in failed["error"]
    assert not out.exists()


def test_a_photo_is_given_up_after_three_attempts_without_an_end() -> None:
    attempts = Attempts()
    assert [attempts.begin("deadly") for _ in range(5)] == [True] * 3 + [False] * 2
    for _ in range(5):
        assert attempts.begin("restored anew with each attempt of its task")
        attempts.end("restored anew with each attempt of its task")


def test_photos_keep_their_place_and_results_are_not_restored_again(archive: Path) -> None:
    found = find_photos([str(archive)], str(archive / "out"))
    assert len(found) == 8 and found[f"file://{archive}/out/below/a.png"] == f"file://{archive}/below/a.png"
    write(archive / "out" / "a.png", torch.rand(1, 3, 9, 9))
    assert find_photos([str(archive)], str(archive / "out")) == found
    assert found.keys() - missing(found, str(archive / "out")).keys() == {f"file://{archive}/out/a.png"}
    patterns = find_photos([f"{archive}/*.png"], "memory://out")
    assert patterns["memory:///out/b.png"] == f"file://{archive}/b.png"
    matches = {"memory:///out/a.png": f"file://{archive}/below/a.png"}
    matches["memory:///out/b.png"] = f"file://{archive}/b.png"
    assert find_photos([f"{archive}/b*"], "memory://out") == matches, "a folder, too"


@pytest.mark.parametrize(
    ("places", "out", "words"),
    [
        (["{}/a.png", "{}/below/a.png"], "out", "would both become"),
        (["{}/a.png"], "{}", "would be overwritten"),
        (["{}/nothing*"], "out", "no photo"),
        (["nowhere://a.png"], "out", "cannot open nowhere://a.png"),
    ],
)
def test_a_mistake_in_a_place_is_told(archive: Path, places: list[str], out: str, words: str) -> None:
    with pytest.raises(UserError, match=words):
        find_photos([place.format(archive) for place in places], out.format(archive))


@pytest.mark.parametrize("address", ["127.0.0.1:1", "nonsense"])
def test_a_cluster_that_is_not_there_is_told(address: str, checkpoint: Path) -> None:
    pytest.importorskip("ray.data", reason="gan-restore[cluster] is not installed")
    with pytest.raises(UserError, match=f"no Ray cluster at {address}: "):
        list(restore_archive({"memory://out.png": "memory://in.png"}, address, settings(checkpoint)))


@pytest.fixture
def server(archive: Path) -> Iterator["Photos"]:
    """A web server with the photos, which kills the first to ask for c.png, and all for e.png or f.png."""
    server = Photos(archive)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


class Photos(http.server.ThreadingHTTPServer):
    """Serves a folder, and lists what other processes than that of the tests asked for."""

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), functools.partial(Handler, directory=str(folder)))
        self.asked: list[str] = []

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.server_port}/{name}"


class Handler(http.server.SimpleHTTPRequestHandler):
    server: Photos

    def do_GET(self) -> None:
        connections = psutil.net_connections("tcp4")
        (asking,) = [found.pid for found in connections if found.laddr == self.client_address and found.pid]
        if asking != os.getpid():
            self.server.asked.append(self.path)
            if self.path in ("/e.png", "/f.png") or (
                self.path == "/c.png" and self.server.asked.count("/c.png") == 1
            ):
                os.kill(asking, signal.SIGKILL)
        super().do_GET()

    def log_message(self, *_: object) -> None:
        pass


@pytest.mark.skipif("CLUSTER" not in os.environ, reason="a Ray cluster takes long to start: make cluster")
def test_a_cluster_goes_on_when_a_worker_is_killed(
    checkpoint: Path,
    archive: Path,
    server: Photos,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    cluster_utils = pytest.importorskip("ray.cluster_utils", reason="gan-restore[cluster] is not installed")
    monkeypatch.setenv("RAY_worker_niceness", "0")  # with Ray's 15, they hardly run beside other processes
    sizes = {"num_cpus": 2, "object_store_memory": 80 * 2**20, "include_dashboard": False}
    started = cluster_utils.Cluster(initialize_head=True, head_node_args=sizes)
    names, deadly = ["a.png", "b.png", "c.png", "d.png"], ["e.png", "f.png"]
    monkeypatch.setattr(cluster, "_TASKS", 2)  # several photos for a task, both deadly ones for the same
    out = archive.parent / "out"
    options = ["--checkpoint", str(checkpoint), "--out", str(out), "--strength", "0.5", "--unguarded"]
    options += ["--device", "cpu", "--ray", started.address]
    try:
        assert main(["restore", *map(server.url, [*names, *deadly, "text.png"]), *options]) == 2
    finally:
        started.shutdown()
    said = capsys.readouterr()
    assert "restored 4 photos" in said.out
    assert server.url("text.png") in said.err and "left out 3 of 7" in said.err
    assert all(f"{server.url(name)}: 3 processes were lost with it" in said.err for name in deadly)
    asked = Counter(server.asked)
    assert asked["/c.png"] == 2 and asked["/text.png"] >= 1 and all(asked[f"/{name}"] == 3 for name in deadly)
    assert all(asked[f"/{name}"] == 1 for name in ("a.png", "b.png", "d.png"))
    restorer = load_restorer(checkpoint, Compute(device="cpu"), strength=0.5)
    assert sorted(path.name for path in out.iterdir()) == names
    for name in names:
        assert (read(out / name) - restorer(read(archive / name))).abs().max() < 0.51 / 255
    assert not [process for process in psutil.Process().children(recursive=True) if "ray" in process.name()]
    assert main(["restore", *map(server.url, names), *options]) == 0, "nothing to do, and no cluster"
    assert (
        "restored 0 photos" in (said := capsys.readouterr().out)
        and "skipped 4 photos whose files are there" in said
    )
