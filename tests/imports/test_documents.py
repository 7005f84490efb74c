"""Importing invoices and payments: what is calculated, kept, void, refused; again changes nothing."""

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from backoffice.billing.invoices import actions as invoice_actions
from backoffice.billing.models import Invoice, Meter, Payment
from backoffice.customers.models import Customer
from backoffice.imports.files.guessing import guess_columns
from backoffice.imports.kinds import KINDS
from tests.factories.billing import (
    InvoiceFactory,
    MeterAssignmentFactory,
    MeterFactory,
    PaymentFactory,
)
from tests.factories.customers import CustomerFactory

Write = Callable[..., Path]
Import = Callable[..., dict[str, Any]]
Problems = Callable[..., list[tuple[int, str, str]]]

INVOICES = "number,customer_code,meter_number,issued_on,due_on,amount"
UNITS = f"{INVOICES},units,rate,fixed_charge"
PAYMENTS = "reference,customer_code,meter_number,invoice_number,paid_on,amount"
DAYS = "2026-03-01,2026-03-31"


@pytest.fixture(autouse=True)
def book(session: Any) -> None:
    """Customers A, with the meters M-1 and M-2, and B; an invoice of 1,500.00 on M-1."""
    a = CustomerFactory(code="A")
    CustomerFactory(code="B")
    for number in ("M-1", "M-2"):
        MeterAssignmentFactory(meter=MeterFactory(number=number), customer=a)
    InvoiceFactory(number="INV-1", customer=a, meter=meter(session, "M-1"))
    session.commit()


def meter(session: Any, number: str) -> Meter:
    found: Meter = session.scalars(select(Meter).where(Meter.number == number)).one()
    return found


def invoice(session: Any, number: str) -> Invoice:
    session.rollback()
    session.expire_all()
    found: Invoice = session.scalars(select(Invoice).where(Invoice.number == number)).one()
    return found


def payments(session: Any, reference: str) -> list[Payment]:
    session.rollback()
    session.expire_all()
    rows = select(Payment).where(Payment.reference == reference).order_by(Payment.part)
    return list(session.scalars(rows))


def counts(report: dict[str, Any]) -> tuple[int, int, int]:
    return report["created"], report["updated"], report["unchanged"]


def balances(session: Any) -> dict[str, str]:
    session.rollback()
    rows = session.execute(select(Meter.number, Meter.balance - Meter.overpayment))
    return {number: str(owed) for number, owed in rows}


def is_refused(
    found: list[tuple[int, str, str]], expected: list[tuple[int, str, str]], first: int = 2
) -> None:
    """`expected` counts lines below the header from `first` on; a sentence may be its beginning."""
    assert [place[:2] for place in found] == [(n + first, column) for n, column, _ in expected]
    for (_, _, said), (_, _, begins) in zip(found, expected, strict=True):
        assert said.startswith(begins)


# Invoices


def test_an_entered_amount_and_one_of_units_come_in_and_again_change_nothing(
    write: Write, import_: Import, session: Any
) -> None:
    file = write(
        "i.csv",
        UNITS,
        f"INV-7,A,M-1,{DAYS},100.25,,,",
        f"INV-8,A,M-2,{DAYS},,12.345,3.3333,0.50",
        f"INV-9,A,M-2,{DAYS},33.33,10,3.3333,",
        f"INV-10,B,,{DAYS},5,,,",
    )
    assert counts(import_("invoices", file)) == (4, 0, 0)
    amounts = {n: str(invoice(session, f"INV-{n}").amount) for n in (7, 8, 9, 10)}
    assert amounts == {7: "100.25", 8: "41.65", 9: "33.33", 10: "5.00"}
    assert invoice(session, "INV-10").meter_id is None
    assert balances(session) == {"M-1": "1600.25", "M-2": "74.98"}
    assert counts(import_("invoices", file)) == (0, 0, 4)
    assert invoice(session, "INV-8").version == 1


