"""Money: rounding like PostgreSQL, splitting, the one parser, and formats that it reads back."""

import ast
import random
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import create_engine, literal, select

from backoffice.base import money
from backoffice.base.currencies import MINOR_UNITS
from tests.depth import examples

FORMATS = ("en", "id", "plain")
CURRENCIES = ("IDR", "KES", "VND", "JPY", "USD")


@pytest.fixture(autouse=True)
def rupiah() -> Iterator[None]:
    """Reset the currency to rupiah for each test."""
    money.set_currency("IDR")
    yield
    money.set_currency("IDR")


# Rounding


CHUNKS = examples(4)
"""The number of chunks of 50,000 values each; the usual depth tests 200,000."""


def ties_and_others(count: int) -> Iterator[Decimal]:
    """Amounts with up to eight decimals; every third is a tie at the second decimal."""
    chance = random.Random(20260301)
    for number in range(count):
        units = chance.randrange(-(10 ** chance.randrange(1, 16)), 10 ** chance.randrange(1, 16))
        if number % 3 == 0:
            yield Decimal(units * 10 + (5 if units >= 0 else -5)).scaleb(-3)
        else:
            yield Decimal(units).scaleb(-chance.randrange(0, 9))


def test_rounding_equals_postgresqls_on_values_with_ties(
    app_connection: psycopg.Connection[Any],
) -> None:
    values = ties_and_others(CHUNKS * 50_000)
    for _ in range(CHUNKS):
        chunk = [next(values) for _ in range(50_000)]
        row = app_connection.execute(
            "SELECT array_agg(round(v, 2)::text ORDER BY n)"
            " FROM unnest(%s::numeric[]) WITH ORDINALITY AS given(v, n)",
            ["{" + ",".join(f"{value:f}" for value in chunk) + "}"],
        ).fetchone()
        assert row is not None
        assert [str(money.round_amount(value)) for value in chunk] == row[0]


@pytest.mark.parametrize(
    ("value", "decimals", "expected"),
    [
        ("0.005", 2, "0.01"),
        ("-0.005", 2, "-0.01"),
        ("1.005", 2, "1.01"),
        ("2.5", 0, "3"),
        ("-2.5", 0, "-3"),
        ("-0.004", 2, "0.00"),
        ("0.0000005", 6, "0.000001"),
        ("123456789012345678901234567890.125", 2, "123456789012345678901234567890.13"),
    ],
)
def test_halves_are_rounded_away_from_zero(value: str, decimals: int, expected: str) -> None:
    assert str(money.round_amount(Decimal(value), decimals)) == expected


@pytest.mark.parametrize("code", CURRENCIES)
def test_sql_rounds_to_the_currencys_minor_unit(code: str, database_url: str) -> None:
    money.set_currency(code)
    engine = create_engine(database_url.replace("postgresql:", "postgresql+psycopg:", 1))
    value = Decimal("1234.565")
    with engine.connect() as connection:
        stored = connection.scalar(select(money.rounded(literal(value))))
    engine.dispose()
    assert stored == money.round_amount(value)


# Splitting


def test_a_hundred_in_three_adds_up_exactly() -> None:
    parts = money.split(Decimal(100), 3)
    assert parts == [Decimal("33.34"), Decimal("33.33"), Decimal("33.33")]
    assert sum(parts) == Decimal(100)


@given(
    units=st.integers(-(10**15) + 1, 10**15 - 1),
    parts=st.integers(1, 400),
    code=st.sampled_from(CURRENCIES),
)
def test_parts_add_up_and_differ_by_one_unit_at_most(units: int, parts: int, code: str) -> None:
    money.set_currency(code)
    unit = Decimal(1).scaleb(-money.minor_unit())
    split = money.split(units * unit, parts)
    assert len(split) == parts
    assert sum(split) == units * unit
    assert max(split) - min(split) <= unit
    assert all(part == money.round_amount(part) for part in split)


def test_an_amount_is_split_in_one_part_at_least() -> None:
    with pytest.raises(ValueError, match="cannot be split in 0"):
        money.split(Decimal(1), 0)


def test_a_fraction_of_the_smallest_unit_is_not_split() -> None:
    with pytest.raises(ValueError, match="smallest unit of IDR"):
        money.split(Decimal("0.001"), 2)


# Parsing typed numbers


