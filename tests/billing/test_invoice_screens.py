"""The screens of invoices over HTTP: list, record, form, saving, refusing, voiding, moving."""

import csv
import io
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from flask.testing import FlaskClient
from werkzeug.datastructures import MultiDict

from backoffice import periods
from backoffice.billing.models import Invoice, Meter, Payment
from backoffice.customers.models import Customer
from tests.factories.billing import (
    InvoiceFactory,
    MeterAssignmentFactory,
    MeterFactory,
    PaymentFactory,
)
from tests.factories.customers import CustomerFactory
from tests.orders.pages import outputs_of as raw_outputs_of
from tests.orders.pages import text_of
from tests.targets.pages import fields_of

SignIn = Callable[..., FlaskClient]

HTMX = {"HX-Request": "true", "HX-Request-Type": "partial"}


@pytest.fixture
def customer(session: Any) -> Customer:
    """Wanjiru with the meter M-1; M-2 is Otieno's."""
    made = CustomerFactory(code="C-1", name="Wanjiru")
    MeterAssignmentFactory(meter=MeterFactory(number="M-1"), customer=made)
    otieno = CustomerFactory(code="C-2", name="Otieno")
    MeterAssignmentFactory(meter=MeterFactory(number="M-2"), customer=otieno)
    session.commit()
    return made


@pytest.fixture
def finance(sign_in: SignIn, customer: Customer) -> FlaskClient:
    """A finance person."""
    return sign_in("finance")


def meter(session: Any, number: str = "M-1") -> Meter:
    return session.query(Meter).filter_by(number=number).one()


def invoice_of(session: Any, customer: Customer, **changes: Any) -> Invoice:
    given = {"number": "INV-1", "meter": meter(session), "customer": session.merge(customer)}
    made = InvoiceFactory(**given | changes)
    session.commit()
    return made


def form_at(client: FlaskClient, path: str, form_id: str = "invoice-form") -> MultiDict[str, str]:
    page = client.get(path)
    assert page.status_code == 200, page.text
    return fields_of(page.text, form_id)


def filled(client: FlaskClient, path: str, **changes: str) -> MultiDict[str, str]:
    typed = form_at(client, path)
    for name, value in changes.items():
        typed[name] = value
    return typed


def new(client: FlaskClient, **changes: str) -> MultiDict[str, str]:
    """The form of a new invoice of Wanjiru: 12.5 units at 100 and 250."""
    usage = {
        "customer": "C-1",
        "meter": "M-1",
        "units": "12.5",
        "rate": "100",
        "fixed_charge": "250",
    }
    return filled(client, "/billing/invoices/new", **usage | changes)


def outputs_of(html: str) -> dict[str, str]:
    """The text of every output, with plain spaces."""
    return {name: shown.replace("\xa0", " ") for name, shown in raw_outputs_of(html).items()}


def only(session: Any) -> Invoice:
    session.rollback()
    return session.query(Invoice).one()


def words(answer: Any, status: int = 200) -> str:
    assert answer.status_code == status, answer.text
    return text_of(answer.text)


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


