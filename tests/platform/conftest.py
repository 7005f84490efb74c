"""Homes of their own for tests that start and end services."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest


@pytest.fixture
def new_home() -> Iterator[Callable[[], Path]]:
    """Folders for a BACKOFFICE_HOME, at a place that root's unprivileged user can reach too."""
    made: list[Path] = []

    def new_home() -> Path:
        folder = Path(tempfile.mkdtemp(prefix="backoffice-home-"))
        folder.chmod(0o711)
        made.append(folder)
        return folder / "home"

    yield new_home
    for folder in made:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def as_root() -> None:
    """Skip where the tests don't run as root."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to become another user")
