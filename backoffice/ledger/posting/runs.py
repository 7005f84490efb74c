"""The kind of run that posts what is open of documents."""

from typing import TYPE_CHECKING

from ...base import N_
from ...base.late import Late
from ...runs.kinds import RunKind
from ...runs.wording import Reason
from ...web.record_links import Word
from ..periods.approved_verbs import CLOSE
from ..refusals import UNNAMED

if TYPE_CHECKING:
    from . import work
else:
    work = Late("backoffice.ledger.posting.work")

POST = RunKind(
    "ledger.post", N_("Post documents to the journal"), "ledger.write", work.plan, work.work
)
KINDS = (POST,)

WORDS = (Word(POST.name, N_("Posting")), Word(CLOSE.name, N_("Month")))
"""What an item is of: a document on a day; a month that the maintenance closes."""

REASONS = (Reason(UNNAMED, "accounts.index"),)
