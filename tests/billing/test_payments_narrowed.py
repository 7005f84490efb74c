"""The payments of a meter, an invoice or a customer: the list comes to the stored figure that it explains."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backoffice.billing.of_customers import PAYMENTS as OWNED
from backoffice.billing.payments.listing import PAYMENTS
from backoffice.billing.rules import VOID
from backoffice.lists import state_of
from backoffice.lists.queries import totals_of
from tests.depth import examples
from tests.factories.billing import InvoiceFactory, MeterFactory, PaymentFactory
from tests.factories.customers import CustomerFactory
from tests.files_for_people import lines_for_people
from tests.orders.pages import text_of

LIST = "/billing/payments"


@pytest.fixture
def shared(session: Any) -> dict[str, Any]:
    """R-1 of 300: 100 on an invoice of M-1, which is Rina's, and 200 of Budi's on M-2."""
    rina, budi = CustomerFactory(code="RINA"), CustomerFactory(code="BUDI")
    one, two = MeterFactory(number="M-1"), MeterFactory(number="M-2")
    invoice = InvoiceFactory(number="INV-1", customer=rina, meter=one, amount=Decimal(500))
    PaymentFactory(reference="R-1", customer=rina, meter=one, invoice=invoice, amount=Decimal(100))
    PaymentFactory(reference="R-1", part=2, customer=budi, meter=two, amount=Decimal(200))
    session.commit()
    return {"one": one, "two": two, "invoice": invoice}


def exported(browser: Any, query: str) -> list[list[str]]:
    return lines_for_people(browser, f"{LIST}/export.csv?{query}")


@pytest.mark.parametrize(
    ("query", "here"),
    [
        ("meter=M-1", "100.00"), ("meter=M-2", "200.00"), ("invoice=INV-1", "100.00"),
        ("customer=RINA", "100.00"), ("customer=BUDI", "200.00"), ("customer=RINA&meter=M-1", "100.00"),
    ],
)  # fmt: skip
def test_screen_print_and_file_hold_what_is_there_of_it(
    sign_in: Any, shared: dict[str, Any], query: str, here: str
) -> None:
    finance = sign_in("finance")
    rows = exported(finance, f"{query}&columns=reference,whole,amount")
    assert rows[0] == ["Reference", "Whole receipt", "Amount here"]
    assert rows[1] == ["R-1", "300.00", here]
    assert rows[2] == ["Total", "", here]
    for more in ("&totals=1", "&print=1", "&totals=1&sort=amount"):
        page = text_of(finance.get(f"{LIST}?{query}{more}").text)
        assert "Amount here" in page
        assert page.count(here) >= 2
        assert page.count("300.00") == 1


def test_a_receipt_stands_where_one_part_fits_all_that_is_asked(
    sign_in: Any, shared: dict[str, Any]
) -> None:
    rows = exported(sign_in("finance"), "customer=RINA&meter=M-2&columns=reference,amount")
    assert rows[1][0] == "Total"
    assert Decimal(rows[1][1]) == 0


def test_the_whole_list_holds_whole_receipts(sign_in: Any, shared: dict[str, Any]) -> None:
    page = text_of(sign_in("finance").get(LIST).text)
    assert "Amount here" not in page
    assert page.count("300.00") == 2


def test_a_meters_paid_leads_to_a_list_that_comes_to_it(
    sign_in: Any, shared: dict[str, Any]
) -> None:
    finance = sign_in("finance")
    assert 'href="/billing/payments?meter=M-1"' in finance.get("/billing/meters/M-1").text


PARTS = st.lists(
    st.tuples(
        st.integers(0, 1), st.integers(0, 2),
        st.decimals(Decimal("0.01"), Decimal(900), places=2), st.booleans(),
    ),
    min_size=1, max_size=5,
)  # fmt: skip


@given(st.lists(st.tuples(PARTS, st.booleans()), min_size=1, max_size=4))
@settings(
    max_examples=examples(20),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_every_list_comes_to_the_figure_that_it_explains(
    session: Any, receipts: list[tuple[list[tuple[int, int, Decimal, bool]], bool]]
) -> None:
    customers = [CustomerFactory() for _ in range(2)]
    meters = [MeterFactory() for _ in range(2)]
    invoices = [InvoiceFactory(customer=c, meter=m) for c, m in zip(customers, meters, strict=True)]
    for parts, is_void in receipts:
        reference, void = "", {"status": VOID, "void_reason": "Twice"} if is_void else {}
        for number, (payer, where, amount, is_named) in enumerate(parts, 1):
            placed = {"meter": meters[where]} if where < 2 else {}
            if placed and is_named:
                placed["invoice"] = invoices[where]
            named = {"reference": reference} if reference else {}
            reference = PaymentFactory(
                part=number, customer=customers[payer], amount=amount, **placed, **named, **void
            ).reference
    session.commit()

    def listed(**narrowed: str) -> Decimal:
        return totals_of(session, None, state_of(PAYMENTS, narrowed)).sums["amount"]

    for meter in meters:
        session.refresh(meter)
        assert listed(meter=meter.number) == meter.paid
    for invoice in invoices:
        session.refresh(invoice)
        assert listed(invoice=invoice.number) == invoice.paid
    for customer in customers:
        held = OWNED.held_by(session, [customer.id])[customer.id]
        assert listed(customer=customer.code) == held.amount


def test_of_what_is_unmatched_a_customers_list_holds_their_own_parts(
    sign_in: Any, session: Any
) -> None:
    PaymentFactory(reference="U-1", customer__code="RINA", amount=Decimal(100))
    PaymentFactory(reference="U-1", part=2, customer__code="BUDI", amount=Decimal(200))
    session.commit()
    page = text_of(sign_in("finance").get("/billing/unmatched?customer=RINA").text)
    assert "100.00" in page
    assert "200.00" not in page
    assert "300.00" not in page
