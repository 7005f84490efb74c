"""Only the app's own processes can suppress notes: tested on every declared figure, with every role."""

from decimal import Decimal
from typing import Any

import psycopg
import pytest
from sqlalchemy import JSON, Text

from backoffice import figures
from backoffice.app.extensions import db
from backoffice.database import proof
from backoffice.figures import registry
from backoffice.figures.computing.registry import Bundle
from backoffice.figures.keeping.recomputing import suppression_key
from backoffice.figures.models import SETTLING
from backoffice.wallets.actions import recharge
from tests.drift.every_figure import fill
from tests.factories.wallets import WalletFactory

Connection = psycopg.Connection[Any]


def suppressed() -> list[tuple[Bundle, Any, str]]:
    """Every figure column that a correction may change without a note for a bundle, with the suppression key."""
    return [
        (bundle, source.table.c[name], key)
        for bundle in registry.bundles
        for source in bundle.sources
        if (key := suppression_key(bundle, source)) is not None
        for name in sorted(source.columns)
        if registry.keeper(source.table.c[name]) is not None
    ]


@pytest.fixture
def book(session: Any) -> None:
    """A book with rows of every figure, and no notes left."""
    fill(session)
    recharge(session, WalletFactory().id, Decimal(100))
    session.commit()
    figures.heal_noted(db.engine)


def notes_of(connection: Connection, statement: str, said: str, keys: str) -> list[Any]:
    """The notes of one statement in a transaction that sets these keys and this proof."""
    with connection.transaction(force_rollback=True):
        connection.execute("SELECT set_config(%s, %s, true)", [SETTLING, keys])
        connection.execute("SELECT set_config(%s, %s, true)", [proof.PROOF, said])
        connection.execute(statement.encode())
        noted = (
            "SELECT bundle, owner, source, source_id, key, delta FROM figure_notes "
            "WHERE xid = pg_current_xact_id()"
        )
        return sorted(connection.execute(noted.encode()).fetchall(), key=repr)


def changed(column: Any) -> str:
    """A statement that writes another value into every row."""
    otherwise = "{} + 1"
    if isinstance(column.type, JSON):
        otherwise = "jsonb_build_object('was', {})"
    elif isinstance(column.type, Text):
        otherwise = "'2199' || right({}, 3)"
    return f"UPDATE {column.table.name} SET {column.name} = {otherwise.format(column.name)}"


def bundles_in(notes: list[Any]) -> set[str]:
    return {name.partition("#")[0] for name, *_ in notes}


def test_every_bundle_that_a_correction_writes_has_a_key() -> None:
    assert {bundle for bundle, *_ in suppressed()} == set(registry.bundles)


@pytest.mark.usefixtures("book")
@pytest.mark.parametrize("role", ["app", "owner"])
def test_whatever_a_program_says_it_notes_the_same(
    role: str, app_connection: Connection, owner_connection: Connection
) -> None:
    """Neither by a guess nor by the digest that the owner may read: only the secret behind it is accepted."""
    connection = app_connection if role == "app" else owner_connection
    digests = owner_connection.execute("SELECT token_hash FROM process_keys").fetchall()
    every_key = ",".join(sorted({key for *_, key in suppressed()}))
    for bundle, column, _key in suppressed():
        statement = changed(column)
        honest = notes_of(connection, statement, "", "")
        assert bundle.name in bundles_in(honest), statement
        for said in ("", "guess", every_key, *(digest for (digest,) in digests)):
            assert notes_of(connection, statement, said, every_key) == honest, statement


@pytest.mark.usefixtures("book")
def test_mutant_a_program_that_knew_the_token_would_be_believed(
    session: Any, app_connection: Connection
) -> None:
    said = proof.token(session.connection())
    for bundle, column, key in suppressed():
        statement = changed(column)
        honest = of_bundle(bundle, notes_of(app_connection, statement, "", ""))
        silent = of_bundle(bundle, notes_of(app_connection, statement, said, key))
        assert len(silent) < len(honest), statement


def of_bundle(bundle: Bundle, notes: list[Any]) -> list[Any]:
    return [note for note in notes if note[0].partition("#")[0] == bundle.name]
