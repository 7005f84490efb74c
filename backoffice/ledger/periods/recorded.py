"""How the audit trail shows periods."""

from ...audit.tables import Recorded
from ...base import N_
from .models import Period

RECORDED = (
    Recorded(
        N_("Period"), Period, name=Period.month, endpoint="ledger.periods", argument="month",
        labels={
            "month": N_("Month"), "status": N_("Status"), "closed_at": N_("Closed at"),
            "closed_by": N_("Closed by"), "reopened_at": N_("Reopened at"),
            "reopened_by": N_("Reopened by"), "reason": N_("Reason"),
            "approved_by": N_("Approved by"),
            "closing_entry_id": N_("Closing entry"),
        },
    ),
)  # fmt: skip
