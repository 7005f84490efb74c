"""Importing in the browser: upload, map the columns, review the dry run, import."""

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from functools import cache
from io import TextIOWrapper
from pathlib import Path
from typing import Any

from flask import Blueprint, Response, abort, flash, request, send_file, url_for
from flask_babel import gettext
from flask_babel import gettext as _
from flask_login import current_user
from werkzeug.wrappers import Response as AnyResponse

from .. import lists
from ..app.extensions import db
from ..audit.rendering import difference_of
from ..base.refusals import Refusal
from ..drift.healing.moved_wording import moved_in_words
from ..security.permissions import requires
from ..web.claims import Claim
from ..web.htmx import hx_redirect, render
from ..web.idempotency import new_key
from ..web.paging import page_number
from . import actions, queries
from .by_line.pages import run_context
from .exported import meanings_of
from .failed_rows import RowError, write_failed_rows
from .files.guessing import guess_layout
from .files.layout import EACH, ENCODINGS, Layout, Notation
from .files.uploads import MOST_BYTES, MOST_LINES, Upload
from .forms import LayoutForm, UploadForm, posted_columns, posted_notation, preview_files
from .kinds import KINDS
from .listing import IMPORTS
from .models import Import, ImportOutcome
from .refusals import AppliedAlready
from .wording import (
    ABOUT,
    PLACES,
    RECORDS,
    STATES,
    Values,
    kind_name,
    label,
    pattern,
    sentence,
)

bp = Blueprint("imports", __name__, url_prefix="/imports")


IN_MEMORY = 1024 * 1024

RECORD = "imports/record.html"


lists.add_list(bp, "", "index", "imports.run", lambda: IMPORTS, "imports/index.html")


@bp.get("/new")
@requires("imports.run")
def new() -> Response:
    """The upload form."""
    return _upload_page(UploadForm(kind=request.args.get("kind", "orders")))


@bp.post("/new")
@requires("imports.run")
def create() -> Response:
    """Store the uploaded files."""
    form = UploadForm()
    claim = Claim("imports.create")
    if not form.validate():
        return _upload_page(form, status=422)
    sent = [file for file in request.files.getlist("files") if file.filename]
    try:
        made = actions.upload(
            db.session(),
            user_id=current_user.id,
            kind=form.kind.data,
            files=[Upload(file.filename or "", file.stream) for file in sent],
        )
    except Refusal as refusal:
        form.files.errors = [_(refusal.sentence, **refusal.values)]
        return _upload_page(form, status=422)
    return claim.complete(url_for("imports.columns", import_id=made.id))


@bp.get("/<int:import_id>/columns")
@requires("imports.run")
def columns(import_id: int) -> AnyResponse:
    """The form of the mapping of columns and the layout, filled with guesses to be confirmed."""
    upload = upload_or_404(import_id)
    if upload.state not in actions.OPEN:
        return hx_redirect(url_for("imports.record", import_id=import_id))
    return _columns_page(upload, _suggested(upload))


@bp.post("/<int:import_id>/columns")
@requires("imports.run")
def columns_post(import_id: int) -> AnyResponse:
    """Dry-run the files with the posted layout; with `do=look`, only preview them."""
    upload = upload_or_404(import_id)
    if upload.state not in actions.OPEN:
        raise AppliedAlready()
    encodings = queries.encodings_of(upload)
    form = LayoutForm(request.form, KINDS[upload.kind], Layout(), "", encodings)
    if not form.validate():
        return _columns_page(upload, _suggested(upload), form=form, status=422)
    posted = form.layout(posted_columns(request.form))
    guess = _completed(upload, posted)
    notation = posted_notation(request.form, posted.notation, guess.notation)
    layout = replace(guess, notation=notation)
    is_same_header = set(layout.columns) == set(posted.columns)
    if request.form.get("do") == "look" or not is_same_header:
        return _columns_page(upload, layout, guess.notation)
    seen = preview_files(queries.opened(db.session(), upload, layout), notation)
    is_chosen = all(notation)
    if seen.problems or not seen.is_decided or not is_chosen or any(c.error for c in seen.header):
        return _columns_page(upload, layout, guess.notation, status=422)
    actions.check(db.session(), import_id, user_id=current_user.id, layout=layout)
    return hx_redirect(url_for("imports.record", import_id=import_id))


@bp.get("/<int:import_id>")
@requires("imports.run")
def record(import_id: int) -> AnyResponse:
    """The result of the dry run with every problem by line, or of the import."""
    upload = upload_or_404(import_id)
    outcome = db.session.get(ImportOutcome, import_id)
    if outcome is None:
        return hx_redirect(url_for("imports.columns", import_id=import_id))
    sentences = queries.sentences(db.session(), import_id)
    number = page_number(request.args.get("sentence")) if "sentence" in request.args else 0
    chosen = sentences[number - 1] if 0 < number <= len(sentences) else None
    return render(
        RECORD,
        upload=upload,
        outcome=outcome,
        totals=[(name, Decimal(total)) for name, total in outcome.totals],
        moved=moved_in_words(outcome.moved),
        sentences=sentences,
        chosen=chosen,
        page=queries.problems(
            db.session(), import_id, chosen, page_number(request.args.get("page"))
        ),
        before=queries.imported_before(db.session(), upload),
        are_stored=queries.are_stored(db.session(), upload),
        has_rows=queries.has_rows(db.session(), import_id),
        value=Values(),
        difference_in=difference_of,
        PLACES=PLACES,
        RECORDS=RECORDS,
        **run_context(db.session(), upload),
        **_words(),
    )