@pytest.mark.parametrize(
    ("text", "number_format", "expected"),
    [
        ("46000000", "en", "46000000"),
        ("46,000,000", "en", "46000000"),
        ("46.000.000", "id", "46000000"),
        ("1,000.50", "en", "1000.50"),
        ("1.000,50", "id", "1000.50"),
        ("1000.50", "plain", "1000.50"),
        ("1,500", "en", "1500"),
        ("1.500", "id", "1500"),
        ("1.5", "en", "1.5"),
        ("1,5", "id", "1.5"),
        (".5", "en", "0.5"),
        ("0", "en", "0"),
        ("007", "en", "7"),
        ("Rp 1,000", "en", "1000"),
        ("Rp1.000", "id", "1000"),
        ("Rp. 1.000,00", "id", "1000"),
        ("1,000 IDR", "en", "1000"),
        ("rp 5", "en", "5"),
        ("\u00a0Rp\u00a01.000\u00a0", "id", "1000"),
        ("-5", "en", "-5"),
        ("\u22125.25", "en", "-5.25"),
        ("(1,000.00)", "en", "-1000"),
        ("(Rp 1.000)", "id", "-1000"),
        ("Rp (1.000)", "id", "-1000"),
        ("-Rp 5", "en", "-5"),
        ("Rp -5", "en", "-5"),
        ("-0", "en", "0"),
        ("9,999,999,999,999.99", "en", "9999999999999.99"),
    ],
)
def test_amounts_are_read_in_the_users_format(text: str, number_format: str, expected: str) -> None:
    assert money.parse_amount(text, number_format) == Decimal(expected)


def test_an_amount_has_exactly_the_currencys_decimals() -> None:
    assert str(money.parse_amount("5", "en")) == "5.00"
    assert str(money.parse_amount("-0.00", "en")) == "0.00"


@pytest.mark.parametrize(
    ("text", "number_format", "question"),
    [
        ("1.500", "en", "Is this 1,500 or 1.5?"),
        ("1,500", "id", "Is this 1.500 or 1,5?"),
        ("12.340", "en", "Is this 12,340 or 12.34?"),
        ("999.999", "en", "Is this 999,999 or 999.999?"),
    ],
)
def test_three_digits_after_the_decimal_sign_are_asked_about(
    text: str, number_format: str, question: str
) -> None:
    with pytest.raises(money.AmountError) as refused:
        money.parse_amount(text, number_format)
    assert str(refused.value).startswith(question)
    with pytest.raises(money.AmountError):
        money.parse_amount(text, number_format, decimals=money.UNIT_PRICE_DECIMALS)


@pytest.mark.parametrize("text", ["0.500", "1500.250"])
def test_three_decimals_that_cannot_be_thousands_are_simply_too_many(text: str) -> None:
    with pytest.raises(money.AmountError, match="At most 2 decimals"):
        money.parse_amount(text, "en")


def test_a_field_of_three_decimals_takes_the_format_at_its_word() -> None:
    assert money.parse_quantity("1.234", "en") == Decimal("1.234")
    assert money.parse_quantity("1.234", "id") == Decimal(1234)


def test_a_quantity_has_no_currency_sign() -> None:
    with pytest.raises(money.AmountError, match="without a currency sign"):
        money.parse_quantity("Rp 5", "en")


def test_another_currencys_sign_is_refused() -> None:
    with pytest.raises(money.AmountError, match="kept in IDR only"):
        money.parse_amount("KSh 5", "en")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "Enter a number."),
        (" \u00a0 ", "Enter a number."),
        ("-", "Enter a number."),
        ("()", "Enter a number."),
        ("Rp", "Enter a number."),
        ("1,00,000", "Write the number as 1,000.50."),
        ("0,500", "Write the number as 1,000.50."),
        ("1.000,50", "Write the number as 1,000.50."),
        ("5.", "Write the number as 1,000.50."),
        ("1,", "Write the number as 1,000.50."),
        ("1 000", "Write the number without spaces inside: 1,000.50."),
        ("(-5)", "This is not a number. Write it as 1,000.50."),
        ("--5", "This is not a number. Write it as 1,000.50."),
        ("5-", "This is not a number. Write it as 1,000.50."),
        ("+5", "This is not a number. Write it as 1,000.50."),
        ("0x10", "This is not a number. Write it as 1,000.50."),
        ("five", "This is not a number. Write it as 1,000.50."),
        ("1.2.3", "Write the number as 1,000.50."),
        ("Rp Rp 5", "Write the number without a currency sign: 1,000.50."),
    ],
)
def test_a_refusal_says_what_to_do(text: str, sentence: str) -> None:
    with pytest.raises(money.AmountError) as refused:
        money.parse_amount(text, "en")
    assert str(refused.value) == sentence


def test_a_limit_is_told_in_the_users_format() -> None:
    with pytest.raises(money.AmountError, match=r"at most 1\.000\."):
        money.parse_amount("1.001", "id", maximum=Decimal(1000))
    with pytest.raises(money.AmountError, match=r"at least 0\."):
        money.parse_amount("-1", "en", minimum=Decimal(0))


@given(st.text(max_size=60))
def test_whatever_is_typed_is_a_number_or_a_sentence(text: str) -> None:
    for number_format in FORMATS:
        for read in (money.parse_amount, money.parse_quantity, money.parse_unit_price):
            value, sentence = Decimal(0), "."
            try:
                value = read(text, number_format)
            except money.AmountError as refusal:
                sentence = str(refusal)
            assert sentence.endswith(".")
            assert len(sentence) < 120
            assert value.is_finite()
            assert abs(value) <= money.MAX_AMOUNT


