"""Values shown beside their former or expected ones: read from any page, file and JSON, and added up.

Independent of any screen: a pair is recognized by the names of its columns, labels or keys; it must come with a
signed difference, and before + difference = after to the last unit.
"""

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from html.parser import HTMLParser
from io import StringIO
from typing import Any

from backoffice.figures import registry

SIDES = {
    "Before": ("After", "After, if it is applied"),
    "Stored": ("Expected",),
    "In the row": ("In the audit trail",),
    "Grand total now": ("Grand total then",),
    "Grand total before": ("Grand total after",),
    "Balance before": ("Balance after",),
    "Overpayment before": ("Overpayment after",),
    "Actual balance": ("Stored balance",),
}
"""Name of one side of a pair → names of the other.

A wallet's difference is by how much the stored balance is too high: the actual one comes first.
"""

DIFFERENCES = ("Difference", "Net")
OF_ITS_OWN = {
    "Balance before": ("Difference of the balances", "Balance difference", "Amount"),
    "Overpayment before": ("Difference of the overpayments", "Overpayment difference"),
}
"""The name of the difference where a row has several pairs."""

SPEAKS = re.compile(r"\b(before|after|stored|expected|then|becomes)\b", re.IGNORECASE)
"""A name that may be one side of a pair: it must be known here, or among the `OTHERS`."""

OTHERS = {
    "Before and after", "Price then", "Stored compressed", "Stored and expected", "From earlier", "Expected on",
    "Stored", "Opening balance before", "Kept for", "A year earlier", "Volume Sm³ then", "Purchases then",
    "Closing balance then",
}  # fmt: skip
"""Names that resemble a side of a pair and are none."""

NO_VALUE = {"visually-hidden", "wrong-mark"}
"""Classes of elements in a cell that are not part of its value."""

NOTHING = {"no row", "no amount"}
"""Texts shown where a row is missing; they count as 0."""

_AMOUNT = r"[-−]?\d[\d,]*\.\d+"
ARROW = re.compile(
    rf"(?<![\w.,-])({_AMOUNT}|–|no row) → ({_AMOUNT}|–)(?![\w,]|\.\d)(?: \(([-+−]?\d[\d,.]*)\))?"
)
"""A change of an amount within a text, with the difference."""


def number(text: str) -> Decimal | None:
    """The number in a cell in English format, or in a file; None for anything else."""
    plain = text.replace("\xa0", "").replace("Rp", "").replace("−", "-").replace(",", "").strip()
    return Decimal(plain) if re.fullmatch(r"[-+]?\d+(\.\d+)?", plain) else None


@dataclass
class Found:
    """How many pairs were read, and which violate the rules."""

    pairs: int = 0
    wrong: list[str] = field(default_factory=list)

    def pair(self, before: str, after: str, difference: str | None, where: str) -> None:
        """Check one pair, given as texts. A pair with a side that is not a number needs no difference."""
        old, new = number(before), number(after)
        if old is None and new is None:
            return
        if before in ("–", "") or after in ("–", ""):
            if not difference or number(difference) is None:
                return  # one side is empty, and no difference is shown
        elif (old is None or new is None) and not {before, after} & NOTHING:
            return
        self.pairs += 1
        apart = None if difference is None else number(difference)
        if apart is None or (old or 0) + apart != (new or 0):
            self.wrong.append(f"{where}: {before} + {difference} ≠ {after}")

    def add(self, other: "Found") -> None:
        """Add the result of another page or file."""
        self.pairs += other.pairs
        self.wrong += other.wrong

    def text(self, text: str, where: str) -> None:
        """Check every change within a text."""
        for before, after, difference in ARROW.findall(text):
            if number(before) is not None and number(after) is not None:
                self.pair(before, after, difference or None, where)
            elif difference:
                self.pair(before, after, difference, where)

    def row(self, labels: Sequence[str], cells: Sequence[str], where: str) -> None:
        """Check the pairs among a row's cells with these labels."""
        for i, label in enumerate(labels):
            for j, other in enumerate(labels):
                if other in SIDES.get(label, ()) and j != i:
                    names = OF_ITS_OWN.get(label, DIFFERENCES)
                    place = next((n for n, name in enumerate(labels) if name in names), None)
                    reported = None if place is None else cells[place]
                    self._cells(cells[i], cells[j], reported, f"{where} {cells[0]!r} {label}")

    def _cells(self, before: str, after: str, difference: str | None, where: str) -> None:
        """Check a cell with one value, or with a line for each column after its name."""
        lines = [text.split("\n") for text in (before, after, difference or "")]
        if max(map(len, lines)) == 1:
            self.pair(before, after, difference, where)
            return
        count = max(map(len, lines))
        whole = [reported * count if reported[0] in NOTHING else reported for reported in lines]
        for reported in zip(*whole, strict=True):
            old, new, apart = (t if t in NOTHING else t.split(" ")[-1] for t in reported)
            self.pair(old, new, apart, where)


