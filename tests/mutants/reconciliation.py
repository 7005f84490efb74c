"""Careless changes of reconciliations: their lines, corrections, pages and control totals."""

from .mutant import Mutant

REPORT, FILES = "backoffice/reconciliation/report.py", "backoffice/reconciliation/files.py"
REPORTS = "tests/reconciliation/test_reports.py"
PERIOD = (f"{REPORTS}::test_a_correction_at_the_end_of_a_period_counts_in_the_next_one_alone",)
INJECTED = (f"{REPORTS}::test_injected_drift_is_shown_and_totalled",)

MUTANTS: tuple[Mutant, ...] = (
    Mutant(
        "reconciliation-removed-row-is-left-out",
        REPORT,
        "fixed.c.key == key), full=True)",
        "fixed.c.key == key), isouter=True)",
        (f"{REPORTS}::test_what_a_correction_has_removed_is_still_in_its_period",),
    ),
    Mutant(
        "reconciliation-difference-has-the-other-sign",
        REPORT,
        "func.coalesce(numbers[1], 0) - func.coalesce(numbers[0], 0)",
        "func.coalesce(numbers[0], 0) - func.coalesce(numbers[1], 0)",
        INJECTED,
    ),
    Mutant(
        "reconciliation-wrong-lines-count-as-right",
        REPORT,
        'func.count().filter(~c.is_right).label("drifted")',
        'func.count().filter(c.difference > 0).label("drifted")',
        INJECTED,
    ),
    Mutant(
        "reconciliation-correction-at-the-end-counts-twice",
        REPORT,
        'conditions.append(CORRECTIONS.c.at < bindparam("until", type_=at))',
        'conditions.append(CORRECTIONS.c.at <= bindparam("until", type_=at))',
        PERIOD,
    ),
    Mutant(
        "reconciliation-owner-stands-on-two-pages",
        REPORT,
        "            low = after + 1\n",
        "            low = after\n",
        (f"{REPORTS}::test_however_it_is_paged_the_report_is_the_same",),
    ),
    Mutant(
        "reconciliation-file-totals-are-of-its-last-page",
        FILES,
        "        totals[name].add(sums)\n",
        "        totals[name] = Totals(**{key: sums[key] for key in vars(Totals())})\n",
        (f"{REPORTS}::test_the_totals_of_a_file_are_those_of_all_its_pages",),
    ),
)
