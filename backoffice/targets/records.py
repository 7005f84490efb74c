"""The declaration of targets: one record for each account manager and month."""

from collections.abc import Sequence

from sqlalchemy import cast, select
from sqlalchemy.orm import Session, joinedload
from sqlalchemy.types import Text

from ..audit.models import AuditEvent
from ..audit.tables import Recorded
from ..base import N_
from ..base.codes import month_code
from ..base.periods import Month
from ..people.models import User
from ..records import Amount, CalendarMonth, Named, Pick, Record
from ..web.formats import month_filter
from . import actions, queries
from .figures import achieved
from .listing import TARGETS
from .models import AccountManagerTarget

_ROW = AccountManagerTarget

MANAGERS = Named(
    User.email,
    meant=queries.managers_meant_by,
    label=queries.manager_label,
    none=N_("No account manager is called that."),
    several=N_("Several account managers are called that. Choose one by the e-mail address."),
    offered=queries.every_manager,
)

MANAGER = Pick(
    _ROW.account_manager_id, N_("Account manager"), of=MANAGERS,
    required=N_("Choose an account manager."),
)  # fmt: skip
MONTH = CalendarMonth(_ROW.month, N_("Month"), usual=None, required=N_("Enter a month."))
TARGET = Amount(
    _ROW.target, N_("Target"), usual=None, help=N_("Leave it empty for a month without target.")
)
NEW_TARGET = Amount(_ROW.target, N_("Target"), usual=None, required=N_("Enter a target."))


class Targets(Record):
    """A manager's month has a row only while it has a target or orders, so the row can be deleted and created again."""

    def name_of(self, row: AccountManagerTarget) -> str:
        """The manager's id and the month; also for a row that is about to be deleted."""
        return month_code(row.account_manager_id, Month.of(row.month))

    def label_of(self, row: AccountManagerTarget) -> str:
        """The manager and the month."""
        return f"{row.account_manager.name} · {month_filter(row.month)}"

    def trail(
        self, session: Session, row: AccountManagerTarget, limit: int
    ) -> Sequence[AuditEvent]:
        """The events of every row that the month has ever had, newest first.

        A row without a target is derived, so its creation and deletion are not in the audit trail.
        """
        once = select(AuditEvent.row_id).where(
            AuditEvent.table_name == _ROW.__tablename__,
            AuditEvent.action == "INSERT",
            AuditEvent.after["account_manager_id"].astext == str(row.account_manager_id),
            AuditEvent.after["month"].astext == row.month.isoformat(),
        )
        present = select(cast(_ROW.id, Text)).where(_ROW.id == row.id)
        events = select(AuditEvent).where(
            AuditEvent.table_name == _ROW.__tablename__, AuditEvent.row_id.in_(present.union(once))
        )
        return session.scalars(events.order_by(AuditEvent.id.desc()).limit(limit)).all()

    def is_own(self, event: AuditEvent, _row: AccountManagerTarget) -> bool:
        """Whether the event is about a row of targets."""
        return event.table_name == _ROW.__tablename__

    def recorded(self) -> Recorded:
        """How the audit trail shows the record: as part of its manager."""
        labels = {field.key: field.label for field in (*self.fields, *self.kept)}
        return Recorded(self.title, self.model, part_of=_ROW.account_manager_id, labels=labels)


TARGET_OF_MONTH = Targets(
    _ROW,
    name=_ROW.code,
    domain="targets",
    title=N_("Target"),
    many=TARGETS.title,
    new=N_("New target"),
    saved=N_("The target is saved."),
    listing=lambda _user: TARGETS,
    reads="targets.read",
    writes="targets.write",
    has_path=True,
    fields=(TARGET,),
    new_fields=(MANAGER, MONTH, NEW_TARGET),
    kept=(MANAGER, MONTH),
    create=actions.create,
    update=actions.change,
    loads=(joinedload(_ROW.account_manager),),
    figures=(achieved,),
    recalculated="manager",
)

RECORDS = (TARGET_OF_MONTH,)