def _check_names(names: Sequence[str], found: Found, where: str) -> None:
    known = {*SIDES, *(other for others in SIDES.values() for other in others), *OTHERS}
    for name in names:
        if SPEAKS.search(name) and name not in known and not name.startswith("Difference"):
            found.wrong.append(
                f"{where}: what is called {name!r} may be one side of a pair; say so in pairs.py"
            )


@dataclass
class Table:
    """A table of a page: its column names, its rows, its totals."""

    heads: list[str] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)
    foot: list[list[str]] = field(default_factory=list)
    has_row_heads: bool = False


class Page(HTMLParser):
    """The main part of a page: its tables, its lists of facts, and its visible text."""

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.tables: list[Table] = []
        self.facts: list[list[tuple[str, str]]] = []
        self.links: list[str] = []
        self.text: list[str] = []
        self._open: list[tuple[str, bool]] = []
        self._cell: list[str] | None = None
        self._part, self._label, self._span = "", "", 1
        self._in_main = "<main" not in markup
        self.feed(markup)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        reported = dict(attrs)
        self._in_main |= tag == "main"
        self.links += [href for name in ("href", "hx-get") if (href := reported.get(name))]
        if tag in ("br", "input", "img", "meta", "link", "hr", "col", "wbr"):
            if tag == "br" and self._cell is not None:
                self._cell.append("\n")
            return
        is_hidden = bool(self._open and self._open[-1][1]) or not NO_VALUE.isdisjoint(
            (reported.get("class") or "").split()
        )
        self._open.append((tag, is_hidden or tag in ("script", "style", "svg", "template")))
        if tag == "table":
            self.tables.append(Table())
        elif tag in ("thead", "tbody", "tfoot"):
            self._part = tag
        elif tag == "tr" and self.tables:
            table = self.tables[-1]
            if self._part != "thead":
                (table.foot if self._part == "tfoot" else table.rows).append([])
        elif tag in ("th", "td", "dt", "dd"):
            self._cell, self._span = [], int(reported.get("colspan") or 1)
            if tag == "th" and self._part == "thead":
                self._open[-1] = (tag, False)
        elif tag == "dl":
            self.facts.append([])

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop()[0] != tag:
            pass
        self._in_main &= tag != "main"
        if self._cell is None or tag not in ("th", "td", "dt", "dd"):
            return
        cell, self._cell = self._cell, None
        text = "\n".join(" ".join(line.split()) for line in "".join(cell).split("\n")).strip()
        if tag == "dt":
            self._label = text
        elif tag == "dd":
            if self.facts:
                self.facts[-1].append((self._label, text))
        elif self.tables:
            table = self.tables[-1]
            if self._part == "thead":
                table.heads += [text] * self._span
            elif table.rows or table.foot:
                rows = table.foot if self._part == "tfoot" else table.rows
                rows[-1] += [text, *[""] * (self._span - 1)]

    def handle_data(self, data: str) -> None:
        if not self._in_main or (self._open and self._open[-1][1]):
            return
        if self._cell is not None:
            self._cell.append(data.replace("\n", " "))
        self.text.append(data)