def test_another_day_of_issue_moves_the_due_date_unless_somebody_typed_one(
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


def test_without_units_the_amount_is_entered_and_with_units_a_posted_one_is_ignored(
    finance: FlaskClient, session: Any
) -> None:
    whole = new(finance, units="", rate="", fixed_charge="", amount="99.95")
    finance.post("/billing/invoices/new", data=whole)
    invoice = only(session)
    assert (invoice.units, invoice.amount) == (None, Decimal("99.95"))
    path = f"/billing/invoices/{invoice.number}/edit"
    usage = filled(finance, path, units="2", rate="10", amount="999999")
    finance.post(path, data=usage)
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
        ({"meter": "M-2"}, "M-2 is no meter of this customer."),
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


def test_a_number_that_is_taken_is_refused(
    finance: FlaskClient, session: Any, customer: Customer
) -> None:
    invoice_of(session, customer)
    refused = finance.post("/billing/invoices/new", data=new(finance, number="INV-1"))
    assert "already an invoice INV-1" in words(refused, 422)


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


def test_derived_columns_that_are_posted_have_no_effect(finance: FlaskClient, session: Any) -> None:
    typed = new(finance)
    for name, value in (("paid", "1500"), ("status", "void"), ("id", "77"), ("customer_id", "2")):
        typed[name] = value
    finance.post("/billing/invoices/new", data=typed)
    invoice = only(session)
    assert (invoice.paid, invoice.status, invoice.customer.code) == (0, "posted", "C-1")
    assert invoice.id != 77


def test_a_double_click_saves_one_invoice(
    sign_in: SignIn, finance: FlaskClient, session: Any
) -> None:
    typed = new(finance)
    with ThreadPoolExecutor(4) as clicks:
        answers = list(
            clicks.map(lambda _: finance.post("/billing/invoices/new", data=typed), range(4))
        )
    assert {answer.status_code for answer in answers} == {303}
    assert len({answer.location for answer in answers}) == 1
    assert session.query(Invoice).count() == 1


# Changing


def test_saving_twice_the_same_leaves_version_and_history_alone(
    finance: FlaskClient, session: Any, customer: Customer
) -> None:
    invoice_of(session, customer)
    for _ in range(2):
        saved = finance.post(
            "/billing/invoices/INV-1/edit", data=form_at(finance, "/billing/invoices/INV-1/edit")
        )
        assert saved.status_code == 303
    assert only(session).version == 1


def test_two_editors_get_a_diff_and_lose_nothing(
    sign_in: SignIn, finance: FlaskClient, session: Any, customer: Customer
) -> None:
    invoice_of(session, customer)
    path = "/billing/invoices/INV-1/edit"
    mine = filled(finance, path, units="20")
    theirs = sign_in("admin", name="Njoroge")
    theirs.post(path, data=filled(theirs, path, rate="110", due_on="2026-04-15"))
    refused = finance.post(path, data=mine)
    told = words(refused, 409)
    assert "Njoroge saved this invoice" in told
    assert "Rate 110.00 100.00 Theirs" in told
    assert "Due 15 Apr 2026 31 Mar 2026 Theirs" in told
    merged = fields_of(refused.text, "invoice-form")
    assert (merged["units"], merged["rate"], merged["due_on"]) == ("20", "110.00", "2026-04-15")
    assert finance.post(path, data=merged).status_code == 303
    invoice = only(session)
    assert (invoice.units, invoice.rate, invoice.amount) == (20, 110, 2450)


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


# Record


def test_the_record_shows_the_amount_what_was_paid_and_what_is_open(
    finance: FlaskClient, session: Any, customer: Customer
) -> None:
    invoice = invoice_of(session, customer, due_on=periods.today(), issued_on=periods.today())
    on = {"invoice": invoice, "meter": invoice.meter, "customer": invoice.customer}
    PaymentFactory(reference="PAY-1", amount=600, **on)
    PaymentFactory(reference="PAY-2", amount=50, status="void", **on)
    session.commit()
    page = finance.get("/billing/invoices/INV-1")
    told = words(page)
    assert "Part paid" in told
    assert "12.5 × 100.00 1,250.00" in told
    assert "Paid on the invoice 1 payment 600.00" in told
    assert "Open Rp 900.00" in told
    assert "PAY-1" in told
    assert '<tr class="is-void">' in page.text


def test_how_the_amount_and_what_was_paid_were_calculated(
    finance: FlaskClient, session: Any, customer: Customer
) -> None:
    invoice = invoice_of(session, customer)
    PaymentFactory(
        reference="PAY-1",
        invoice=invoice,
        meter=invoice.meter,
        customer=invoice.customer,
        amount=600,
    )
    session.commit()
    amount = words(finance.get("/billing/invoices/INV-1/calculation/amount"))
    assert "Stored as calculated" in amount
    assert "Units × Rate, rounded half away from zero" in amount
    paid = finance.get("/billing/invoices/INV-1/calculation/paid")
    assert "600.00" in words(paid)
    assert "/billing/payments/PAY-1" in paid.text
    assert finance.get("/billing/invoices/INV-1/calculation/status").status_code == 404


def test_the_history_tells_every_save(
    finance: FlaskClient, session: Any, customer: Customer
) -> None:
    typed = new(finance, number="INV-1")
    finance.post("/billing/invoices/new", data=typed)
    path = "/billing/invoices/INV-1/edit"
    finance.post(path, data=filled(finance, path, units="20"))
    told = words(finance.get("/billing/invoices/INV-1/history"))
    assert "Units before: 12.5 → after: 20" in told
    assert "Meter after: M-1" in told
    assert "Customer after: C-1 · Wanjiru" in told


def test_neighbours_follow_the_filter(
    finance: FlaskClient, session: Any, customer: Customer
) -> None:
    for day, number in enumerate(("INV-1", "INV-2", "INV-3"), 1):
        status = {"status": "void"} if number == "INV-2" else {}
        invoice_of(session, customer, number=number, issued_on=date(2026, 3, day), **status)
    everything = finance.get("/billing/invoices/INV-3").text
    assert 'href="/billing/invoices/INV-2"' in everything
    narrowed = finance.get("/billing/invoices/INV-3?status=unpaid").text
    assert 'href="/billing/invoices/INV-1?status=unpaid"' in narrowed


@pytest.mark.leaves_drift
def test_a_tampered_amount_is_said_to_be_wrong(
    finance: FlaskClient, session: Any, customer: Customer, admin_database_url: str
) -> None:
    invoice_of(session, customer)
    with psycopg.connect(admin_database_url, autocommit=True) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute("UPDATE invoices SET amount = 1")
    assert "stored wrongly" in words(finance.get("/billing/invoices/INV-1"))


# Void and move


def posted(client: FlaskClient, session: Any, verb: str, **typed: str) -> Any:
    invoice = only(session)
    path = f"/billing/invoices/{invoice.number}/{verb}"
    page = client.get(path)
    assert page.status_code == 200
    key = page.text.partition('name="idempotency_key" type="hidden" value="')[2].partition('"')[0]
    return client.post(
        path, data={"version": str(invoice.version), "idempotency_key": key, **typed}
    )


def test_voiding_wants_a_reason_and_says_what_happens_to_payments(
    finance: FlaskClient, session: Any, customer: Customer
) -> None:
    invoice = invoice_of(session, customer)
    PaymentFactory(invoice=invoice, meter=invoice.meter, customer=invoice.customer, amount=600)
    session.commit()
    assert "It stays on the meter, names no invoice any more" in words(
        finance.get("/billing/invoices/INV-1/void")
    )
    assert "Say why" in words(posted(finance, session, "void", reason=" "), 422)
    answer = posted(finance, session, "void", reason="Read twice")
    assert answer.location == "/billing/invoices/INV-1"
    told = words(finance.get(answer.location))
    assert "1 payment that named it stays on the meter" in told
    assert "counts nowhere. Reason: Read twice" in told
    assert (meter(session).balance, meter(session).overpayment) == (0, 600)


def test_what_is_void_offers_no_verbs_and_refuses_them(
    finance: FlaskClient, session: Any, customer: Customer
) -> None:
    invoice_of(session, customer, status="void", void_reason="Twice")
    page = finance.get("/billing/invoices/INV-1").text
    for verb in ("edit", "void", "move"):
        assert f'href="/billing/invoices/INV-1/{verb}"' not in page
        refused = finance.get(f"/billing/invoices/INV-1/{verb}")
        assert "is void and stays as it is" in words(refused, 422)


def test_moving_takes_the_payments_along_and_both_customers_are_right(
    finance: FlaskClient, session: Any, customer: Customer
) -> None:
    invoice = invoice_of(session, customer)
    PaymentFactory(invoice=invoice, meter=invoice.meter, customer=invoice.customer, amount=600)
    session.commit()
    assert "no such meter" in words(posted(finance, session, "move", meter="M-9"), 422)
    assert "is on that meter already" in words(posted(finance, session, "move", meter="M-1"), 422)
    answer = posted(finance, session, "move", meter="M-2", with_payments="y")
    assert "Invoice INV-1 and 1 payment are on meter M-2 now." in words(
        finance.get(answer.location)
    )
    session.rollback()
    told = {c.code: (c.balance, c.overpayment) for c in session.query(Customer)}
    assert told == {"C-1": (0, 0), "C-2": (900, 0)}


def test_payments_can_be_left_behind(
    finance: FlaskClient, session: Any, customer: Customer
) -> None:
    invoice = invoice_of(session, customer)
    PaymentFactory(invoice=invoice, meter=invoice.meter, customer=invoice.customer, amount=600)
    session.commit()
    posted(finance, session, "move", meter="M-2")
    session.rollback()
    payment = session.query(Payment).one()
    assert (payment.meter.number, payment.invoice_id) == ("M-1", None)


def test_who_was_slower_reads_how_it_stands_now(
    finance: FlaskClient, session: Any, customer: Customer
) -> None:
    invoice_of(session, customer)
    path = "/billing/invoices/INV-1/void"
    page = finance.get(path).text
    key = page.partition('name="idempotency_key" type="hidden" value="')[2].partition('"')[0]
    edit = "/billing/invoices/INV-1/edit"
    finance.post(edit, data=filled(finance, edit, units="20"))
    late = {"version": "1", "idempotency_key": key, "reason": "Twice"}
    refused = finance.post(path, data=late)
    assert "Somebody else has saved invoice INV-1" in words(refused, 409)
    assert "Rp 2,250.00" in words(refused, 409)
    assert only(session).status == "posted"


# List


def listed(client: FlaskClient, query: str) -> list[str]:
    answer = client.get(f"/billing/invoices/export.csv?{query}")
    assert answer.status_code == 200
    rows = list(csv.reader(io.StringIO(answer.data.decode("utf-8-sig"), newline="")))
    end = next(n for n, row in enumerate(rows) if row[0] == "Total")
    return [row[0] for row in rows[1:end]]


@pytest.fixture
def several(session: Any, customer: Customer) -> None:
    """An overdue, a part paid, a paid, an open and a void invoice, and one without a meter."""
    today = periods.today()
    late, soon = today - timedelta(days=9), today + timedelta(days=9)
    for number, due, paid in (
        ("INV-1", late, 0),
        ("INV-2", soon, 5),
        ("INV-3", late, 1500),
        ("INV-4", soon, 0),
    ):
        invoice = invoice_of(session, customer, number=number, issued_on=late, due_on=due)
        if paid:
            PaymentFactory(
                invoice=invoice, meter=invoice.meter, customer=invoice.customer, amount=paid
            )
    invoice_of(session, customer, number="INV-5", status="void", issued_on=late, due_on=late)
    invoice_of(session, customer, number="INV-6", meter=None, issued_on=today, due_on=soon)
    session.commit()


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        ("", "123456"), ("status=overdue", "1"), ("status=part_paid", "2"), ("status=paid", "3"),
        ("status=open", "46"), ("status=void", "5"), ("status=unpaid", "1246"),
        ("without=meter", "6"), ("meter=M-1", "12345"), ("customer=C-1", "123456"),
        ("customer=C-2", ""), ("q=INV-3", "3"), ("q=wanj", "123456"), ("q=M-1", "12345"),
        ("since=2999-01-01", ""), ("status=nonsense", "123456"),
    ],
)  # fmt: skip
@pytest.mark.usefixtures("several")
def test_the_list_is_narrowed_by(finance: FlaskClient, query: str, numbers: str) -> None:
    assert sorted(listed(finance, query)) == [f"INV-{number}" for number in numbers]


@pytest.mark.usefixtures("several")
def test_the_totals_of_the_list_count_no_void_invoice(finance: FlaskClient) -> None:
    page = words(finance.get("/billing/invoices"))
    assert "6 invoices · Rp 7,500.00 1,505.00 5,995.00" in page
    assert "Overdue" in page
    workbook = finance.get("/billing/invoices/export.xlsx")
    assert workbook.status_code == 200


def test_an_empty_list_says_how_invoices_come_about(finance: FlaskClient) -> None:
    page = finance.get("/billing/invoices")
    assert "No invoices yet" in words(page)
    assert 'href="/billing/invoices/new"' in page.text


def test_viewers_look_and_change_nothing(sign_in: SignIn, session: Any, customer: Customer) -> None:
    invoice_of(session, customer)
    viewer = sign_in("viewer")
    page = viewer.get("/billing/invoices/INV-1")
    assert page.status_code == 200
    assert "/billing/invoices/INV-1/edit" not in page.text
    assert viewer.get("/billing/invoices/new").status_code == 403
    assert sign_in("account_manager").get("/billing/invoices").status_code == 403
