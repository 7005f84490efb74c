"""The check that no test leaves a wrong figure: detected by one statement, reported by a verification.

What `figures.verify` queries bundle by bundle is queried here for all of them at once, over all owners: the statement
is planned once per process and takes a few milliseconds on a small book. If it finds anything, or if the book is too
large for a plan that was made for small books, the figures are verified as usual.
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
"""The most rows of any table with which the one plan is used."""


@contextmanager
def asking(database_url: str) -> Iterator[Engine]:
    """A connection that keeps its plan, as it is never rolled back; replaced if a test has ended it."""
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
    """Whether every figure of every owner has its expected value, and no row lacks its owner."""
    wrong = _whatever_is_wrong(registry, tuple(registry.bundles))
    with asked.connect() as connection:
        if wrong.run(connection, low=FIRST, high=LAST).first() is not None:
            return False
        return not differing(connection, registry)


@cache
def _whatever_is_wrong(registry: Registry, bundles: tuple[Bundle, ...]) -> Statement:
    """The owners with any wrong figure, and missing owners, of every bundle.

    A bundle is compared with the stored values of lower ones, which the same statement compares too.
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
    """Fail with all drift of the figures that read or are stored in any of the changed tables.

    `most` is the number of rows of the book's largest table.
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
