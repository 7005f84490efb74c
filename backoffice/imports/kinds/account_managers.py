"""`import account-managers`: users by e-mail address, who cannot sign in until they get a password.

An existing user keeps their role and password; only the name is updated.
"""

from collections.abc import Iterator

from sqlalchemy import Text, literal, select

from ...base import N_
from ...base.upserts import upsert
from ...people.models import User
from ..files import cells
from ..files.reading import ImportColumn
from ..files.stage import Stage
from ..report import Problem
from .base import Changes, ImportKind, reads

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


KIND = ImportKind(
    "account-managers", COLUMNS, _check, _apply,
    reads=(reads("email", User.email, is_locked_here=True),),
)  # fmt: skip