def of_page(markup: str, where: str) -> Found:
    """Every pair on a page."""
    found, page = Found(), Page(markup)
    found.text(" ".join(" ".join(page.text).split()).replace("( ", "(").replace(" )", ")"), where)
    for facts in page.facts:
        _of_labels(facts, found, where)
    for table in page.tables:
        _check_names(table.heads, found, where)
        if "Before" in table.heads or any(head in SIDES for head in table.heads):
            for row in table.rows:
                if len(row) == len(table.heads):
                    found.row(table.heads, row, f"screen {where}")
            _totals(table, found, where)
        else:
            _of_labels(
                [(r[0], r[-1]) for r in (*table.rows, *table.foot) if len(r) == 2], found, where
            )
    return found


def _of_labels(facts: Sequence[tuple[str, str]], found: Found, where: str) -> None:
    """Check values listed below each other, each with its name."""
    by_name = {label.lstrip("=+− "): value for label, value in facts}
    for one, others in SIDES.items():
        for other in others:
            if one in by_name and other in by_name:
                before, after = by_name[one], by_name[other]
                names = OF_ITS_OWN.get(one, DIFFERENCES)
                apart = next((by_name[name] for name in names if name in by_name), None)
                if apart is not None and by_name.get("Type") == "Charge":
                    apart = f"-{apart}"  # the record's own page shows the charged amount
                if apart is None and number(before) == number(after):
                    apart = "0"
                found.pair(before, after, apart, f"{where} {one}")


def _totals(table: Table, found: Found, where: str) -> None:
    """Check that the totals under a table that shows all its rows are their sums."""
    sides = {*SIDES, *(o for others in SIDES.values() for o in others), *DIFFERENCES, "Gross"}
    for foot in table.foot:
        if len(foot) != len(table.heads):
            continue
        found.row(table.heads, foot, f"totals {where}")
        if len(table.rows) >= 50:
            continue
        for n, head in enumerate(table.heads):
            total = number(foot[n])
            if head in sides and total is not None:
                reported = sum(
                    (number(row[n]) or Decimal(0) for row in table.rows if len(row) > n), Decimal(0)
                )
                if reported != total:
                    found.wrong.append(
                        f"{where}: the rows of {head} come to {reported}, the total says {total}"
                    )


def of_csv(data: bytes, where: str) -> Found:
    """Every pair in a file; its totals must be the sums of its rows."""
    found = Found()
    text = data.decode("utf-8-sig")
    is_indonesian = ";" in text.partition("\n")[0]
    lines = list(csv.reader(StringIO(text, newline=""), delimiter=";" if is_indonesian else ","))
    if is_indonesian:
        lines = [[re.sub(r"^(-?\d+),(\d+)$", r"\1.\2", cell) for cell in line] for line in lines]
    if not lines:
        return found
    head, body = [name[:1].upper() + name[1:] for name in lines[0]], lines[1:]
    end = next(
        (n for n, line in enumerate(body) if not line or line[0] in ("Total", "TOTAL", "Filter")),
        len(body),
    )
    _check_names(head, found, where)
    for line in body[:end]:
        found.row(head, line, f"file {where}")
        for cell in line:
            found.text(cell, where)
    by_column = head.index("Column") if "Column" in head else None
    for line in body[end:]:
        if line and line[0] in ("Total", "TOTAL") and len(line) == len(head):
            _total_line(head, body[:end], line, by_column, found, where)
    return found


