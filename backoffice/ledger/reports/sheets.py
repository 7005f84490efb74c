"""The balance sheet and the income statement as plain values: accounts beneath their parents, and totals."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import NamedTuple

from flask_babel import gettext as _

from ...base import N_
from ..rules import ASSET, EQUITY, EXPENSE, LIABILITY, REVENUE, net_of

Amounts = tuple[Decimal, ...]
"""The amounts of a line: of the report's date range and, where there is one, of the range compared with."""

TITLES = {
    ASSET: N_("Assets"), LIABILITY: N_("Liabilities"), EQUITY: N_("Equity"),
    REVENUE: N_("Revenue"), EXPENSE: N_("Expenses"),
}  # fmt: skip
TOTALS = {
    ASSET: N_("Total assets"), LIABILITY: N_("Total liabilities"), EQUITY: N_("Total equity"),
    REVENUE: N_("Total revenue"), EXPENSE: N_("Total expenses"),
}  # fmt: skip
EARNINGS = N_("Current earnings")
BOTH = N_("Total liabilities and equity")
NET_INCOME = N_("Net income")


class Holding(NamedTuple):
    """An account with its own balance, positive on its normal side."""

    id: int
    code: str
    name: str
    type: str
    parent_id: int | None
    amounts: Amounts


@dataclass(frozen=True)
class ReportLine:
    """A line of a report: an account with its code and name, or a line with a `title`.

    `accounts` are the ids of the accounts that it includes. `is_sum`: it adds up the lines beneath or above it.
    `is_own`: the own balance of an account that has sub-accounts.
    """

    amounts: Amounts
    accounts: frozenset[int]
    title: str = ""
    code: str = ""
    name: str = ""
    level: int = 0
    is_sum: bool = False
    is_own: bool = False

    @property
    def difference(self) -> Decimal | None:
        """The amount less the one compared with; None without one."""
        if len(self.amounts) == 1:
            return None
        now, then = self.amounts
        return _net(now, then)


def name_of(line: ReportLine) -> str:
    """The title of a line in a flat list."""
    if line.is_own:
        return str(_("%(code)s itself", code=line.code))
    return line.name or str(_(line.title))


@dataclass(frozen=True)
class Section:
    """The accounts of one type, and their total."""

    type: str
    lines: Sequence[ReportLine]
    total: ReportLine

    @property
    def title(self) -> str:
        """Its title."""
        return TITLES[self.type]


@dataclass(frozen=True)
class Report:
    """The sections of a report, and its last line. `gaps`: the differences of two sides that must be equal, if any."""

    sections: Sequence[Section]
    result: ReportLine
    gaps: Amounts = ()

    @property
    def lines(self) -> Iterator[tuple[str, ReportLine]]:
        """Every line with the type of its section, from top to bottom; the last line has no section."""
        for section in self.sections:
            for line in (*section.lines, section.total):
                yield section.type, line
        yield "", self.result

    @property
    def is_empty(self) -> bool:
        """Whether nothing was posted."""
        return not any(section.lines for section in self.sections)


def balance_sheet(holdings: Sequence[Holding], width: int) -> Report:
    """Assets, and liabilities and equity including the earnings that no closing entry has transferred yet."""
    of = _by_type(holdings)
    income = income_statement(holdings, width).result
    earnings = ReportLine(income.amounts, income.accounts, EARNINGS)
    assets, liabilities = (_section(kind, of[kind], width) for kind in (ASSET, LIABILITY))
    equity = _section(EQUITY, of[EQUITY], width, *([earnings] if any(earnings.amounts) else []))
    both = _sum(BOTH, (liabilities.total, equity.total), width)
    gaps = _nets(assets.total.amounts, both.amounts)
    return Report((assets, liabilities, equity), both, gaps)


def income_statement(holdings: Sequence[Holding], width: int) -> Report:
    """Revenue, expenses, and the revenue less the expenses."""
    of = _by_type(holdings)
    revenue, expenses = (_section(kind, of[kind], width) for kind in (REVENUE, EXPENSE))
    amounts = _nets(revenue.total.amounts, expenses.total.amounts)
    accounts = revenue.total.accounts | expenses.total.accounts
    return Report((revenue, expenses), ReportLine(amounts, accounts, NET_INCOME, is_sum=True))


def _by_type(holdings: Sequence[Holding]) -> Mapping[str, list[Holding]]:
    of: dict[str, list[Holding]] = defaultdict(list)
    for one in holdings:
        of[one.type].append(one)
    return of


def _section(kind: str, holdings: Sequence[Holding], width: int, *further: ReportLine) -> Section:
    lines = [*_AccountTree(holdings).lines(), *further]
    top = [line for line in lines if line.level == 0]
    return Section(kind, lines, _sum(TOTALS[kind], top, width))


def _sum(title: str, lines: Sequence[ReportLine], width: int) -> ReportLine:
    """The total line of these lines."""
    accounts = frozenset[int]().union(*(line.accounts for line in lines))
    return ReportLine(_added([line.amounts for line in lines], width), accounts, title, is_sum=True)


def _added(amounts: Sequence[Amounts], width: int) -> Amounts:
    return tuple(sum((one[place] for one in amounts), Decimal(0)) for place in range(width))


def _nets(ones: Amounts, others: Amounts) -> Amounts:
    return tuple(map(_net, ones, others))


def _net(one: Decimal, other: Decimal) -> Decimal:
    net: Decimal = net_of(one, other)
    return net


class _AccountTree:
    """Accounts of one type, each beneath its parent; one with a parent of another type is at the top."""

    def __init__(self, holdings: Sequence[Holding]) -> None:
        ids = {one.id for one in holdings}
        self._holdings, self._seen = holdings, set[int]()
        self._beneath: dict[int, list[Holding]] = defaultdict(list)
        self._top = []
        for one in holdings:
            if one.parent_id in ids:
                self._beneath[one.parent_id].append(one)
            else:
                self._top.append(one)

    def lines(self) -> Iterator[ReportLine]:
        """The lines of all accounts with a balance; a cycle, which no form accepts, is cut at any account."""
        for one in (*self._top, *self._holdings):
            yield from self._branch(one, 0)

    def _branch(self, one: Holding, level: int) -> list[ReportLine]:
        """The line of an account, the total of its own balance and its sub-accounts, and the lines of these."""
        if one.id in self._seen:
            return []
        self._seen.add(one.id)
        beneath = [line for each in self._beneath[one.id] for line in self._branch(each, level + 1)]
        own = ReportLine(one.amounts, frozenset({one.id}), "", one.code, one.name, level)
        if not beneath:
            return [own] if any(one.amounts) else []
        if any(one.amounts):
            beneath.insert(0, replace(own, level=level + 1, is_own=True))
        parts = [line for line in beneath if line.level == level + 1]
        return [
            replace(_sum("", parts, len(one.amounts)), code=one.code, name=one.name, level=level),
            *beneath,
        ]
