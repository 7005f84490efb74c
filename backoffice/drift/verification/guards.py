"""Whether the triggers of figures and the trail are as declared, and enabled; part of every whole verification."""

from sqlalchemy import Connection

from ... import audit, figures
from ...app.domain import declared
from ...app.late_checks import late_checks
from ...base import N_, Base
from ...database import strangers
from ...database.objects import asleep
from ...runs.models import ITEM_FAILED
from ...runs.work import Work

BROKEN = N_(
    "This trigger is not as declared, so changes may go unnoticed. Bring it back with: backoffice db upgrade"
)
FOREIGN = N_(
    "This differs from its declaration, so tables may accept values that forms refuse. Run backoffice db upgrade: "
    "it prints the repair."
)
ASLEEP = N_(
    "Triggers do not fire for it, so changes go unnoticed. Wake them with: backoffice db upgrade"
)

DO_NOT_FIRE = "do not fire"


_ERRORS = {DO_NOT_FIRE: ASLEEP, **dict.fromkeys(strangers.PROBLEMS, FOREIGN)}


def broken(connection: Connection) -> dict[str, str]:
    """Triggers that differ from their declaration, and roles for which they do not fire; each with its problem.

    Also triggers and rules of other programs on our tables, and constraints that are gone.
    """
    found = figures.out_of_date(connection, declared().triggers) | audit.out_of_date(connection)
    found |= dict.fromkeys(asleep(connection), DO_NOT_FIRE)
    foreign = strangers.found(connection, Base.metadata, late_checks())
    return found | {name: problem for name, (problem, _remedy) in foreign.items()}


def verify(work: Work) -> None:
    """Fail an item for each such trigger, and for each role for which triggers do not fire."""
    with work.transaction(is_last=True) as step:
        for name, problem in broken(step.connection).items():
            step.item(name, ITEM_FAILED, error=_ERRORS.get(problem, BROKEN))
            step.tally.failed += 1
