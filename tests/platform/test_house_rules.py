"""Coding rules of the project that no linter checks."""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import grimp
import pytest

from backoffice.app.config import ROOT

LONGEST_FILE = 400
LONGEST_FUNCTION = 40
MOST_FILES = 20
ABOUT = 1.15
"""The tolerance of “about” so many lines of a function, or files in a folder."""


def sources() -> Iterator[tuple[Path, str]]:
    for path in sorted([ROOT / "worker.py", *(ROOT / "backoffice").rglob("*.py")]):
        yield path.relative_to(ROOT), path.read_text()


def test_no_file_and_no_function_is_longer_than_one_can_hold_in_mind() -> None:
    too_long = []
    for path, text in sources():
        if len(text.splitlines()) > LONGEST_FILE:
            too_long.append(str(path))
        too_long += [
            f"{path}: {node.name}"
            for node in ast.walk(ast.parse(text))
            if isinstance(node, ast.FunctionDef) and _length(node) > LONGEST_FUNCTION * ABOUT
        ]
    assert too_long == []


def test_no_folder_has_more_files_than_one_can_look_through() -> None:
    found = Counter(path.parent for path, _text in sources() if path.name != "__init__.py")
    assert {str(folder) for folder, n in found.items() if n > MOST_FILES * ABOUT} == set()


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


def test_no_module_reaches_itself_by_what_it_imports() -> None:
    """Imports within functions, and by `Late`, count too; imports for type checking only do not."""
    graph = grimp.build_graph("backoffice", exclude_type_checking_imports=True, cache_dir=None)
    imports = {name: graph.find_modules_directly_imported_by(name) for name in graph.modules}
    for path, text in sources():
        name = ".".join(path.with_suffix("").parts)
        for late in re.findall(r'Late\("([\w.]+)"\)', text):
            imports[name] = imports[name] | {late}
    TopologicalSorter(imports).prepare()  # raises CycleError, which names the cycle


def test_no_module_of_views_uses_another_domains() -> None:
    graph = grimp.build_graph("backoffice", cache_dir=None)
    views = {name: name.split(".")[1] for name in graph.modules if name.endswith("views")}
    assert len(views) > 40
    used = (
        (name, other) for name in views for other in graph.find_modules_directly_imported_by(name)
    )
    assert [
        (name, other) for name, other in used if views.get(other, views[name]) != views[name]
    ] == []


DONE_ON_IMPORT = {
    # prometheus-client requires it before the first metric is created
    ("backoffice/app/counting/instruments.py", "disable_created_metrics"),
    # the one session of the process keeps figures right from the start
    ("backoffice/app/extensions.py", "figure_hooks.install_session"),
}
"""Calls at module level that change state outside the module, each with its reason."""

AS_BP_GET_DOES = {"screens.add_to", "lists.add_export", "lists.add_list"}
"""Routes on the module's own blueprint: a record's screens, a list's files, a list's screen with its files."""


def test_a_module_does_nothing_when_it_is_imported() -> None:
    """Domains declare their parts in `domain.py`; two apps in one process share no list that imports fill."""
    doing = {
        (str(path), ast.unparse(statement).partition("(")[0])
        for path, text in sources()
        if path.name != "__main__.py"
        for statement in _doing(ast.parse(text).body)
    }
    assert {each for each in doing if each[1] not in AS_BP_GET_DOES} == DONE_ON_IMPORT


@pytest.mark.parametrize(
    "statement",
    [
        "register(1)", "PARTS.append(1)", "parts.PARTS[:] = [1]", "parts.ALL += [1]", "parts.kept = 1",
        "if True:\n    register(1)", "for one in (1, 2):\n    register(one)", "KINDS['a'] = 1", "del parts.kept",
        "try:\n    register(1)\nexcept ValueError:\n    pass",
    ],
)  # fmt: skip
def test_whatever_a_module_does_when_it_is_imported_is_seen(statement: str) -> None:
    assert _doing(ast.parse(f"import parts\nOWN = 1\nOWN.kept = 1\n{statement}").body)


def _doing(body: list[ast.stmt]) -> list[ast.stmt]:
    """Statements other than definitions, imports, and assignments to the module's own names."""
    assigned = [t for s in body if isinstance(s, ast.Assign) for t in s.targets]
    assigned += [s.target for s in body if isinstance(s, ast.AnnAssign)]
    own = {target.id for target in assigned if isinstance(target, ast.Name)}
    return list(_at_import(body, own))


def _is_own(target: ast.expr, own: set[str]) -> bool:
    """Whether the target is a name, or an attribute of an object that the module itself assigned."""
    if isinstance(target, ast.Tuple):
        return all(_is_own(part, own) for part in target.elts)
    if isinstance(target, ast.Attribute):
        return isinstance(target.value, ast.Name) and target.value.id in own
    return isinstance(target, ast.Name)


def _at_import(body: list[ast.stmt], own: set[str]) -> Iterator[ast.stmt]:
    for statement in body:
        match statement:
            case ast.If(body=then, orelse=otherwise):
                if ast.unparse(statement.test) != "__name__ == '__main__'":
                    yield from _at_import([*then, *otherwise], own)
            case ast.Assign(targets=targets) if all(_is_own(target, own) for target in targets):
                pass
            case ast.AnnAssign(target=ast.Name()) | ast.Expr(value=ast.Constant()):
                pass
            case ast.Import() | ast.ImportFrom() | ast.FunctionDef() | ast.ClassDef():
                pass
            case _:
                yield statement