def test_an_amount_that_is_not_what_units_come_to_is_refused_with_both_figures(
    write: Write, problems: Problems, session: Any
) -> None:
    file = write("i.csv", UNITS, f"INV-7,A,M-1,{DAYS},41.64,12.345,3.3333,0.50")
    sentence = (
        "Here it is 41.64, but units × rate + fixed charge come to 41.65. "
        "Correct one of them, or leave the amount empty."
    )
    assert problems("invoices", file) == [(2, "amount", sentence)]
    stored = write("s.csv", INVOICES, f"INV-1,A,M-1,{DAYS},1499")
    is_refused(problems("invoices", stored), [(0, "amount", "Here it is 1499.00, but")])
    assert invoice(session, "INV-1").amount == 1500


def test_an_empty_cell_leaves_what_is_there(write: Write, import_: Import, session: Any) -> None:
    same = write("s.csv", UNITS, f"INV-1,A,,{DAYS},,,,")
    assert counts(import_("invoices", same)) == (0, 0, 1)
    later = write("l.csv", INVOICES, "INV-1,A,,2026-03-01,2026-04-30,")
    assert counts(import_("invoices", later)) == (0, 1, 0)
    found = invoice(session, "INV-1")
    assert (found.meter.number, found.units, str(found.amount)) == ("M-1", 12.5, "1500.00")
    assert (str(found.due_on), found.version) == ("2026-04-30", 2)


def test_a_known_invoice_moves_and_is_calculated_anew(
    write: Write, import_: Import, session: Any
) -> None:
    import_("invoices", write("i.csv", UNITS, f"INV-1,A,M-2,{DAYS},,10,100,0"))
    assert balances(session) == {"M-1": "0.00", "M-2": "1000.00"}


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["INV-2,Z,M-1,{days},1,,,"], [(0, "customer_code", "There is no customer Z.")]),
        (["INV-2,A,M-9,{days},1,,,"], [(0, "meter_number", "There is no meter M-9.")]),
        (["INV-2,A,M-1,{days},,,,"], [(0, "amount", "Fill in the amount, or units and a rate.")]),
        (["INV-2,A,M-1,{days},0,,,"], [(0, "amount", "This must be more than 0.")]),
        (["INV-2,A,M-1,{days},-1,,,"], [(0, "amount", "This is too small")]),
        (["INV-2,A,M-1,{days},,5,,"], [(0, "rate", "Units and a rate come together.")]),
        (["INV-2,A,M-1,{days},,,5,"], [(0, "units", "Units and a rate come together.")]),
        (["INV-2,A,M-1,{days},1,,,1"], [(0, "fixed_charge", "A fixed charge is added to units")]),
        (["INV-2,A,M-1,{days},,0,5,"], [(0, "units", "The invoice comes to 0.00.")]),
        (
            ["INV-2,A,M-1,2026-03-02,2026-03-01,1,,,"],
            [(0, "due_on", "The invoice is due before it is issued.")],
        ),
        (
            ["INV-2,A,M-1,{days},1,,,", "INV-2,A,M-1,{days},1,,,"],
            [(1, "number", "This number stands in line 3 already.")],
        ),
        (["new,A,M-1,{days},1,,,"], [(0, "number", "Use letters, digits")]),
        (
            ["INV-2,A,M-1,{days},,9999999999,9999999999,"],
            [(-2, "", "The amounts in this file come to more than can be stored.")],
        ),
    ],
)
def test_a_bad_invoice_is_named_and_nothing_is_imported(
    lines: list[str],
    expected: list[tuple[int, str, str]],
    write: Write,
    problems: Problems,
    session: Any,
) -> None:
    rows = [line.replace("{days}", DAYS) for line in lines]
    file = write("i.csv", UNITS, f"GOOD-1,A,M-1,{DAYS},1,,,", *rows)
    is_refused(problems("invoices", file), expected, first=3)
    session.rollback()
    assert session.scalars(select(Invoice.number)).all() == ["INV-1"]


def test_a_void_invoice_may_be_repeated_but_not_changed(
    write: Write, import_: Import, problems: Problems, session: Any
) -> None:
    session.scalars(select(Invoice)).one().status = "void"
    session.commit()
    same = write("s.csv", INVOICES, f"INV-1,A,M-1,{DAYS},1500")
    assert counts(import_("invoices", same)) == (0, 0, 1)
    other = write("o.csv", INVOICES, f"INV-1,A,M-2,{DAYS},1500")
    is_refused(problems("invoices", other), [(0, "", "This document is void")])
    assert balances(session) == {"M-1": "0.00", "M-2": "0.00"}


# Payments