def _total_line(
    head: list[str],
    rows: list[list[str]],
    line: list[str],
    by: int | None,
    found: Found,
    where: str,
) -> None:
    mine = [row for row in rows if by is None or row[by] == line[by]]
    found.row(head, line, f"total of {where}")
    sides = {*SIDES, *(o for others in SIDES.values() for o in others), *DIFFERENCES, "Gross"}
    for n, name in enumerate(head):
        total = number(line[n])
        if (name in sides or name.startswith("Difference")) and total is not None:
            reported = sum((number(row[n]) or Decimal(0) for row in mine), Decimal(0))
            if reported != total:
                found.wrong.append(
                    f"{where}: the rows of {name} come to {reported}, the total says {total}"
                )


KEYS = {
    "before": ("after", "target"),
    "stored": ("expected",),
    "amount_before": ("amount_after",),
}
"""A key of JSON → possible keys of the other side."""

KEYS_OF_OTHERS = {"after", "expected", "target", "amount_after"}


def of_json(reported: Any, where: str) -> Found:
    """Every pair of a document at any depth, and the totals of a list of findings."""
    found = Found()
    for each in _dicts(reported):
        if (
            each.get("kind") == "tampered"
        ):  # a row beside its state in the trail has facts, and no separate amounts
            continue
        for key in KEYS.keys() & each.keys():
            other = next((name for name in KEYS[key] if name in each), None)
            if other is None:
                found.wrong.append(f"{where}: {key} stands alone in {sorted(each)}")
            else:
                _of_keys(each, key, other, found, where)
        found.wrong += [
            f"{where}: what is called {name!r} may be one side of a pair; say so in pairs.py"
            for name in each.keys() - KEYS.keys() - KEYS_OF_OTHERS
            if SPEAKS.search(name.replace("_", " ")) and not isinstance(each[name], dict)
        ]
        _of_findings(each, found, where)
    return found


def _of_findings(each: dict[str, Any], found: Found, where: str) -> None:
    """Check the totals and the number of findings, or of the items of a dry run."""
    for several, count in (("findings", "drifted"), ("items", "rows")):
        listed = each.get(several)
        if not isinstance(listed, list) or count not in each:
            continue
        if each[count] != len(listed):
            found.wrong.append(f"{where}: {each[count]} {count}, {len(listed)} listed")
        for amount in {"net", "gross"} & each.keys():
            reported = sum((Decimal(one[amount] or 0) for one in listed), Decimal(0))
            if reported != Decimal(each[amount]):
                found.wrong.append(
                    f"{where}: {amount} is {each[amount]}, of the {several} {reported}"
                )
        for one in listed if several == "findings" else ():
            apart = one["difference"]
            amounts = [
                Decimal(apart.get(name) or 0) for name in registry.get(one["figure"]).amounts
            ]
            leading = next((amount for amount in amounts if amount), 0)
            if one["net"] is not None and Decimal(one["net"]) != leading:
                found.wrong.append(f"{where}: net {one['net']} of {one['difference']}")


def _of_keys(each: dict[str, Any], key: str, other: str, found: Found, where: str) -> None:
    before, after = each[key], each[other]
    if key == "amount_before":
        if before is not None:
            found.pair(before, after, each.get("net"), where)
        return
    apart = each.get("difference")
    if isinstance(before, dict) or isinstance(after, dict):
        for name in {**(before or {}), **(after or {})}:
            old, new = ((side or {}).get(name) for side in (before, after))
            is_there = isinstance(apart, dict)
            reported = apart.get(name) if is_there else None
            found.pair(_side(old), _side(new), reported, f"{where} {name}")
    elif isinstance(before, str | None) and isinstance(after, str | None):
        found.pair(_side(before), _side(after), apart, where)


def _side(value: Any) -> str:
    return "no row" if value is None else str(value)


def _dicts(reported: Any) -> Iterator[dict[str, Any]]:
    if isinstance(reported, dict):
        yield reported
        for value in reported.values():
            yield from _dicts(value)
    elif isinstance(reported, list):
        for value in reported:
            yield from _dicts(value)
