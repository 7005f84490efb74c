"""Suggested matches of an unmatched payment, and their order."""

from datetime import date
from decimal import Decimal

from backoffice.billing.payments.suggestions import OpenInvoice, UnmatchedPayment, ranked


def known(**facts):
    base = {"id": 1, "version": 1, "amount": Decimal(50), "paid_on": date(2026, 3, 15)}
    return UnmatchedPayment(**base | facts)


def an_open(key, amount, day=1, **facts):
    return OpenInvoice(key, f"I-{key}", "M-1", Decimal(amount), date(2026, 3, day), **facts)


def places(facts):
    return [(s.reason, s.choice) for s in ranked(facts)]


def test_suggestions_stand_in_the_order_of_how_likely_they_are():
    book = (an_open(1, 70), an_open(2, 50), an_open(3, 30, is_in_reference=True))
    assert places(known(invoices=book, sure_meter=(9, "M-9"), sure_by="assignment")) == [
        ("reference", "invoice:3"),
        ("amount", "invoice:2"),
        ("assigned", "meter:9"),
        ("oldest", "oldest"),
    ]


def test_a_place_is_suggested_once_by_its_best_reason():
    book = (an_open(1, 50, is_in_reference=True),)
    assert places(known(invoices=book)) == [("reference", "invoice:1"), ("oldest", "oldest")]


def test_an_invoice_that_was_issued_later_does_not_fit_by_its_amount():
    assert places(known(invoices=(an_open(1, 50, day=16),))) == [("oldest", "oldest")]


def test_a_payment_that_names_its_invoice_has_one_place_and_one_without_a_meter_none():
    named = known(names="I-1", sure_by="invoice", sure_meter=(9, "M-9"), invoices=(an_open(1, 50),))
    assert places(named) == [("named", "sure")]
    assert places(known(unsure="invoice without meter", invoices=(an_open(1, 50),))) == []


def test_the_only_meter_ever_is_suggested_where_none_is_sure():
    assert places(known(only_meter=(4, "M-4"), unsure="no assignment")) == [("only", "meter:4")]
