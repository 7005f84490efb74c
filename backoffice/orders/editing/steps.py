"""What the buttons of the order form do to the typed texts: add, remove and fill lines; nothing is saved.

They work on the posted texts, not on parsed values, so that everything else that was typed, valid or
invalid, is shown again unchanged.
"""

import json
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from werkzeug.datastructures import MultiDict

from ...base import N_
from ...base.refusals import Refusal
from ...records.lines import MOST_LINES as MOST_SHOWN
from ...records.lines import MOST_ROWS
from ...web.pasting import rows_of
from ..models import COMPONENT_OF_KIND
from ..rules import MOST_LINES

Typed = MultiDict[str, str]

COLUMNS = ("product", "description", "quantity", "unit_price")
"""The columns of a line in which something can be typed or pasted, from left to right."""

KEPT = {kind: f"kept_{kind}" for kind in COMPONENT_OF_KIND}
"""Kind → the form's field that keeps the lines which one amount will replace on save."""

MOST_TYPED = 1_000
"""The largest number of characters of a kept cell."""

_OF_A_LINE = (*COLUMNS, "line", "filled")

FILLED = ("description", "unit_price")
"""The columns that choosing a product fills."""


@dataclass(frozen=True)
class Filling:
    """The texts that choosing a product puts into a line; `unit_price` is empty where no price is in force."""

    code: str
    description: str
    unit_price: str


Filled = Mapping[str, Collection[str]]
"""The texts that a product can have put into a line, by column; several, as its price depends on the day."""


class TooManyLines(Refusal):
    """More lines than an order may have, or than its form shows."""

    sentence = N_("An order has at most %(count)s lines. Split it in two.")

    @classmethod
    def of(cls, most: int) -> "TooManyLines":
        """The refusal of more than `most` lines: of the form, or of all orders."""
        kind = cls if most == MOST_LINES else TooManyForForm
        return kind(count=f"{most:,}", most=f"{MOST_LINES:,}")


class TooManyForForm(TooManyLines):
    """More lines than the form shows."""

    sentence = N_(
        "The form shows at most %(count)s lines. An order may have up to %(most)s: import its lines, or send "
        "them by the API."
    )


class OrderTooLong(Refusal):
    """The order has more lines than its form shows."""

    sentence = N_(
        "This order has %(count)s lines, and the form shows at most %(most)s. Change its lines by a file of order "
        "lines, its other fields by a file of orders, or both by the API."
    )
    status = 409


def add_line(typed: Typed, kind: str) -> int:
    """Add a blank line of `kind`; returns its index."""
    index = max(_indices(typed), default=-1) + 1
    typed[f"lines-{index}-kind"] = kind
    for column in COLUMNS:
        typed[f"lines-{index}-{column}"] = ""
    return index


def remove_line(typed: Typed, index: int) -> None:
    """Remove the line with that index."""
    for name in [name for name in typed if name.startswith(f"lines-{index}-")]:
        typed.poplist(name)


def itemise(typed: Typed, kind: str, description: str) -> None:
    """Enter a component as lines: the lines that its one amount has replaced, else that amount as the first line."""
    component, kept = COMPONENT_OF_KIND[kind], kept_lines(typed.get(KEPT[kind], ""))
    typed.add("itemised", kind)
    typed.poplist(KEPT[kind])
    amount = typed.get(component, "").strip()
    typed.poplist(component)
    for line in kept:
        index = add_line(typed, kind)
        for name in _OF_A_LINE:
            typed[f"lines-{index}-{name}"] = line[name]
    if kept:
        return
    index = add_line(typed, kind)
    if amount.strip("0.,"):
        typed[f"lines-{index}-description"] = description
        typed[f"lines-{index}-quantity"] = "1"
        typed[f"lines-{index}-unit_price"] = amount


def enter_one_amount(typed: Typed, kind: str, amount: str) -> None:
    """Enter a component as one amount, which replaces its lines on save; until then the form keeps them."""
    typed.setlist("itemised", [k for k in typed.getlist("itemised") if k != kind])
    lines = []
    for index in indices_of(typed, kind):
        line = {name: typed.get(f"lines-{index}-{name}", "") for name in _OF_A_LINE}
        if any(line[column].strip() for column in COLUMNS):
            lines.append(line)
        remove_line(typed, index)
    typed[COMPONENT_OF_KIND[kind]] = amount
    typed[KEPT[kind]] = json.dumps({"amount": amount, "lines": lines}) if lines else ""


def kept_lines(text: str) -> list[dict[str, str]]:
    """The lines that a form keeps beside one amount, as typed; empty where the text cannot be read."""
    try:
        lines = json.loads(text)["lines"][:MOST_ROWS]
        return [{name: str(line[name])[:MOST_TYPED] for name in _OF_A_LINE} for line in lines]
    except (ValueError, TypeError, KeyError, RecursionError):
        return []


def kept_amount(text: str) -> str:
    """The sum of the kept lines, as it was shown."""
    try:
        return str(json.loads(text)["amount"])[:MOST_TYPED]
    except (ValueError, TypeError, KeyError, RecursionError):
        return ""


def fill(typed: Typed, index: int, now: Filling, before: Filled) -> None:
    """Fill the line from its product; `before` holds what the previous product can have filled in.

    A text that the user has typed stays as it is.
    """
    typed[f"lines-{index}-product"] = typed[f"lines-{index}-filled"] = now.code
    for column in FILLED:
        name = f"lines-{index}-{column}"
        text = typed.get(name, "").strip()
        if not text or text in before.get(column, ()):
            typed[name] = getattr(now, column)


def paste(typed: Typed, kind: str, block: str, row: int, column: str) -> list[int]:
    """Paste a block copied from a spreadsheet into the lines of `kind`, starting at `row` and `column`.

    Lines are added as the block needs them; cells to the right of the unit price are ignored.
    Returns the indices of the lines that were filled.
    Raises TooManyLines, and pastes nothing, when the block has more rows than an order may have lines.
    """
    rows = [cells for cells in rows_of(block) if any(cells)]
    if len(rows) > MOST_SHOWN:
        raise TooManyLines.of(MOST_SHOWN)
    left = COLUMNS.index(column)
    indices = indices_of(typed, kind)
    pasted = []
    for offset, cells in enumerate(rows):
        at = row + offset
        index = indices[at] if at < len(indices) else add_line(typed, kind)
        pasted.append(index)
        for name, text in zip(COLUMNS[left:], cells, strict=False):
            typed[f"lines-{index}-{name}"] = text
    return pasted


def indices_of(typed: Typed, kind: str) -> list[int]:
    """The indices of the lines of `kind`, from the top."""
    return [index for index in sorted(_indices(typed)) if typed[f"lines-{index}-kind"] == kind]


def _indices(typed: Typed) -> Iterator[int]:
    for name in typed:  # one digit less than the form reads, so that there is always a next one
        if found := re.fullmatch(r"lines-([0-9]{1,5})-kind", name, re.ASCII):
            yield int(found[1])
