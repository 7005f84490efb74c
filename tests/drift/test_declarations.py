"""Every declared figure is tested on a book with random references."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import Table
from sqlalchemy.exc import IntegrityError

from backoffice.figures import registry
from backoffice.figures.computing.relations import OneOwner, Relations
from backoffice.figures.verifying import proving
from tests.depth import examples
from tests.drift.forging import Forger, a_forger

pytestmark = pytest.mark.slow


@pytest.fixture
def forger(
    kept_book: Any, run_command: Callable[..., Any], admin_database_url: str
) -> Iterator[Forger]:
    """A superuser who may write anything into the demo company; all of it is rolled back."""

    def make() -> None:
        assert run_command("demo", "load").exit_code == 0

    kept_book("the demo company", make)
    with a_forger(admin_database_url) as forger:
        yield forger


def shuffle(forger: Forger, seed: float) -> None:
    """Let each reference that figures read refer to a random row; unique columns stay."""
    forger.do("SELECT setseed(:seed)", seed=seed)
    for table in sorted({s.table for f in registry.figures for s in f.sources}, key=str):
        _shuffle(forger, table)


def _shuffle(forger: Forger, table: Table) -> None:
    for column in table.c:
        for key in column.foreign_keys:
            every = f'ARRAY(SELECT "{key.column.name}" FROM "{key.column.table.name}")'
            chosen = f"({every})[1 + floor(random() * cardinality({every}))::int]"
            try:
                with forger.connection.begin_nested():
                    forger.do(f'UPDATE "{table.name}" SET "{column.name}" = {chosen}')
            except IntegrityError:
                continue


def disproofs(forger: Forger, sample: int = 20) -> list[str]:
    proving.differing.cache_clear()
    found = proving.disproofs(forger.connection, registry, sample=sample)
    return [str(disproof) for disproof in found]


def test_every_declared_figure_is_of_one_owner_what_it_is_among_all(forger: Forger) -> None:
    assert disproofs(forger) == []
    for number in range(examples(1)):
        shuffle(forger, 0.13 / (1 + number))
        assert disproofs(forger) == []


MUTANTS: dict[str, tuple[Any, str, Callable[..., Any], set[str]]] = {
    "owners seen from another table are taken for its ids": (
        Relations, "seen_from", lambda _self, scope, *_: scope, {"customers.balance"},
    ),
    "whoever stands before the owner is in scope": (
        OneOwner, "condition",
        lambda self, owner, real=OneOwner.condition: owner <= real(self, owner).right,
        {figure.name for figure in registry.figures},
    ),
}  # fmt: skip


@pytest.mark.parametrize(("of", "method", "mutant", "shown_by"), MUTANTS.values(), ids=MUTANTS)
def test_a_core_that_reads_other_owners_is_caught(
    forger: Forger,
    monkeypatch: pytest.MonkeyPatch,
    of: Any,
    method: str,
    mutant: Any,
    shown_by: Any,
) -> None:
    monkeypatch.setattr(of, method, mutant)
    try:
        assert {said.partition(":")[0] for said in disproofs(forger)} >= shown_by
    finally:
        proving.differing.cache_clear()
