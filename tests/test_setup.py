"""What makes `make course` and `make test` work on another machine: dependencies, lock file, workflows."""

import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import flit_core.buildapi
import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import gan_restore

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
WANTED = [Requirement(text) for text in PROJECT["dependencies"]] + [
    Requirement(text) for texts in PROJECT["optional-dependencies"].values() for text in texts
]
WORKFLOWS = {path.name: yaml.safe_load(path.read_text()) for path in (ROOT / ".github" / "workflows").glob("*.yml")}


def locked() -> dict[str, list[str]]:
    """The versions of each package in the lock file; a package can have several, for different Pythons."""
    versions: dict[str, list[str]] = {}
    for entry in (ROOT / "requirements.lock").read_text().replace(" \\\n", " ").splitlines():
        text, *hashes = re.split(r"\s+--hash=", entry)
        requirement = Requirement(text)
        assert [spec.operator for spec in requirement.specifier] == ["=="], f"not an exact version: {text}"
        assert hashes and all(re.fullmatch("sha256:[0-9a-f]{64}", value) for value in hashes), text
        version = next(iter(requirement.specifier)).version
        versions.setdefault(canonicalize_name(requirement.name), []).append(version)
    return versions


@pytest.mark.parametrize("wanted", WANTED, ids=lambda requirement: requirement.name)
def test_every_dependency_has_a_lower_bound_a_reason_and_a_locked_version(wanted: Requirement) -> None:
    assert any(spec.operator == ">=" for spec in wanted.specifier)
    assert re.search(rf'"{re.escape(wanted.name)}>=[^"]*", +# \S', (ROOT / "pyproject.toml").read_text())
    versions = locked()[canonicalize_name(wanted.name)]
    assert all(wanted.specifier.contains(version) for version in versions)


def test_the_lock_holds_names_versions_and_hashes_only() -> None:
    text = re.sub(r"--hash=sha256:[0-9a-f]{64}", "", (ROOT / "requirements.lock").read_text())
    assert "://" not in text and "--" not in text and "@" not in text


def test_the_library_needs_no_jupyter() -> None:
    names = {Requirement(text).name for text in PROJECT["dependencies"]}
    assert not names & {
        "jupyterlab",
        "papermill",
        "nbconvert",
        "ipywidgets",
        "anywidget",
        "flask",
        "waitress",
        "kaggle",
    }
    program = (
        "import sys, gan_restore.cli; print(sorted({'papermill', 'jupyterlab', 'nbconvert'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_wheel_holds_the_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path)
    shutil.copytree(ROOT / "gan_restore", tmp_path / "gan_restore")
    (tmp_path / "gan_restore" / "models").mkdir(exist_ok=True)
    (tmp_path / "gan_restore" / "models" / "any.safetensors").write_bytes(b"weights")
    monkeypatch.chdir(tmp_path)
    wheel = zipfile.ZipFile(tmp_path / flit_core.buildapi.build_wheel(str(tmp_path)))
    assert wheel.read("gan_restore/models/any.safetensors") == b"weights"


def test_conda_users_get_the_same_environment() -> None:
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    python, pip, packages = environment["dependencies"]
    assert python == f"python{PROJECT['requires-python']}" and pip == "pip"
    assert packages == {"pip": ["-r requirements.lock"]}, "pip refuses a folder beside hashes"


def test_one_version_is_stated_everywhere() -> None:
    assert PROJECT["version"] == gan_restore.__version__
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text())["version"] == gan_restore.__version__
    assert f"[{gan_restore.__version__}]" in (ROOT / "CHANGELOG.md").read_text()


def test_ci_and_the_workflows_call_the_same() -> None:
    assert "make lint test course" in (ROOT / ".ci" / "run").read_text()
    runs = {
        name: [step.get("run") for job in file["jobs"].values() for step in job["steps"]]
        for name, file in WORKFLOWS.items()
    }
    assert ".ci/run" in runs["checks.yml"] and ".ci/run" in runs["newest.yml"] and "make course" in runs["gpu.yml"]
    assert "make course" in runs["site.yml"]


@pytest.mark.parametrize("name", WORKFLOWS)
def test_workflows_can_only_read_the_repository(name: str) -> None:
    assert WORKFLOWS[name]["permissions"] == {"contents": "read"}
    raised = {job: kind["permissions"] for job, kind in WORKFLOWS[name]["jobs"].items() if "permissions" in kind}
    assert raised == ({"publish": {"pages": "write", "id-token": "write"}} if name == "site.yml" else {})
    for step in (step for job in WORKFLOWS[name]["jobs"].values() for step in job["steps"]):
        assert re.fullmatch(r"[\w/-]+@v\d+", step.get("uses", "any/action@v1")), "a major version is named"
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False
