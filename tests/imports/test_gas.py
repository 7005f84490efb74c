"""Readings, prices and deposits from files: created and updated by customer and day, deposits never twice."""

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from backoffice.customers.models import Customer
from backoffice.gas.models import Deposit, GasPrice, Reading
from tests.factories.customers import CustomerFactory
from tests.gas import oracle

D = Decimal
Write = Callable[..., Path]
Import = Callable[..., dict[str, Any]]

PRICES = "customer_code,effective_from,price_per_sm3,correction_factor"
READINGS = "customer_code,read_on,metered_volume_m3"
DEPOSITS = "customer_code,deposited_on,amount,note"


@pytest.fixture
def customer(session: Session) -> Customer:
    """Called G-1."""
    made = CustomerFactory(code="G-1")
    session.commit()
    return made  # type: ignore[no-any-return]


def rows(session: Session, model: Any, *names: str) -> list[tuple[Any, ...]]:
    """What is stored, in the order in which it was."""
    session.rollback()
    found = select(*(getattr(model, name) for name in names)).order_by(model.id)
    return [tuple(row) for row in session.execute(found)]


def test_three_files_make_the_months_of_a_customer_and_again_nothing(
    write: Write, import_: Import, session: Session, customer: Customer
) -> None:
    prices = write("p.csv", PRICES, "G-1,2026-01-10,10500.1234,1.012345", "G-1,2026-02-01,11000,1")
    readings = write(
        "r.csv", READINGS, "G-1,2026-01-05,100", "G-1,2026-01-31,250.125", "G-1,2026-02-28,0"
    )
    deposits = write(
        "d.csv", DEPOSITS, "G-1,2026-01-01,5000000,Transfer", "G-1,2026-02-01,-250.50,Back"
    )
    for kind, file, count in (
        ("prices", prices, 2),
        ("readings", readings, 3),
        ("deposits", deposits, 2),
    ):
        assert import_(kind, file)["created"] == count
        again = import_(kind, file)
        assert (again["created"], again["updated"], again["unchanged"]) == (0, 0, count)
    lines, months = oracle.stored(session, customer.id)
    assert (lines, months) == oracle.expected(session, customer.id)
    assert months["2026-01"].unpriced == 1
    assert months["2026-02"].closing == months["2026-01"].closing - D("250.50")


def test_a_changed_line_changes_its_row_and_counts_its_version(
    write: Write, import_: Import, session: Session, customer: Customer
) -> None:
    import_("readings", write("r.csv", READINGS, "G-1,2026-01-05,100", "G-1,2026-01-06,200"))
    report = import_(
        "readings", write("r.csv", READINGS, "G-1,2026-01-05,100", "G-1,2026-01-06,201")
    )
    assert (report["created"], report["updated"], report["unchanged"]) == (0, 1, 1)
    assert rows(session, Reading, "metered_volume", "version") == [(D(100), 1), (D(201), 2)]


def test_two_lines_of_one_customer_and_day_are_refused_whatever_code_they_name(
    write: Write, report_of: Import, session: Session, customer: Customer
) -> None:
    CustomerFactory(code="G-OLD", merged_into_id=customer.id)
    session.commit()
    file = write(
        "r.csv",
        READINGS,
        "G-1,2026-01-05,1",
        "G-OLD,2026-01-05,2",
        "G-OLD,2026-01-06,3",
        "G-9,2026-01-07,4",
    )
    problems = report_of("readings", file)["problems"]
    assert [(p["line"], p["column"]) for p in problems] == [(3, "read_on"), (5, "customer_code")]
    assert "Line 2 has a reading of this customer on this day already." in problems[0]["message"]
    assert rows(session, Reading, "id") == []


