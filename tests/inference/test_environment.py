import re
import subprocess
from pathlib import Path

import pytest
import torch

from gan_restore.inference import environment
from gan_restore.inference.devices import Compute


def test_what_a_result_was_computed_with() -> None:
    found = Compute(device="cpu").environment(torch.device("cpu"))
    assert set(found) == {"versions", "commit", "device", "devices", "precision", "compile"}
    assert {"python", "torch", "gan-restore"} <= set(found["versions"])
    assert found["device"] == f"CPU, {torch.get_num_threads()} threads"
    assert found["precision"] == "32-true" and found["devices"] == 1


def test_the_commit_is_that_of_the_library_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "package"
    (package / "inference").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    monkeypatch.setattr(environment, "__file__", str(package / "inference" / "environment.py"))

    def git(*args: str) -> None:
        who = ["-c", "user.name=a", "-c", "user.email=a@b"]
        subprocess.run(["git", "-C", str(tmp_path), *who, *args], check=True, capture_output=True)

    assert environment.commit() is None, "no repository"
    git("init")
    git("commit", "--allow-empty", "-m", "somebody else's project")
    assert environment.commit() is None, "not tracked"
    git("add", ".")
    git("commit", "-m", "a clone")
    git("tag", "v1")
    assert re.fullmatch("[0-9a-f]{40}", environment.commit())
    (package / "__init__.py").write_text("changed")
    assert re.fullmatch("[0-9a-f]{40}-dirty", environment.commit())
    monkeypatch.setenv("PATH", "")
    assert environment.commit() is None, "no git"
