"""Declarations of accounts and journal entries."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy.orm import Session, joinedload, selectinload

from ..audit.tables import Recorded
from ..base import N_
from ..records import Contents, Deletion, Record, Repeated, Shown, Values, Verb
from ..records.lines import shown_lines
from . import actions
from .entries import Totals
from .fields import (
    KEPT,
    LABELS,
    OF_ACCOUNT,
    OF_ENTRY,
    OF_LINE,
    REVERSED_BECAUSE,
    REVERSED_ON,
)
from .figures import LEDGER_FIGURES
from .history import lines_rendered
from .listing import ACCOUNTS, ENTRIES
from .models import Account, JournalEntry, JournalLine, Period

ACCOUNT = Record(
    Account,
    name=Account.code,
    domain="accounts",
    title=N_("Account"),
    many=ACCOUNTS.title,
    new=N_("New account"),
    called=N_("Account %(code)s"),
    saved=N_("Account %(code)s is saved."),
    listing=lambda _user: ACCOUNTS,
    reads="ledger.read",
    writes="ledger.write",
    fields=OF_ACCOUNT,
    refuses=actions.refuse_account,
    figures=LEDGER_FIGURES,
)


def _lines_as_sent(entry: JournalEntry) -> Sequence[Mapping[str, Any]]:
    return [
        {"account": line.account.code, "memo": line.memo, "debit": line.debit, "credit": line.credit}
        for line in entry.lines
    ]  # fmt: skip


LINES = shown_lines(
    _lines_as_sent, OF_LINE, named="account",
    must_be=N_("Send a list of lines, each an object with account, memo, debit and credit."),
)  # fmt: skip
POSTING_NUMBER = Shown(
    "posting_number",
    N_("Posting number"),
    lambda entry: entry.posting_number,
    schema={"type": ["integer", "null"]},
)
REVERSED_BY = Shown(
    "reversed_by",
    N_("Reversed by"),
    lambda entry: entry.reversal.number if entry.reversal else None,
    schema={"type": ["string", "null"]},
)

_ENTRY = Record(
    JournalEntry,
    name=JournalEntry.number,
    domain="entries",
    title=N_("Journal entry"),
    many=ENTRIES.title,
    new=N_("New entry"),
    called=N_("Entry %(number)s"),
    saved=N_("Entry %(number)s is saved as a draft."),
    listing=lambda _user: ENTRIES,
    reads="ledger.read",
    writes="ledger.write",
    has_path=True,
    fields=OF_ENTRY,
    kept=KEPT,
    form="backoffice.ledger.forms:EntryForm",
    create=actions.create,
    update=actions.update,
    is_current=actions.refuse_posted,
    shown=(LINES, POSTING_NUMBER, REVERSED_BY),
    parts=(JournalLine.entry_id,),
    rendering=lines_rendered,
    loads=(
        selectinload(JournalEntry.lines).joinedload(JournalLine.account),
        joinedload(JournalEntry.reverses),
        joinedload(JournalEntry.reversal),
    ),
    labels=LABELS,
)
"""An entry as the answer of a reversal has it: without verbs."""


def _reverse(session: Session, entry_id: int, _version: int, values: Values) -> Any:
    entered = dict(values)
    made = actions.reverse(session, entry_id, entered, entered.pop("idempotency_key", None))
    return made.row if made.is_new else Repeated(made.row)


def _lines(_session: Session, entry: JournalEntry) -> Values:
    """What both sides of the entry come to, beside its lines."""
    return {"totals": Totals.of(entry.lines)}


ENTRY = replace(
    _ENTRY,
    contents=(Contents("reversals", _ENTRY, JournalEntry.reverses_entry_id),),
    verbs=(
        Verb(
            "post", N_("Post"), actions.post,
            question=N_("Post entry %(number)s?"),
            explains=N_("It counts in its accounts from then on, and is not changed any more."),
            done=N_("Entry %(number)s is posted."),
            refuses=actions.refuse_post, shortcut="p", template="ledger/post.html", effect=_lines,
        ),
        Verb(
            "reverse", N_("Reverse"), _reverse,
            question=N_("Reverse entry %(number)s"),
            explains=N_("Another entry is posted that credits what this one debits."),
            done=N_("Entry %(number)s is reversed."),
            fields=(REVERSED_ON, REVERSED_BECAUSE), refuses=actions.refuse_reverse,
            creates=_ENTRY, at="reversals", key="idempotency_key", template="ledger/reverse.html",
            effect=_lines,
        ),
        Deletion(
            done=N_("Entry %(number)s is deleted."),
            explains=N_("The draft and its lines go for good. The audit trail keeps what they were."),
            refuses=actions.refuse_posted,
        ),
    ),
)  # fmt: skip

RECORDS = (ACCOUNT, ENTRY)
RECORDED = (
    Recorded(N_("Journal line"), JournalLine, part_of=JournalLine.entry_id, labels=LABELS),
    Recorded(
        N_("Period"), Period, name=Period.month, endpoint="ledger.periods", argument="month",
        labels={
            "month": N_("Month"), "status": N_("Status"), "closed_at": N_("Closed at"),
            "closed_by": N_("Closed by"), "reopened_at": N_("Reopened at"),
            "reopened_by": N_("Reopened by"), "reason": N_("Reason"),
            "approved_by": N_("Approved by"),
            "closing_entry_id": N_("Closing entry"),
        },
    ),
)  # fmt: skip