def test_payments_name_what_they_know_and_again_change_nothing(
    write: Write, import_: Import, session: Any
) -> None:
    file = write(
        "p.csv",
        f"{PAYMENTS},method",
        "PAY-1,A,,,2026-03-05,10,",
        "PAY-2,A,,INV-1,2026-03-05,20,cash",
        "PAY-3,A,M-2,,2026-03-05,30,mobile",
        "PAY-4,A,M-1,INV-1,2026-03-05,40,",
    )
    assert counts(import_("payments", file)) == (4, 0, 0)
    found = {n: payments(session, f"PAY-{n}")[0] for n in (1, 2, 3, 4)}
    assert [found[n].method for n in found] == ["transfer", "cash", "mobile", "transfer"]
    assert [p.meter.number if p.meter else None for p in found.values()] == [
        None, None, "M-2", "M-1",
    ]  # fmt: skip
    assert invoice(session, "INV-1").paid == 60
    assert balances(session) == {"M-1": "1460.00", "M-2": "-30.00"}
    assert counts(import_("payments", file)) == (0, 0, 4)


def test_a_payment_that_was_matched_since_keeps_its_meter_when_the_file_comes_again(
    write: Write, import_: Import, session: Any
) -> None:
    file = write("p.csv", PAYMENTS, "PAY-1,A,,,2026-03-05,10", "PAY-2,A,,INV-1,2026-03-05,20")
    import_("payments", file)
    for payment in session.scalars(select(Payment)):
        payment.meter = meter(session, "M-1")
    session.commit()
    assert counts(import_("payments", file)) == (0, 0, 2)
    assert balances(session)["M-1"] == "1470.00"
    more = write("m.csv", PAYMENTS, "PAY-1,A,,,2026-03-05,11", "PAY-2,A,,,2026-03-06,20")
    assert counts(import_("payments", more)) == (0, 2, 0)
    assert balances(session)["M-1"] == "1469.00"
    assert invoice(session, "INV-1").paid == 20


def test_lines_of_one_reference_are_the_parts_of_one_receipt(
    write: Write, import_: Import, problems: Problems, session: Any
) -> None:
    file = write("p.csv", PAYMENTS, "PAY-1,A,M-1,INV-1,2026-03-05,10", "PAY-1,A,M-1,,2026-03-05,20")
    assert counts(import_("payments", file)) == (2, 0, 0)
    assert [(p.part, p.amount) for p in payments(session, "PAY-1")] == [(1, 10), (2, 20)]
    assert counts(import_("payments", file)) == (0, 0, 2)
    half = write("h.csv", PAYMENTS, "PAY-1,A,M-1,INV-1,2026-03-05,30")
    is_refused(
        problems("payments", half),
        [(0, "reference", "This receipt has 2 parts, but 1 in the files.")],
    )


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["PAY-2,Z,,,2026-03-05,1"], [(0, "customer_code", "There is no customer Z.")]),
        (["PAY-2,A,M-9,,2026-03-05,1"], [(0, "meter_number", "There is no meter M-9.")]),
        (["PAY-2,A,,INV-9,2026-03-05,1"], [(0, "invoice_number", "There is no invoice INV-9.")]),
        (
            ["PAY-2,A,M-2,INV-1,2026-03-05,1"],
            [(0, "invoice_number", "Invoice INV-1 is of meter M-1.")],
        ),
        (["PAY-2,A,,,2026-03-05,0.00"], [(0, "amount", "This must be more than 0.")]),
        (["PAY-2,A,,,2026-03-05,"], [(0, "amount", "This must not be empty.")]),
        (["PAY-2,A,,,2026-02-29,1"], [(0, "paid_on", "There is no such day.")]),
        (
            ["PAY-2,A,,,2026-03-05,1", "PAY-2,A,,,2026-03-05,1"],
            [(1, "reference", "This reference stands in line 3 already.")],
        ),
        (
            ["PAY-2,A,,INV-1,2026-03-05,1", "PAY-2,B,,,2026-03-06,1"],
            [
                (1, "customer_code", "An earlier line says “A” of this receipt."),
                (1, "paid_on", "An earlier line says “2026-03-05” of this receipt."),
            ],
        ),
    ],
)
def test_a_bad_payment_is_named_and_nothing_is_imported(
    lines: list[str],
    expected: list[tuple[int, str, str]],
    write: Write,
    problems: Problems,
    session: Any,
) -> None:
    file = write("p.csv", PAYMENTS, "GOOD-1,A,M-1,,2026-03-05,1", *lines)
    is_refused(problems("payments", file), expected, first=3)
    session.rollback()
    assert session.scalar(select(func.count()).select_from(Payment)) == 0


