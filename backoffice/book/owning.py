"""Transactions as the role that owns the tables, outside the app's connection pools."""

from collections.abc import Iterator
from contextlib import contextmanager

from flask import Flask
from sqlalchemy import Connection, Engine, NullPool, create_engine, func, select

from ..base import out_of_calendar
from ..database import proof
from ..figures import actor


def owner_engine(app: Flask) -> Engine:
    """An engine with the owner's role and without a pool: each connection is closed after use."""
    engine = create_engine(
        app.config["MIGRATION_DATABASE_URL"], poolclass=NullPool, isolation_level="READ COMMITTED"
    )
    proof.set_secret(engine, app.config["SECRET_KEY"])
    out_of_calendar.read_all(engine)
    return engine


@contextmanager
def as_owner(engine: Engine) -> Iterator[Connection]:
    """A transaction with the owner's role in the name of the acting user, which commits at the end of the block."""
    with engine.begin() as connection:
        connection.execute(select(func.set_config("backoffice.actor", actor.get(), True)))
        yield connection
