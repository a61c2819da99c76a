"""Fixtures for the tests and for the examples in the library's docstrings."""

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty image cache, so that a test neither reads nor fills the user's."""
    path = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("GAN_RESTORE_CACHE", str(path))
    return path


@pytest.fixture(autouse=True)
def examples_write_elsewhere(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A docstring's example runs in an empty folder."""
    if isinstance(request.node, pytest.DoctestItem):
        monkeypatch.chdir(tmp_path)
