"""Importing meters and their assignments: created, reassigned, refused by line; again changes nothing."""

from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from backoffice.base import periods
from backoffice.billing.models import Meter, MeterAssignment
from backoffice.customers.models import Customer
from tests.factories.billing import InvoiceFactory, MeterAssignmentFactory, MeterFactory
from tests.factories.customers import CustomerFactory

Write = Callable[..., Path]
Import = Callable[..., dict[str, Any]]
Problems = Callable[..., list[tuple[int, str, str]]]

HEADER = "meter_number,customer_code,is_active"
DATED = f"{HEADER},assigned_from,assigned_to,description"


def counts(report: dict[str, Any]) -> tuple[int, int, int]:
    return report["created"], report["updated"], report["unchanged"]


def assignments(session: Any, number: str = "M-1") -> list[tuple[str, bool, str, str]]:
    """The assignments of the meter: customer, active, from, to; the oldest row first."""
    session.rollback()
    session.expire_all()
    found = session.scalars(
        select(MeterAssignment)
        .join(Meter, Meter.id == MeterAssignment.meter_id)
        .where(Meter.number == number)
        .order_by(MeterAssignment.id)
    )
    return [
        (a.customer.code, a.is_active, str(a.assigned_from or ""), str(a.assigned_to or ""))
        for a in found
    ]


@pytest.fixture(autouse=True)
def customers(session: Any) -> None:
    for code in "ABC":
        CustomerFactory(code=code)
    session.commit()


def test_meters_come_with_their_assignments_and_again_change_nothing(
    write: Write, import_: Import, session: Any
) -> None:
    file = write(
        "m.csv",
        DATED,
        "M-1,A,no,,2025-06-30,Front door",
        "M-1,B,yes,2025-07-01,,",
        "PT/9-2,A,1,,,",
    )
    assert counts(import_("meters", file)) == (3, 0, 0)
    assert assignments(session) == [
        ("A", False, "", "2025-06-30"),
        ("B", True, "2025-07-01", ""),
    ]
    assert assignments(session, "PT/9-2") == [("A", True, "", "")]
    meter = session.scalars(select(Meter).where(Meter.number == "M-1")).one()
    assert (meter.description, meter.version) == ("Front door", 1)
    assert counts(import_("meters", file)) == (0, 0, 3)
    session.rollback()
    assert set(session.scalars(select(MeterAssignment.version))) == {1}


def test_older_data_that_counts_before_its_first_day_goes_in_again(
    write: Write, import_: Import, problems: Problems, session: Any
) -> None:
    tomorrow, later = (periods.today() + timedelta(days=days) for days in (1, 2))
    MeterAssignmentFactory(
        meter=MeterFactory(number="M-1"), customer=customer(session, "A"), assigned_from=tomorrow
    )
    session.commit()
    same = write("m.csv", DATED, f"M-1,A,yes,{tomorrow},,")
    assert counts(import_("meters", same)) == (0, 0, 1)
    assert counts(import_("meters", write("m.csv", HEADER, "M-1,A,yes"))) == (0, 0, 1)
    [(line, column, _sentence)] = problems("meters", write("m.csv", DATED, f"M-1,A,yes,{later},,"))
    assert (line, column) == (2, "assigned_from")
    assert assignments(session) == [("A", True, str(tomorrow), "")]


@pytest.mark.parametrize(
    ("cell", "is_active"),
    [("yes", True), ("Ya", True), ("TRUE", True), ("1", True),
     ("no", False), ("Tidak", False), ("false", False), ("0", False)],
)  # fmt: skip
def test_yes_and_no_are_read_in_two_languages(
    cell: str, is_active: bool, write: Write, import_: Import, session: Any
) -> None:
    import_("meters", write("m.csv", HEADER, f"M-1,A,{cell}"))
    assert assignments(session) == [("A", is_active, "", "")]


def test_a_line_may_deactivate_give_back_and_leave_what_it_does_not_say(
    write: Write, import_: Import, session: Any
) -> None:
    MeterAssignmentFactory(
        meter=MeterFactory(number="M-1", description="Attic"),
        customer=customer(session, "A"),
        assigned_from=date(2024, 1, 1),
    )
    session.commit()
    off = write("off.csv", DATED, "M-1,A,no,,2025-06-30,")
    assert counts(import_("meters", off)) == (0, 1, 0)
    assert assignments(session) == [("A", False, "2024-01-01", "2025-06-30")]
    assert counts(import_("meters", write("on.csv", HEADER, "M-1,A,yes"))) == (0, 1, 0)
    assert assignments(session) == [("A", True, "2024-01-01", "")]
    described = write("d.csv", f"{HEADER},description", "M-1,A,yes,Cellar")
    assert counts(import_("meters", described)) == (0, 1, 0)
    assert session.scalar(select(Meter.description)) == "Cellar"
    assert session.scalar(select(MeterAssignment.version)) == 3


def test_a_meter_that_is_handed_over_takes_what_is_owed_along(
    write: Write, import_: Import, session: Any
) -> None:
    meter = MeterFactory(number="M-1")
    InvoiceFactory(meter=meter, customer=customer(session, "A"))
    MeterAssignmentFactory(meter=meter, customer=customer(session, "A"))
    session.commit()
    import_("meters", write("m.csv", HEADER, "M-1,B,yes", "M-1,A,no"))
    assert assignments(session) == [("A", False, "", ""), ("B", True, "", "")]
    owed = session.execute(select(Customer.code, Customer.balance))
    assert {code: str(balance) for code, balance in owed} == {
        "A": "0.00",
        "B": "1500.00",
        "C": "0.00",
    }


