"""Imports of invoices and payments keep the rules of the screens: paid, corrected and future documents."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from backoffice.base import periods
from backoffice.billing.invoices import actions as invoice_actions
from backoffice.billing.payments import actions as payment_actions
from backoffice.billing.payments.allocation import Part

from .documents import (
    DAYS,
    INVOICES,
    PAYMENTS,
    UNITS,
    book,
    entry,
    invoice,
    meter,
    parts,
    replaced,
    reported,
    voided,
)

Write = Callable[..., Path]
Import = Callable[..., dict[str, Any]]
Problems = Callable[..., list[tuple[int, str, str]]]

GO_ALONG = "Payments name this invoice and have to go with it. Use “Move to another meter”"
LESS = "Payments of 1000.00 name this invoice, so it cannot come to less."
STILL_TO_COME = (
    "This day is still to come. What is entered counts at once: enter today or an earlier day."
)
IN_PLACE = "This payment was recorded here in place of a void one, and a file cannot change it."


@pytest.fixture(autouse=True)
def books(session: Any) -> None:
    """A, B, M-1, M-2, and an invoice of 1,500.00."""
    book(session)


@pytest.fixture
def paid(write: Write, import_: Import) -> None:
    """1,000.00 of the invoice are paid."""
    import_("payments", write("paid.csv", PAYMENTS, "PAY-1,A,M-1,INV-1,2026-03-05,1000"))


def counts(report: dict[str, Any]) -> tuple[int, int, int]:
    return report["created"], report["updated"], report["unchanged"]


def begin(found: list[tuple[int, str, str]], *expected: tuple[str, str]) -> bool:
    """Whether these columns have problems with sentences that start so."""
    return len(found) == len(expected) and all(
        column == at and sentence.startswith(begins)
        for (_, column, sentence), (at, begins) in zip(found, expected, strict=True)
    )


# An invoice that payments name


@pytest.mark.usefixtures("paid")
def test_an_invoice_that_is_paid_keeps_its_customer_and_its_meter(
    write: Write, problems: Problems, session: Any
) -> None:
    file = write("i.csv", INVOICES, f"INV-1,B,M-2,{DAYS},1500")
    assert begin(
        problems("invoices", file), ("customer_code", GO_ALONG), ("meter_number", GO_ALONG)
    )
    assert (invoice(session).customer.code, invoice(session).meter.number) == ("A", "M-1")


@pytest.mark.usefixtures("paid")
@pytest.mark.parametrize(
    ("said", "column"),
    [("999.99,,,", "amount"), (",12.5,77.60,0", "units")],  # 970.00
)
def test_an_invoice_comes_to_no_less_than_is_paid(
    said: str, column: str, write: Write, problems: Problems, session: Any
) -> None:
    file = write("i.csv", UNITS, f"INV-1,A,M-1,{DAYS},{said}")
    assert begin(problems("invoices", file), (column, LESS))
    assert (invoice(session).amount, invoice(session).units) == (1500, None)


@pytest.mark.usefixtures("paid")
@pytest.mark.parametrize("said", ["1000,,,", ",12.5,80,0", "2000,,,"])
def test_an_invoice_that_is_paid_may_come_to_what_is_paid_or_more(
    said: str, write: Write, import_: Import
) -> None:
    file = write("i.csv", UNITS, f"INV-1,A,M-1,2026-03-01,2026-04-30,{said}")
    assert counts(import_("invoices", file)) == (0, 1, 0)


def test_an_invoice_that_is_overpaid_may_come_again_and_to_more_but_not_to_less(
    write: Write, import_: Import, problems: Problems
) -> None:
    import_("payments", write("p.csv", PAYMENTS, "PAY-1,A,M-1,INV-1,2026-03-05,2000"))
    again = write("a.csv", INVOICES, f"INV-1,A,M-1,{DAYS},1500")
    assert counts(import_("invoices", again)) == (0, 0, 1)
    more = write("m.csv", INVOICES, f"INV-1,A,M-1,{DAYS},1600")
    assert counts(import_("invoices", more)) == (0, 1, 0)
    assert begin(problems("invoices", again), ("amount", "Payments of 2000.00 name this invoice"))


def test_the_good_lines_come_in_without_one_that_is_less_than_paid(
    write: Write, import_: Import, paid: None, run_command: Callable[..., Any], session: Any
) -> None:
    file = write("i.csv", INVOICES, f"INV-1,A,M-1,{DAYS},77", f"INV-2,A,M-1,{DAYS},5")
    done = run_command("import", "invoices", str(file), "--skip-bad-rows")
    assert (done.exit_code, invoice(session).amount) == (1, 1500), done.output
    assert invoice(session, "INV-2").amount == 5


def test_an_invoice_without_a_meter_may_get_one_unless_its_payments_are_on_another(
    write: Write, import_: Import, problems: Problems, session: Any
) -> None:
    import_("invoices", write("i.csv", INVOICES, f"INV-2,A,,{DAYS},10", f"INV-3,A,,{DAYS},10"))
    rows = ("PAY-2,A,,INV-2,2026-03-05,5", "PAY-3,A,M-2,INV-3,2026-03-05,5")
    import_("payments", write("p.csv", PAYMENTS, *rows))
    given = write("g.csv", INVOICES, f"INV-2,A,M-1,{DAYS},10")
    assert counts(import_("invoices", given)) == (0, 1, 0)
    parted = write("g.csv", INVOICES, f"INV-3,A,M-1,{DAYS},10")
    assert begin(problems("invoices", parted), ("meter_number", GO_ALONG))
    follows = write("g.csv", INVOICES, f"INV-3,A,M-2,{DAYS},10")
    assert counts(import_("invoices", follows)) == (0, 1, 0)


# Payments that cannot be


def test_a_payment_of_a_day_to_come_is_refused_and_one_of_today_is_not(
    write: Write, problems: Problems, import_: Import
) -> None:
    today = periods.today()
    tomorrow = today + timedelta(days=1)
    file = write("p.csv", PAYMENTS, f"PAY-1,A,M-1,,{tomorrow},10")
    assert problems("payments", file) == [(2, "paid_on", STILL_TO_COME)]
    import_("payments", write("t.csv", PAYMENTS, f"PAY-1,A,M-1,,{today},10"))


def test_an_overpaid_invoice_comes_in_with_a_book_and_again(write: Write, import_: Import) -> None:
    file = write("p.csv", PAYMENTS, "PAY-1,A,M-1,INV-1,2026-03-05,9999")
    assert counts(import_("payments", file)) == (1, 0, 0)
    assert counts(import_("payments", file)) == (0, 0, 1)


@pytest.mark.usefixtures("paid")
def test_a_line_that_changes_a_receipt_puts_no_more_on_an_invoice_than_it_takes(
    write: Write, problems: Problems, import_: Import, session: Any
) -> None:
    sentence = "Of invoice INV-1 only 1500.00 is open."
    more = write("p.csv", PAYMENTS, "PAY-1,A,M-1,INV-1,2026-03-05,1500.01")
    assert begin(problems("payments", more), ("amount", sentence))
    two = ("PAY-1,A,M-1,,2026-03-05,1000", "PAY-1,A,M-1,INV-1,2026-03-05,1500.01")
    file = write("p.csv", PAYMENTS, *two)
    assert begin(problems("payments", file), ("amount", "Of invoice INV-1 only"))
    all_of_it = write("p.csv", PAYMENTS, "PAY-1,A,M-1,INV-1,2026-03-05,1500")
    assert counts(import_("payments", all_of_it)) == (0, 1, 0)
    assert invoice(session).paid == 1500


def test_what_lines_take_off_an_overpaid_invoice_others_of_the_file_may_put_there(
    write: Write, problems: Problems, import_: Import
) -> None:
    rows = (f"PAY-{n},A,M-1,INV-1,2026-03-05,{amount}" for n, amount in ((1, 900), (2, 800)))
    import_("payments", write("p.csv", PAYMENTS, *rows))
    day = "M-1,INV-1,2026-03-05"
    swapped = write("s.csv", PAYMENTS, f"PAY-1,A,{day},800", f"PAY-2,A,{day},900")
    assert counts(import_("payments", swapped)) == (0, 2, 0)
    more = write("m.csv", PAYMENTS, f"PAY-1,A,{day},800", f"PAY-2,A,{day},901")
    assert begin(problems("payments", more), ("amount", "Of invoice INV-1 only"))


# What was put right on screen


BANK = ("B-1,A,M-1,INV-1,2026-03-05,1500",)


def test_the_same_file_again_leaves_a_receipt_that_was_replaced_on_screen(
    write: Write, import_: Import, problems: Problems, session: Any
) -> None:
    file = write("p.csv", PAYMENTS, *BANK)
    import_("payments", file)
    replaced(session, "B-1", entry(session, "B-1", 150))
    assert counts(import_("payments", file)) == (0, 0, 1)
    assert reported(session, "B-1") == [("posted", "150.00", "M-1", "INV-1")]
    right = write("r.csv", PAYMENTS, "B-1,A,M-1,INV-1,2026-03-05,150")
    assert counts(import_("payments", right)) == (0, 0, 1)
    other = write("o.csv", PAYMENTS, "B-1,A,M-1,INV-1,2026-03-05,160")
    assert begin(problems("payments", other), ("", IN_PLACE))
    assert invoice(session).paid == 150


def test_the_same_file_again_leaves_a_receipt_that_was_replaced_by_several_parts_and_again(
    write: Write, import_: Import, session: Any
) -> None:
    file = write("p.csv", PAYMENTS, *BANK)
    import_("payments", file)
    replaced(session, "B-1", entry(session, "B-1", 150, 50))
    assert counts(import_("payments", file)) == (0, 0, 1)
    replaced(session, "B-1", entry(session, "B-1", 140))
    assert counts(import_("payments", file)) == (0, 0, 1)
    assert [part.amount for part in parts(session, "B-1")] == [140]


def test_the_same_file_again_leaves_a_receipt_that_was_recorded_again_under_the_reference_of_a_void_one(
    write: Write, import_: Import, session: Any
) -> None:
    file = write("p.csv", PAYMENTS, "B-1,A,M-1,INV-1,2026-03-05,1400", "B-1,A,M-1,,2026-03-05,100")
    import_("payments", file)
    voided(session, "B-1")
    payment_actions.record(session(), entry(session, "B-1", 150))
    session.commit()
    assert counts(import_("payments", file)) == (0, 0, 2)
    assert [part.amount for part in parts(session, "B-1")] == [150]


def test_a_file_changes_no_receipt_that_was_recorded_in_place_of_another_under_its_own_reference(
    write: Write, import_: Import, problems: Problems, session: Any
) -> None:
    import_("payments", write("p.csv", PAYMENTS, *BANK))
    replaced(session, "B-1", entry(session, "B-2", 150))
    assert counts(import_("payments", write("p.csv", PAYMENTS, *BANK))) == (0, 0, 1)
    other = write("o.csv", PAYMENTS, "B-2,A,M-1,INV-1,2026-03-05,160")
    assert begin(problems("payments", other), ("", IN_PLACE))


def test_a_void_receipt_gets_no_further_part_from_a_file(
    write: Write, import_: Import, problems: Problems, session: Any
) -> None:
    import_("payments", write("p.csv", PAYMENTS, *BANK))
    voided(session, "B-1")
    session.commit()
    file = write("m.csv", PAYMENTS, *BANK, "B-1,A,M-1,,2026-03-05,7")
    assert begin(problems("payments", file), ("", "This document is void"))


def test_the_same_files_again_change_nothing_after_an_invoice_was_voided_and_its_receipt_replaced(
    write: Write, import_: Import, session: Any
) -> None:
    file = write("p.csv", PAYMENTS, *BANK)
    import_("payments", file)
    invoice_actions.void(session(), invoice(session).id, 1, "Issued twice")
    rest = Part(Decimal(150), meter_id=meter(session, "M-1").id)
    replaced(session, "B-1", replace(entry(session, "B-1", 150), parts=(rest,)))
    assert counts(import_("payments", file)) == (0, 0, 1)
    assert reported(session, "B-1") == [("posted", "150.00", "M-1", None)]
