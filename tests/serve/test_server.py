import http.client
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from flask import Flask
from support import encoded, eventually, form

from gan_restore.cli import main
from gan_restore.files import UserError
from gan_restore.serve import Result, Server


@pytest.fixture
def server(app: Flask) -> Iterator[Server]:
    made = Server(app, port=0)
    thread = threading.Thread(target=made.run, daemon=True)
    thread.start()
    yield made
    made.close()
    thread.join(60)


def send(server: Server, photo: bytes) -> tuple[int, bytes]:
    body, kind = form(photo, model="clean")
    request = urllib.request.Request(f"{server.address}/api/restore", body, {"Content-Type": kind})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def healthy(server: Server) -> bool:
    with urllib.request.urlopen(f"{server.address}/healthz", timeout=60) as answer:
        return json.load(answer) == {"status": "ok"}


def test_of_50_uploads_at_once_each_is_restored_or_refused(server: Server) -> None:
    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda _: send(server, encoded(".png")), range(50)))
    counts = Counter(status for status, _ in answers)
    assert set(counts) <= {200, 503} and counts[200] >= 1, counts
    assert len({body for status, body in answers if status == 200}) == 1
    assert healthy(server) and send(server, encoded(".png"))[0] == 200


def test_200_megabytes_are_refused_by_their_announcement(server: Server) -> None:
    connection = http.client.HTTPConnection(server.host, server.port, timeout=60)
    connection.putrequest("POST", "/api/restore")
    connection.putheader("Content-Type", "multipart/form-data; boundary=b")
    connection.putheader("Content-Length", str(200_000_000))
    connection.endheaders()
    assert connection.getresponse().status == 413, "before the body is sent"
    assert healthy(server)


def test_nothing_is_written_to_disk(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a temporary file")

    for name in ("TemporaryFile", "NamedTemporaryFile", "SpooledTemporaryFile", "mkstemp"):
        monkeypatch.setattr(tempfile, name, refuse)
    photo = encoded(".bmp") + bytes(900_000)  # more than any limit for temporary files
    status, body = send(server, photo)
    assert status == 200, body


def test_a_client_that_goes_away_cancels_its_job(app: Flask, server: Server) -> None:
    jobs = app.extensions["gan_restore_jobs"]
    started, go = threading.Event(), threading.Event()

    def slow(progress) -> Result:
        started.set()
        go.wait(60)
        return Result(b"", "", "image/png")

    jobs.submit(slow)
    started.wait(60)
    body, kind = form(encoded(".png"), model="clean")
    connection = http.client.HTTPConnection(server.host, server.port)
    connection.request("POST", "/api/restore", body, {"Content-Type": kind})
    eventually(lambda: len(jobs._unfinished()) == 2)
    connection.close()
    eventually(lambda: len(jobs._unfinished()) == 1)
    go.set()


def test_a_port_that_is_taken_is_named(app: Flask, server: Server) -> None:
    with pytest.raises(UserError, match=rf"cannot listen on 127\.0\.0\.1, port {server.port}: .*try another"):
        Server(app, port=server.port)
    with pytest.raises(UserError, match="cannot listen on no such host, port 0"):
        Server(app, "no such host", 0)


def test_the_command_says_its_address_and_ends_at_ctrl_c() -> None:
    program = "import sys; from gan_restore.cli import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", program, "serve", "--port", "0", "--host", "0.0.0.0", "--device", "cpu"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        stopped = threading.Timer(120, process.kill)  # if an assertion fails
        stopped.start()
        assert "Anyone on the network can use this page" in process.stdout.readline()
        address = process.stdout.readline().split()[3].replace("0.0.0.0", "127.0.0.1")
        with urllib.request.urlopen(f"{address}/api/models", timeout=60) as answer:
            assert json.load(answer)["models"]
        os.kill(process.pid, signal.SIGINT)
        _, errors = process.communicate()
        stopped.cancel()
    assert process.returncode == 0 and "Traceback" not in errors


def test_mistakes_of_the_command_are_one_line(capsys: pytest.CaptureFixture) -> None:
    assert main(["serve", "--max-megapixels", "0"]) == 2
    assert "must be greater than 0" in capsys.readouterr().err
    assert main(["serve", "--prot", "1"]) == 2
    assert "did you mean --port?" in capsys.readouterr().err


def test_without_flask_the_command_says_what_to_install() -> None:
    program = (
        "import sys; sys.modules['waitress'] = None; from gan_restore.cli import main; sys.exit(main(['serve']))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert done.returncode == 2 and "needs the package waitress: pip install '.[web]'" in done.stderr
