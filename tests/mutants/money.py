"""Careless changes of money: the largest amounts, rounding, splitting, reading and writing numbers."""

from .mutant import Mutant

MONEY, TESTS = "backoffice/base/money.py", "tests/test_money.py"
HALVES = (f"{TESTS}::test_halves_are_rounded_away_from_zero",)
READ = (f"{TESTS}::test_amounts_are_read_in_the_users_format",)
SPLIT = (f"{TESTS}::test_parts_add_up_and_differ_by_one_unit_at_most",)

MUTANTS: tuple[Mutant, ...] = (
    Mutant(
        "money-largest-amount-has-cents-without-a-minor-unit",
        MONEY,
        "    return MAX_AMOUNT if minor_unit() else MAX_AMOUNT.to_integral_value(ROUND_FLOOR)\n",
        "    return MAX_AMOUNT\n",
        (f"{TESTS}::test_the_largest_amount_has_no_cents_where_the_currency_has_none",),
    ),
    Mutant(
        "money-factor-of-three-decimals-is-ambiguous",
        MONEY,
        "        and decimals not in (QUANTITY_DECIMALS, FACTOR_DECIMALS)\n",
        "        and decimals != QUANTITY_DECIMALS\n",
        (f"{TESTS}::test_a_factor_of_three_decimals_is_never_thousands",),
    ),
    Mutant(
        "money-quantity-of-three-decimals-is-ambiguous",
        MONEY,
        "        and decimals not in (QUANTITY_DECIMALS, FACTOR_DECIMALS)\n",
        "        and decimals != FACTOR_DECIMALS\n",
        (f"{TESTS}::test_a_field_of_three_decimals_takes_the_format_at_its_word",),
    ),
    Mutant(
        "money-python-rounds-half-to-even",
        MONEY,
        "rounding=ROUND_HALF_UP, context=Context(prec=100)",
        'rounding="ROUND_HALF_EVEN", context=Context(prec=100)',
        HALVES,
    ),
    Mutant(
        "money-rounds-with-28-digits",
        MONEY,
        "rounding=ROUND_HALF_UP, context=Context(prec=100)",
        "rounding=ROUND_HALF_UP",
        HALVES,
    ),
    Mutant(
        "money-postgresql-rounds-every-currency-to-cents",
        MONEY,
        '        bindparam("minor_unit", callable_=minor_unit, unique=False),\n',
        "        2,\n",
        (f"{TESTS}::test_sql_rounds_to_the_currencys_minor_unit",),
    ),
    Mutant(
        "money-minus-zero-stays",
        MONEY,
        "    return result or result.copy_abs()\n",
        "    return result\n",
        HALVES,
    ),
    Mutant(
        "money-split-gives-one-unit-too-many",
        MONEY,
        "share + 1 if part < left else share",
        "share + 1 if part <= left else share",
        (f"{TESTS}::test_a_hundred_in_three_adds_up_exactly",),
    ),
    Mutant(
        "money-split-loses-the-sign",
        MONEY,
        "    sign = -1 if units < 0 else 1\n",
        "    sign = 1\n",
        SPLIT,
    ),
    Mutant(
        "money-split-drops-a-fraction",
        MONEY,
        "    if units != units.to_integral_value():\n",
        "    if units < 0:\n",
        (f"{TESTS}::test_a_fraction_of_the_smallest_unit_is_not_split",),
    ),
    Mutant(
        "money-largest-amount-is-refused",
        MONEY,
        "    if value > maximum:\n",
        "    if value >= maximum:\n",
        READ,
    ),
    Mutant(
        "money-more-decimals-than-allowed-are-read",
        MONEY,
        "    if len(fraction) > decimals or _is_ambiguous",
        "    if _is_ambiguous",
        (f"{TESTS}::test_three_decimals_that_cannot_be_thousands_are_simply_too_many",),
    ),
    Mutant(
        "money-brackets-are-not-negative",
        MONEY,
        "    is_negative = is_bracketed or body.startswith(_MINUS)\n",
        "    is_negative = body.startswith(_MINUS)\n",
        READ,
    ),
    Mutant(
        "money-formatting-drops-decimals",
        MONEY,
        '    fraction = fraction.rstrip("0").ljust(decimals, "0")\n',
        '    fraction = fraction[:decimals].ljust(decimals, "0")\n',
        (f"{TESTS}::test_formatting_never_hides_decimals_that_a_stranger_stored",),
    ),
)
