"""What a user enters of an account, of an entry and of its lines, in the order of the forms."""

from ..base import N_, periods
from ..base.identifiers import NUMBER_SAYS
from ..records import Amount, Choice, Day, Flag, Law, Pick, Text
from .actions import number_for
from .models import Account, JournalEntry, JournalLine
from .naming import ACCOUNTS, ENTRIES
from .rules import (
    CODE_LENGTH,
    CODE_SAYS,
    NAME_LENGTH,
    NUMBER_LENGTH,
    ROLES,
    STATUSES,
    TEXT_LENGTH,
    TYPES,
    is_code,
    is_number,
)

CODE = Text(
    Account.code, N_("Code"), longest=CODE_LENGTH, required=N_("Enter a code."),
    laws=(Law(is_code, CODE_SAYS),), taken=N_("There is already an account %(code)s. Choose another code."),
    help=N_("A number like 1100, or a name like Assets:US:Bank:Checking."), attributes={"spellcheck": "false"},
)  # fmt: skip
NAME = Text(Account.name, N_("Name"), longest=NAME_LENGTH, required=N_("Enter a name."))
TYPE = Choice(Account.type, N_("Type"), words=TYPES)
PARENT = Pick(
    Account.parent_id, N_("Parent account"), called="parent", of=ACCOUNTS,
    help=N_("The account that this one is a part of."),
)  # fmt: skip
ROLE = Choice(
    Account.role, N_("Used for"), words=ROLES, usual="",
    help=N_("What documents of the other parts of the app are posted to this account."),
)  # fmt: skip
IS_ACTIVE = Flag(
    Account.is_active, N_("Active"), usual=True, help=N_("Nothing is posted to one that is not."),
)  # fmt: skip

OF_ACCOUNT = (CODE, NAME, TYPE, PARENT, ROLE, IS_ACTIVE)

NUMBER = Text(
    JournalEntry.number, N_("Number"), longest=NUMBER_LENGTH, laws=(Law(is_number, NUMBER_SAYS),),
    taken=N_("There is already an entry %(number)s. Choose another number."),
    help=N_("Leave it empty for the next one."), given=number_for, is_short=True,
    attributes={"spellcheck": "false"},
)  # fmt: skip
ENTRY_DATE = Day(
    JournalEntry.entry_date, N_("Date"), required=N_("Enter the date."), usual=periods.today,
    is_short=True,
)  # fmt: skip
MEMO = Text(
    JournalEntry.memo, N_("Memo"), longest=TEXT_LENGTH, help=N_("What happened, in a few words.")
)
SOURCE = Text(
    JournalEntry.source, N_("Source"), longest=TEXT_LENGTH,
    help=N_("What it was written from: a bank statement, say, or the address of a record here."),
)  # fmt: skip

OF_ENTRY = (NUMBER, ENTRY_DATE, MEMO, SOURCE)
KEPT = (
    Choice(JournalEntry.status, N_("Status"), words=STATUSES),
    Pick(JournalEntry.reverses_entry_id, N_("Reverses"), called="reverses", of=ENTRIES),
)

ACCOUNT = Pick(
    JournalLine.account_id, N_("Account"), of=ACCOUNTS, required=N_("Choose an account.")
)
DEBIT = Amount(JournalLine.debit, N_("Debit"), empty_is_zero=True)
CREDIT = Amount(JournalLine.credit, N_("Credit"), empty_is_zero=True)
LINE_MEMO = Text(JournalLine.memo, N_("Memo"), longest=TEXT_LENGTH)

OF_LINE = (ACCOUNT, LINE_MEMO, DEBIT, CREDIT)

REVERSED_ON = Day(
    JournalEntry.entry_date, N_("Date of the reversal"), required=N_("Enter the date."),
    usual=periods.today,
)  # fmt: skip
REVERSED_BECAUSE = Text(
    JournalEntry.memo, N_("Reason"), longest=TEXT_LENGTH, required=N_("Say why, in a few words.")
)

LABELS = {
    **{field.key: field.label for field in (*OF_LINE, *OF_ENTRY, *KEPT)},
    "posting_number": N_("Posting number"),
    "idempotency_key": N_("Idempotency key"),
    "position": N_("Position"),
    "posted_on": N_("Posted on"),
    "document": N_("Document"),
    "document_date": N_("Date of the document"),
}
"""Column of an entry or a line → its name on screen."""
