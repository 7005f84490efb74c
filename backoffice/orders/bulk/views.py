"""The screens that change many orders at once: choose, preview, apply."""

from typing import Any

from flask import Response, flash, request, url_for
from flask_babel import gettext as _
from flask_babel import ngettext
from flask_login import current_user
from werkzeug.datastructures import MultiDict

from ... import lists
from ...app.extensions import db
from ...approvals.screens import carry_out
from ...base import money
from ...lists.state import ticked
from ...security.permissions import requires
from ...web.claims import Claim
from ...web.htmx import render
from ...web.idempotency import new_key
from ...web.preferences import number_format
from ..listing import ORDERS
from ..views import bp
from . import actions
from .actions import Change, Chosen, Mark
from .approved_verbs import BULK_EDIT, as_payload
from .forms import BulkForm


@bp.get("/bulk")
@requires("orders.write")
def bulk_edit() -> Response:
    """The chosen orders and the form of changes; with `preview`, also the effect of the changes."""
    typed = request.args
    form = BulkForm(typed if "preview" in typed else MultiDict())
    if "preview" not in typed:
        return _page(form, typed, 200)
    return _page(form, typed, 200, form.change()) if form.validate() else _page(form, typed, 422)


@bp.post("/bulk")
@requires("orders.write")
def bulk_apply() -> Response:
    """Apply the change that was previewed."""
    claim = Claim("orders.bulk")
    typed, form = request.form, BulkForm(request.form)
    seen = _mark(typed)
    if not form.validate() or seen is None:
        db.session.rollback()
        return _page(form, typed, 422)
    chosen, change = _chosen(typed), form.change()
    way: dict[str, Any] = chosen.state.as_query
    back = url_for("orders.index", **way)

    def done(outcome: actions.Outcome) -> Response:
        _report(outcome)
        return claim.complete(back)

    try:
        return carry_out(BULK_EDIT, as_payload(chosen, change, seen), claim, done, back=back)
    except actions.PreviewOutdated as outdated:
        db.session.rollback()
        return _page(form, typed, outdated.status, change, complaint=_(outdated.sentence))


def _chosen(typed: MultiDict[str, str]) -> Chosen:
    user = current_user._get_current_object()
    state = lists.state_of(ORDERS, typed)
    if "matching" in typed:
        return Chosen(user, state)
    return Chosen(user, state, tuple(sorted(ticked(typed))))


def _mark(typed: MultiDict[str, str]) -> Mark | None:
    texts = [typed.get(name, "") for name in ("count", "digest", "since")]
    if not all(_is_id(text.removeprefix("-")) for text in texts):
        return None
    return Mark(*(int(text) for text in texts))


def _is_id(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 19 and int(text) < 2**63


def _report(outcome: actions.Outcome) -> None:
    """Report what was changed, and what was skipped because another user had changed it meanwhile."""
    changed, amount = outcome.changed.count, outcome.changed.amount
    written = money.format_amount(amount, number_format(), symbol=True)
    done = ngettext(
        "%(num)s order is changed: %(amount)s.",
        "%(num)s orders are changed: %(amount)s.",
        changed,
        amount=written,
    )
    flash(done, "success" if changed else "info")
    if outcome.moved > 0:
        left = ngettext(
            "%(num)s order was saved or deleted by another user since the preview: nothing of it is changed.",
            "%(num)s orders were saved or deleted by another user since the preview: nothing of them is changed.",
            outcome.moved,
        )
        flash(" ".join([left, ", ".join(outcome.moved_numbers)]).strip(), "warning")


def _page(
    form: BulkForm,
    typed: MultiDict[str, str],
    status: int,
    change: Change | None = None,
    complaint: str = "",
) -> Response:
    chosen = _chosen(typed)
    preview = actions.preview(db.session(), chosen, change or Change())
    if preview.chosen.count > actions.MOST_ORDERS:
        raise actions.TooManyOrders(most=actions.MOST_ORDERS)
    return render(
        "orders/bulk.html",
        status=status,
        form=form,
        chosen=chosen,
        preview=preview,
        is_previewed=change is not None,
        complaint=complaint,
        in_words=lists.in_words(db.session(), current_user, chosen.state),
        idempotency_key=new_key(),
    )