def test_a_day_that_was_not_known_is_filled_in_and_another_day_is_another_assignment(
    write: Write, import_: Import, session: Any
) -> None:
    MeterAssignmentFactory(meter=MeterFactory(number="M-1"), customer=customer(session, "A"))
    session.commit()
    import_("meters", write("m.csv", DATED, "M-1,A,yes,2024-01-01,,"))
    assert assignments(session) == [("A", True, "2024-01-01", "")]
    both = write("b.csv", DATED, "M-1,A,no,2019-01-01,2020-12-31,", "M-1,A,yes,2023-12-01,,")
    assert counts(import_("meters", both)) == (1, 1, 0)
    assert assignments(session) == [
        ("A", True, "2023-12-01", ""),
        ("A", False, "2019-01-01", "2020-12-31"),
    ]
    assert counts(import_("meters", both)) == (0, 0, 2)
    assert counts(import_("meters", write("off.csv", HEADER, "M-1,A,no"))) == (0, 1, 0)
    assert [is_active for _, is_active, _, _ in assignments(session)] == [False, False]


def test_a_meter_that_is_another_users_is_refused_and_says_whose(
    write: Write, problems: Problems, session: Any
) -> None:
    MeterAssignmentFactory(meter=MeterFactory(number="M-1"), customer=customer(session, "A"))
    session.commit()
    assert problems("meters", write("m.csv", HEADER, "M-1,B,yes")) == [
        (
            2,
            "meter_number",
            (
                "Meter M-1 is actively A’s. Deactivate that in the same file by a line with “no”, "
                "or leave this line out."
            ),
        )
    ]
    assert assignments(session) == [("A", True, "", "")]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (
            ["M-2,A,yes,,,", "M-2,B,yes,,,"],
            [(3, "is_active", "A meter is one customer’s at a time, and in line 2")],
        ),
        (
            ["M-2,A,yes,,,", "M-2,A,no,,,"],
            [(3, "meter_number", "Line 2 says so of this meter and this customer already.")],
        ),
        (["M-2,Z,yes,,,"], [(2, "customer_code", "There is no customer Z.")]),
        (["M-2,A,perhaps,,,"], [(2, "is_active", "Write yes or no.")]),
        (["M-2,A,,,,"], [(2, "is_active", "This must not be empty.")]),
        (["no digit,A,yes,,,"], [(2, "meter_number", "Use letters, digits")]),
        (
            ["M-2,A,yes,2025-02-01,2025-01-31,"],
            [(2, "assigned_to", "The assignment ends before it begins.")],
        ),
        (
            ["M-2,A,no,,2024-01-01,", "M-2,B,yes,2024-01-02,,Roof", "M-2,C,no,,,Attic"],
            [(4, "description", "An earlier line says “Roof” of this meter.")],
        ),
        (
            ["M-2,A,no,,2024-06-30,", "M-2,B,yes,2024-06-30,,"],
            [
                (
                    3,
                    "assigned_from",
                    "On some of these days meter M-2 is assigned to A (… – 2024-06-30).",
                )
            ],
        ),
    ],
)
def test_a_bad_line_is_named_and_nothing_is_imported(
    lines: list[str],
    expected: list[tuple[int, str, str]],
    write: Write,
    problems: Problems,
    session: Any,
) -> None:
    found = problems("meters", write("m.csv", DATED, *lines))
    assert [place[:2] for place in found] == [place[:2] for place in expected]
    for (_, _, said), (_, _, begins) in zip(found, expected, strict=True):
        assert said.startswith(begins)
    session.rollback()
    assert session.scalars(select(Meter)).all() == []


def test_a_meter_with_a_bad_line_stays_out_whole_where_good_ones_come_in(
    write: Write, run_command: Callable[..., Any], session: Any
) -> None:
    file = write("m.csv", HEADER, "M-1,A,no", "M-1,Z,yes", "M-2,B,yes")
    done = run_command("import", "meters", str(file), "--skip-bad-rows")
    assert done.exit_code == 1
    assert assignments(session) == []
    assert assignments(session, "M-2") == [("B", True, "", "")]


def test_days_that_overlap_with_stored_ones_are_refused_and_unknown_ones_are_not(
    write: Write, import_: Import, problems: Problems, session: Any
) -> None:
    a = customer(session, "A")
    given = {"customer": a, "is_active": False}
    one, other = MeterFactory(number="M-1"), MeterFactory(number="M-2")
    MeterAssignmentFactory(
        meter=one, assigned_from=date(2024, 1, 1), assigned_to=date(2024, 12, 31), **given
    )
    MeterAssignmentFactory(meter=other, **given)
    session.commit()
    file = write("m.csv", DATED, "M-1,B,yes,2024-12-31,,", "M-2,B,yes,2024-12-31,,")
    [(line, column, said)] = problems("meters", file)
    assert (line, column) == (2, "assigned_from")
    assert "meter M-1 is assigned to A (2024-01-01 – 2024-12-31)" in said
    import_("meters", write("n.csv", DATED, "M-1,B,yes,2025-01-01,,", "M-2,B,yes,2024-12-31,,"))


def test_what_is_booked_on_a_merged_customer_is_the_survivors(
    write: Write, import_: Import, session: Any
) -> None:
    for duplicate, survivor in (("B", "A"), ("A", "C")):
        customer(session, duplicate).merged_into_id = customer(session, survivor).id
    session.commit()
    file = write("m.csv", HEADER, "M-1,B,yes", "M-2,C,no", "M-2,A,yes")
    assert counts(import_("meters", file)) == (3, 0, 0)
    assert assignments(session) == [("C", True, "", "")]
    assert [a[:2] for a in assignments(session, "M-2")] == [("C", False), ("C", True)]
    assert counts(import_("meters", file)) == (0, 0, 3)


def customer(session: Any, code: str) -> Customer:
    found: Customer = session.scalars(select(Customer).where(Customer.code == code)).one()
    return found
