"""What runs say of the ledger: whom no heal touches, and which alerts were not sent."""

from ...base import N_
from ...drift.facts.holding import Hold
from ...runs.wording import Reason
from ...web.record_links import Word
from ..figures import account_sums
from .alerts import NOT_SENT
from .entries import QUARANTINED, quarantined
from .runs import ALERT

HOLDS = (Hold(account_sums.name, QUARANTINED, quarantined),)
REASONS = (Reason(QUARANTINED, "drift.index"), Reason(NOT_SENT))
WORDS = (Word(ALERT, N_("Alerts"), ALERT, {"channel": N_("Sent by")}),)
