"""FAULTS.md, lines 1 to 10: invalid money amounts from users, files and other programs."""

from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest
from flask import Flask
from psycopg import sql
from sqlalchemy import Numeric
from sqlalchemy.orm import Session
from werkzeug.datastructures import MultiDict
from wtforms import Form

from backoffice import figures
from backoffice.base import Base, money
from backoffice.base.currencies import MINOR_UNITS
from backoffice.web.typed_fields import AmountField, QuantityField, UnitPriceField
from tests.factories.orders import OrderFactory

Run = Callable[..., Any]

FIELDS = (AmountField, QuantityField, UnitPriceField)
FORMATS = ("en", "id", "plain")


@pytest.fixture(autouse=True)
def rupiah() -> Iterator[None]:
    """Restore rupiah after each test, as tests may change the currency."""
    yield
    money.set_currency("IDR")


def refusals(app: Flask, typed: str) -> list[str]:
    """The error message for `typed` of every kind of field, in every format."""
    sentences = []
    for number_format in FORMATS:
        for kind in FIELDS:
            entry = type("Entry", (Form,), {"value": kind("Value", minimum=None)})
            with app.test_request_context(headers={"Cookie": f"number_format={number_format}"}):
                form = entry(MultiDict({"value": typed}))
                assert not form.validate(), (
                    f"{kind.__name__} accepts {typed!r} as {form.value.data}"
                )
                assert form.value.data is None
                assert form.value._value() == typed
                sentences += form.value.errors
    assert len(sentences) == len(FIELDS) * len(FORMATS)
    return sentences


def columns_of_money() -> list[Any]:
    """Every numeric column of every table, with a row in which it can be tried."""
    return [
        pytest.param(table.name, column.name, id=f"{table.name}.{column.name}")
        for table in Base.metadata.sorted_tables
        if table.name in ("orders", "order_lines")
        for column in table.columns
        if isinstance(column.type, Numeric)
    ]


@pytest.mark.parametrize("typed", ["NaN", "nan", "-NaN", "NaN123", "+nan"])
def test_fault_1_nan_is_refused_in_every_field(app: Flask, typed: str) -> None:
    assert all(s.startswith("This is not a number.") for s in refusals(app, typed))


@pytest.mark.parametrize(("table", "column"), columns_of_money())
def test_fault_1_nan_is_refused_by_the_database(
    table: str, column: str, session: Session, owner_connection: psycopg.Connection[Any]
) -> None:
    OrderFactory(lines=[("package", "x", "1", "1")])
    session.commit()
    statement = sql.SQL("UPDATE {} SET {} = 'NaN'").format(
        sql.Identifier(table), sql.Identifier(column)
    )
    with pytest.raises(psycopg.errors.CheckViolation, match="no_nan"):
        owner_connection.execute(statement)
    infinity = sql.SQL("UPDATE {} SET {} = 'Infinity'").format(
        sql.Identifier(table), sql.Identifier(column)
    )
    with pytest.raises(psycopg.errors.NumericValueOutOfRange):
        owner_connection.execute(infinity)


def test_fault_1_every_table_with_amounts_refuses_nan(
    owner_connection: psycopg.Connection[Any],
) -> None:
    wanted = {
        (table.name, column.name)
        for table in Base.metadata.tables.values()
        for column in table.columns
        if isinstance(column.type, Numeric)
    }
    checks = owner_connection.execute(
        "SELECT conrelid::regclass::text, pg_get_constraintdef(oid) FROM pg_constraint"
        " WHERE contype = 'c' AND pg_get_constraintdef(oid) LIKE '%''NaN''%'"
    ).fetchall()
    found = {(t, c) for t, c in wanted for name, rule in checks if name == t and f"{c} <>" in rule}
    assert found == wanted


@pytest.mark.parametrize("typed", ["sNaN", "snan", "-sNaN", "sNaN42"])
def test_fault_2_a_signalling_nan_is_refused_and_is_no_crash(app: Flask, typed: str) -> None:
    assert all(s.startswith("This is not a number.") for s in refusals(app, typed))


@pytest.mark.parametrize(
    "typed", ["Infinity", "-inf", "1e400", "1E+9999999", "1e5", "1E-5", "9" * 100_000, "0" * 41]
)
def test_fault_3_infinity_and_exponents_get_a_short_answer(app: Flask, typed: str) -> None:
    assert all(len(sentence) < 100 for sentence in refusals(app, typed))


@pytest.mark.parametrize(
    "typed",
    [
        "١٢٣",
        "१२.५",
        "１２",
        "²",
        "Ⅷ",
        "1_000",
        "1\u00a0000",
        "1\u202f000",
        "1\u2009000",
        "1\u200b000",
        "1 000",
        "1\x00",
        "\ufeff1",
        "1\u20ac",
        "\u202e123",
        "１，０００",
        "1٫5",
    ],
)
def test_fault_4_other_digits_underscores_and_spaces_inside_are_refused(
    app: Flask, typed: str
) -> None:
    assert refusals(app, typed)


@pytest.mark.parametrize("typed", ["", " ", "\u00a0", "\u202f\t"])
def test_fault_4_nothing_but_spaces_is_no_number(typed: str) -> None:
    with pytest.raises(money.AmountError, match="Enter a number"):
        money.parse_amount(typed, "en")


