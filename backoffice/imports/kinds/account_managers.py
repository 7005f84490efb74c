"""`import account-managers`: users by e-mail address, who cannot sign in until they get a password.

A user who is there already keeps their role and password; only the name follows the file.
"""

from collections.abc import Iterator

from sqlalchemy import Text, literal, select

from ...base import N_
from ...people.models import User
from ...upserts import upsert
from .. import cells
from ..reading import ImportColumn
from ..report import Problem
from ..stage import Stage
from .base import Changes, Kind

COLUMNS = (
    ImportColumn("email", cells.email, Text()),
    ImportColumn("name", cells.text(200), Text()),
)


def _check(stage: Stage) -> Iterator[Problem]:
    yield from stage.problems(
        stage.repeated("email"), "email", N_("This address stands in line %(first)s already.")
    )


def _apply(stage: Stage) -> Changes:
    rows = select(stage.c.email, stage.c.name, literal("account_manager").label("role"))
    ordered = rows.order_by(stage.c.email)
    return Changes(*upsert(stage.session, User, ordered, "email", initial=frozenset({"role"})))


KIND = Kind("account-managers", COLUMNS, _check, _apply)
