"""The list of unmatched payments with suggested matches, and matching them one by one or all that are sure."""

from dataclasses import dataclass
from typing import Any

from flask import Response, flash, request, url_for
from flask_babel import gettext as _
from flask_babel import ngettext
from flask_login import current_user
from sqlalchemy import ColumnElement, Select, func, select
from werkzeug.wrappers import Response as AnyResponse

from ... import lists
from ...app.extensions import db
from ...approvals.screens import carry_out
from ...base import N_, counted
from ...base.identifiers import whole_number
from ...customers.listing import customer_columns, of_customer
from ...customers.models import Customer
from ...lists import Buttons, Choice, Column, Days, List, Search, containing
from ...lists.queries import matching
from ...lists.state import ticked
from ...records.actions import RecordGone, check_version
from ...security.permissions import requires
from ...web.claims import Claim
from ...web.formats import quantity_filter
from .. import approved_verbs
from ..models import Invoice, Payment
from ..rules import METHODS
from ..views import bp
from .matching import (
    INVOICE_WITHOUT_METER,
    NO_ASSIGNMENT,
    SEVERAL_ASSIGNMENTS,
    is_unmatched,
    sure_matches,
    unsure_matches,
)
from .records import PAYMENT
from .suggestions import (
    REASONS,
    WHY_UNSURE,
    UnmatchedPayment,
    parts_by,
    ranked,
    suggestions_for,
)

MOST_MATCHED = 10_000
"""The most payments that one request matches."""


@dataclass(frozen=True)
class MatchSelection:
    """The ids of the payments to match; how many others are unsure, and how many sure ones exceed the limit."""

    ids: list[int]
    unsure: int = 0
    waiting: int = 0


def _rows(_user: Any) -> Select[Any]:
    joined = select().select_from(Payment).outerjoin(Payment.invoice).outerjoin(Payment.customer)
    return joined.where(is_unmatched())


def _is_sure() -> ColumnElement[bool]:
    return Payment.id.in_(select(sure_matches().subquery().c.payment_id))


def _is_unsure(why: str) -> ColumnElement[bool]:
    found = unsure_matches().subquery()
    return Payment.id.in_(select(found.c.payment_id).where(found.c.why == why))


def _record(row: Any) -> str:
    return url_for("payments.record", reference=row.reference)


UNMATCHED = List(
    "unmatched",
    N_("Unmatched payments"),
    "billing.unmatched",
    export="billing.export_unmatched",
    bulk="billing.match_sure",
    buttons=Buttons(
        chosen=N_("Match selected where certain"),
        matching=N_("Match all that are sure"),
        counted=N_("Match those of the %(count)s that are sure"),
        icon="merge",
        posts=True,
    ),
    rows=_rows,
    key=Payment.id,
    also={"part": Payment.part},
    columns=(
        Column("reference", N_("Reference"), Payment.reference, link=_record, classes="cell-key"),
        Column("paid_on", N_("Paid on"), Payment.paid_on, kind="day", classes="cell-date"),
        *customer_columns(),
        Column("method", N_("Method"), Payment.method, words=METHODS, is_shown=False),
        Column("invoice", N_("Names invoice"), Invoice.number, is_shown=False),
        Column(
            "amount", N_("Amount"), Payment.amount,
            kind="money", total=True, classes="cell-total",
        ),
    ),
    filters=(
        Search(
            "q", N_("Search"), containing(Payment.reference, Customer.code, Customer.name),
            placeholder=N_("Reference or customer"),
        ),
        Choice(
            "place", N_("Where it belongs"),
            {
                "sure": (N_("Sure"), _is_sure()),
                "several": (N_("Several meters"), _is_unsure(SEVERAL_ASSIGNMENTS)),
                "none": (N_("No meter on that day"), _is_unsure(NO_ASSIGNMENT)),
                "invoice": (N_("Its invoice has no meter"), _is_unsure(INVOICE_WITHOUT_METER)),
            },
        ),
        Days("since", "until", N_("Paid from"), N_("to"), Payment.paid_on),
        of_customer(Payment.customer_id.in_),
    ),
    default_sort="paid_on",
    counted=counted("%(num)s unmatched payment", "%(num)s unmatched payments"),
    nothing_yet=(
        N_("Every payment is matched"), N_("Payments without a known meter wait here."),
    ),
    nothing_fits=(
        N_("No unmatched payment fits that"), N_("Take something out of the filter."),
    ),
    classes="unmatched-table",
)  # fmt: skip


