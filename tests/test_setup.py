"""What makes the two commands work on another machine: dependencies, lock file, environment, workflows."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
WANTED = [Requirement(text) for text in PROJECT["dependencies"]] + [
    Requirement(text) for texts in PROJECT["optional-dependencies"].values() for text in texts
]


def locked() -> dict[str, list[str]]:
    versions: dict[str, list[str]] = {}
    for line in (ROOT / "requirements.lock").read_text().splitlines():
        requirement = Requirement(line)
        assert [spec.operator for spec in requirement.specifier] == ["=="], f"not an exact version: {line}"
        versions.setdefault(canonicalize_name(requirement.name), []).append(
            next(iter(requirement.specifier)).version
        )
    return versions


@pytest.mark.parametrize("wanted", WANTED, ids=lambda requirement: requirement.name)
def test_every_dependency_has_a_lower_bound_a_reason_and_a_locked_version(wanted: Requirement) -> None:
    assert any(spec.operator == ">=" for spec in wanted.specifier)
    assert re.search(rf'"{re.escape(wanted.name)}>=[^"]*", +# \S', (ROOT / "pyproject.toml").read_text())
    versions = locked()[canonicalize_name(wanted.name)]
    assert all(wanted.specifier.contains(version) for version in versions)


def test_the_lock_holds_names_and_versions_only() -> None:
    text = (ROOT / "requirements.lock").read_text()
    assert "://" not in text and "--" not in text and "@" not in text


def test_the_library_needs_no_jupyter() -> None:
    names = {Requirement(text).name for text in PROJECT["dependencies"]}
    assert not names & {"jupyterlab", "papermill", "nbconvert", "ipywidgets", "flask", "kaggle"}
    program = (
        "import sys, gan_restore.cli; print(sorted({'papermill', 'jupyterlab', 'nbconvert'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_conda_users_get_the_same_environment() -> None:
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    python, pip, packages = environment["dependencies"]
    assert python == f"python{PROJECT['requires-python']}" and pip == "pip"
    assert packages == {"pip": ["-r requirements.lock", "-e ."]}, "everything else comes from the lock file"


def test_ci_and_the_workflows_call_the_same() -> None:
    assert "make lint test course" in (ROOT / ".ci" / "run").read_text()
    jobs = {path.name: yaml.safe_load(path.read_text()) for path in (ROOT / ".github" / "workflows").glob("*.yml")}
    runs = {
        name: [step.get("run") for job in file["jobs"].values() for step in job["steps"]]
        for name, file in jobs.items()
    }
    assert ".ci/run" in runs["checks.yml"] and ".ci/run" in runs["newest.yml"] and "make course" in runs["gpu.yml"]
