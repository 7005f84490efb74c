"""The form of a journal entry: its header fields, and its lines."""

from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal
from functools import partial
from typing import Any, Self

from flask import request, url_for
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.datastructures import MultiDict
from wtforms import FormField, StringField, ValidationError

from ..app.extensions import db
from ..base.refusals import Refusal
from ..base.spelling import look
from ..records.forms import LineForm, LineList, OfRecord
from ..records.lines import MOST_LINES
from ..web.formats import in_words
from ..web.forms import at_most, trimmed
from ..web.idempotency import new_key
from ..web.typed_fields import AmountField
from .entries import LineEntry, Totals, fact_of, lines_of
from .fields import ACCOUNT, OF_LINE
from .history import line_text
from .models import Account, JournalEntry
from .naming import NO_ACCOUNT, SEVERAL, label, meant_by_each, search
from .posting.tie_out import CONTROLS
from .refusals import NoOneSide
from .rules import ROLES, TEXT_LENGTH
from .source_links import is_record, pasted
from .writing import stored_lines

CONTROLLED = frozenset(control.role for control in CONTROLS)
"""The roles of control accounts: a manual entry on them has no counterpart in a sub-ledger."""

LINES = "lines"
BLANK = 3
"""Blank rows below the lines of a form."""


class EntryLine(LineForm):
    """One row of the form; a blank row is no line. `account_id` is set once the typed account is found."""

    typed_into = ("account", "memo", "debit", "credit")
    account_id: int | None = None

    account = StringField(_l("Account"), filters=[trimmed])
    memo = StringField(_l("Memo"), filters=[trimmed], validators=[at_most(TEXT_LENGTH)])
    debit = AmountField(_l("Debit"))
    credit = AmountField(_l("Credit"))

    def validate(self, extra_validators: Mapping[str, Any] | None = None) -> bool:
        """A blank row is not a mistake; any other has an account, and a debit or a credit."""
        if self.is_blank:
            return True
        is_valid: bool = super().validate(extra_validators)
        if not self.account.data:
            self.account.errors = [_(ACCOUNT.required)]
            is_valid = False
        if self.is_readable and not self.entry().is_one_side:
            self.debit.errors = [_(NoOneSide.sentence)]
            is_valid = False
        return is_valid

    def entry(self) -> LineEntry:
        """The line as entered; what is empty or unreadable counts as 0."""
        return LineEntry(
            self.account_id or 0, self.debit.data or Decimal(0), self.credit.data or Decimal(0),
            self.memo.data or "",
        )  # fmt: skip


