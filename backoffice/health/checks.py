"""The readiness checks of this process."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, select
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from .. import audit, figures
from ..app.domain import declared
from ..app.extensions import db
from ..app.late_checks import late_checks
from ..base import Base
from ..book import difference_in
from ..database import objects, proof, strangers
from ..database.outages import is_unreachable, refusal
from ..figures.computing import definitions

Check = Callable[[Connection], str]
"""A check of the database; answers a sentence about what is wrong, or an empty one."""

NAMED = 3
"""How many wrong objects are named."""


@dataclass(frozen=True)
class Readiness:
    """The sentence of every check by its name; an empty one means that it passed."""

    found: dict[str, str]

    @property
    def is_ready(self) -> bool:
        """Whether every check passed."""
        return not any(self.found.values())


def readiness(*, deep: bool = False) -> Readiness:
    """Run the checks of this process, and of the database's objects if `deep`.

    Only the first one where the database does not answer.
    """
    checks = {**SERVING, **(DEEP if deep else {})}
    found: dict[str, str] = {}
    try:
        with db.engine.connect() as connection:
            connection.execute(select(1))
            found["database"] = ""
            for name, check in checks.items():
                found[name] = _sentence_of(check, connection)
    except SQLAlchemyError as error:
        if (differs := difference_in(error)) is not None:
            return Readiness({"database": "", "book": str(differs)})
        if is_unreachable(error):
            return Readiness({"database": "The database does not answer."})
        found["database"] = f"The database refused: {refusal(error)}"
    return Readiness(found)


def _sentence_of(check: Check, connection: Connection) -> str:
    """The sentence of a check; what the database refuses of it is one, too."""
    try:
        return check(connection)
    except DBAPIError as error:
        if is_unreachable(error):
            raise
        connection.rollback()
        return f"The database refused: {refusal(error)}"


def _migrations(connection: Connection) -> str:
    from ..database.revisions import missing_migrations

    missing = missing_migrations(connection)
    return f"Not migrated to {', '.join(missing)}; run: backoffice db upgrade" if missing else ""


def _objects(wrong: Mapping[str, str]) -> str:
    return _named(wrong, "triggers")


def _named(wrong: Mapping[str, str], what: str) -> str:
    if not wrong:
        return ""
    some = ", ".join(f"{name} {problem}" for name, problem in list(wrong.items())[:NAMED])
    more = f" and {len(wrong) - NAMED} more" if len(wrong) > NAMED else ""
    return f"{len(wrong)} {what} differ from the declarations: {some}{more}; run: backoffice db upgrade"


def _definitions(connection: Connection) -> str:
    differing = definitions.differing(connection, figures.registry)
    return str(definitions.another(figures.registry, differing)) if differing else ""


def _asleep(connection: Connection) -> str:
    found = objects.asleep(connection)
    return (
        f"Triggers do not fire for {', '.join(found)}; run: backoffice db upgrade" if found else ""
    )


def _strangers(connection: Connection) -> str:
    found = strangers.found(connection, Base.metadata, late_checks())
    return _named({name: problem for name, (problem, _remedy) in found.items()}, "database objects")


def _key(connection: Connection) -> str:
    if proof.is_known(connection):
        return ""
    return (
        "The database does not know this process's SECRET_KEY; run with it: backoffice db upgrade"
    )


SERVING: Mapping[str, Check] = {"migrations": _migrations, "process_key": _key}
"""Name → check of whether this process can serve, in the order in which they run.

Few and cheap: a proxy asks every ten seconds, and takes a host that fails out of service.
"""

DEEP: Mapping[str, Check] = {
    "figure_triggers": lambda c: _objects(figures.out_of_date(c, declared().triggers)),
    "audit_triggers": lambda c: _objects(audit.out_of_date(c)),
    "figure_definitions": _definitions,
    "triggers_asleep": _asleep,
    "foreign_objects": _strangers,
}
"""Name → check of what all processes share: for rollouts and alerts, where no host is better than another."""
