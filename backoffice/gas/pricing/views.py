"""Screens of gas prices: the form with its live preview, and bulk changes by a dry run that is then applied."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from flask import Blueprint, Response, current_app, flash, request, url_for
from flask_babel import gettext as _
from flask_login import current_user
from sqlalchemy import Select, func
from werkzeug.datastructures import MultiDict

from ... import lists
from ...app.extensions import db
from ...approvals.screens import carry_out
from ...approvals.verbs import Payload
from ...approvals.verbs import Verb as Approved
from ...base.refusals import Refusal
from ...book.queries import refusal_of
from ...customers.models import Customer
from ...lists.queries import matching
from ...lists.state import MOST_TICKED, ticked
from ...records import Values, Verb, forms
from ...records.forms import OfRecord
from ...records.listing import list_for, row_named
from ...records.screens import Screens
from ...runs.actions import Limits, request_or_join
from ...security.permissions import requires
from ...web.claims import Claim
from ...web.formats import in_words
from ...web.htmx import render
from ...web.idempotency import new_key
from ...web.paging import PAGE_SIZE
from ..approved_verbs import DELETE_PRICE, SAVE_PRICE
from ..models import GasPrice
from ..records import PRICE
from ..rules import CHANGE_PRICES as NAME
from ..rules import SHOWN, UNPRICED
from .actions import MOST, changed_prices, check
from .bulk import BulkForm
from .effects import NewPrice, PriceEffect, effect_of
from .forms import PriceForm
from .saving import as_payload
from .work import changes_of


class PriceScreens(Screens):
    """The screens of prices; a change of more months than a page has is made by a run."""

    def _save(self, name: str | None) -> Response:
        form = self.posted(name)
        assert isinstance(form, PriceForm)
        if name is None:
            form.version.data = ""  # a new price has no stamp, whatever was submitted
        effect = form.effect() if form.validate() else None
        if effect is None or not self._is_long(form, effect):
            return super()._save(name)
        return self._by_run(effect, Claim("gas_prices.run"))

    def act(self, verb: Verb, name: str) -> Response:
        """Delete it at once, above the limits after another user's approval, or by a run if it changes many months."""
        price = row_named(db.session(), PRICE, current_user, name)
        if price is not None:  # else it is deleted, perhaps by the same form
            form = forms.posted(PRICE, price, verb)
            effect = effect_of(db.session(), NewPrice.gone(price))
            if form.validate() and self._is_long(form, effect):
                return self._by_run(effect, Claim(f"gas_prices.delete {name}"))
        return super().act(replace(verb, approved=_deleted), name)

    def _by_run(self, effect: PriceEffect, claim: Claim) -> Response:
        was, then = changes_of(effect)
        limits = Limits.of(current_app.config)
        if limits.are_exceeded_by(1, abs(effect.total.difference)):
            number = _request_run([effect.new], dry_run=True)
            message = _(
                "Nothing is changed yet: apply what the run shows; another user has to approve it."
            )
        else:
            number = _request_run([effect.new], {SHOWN: {"before": was, "after": then}})
            customer = db.session.get_one(Customer, effect.new.customer_id)
            message = (
                _("The price is being deleted, and %(name)s is computed anew.", name=customer.name)
                if effect.new.is_gone
                else _(
                    "The price is being stored, and %(name)s is computed anew.", name=customer.name
                )
            )
        flash(message, "info")
        return claim.complete(url_for("runs.record", run_id=number))

    def stored(self, form: OfRecord, claim: Claim) -> Response:
        """Store it at once, or above the limits after another user's approval."""
        row = form.row
        version = None if row is None else form.expected_version(row.id)
        asked = as_payload(form.values(), row and row.id, version)
        done = partial(self.after_save, form, claim)
        return carry_out(SAVE_PRICE, asked, claim, done, back=url_for("gas_prices.index"))

    def _is_long(self, form: OfRecord, effect: PriceEffect) -> bool:
        """Whether it changes more months than one request should compute; false for a stale form or a locked day."""
        if form.row is not None and form.expected_version(form.row.id) != form.row.version:
            return False
        is_locked = refusal_of(db.session(), effect.new.effective_from) is not None
        return not is_locked and len(effect.months) > PAGE_SIZE


def _deleted(row: GasPrice, version: int, _values: Values) -> tuple[Approved, Payload]:
    return DELETE_PRICE, {"row": row.id, "version": version}


bp = Blueprint("gas_prices", __name__, url_prefix="/gas/prices")

screens = PriceScreens(PRICE, "gas/prices.html")
screens.add_to(bp)


@bp.get("/bulk")
@requires("gas.write")
def bulk() -> Response:
    """The form of a bulk change, for the chosen customers or those that lines name."""
    return _render_page(BulkForm.empty(), request.args)


@bp.post("/bulk")
@requires("gas.write")
def bulk_preview() -> Response:
    """Start a dry run that shows what the change does to every month; its page leads to applying it."""
    claim = Claim("gas_prices.bulk")
    form, typed = BulkForm(), request.form
    if not form.validate():
        return _render_page(form, typed, 422)
    try:
        wanted, left = _wanted(form, typed)
    except Refusal as refusal:
        form.form_errors = [in_words(refusal)]
        return _render_page(form, typed, refusal.status)
    if not wanted:
        return _render_page(form, typed, 422)
    number = _request_run(wanted, {UNPRICED: left} if left else None, dry_run=True)
    return claim.complete(url_for("runs.record", run_id=number))


def _wanted(form: BulkForm, typed: MultiDict[str, str]) -> tuple[list[NewPrice], list[int]]:
    """The new prices (none where lines are invalid), and the customers to skip. Raises what the change refuses."""
    session = db.session()
    if form.has_lines():
        found = form.prices(session)
        check(found)
        return found, []
    ids = list(session.scalars(_chosen(typed).with_only_columns(GasPrice.customer_id).distinct()))
    return changed_prices(session, ids, form.first_day, form.change())


def _request_run(
    wanted: Sequence[NewPrice], beside: Mapping[str, Any] | None = None, *, dry_run: bool = False
) -> int:
    """Request the run; answers its id, or that of a live run that does the same."""
    scope = {"prices": sorted(new.as_json for new in wanted), **(beside or {})}
    return request_or_join(db.session(), NAME, scope, dry_run=dry_run, is_paced=False)


def _chosen(typed: MultiDict[str, str]) -> Select[Any]:
    """The prices of the chosen customers: those ticked, or all that match the list's filters."""
    listing, user = list_for(PRICE, current_user), current_user._get_current_object()
    state = lists.state_of(listing, typed)
    if "id" not in typed:
        return matching(user, state)
    return listing.rows(user).where(GasPrice.id.in_(ticked(typed)))


def _render_page(form: BulkForm, typed: MultiDict[str, str], status: int = 200) -> Response:
    """The form, with the number of customers that it changes."""
    state = lists.state_of(list_for(PRICE, current_user), typed)
    rows = _chosen(typed).with_only_columns(func.count(GasPrice.customer_id.distinct()))
    return render(
        "gas/bulk.html",
        block="form",
        status=status,
        form=form,
        count=db.session.scalar(rows),
        ids=typed.getlist("id")[
            :MOST_TICKED
        ],  # also what is no id: without any, all that match would be meant
        state=state,
        in_words=lists.in_words(db.session(), current_user, state),
        idempotency_key=new_key(),
        MOST=MOST,
    )
