"""Figures that cannot be incremental are refused at start-up, and those that can are accepted."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import Select, case, func

from backoffice.base.money import rounded
from backoffice.figures.errors import DeclarationError

from .tallies import Sale, Seller, Tally, by_month, declared

D = Decimal


def changed(**changes: Any) -> Callable[..., Select[Any]]:
    """`by_month` with other columns."""

    def definition(sale: Any = Sale) -> Select[Any]:
        rows = by_month(sale)
        kept = [c for c in rows.selected_columns if c.key not in changes]
        made = [make(sale).label(name) for name, make in changes.items()]
        return rows.with_only_columns(*kept, *made)

    return definition


def limited(sale: Any = Sale) -> Select[Any]:
    """Only the first rows."""
    return by_month(sale).limit(3)


def large_only(sale: Any = Sale) -> Select[Any]:
    """Only the large months."""
    return by_month(sale).having(func.sum(sale.c.amount) > 3)


def joined(sale: Any = Sale, seller: Any = Seller) -> Select[Any]:
    """With the sellers."""
    return by_month(sale).join(seller, seller.c.id == sale.c.seller_id)


REFUSED: dict[str, tuple[Callable[..., Select[Any]], str]] = {
    "a maximum": (changed(amount=lambda s: func.max(s.c.amount)), "no sum or count"),
    "a sum that may be NULL": (changed(amount=lambda s: func.sum(s.c.fee)), "no sum or count"),
    "a filtered sum that may be NULL": (
        changed(amount=lambda s: func.sum(s.c.amount).filter(s.c.is_gift)),
        "no sum or count",
    ),
    "a share": (changed(amount=lambda s: func.sum(s.c.amount) / 2), "no sum or count"),
    "a sum with more decimals": (
        changed(amount=lambda s: func.sum(s.c.amount * D("0.125"))),
        "no sum or count",
    ),
    "no count": (changed(sales=lambda s: func.sum(s.c.id)), "is count()"),
    "a count of some": (
        changed(sales=lambda s: func.count().filter(s.c.is_gift)),
        "is count()",
    ),
    "a count of different values": (
        changed(gifts=lambda s: func.count(s.c.fee.distinct())),
        "no sum or count",
    ),
    "a sum of some cases": (
        changed(amount=lambda s: func.sum(case((s.c.is_gift, s.c.price)))),
        "no sum or count",
    ),
    "a fallback that is none": (
        changed(amount=lambda s: func.coalesce(func.sum(s.c.fee))),
        "no sum or count",
    ),
    "a limit": (limited, "HAVING, DISTINCT or LIMIT"),
    "a condition on sums": (large_only, "HAVING, DISTINCT or LIMIT"),
    "two tables": (joined, "one SELECT from one table"),
}


@pytest.mark.parametrize(("definition", "sentence"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_added_up_is_refused(
    definition: Callable[..., Select[Any]], sentence: str
) -> None:
    with pytest.raises(DeclarationError, match=sentence.replace("(", r"\(").replace(")", r"\)")):
        declared(definition).seal()


def test_a_column_that_may_be_null_is_refused_for_nothing_can_be_added_to_it() -> None:
    definition = changed(maybe=lambda s: func.sum(s.c.price))
    with pytest.raises(DeclarationError, match="NOT NULL"):
        declared(definition, columns=(Tally.maybe, Tally.sales)).seal()


@pytest.mark.parametrize(
    "summand",
    [
        lambda s: func.coalesce(s.c.fee, s.c.price),
        lambda s: case((s.c.is_gift, s.c.price), else_=0),
        lambda s: -(s.c.price + s.c.amount) * 2,
        lambda s: rounded(s.c.price * 3),
    ],
)
def test_whatever_has_a_value_in_every_row_can_be_summed(summand: Callable[[Any], Any]) -> None:
    declared(changed(amount=lambda s: func.sum(summand(s)))).seal()
