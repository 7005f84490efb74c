"""The law that no test leaves a figure wrong behind: asked in one statement, told by a verification.

What `figures.verify` asks bundle by bundle is asked here of all of them at once, over all owners: the statement is
planned once in a process and costs a small book a few milliseconds. Whatever it finds, and whatever is too much for a
plan that was made for small books, is verified as always.
"""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from functools import cache

from flask import Flask
from sqlalchemy import BigInteger, Engine, cast, create_engine, select, union_all

from backoffice import figures
from backoffice.app.extensions import db
from backoffice.figures import Registry, registry
from backoffice.figures.computing.definitions import differing
from backoffice.figures.computing.dependencies import trustworthy
from backoffice.figures.computing.registry import Bundle
from backoffice.figures.computing.relations import BETWEEN
from backoffice.figures.computing.statements import Statement, suspects
from backoffice.figures.verifying.findings import FIRST, LAST, _facts, _named, _rows
from tests.surgery import LOCKS_END

SMALL = 1_000
"""Rows of every table up to which the one plan will do."""


@contextmanager
def asking(database_url: str) -> Iterator[Engine]:
    """One connection that keeps its one plan, for it is never rolled back; another one where a test has ended it."""
    engine = create_engine(
        database_url.replace("postgresql://", "postgresql+psycopg://", 1),
        pool_size=1,
        max_overflow=0,
        pool_pre_ping=True,
        pool_reset_on_return=None,
        isolation_level="AUTOCOMMIT",
        connect_args={
            "prepare_threshold": 0,
            "options": f"{LOCKS_END} -c plan_cache_mode=force_generic_plan",
        },
    )
    yield engine
    engine.dispose()


def is_right(asked: Engine, registry: Registry = registry) -> bool:
    """Whether every figure of every owner is as it is to be, and no row is without its owner."""
    wrong = _whatever_is_wrong(registry, tuple(registry.bundles))
    with asked.connect() as connection:
        if wrong.run(connection, low=FIRST, high=LAST).first() is not None:
            return False
        return not differing(connection, registry)


@cache
def _whatever_is_wrong(registry: Registry, bundles: tuple[Bundle, ...]) -> Statement:
    """The owners of whom anything is wrong, and those who are missing; of every bundle.

    A bundle is compared with lower ones as they are stored: these are compared in the same statement.
    """
    asked = []
    for place, bundle in enumerate(bundles):
        trusted = trustworthy(registry, bundle, set(bundles[:place]))
        asked.append(suspects(registry, bundle, BETWEEN, trusted))
        for figure in bundle.figures:
            if figure.owner is not figure.primary_key:
                asked.append(_rows(figure, BETWEEN))
            facts = _facts(registry, figure)
            asked += [_named(source, figure.owner_table, BETWEEN) for source in facts]
    found = [statement.clause.order_by(None).subquery() for statement in dict.fromkeys(asked)]
    return Statement(union_all(*(select(cast(rows.c[0], BigInteger)) for rows in found)))


def assert_no_drift(application: Flask, asked: Engine, changed: Collection[str], most: int) -> None:
    """Fail with every figure that is wrong of those that read or keep any of the changed tables.

    `most` is how many rows the largest table of the book has.
    """
    touched = [
        figure
        for figure in registry.figures
        if not {figure.owner_table.name, *(s.table.name for s in figure.sources)}.isdisjoint(
            changed
        )
    ]
    if not touched or (most <= SMALL and is_right(asked)):
        return
    with application.app_context():
        findings = list(figures.verify(db.session, touched))
        db.session.rollback()
    assert not findings, (
        f"The test left figures wrong, {len(findings)} rows, among them {findings[:5]}"
    )
