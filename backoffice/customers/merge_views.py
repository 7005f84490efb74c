"""The screens of merging two customers, with a preview."""

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
from . import approved_verbs, merging, queries
from .fields import MERGED
from .forms import PairForm
from .models import Customer, CustomerMerge
from .records import CUSTOMER
from .views import bp

SHOWN = 10
"""How many of the newest records that would be moved are shown; a link leads to all of them."""


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
        return carry_out(approved_verbs.MERGE, asked, claim, done, back=url_for("customers.merge"))
    except merging.PreviewOutdated as outdated:
        db.session.rollback()
        return _previewed_anew(survivor_id, duplicate_id, taken, outdated)


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
