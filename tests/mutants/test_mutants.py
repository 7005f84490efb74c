"""The list of mutants fits the code as it is now. `make mutants` tries whether they are caught."""

from collections import Counter
from pathlib import Path

import pytest

from . import caught, mutants
from .mutant import ROOT, Mutant
from .trees import Tree


def test_there_are_mutants_enough_to_guard_the_code() -> None:
    assert len(mutants()) >= 150


def test_no_two_mutants_have_one_name() -> None:
    counted = Counter(mutant.name for mutant in mutants())
    assert {name for name, count in counted.items() if count > 1} == set()


@pytest.mark.parametrize("file", sorted({mutant.file for mutant in mutants()}))
def test_every_change_can_be_made(file: str) -> None:
    text = (ROOT / file).read_text()
    for mutant in (each for each in mutants() if each.file == file):
        changed = mutant.changed(text)
        assert changed != text, mutant.name
        if file.endswith(".py"):
            compile(changed, file, "exec")


def test_every_mutant_names_tests_that_exist() -> None:
    for mutant in mutants():
        assert mutant.tests or mutant.harmless, mutant.name
        for test in mutant.tests:
            assert caught.source_of(test), mutant.name


def test_a_text_that_occurs_twice_is_refused() -> None:
    mutant = Mutant("x", "Makefile", "a", "b", ())
    with pytest.raises(ValueError, match="has 2 times: 'a'"):
        mutant.changed("a a")


def test_the_tests_and_their_processes_use_the_changed_copy(tmp_path: Path) -> None:
    """A child process that starts elsewhere imports the copy as well, not the installed package."""
    tree = Tree(tmp_path)
    test = (
        "import subprocess, sys\nfrom backoffice.base import trouble\n"
        "def test_copy():\n"
        "    program = 'from backoffice.base import trouble; print(trouble.__doc__)'\n"
        "    child = subprocess.run([sys.executable, '-c', program], cwd='/', capture_output=True, text=True)\n"
        "    assert (trouble.__doc__, child.stdout) == ('changed', 'changed\\n')\n"
    )
    (tree.root / "tests" / "mutants" / "test_copy.py").write_text(test)
    named = ["tests/mutants/test_copy.py::test_copy"]
    plain = ("-p", "no:randomly", "--noconftest")
    with tree.with_text("backoffice/base/trouble.py", '"""changed"""\n'):
        changed = tree.run(named, *plain, seconds=60)
    assert changed.status == 0, changed.output
    unchanged = tree.run(named, *plain, seconds=60)
    assert (unchanged.status, unchanged.failed) == (1, set(named))
