"""The real Kaggle client against a small server on the loopback address.

The client has no setting for its address, but two that together do: `KAGGLE_API_ENVIRONMENT=LOCALHOST` makes it
speak plain http, and `http_proxy` sends that to our port. Nothing in it is patched.
"""

import contextlib
import importlib.util
import io
import json
import os
import random
import re
import shutil
import signal
import stat
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image
from support import tiny

from gan_restore import training
from gan_restore.data.datasets import load
from gan_restore.files import read_csv
from gan_restore.inference.devices import Compute

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "data_scripts" / "download_kaggle.py"
NUMBERS = range(1, 25)  # enough for each split to have some
FILES = {
    "div2k": [
        *(f"DIV2K_train_HR/DIV2K_train_HR/{i:04d}.png" for i in NUMBERS),
        "DIV2K_valid_HR/DIV2K_valid_HR/0801.png",
    ],
    "humanface8000": [
        f"humanface8000/landscape Images/{kind}/{i}.jpg" for kind in ("color", "gray") for i in NUMBERS
    ],
    "celeba": [
        *(f"img_align_celeba/img_align_celeba/{i:06d}.jpg" for i in NUMBERS),
        "list_eval_partition.csv",
    ],
    "lfw": [f"lfw-deepfunneled/lfw-deepfunneled/Ada_{i}/Ada_{i}_0001.jpg" for i in NUMBERS],
    "ffhq": [f"{i:05d}.png" for i in NUMBERS],
    "fer2013-csv": ["fer2013.csv"],
    "fer2013": [*(f"train/happy/{i}.jpg" for i in NUMBERS), "test/sad/1.jpg"],
}
IMAGES = {name: len(files) for name, files in FILES.items()} | {"humanface8000": 24, "celeba": 24, "fer2013-csv": 6}


def content(file: str) -> bytes:
    """A file of a data set: small photos of noise, all different, and the two kinds of lists."""
    rng = np.random.default_rng(list(file.encode()))
    if file == "fer2013.csv":
        uses = ["Training"] * 4 + ["PublicTest", "PrivateTest"]
        rows = [f"0,{' '.join(map(str, rng.integers(0, 256, 48 * 48)))},{use}" for use in uses]
        return "\n".join(["emotion,pixels,Usage", *rows, ""]).encode()
    if file == "list_eval_partition.csv":
        return "\n".join(["image_id,partition", *(f"{i:06d}.jpg,{i % 3}" for i in NUMBERS), ""]).encode()
    picture = io.BytesIO()
    noise = rng.integers(0, 256, (36, 40, 3), np.uint8)
    Image.fromarray(noise).save(picture, "PNG" if file.endswith("png") else "JPEG")
    return picture.getvalue()


def archive(name: str, more: dict[str, bytes] | None = None) -> bytes:
    """A zip in the layout of a data set."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as out:
        for file, data in ({file: content(file) for file in FILES[name]} | (more or {})).items():
            out.writestr(file, data)
    return packed.getvalue()


# The client writes in pieces of 1 MiB, so only a larger archive can be interrupted between two of them.
LARGE = archive("fer2013", {"noise.bin": random.Random(0).randbytes(4 * 2**20)})


class Kaggle(ThreadingHTTPServer):
    """What the client uses of Kaggle: the token's owner, a redirect to the archive, the archive in ranges."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.reset()

    def reset(self) -> None:
        self.archives: dict[str, bytes] = {}
        self.status = 200
        self.known_tokens: set[str] = set()
        self.drops: list[int] = []  # the next answers break off after so many bytes
        self.sent: Callable[[int], None] = lambda count: None
        self.signed: list[str] = []  # Authorization headers
        self.ranges: list[int] = []  # where each download began


