"""The screens of suggested duplicates, of merging two customers with a preview, and of undoing a merge."""

from typing import Any

from flask import Response, abort, flash, request, url_for
from flask_babel import gettext as _

from ..app.extensions import db
from ..approvals.screens import carry_out
from ..base.identifiers import whole_number
from ..base.refusals import Refusal
from ..security.permissions import requires
from ..web.claims import Claim
from ..web.formats import in_words
from ..web.htmx import render
from ..web.idempotency import new_key
from ..web.paging import page_number
from . import approved_verbs, duplicates, merging, queries
from .fields import MERGED
from .forms import PairForm
from .models import Customer, CustomerMerge
from .records import CUSTOMER
from .views import bp

SHOWN = 10
"""How many of the newest records that would be moved are shown; a link leads to all of them."""


@bp.get("/duplicates")
@requires("customers.write")
def suggestions() -> Response:
    """Customers that seem to be entered twice."""
    found = duplicates.groups_of(db.session(), page_number(request.args.get("page")))
    return render("customers/duplicates.html", found=found, REASONS=duplicates.REASONS)


@bp.get("/merge")
@requires("customers.write")
def merge() -> Response:
    """Two customers, and the preview of their merge. Writes nothing."""
    form = PairForm(formdata=request.args)
    preview, status = None, 200
    if form.is_filled and form.validate():
        try:
            preview = _preview_of(form.found["survivor"].id, form.found["duplicate"].id)
        except Refusal as refusal:
            form.form_errors = [in_words(refusal)]
    if form.is_filled and preview is None:
        status = 422
    return _page(form, preview, status=status)


@bp.post("/merge")
@requires("customers.write")
def merge_post() -> Response:
    """Merge as previewed; if something has changed since, show a new preview."""
    claim = Claim("customers.merge")
    survivor_id, duplicate_id = (_id_of(name) for name in ("survivor_id", "duplicate_id"))
    taken = _taken()

    def done(_merge: CustomerMerge) -> Response:
        survivor, duplicate = (
            db.session.get_one(Customer, key) for key in (survivor_id, duplicate_id)
        )
        flash(
            _(
                "%(duplicate)s is merged into %(survivor)s.",
                duplicate=queries.label(duplicate),
                survivor=queries.label(survivor),
            ),
            "success",
        )
        return claim.complete(url_for("customers.record", code=survivor.code))

    asked = {
        "survivor": survivor_id,
        "duplicate": duplicate_id,
        "taken": taken,
        "digest": request.form.get("digest", ""),
    }
    try:
        return carry_out(
            approved_verbs.MERGE, asked, claim, done, back=url_for("customers.suggestions")
        )
    except merging.PreviewOutdated as outdated:
        db.session.rollback()
        return _previewed_anew(survivor_id, duplicate_id, taken, outdated)


@bp.get("/merges/<int:merge_id>/undo")
@requires("customers.write")
def undo(merge_id: int) -> Response:
    """The preview of undoing a merge."""
    return _undo_page(_merge_or_404(merge_id))


@bp.post("/merges/<int:merge_id>/undo")
@requires("customers.write")
def undo_post(merge_id: int) -> Response:
    """Undo a merge, and report what has been moved again since."""
    claim = Claim(f"customers.undo {merge_id}")
    record = _merge_or_404(merge_id)

    def done(undoing: merging.Undoing) -> Response:
        label = queries.label(record.duplicate)
        flash(_("%(customer)s is a customer of its own again.", customer=label), "success")
        stayed = any(way.moved_on or way.stays for way in undoing.ways)
        if stayed or undoing.changed_since:
            flash(_("Some of it had moved on or was changed since, and stays as it is."), "warning")
        return claim.complete(url_for("customers.record", code=record.duplicate.code))

    back = url_for("customers.undo", merge_id=merge_id)
    asked = {"merge": record.id, "digest": request.form.get("digest", "")}
    try:
        return carry_out(approved_verbs.UNDO, asked, claim, done, back=back)
    except merging.UndoingOutdated as outdated:
        db.session.rollback()
        return _undo_page(_merge_or_404(merge_id), outdated, status=409)


def _undo_page(
    record: CustomerMerge, outdated: Refusal | None = None, *, status: int = 200
) -> Response:
    """The page of undoing a merge: what it would do now, or why it cannot be or was not done."""
    undoing = merging.undoing(db.session(), record)
    return render(
        "customers/undo.html",
        status=status,
        record=record,
        undoing=undoing,
        refused=undoing.refusal and in_words(undoing.refusal),
        complaint=outdated and in_words(outdated),
        idempotency_key=new_key(),
        fields=CUSTOMER.by_name,
        SHOWN=SHOWN,
    )


def _preview_of(survivor_id: int, duplicate_id: int) -> merging.Preview:
    survivor, duplicate = (
        db.session.get(Customer, key) or abort(404) for key in (survivor_id, duplicate_id)
    )
    return merging.preview(db.session(), survivor, duplicate)


def _previewed_anew(
    survivor_id: int, duplicate_id: int, taken: list[str], refusal: Refusal
) -> Response:
    preview = _preview_of(survivor_id, duplicate_id)
    pair = {"survivor": preview.survivor, "duplicate": preview.duplicate}
    form = PairForm(formdata=None, data={n: queries.label(c) for n, c in pair.items()})
    form.form_errors = [in_words(refusal)]
    return _page(form, preview, taken=taken, status=409)


def _page(
    form: PairForm,
    preview: merging.Preview | None,
    *,
    taken: list[str] | None = None,
    status: int = 200,
) -> Response:
    """The page of a merge: the form with two customers and, once both are known, the preview."""
    moving: dict[str, Any] = {}
    if preview is not None:
        for move in preview.moves:
            rows = move.owned.newest(db.session(), preview.duplicate.id, SHOWN)
            moving[move.owned.name] = rows
        suggested = [choice.name for choice in preview.fields if choice.is_taken]
        taken = suggested if taken is None else taken
    return render(
        "customers/merge.html",
        status=status,
        form=form,
        preview=preview,
        moving=moving,
        taken=taken,
        offered=queries.search(db.session(), "", limit=20),
        idempotency_key=new_key(),
        fields=CUSTOMER.by_name,
    )


def _taken() -> list[str]:
    """The names of the facts that are taken from the duplicate."""
    return [name for name in MERGED if request.form.get(f"take-{name}") == "duplicate"]


def _id_of(name: str) -> int:
    return whole_number(request.form.get(name))


def _merge_or_404(merge_id: int) -> CustomerMerge:
    return db.session.get(CustomerMerge, merge_id) or abort(404)
