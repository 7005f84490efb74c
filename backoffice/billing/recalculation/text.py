"""The report of a recalculation on a terminal: always in English, in the exact form that scripts expect.

Money is the currency code and the amount; differences have a sign. Control totals omit the decimals
of a whole amount, changes never do; cents are always shown.
"""

from collections.abc import Iterator, Sequence
from decimal import Decimal

from rich.cells import cell_len

from ...base import money
from .report import AMOUNTS, Report

DRY_RUN = "DRY RUN MODE - No changes will be made"
STARTING = "Starting customer balance recalculation from meters..."
NO_CUSTOMERS = "No customers with meter assignments found."
DRY_RUN_COMPLETE = "DRY RUN COMPLETE - Run without --dry-run to apply changes"

BAR_WIDTH = 28

METRICS = (
    ("Customers Processed", "processed"),
    ("With Balance", "with_balance"),
    ("With Overpayment", "with_overpayment"),
    ("Clear (Zero Balance)", "clear"),
    ("Balances Changed", "balances_changed"),
    ("Overpayments Changed", "overpayments_changed"),
)
"""The rows of the results: label, and key among the report's counts."""

TYPES = dict(zip(AMOUNTS, ("Balance", "Overpayment"), strict=True))


def processing(count: int) -> str:
    """The line with the number of customers."""
    return f"Processing {count:,} customers..."


def bar(done: int, total: int) -> str:
    """The progress bar as one line."""
    filled = BAR_WIDTH * done // total
    line = "=" * filled
    if filled < BAR_WIDTH:
        line += ">" + "-" * (BAR_WIDTH - filled - 1)
    return f" {done:>{len(str(total))}}/{total} [{line}] {100 * done // total:>3}%"


def lines(report: Report) -> Iterator[str]:
    """The lines of the three tables, the second one only with significant changes."""
    yield "Recalculation Results:"
    counts = [(label, f"{report['customers'][name]:,}") for label, name in METRICS]
    yield from table(("Metric", "Count"), counts, (25, 6))
    yield ""
    if report["significant"]["count"]:
        yield from _significant(report)
        yield ""
    yield "Validation Summary:"
    yield from _totals(report)


def _significant(report: Report) -> Iterator[str]:
    code, reported = report["currency"], report["significant"]
    yield f"Significant Changes Detected (> {amount(reported['above'], code, is_short=True)}):"
    rows = [
        (
            str(change["customer_id"]),
            printable(change["name"]),
            TYPES[change["type"]],
            amount(change["before"], code),
            amount(change["after"], code),
            difference(change["difference"], code),
        )
        for change in reported["changes"]
    ]
    heads = ("Customer ID", "Name", "Type", "Before", "After", "Difference")
    yield from table(heads, rows, (11, 14, 12, 12, 12, 12))
    if reported["count"] > len(rows):
        yield f"... and {reported['count'] - len(rows):,} more"


def _totals(report: Report) -> Iterator[str]:
    code = report["currency"]
    rows = [
        (
            TYPES[name],
            amount(total["before"], code, is_short=True),
            amount(total["after"], code, is_short=True),
            difference(total["difference"], code, is_short=True),
        )
        for name, total in report["totals"].items()
    ]
    yield from table(("Type", "Before Total", "After Total", "Difference"), rows, (12, 14, 13, 12))


def amount(text: str, code: str, *, is_short: bool = False) -> str:
    """`KES 5,000.00`; with `is_short` a whole amount has no decimals: `KES 5,000`."""
    value = Decimal(text)
    digits = money.format_amount(value.copy_abs())
    if is_short and value == value.to_integral_value():
        digits = digits.partition(".")[0]
    return f"{'-' if value < 0 else ''}{code} {digits}"


def difference(text: str, code: str, *, is_short: bool = False) -> str:
    """The same with its sign: `+KES 250.00`; 0 has none."""
    reported = amount(text, code, is_short=is_short)
    return f"+{reported}" if Decimal(text) > 0 else reported


def printable(text: str) -> str:
    """A name without control characters for the terminal."""
    return "".join(sign if sign.isprintable() else "�" for sign in text)


def table(
    heads: Sequence[str], rows: Sequence[Sequence[str]], widths: Sequence[int]
) -> Iterator[str]:
    """A table with a border; columns are at least of these widths, else as wide as their widest cell."""
    cells = [heads, *rows]
    across = [max(least, *(cell_len(row[i]) for row in cells)) for i, least in enumerate(widths)]

    def rule(left: str, middle: str, right: str) -> str:
        return left + middle.join("─" * (width + 2) for width in across) + right

    yield rule("┌", "┬", "┐")
    for number, row in enumerate(cells):
        padded = (t + " " * (width - cell_len(t)) for t, width in zip(row, across, strict=True))
        yield f"│ {' │ '.join(padded)} │"
        if number == 0:
            yield rule("├", "┼", "┤")
    yield rule("└", "┴", "┘")
