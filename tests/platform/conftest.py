"""Separate homes for tests that start and stop services, and the demo company."""

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from backoffice import create_app
from backoffice.commands.upgrade import upgrade
from backoffice.database.embedded import Services
from tests.processes import together


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
def migrated_home(application: Flask) -> Iterator[Path]:
    """A home with an empty book of the newest version, which nobody uses; made once in each process."""
    folder = Path(tempfile.mkdtemp(prefix="backoffice-home-"))
    folder.chmod(0o711)
    services = Services(folder / "home", durable=False)
    with services.in_use(services.postgres, services.redis, tied=True):
        together(application, lambda: upgrade(create_app({"BACKOFFICE_HOME": folder / "home"})))
    yield folder / "home"
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def copied_home(migrated_home: Path, new_home: Callable[[], Path]) -> Callable[[], Path]:
    """Returns new copies of a migrated home, for tests that are not about a first start."""

    def copied_home() -> Path:
        home = new_home()
        subprocess.run(["cp", "-a", migrated_home, home], check=True)
        return home

    return copied_home


@pytest.fixture(scope="session")
def as_root() -> None:
    """Skip the test unless it runs as root."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to become another user")


SIGN_INS: list[dict[str, str]] = []
"""Who can sign in to the demo company that is kept."""


@pytest.fixture
def demo_company(kept_book: Any, run_command: Callable[..., Any]) -> list[dict[str, str]]:
    """The demo company, loaded with the real command; returns who can sign in."""

    def load() -> None:
        done = run_command("demo", "load", "--json")
        assert done.exit_code == 0, done.output
        SIGN_INS[:] = json.loads(done.stdout)["sign_ins"]

    kept_book("the demo company", load)
    return SIGN_INS
