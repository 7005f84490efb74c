"""The README's "How to add a record", to the letter, in a fresh copy of the source: everything is green."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from babel.messages.pofile import read_po, write_po

from backoffice.app.config import ROOT

pytestmark = pytest.mark.slow

README = (ROOT / "README.md").read_text()
HOW_TO = README.partition("\n## How to add a record\n")[2].partition("\n## ")[0]

Run = Callable[..., str]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the source as git has it."""
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    names = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, names.split("\0")):
        if (ROOT / name).is_file():
            (tmp_path / "copy" / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, tmp_path / "copy" / name)
    return tmp_path / "copy"


@pytest.fixture
def run(copy: Path, new_home: Callable[[], Path]) -> Run:
    """Runs a program in the copy, with a home of its own; returns what it prints."""
    kept = {k: v for k, v in os.environ.items() if not k.endswith(("_URL", "_KEY"))}
    given = {**kept, "PYTHONPATH": str(copy), "BACKOFFICE_HOME": str(new_home())}

    def run(*command: str) -> str:
        done = subprocess.run(
            command, cwd=copy, env=given, capture_output=True, text=True, timeout=300, check=False
        )
        assert done.returncode == 0, f"{command}: {done.stdout[-3000:]}{done.stderr[-3000:]}"
        return done.stdout

    return run


@pytest.mark.timeout(600)
def test_a_record_is_added_as_the_readme_says(copy: Path, run: Run) -> None:
    python, main = sys.executable, "from backoffice.commands.cli import main; main()"
    tools = Path(python).parent
    run(python, "-m", "backoffice.translations", "compile")
    run(python, "-c", main, "db", "upgrade")
    for path, text in re.findall(r"```python\n# (\S+)\n(.*?)```", HOW_TO, re.DOTALL):
        (copy / path).parent.mkdir(exist_ok=True)
        (copy / path).write_text(text)
    _write(
        copy / "backoffice/app/domains.py",
        "from ..targets",
        "from ..suppliers import domain as suppliers",
    )
    _write(copy / "backoffice/app/domains.py", "    targets.DOMAIN,", "    suppliers.DOMAIN,")
    layers = copy / "pyproject.toml"
    layers.write_text(
        layers.read_text().replace('  "customers",\n', '  "customers | suppliers",\n', 1)
    )
    run(python, "-c", main, "db", "revision", "--autogenerate", "-m", "suppliers")
    run(str(tools / "ruff"), "format", "migrations")
    [migration] = (copy / "migrations" / "versions").glob("*_suppliers.py")
    upgrade, downgrade = migration.read_text().split("def downgrade")
    assert re.findall(r"op\.((?:create|drop|add|alter)_\w+)\(\s*\"(\w+)", upgrade) == [
        ("create_table", "suppliers")
    ]
    assert re.findall(r"op\.((?:create|drop|add|alter)_\w+)\(\s*\"(\w+)", downgrade) == [
        ("drop_table", "suppliers")
    ]
    run(python, "-c", main, "db", "upgrade")
    _translate(copy, run)
    run(str(tools / "ruff"), "check", ".")
    run(str(tools / "ruff"), "format", "--check", ".")
    run(str(tools / "lint-imports"))
    laws = ("tests/platform/test_house_rules.py", "tests/test_translations.py")
    run(python, "-m", "pytest", "-n0", "-q", "-p", "no:cacheprovider", *laws)
    records = [f"tests/records/test_{each}.py" for each in ("conformance", "api", "verbs")]
    said = run(
        python, "-m", "pytest", "-n0", "-q", "-p", "no:cacheprovider", "-k", "suppliers", *records
    )
    assert int(re.findall(r"(\d+) passed", said)[0]) >= 18


def _write(path: Path, before: str, line: str) -> None:
    """Write a line that the README gives before another one."""
    assert line.strip() in HOW_TO
    text = path.read_text()
    assert text.count(before) == 1
    path.write_text(text.replace(before, f"{line}\n{before}"))


def _translate(copy: Path, run: Run) -> None:
    """Fill in the Indonesian that the README gives; the program then finds nothing missing."""
    subprocess.run(
        [sys.executable, "-m", "backoffice.translations"], cwd=copy, check=False,
        env={**os.environ, "PYTHONPATH": str(copy)}, capture_output=True,
    )  # fmt: skip
    path = copy / "backoffice/translations/id/LC_MESSAGES/messages.po"
    with path.open("rb") as file:
        catalogue = read_po(file, locale="id")
    for english, indonesian in re.findall(r'msgid "(.*)"\nmsgstr "(.*)"', HOW_TO):
        message = catalogue[english]
        message.string = indonesian
        message.flags.discard("fuzzy")
    with path.open("wb") as file:
        write_po(file, catalogue, width=120, no_location=True)
    run(sys.executable, "-m", "backoffice.translations")