def test_the_same_deposit_twice_in_a_file_is_two_and_stays_two(
    write: Write, import_: Import, session: Session, customer: Customer
) -> None:
    line = "G-1,2026-01-01,100,Cash"
    assert import_("deposits", write("d.csv", DEPOSITS, line, line))["created"] == 2
    assert import_("deposits", write("d.csv", DEPOSITS, line, line, line))["created"] == 1
    report = import_("deposits", write("d.csv", DEPOSITS, "G-1,2026-01-01,100,Transfer"))
    assert (report["created"], report["updated"]) == (0, 1)
    assert [note for (note,) in rows(session, Deposit, "note")] == ["Transfer", "Cash", "Cash"]


@pytest.mark.parametrize(
    ("kind", "header", "line", "column"),
    [
        ("prices", PRICES, "G-1,2026-01-01,100000,1", "price_per_sm3"),
        ("prices", PRICES, "G-1,2026-01-01,1,0", "correction_factor"),
        ("prices", PRICES, "G-1,2026-01-01,1,1.1234567", "correction_factor"),
        ("readings", READINGS, "G-1,2026-01-01,-1", "metered_volume_m3"),
        ("readings", READINGS, "G-1,2026-01-01,1000000", "metered_volume_m3"),
        ("readings", READINGS, "G-1,2026-02-30,1", "read_on"),
        ("deposits", DEPOSITS, "G-1,2026-01-01,0,", "amount"),
    ],
)
def test_what_a_form_refuses_a_file_may_not_say(
    write: Write,
    report_of: Import,
    customer: Customer,
    kind: str,
    header: str,
    line: str,
    column: str,
) -> None:
    problems = report_of(kind, write("f.csv", header, line))["problems"]
    assert [(p["line"], p["column"]) for p in problems] == [(2, column)]


def test_prices_come_in_by_day(
    write: Write, import_: Import, session: Session, customer: Customer
) -> None:
    import_("prices", write("p.csv", PRICES, "G-1,2026-01-01,1.5,1.25"))
    names = ("effective_from", "price_per_sm3", "correction_factor")
    assert rows(session, GasPrice, *names) == [(date(2026, 1, 1), D("1.5000"), D("1.250000"))]


@pytest.mark.parametrize(
    ("kind", "header", "same", "other", "later"),
    [
        ("readings", READINGS, "2026-01-05,100", "2026-01-06,1", "2026-02-06,1"),
        ("readings", READINGS, "2026-01-05,100", "2026-01-05,101", "2026-02-06,1"),
        ("prices", PRICES, "2026-01-01,10,1", "2026-01-31,1,1", "2026-02-01,1,1"),
        ("deposits", DEPOSITS, "2026-01-01,5,A", "2026-01-01,5,B", "2026-02-01,1,"),
        ("deposits", DEPOSITS, "2026-01-01,5,A", "2026-01-02,5,A", "2026-02-01,1,"),
    ],
)
def test_only_a_line_that_says_something_new_of_a_locked_day_is_refused(
    write: Write, import_: Import, report_of: Import, customer: Customer, locked: Callable[[], None],
    kind: str, header: str, same: str, other: str, later: str,
) -> None:  # fmt: skip
    import_(kind, write("a.csv", header, f"G-1,{same}"))
    locked()
    lines = [f"G-1,{same}"] * (not other.startswith(same[:10])) + [f"G-1,{other}", f"G-1,{later}"]
    [problem] = report_of(kind, write("b.csv", header, *lines))["problems"]
    assert lines[problem["line"] - 2] == f"G-1,{other}"
    assert "The days up to 2026-01-31 are locked" in problem["message"]
    done = import_(kind, write("c.csv", header, f"G-1,{same}", f"G-1,{later}"))
    assert (done["created"], done["updated"], done["unchanged"]) == (1, 0, 1)


@pytest.fixture
def locked(run_command: Any) -> Callable[[], None]:
    """Locks January 2026."""

    def lock() -> None:
        until = ("balance", "lock", "--until", "2026-01-31", "--reason", "Reported")
        assert run_command(*until).exit_code == 0

    return lock
