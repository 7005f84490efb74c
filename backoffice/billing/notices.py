"""Billing's notices on Today: documents without a meter, and meters that are owed for without a customer."""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from flask import url_for
from flask_babel import ngettext
from sqlalchemy.orm import Session

from ..app.attention import Notice, Source
from ..app.navigation import may_open
from ..web.formats import money_filter, quantity_filter
from .queries import waiting

MOST_COUNTED = 10_000
"""The most documents and meters that are counted; more are shown as this number and a plus."""


@dataclass(frozen=True)
class Waiting:
    """How many of one kind wait, up to `MOST_COUNTED`, and their total."""

    count: int
    amount: Decimal | None

    def words(self) -> dict[str, str]:
        """Both as texts for a sentence, with a plus where there are more."""
        more = "+" if self.count == MOST_COUNTED else ""
        written = money_filter(self.amount or Decimal(0), symbol=True)
        return {"count": quantity_filter(self.count) + more, "amount": written + more}


def _waiting(session: Session, _user: Any) -> Iterator[Notice]:
    payments, invoices, meters = (Waiting(*each) for each in waiting(session, MOST_COUNTED))
    if payments.count and may_open("billing.unmatched"):
        reported = ngettext(
            "%(count)s payment is not matched to a meter: %(amount)s.",
            "%(count)s payments are not matched to a meter: %(amount)s.",
            payments.count,
            **payments.words(),
        )
        yield Notice(reported, url_for("billing.unmatched"), "warning", payments.count)
    if invoices.count and may_open("invoices.index"):
        reported = ngettext(
            "%(count)s invoice has no meter: %(amount)s.",
            "%(count)s invoices have no meter: %(amount)s.",
            invoices.count,
            **invoices.words(),
        )
        here = url_for("invoices.index", without="meter")
        yield Notice(reported, here, "warning", invoices.count)
    if meters.count:
        reported = ngettext(
            "%(count)s meter has a balance and no customer: %(amount)s.",
            "%(count)s meters have a balance and no customer: %(amount)s.",
            meters.count,
            **meters.words(),
        )
        here = url_for("meters.index", owed="owing", assigned="unassigned", sort="-balance")
        yield Notice(reported, here, "info", meters.count)


NOTICES = (Source("billing", "attention", "billing.read", _waiting),)