@bp.get("/unmatched")
@requires(PAYMENT.reads)
def unmatched() -> AnyResponse:
    """The unmatched payments, each with its suggestions."""
    return lists.show(
        UNMATCHED,
        "billing/unmatched.html",
        known_of=_known_of,
        ranked=ranked,
        goes_on="matched" in request.args,
        REASONS=REASONS,
        WHY_UNSURE=WHY_UNSURE,
    )


def _known_of(rows: Any) -> dict[int, UnmatchedPayment]:
    """The unmatched payments of these rows, by id; the page calls it once."""
    return suggestions_for(db.session(), [row.key for row in rows])


lists.add_export(
    bp, "/unmatched/export.<flavour>", "export_unmatched", PAYMENT.reads, lambda: UNMATCHED
)


@bp.post("/unmatched/match")
@requires(PAYMENT.writes)
def match_payment() -> Response:
    """Accept one suggestion, if the payment's version is unchanged."""
    claim = Claim("billing.match_payment")
    payment = db.session.get(Payment, whole_number(request.form.get("payment")))
    if payment is None:
        raise RecordGone()
    reference, version = payment.reference, whole_number(request.form.get("version"))
    check_version(payment, version, reference)

    def done(matched: Any) -> Response:
        if not matched:
            return _no_longer_open(claim, reference)
        flash(_("Payment %(reference)s is matched.", reference=reference), "success")
        return claim.complete(_list_url(matched=1))

    choice = request.form.get("choice", "")
    if choice == "sure":
        only = {"payments": [payment.id]}
        return carry_out(approved_verbs.MATCH_ONE, only, claim, done, back=_list_url())
    parts = parts_by(db.session(), payment, choice)
    if not parts:
        return _no_longer_open(claim, reference)
    placed = approved_verbs.parts_as_payload(parts)
    asked = {"payment": payment.id, "version": version, "parts": placed}
    return carry_out(approved_verbs.PLACE, asked, claim, done, back=_list_url())


def _no_longer_open(claim: Claim, reference: str) -> Response:
    """Redirect to the list, after a suggestion that no longer fits."""
    flash(
        _("That is not open any more. Look at what else fits %(reference)s.", reference=reference),
        "warning",
    )
    return claim.complete(_list_url(matched=1))


@bp.post("/unmatched/match-sure")
@requires(PAYMENT.writes)
def match_sure() -> Response:
    """Match every selected payment with a sure match; the others stay."""
    claim = Claim("billing.match_sure")
    chosen = _selection()
    if not chosen.ids and not chosen.unsure:
        flash(_("Tick payments first, or choose all that match."), "warning")
        return claim.complete(_list_url())

    def done(matched: list[int]) -> Response:
        left = chosen.unsure + len(chosen.ids) - len(matched)
        _report(len(matched), left, chosen.waiting)
        return claim.complete(_list_url())

    asked = {"payments": sorted(chosen.ids)}
    return carry_out(approved_verbs.MATCH_SURE, asked, claim, done, back=_list_url())


def _report(matched: int, left: int, waiting: int) -> None:
    said = ngettext(
        "%(count)s payment is matched.",
        "%(count)s payments are matched.",
        matched,
        count=quantity_filter(matched),
    )
    if left:
        said += " " + ngettext(
            "Of %(count)s it is not sure where it belongs.",
            "Of %(count)s it is not sure where they belong.",
            left,
            count=quantity_filter(left),
        )
    if waiting:
        said += " " + ngettext(
            "%(count)s more is sure: match again.",
            "%(count)s more are sure: match again.",
            waiting,
            count=quantity_filter(waiting),
        )
    flash(said, "success" if matched else "info")


def _selection() -> MatchSelection:
    """The ticked payments, or the sure ones among all that the filter matches, the oldest first."""
    user, state = current_user._get_current_object(), lists.state_of(UNMATCHED, request.form)
    if "matching" in request.form:
        rows = matching(user, state).with_only_columns(Payment.id)
        sure = rows.where(_is_sure())
        oldest = sure.order_by(Payment.paid_on, Payment.id).limit(MOST_MATCHED)
        ids = list(db.session.scalars(oldest))
        found, certain = (
            db.session.scalar(select(func.count()).select_from(each.subquery())) or 0
            for each in (rows, sure)
        )
        return MatchSelection(ids, found - certain, certain - len(ids))
    return MatchSelection(ticked(request.form, MOST_MATCHED))


def _list_url(**more: Any) -> str:
    """The URL of the list in its present state."""
    query: dict[str, Any] = lists.state_of(UNMATCHED, request.form).as_query
    return url_for("billing.unmatched", **{**query, **more})
