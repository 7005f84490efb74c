"""The balance health as text and as JSON, with amounts as exact JSON numbers."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from flask_babel import gettext as _

from ...base import money
from ...drift import wording
from ...drift.verification.checks import SUM
from ...web import record_links
from .entries import WHY, WrongEntry
from .examining import BalanceHealth, Problem

_NUMBER = re.compile(r'"\\u0000(-?\d+(?:\.\d+)?)"')
"""A number written as a marked string; no text from PostgreSQL contains the NUL that marks it."""


def verdict(health: BalanceHealth) -> str:
    """Whether it is valid, as a sentence."""
    if health.is_valid:
        return _("The balance sheet is valid.")
    return _("The balance sheet is not valid.")


def in_lines(health: BalanceHealth) -> Iterator[str]:
    """Its totals, one per line."""
    totals = (
        (_("Assets"), health.assets), (_("Liabilities"), health.liabilities),
        (_("Equity with current earnings"), health.total_equity), (_("Difference"), health.difference),
    )  # fmt: skip
    yield from (f"{title}: {money.format_amount(amount)}" for title, amount in totals)


def problems_in_lines(health: BalanceHealth) -> Iterator[str]:
    """Its problems, one per line: where, and what is stored beside what is correct."""
    for problem in health.problems:
        found = problem.finding
        yield f"{problem.name}: {values_in_words(found.figure, found.stored or {}, found.expected or {})}"
    yield from (f"{entry.number}: {_(WHY[entry.why])}" for entry in health.entries)


def values_in_words(figure: str, stored: Mapping[str, Any], expected: Mapping[str, Any]) -> str:
    """Each value that differs, by column: Balance 105.00, correct is 100.00 (-5.00)."""
    said = []
    for column in {**stored, **expected}:
        was, right = stored.get(column), expected.get(column)
        if was == right:
            continue
        apart = wording.difference(figure, column, was, right)
        sentence = _(
            "%(column)s %(stored)s, correct is %(correct)s",
            column=_(record_links.label_of(figure, column)),
            stored=wording.value(figure, column, was),
            correct=wording.value(figure, column, right),
        )
        said.append(f"{sentence} ({apart})" if apart else sentence)
    return "; ".join(said)


def as_texts(health: BalanceHealth) -> dict[str, Any]:
    """The totals as exact texts."""
    return {
        "is_valid": health.is_valid,
        "total_assets": _text(health.assets),
        "total_liabilities": _text(health.liabilities),
        "total_equity": _text(health.total_equity),
        "current_earnings": _text(health.earnings),
        "difference": _text(health.difference),
    }


def as_data(health: BalanceHealth) -> dict[str, Any]:
    """The totals as numbers and as texts, and the problems of the balance sheet."""
    exact = as_texts(health)
    totals = ("total_assets", "total_liabilities", "total_equity")
    return {
        "is_valid": exact.pop("is_valid"),
        **{name: _number(exact[name]) for name in totals},
        "exact": exact,
        "checked_at": health.at.isoformat(),
        "problems": list(map(as_problem, health.problems)),
        "quarantined_entries": quarantine(health.entries),
    }


def as_problem(problem: Problem) -> dict[str, Any]:
    """A problem; amounts as texts. The difference of two sums is keyed by `SUM`, as the sums are."""
    found = problem.finding
    difference = None if found.amount is None else str(found.amount)
    is_of_sums = difference is not None and found.stored is not None and SUM in found.stored
    return {
        "kind": problem.kind, "subject": found.figure, "name": problem.name, "stored": found.stored,
        "expected": found.expected, "difference": {SUM: difference} if is_of_sums else difference,
        "since": found.first_seen_at.isoformat(),
    }  # fmt: skip


def quarantine(entries: Sequence[WrongEntry]) -> list[dict[str, Any]]:
    """The entries that cannot be right, each with the reason."""
    return [
        {
            "number": one.number, "date": one.entry_date.isoformat(), "debits": _text(one.debits),
            "credits": _text(one.credits), "reason": one.why, "message": _(WHY[one.why]),
        }
        for one in entries
    ]  # fmt: skip


def written(body: Mapping[str, Any]) -> str:
    """The body as JSON."""
    return _NUMBER.sub(r"\1", json.dumps(body)) + "\n"


def _text(amount: Decimal) -> str:
    return f"{money.round_amount(amount, money.minor_unit()):f}" if amount.is_finite() else "NaN"


def _number(text: str) -> str | None:
    return None if text == "NaN" else f"\0{text}"
