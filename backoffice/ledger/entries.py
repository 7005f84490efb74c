"""What a user enters of a journal entry's lines, as plain values."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from .rules import net_of

OF_LINE = ("account_id", "debit", "credit", "memo")
"""What is entered of a line."""


@dataclass(frozen=True)
class LineEntry:
    """One line as entered; one of `debit` and `credit` is above zero."""

    account_id: int
    debit: Decimal = Decimal(0)
    credit: Decimal = Decimal(0)
    memo: str = ""

    @classmethod
    def of_net(cls, account_id: int, net: Decimal) -> "LineEntry":
        """A debit of an amount above zero, a credit of one below it."""
        return cls(account_id, max(net, Decimal(0)), max(-net, Decimal(0)))

    @property
    def is_one_side(self) -> bool:
        """Whether it is a debit or a credit, above zero."""
        return min(self.debit, self.credit) == 0 < max(self.debit, self.credit)

    @property
    def turned(self) -> "LineEntry":
        """The line that reverses it: debit and credit exchanged."""
        return LineEntry(self.account_id, self.credit, self.debit, self.memo)

    @property
    def fact(self) -> list[Any]:
        """Everything that is entered of it; equal lines are equal."""
        return [
            self.account_id,
            *(f"{one.normalize():f}" if one else "0" for one in (self.debit, self.credit)),
            self.memo,
        ]


Lines = Sequence[LineEntry]


@dataclass(frozen=True)
class Totals:
    """The total debits and total credits of lines, in the deployment's currency."""

    debits: Decimal
    credits: Decimal

    @classmethod
    def of(cls, lines: Iterable[Any]) -> "Totals":
        """The sums of these lines, entered or stored: whatever has a `debit` and a `credit`."""
        held = tuple(lines)
        return cls(
            sum((line.debit for line in held), Decimal(0)),
            sum((line.credit for line in held), Decimal(0)),
        )

    @property
    def difference(self) -> Decimal:
        """Debits less credits."""
        difference: Decimal = net_of(self.debits, self.credits)
        return difference


def fact_of(lines: Lines) -> str:
    """The lines as a text; equal lines, in the same order, are equal texts."""
    return json.dumps([line.fact for line in lines])


def lines_of(fact: str) -> list[LineEntry]:
    """Parse the text that `fact_of` wrote; no lines for any other text."""
    try:
        return [
            LineEntry(int(account), Decimal(debit), Decimal(credit), str(memo))
            for account, debit, credit, memo in json.loads(fact)
        ]
    except (ValueError, TypeError, ArithmeticError, RecursionError):
        return []
