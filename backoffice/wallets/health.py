"""Screen of wallet discrepancies: the list, verification now, and the preview from which they are healed."""

from typing import Any

from flask import Response, flash, request, url_for
from flask_babel import gettext as _
from flask_login import current_user

from .. import lists
from ..app.extensions import db
from ..lists.queries import matching
from ..lists.state import MOST_TICKED, ticked
from ..runs import actions as runs
from ..security.permissions import requires
from ..web.claims import Claim
from ..web.idempotency import new_key
from .discrepancies import DISCREPANCIES
from .figures import WALLET_FIGURES
from .models import Wallet
from .views import bp
from .watched import of_wallets

lists.add_list(
    bp, "/discrepancies", "discrepancies", "wallets.read", lambda: DISCREPANCIES,
    "wallets/discrepancies.html", lambda: {"idempotency_key": new_key()},
)  # fmt: skip


@bp.post("/discrepancies/verify")
@requires("figures.heal")
def verify() -> Response:
    """Compare every wallet with its transactions now."""
    claim = Claim("wallets.verify")
    scope = {"figures": {figure.name: None for figure in WALLET_FIGURES}}
    return claim.complete(_request_run("figures.verify", scope))


@bp.post("/discrepancies/preview")
@requires("figures.heal")
def preview_heal() -> Response:
    """Start a dry run that shows what correcting the chosen wallets would change; it is applied from there."""
    claim = Claim("wallets.preview_heal")
    chosen = _chosen()
    if not chosen:
        flash(_("Tick wallets first, or choose all that match."), "warning")
        return claim.complete(url_for("wallets.discrepancies"))
    scope = {"figures": dict(of_wallets(chosen))}
    is_paced = len(chosen) > MOST_TICKED  # a user waits for a small one
    return claim.complete(_request_run("figures.heal", scope, dry_run=True, is_paced=is_paced))


def _chosen() -> list[int]:
    """The ticked wallets, or all that match."""
    user, state = current_user._get_current_object(), lists.state_of(DISCREPANCIES, request.form)
    if "matching" not in request.form:
        return sorted(ticked(request.form))
    ids = matching(user, state).with_only_columns(Wallet.id).order_by(Wallet.id)
    return list(db.session.scalars(ids))


def _request_run(kind: str, scope: dict[str, Any], **how: Any) -> str:
    """The address of a run that does this: a new one, or a live one that does the same."""
    number = runs.request_or_join(db.session(), kind, scope, **how)
    return url_for("runs.record", run_id=number)