def test_fault_5_the_users_format_decides_and_what_is_ambiguous_is_asked() -> None:
    assert money.parse_amount("1.000,50", "id") == money.parse_amount("1,000.50", "en") == 1000.5
    for typed, number_format in (("1.000,50", "en"), ("1,000.50", "id"), ("1,000.50", "plain")):
        with pytest.raises(money.AmountError, match="Write the number as"):
            money.parse_amount(typed, number_format)
    for typed, number_format in (("1.500", "en"), ("1,500", "id")):
        with pytest.raises(money.AmountError, match=r"Is this .* or .*\?"):
            money.parse_amount(typed, number_format)


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ("9999999999999.995", "At most 2 decimals are allowed here."),
        ("10000000000000", "This is too large: at most 9,999,999,999,999.99."),
        ("-10000000000000", "This is too small: at least -9,999,999,999,999.99."),
        ("99999999999999999999999999999999", "This is too large: at most 9,999,999,999,999.99."),
    ],
)
def test_fault_6_what_the_column_cannot_hold_is_refused(typed: str, sentence: str) -> None:
    with pytest.raises(money.AmountError) as refused:
        money.parse_amount(typed, "en")
    assert str(refused.value) == sentence


def test_fault_6_sums_past_the_column_are_refused_by_line(
    run_command: Run, session: Session, tmp_path: Path
) -> None:
    order = OrderFactory(number="SO-1")
    session.commit()
    file = tmp_path / "lines.csv"
    file.write_text(
        "order_number,kind,description,quantity,unit_price\n"
        "SO-1,package,ok,1,5\n"
        "SO-1,addition,huge,100,99999999999\n"
        "SO-1,addition,huge,100,99999999999\n"
    )
    result = run_command("import", "order-lines", str(file))
    assert result.exit_code == 1, result.output
    assert f"{file}:3: unit_price: This comes to more than can be stored." in result.output
    session.rollback()
    assert session.get_one(type(order), order.id).lines == []


def test_fault_6_a_grand_total_past_the_column_is_refused(
    run_command: Run, session: Session, tmp_path: Path
) -> None:
    OrderFactory(number="SO-1", additions=money.MAX_AMOUNT, total_price=0, promo=0, reductions=0)
    session.commit()
    file = tmp_path / "lines.csv"
    file.write_text("order_number,kind,description,quantity,unit_price\nSO-1,package,ok,1,5\n")
    result = run_command("import", "order-lines", str(file))
    assert result.exit_code == 1, result.output
    assert "more than can be stored" in result.output


@pytest.mark.parametrize("typed", ["-0", "\u22120.00", "(0)"])
def test_fault_7_minus_zero_is_refused_where_no_negative_may_be(typed: str) -> None:
    with pytest.raises(money.AmountError, match="too small: at least 0"):
        money.parse_amount(typed, "en", minimum=Decimal(0))
    assert str(money.parse_amount(typed, "en")) == "0.00", "where it may, it is zero"


@pytest.mark.parametrize("typed", ["-1", "\u22120.01", "(5)", "Rp -5"])
def test_fault_7_a_negative_amount_is_refused_with_a_sentence(typed: str) -> None:
    with pytest.raises(money.AmountError, match="too small: at least 0"):
        money.parse_amount(typed, "en", minimum=Decimal(0))


def test_fault_7_a_file_that_makes_a_grand_total_negative_is_refused(
    run_command: Run, session: Session, tmp_path: Path
) -> None:
    OrderFactory(number="SO-1", total_price=10, additions=0, promo=0, reductions=0)
    session.commit()
    file = tmp_path / "lines.csv"
    file.write_text("order_number,kind,description,quantity,unit_price\nSO-1,promo,off,1,11\n")
    result = run_command("import", "order-lines", str(file))
    assert result.exit_code == 1
    assert "The grand total of order SO-1 would be -1.00" in result.output


def test_fault_7_a_negative_written_by_a_stranger_is_healed_without_failing(
    session: Session, app_connection: psycopg.Connection[Any]
) -> None:
    order = OrderFactory(lines=[("package", "x", "1", "10")], promo=Decimal(0), reductions=0)
    session.commit()
    app_connection.execute("UPDATE order_lines SET unit_price = -20")
    findings = list(figures.verify(session))
    assert {finding.figure.name for finding in findings} >= {"order_lines.amount"}
    figures.heal(session, cause="test")
    session.rollback()
    session.refresh(order)
    assert order.total_price == -20
    assert list(figures.verify(session)) == []


def test_fault_8_ties_are_rounded_as_postgresql_rounds_them() -> None:
    """tests/test_money.py compares a million values with a real server."""
    assert money.round_amount(Decimal("0.125")) == Decimal("0.13")
    assert money.round_amount(Decimal("-0.125")) == Decimal("-0.13")


@pytest.mark.parametrize("code", [c for c, unit in MINOR_UNITS.items() if unit == 0])
@pytest.mark.parametrize("typed", ["0.5", "5.00", "1000.1", ".5"])
def test_fault_9_a_currency_without_minor_unit_has_no_fractions(code: str, typed: str) -> None:
    money.set_currency(code)
    with pytest.raises(money.AmountError, match="whole number"):
        money.parse_amount(typed, "en")
    assert money.parse_amount("1,000", "en") == 1000
    assert money.round_amount(Decimal("0.5")) == 1


def test_fault_10_a_hundred_split_in_three_adds_up_exactly() -> None:
    parts = money.split(Decimal("100.00"), 3)
    assert sum(parts) == 100
    assert max(parts) - min(parts) == Decimal("0.01")
