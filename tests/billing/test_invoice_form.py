"""The form of an invoice over HTTP: entering, its live amount, changing, and concurrent changes."""

from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from flask.testing import FlaskClient

from backoffice.base import periods
from backoffice.billing.models import Invoice
from backoffice.customers.models import Customer
from tests.factories.billing import MeterAssignmentFactory, MeterFactory, PaymentFactory
from tests.targets.pages import fields_of

from .invoice_desk import filled, form_at, invoice_of, meter, new, only, outputs_of, wanjiru, words

SignIn = Callable[..., FlaskClient]

HTMX = {"HX-Request": "true", "HX-Request-Type": "partial"}


@pytest.fixture
def customer(session: Any) -> Customer:
    """Wanjiru, with the meter M-1."""
    return wanjiru(session)


@pytest.fixture
def finance(sign_in: SignIn, customer: Customer) -> FlaskClient:
    """A finance person."""
    return sign_in("finance")


# Entering


def test_a_new_invoice_is_saved_with_the_amount_that_the_form_showed(
    finance: FlaskClient, session: Any
) -> None:
    typed = new(finance)
    shown = outputs_of(finance.post("/billing/invoices/preview", data=typed, headers=HTMX).text)
    assert shown == {"invoice-amount": "Rp 1,500.00", "usage": "1,250.00"}
    saved = finance.post("/billing/invoices/new", data=typed)
    year = periods.today().year
    assert saved.location == f"/billing/invoices/INV-{year}-00001"
    invoice = only(session)
    assert (invoice.amount, invoice.meter.number, invoice.customer.code) == (1500, "M-1", "C-1")
    assert invoice.due_on == invoice.issued_on + timedelta(days=30)
    assert "Rp 1,500.00" in words(finance.get(saved.location))


def test_the_customer_in_the_address_brings_the_one_active_meter_along(
    finance: FlaskClient,
) -> None:
    typed = form_at(finance, "/billing/invoices/new?customer=C-1")
    assert (typed["customer"], typed["meter"]) == ("C-1 · Wanjiru", "M-1")
    today = periods.today()
    assert typed["issued_on"] == today.isoformat()
    assert typed["due_on"] == (today + timedelta(days=30)).isoformat()


@pytest.mark.parametrize("day", ["9999-12-31", "0001-01-01", "2200-01-01", "soon"])
def test_a_day_in_the_address_that_no_invoice_can_have_is_left_out(
    finance: FlaskClient, day: str
) -> None:
    typed = form_at(finance, f"/billing/invoices/new?issued_on={day}&due_on={day}")
    today = periods.today()
    assert typed["issued_on"] == today.isoformat()
    assert typed["due_on"] == (today + timedelta(days=30)).isoformat()
    known = form_at(finance, "/billing/invoices/new?issued_on=2199-12-31")
    assert (known["issued_on"], known["due_on"]) == ("2199-12-31", "2200-01-30")


def test_a_customer_with_two_meters_is_asked_which(finance: FlaskClient, session: Any) -> None:
    wanjiru = session.query(Customer).filter_by(code="C-1").one()
    MeterAssignmentFactory(meter=MeterFactory(number="M-3"), customer=wanjiru)
    session.commit()
    page = finance.get("/billing/invoices/new?customer=C-1")
    assert fields_of(page.text, "invoice-form")["meter"] == ""
    assert '<option value="M-1">' in page.text
    assert '<option value="M-3">' in page.text
    assert '<option value="M-2">' not in page.text


def proposed(client: FlaskClient, after: str, **typed: str) -> tuple[str, str]:
    address = f"/billing/invoices/proposals?after={after}"
    answer = client.post(address, data=typed, headers=HTMX)
    assert answer.status_code == 200
    return answer.text, answer.headers.get("HX-Trigger", "")


