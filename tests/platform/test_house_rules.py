"""Laws of the house that no linter knows."""

import ast
from collections.abc import Iterator
from pathlib import Path

from backoffice.app.config import ROOT

LONGEST_FILE = 400
LONGEST_FUNCTION = 40
ABOUT = 1.15
"""“About” 400 lines."""


def sources() -> Iterator[tuple[Path, str]]:
    for path in sorted([ROOT / "worker.py", *(ROOT / "backoffice").rglob("*.py")]):
        yield path.relative_to(ROOT), path.read_text()


def test_no_file_and_no_function_is_longer_than_one_can_hold_in_mind() -> None:
    too_long = []
    for path, text in sources():
        if len(text.splitlines()) > LONGEST_FILE * ABOUT:
            too_long.append(str(path))
        too_long += [
            f"{path}: {node.name}"
            for node in ast.walk(ast.parse(text))
            if isinstance(node, ast.FunctionDef) and _length(node) > LONGEST_FUNCTION * ABOUT
        ]
    assert too_long == []


def _length(node: ast.FunctionDef) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def test_only_the_worker_and_the_commands_make_an_app() -> None:
    makers = {
        str(path)
        for path, text in sources()
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.ImportFrom)
        and {"create_app", "create_background_app"} & {alias.name for alias in node.names}
    } - {"backoffice/__init__.py"}
    assert makers == {
        "backoffice/commands/cli.py",
        "backoffice/commands/supervisor.py",
        "worker.py",
    }


def test_every_lint_exception_says_why() -> None:
    silent = []
    for path, text in sources():
        for number, line in enumerate(text.splitlines(), 1):
            _, mark, reason = line.partition("# noqa")
            if mark and "(" not in reason:
                silent.append(f"{path}:{number}")
    assert silent == []
