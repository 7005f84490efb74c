"""Migrating a database: migrations, generated triggers and grants in one transaction; CHECKs and figures after it.

`migrations/env.py` calls `migrate`, so `backoffice db …`, `flask db …` and `flask_migrate.upgrade()` are one
implementation. Objects generated from the declarations fit the newest schema only: they are synced where a
migration ends there, and dropped before a downgrade.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import click
from alembic import command
from alembic.operations import MigrationScript
from alembic.runtime.migration import MigrationContext
from flask import Flask, current_app
from sqlalchemy import (
    Column,
    Connection,
    Engine,
    Index,
    NullPool,
    create_engine,
    func,
    make_url,
    select,
)
from sqlalchemy.exc import ProgrammingError

from .. import audit, figures
from ..app.command_line import database_in_use
from ..app.domain import declared
from ..app.late_checks import text_limits
from ..base import Base
from ..base.trouble import Trouble
from ..book.actions import record_first, refuse_another
from ..book.meaning import of_this_process
from ..book.owning import as_owner, owner_engine
from ..database import (
    checks,
    grants,
    numbering,  # noqa: F401 (its table, which a new migration would drop else)
    proof,
    strangers,
)
from ..database.objects import asleep, drop_generated
from ..database.revisions import seen_by
from ..drift.facts.holding import Doubts
from ..figures import acting_as, actor
from ..figures.computing import definitions

ONE_AT_A_TIME = 0x0B0FF1CE
"""Key of the advisory lock under which migrations wait for each other."""

UNMODELLED = re.compile("ix_audit_events_(order_lines_order_id|[a-z_]+_to_[a-z_]+)")
"""Indexes of domains on the audit table, which the models of neither can declare."""

IMPOSSIBLE_DATES = (
    "These tables have rows with a date before 1900 or after 2199: {tables}. New ones are refused. "
    "Correct the rows in the database, then run: backoffice db upgrade"
)

LONG_TEXTS = (
    "These tables have rows with a text that is longer than forms allow: {tables}. New ones are refused. "
    "Shorten the texts in the database, then run: backoffice db upgrade"
)

UP_TO_DATE = "The database is up to date."

NOT_NEWEST = (
    "This is not the newest version, so the triggers that keep figures and the audit trail are not there. "
    "Start only the Backoffice that belongs to it, after its own: backoffice db upgrade"
)


def upgrade(app: Flask) -> list[str]:
    """Migrate to the newest version as the owner; returns a line for each change.

    Of an interrupted upgrade only whole transactions remain, and the next one goes on from there.
    """
    said: list[str] = []
    with app.app_context():
        config = app.extensions["migrate"].migrate.get_config()
        config.attributes["say"] = said.append
        command.upgrade(config, "head")
    return [line for line in said if line != UP_TO_DATE]


def migrate(context: Any) -> None:
    """Perform an Alembic command, on a connection of the owner; `context` is `alembic.context`."""
    if context.is_offline_mode():  # --sql: prints the script; `db upgrade` does more
        context.configure(dialect_name="postgresql", literal_binds=True)
        with context.begin_transaction():
            context.run_migrations()
        return
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]
    say = context.config.attributes.get("say", click.echo)
    with database_in_use(app.config):
        for line in _migrate(context, owner_engine(app), app):
            say(line)


def _migrate(context: Any, engine: Engine, app: Flask) -> Iterator[str]:
    """Run the migrations, then sync the generated objects with them; yields a line for each change.

    Raises MeaningDiffers, and changes nothing, where the book is kept in another currency or time zone.
    """
    woken = _wake(app)
    with acting_as(actor.get() or "upgrade"), as_owner(engine) as connection:
        _configure(context, connection)
        asked = context.get_context().opts
        if "destination_rev" not in asked:  # a query: `current`, `check`, `revision`
            context.run_migrations()
            return
        connection.execute(select(func.pg_advisory_xact_lock(ONE_AT_A_TIME)))
        refuse_another(connection)
        moves: list[Any] = []
        _configure(context, connection, fn=_noticed(asked["fn"], moves, connection))
        context.run_migrations()
        versions = seen_by(connection)
        is_newest = versions == set(context.script.get_heads())
        renewed = _sync(connection, app, woken) if is_newest else []
        is_first = is_newest and record_first(connection)
    if moves:
        where = ", ".join(sorted(versions)) or "an empty database"
        yield f"Migrated to {where}." if moves[-1].is_upgrade else f"Went back to {where}."
    if woken:
        yield f"Triggers fire again for {', '.join(woken)}."
    if renewed:
        yield f"{len(renewed)} generated database objects were renewed."
    if is_first:
        yield str(of_this_process())
    if is_newest:
        yield from _offended(engine)
        yield from _computed(engine)
        yield UP_TO_DATE
    else:
        yield NOT_NEWEST


def _offended(engine: Engine) -> Iterator[str]:
    """Add the CHECKs that may be younger than the rows; yields a sentence for each problem that is left."""
    if tables := checks.sync(engine, checks.calendar_checks(Base.metadata)):
        yield IMPOSSIBLE_DATES.format(tables=", ".join(tables))
    if tables := checks.sync(engine, checks.length_checks(Base.metadata, text_limits())):
        yield LONG_TEXTS.format(tables=", ".join(tables))
    with engine.connect() as connection:
        found = strangers.found(connection, Base.metadata, ())
    for name, (problem, remedy) in found.items():
        yield f"{name} {problem}. To mend it, run in the database: {remedy}"


def _wake(app: Flask) -> dict[str, str]:
    """Reset settings that keep triggers from firing; returns the roles, databases and tables that were affected.

    Raises Trouble where only a superuser may do that.
    """
    engine = create_engine(
        app.config["ADMIN_DATABASE_URL"], poolclass=NullPool, isolation_level="AUTOCOMMIT"
    )
    woken: dict[str, str] = {}
    with engine.connect() as connection:
        for whom, remedy in asleep(connection).items():
            try:
                connection.exec_driver_sql(remedy or "SELECT 1")
            except ProgrammingError as error:
                raise Trouble(
                    f"Triggers do not fire for {whom}, so nothing keeps figures right and nobody is audited. "
                    f"Only a superuser may change that: {remedy}"
                ) from error
            woken[whom] = "triggers did not fire" if remedy else ""
    return {whom: problem for whom, problem in woken.items() if problem}


def _configure(context: Any, connection: Connection, **options: Any) -> None:
    context.configure(
        connection=connection,
        transactional_ddl=True,
        target_metadata=Base.metadata,
        include_name=is_modelled,
        include_object=is_compared,
        process_revision_directives=_number,
        **options,
    )


def _noticed(plan: Any, moves: list[Any], connection: Connection) -> Any:
    """Wrap a migration's plan to record its steps; generated objects are dropped before the first downgrade."""

    def noticed(heads: Any, migration: MigrationContext) -> Iterable[Any]:
        moves.extend(plan(heads, migration))
        if any(not step.is_upgrade for step in moves):
            drop_generated(connection)
        return moves

    return noticed


