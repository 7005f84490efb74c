"""The report of a step's run as lines, for a screen and a terminal alike."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from ...base import N_
from ...runs.models import Run
from ...runs.wording import Reason
from ...web import record_links as subjects
from ...web.record_links import Word
from ..figures import customer_balance
from . import amounts, documents
from .checks import CHECKS
from .proving import PROOFS, TOTALS
from .report import (
    DONE,
    ERROR,
    FAILED,
    INFO,
    LABELS,
    LEFT,
    RIGHT,
    SECTIONS,
    SEVERITIES,
    WARNING,
    Case,
)
from .steps import STEP_OF

CASES: Mapping[str, Case] = {
    case.name: case
    for case in (
        *documents.CASES,
        *amounts.CASES,
        *(check.case for check in CHECKS.values()),
        *(proof.case for proof in PROOFS.values()),
    )
}
"""Name → case, of all that the steps may report."""

REASONS = tuple({case.why: Reason(case.why) for case in CASES.values() if case.why}.values())
"""The reasons why items were left or failed."""

SECTION_WORDS = {
    DONE: (N_("Done"), N_("Would be done")),
    RIGHT: (N_("Right already"), N_("Right already")),
    LEFT: (N_("Left"), N_("Would be left")),
    FAILED: (N_("Failed"), N_("Failed")),
}
"""Section of a report → its label, and its label in a dry run."""

TONES = {DONE: "good", RIGHT: "neutral", LEFT: "warning", FAILED: "bad"}

_SEVERITY_ORDER = (ERROR, WARNING, INFO)

RECALCULATED = {
    "balance": ("billing.recalculated-balance", N_("Customer balances")),
    "overpayment": ("billing.recalculated-overpayment", N_("Customer overpayments")),
}
"""Amount → name and title of the report line that counts the customers with a changed one."""

_IN_RESULTS = {
    DONE: N_("Done"),
    RIGHT: N_("Right already"),
    LEFT: N_("Left"),
    "passed": N_("Checks passed"),
    "severities": N_("By severity"),
    "totals": N_("Documents, meters and customers compared"),
    "processed": N_("Processed"),
    "with_balance": N_("With a balance"),
    "with_overpayment": N_("With an overpayment"),
    "balance": N_("Balance"),
    "overpayment": N_("Overpayment"),
    **{name: title for name, (title, _tone) in SEVERITIES.items()},
    **TOTALS,
}
"""Further keys in the results of the steps' runs → their labels."""

_TABLES = {"invoices", "payments", "meters", "customers"}
"""Keys that are also names of tables: items of rows that could not be corrected have them as subject."""

WORDS = (
    *(Word(name, title, "customers") for name, title in RECALCULATED.values()),
    *(Word(name, title, name if name in _TABLES else "", LABELS) for name, title in _IN_RESULTS.items()),
    *(Word(case.name, case.title, case.table, LABELS) for case in CASES.values()),
)  # fmt: skip
"""The labels of the steps' items and of the keys in their results."""


@dataclass(frozen=True)
class StepLine:
    """One line of a report: a count of rows, their amount, and the case."""

    section: str
    name: str
    title: str
    rows: int
    amount: Decimal | None
    case: Case | None

    @property
    def is_open(self) -> bool:
        """Whether a user has to act on it."""
        is_trouble = self.section in (LEFT, FAILED) and self.rows > 0
        return is_trouble and self.severity != INFO

    @property
    def severity(self) -> str:
        """The severity of its case."""
        return self.case.severity if self.case else WARNING


def lines_of(run: Run) -> Sequence[StepLine]:
    """The lines of an ended step's report, by section."""
    report = run.result if DONE in run.result else _of_recalculation(run)
    return [line for section in SECTIONS for line in sorted(_lines(report, section), key=_sort_key)]


def _sort_key(line: StepLine) -> tuple[int, int]:
    """By severity, the gravest first, then by the number of rows."""
    return _SEVERITY_ORDER.index(line.severity), -line.rows


def word_of(run: Run, line: StepLine) -> tuple[str, str]:
    """Label and tone of a line: its section, or its severity where the step only checks."""
    if line.section == LEFT and STEP_OF[run.kind].only_looks:
        return SEVERITIES[line.severity]
    is_quiet = line.section == LEFT and not line.is_open
    return SECTION_WORDS[line.section][run.dry_run], "neutral" if is_quiet else TONES[line.section]


def _lines(report: Mapping[str, Any], section: str) -> Iterator[StepLine]:
    for name, reported in (report.get(section) or {}).items():
        amount = Decimal(reported["amount"]) if "amount" in reported else None
        yield StepLine(
            section, name, subjects.title_of(name), int(reported["rows"]), amount, CASES.get(name)
        )


def _of_recalculation(run: Run) -> Mapping[str, Any]:
    """The report of a recalculation of customers, in the form of the other steps' reports."""
    counts, totals = run.result.get("customers"), run.result.get("totals", {})
    if counts is None:
        return {}
    done = {
        name: {"rows": counts[f"{amount}s_changed"], "amount": totals[amount]["difference"]}
        for amount, (name, _title) in RECALCULATED.items()
        if counts[f"{amount}s_changed"]
    }
    changed = max((reported["rows"] for reported in done.values()), default=0)
    left = {customer_balance.name: {"rows": run.skipped}} if run.skipped else {}
    failed = {customer_balance.name: {"rows": run.failed}} if run.failed else {}
    right = {customer_balance.name: {"rows": counts["processed"] - changed}}
    return {DONE: done, RIGHT: right, LEFT: left, FAILED: failed}


def open_rows(run: Run) -> int:
    """How many rows of a step a user has to act on."""
    return sum(line.rows for line in lines_of(run) if line.is_open)


def totals_of(run: Run) -> Sequence[tuple[str, str, Decimal]]:
    """The tie-out table: (name, title, amount); empty for a step without one."""
    if STEP_OF[run.kind].name != "proof":
        return []
    found = run.result.get("totals", {})
    return [(name, TOTALS[name], Decimal(found[name])) for name in TOTALS if name in found]


def ties_out(run: Run) -> bool:
    """Whether no difference is left in the tie-out table."""
    return all(not amount for name, _, amount in totals_of(run) if name.endswith("_difference"))
