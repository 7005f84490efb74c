"""Careless changes of lists: filters, order, totals, pages, files and saved views."""

from .mutant import Mutant

QUERIES, FILTERS = "backoffice/lists/queries.py", "backoffice/lists/filters.py"
CSV, EXPORTING = "backoffice/lists/csv_files.py", "backoffice/lists/exporting.py"
LISTS, EXPORTS = "tests/lists/test_lists.py", "tests/lists/test_exports.py"
FOUND = ("tests/orders/test_screens.py::test_the_list_finds_orders",)
FORMULAS = (
    f"{EXPORTS}::test_a_text_that_looks_like_a_formula_is_none_and_a_number_stays_a_number",
)

MUTANTS: tuple[Mutant, ...] = (
    Mutant(
        "lists-totals-ignore-the-filter",
        QUERIES,
        '    rows = prune_joins(matching(user, state), values).subquery("matching")\n',
        '    rows = prune_joins(state.listing.rows(user), values).subquery("matching")\n',
        ("tests/orders/test_screens.py::test_the_totals_are_those_of_the_whole_filter",),
    ),
    Mutant(
        "lists-page-has-no-tie-break",
        QUERIES,
        "    return first, state.listing.key.desc() if down else state.listing.key.asc()\n",
        "    return (first,)\n",
        (
            "tests/lists/test_order.py::test_of_every_list_by_every_column_each_row_is_followed_by_the_next",
        ),
    ),
    Mutant(
        "lists-page-begins-one-row-late",
        QUERIES,
        "        .limit(size + 1)\n        .offset((number - 1) * size)\n",
        "        .limit(size + 1)\n        .offset(number * size - size + (number > 1))\n",
        (f"{LISTS}::test_paging_shows_every_row_once",),
    ),
    Mutant(
        "lists-last-day-is-left-out",
        FILTERS,
        "yield self.column <= date.fromisoformat(values[self.until])",
        "yield self.column < date.fromisoformat(values[self.until])",
        FOUND,
    ),
    Mutant(
        "lists-last-day-of-moments-is-left-out",
        FILTERS,
        "yield self.column < periods.end_of(date.fromisoformat(values[self.until]))",
        "yield self.column < periods.start_of(date.fromisoformat(values[self.until]))",
        ("tests/runs/test_views.py::test_filters_leave_in_what_was_asked_for",),
    ),
    Mutant(
        "lists-sign-of-a-pattern-means-something",
        FILTERS,
        'return re.sub(r"([/%_])", r"/\\1", text)',
        'return re.sub(r"([/%])", r"/\\1", text)',
        ("tests/shell/test_search.py::test_what_means_something_in_a_pattern_means_itself",),
    ),
    Mutant(
        "lists-at-sign-begins-a-formula",
        "backoffice/base/formula_guard.py",
        'FORMULA_STARTS = tuple("=+-@\\t\\r\\n\\0")',
        'FORMULA_STARTS = tuple("=+-\\t\\r\\n\\0")',
        FORMULAS,
    ),
    Mutant(
        "lists-cell-is-not-guarded",
        CSV,
        "    return _guarded(value)\n",
        "    return value\n",
        FORMULAS,
    ),
    Mutant(
        "lists-control-totals-have-a-point-in-every-file",
        CSV,
        'else str(cell).replace(".", flavour.point)',
        "else str(cell)",
        (f"{EXPORTS}::test_indonesian_excel_gets_semicolons_and_decimal_commas",),
    ),
    Mutant(
        "lists-export-is-read-in-several-snapshots",
        EXPORTING,
        'isolation_level="REPEATABLE READ"',
        'isolation_level="READ COMMITTED"',
        (f"{EXPORTS}::test_an_export_is_one_snapshot",),
    ),
    Mutant(
        "lists-exports-are-not-limited",
        EXPORTING,
        "requires(permission)(limited(view))",
        "requires(permission)(view)",
        (f"{EXPORTS}::test_nobody_exports_without_end",),
    ),
    Mutant(
        "lists-export-keeps-its-connection",
        EXPORTING,
        "    with closing(connection), closing(rows):\n",
        "    with closing(rows):\n",
        (f"{EXPORTS}::test_a_broken_off_export_gives_its_connection_back",),
    ),
)