def test_choosing_a_customer_offers_their_meters_and_fills_the_only_one(
    finance: FlaskClient,
) -> None:
    options, filling = proposed(finance, "customer", customer="C-1 · Wanjiru", meter="")
    assert options.strip() == '<option value="M-1"></option>'
    assert '"id": "meter", "was": "", "now": "M-1"' in filling
    assert proposed(finance, "customer", customer="C-1", meter="M-1")[1] == ""
    assert (
        '"was": "M-2", "now": "M-1"'
        in proposed(finance, "customer", customer="C-1", meter="M-2")[1]
    )
    assert proposed(finance, "customer", customer="nobody", meter="") == ("", "")


def test_another_day_of_issue_moves_the_due_date_unless_a_user_typed_one(
    finance: FlaskClient,
) -> None:
    days = {"issued_on": "2026-03-01", "due_on": "2026-01-31", "proposed_due": "2026-01-31"}
    assert '"now": "2026-03-31"' in proposed(finance, "issued_on", **days)[1]
    assert proposed(finance, "issued_on", **days | {"due_on": "2026-02-15"})[1] == ""
    assert '"now": "2026-03-31"' in proposed(finance, "issued_on", **days | {"due_on": ""})[1]


def test_an_empty_due_date_is_thirty_days_later(finance: FlaskClient, session: Any) -> None:
    typed = new(finance, issued_on="2026-03-01", due_on="")
    finance.post("/billing/invoices/new", data=typed)
    assert only(session).due_on == date(2026, 3, 31)


def test_without_units_the_amount_is_entered_and_beside_units_another_one_is_asked_about(
    finance: FlaskClient, session: Any
) -> None:
    whole = new(finance, units="", rate="", fixed_charge="", amount="99.95")
    finance.post("/billing/invoices/new", data=whole)
    invoice = only(session)
    assert (invoice.units, invoice.amount) == (None, Decimal("99.95"))
    path = f"/billing/invoices/{invoice.number}/edit"
    usage = filled(finance, path, units="2", rate="10", amount="999999")
    assert finance.post(path, data=usage).status_code == 422
    assert only(session).amount == Decimal("99.95")
    usage["amount"] = ""
    assert finance.post(path, data=usage).status_code == 303
    assert only(session).amount == 20


@pytest.mark.parametrize(
    ("typed", "amount", "said"),
    [
        ({"units": "", "rate": "", "fixed_charge": "", "amount": ""}, "Rp 0.00", ""),
        ({"rate": ""}, "Rp 250.00", "Enter a rate"),
        ({"fixed_charge": ""}, "Rp 1,250.00", ""),
        ({"units": "0", "fixed_charge": ""}, "Rp 0.00", "more than zero"),
        ({"units": "abc"}, "—", "Units"),
        ({"units": "", "rate": "", "amount": "50"}, "Rp 50.00", "amount is entered as a whole"),
        ({"units": "", "amount": "x"}, "—", "Amount"),
    ],
)
def test_the_live_amount_counts_what_is_empty_as_zero_and_says_what_is_wrong(
    finance: FlaskClient, typed: dict[str, str], amount: str, said: str
) -> None:
    answer = finance.post("/billing/invoices/preview", data=new(finance, **typed), headers=HTMX)
    shown = outputs_of(answer.text)["invoice-amount"]
    assert shown.startswith(amount)
    assert said in shown
    assert "<input" not in answer.text