def test_an_unknown_method_is_refused(write: Write, problems: Problems) -> None:
    file = write("p.csv", f"{PAYMENTS},method", "PAY-1,A,,,2026-03-05,1,barter")
    is_refused(problems("payments", file), [(0, "method", "Enter one of these: transfer, mobile")])


def test_a_void_payment_may_be_repeated_but_not_changed(
    write: Write, import_: Import, problems: Problems, session: Any
) -> None:
    a = session.scalars(select(Customer).where(Customer.code == "A")).one()
    PaymentFactory(reference="PAY-1", customer=a, meter=meter(session, "M-1"), status="void")
    session.commit()
    same = write("s.csv", PAYMENTS, "PAY-1,A,,,2026-03-15,500")
    assert counts(import_("payments", same)) == (0, 0, 1)
    other = write("o.csv", PAYMENTS, "PAY-1,A,,,2026-03-15,501")
    is_refused(problems("payments", other), [(0, "", "This document is void")])


def test_a_void_invoice_takes_no_payment_and_what_paid_it_before_comes_again_unchanged(
    write: Write, import_: Import, problems: Problems, session: Any
) -> None:
    file = write("p.csv", PAYMENTS, "PAY-1,A,M-1,INV-1,2026-03-05,20")
    import_("payments", file)
    voided = invoice(session, "INV-1")
    invoice_actions.void(session, voided.id, voided.version, "Issued twice")
    session.commit()
    assert counts(import_("payments", file)) == (0, 0, 1)
    assert payments(session, "PAY-1")[0].invoice_id is None
    new = write("n.csv", PAYMENTS, "PAY-2,A,M-1,INV-1,2026-03-05,20")
    is_refused(problems("payments", new), [(0, "invoice_number", "Invoice INV-1 is void.")])


# Both


def test_documents_of_an_old_code_are_the_survivors(
    write: Write, import_: Import, session: Any
) -> None:
    b, a = (session.scalars(select(Customer).where(Customer.code == code)).one() for code in "BA")
    a.merged_into_id = b.id
    session.commit()
    issued = write("i.csv", INVOICES, f"INV-7,A,M-1,{DAYS},10", f"INV-8,B,M-1,{DAYS},10")
    paid = write("p.csv", PAYMENTS, "PAY-1,A,,INV-7,2026-03-05,10")
    assert counts(import_("invoices", issued)) == (2, 0, 0)
    assert counts(import_("payments", paid)) == (1, 0, 0)
    owners = [*(invoice(session, f"INV-{n}").customer_id for n in (7, 8))]
    assert owners == [b.id, b.id]
    assert payments(session, "PAY-1")[0].customer_id == b.id
    assert counts(import_("invoices", issued)) == (0, 0, 2)
    assert counts(import_("payments", paid)) == (0, 0, 1)


def test_amounts_as_indonesians_write_them(
    write: Write, run_command: Callable[..., Any], session: Any
) -> None:
    file = write(
        "i.csv",
        "No Faktur;Pelanggan;No Meter;Tanggal;Jatuh Tempo;Jumlah;Pemakaian;Tarif",
        "INV-7;A;M-1;01/03/2026;31/03/2026;1.234,57;1.234,567;1",
    )
    names = {
        "no faktur": "number",
        "pelanggan": "customer_code",
        "no meter": "meter_number",
        "tanggal": "issued_on",
        "jatuh tempo": "due_on",
        "jumlah": "amount",
        "pemakaian": "units",
        "tarif": "rate",
    }
    assert guess_columns(names, KINDS["invoices"]) == names
    mapped = [f"--map={theirs}={known}" for theirs, known in names.items()]
    written = ("--date-format", "dmy", "--number-format", "id")
    done = run_command("import", "invoices", str(file), *mapped, *written)
    assert done.exit_code == 0, done.output
    assert invoice(session, "INV-7").amount == Decimal("1234.57")