class Answer(BaseHTTPRequestHandler):
    server: Kaggle

    def log_message(self, *args: object) -> None: ...

    def reply(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for key, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(key.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path.endswith("IntrospectToken"):
            found = {"active": asked["token"] in self.server.known_tokens, "username": "ada"}
            return self.reply(200, json.dumps(found).encode(), Content_Type="application/json")
        self.server.signed.append(self.headers.get("Authorization", ""))
        address = f"{asked['ownerSlug']}/{asked['datasetSlug']}"
        status = self.server.status if self.server.status != 200 or address in self.server.archives else 404
        if status != 200:
            wrong = json.dumps({"code": status, "message": "no"}).encode()
            return self.reply(status, wrong, Content_Type="application/json", Retry_After="17")
        # As the real one does: a signed address on another host, where no credentials are sent.
        return self.reply(302, Location=f"http://storage.test/{address}")

    def do_GET(self) -> None:
        assert "Authorization" not in self.headers
        data = self.server.archives[self.path.removeprefix("http://storage.test/")]
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        start = int(asked[1]) if asked else 0
        self.server.ranges.append(start)
        self.send_response(206 if asked else 200)
        self.send_header("Content-Length", str(len(data) - start))
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("ETag", '"1"')
        self.send_header("Last-Modified", "Mon, 01 Jan 2024 00:00:00 GMT")
        self.end_headers()
        end = start + self.server.drops.pop(0) if self.server.drops else len(data)
        with contextlib.suppress(ConnectionError):  # a killed client
            for at in range(start, end, 2**16):
                self.wfile.write(data[at : min(at + 2**16, end)])
                self.server.sent(at)


@pytest.fixture(scope="module")
def running() -> Iterator[Kaggle]:
    with Kaggle() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def kaggle(running: Kaggle) -> Kaggle:
    running.reset()
    return running


@pytest.fixture
def anonymous(running: Kaggle, tmp_path: Path) -> dict[str, str]:
    """The environment of a user without credentials, whose network reaches only the test's server."""
    (tmp_path / "home").mkdir()
    kept = {key: value for key, value in os.environ.items() if not re.match("KAGGLE|XDG|.*_proxy", key, re.I)}
    return kept | {
        "HOME": str(tmp_path / "home"),
        "USERPROFILE": str(tmp_path / "home"),
        "KAGGLE_CONFIG_DIR": str(tmp_path / "config"),
        "KAGGLE_API_ENVIRONMENT": "LOCALHOST",
        "http_proxy": f"http://127.0.0.1:{running.server_port}",
        "no_proxy": "",
        "PYTHONPATH": str(ROOT),
        "PYTHONIOENCODING": "utf-8",
    }


@pytest.fixture
def user(anonymous: dict[str, str]) -> dict[str, str]:
    return anonymous | {"KAGGLE_USERNAME": "ada", "KAGGLE_KEY": "secret"}


@pytest.fixture
def script(user: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script inside this process, so that torch is loaded once and not for every call."""
    for key in set(os.environ) - set(user):
        monkeypatch.delenv(key)
    for key, value in user.items():
        monkeypatch.setenv(key, value)
    spec = importlib.util.spec_from_file_location("download_kaggle", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "download_kaggle", module)
    spec.loader.exec_module(module)
    return module


def start(env: dict[str, str], *args: object) -> subprocess.Popen:
    command = [sys.executable, str(SCRIPT), *map(str, args)]
    return subprocess.Popen(command, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def fails(env: dict[str, str], *args: object) -> str:
    """Run the script, which must fail with code 2 and one line; returns the line."""
    process = start(env, *args)
    errors = process.communicate()[1]
    assert process.returncode == 2, errors
    assert errors.startswith("download_kaggle: ") and errors.count("\n") == 1, errors
    return errors


def address(name: str, script: ModuleType) -> str:
    return script.DATA_SETS[name].address


@pytest.mark.parametrize("name", FILES)
def test_every_data_set_is_downloaded_verified_and_opened(name, script, kaggle, tmp_path, capsys) -> None:
    kaggle.archives = {address(name, script): archive(name)}
    root = tmp_path / "my data"
    assert script.main(["get", name, "--root", str(root)]) == 0
    said = capsys.readouterr().out
    assert all(str(root / name / pattern) in said for pattern in script.DATA_SETS[name].layout)
    for recipe in script.DATA_SETS[name].recipes:
        assert f'gan-restore train {recipe} --scale small --data "{root / name}"' in said

    fetched = len(kaggle.ranges)
    assert (
        script.main(["get", name, "--root", str(root)]) == script.main(["verify", name, "--root", str(root)]) == 0
    )
    assert len(kaggle.ranges) == fetched == 1 and "exists already" in capsys.readouterr().out
    assert sorted(path.name for path in (root / f".{name}").iterdir()) == ["lock"]

    victim = root / name / FILES[name][0]
    victim.write_bytes(victim.read_bytes()[:-1] + b"\0")
    capsys.readouterr()
    assert (
        script.main(["verify", name, "--root", str(root)]) == script.main(["get", name, "--root", str(root)]) == 2
    )
    assert f"missing or changed, such as {FILES[name][0]}; remove the folder" in capsys.readouterr().err


@pytest.mark.parametrize("name", FILES)
def test_from_the_download_to_two_steps_of_training(name, script, kaggle, tmp_path, capsys) -> None:
    kaggle.archives = {address(name, script): archive(name)}
    assert script.main(["get", name, "--root", str(tmp_path)]) == 0
    assert script.main(["verify", name, "--root", str(tmp_path)]) == 0
    sizes = [len(load(tmp_path / name, split)) for split in ("train", "val", "test", "all")]
    assert min(sizes) > 0 and sum(sizes[:3]) == sizes[3] == IMAGES[name]
    for recipe in script.DATA_SETS[name].recipes:
        small = tiny(recipe, data=str(tmp_path / name), batch_size=sizes[0], epochs=2)  # a step an epoch
        run = training.train(small, tmp_path / recipe, Compute(device="cpu"))
        assert read_csv(run / "metrics.csv")[-1]["step"] == 2 and (run / "best.safetensors").exists()
    assert "left out" not in capsys.readouterr().err, "every image belongs to a split"


def test_the_list_and_the_help_texts(script, capsys) -> None:
    assert script.main(["list"]) == 0
    said = capsys.readouterr().out
    assert "bharatadhikari/humanface8000" in said and "475 MB" in said and "srgan" in said
    for command in ("list", "get", "verify"):
        assert script.main([command, "--help"]) == 0
        assert f"Example: python data_scripts/download_kaggle.py {command}" in capsys.readouterr().out
    assert script.main(["get", "imagenet"]) == 2
    assert "fer2013-csv" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("status", "told"),
    [
        (401, "refuses the credentials in KAGGLE_USERNAME and KAGGLE_KEY: wrong or expired; sign in at"),
        (403, "denies access: open https://www.kaggle.com/datasets/msambare/fer2013 signed in, accept"),
        (404, "has no msambare/fer2013, or not for this account"),
        (429, "too many requests to Kaggle: wait 17 seconds, then"),
        (503, "run the same command again later (HTTP 503)"),
    ],
)
def test_a_refusal_is_one_line(status: int, told: str, user, kaggle, tmp_path: Path) -> None:
    kaggle.status = status
    assert told in fails(user, "get", "fer2013", "--root", tmp_path)


def test_a_missing_client_is_one_line(script, tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(script, "find_spec", lambda name: None)
    assert script.main(["get", "lfw", "--root", str(tmp_path)]) == 2
    assert "pip install kaggle" in capsys.readouterr().err


def test_a_warning_if_others_can_read_the_key(anonymous, kaggle, tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "kaggle.json").write_text('{"username": "ada", "key": "secret"}')
    (tmp_path / "config" / "kaggle.json").chmod(0o644)
    errors = start(anonymous, "get", "lfw", "--root", tmp_path).communicate()[1]
    assert errors.startswith("Warning: Your Kaggle API key is readable by other users") and errors.count("\n") == 2


def test_no_network_is_one_line(user, tmp_path: Path) -> None:
    nowhere = user | {"http_proxy": "http://127.0.0.1:9"}
    assert "the connection to Kaggle failed" in fails(nowhere, "get", "fer2013", "--root", tmp_path)


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ("", "no Kaggle credentials found; sign in at"),
        ("{", "finds nothing valid in CONFIG"),
        ("[1]", "finds nothing valid in CONFIG"),
        ("{}", "finds nothing valid in CONFIG"),
    ],
)
def test_missing_credentials_are_one_line(config: str, told: str, anonymous, tmp_path: Path) -> None:
    path = tmp_path / "config" / "kaggle.json"
    if config:
        path.parent.mkdir()
        path.write_text(config)
    told = told.replace("CONFIG", str(path))
    assert told in fails(anonymous, "get", "fer2013", "--root", tmp_path)
    assert "--from-zip" in fails(anonymous, "get", "fer2013", "--root", tmp_path)


def test_an_unknown_token_is_named(anonymous, kaggle, tmp_path: Path) -> None:
    told = fails(anonymous | {"KAGGLE_API_TOKEN": "old"}, "get", "fer2013", "--root", tmp_path)
    assert "finds nothing valid in KAGGLE_API_TOKEN" in told


@pytest.mark.parametrize("way", ["environment", "kaggle.json", "token", "token file"])
def test_all_kinds_of_credentials_are_sent(way: str, anonymous, kaggle, tmp_path: Path) -> None:
    kaggle.known_tokens = {"good"}
    env = dict(anonymous)
    for folder in (tmp_path / "config", tmp_path / "home" / ".kaggle"):
        folder.mkdir()
    if way == "environment":
        env |= {"KAGGLE_USERNAME": "ada", "KAGGLE_KEY": "secret"}
    elif way == "kaggle.json":
        (tmp_path / "config" / "kaggle.json").write_text('{"username": "ada", "key": "secret"}')
        (tmp_path / "config" / "kaggle.json").chmod(0o600)  # else the client warns, which we pass on
    elif way == "token":
        env["KAGGLE_API_TOKEN"] = "good"
    else:
        (tmp_path / "home" / ".kaggle" / "access_token").write_text("good\n")
    assert "(HTTP 404)" in fails(env, "get", "fer2013", "--root", tmp_path)  # signed in, and nothing there
    assert kaggle.signed == ["Bearer good" if "token" in way else "Basic YWRhOnNlY3JldA=="]


def test_a_dropped_connection_is_resumed(script, kaggle, tmp_path: Path, monkeypatch, capsys) -> None:
    kaggle.archives = {address("fer2013", script): LARGE}
    kaggle.drops = [3 * 2**19, 0, 0, 0, 0, 0]  # the client tries six times
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    assert script.main(["get", "fer2013", "--root", str(tmp_path)]) == 2
    assert "it continues where it stopped" in capsys.readouterr().err
    assert not (tmp_path / "fer2013").exists()
    kaggle.ranges.clear()
    assert script.main(["get", "fer2013", "--root", str(tmp_path)]) == 0
    assert kaggle.ranges == [0, 2**20], "the client asks for all, and of that only for what is missing"
    assert (tmp_path / "fer2013" / "noise.bin").stat().st_size == 4 * 2**20


@pytest.mark.parametrize("bad", [LARGE[: 2**20], LARGE.replace(b"JFIF", b"J?IF")], ids=["truncated", "changed"])
def test_a_damaged_download_is_removed_and_downloaded_again(
    bad: bytes, script, kaggle, tmp_path: Path, capsys
) -> None:
    kaggle.archives = {address("fer2013", script): bad}
    assert script.main(["get", "fer2013", "--root", str(tmp_path)]) == 2
    assert "damaged or incomplete" in capsys.readouterr().err
    kaggle.archives = {address("fer2013", script): LARGE}
    assert script.main(["get", "fer2013", "--root", str(tmp_path)]) == 0
    assert (tmp_path / "fer2013" / "noise.bin").exists()


def damaged_archives() -> dict[str, bytes]:
    whole = archive("lfw")
    flipped = bytearray(whole)
    flipped[whole.index(b"JFIF") + 30] ^= 1
    return {"cut": whole[:-40], "flipped": bytes(flipped), "a page": b"<html>sign in</html>", "empty": b""}


@pytest.mark.parametrize("kind", damaged_archives())
def test_a_damaged_archive_of_the_user_is_refused_and_kept(kind: str, script, tmp_path: Path, capsys) -> None:
    path = tmp_path / "by hand.zip"
    path.write_bytes(damaged_archives()[kind])
    assert script.main(["get", "lfw", "--root", str(tmp_path), "--from-zip", str(path)]) == 2
    assert "damaged or incomplete" in capsys.readouterr().err
    assert path.exists() and not (tmp_path / "lfw").exists()
    path.write_bytes(archive("lfw"))
    assert script.main(["get", "lfw", "--root", str(tmp_path), "--from-zip", str(path)]) == 0
    assert path.exists()


LINK = zipfile.ZipInfo("link")
LINK.external_attr = (stat.S_IFLNK | 0o777) << 16


@pytest.mark.parametrize("member", ["../evil", "a/../../evil", "/evil", "..\\evil", "C:evil", LINK], ids=str)
def test_an_archive_with_a_path_outside_the_folder_is_refused(member, script, tmp_path: Path, capsys) -> None:
    path = tmp_path / "deep" / "evil.zip"
    path.parent.mkdir()
    path.write_bytes(archive("lfw", {member: b"/etc/passwd"}))
    before = {file for file in tmp_path.rglob("*") if "evil" in file.name or "link" in file.name}
    root = tmp_path / "deep" / "data"
    assert script.main(["get", "lfw", "--root", str(root), "--from-zip", str(path)]) == 2
    assert "do not trust it" in capsys.readouterr().err
    assert {file for file in tmp_path.rglob("*") if "evil" in file.name or "link" in file.name} == before
    assert not (root / "lfw").exists()


def test_an_archive_that_cannot_be_installed_is_one_line(script, tmp_path: Path, monkeypatch, capsys) -> None:
    path = tmp_path / "other.zip"
    path.write_bytes(archive("ffhq"))
    get = ["get", "lfw", "--root", str(tmp_path), "--from-zip"]
    assert script.main([*get, str(path)]) == 2
    assert "holds no lfw-deepfunneled/lfw-deepfunneled/*/*.jpg" in capsys.readouterr().err
    assert script.main([*get, str(tmp_path / "none.zip")]) == 2
    assert "no such file" in capsys.readouterr().err
    path.write_bytes(archive("lfw"))
    with monkeypatch.context() as small:
        small.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(100, 90, 10))
        assert script.main([*get, str(path)]) == 2
    assert "free some space or choose another --root" in capsys.readouterr().err
    with script.FileLock(tmp_path / ".lfw" / "lock"):
        assert script.main([*get, str(path)]) == 2
    assert "another process is downloading lfw" in capsys.readouterr().err
    (tmp_path / "lfw").mkdir()
    (tmp_path / "lfw" / "mine.txt").write_text("mine")
    assert script.main([*get, str(path)]) == 2
    assert "no record of its files" in capsys.readouterr().err and (tmp_path / "lfw" / "mine.txt").exists()


def stop(process: subprocess.Popen, how: signal.Signals, until: int, part: Path) -> Callable[[int], None]:
    """End `process` once it has been sent so many bytes and wrote all it could; send no more before it is gone."""

    def sent(count: int) -> None:
        if count >= until:
            while process.poll() is None and (part.stat().st_size if part.exists() else 0) + 2**20 <= count:
                time.sleep(0.001)
            process.send_signal(how)
            process.wait()

    return sent


def test_ctrl_c_prints_how_to_continue(script, user, kaggle, tmp_path: Path) -> None:
    kaggle.archives = {address("fer2013", script): LARGE}
    process = start(user, "get", "fer2013", "--root", tmp_path)
    kaggle.sent = stop(process, signal.SIGINT, 2**21, tmp_path / ".fer2013" / "fer2013.zip")
    said, errors = process.communicate()
    assert process.returncode == 130 and "the same command continues from here" in errors
    assert "Traceback" not in said + errors and "fer2013.zip" in said
    assert re.search(r"\d+%\|", errors), "the progress bar shows"


def test_a_killed_download_installs_nothing_and_can_be_resumed(script, user, kaggle, tmp_path: Path) -> None:
    kaggle.archives = {address("fer2013", script): LARGE}
    get = ["get", "fer2013", "--root", str(tmp_path)]
    moments = random.Random(1)
    for _ in range(10):
        until, process = moments.randrange(len(LARGE) - 2**18), start(user, *get)
        kaggle.sent = stop(process, signal.SIGKILL, until, tmp_path / ".fer2013" / "fer2013.zip")
        process.communicate()
        assert not (tmp_path / "fer2013").exists()
        assert script.main(["verify", "fer2013", "--root", str(tmp_path)]) == 2
    kaggle.sent = lambda count: None
    assert script.main(get) == 0
    with zipfile.ZipFile(io.BytesIO(LARGE)) as whole:
        assert (tmp_path / "fer2013" / "noise.bin").read_bytes() == whole.read("noise.bin")
    assert any(kaggle.ranges)


def test_a_killed_extraction_installs_nothing(script, user, tmp_path: Path) -> None:
    many = {f"train/happy/face_{i}.jpg": bytes(2000) for i in range(1500)}
    (tmp_path / "many.zip").write_bytes(archive("fer2013", many))
    get = ["get", "fer2013", "--root", str(tmp_path), "--from-zip", str(tmp_path / "many.zip")]
    unpacked = tmp_path / ".fer2013" / "files" / "train" / "happy"
    moments, cut = random.Random(2), 0
    for _ in range(10):
        until = moments.randrange(1500)
        process = start(user, *get)
        while process.poll() is None and unpacked.exists():
            pass  # what an earlier kill left
        while process.poll() is None and not (tmp_path / "fer2013").exists():
            if unpacked.exists() and len(os.listdir(unpacked)) >= until:  # noqa: PTH208
                break
        process.kill()
        process.communicate()
        whole = (tmp_path / "fer2013").exists()
        cut += unpacked.exists()
        assert script.main(["verify", "fer2013", "--root", str(tmp_path)]) == (0 if whole else 2)
        shutil.rmtree(tmp_path / "fer2013", ignore_errors=True)
    assert cut, "no kill came while files were written"
    assert script.main(get) == 0
    assert len(list((tmp_path / "fer2013" / "train" / "happy").iterdir())) == 1500 + len(NUMBERS)


def test_the_documentation_lists_every_data_set(script: ModuleType) -> None:
    text = (ROOT / "docs" / "data_sets.md").read_text()
    for name, kind in script.DATA_SETS.items():
        line = next(line for line in text.splitlines() if line.startswith(f"| `{name}` | `{kind.address}` |"))
        assert kind.licence.rstrip(")") in line
        assert line.endswith(f"| {', '.join(f'`{recipe}`' for recipe in kind.recipes)} |")
