"""What approvals have: what a run is asked to look at that waits for a second person."""

from ..app.domain import Domain

DOMAIN = Domain(
    "approvals",
    scopes=("backoffice.approvals.verbs:SCOPES",),
)
