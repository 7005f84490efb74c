"""The screen of the grid for entering a month's readings of many customers."""

from typing import Any

from flask import Blueprint, Response, abort, flash, make_response, request, url_for
from flask_babel import gettext as _
from flask_babel import ngettext
from jinja2_fragments.flask import render_block
from sqlalchemy import func, select

from ...app.extensions import db
from ...base.identifiers import whole_number
from ...base.periods import Month
from ...base.refusals import Refusal
from ...security.permissions import requires
from ...web.claims import Claim
from ...web.formats import in_words
from ...web.htmx import render
from ...web.idempotency import new_key
from . import actions, sheet
from .forms import ReadingSheetForm
from .sheet import COLUMNS, MOST, OFFERED, Sheet

bp = Blueprint("gas_entry", __name__, url_prefix="/gas/entry")

PAGE = "gas/entry.html"


@bp.get("")
@requires("gas.write")
def index() -> Response:
    """The grid of a month: a row for each customer with a price."""
    month = _month(request.args.get("month", ""))
    opened = sheet.opened(db.session(), month, _search())
    return _render_page(
        ReadingSheetForm(formdata=None, data={"idempotency_key": new_key()}), opened
    )


@bp.post("")
@requires("gas.write")
def save() -> Response:
    """Store the readings; with `do`, only carry out that step of the grid."""
    month, form = _month(request.form.get("month", "")), ReadingSheetForm()
    if request.args.get("do") == "paste":
        return _render_page(form, _pasted(month, form))
    typed = sheet.typed(db.session(), month, request.form)
    claim = Claim("gas_entry.save")
    if not _may_be_saved(form, typed):
        return _refused(form, typed, 422)
    try:
        count = actions.store(db.session(), typed.readings)
    except actions.DaysTaken as refusal:
        typed.show_taken(refusal.taken)
        return _refused(form, typed, refusal.status)
    except Refusal as refusal:
        form.form_errors = [in_words(refusal)]
        return _refused(form, typed, refusal.status)
    flash(ngettext("%(num)s reading is saved.", "%(num)s readings are saved.", count), "success")
    return claim.complete(url_for("gas_entry.index", month=str(month), q=_search() or None))


@bp.post("/preview")
@requires("gas.write")
def preview() -> Response:
    """The total of the typed readings, and which are unusual. Writes nothing."""
    typed = sheet.typed(db.session(), _month(request.form.get("month", "")), request.form)
    return make_response(render_block(PAGE, "outputs", sheet=typed, form=ReadingSheetForm()))


def _may_be_saved(form: ReadingSheetForm, typed: Sheet) -> bool:
    """Whether the grid is valid, and its unusual readings are confirmed."""
    if not form.validate() or typed.errors:
        return False
    if not typed.readings:
        form.form_errors = [_("Nothing is typed yet: enter the volume that was read.")]
    elif typed.unusual and form.anyway.data != typed.digest:
        form.form_errors = [
            _("Nothing is saved yet: look at what is unusual, then say that it is right.")
        ]
    return not form.form_errors


def _pasted(month: Month, form: ReadingSheetForm) -> Sheet:
    """The grid with what was pasted into it; as it was where that is too much."""
    row, name = whole_number(request.form.get("row", "")), request.form.get("column", "")
    if not 0 <= row < MOST or name not in COLUMNS:
        abort(400)
    try:
        texts = sheet.pasted(request.form, request.form.get("block", ""), row, name)
    except sheet.TooManyRows as refusal:
        form.form_errors = [in_words(refusal)]
        return sheet.typed(db.session(), month, request.form)
    return sheet.read(db.session(), month, texts)


def _refused(form: ReadingSheetForm, typed: Sheet, status: int) -> Response:
    db.session.rollback()
    form.form_errors = [*form.form_errors, *typed.errors]
    return _render_page(form, typed, status)


def _render_page(form: ReadingSheetForm, typed: Sheet, status: int = 200) -> Response:
    session, search = db.session(), _search()
    owners = {row.customer.id for row in typed.rows if row.customer is not None}
    context: dict[str, Any] = {
        "form": form, "sheet": typed, "month": typed.month, "search": search, "OFFERED": OFFERED,
        "count": session.scalar(select(func.count()).select_from(sheet.offered(search).subquery())),
        "days_read": actions.days_read(session, typed.month, owners),
    }  # fmt: skip
    return render(PAGE, block="form", status=status, **context)


def _search() -> str:
    """The search text for the grid's customers."""
    return request.values.get("q", "").strip()


def _month(text: str) -> Month:
    """The month of that text; the current one where it names none."""
    try:
        return Month.parse(text)
    except ValueError:
        return Month.current()
