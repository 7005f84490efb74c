"""Careless changes of money: the largest amount, and factors of three decimals."""

from .mutant import Mutant

MUTANTS: tuple[Mutant, ...] = (
    Mutant(
        "money-largest-amount-has-cents-without-a-minor-unit",
        "backoffice/base/money.py",
        "    return MAX_AMOUNT if minor_unit() else MAX_AMOUNT.to_integral_value(ROUND_FLOOR)\n",
        "    return MAX_AMOUNT\n",
        ("tests/test_money.py::test_the_largest_amount_has_no_cents_where_the_currency_has_none",),
    ),
    Mutant(
        "money-factor-of-three-decimals-is-ambiguous",
        "backoffice/base/money.py",
        "        and decimals not in (QUANTITY_DECIMALS, FACTOR_DECIMALS)\n",
        "        and decimals != QUANTITY_DECIMALS\n",
        ("tests/test_money.py::test_a_factor_of_three_decimals_is_never_thousands",),
    ),
)
