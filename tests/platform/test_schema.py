"""The migrated database matches the models, and no money column accepts NaN."""

import psycopg
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from flask import Flask
from sqlalchemy import Numeric, create_engine

from backoffice.app.extensions import db
from backoffice.base import Base
from backoffice.commands.upgrade import is_compared, is_modelled
from backoffice.runs import models as _runs  # noqa: F401 (mapped only where a command needs it)


def test_migrations_and_models_agree(app: Flask) -> None:
    engine = create_engine(app.config["MIGRATION_DATABASE_URL"])
    with engine.connect() as connection:
        opts = {
            "compare_type": True,
            "include_name": is_modelled,
            "include_object": is_compared,
        }
        context = MigrationContext.configure(connection, opts=opts)
        differences = compare_metadata(context, Base.metadata)
    engine.dispose()
    assert differences == []


def test_no_money_column_takes_nan(
    app: Flask, owner_connection: psycopg.Connection[object]
) -> None:
    columns = [
        (t, c) for t in Base.metadata.sorted_tables for c in t.c if isinstance(c.type, Numeric)
    ]
    assert len(columns) >= 8
    for table, column in columns:
        checks = owner_connection.execute(
            "SELECT pg_get_constraintdef(oid) FROM pg_constraint "
            "WHERE contype = 'c' AND conrelid = %s::regclass",
            (table.name,),
        ).fetchall()
        refusal = f"({column.name} <> 'NaN'::numeric)"
        assert any(refusal in str(definition) for (definition,) in checks), f"{column} takes NaN"


def test_constraints_are_named_by_the_convention(
    app: Flask, owner_connection: psycopg.Connection[object]
) -> None:
    tables = [t.name for t in Base.metadata.sorted_tables]
    found = owner_connection.execute(
        "SELECT conrelid::regclass::text, conname FROM pg_constraint "
        "WHERE contype = 'p' AND conrelid::regclass::text = ANY(%s)",
        (tables,),
    ).fetchall()
    assert {name for _, name in found} == {f"pk_{table}" for table in tables}


def test_the_session_is_bound_to_the_metadata_that_was_compared() -> None:
    assert db.metadata is Base.metadata