def _sync(connection: Connection, app: Flask, woken: Mapping[str, str]) -> list[str]:
    """Sync triggers and grants with the declarations; returns the names of the triggers that were changed."""
    found = figures.tampered(connection, declared().triggers)
    renewed = audit.sync(connection) + figures.sync(connection, declared().triggers)
    audit.record_repairs(connection, "figures", found)
    if woken:  # writes were not noted meanwhile
        audit.record_repairs(connection, "session_replication_role", woken)
        definitions.forget(connection, figures.registry, figures.registry.bundle_names)
    proof.register(connection)
    grants.sync(connection, make_url(app.config["DATABASE_URL"]).username or "")
    return renewed


def _computed(engine: Engine) -> Iterator[str]:
    """Compute the figures that the database lacks, in transactions of their own; yields a line for each."""
    with acting_as("upgrade"):
        for bundle, result in figures.renew(engine, doubtful=Doubts()):
            held = sum(map(len, result.held.values()))
            left = f", {held} left alone: facts beneath differ from the audit trail" if held else ""
            if result.corrections or result.failures or held:
                yield (
                    f"{bundle.name}: {result.corrections} rows were computed, "
                    f"{len(result.failures)} failed{left}."
                )


def is_modelled(name: str | None, _type: str, _parents: object) -> bool:
    """Whether the models describe the database object of this name (`db check`, `revision --autogenerate`)."""
    return UNMODELLED.fullmatch(name or "") is None


def is_compared(thing: Any, _name: str | None, _type: str, _reflected: bool, other: Any) -> bool:
    """Whether an object that both have is compared: not an index on an expression, which PostgreSQL rewrites."""
    is_index = isinstance(thing, Index) and other is not None
    return not (is_index and any(not isinstance(part, Column) for part in thing.expressions))


def _number(
    migration: MigrationContext, _revision: object, directives: list[MigrationScript]
) -> None:
    """Name a new migration like the existing ones: 0020_what_it_does."""
    for script in directives:
        newest = migration.opts["script"].get_current_head() or "0"
        slug = re.sub(r"[^a-z0-9]+", "_", (script.message or "").lower()).strip("_")
        script.rev_id = f"{int(newest.partition('_')[0]) + 1:04d}_{slug or 'changes'}"