class EntryForm(OfRecord):
    """The form of a draft: its header fields, and its lines with the totals of both sides."""

    inputs_page = "ledger/entry_inputs.html"
    outputs = "ledger/entry_outputs.html"
    classes = "order-form"

    lines = LineList(FormField(EntryLine))

    @classmethod
    def facts_of(cls, row: JournalEntry) -> dict[str, str]:
        """The stored draft; its lines are one fact, so that a conflict between two editors takes one set as a whole."""
        return super().facts_of(row) | {LINES: fact_of(stored_lines(db.session(), row.id))}

    @classmethod
    def data_of(cls, facts: Mapping[str, str]) -> dict[str, Any]:
        """The data of the form's controls, a row for each line."""
        return super().data_of(facts) | {LINES: _as_data(lines_of(facts[LINES]))}

    def facts_entered(self) -> dict[str, str]:
        """The facts of the draft as typed."""
        return super().facts_entered() | {LINES: fact_of(self.entered_lines())}

    @classmethod
    def typed(
        cls, _row: JournalEntry | None, facts: Mapping[str, Any], _given: Collection[str]
    ) -> MultiDict[str, str]:
        """What a program has sent, its lines as rows."""
        typed = MultiDict({name: fact for name, fact in facts.items() if name != LINES})
        for index, line in enumerate(facts.get(LINES, ())):
            for field in OF_LINE:
                typed[f"lines-{index}-{field.name}"] = str(line.get(field.name) or "")
        return typed

    def typed_lines(self) -> list[EntryLine]:
        """The rows into which anything has been typed."""
        return [row.form for row in self.lines if not row.form.is_blank]

    def entered_lines(self) -> list[LineEntry]:
        """The lines as they are typed."""
        return [line.entry() for line in self.typed_lines()]

    @classmethod
    def copied(cls, row: JournalEntry) -> Self:
        """The form of a new draft that copies another entry, dated today and without a number."""
        copied = {
            "memo": row.memo,
            "source": row.source,
            LINES: _as_data(stored_lines(db.session(), row.id)),
        }
        return cls(
            None, formdata=None, data={**cls.suggested(), **copied, "idempotency_key": new_key()}
        )

    def without_line(self, index: int) -> Self:
        """The form as typed, without the row of that index."""
        kept = [
            (name, value) for name, value in request.form.items(multi=True)
            if not name.startswith(f"{LINES}-{index}-")
        ]  # fmt: skip
        return type(self)(self.row, formdata=MultiDict(kept))

    def add_rows(self) -> None:
        """Add blank rows."""
        for _number in range(BLANK):
            self.lines.append_entry()

    def values(self) -> dict[str, Any]:
        """The draft as entered; call it on a valid form only."""
        return {**super().values(), LINES: self.entered_lines()}

    def live(self) -> Mapping[str, Any]:
        """The totals of the typed lines, None where an amount cannot be read, and the control accounts named."""
        typed = self.typed_lines()
        is_readable = all(line.is_readable for line in typed)
        totals = Totals.of(line.entry() for line in typed) if is_readable else None
        texts = {look(line.account.data or "") for line in typed}
        controlled = db.session.scalars(select(Account).where(Account.role.in_(CONTROLLED)))
        named = [a for a in controlled if texts & {look(a.code), look(label(a))}]
        return {"totals": totals, "controlled": named, "ROLES": ROLES}

    def beside(self) -> Mapping[str, Any]:
        """What its page needs: rows to type into, the accounts to choose from, and where it is sent."""
        while sum(row.form.is_blank for row in self.lines) < 1 or len(self.lines) < BLANK:
            self.lines.append_entry()
        named = {"number": self.row.number} if self.row else {}
        at = "entries.update" if self.row else "entries.create"
        return {"accounts": search(db.session(), ""), "step_at": partial(url_for, at, **named)}

    def label_of(self, name: str) -> str:
        """What a fact is called."""
        return _("Lines") if name == LINES else super().label_of(name)

    def fact_in_words(self, session: Session, name: str, fact: str) -> str:
        """A fact as text; each line in a few words."""
        if name != LINES:
            return super().fact_in_words(session, name, fact)
        lines = lines_of(fact)
        codes = ACCOUNT.of.names(session, [line.account_id for line in lines])
        return "; ".join(line_text(line, codes) for line in lines) or "–"

    def validate_source(self, field: StringField) -> None:
        """Accept free text, or the address of a record of this book, of which the path is stored."""
        field.data = pasted(field.data or "")
        if field.data.startswith("/") and not is_record(db.session(), field.data):
            raise ValidationError(
                _("There is no record at this address. Paste that of its page, or say it in words.")
            )

    def validate_lines(self, field: LineList) -> None:
        """Find the account of every typed line in the chart."""
        typed = self.typed_lines()
        if len(typed) > MOST_LINES:
            raise ValidationError(
                _("An entry has at most %(count)s lines. Split it in two.", count=MOST_LINES)
            )
        texts = {line.account.data for line in typed if line.account.data}
        found = meant_by_each(db.session(), texts)
        for line in typed:
            meant = found.get(line.account.data, ())
            if len(meant) == 1:
                line.account_id = meant[0].id
            elif line.account.data:
                line.account.errors = [_(SEVERAL if meant else NO_ACCOUNT)]
                field.errors = [row.errors for row in field.entries]

    def add_errors(self, problems: Mapping[str, Refusal]) -> None:
        """Show errors of the lines as a whole above the form."""
        own = {name: problem for name, problem in problems.items() if name != LINES}
        super().add_errors(own)
        if LINES in problems:
            self.form_errors = [*self.form_errors, in_words(problems[LINES])]


def _as_data(lines: Sequence[LineEntry]) -> list[dict[str, Any]]:
    codes = ACCOUNT.of.names(db.session(), [line.account_id for line in lines])
    return [
        {
            "account": codes.get(line.account_id, ""), "memo": line.memo,
            "debit": line.debit or None, "credit": line.credit or None,
        }
        for line in lines
    ]  # fmt: skip
