"""Billing's checks before a month is closed: each line counts what its link lists."""

import re
from datetime import date
from decimal import Decimal
from typing import Any

from flask import url_for

from backoffice.base.periods import Month
from backoffice.billing.closing import CLOSING
from tests.factories.billing import InvoiceFactory, PaymentFactory
from tests.orders.pages import text_of


def test_each_line_counts_what_its_link_lists(app: Any, session: Any, sign_in: Any) -> None:
    for day in (date(2026, 5, 30), date(2026, 6, 30), date(2026, 7, 1)):
        PaymentFactory(meter=None, invoice=None, paid_on=day, amount=Decimal(5))
        InvoiceFactory(meter=None, issued_on=day, due_on=day, amount=Decimal(7))
    session.commit()
    finance, june = sign_in("finance"), Month.of(date(2026, 6, 1))
    for check in CLOSING:
        assert check.count(session, june) == 2
        with app.test_request_context():
            endpoint, arguments = check.page(june)
            address = url_for(endpoint, **arguments)
        listed = text_of(finance.get(address).text)
        assert re.search(r"\b2 (payments|invoices|in all)\b", listed), (check.name, listed[-3000:])
