"""A command finds its home from any folder, or reports that there is none; few may create one."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from backoffice.app.commands import COMMANDS, command_named
from backoffice.app.config import HOME_MAKERS, READERS, ROOT
from backoffice.commands.cli import main

pytestmark = pytest.mark.slow

NewHome = Callable[[], Path]
BIN = Path(sys.executable).parent


def leaves(name: str, command: click.Command, *before: str) -> Iterator[list[str]]:
    """Every command below, with its required arguments and options."""
    words = [*before, name]
    if isinstance(command, click.Group):
        for inner, child in command.commands.items():
            yield from leaves(inner, child, *words)
        return
    for parameter in command.params:
        if parameter.required:
            given = a_value(parameter.type)
            words += (
                [given] if isinstance(parameter, click.Argument) else [parameter.opts[0], given]
            )
    yield words


def a_value(kind: click.ParamType) -> str:
    """A valid value for an option or argument of that type."""
    if isinstance(kind, click.Choice):
        return str(kind.choices[0])
    if isinstance(kind, click.DateTime):
        return "2026-01-01"
    return __file__ if isinstance(kind, click.Path | click.File) else "1"


ALL = [
    words
    for name in sorted(COMMANDS)
    for words in leaves(name, command_named(name) or click.Command(name))
    if " ".join(words) not in HOME_MAKERS
]


@pytest.mark.parametrize("words", ALL, ids=" ".join)
def test_without_a_home_a_command_says_so_and_makes_none(
    words: list[str], new_home: NewHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = new_home()
    monkeypatch.setenv("BACKOFFICE_HOME", str(home))
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 2, done.output
    assert f"There is no Backoffice in {home}" in done.stderr
    assert not home.exists()


def test_a_home_without_a_cluster_gets_none_by_accident(
    new_home: NewHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = new_home()
    home.mkdir()
    (home / "embedded.json").write_text("{}")
    monkeypatch.setenv("BACKOFFICE_HOME", str(home))
    done = CliRunner().invoke(main, ["figures", "verify"])
    assert done.exit_code == 2
    assert "There is no Backoffice in" in done.stderr
    assert not (home / "postgres" / "data").exists()


def test_the_home_is_beside_the_code_whatever_the_current_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    default, read = READERS["BACKOFFICE_HOME"]
    assert read(default) == ROOT / "var"


OURS, FLASKS = ["backoffice"], ["flask", "--app", "backoffice"]


def test_an_upgrade_makes_a_home_and_the_next_command_finds_it_from_anywhere(
    new_home: NewHome, tmp_path: Path
) -> None:
    """With `backoffice` and with `flask`; the upgrade with `flask`, as most tests have a home made by `backoffice`."""
    home = new_home()

    def run(program: list[str], *words: str, folder: Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [BIN / program[0], *program[1:], *words],
            cwd=folder,
            env={**os.environ, "BACKOFFICE_HOME": str(home)},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    for program in (OURS, FLASKS):
        refused = run(program, "figures", "verify", folder=tmp_path)
        assert (refused.returncode, home.exists()) == (2, False), refused.stderr
        assert "Traceback" not in refused.stderr
    made = run(FLASKS, "db", "upgrade", folder=tmp_path)
    assert made.returncode == 0, made.stderr
    for program in (OURS, FLASKS):
        found = run(program, "figures", "verify", folder=Path("/"))
        assert (found.returncode, found.stdout) == (0, "Every figure is right.\n"), found.stderr
    assert list(tmp_path.iterdir()) == []
