"""The screen that enters the targets of a year in a grid, and its buttons."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from flask import Response, abort, flash, make_response, request, url_for
from flask_babel import gettext as _
from flask_babel import ngettext
from flask_login import current_user
from jinja2_fragments.flask import render_block

from ..app.extensions import db
from ..base import money
from ..base.periods import Month
from ..people.models import User
from ..records.history import last_save
from ..security.permissions import requires
from ..web.htmx import hx_redirect, render
from ..web.pasting import rows_of
from . import actions
from .forms import YearForm
from .marking import doubted
from .models import AccountManagerTarget
from .records import TARGET_OF_MONTH
from .views import bp, manager_or_404, year_or_404

PAGE = "targets/edit.html"


@bp.get("/years/<int:year>/<int:manager_id>/edit")
@requires("targets.write")
def edit_year(year: int, manager_id: int) -> Response:
    """The twelve targets of a year in a grid."""
    manager = manager_or_404(manager_id)
    months = list(Month(year_or_404(year), 1).through(Month(year, 12)))
    rows = actions.stored_targets(db.session(), manager.id, months)
    return _page(manager, YearForm.opened(year, rows))


@bp.post("/years/<int:year>/<int:manager_id>/edit")
@requires("targets.write")
def update_year(year: int, manager_id: int) -> Response:
    """Save the year's targets; with `do`, only apply that button of the form."""
    manager, form = manager_or_404(manager_id), YearForm(year_or_404(year))
    do = request.args.get("do", "")
    if do:
        _STEPS.get(do, _unknown)(form, manager)
        return _page(manager, form)
    if not _is_valid(form):
        return _page(manager, form, 422)
    try:
        count = actions.enter(db.session(), manager.id, form.entries())
    except actions.TargetsChanged as changed:
        conflict = _conflict(changed)
        form.rebase(changed.theirs)
        db.session.rollback()
        return _page(manager, form, 409, conflict=conflict)
    said = ngettext("%(num)s target is saved.", "%(num)s targets are saved.", count)
    flash(said if count else _("Nothing was changed."), "success" if count else "info")
    return hx_redirect(url_for("targets.manager_year", year=year, manager_id=manager.id))


@bp.post("/years/<int:year>/preview")
@requires("targets.write")
def preview(year: int) -> Response:
    """Show the total of the typed targets. Writes nothing."""
    form = YearForm(year_or_404(year))
    return make_response(render_block(PAGE, "outputs", form=form))


def _is_valid(form: YearForm) -> bool:
    """Whether the twelve months are valid; the inputs of the buttons are not saved, so they do not count."""
    form.validate()
    for name in ("amount", "growth", "source"):
        form[name].errors = []
    return not any(form.target_of(month).errors for month in form.months)


def _page(manager: User, form: YearForm, status: int = 200, **context: Any) -> Response:
    year = form.months[0].year
    before = actions.stored_targets(db.session(), manager.id, [month - 12 for month in form.months])
    return render(
        PAGE,
        block="form",
        status=status,
        form=form,
        manager=manager,
        year=year,
        is_opened=request.method == "GET",
        doubted=doubted(db.session(), current_user, year - 1, manager.id),
        before={month: before.get(month - 12) for month in form.months},
        **context,
    )


def _conflict(changed: actions.TargetsChanged) -> list[dict[str, Any]]:
    """What another user has stored in the months that this form changes too, with the user and the time."""
    reported = []
    for month, row in changed.theirs.items():
        newest = TARGET_OF_MONTH.trail(db.session(), row, 1) if row else ()
        who, at = last_save(db.session(), newest)
        theirs = row.target if row else None
        reported.append({"month": month, "theirs": theirs, "who": who, "at": at})
    return reported


# The form's buttons; nothing is saved


def _fill_each(form: YearForm, _manager: User) -> None:
    """Enter the same amount in every month."""
    amount = _amount(form)
    if amount is not None:
        form.fill(dict.fromkeys(form.months, amount))


def _spread(form: YearForm, _manager: User) -> None:
    """Distribute a year's amount over its months, exact to the smallest unit."""
    amount = _amount(form)
    if amount is not None:
        form.fill(dict(zip(form.months, money.split(amount, len(form.months)), strict=True)))


def _amount(form: YearForm) -> Decimal | None:
    amount: Decimal | None = form.amount.data
    form.amount.errors = list(form.amount.process_errors)
    if amount is None and not form.amount.errors:
        form.amount.errors = [_("Enter an amount.")]
    return amount


def _copy(form: YearForm, manager: User) -> None:
    """Copy last year's targets or achieved amounts, if any, plus a percentage."""
    form.growth.errors = list(form.growth.process_errors)
    if form.growth.errors:
        return
    rows = actions.stored_targets(db.session(), manager.id, [month - 12 for month in form.months])
    amounts = {month + 12: _basis(form, row) for month, row in rows.items()}
    growth = form.growth.data or Decimal(0)
    form.fill({m: actions.raised(basis, growth) for m, basis in amounts.items() if basis})


def _basis(form: YearForm, row: AccountManagerTarget) -> Decimal | None:
    if form.source.data == "achieved":
        return max(row.achieved, Decimal(0))
    return row.target


def _paste(form: YearForm, _manager: User) -> None:
    """Paste a column or row of cells, starting at the month into which it was pasted."""
    row = request.form.get("row", "")
    if not (row.isascii() and row.isdigit() and len(row) < 3 and int(row) < len(form.months)):
        abort(400)
    lines = rows_of(request.form.get("block", ""))
    is_row = len(lines) == 1
    cells = lines[0] if is_row else [line[0] for line in lines]
    if left := [cell for cell in form.paste(form.months[int(row)], cells) if cell.strip()]:
        said = ngettext(
            "%(num)s cell that goes beyond December was left out.",
            "%(num)s cells that go beyond December were left out.",
            len(left),
        )
        form.target_of(form.months[-1]).errors.append(said)


def _unknown(_form: YearForm, _manager: User) -> None:
    abort(400)


_STEPS: dict[str, Callable[[YearForm, User], None]] = {
    "same": _fill_each,
    "spread": _spread,
    "copy": _copy,
    "paste": _paste,
}
"""Name of a button → what it does."""
