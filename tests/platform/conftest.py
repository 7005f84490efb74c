"""Separate homes for tests that start and stop services."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest


@pytest.fixture
def new_home() -> Iterator[Callable[[], Path]]:
    """Returns new folders for a BACKOFFICE_HOME, which root's unprivileged user can reach too."""
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
    """Skip the test unless it runs as root."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to become another user")
