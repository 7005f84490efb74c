"""The explanations of billing's figures, which follow from their declarations alone."""

from decimal import Decimal
from typing import Any

from backoffice import figures
from backoffice.billing.figures import invoice_amount, meter_balance
from backoffice.figures import Explanation
from tests.factories.billing import InvoiceFactory, MeterFactory, PaymentFactory


def terms(explanation: Explanation | None, column: str) -> list[tuple[str, str, Any, bool]]:
    assert explanation is not None
    explained = next(c for c in explanation.columns if c.column == column)
    return [(t.sign, t.column, t.value, t.entered) for t in explained.terms]


def test_an_invoice_amount_is_explained_by_units_rate_and_fixed_charge(session: Any) -> None:
    invoice = InvoiceFactory(meter=MeterFactory())
    session.commit()
    assert terms(figures.explain(session, invoice_amount, invoice.id), "amount") == [
        ("", "units", Decimal("12.5"), False),
        ("×", "rate", Decimal(100), False),
        ("+", "fixed_charge", Decimal(250), False),
    ]


def test_an_entered_invoice_amount_says_that_it_was_entered(session: Any) -> None:
    invoice = InvoiceFactory(units=None, rate=None, amount=Decimal("99.50"))
    session.commit()
    assert terms(figures.explain(session, invoice_amount, invoice.id), "amount") == [
        ("", "amount", Decimal("99.50"), True)
    ]


def test_a_balance_that_is_never_below_zero_is_explained_by_what_it_comes_from(
    session: Any,
) -> None:
    meter = MeterFactory()
    invoice = InvoiceFactory(meter=meter)
    PaymentFactory(meter=meter, customer=invoice.customer, amount=Decimal(2000))
    session.commit()
    explanation = figures.explain(session, meter_balance, meter.id)
    assert terms(explanation, "balance") == [
        ("", "invoiced", Decimal(1500), False),
        ("+", "adjusted", Decimal(0), False),
        ("−", "paid", Decimal(2000), False),
    ]
    assert [(sign, name) for sign, name, *_ in terms(explanation, "overpayment")] == [
        ("", "paid"), ("−", "invoiced"), ("−", "adjusted"),
    ]  # fmt: skip
    assert explanation is not None
    assert {c.column: c.expected for c in explanation.columns} == {
        "balance": Decimal(0),
        "overpayment": Decimal(500),
    }