def test_without_javascript_a_button_computes_the_amount_and_saves_nothing(
    finance: FlaskClient, session: Any
) -> None:
    page = finance.post("/billing/invoices/new?do=recalculate", data=new(finance))
    assert outputs_of(page.text)["invoice-amount"] == "Rp 1,500.00"
    assert session.query(Invoice).count() == 0


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ({"customer": ""}, "Choose a customer."),
        ({"customer": "Nobody"}, "No customer is called that."),
        ({"meter": ""}, "without one the invoice would count nowhere"),
        ({"meter": "M-9"}, "There is no such meter."),
        ({"meter": "M-2"}, "M-2 is not a meter of this customer."),
        ({"number": "no digit"}, "end with a part that has a digit"),
        ({"issued_on": "2026-02-31"}, "This is not a date."),
        ({"issued_on": "2026-03-02", "due_on": "2026-03-01"}, "before the invoice is issued"),
        ({"units": "-1"}, "Units"),
        ({"units": "NaN"}, "Units"),
        ({"rate": ""}, "Enter a rate for the units."),
        ({"units": "", "rate": "100"}, "Enter the units that the rate is for"),
        ({"units": "", "rate": "", "fixed_charge": "", "amount": ""}, "more than zero"),
        ({"units": "", "rate": "", "fixed_charge": "", "amount": "0"}, "more than zero"),
        ({"units": "999999999", "rate": "999999999"}, "more than can be stored"),
    ],
)
def test_what_cannot_be_is_said_at_its_field_and_the_rest_is_kept(
    finance: FlaskClient, session: Any, typed: dict[str, str], said: str
) -> None:
    refused = finance.post("/billing/invoices/new", data=new(finance, **typed))
    assert said in words(refused, 422)
    again = fields_of(refused.text, "invoice-form")
    assert {name: again[name] for name in typed} == typed
    assert session.query(Invoice).count() == 0


@pytest.mark.parametrize(
    ("typed", "at"),
    [
        ({"units": "12.5"}, "units"),
        ({"units": "", "rate": "", "fixed_charge": "", "amount": "0.01"}, "amount"),
    ],
)
def test_an_invoice_with_which_too_much_is_owed_is_refused_at_its_field(
    finance: FlaskClient, session: Any, customer: Customer, typed: dict[str, str], at: str
) -> None:
    most = {"units": None, "rate": None, "fixed_charge": 0, "amount": Decimal("9999999999999.99")}
    invoice_of(session, customer, **most)
    otieno = session.query(Customer).filter_by(code="C-2").one()
    invoice_of(session, otieno, number="INV-2", meter=meter(session, "M-2"))
    edit = filled(finance, "/billing/invoices/INV-2/edit", customer="C-1", meter="M-1", **typed)
    saved = {"/billing/invoices/new": new(finance, **typed), "/billing/invoices/INV-2/edit": edit}
    for path, form in saved.items():
        refused = finance.post(path, data=form)
        assert "This comes to more than can be stored. Check the amounts." in words(refused, 422)
        assert f'href="#{at}"' in refused.text
        again = fields_of(refused.text, "invoice-form")
        assert {name: again[name] for name in typed} == typed
    move = "/billing/invoices/INV-2/move"
    form = {name: edit[name] for name in ("version", "meter")}
    moved = finance.post(move, data=form | {"idempotency_key": "k" * 32, "with_payments": "y"})
    assert "This comes to more than can be stored." in words(moved, 422)
    assert 'value="M-1"' in moved.text


# Changing


def test_payments_that_name_it_hold_it_where_it_is(
    finance: FlaskClient, session: Any, customer: Customer
) -> None:
    invoice = invoice_of(session, customer)
    PaymentFactory(invoice=invoice, meter=invoice.meter, customer=invoice.customer, amount=600)
    session.commit()
    path = "/billing/invoices/INV-1/edit"
    assert "1 payment names this invoice: it keeps its meter" in words(finance.get(path))
    less = finance.post(path, data=filled(finance, path, units="1"))
    assert "Payments of Rp 600.00 name this invoice" in words(less, 422)
    elsewhere = finance.post(path, data=filled(finance, path, customer="C-2", meter="M-2"))
    assert "Use “Move to another meter” on the invoice instead." in words(elsewhere, 422)


def test_an_imported_invoice_without_a_meter_may_stay_so(
    finance: FlaskClient, session: Any, customer: Customer
) -> None:
    invoice_of(session, customer, meter=None)
    assert "counts in no balance" in words(finance.get("/billing/invoices/INV-1"))
    path = "/billing/invoices/INV-1/edit"
    assert finance.post(path, data=filled(finance, path, due_on="2026-05-01")).status_code == 303
    assert only(session).meter_id is None
