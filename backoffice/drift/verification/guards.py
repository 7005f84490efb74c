"""Whether the triggers of figures and the trail are as declared, and enabled; part of every whole verification."""

from sqlalchemy import Connection

from ... import audit, figures
from ...app.domain import declared
from ...base import N_
from ...database.objects import asleep
from ...runs.models import ITEM_FAILED
from ...runs.work import Work

BROKEN = N_(
    "This trigger is not as declared, so changes may go unnoticed. Bring it back with: backoffice db upgrade"
)
ASLEEP = N_(
    "Triggers do not fire for it, so changes go unnoticed. Wake them with: backoffice db upgrade"
)

DO_NOT_FIRE = "do not fire"


def broken(connection: Connection) -> dict[str, str]:
    """Triggers that differ from their declaration, and roles for which they do not fire; each with what is wrong."""
    found = figures.out_of_date(connection, declared().triggers) | audit.out_of_date(connection)
    return found | dict.fromkeys(asleep(connection), DO_NOT_FIRE)


def verify(work: Work) -> None:
    """Fail an item for each such trigger, and for each role for which triggers do not fire."""
    with work.transaction(is_last=True) as step:
        for name, problem in broken(step.connection).items():
            step.item(name, ITEM_FAILED, error=ASLEEP if problem == DO_NOT_FIRE else BROKEN)
            step.tally.failed += 1