@bp.post("/<int:import_id>/apply")
@requires("imports.run")
def apply(import_id: int) -> Response:
    """Import what the dry run showed."""
    upload = upload_or_404(import_id)
    here = url_for("imports.record", import_id=import_id)
    if upload.state not in actions.OPEN:
        flash(_("These files are imported already."), "info")
        return hx_redirect(here)
    refusal = actions.apply(
        db.session(),
        import_id,
        user_id=current_user.id,
        checks=checks_seen(),
        good_lines_only="good_lines_only" in request.form,
    )
    if upload.state == "applying":
        flash(_("%(name)s: its lines are being carried out.", name=upload.name), "info")
    elif refusal is None:
        flash(_("%(name)s: imported.", name=upload.name), "success")
    else:
        flash(reason(refusal), "warning")
    return hx_redirect(here)


@bp.post("/<int:import_id>/discard")
@requires("imports.run")
def discard(import_id: int) -> Response:
    """Discard an upload that was not imported."""
    upload = upload_or_404(import_id)
    actions.discard(db.session(), import_id)
    flash(_("%(name)s is thrown away. Nothing was imported.", name=upload.name), "success")
    return hx_redirect(url_for("imports.index"))


@bp.get("/<int:import_id>/failed.csv")
@requires("imports.run")
@lists.limited
def failed(import_id: int) -> AnyResponse:
    """A file of the bad rows with their errors, to be corrected and imported again."""
    upload = upload_or_404(import_id)
    outcome = db.session.get(ImportOutcome, import_id) or abort(404)
    files = queries.opened(db.session(), upload, Layout.from_dict(upload.layout))
    store = tempfile.SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115 (the server closes what it sends)
    text = TextIOWrapper(store, encoding="utf-8-sig", errors="replace", newline="")
    write_failed_rows(text, files, _row_errors(upload), whole=outcome.must_be_whole)
    text.flush()
    text.detach()
    store.seek(0)
    stem = Path(upload.files[0]["name"]).stem
    return send_file(
        store, mimetype="text/csv", as_attachment=True, download_name=f"{stem} - failed.csv"
    )


def _row_errors(upload: Import) -> Iterator[RowError]:
    """The errors of each line; each distinct sentence is translated once."""
    translated, reported = cache(gettext), cache(label)
    place = _("line %(number)s", number="{}")
    for problem in queries.all_problems(db.session(), upload.id):
        said = translated(problem.message) % problem.params
        column = f"{reported(problem.column)}: " if problem.column else ""
        yield RowError(problem.file, problem.line, f"{place.format(problem.line)}: {column}{said}")


def reason(refusal: Refusal) -> str:
    """The refusal's sentence in the reader's language, with the kind of record that it names."""
    values = dict(refusal.values)
    if "record" in values:
        values["record"] = _(str(values["record"]))
    return str(_(refusal.sentence, **values))


def checks_seen() -> int:
    """The number of the dry run that the form showed."""
    checks = request.form.get("checks", "")
    return int(checks) if checks.isascii() and checks.isdigit() and len(checks) < 9 else -1


def upload_or_404(import_id: int) -> Import:
    """The upload of that number, else 404."""
    return queries.upload_of(db.session(), import_id) or abort(404)


def _suggested(upload: Import) -> Layout:
    exported = meanings_of(upload.kind)
    return queries.suggested(db.session(), upload, current_user.id, exported)


def _completed(upload: Import, layout: Layout) -> Layout:
    """`layout` with the notation of its columns, and with columns that another delimiter has split."""
    files, exported = (
        queries.stored_files(db.session(), upload),
        meanings_of(upload.kind),
    )
    guess = guess_layout(files, KINDS[upload.kind], layout, exported)
    names = {
        cell.name
        for cell in preview_files(
            queries.opened(db.session(), upload, guess), guess.notation
        ).header
    }
    kept = {name: meaning for name, meaning in guess.columns.items() if name in names}
    missing = dict.fromkeys(names - set(kept), "?")
    return replace(guess, columns={**kept, **missing})


def _upload_page(form: UploadForm, status: int = 200) -> Response:
    return render(
        "imports/new.html",
        status=status,
        form=form,
        idempotency_key=new_key(),
        megabytes=MOST_BYTES // 2**20,
        lines=MOST_LINES,
        KINDS=KINDS,
        ABOUT=ABOUT,
        **_words(),
    )


def _columns_page(
    upload: Import,
    layout: Layout,
    recognised: Notation | None = None,
    *,
    form: LayoutForm | None = None,
    status: int = 200,
) -> Response:
    """The form filled with `layout`, whose notation was `recognised` if none is given.

    With `form`, including the errors of what was posted.
    """
    files = queries.opened(db.session(), upload, layout)
    kind = KINDS[upload.kind]
    if form is None:
        encodings = queries.encodings_of(upload)
        form = LayoutForm(None, kind, layout, files[0].delimiter, encodings)
    seen = preview_files(files, layout.notation)
    if status == 422:
        form.require_choices()
    return render(
        "imports/columns.html",
        status=status,
        upload=upload,
        form=form,
        recognised=(recognised or layout.notation)._asdict(),
        seen=seen,
        is_refused=status == 422,
        kind=kind,
        encoding=files[0].layout.encoding,
        ENCODINGS=ENCODINGS,
        EACH=EACH,
        before=queries.imported_before(db.session(), upload),
        **_words(),
    )


def _words() -> dict[str, Any]:
    return {
        "kind_name": kind_name,
        "label": label,
        "pattern": pattern,
        "sentence": sentence,
        "STATES": STATES,
    }