# Formatting


@pytest.mark.parametrize(
    ("code", "number_format", "expected"),
    [
        ("IDR", "en", "Rp\u00a046,000,000.00"),
        ("IDR", "id", "Rp\u00a046.000.000,00"),
        ("IDR", "plain", "Rp\u00a046000000.00"),
        ("KES", "en", "KSh\u00a046,000,000.00"),
        ("VND", "id", "₫\u00a046.000.000"),
        ("JPY", "en", "¥\u00a046,000,000"),
    ],
)
def test_an_amount_is_shown_with_its_currencys_symbol_and_decimals(
    code: str, number_format: str, expected: str
) -> None:
    money.set_currency(code)
    assert money.format_amount(Decimal(46_000_000), number_format, symbol=True) == expected


def test_the_largest_amount_has_no_cents_where_the_currency_has_none() -> None:
    money.set_currency("VND")
    assert money.max_amount() == Decimal(9999999999999)
    with pytest.raises(money.AmountError) as refused:
        money.parse_amount("99999999999999")
    assert refused.value.params["maximum"] == "9999999999999"


@pytest.mark.parametrize(("text", "number_format"), [("1.002", "en"), ("1,002", "id")])
def test_a_factor_of_three_decimals_is_never_thousands(text: str, number_format: str) -> None:
    assert money.parse_factor(text, number_format) == Decimal("1.002000")
    with pytest.raises(money.AmountError, match="Is this"):
        money.parse_unit_price(text, number_format)


def test_the_sign_stands_before_the_symbol() -> None:
    assert money.format_amount(Decimal(-5), "id", symbol=True) == "-Rp\u00a05,00"


def test_formatting_never_hides_decimals_that_a_stranger_stored() -> None:
    money.set_currency("VND")
    assert money.format_amount(Decimal("10.50"), "en") == "10.5"
    assert money.format_amount(Decimal("10.00"), "en") == "10"


@pytest.mark.parametrize("zero", ["-0", "-0.00", "0E+10", "-0E-10"])
def test_zero_is_shown_without_a_sign(zero: str) -> None:
    assert money.format_amount(Decimal(zero), "plain") == "0.00"
    assert money.format_quantity(Decimal(zero)) == "0"


def test_a_price_is_never_shown_with_three_decimals() -> None:
    assert money.format_unit_price(Decimal("1.5000")) == "1.50"
    assert money.format_unit_price(Decimal("1.2340")) == "1.2340"
    assert money.format_unit_price(Decimal("1.2345"), "id") == "1,2345"


def decimals(places: int, limit: Decimal) -> st.SearchStrategy[Decimal]:
    """A strategy for all values that a column with that many decimals may hold."""
    units = int(limit.scaleb(places))
    return st.integers(-units, units).map(lambda number: Decimal(number).scaleb(-places))


@given(st.data(), st.sampled_from(CURRENCIES), st.sampled_from(FORMATS), st.booleans())
def test_an_amount_that_is_shown_is_read_back_as_itself(
    data: st.DataObject, code: str, number_format: str, symbol: bool
) -> None:
    money.set_currency(code)
    amount = data.draw(decimals(money.minor_unit(), money.max_amount()))
    shown = money.format_amount(amount, number_format, symbol=symbol)
    assert len(shown) <= money.LONGEST_INPUT
    assert money.parse_amount(shown, number_format) == amount


@given(decimals(3, money.MAX_QUANTITY), st.sampled_from(FORMATS))
def test_a_quantity_that_is_shown_is_read_back_as_itself(
    quantity: Decimal, number_format: str
) -> None:
    shown = money.format_quantity(quantity, number_format)
    assert money.parse_quantity(shown, number_format, minimum=None) == quantity


@given(
    decimals(4, money.MAX_UNIT_PRICE).map(abs),
    st.sampled_from(FORMATS),
    st.sampled_from(CURRENCIES),
)
def test_a_price_that_is_shown_is_read_back_as_itself(
    price: Decimal, number_format: str, code: str
) -> None:
    money.set_currency(code)
    shown = money.format_unit_price(price, number_format)
    assert money.parse_unit_price(shown, number_format) == price


# The deployment's currency


def test_an_unknown_currency_is_refused_with_those_that_are_known() -> None:
    with pytest.raises(ValueError, match=r"XXX.*IDR"):
        money.set_currency("XXX")
    assert money.currency() == "IDR"


def test_minor_units_are_those_of_the_table() -> None:
    assert {code: MINOR_UNITS[code] for code in ("IDR", "KES", "VND", "JPY")} == {
        "IDR": 2,
        "KES": 2,
        "VND": 0,
        "JPY": 0,
    }


def test_money_knows_nothing_of_the_web() -> None:
    tree = ast.parse(Path(money.__file__).read_text())
    modules = {n.module for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
    modules |= {a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
    assert not any("flask" in (module or "") or module == "wtforms" for module in modules)
