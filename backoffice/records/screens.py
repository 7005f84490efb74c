"""The screens of a record: list and exports, form, saving with conflicts, and verbs.

A domain adds its own views to the same blueprint, or replaces one of these.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial, wraps
from typing import Any

from flask import (
    Blueprint,
    Response,
    abort,
    flash,
    make_response,
    render_template,
    request,
    url_for,
)
from flask_babel import gettext as _
from flask_login import current_user
from sqlalchemy import inspect
from sqlalchemy.orm import Session

from .. import lists
from ..app.extensions import db
from ..approvals.screens import carry_out
from ..audit.histories import Event
from ..base import table_of
from ..base.late import named
from ..base.refusals import AnotherRecord, Refusal, Stale
from ..drift.marks import marks_of_facts
from ..lists.finding import statuses_of
from ..lists.screens import STANDARD
from ..security.permissions import allowed, requires
from ..web.claims import Claim
from ..web.conflicts import Conflict
from ..web.form_markup import FormError
from ..web.formats import in_words
from ..web.htmx import render, wants_partial
from . import actions, forms, history
from .calculations import Calculations, RowsAt, amounts_of, marks_of, total_of
from .declaration import Deletion, Record, Row, Verb
from .former_addresses import leave_for_present
from .forms import OfRecord, Question
from .listing import address_in, address_of, list_for, row_named, row_with_id
from .writing import written

EDIT, RECORD, FRAME = "records/edit.html", "records/record.html", "records/frame.html"
HISTORY, CALCULATION = "records/history.html", "records/calculation.html"


def _no_head(_row: Row) -> Mapping[str, Any]:
    return {}


def _nowhere(_row: Row, _column: str) -> None:
    return None


class Screens:
    """The views of one record.

    Its own templates: `index_page` of the list, `record_page` of a row, `edit_page` of the form; `frame` has what the
    pages of a row share, its head and tabs, and `head` computes its context from the row. `saved_to` answers the
    address after a save (default: the row's page), `rows_at` that of the list of all rows behind a figure.
    """

    def __init__(
        self,
        record: Record,
        index_page: str = STANDARD,
        *,
        record_page: str = RECORD,
        edit_page: str = EDIT,
        frame: str = FRAME,
        head: Callable[[Row], Mapping[str, Any]] = _no_head,
        saved_to: Callable[[OfRecord, Row], str] | None = None,
        rows_at: RowsAt = _nowhere,
    ) -> None:
        self.record, self.index_page = record, index_page
        self.record_page, self.edit_page, self.frame = record_page, edit_page, frame
        self.head, self.saved_to, self.rows_at = head, saved_to, rows_at

    def add_to(self, bp: Blueprint, *, without: Collection[str] = ()) -> None:
        """Register the views on `bp`, except those named in `without`."""
        record = self.record
        one = f"/<{'path:' if record.has_path else ''}{record.argument}>"
        routes: list[tuple[str, str, str, Callable[..., Any], str]] = [
            ("GET", "", "index", self.index, record.reads),
            ("GET", one, "record", self.show, record.reads),
            ("GET", f"{one}/history", "changes", self.changes, record.reads),
        ]
        if record.writes:
            routes.append(("GET", "/new", "new", self.new, record.writes))
            routes.append(("POST", "/new", "create", self.create, record.writes))
        if not record.append_only:
            routes.append(("GET", f"{one}/edit", "edit", self.edit, record.writes))
            routes.append(("POST", f"{one}/edit", "update", self.update, record.writes))
        if forms.own_form(record).outputs:
            routes.append(("POST", "/preview", "preview", self.preview, record.writes))
        if record.figures:
            how, part = f"{one}/calculation", "calculation_of_part"
            routes.append(("GET", how, "calculation", self.calculation, record.reads))
            at = f"{how}/<column>"
            routes.append(("GET", at, "calculation_of", self.calculation, record.reads))
            if any(figure.table is not record.model.__table__ for figure in record.figures):
                routes.append(("GET", f"{at}/<int:part>", part, self.calculation, record.reads))
        for verb in (verb for verb in record.verbs if verb.for_people):
            at, may = f"{one}/{verb.name}", verb.writes or record.writes
            routes.append(("GET", at, verb.name, partial(self.ask, verb), may))
            routes.append(("POST", at, f"{verb.name}_post", partial(self.act, verb), may))
        if "export" not in without:
            listing = partial(list_for, record, current_user)
            lists.add_export(bp, "/export.<flavour>", "export", record.reads, listing)
        for method, rule, name, view, permission in routes:
            if name not in without:
                bp.add_url_rule(rule, name, _view(view, permission), methods=[method])

    def found(self, name: str) -> Row:
        """The row of that name, if the user may see it; by a former name a redirect, else 404."""
        row = row_named(db.session(), self.record, current_user, name)
        return row if row is not None else leave_for_present(self.record, name)

    def index(self) -> Response:
        """The list, filtered."""
        return lists.show(list_for(self.record, current_user), self.index_page)

    def new(self) -> Response:
        """An empty form."""
        return self.page(forms.empty(self.record, request.args))

    def create(self) -> Response:
        """Save a new row; with `do`, only carry out that button of the form."""
        return self._save(None) if "do" not in request.args else self.step(self.posted(None))

    def preview(self) -> Response:
        """The live preview of the typed form. Writes nothing."""
        form = self.posted(None)
        return make_response(render_template(form.outputs, form=form, **form.live()))

    def show(self, name: str) -> Response:
        """The page of a row."""
        return self.shown(self.found(name))

    def shown(self, row: Row, status: int = 200, **context: Any) -> Response:
        """The page of a row, with its neighbours in the list; `context` is further context of its own template."""
        way = lists.asked(list_for(self.record, current_user))
        previous, following = lists.neighbours(
            db.session(), current_user, way, row.id, self.record.name.expression
        )
        return self._in_frame(
            self.record_page, row, status, tab="details", facts_of=self.facts_of,
            figures=amounts_of(self.record, row),
            way=way.as_query, previous=previous, following=following, **context,
        )  # fmt: skip

    def facts_of(self, row: Row) -> list[tuple[str, str, str]]:
        """The facts of a row: label, formatted value, and the address of the record that it refers to."""
        fields = (*self.record.fields, *self.record.kept)
        facts = ((field, field.fact(getattr(row, field.key))) for field in fields)
        return [(f.label, written(f, fact), address_in(f, fact)) for f, fact in facts if fact]

    def changes(self, name: str) -> Response:
        """The history of a row."""
        row, has_figures = self.found(name), allowed(current_user, "figures.read")
        recorded = history.history_of(db.session(), self.record, row, has_figures=has_figures)
        return self._in_frame(HISTORY, row, tab="history", recorded=recorded)

    def calculation(self, name: str, column: str = "", part: int | None = None) -> Response:
        """How a figure of a row or of its part was calculated; without a column that of its main amount."""
        row = self.found(name)
        reading = self.calculations_of(row)
        shown = reading.of(column or self.record.main_column(row), part) or abort(404)
        return self._in_frame(CALCULATION, row, tab="calculation", marks=reading.marks, **shown)

    def calculations_of(self, row: Row) -> Calculations:
        """How the figures of a row were calculated."""
        return Calculations(db.session(), self.record, row, self.rows_at)

    def _in_frame(self, template: str, row: Row, status: int = 200, **context: Any) -> Response:
        may_write = not self.record.append_only and allowed(current_user, self.record.writes)
        refusal = actions.refusal_of(db.session(), self.check_editable, row)
        shared = {
            "record": self.record, "row": row, "listing": list_for(self.record, current_user), "frame": self.frame,
            "verbs": [verb for verb in self.record.verbs if self._offers(verb, row)],
            "may_edit": may_write and refusal is None,
            "edit_refusal": in_words(refusal) if may_write and refusal else "",
            "fact_marks": marks_of_facts(table_of(self.record.model), row.id),
            "statuses_of": self.statuses_of,
        }  # fmt: skip
        if self.record.figures and "marks" not in context:
            shared["marks"] = marks_of(self.record, row)
        return render(template, status=status, **shared, **self.head(row), **context)

    def check_editable(self, session: Session, row: Row) -> None:
        """Raises the refusal of a row that can no longer be changed, or not in a form."""
        self.record.is_current(session, row)

    def statuses_of(self, row: Row) -> list[dict[str, str]]:
        """The statuses of a row as its list shows them; none of rows that are listed by another key."""
        return statuses_of(db.session(), current_user, list_for(self.record, current_user), row)

    def edit(self, name: str) -> Response:
        """The row in a form."""
        row = self.found(name)
        self.check_editable(db.session(), row)
        return self.page(forms.opened(self.record, row))

    def update(self, name: str) -> Response:
        """Save a changed row; with `do`, only carry out that button of the form."""
        return self._save(name) if "do" not in request.args else self.step(self.posted(name))

    def step(self, form: OfRecord) -> Response:
        """Carry out a button of the form that does not save: show the form again."""
        return self.page(form)

    def page(
        self,
        form: OfRecord,
        status: int = 200,
        conflict: Conflict | None = None,
        asked: Sequence[Question] = (),
    ) -> Response:
        """The form on its page, with the questions that it `asked`."""
        context = {
            "form": form, "record": self.record, "row": form.row, "conflict": conflict, "asked": asked,
            "listing": list_for(self.record, current_user), **form.live(), **form.beside(),
        }  # fmt: skip
        # A template that extends EDIT has no block of its own to render as a partial.
        page = EDIT if wants_partial() else self.edit_page
        return render(page, block="form", status=status, **context)

    def posted(self, name: str | None) -> OfRecord:
        """The submitted form, over the row of that name, or of a new row without one."""
        return forms.posted(self.record, None if name is None else self.found(name))

    def _save(self, name: str | None) -> Response:
        """Save the submitted form, or show it again with all its errors and its input."""
        record = self.record
        claim = Claim(f"{record.domain}.save {name or ''}"[:200])
        form = self.posted(name)
        if not form.validate():
            form.add_errors(form.problems())
            return self._refused(form)
        try:
            if form.row is not None:
                form.expected_version(form.row.id)
            if asked := form.asked():
                message = _("Nothing is saved yet: answer the question first.")
                form.form_errors = [FormError(f"question-{asked[-1].name}", "", message)]
                return self._refused(form, asked)
            return self.stored(form, claim)
        except (actions.RecordChanged, AnotherRecord):
            return self._conflict(form)
        except Refusal as refusal:
            self._reload_row(form)
            if not form.shows(refusal):
                raise
            return self.page(form, 422)

    def stored(self, form: OfRecord, claim: Claim) -> Response:
        """Store a valid form and redirect; overridden for records with saves that may need approval."""
        return self.after_save(form, claim, self._store(form))

    def after_save(self, form: OfRecord, claim: Claim, row: Row) -> Response:
        """Show the message of the save, and redirect to the row."""
        flash(self.saved_message(row), "success")
        next_url = self.saved_to(form, row) if self.saved_to else address_of(self.record, row)
        return claim.complete(next_url)

    def saved_message(self, row: Row) -> str:
        """The message when a row is saved."""
        return str(_(self.record.saved, **self.record.placeholders(row)))

    def _store(self, form: OfRecord) -> Row:
        if form.row is None:
            return actions.create(db.session(), self.record, form.values())
        row_id, values = form.row.id, form.values()
        version = form.expected_version(row_id)
        return actions.update(db.session(), self.record, row_id, values, version)

    def _refused(self, form: OfRecord, asked: Sequence[Question] = ()) -> Response:
        """Roll back, and show the form again with its errors or questions."""
        self._reload_row(form)
        return self.page(form, 422, asked=asked)

    def _reload_row(self, form: OfRecord) -> None:
        """Roll back, and load the form's row anew; 404 where it was deleted."""
        key = None if form.row is None else inspect(form.row).identity[0]
        db.session.rollback()
        form.row = None if key is None else db.session.get(self.record.model, key) or abort(404)

    def _conflict(self, form: OfRecord) -> Response:
        """Show the form merged with another user's save, with the conflict."""
        row_id = form.row.id  # type: ignore[union-attr]
        db.session.rollback()
        row = self._opened(form, row_id)
        self.check_editable(db.session(), row)
        shown, conflict = form.merged(db.session(), row)
        shown.warning = form.warning_over(row_id)
        return self.page(shown, 409, conflict)

    def _opened(self, form: OfRecord, row_id: int) -> Row:
        """The row that the form was opened on, else that of its address; 404 where the user may not see it."""
        row: Row = form.opened(db.session(), self.record.model, row_id) or abort(404)
        return row_with_id(db.session(), self.record, current_user, row.id) or abort(404)

    def _offers(self, verb: Verb, row: Row) -> bool:
        """Whether the verb is offered: permitted, and possible now."""
        may = verb.for_people and allowed(current_user, verb.writes or self.record.writes)
        return may and actions.refusal_of(db.session(), verb.refuses, row) is None

    def ask(self, verb: Verb, name: str) -> Response:
        """The page of a verb: its inputs and its effect, or why it is not possible now."""
        return self._verb_page(verb, forms.for_verb(self.record, self.found(name), verb))

    def act(self, verb: Verb, name: str) -> Response:
        """Carry out a verb, if the row is still at the shown version; else show its page again with the input."""
        record = self.record
        claim = Claim(f"{record.domain}.{verb.name} {name}"[:200])
        row = self.found(name)
        row_id, form = row.id, forms.posted(record, row, verb)
        if not form.validate():
            return self._verb_page(verb, form, 422)
        is_gone = isinstance(verb, Deletion)
        next_url = url_for(f"{record.domain}.index") if is_gone else address_of(record, row)

        def done(answer: Any) -> Response:
            message = verb.done
            flash(
                _(message, **record.placeholders(row))
                if isinstance(message, str)
                else message(row, answer),
                "success",
            )
            return claim.complete(next_url)

        try:
            version, values = form.expected_version(row_id), form.values()
            if verb.key:
                values[verb.key] = form.idempotency_key.data
            if verb.approved is not None:
                approved, payload = verb.approved(row, version, values)
                return carry_out(approved, payload, claim, done, back=next_url)
            return done(actions.run_verb(db.session(), record, verb, row_id, version, values))
        except Refusal as refusal:
            db.session.rollback()
            form.row = row = self._opened(form, row_id)
            if not form.shows(refusal):
                form.add_errors({"": refusal})
            form.reopen(row.id, record.version_of(row))
            return self._verb_page(verb, form, refusal.status, self.newest(row, refusal))

    def newest(self, row: Row, refusal: Refusal | None) -> Event | None:
        """The newest event of the row, where another user's save is the reason of the refusal."""
        events = (
            history.events_of(db.session(), self.record, row) if isinstance(refusal, Stale) else []
        )
        return next(iter(events), None)

    def _verb_page(
        self, verb: Verb, form: OfRecord, status: int = 200, newest: Event | None = None
    ) -> Response:
        row = form.row
        refusal = actions.refusal_of(db.session(), verb.refuses, row)
        context = {
            "record": self.record, "verb": verb, "row": row, "form": form, "newest": newest,
            "refusal": refusal and in_words(refusal),
            "called": {"label": self.record.label_of(row), **self.record.placeholders(row)},
            "facts": [*self.facts_of(row), *total_of(self.record, row)],
            "listing": list_for(self.record, current_user), "back": address_of(self.record, row),
            **verb.effect(db.session(), row),
        }  # fmt: skip
        status = refusal.status if refusal else status
        return render(verb.template, block="form", status=status, **context)


def _view(view: Callable[..., Any], permission: str) -> Callable[..., Any]:
    """A view that takes the parts of its address by position, whatever their names."""

    @wraps(view)
    def called(**named: str) -> Any:
        return view(*named.values())

    return requires(permission)(called)


def blueprint_of(record: Record) -> Blueprint:
    """A blueprint with the screens of a record that declares them."""
    bp = Blueprint(record.domain, __name__, url_prefix=record.url or f"/{record.domain}")
    made: type[Screens] = named(record.screens) if record.screens else Screens
    templates = record.list_page or STANDARD, record.frame or FRAME
    made(record, templates[0], frame=templates[1], saved_to=record.saved_to).add_to(bp)
    return bp
