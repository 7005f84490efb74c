"""Screens of journal entries: as declared, with the lines of an entry on its page."""

from flask import Blueprint, Response, make_response, request

from ..app.extensions import db
from ..base.identifiers import whole_number
from ..records import forms
from ..records.screens import Screens
from ..web.formats import day_filter
from ..web.htmx import trigger, wants_partial
from .entries import Totals
from .fields import LABELS, SOURCE
from .forms import CONTROLLED, EntryForm
from .models import JournalEntry
from .records import ENTRY
from .rules import DRAFT, REVERSED, ROLES, STANDINGS, TONES
from .source_links import record_of

bp = Blueprint("entries", __name__, url_prefix="/ledger/entries")


class EntryScreens(Screens):
    """The screens of entries, with the buttons of their form that add and remove rows, and the copy of an entry."""

    def new(self) -> Response:
        """An empty form; with `copy`, a copy of the entry of that number."""
        form = forms.empty(self.record, request.args)
        if isinstance(form, EntryForm) and (number := request.args.get("copy")):
            form = form.copied(self.found(number))
        return self.page(form)

    def facts_of(self, row: JournalEntry) -> list[tuple[str, str, str]]:
        """The facts of an entry, with a link where its source is a record of this book.

        The document's date is added where the entry is posted on another day.
        """
        facts, day = super().facts_of(row), row.document_date
        if day not in (None, row.entry_date):
            facts.append((LABELS["document_date"], day_filter(day), ""))
        if (found := record_of(db.session(), row)) is None:
            return facts
        return [*(fact for fact in facts if fact[0] != SOURCE.label), (SOURCE.label, *found)]

    def step(self, form: EntryForm) -> Response:
        """More rows to type into, or one less; nothing is saved."""
        if request.args["do"] != "remove":
            form.add_rows()
            return self.page(form)
        if wants_partial():
            return trigger(make_response(""), "linesChanged")
        return self.page(form.without_line(whole_number(request.args.get("line", ""))))


def _head(entry: JournalEntry) -> dict[str, object]:
    standing = REVERSED if entry.reversal else entry.status
    named = {line.account for line in entry.lines if line.account.role in CONTROLLED}
    return {
        "standing": standing, "STANDINGS": STANDINGS, "TONES": TONES, "totals": Totals.of(entry.lines),
        "controlled": named if entry.status == DRAFT else (), "ROLES": ROLES,
    }  # fmt: skip


screens = EntryScreens(
    ENTRY, "ledger/entries.html", record_page="ledger/entry_record.html", frame="ledger/entry.html", head=_head,
)  # fmt: skip
screens.add_to(bp)
