"""The domain of approvals: the scope title of a run that waits for approval."""

from ..app.domain import Domain

DOMAIN = Domain(
    "approvals",
    scopes=("backoffice.approvals.verbs:SCOPES",),
)
