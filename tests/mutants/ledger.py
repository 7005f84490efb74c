"""Careless changes of the ledger: entries balance and are final, months close in order, documents are posted."""

from .mutant import Mutant

TRIGGERS, ACTIONS = "backoffice/ledger/triggers.py", "backoffice/ledger/actions.py"
FIGURES, RULES = "backoffice/ledger/figures.py", "backoffice/ledger/rules.py"
PERIODS, SOURCES = "backoffice/ledger/periods/actions.py", "backoffice/ledger/posting/sources.py"
LAWS, MONTHS = "tests/ledger/test_laws.py", "tests/ledger/test_periods.py"
UNBALANCED = (f"{LAWS}::test_an_unbalanced_entry_is_refused_at_commit",)
FINAL = (f"{LAWS}::test_the_apps_role_changes_nothing_that_is_posted",)
REFUSED = (
    f"{LAWS}::test_what_cannot_be_posted_is_refused_with_its_sentence_and_nothing_is_written",
)
REVERSED = (f"{LAWS}::test_a_posted_entry_is_neither_changed_nor_deleted_and_reversed_once",)
IN_ORDER = (
    f"{MONTHS}::test_months_close_one_after_the_other_and_reopen_backwards_and_the_book_says_the_last_day",
)
FROM_OUTSIDE = (
    f"{MONTHS}::test_another_program_posts_nothing_in_a_closed_month_and_cannot_reorder_periods",
)
CLOSED = (
    f"{MONTHS}::test_nothing_is_posted_in_a_closed_month_and_what_comes_late_is_posted_today",
)
POSTED_ONCE = (
    "tests/ledger/test_posting.py::test_every_document_is_posted_once_and_control_accounts_tie_out",
)

MUTANTS: tuple[Mutant, ...] = (
    Mutant(
        "ledger-entry-may-be-off-by-a-cent",
        TRIGGERS,
        "  IF debits <> credits OR debits = 0 THEN\n",
        "  IF abs(debits - credits) > 0.01 OR debits = 0 THEN\n",
        UNBALANCED,
    ),
    Mutant(
        "ledger-entry-may-have-more-credits",
        TRIGGERS,
        "  IF debits <> credits OR debits = 0 THEN\n",
        "  IF debits > credits OR debits = 0 THEN\n",
        UNBALANCED,
    ),
    Mutant(
        "ledger-entry-without-lines-is-posted",
        TRIGGERS,
        "  IF debits <> credits OR debits = 0 THEN\n",
        "  IF debits <> credits THEN\n",
        UNBALANCED,
    ),
    Mutant(
        "ledger-entry-begins-as-posted",
        TRIGGERS,
        "    IF NEW.status <> 'draft' THEN\n",
        "    IF NEW.status = 'void' THEN\n",
        FINAL,
    ),
    Mutant(
        "ledger-posted-entry-is-deleted",
        TRIGGERS,
        "    IF TG_OP = 'DELETE' OR NEW IS DISTINCT FROM OLD THEN\n",
        "    IF TG_OP = 'UPDATE' AND NEW IS DISTINCT FROM OLD THEN\n",
        FINAL,
    ),
    Mutant(
        "ledger-line-of-a-posted-entry-is-changed",
        TRIGGERS,
        "    IF TG_OP <> 'UPDATE' OR NEW IS DISTINCT FROM OLD THEN\n",
        "    IF TG_OP <> 'UPDATE' THEN\n",
        FINAL,
    ),
    Mutant(
        "ledger-line-is-added-to-a-posted-entry",
        TRIGGERS,
        "    IF TG_OP <> 'UPDATE' OR NEW IS DISTINCT FROM OLD THEN\n",
        "    IF TG_OP <> 'INSERT' AND NEW IS DISTINCT FROM OLD THEN\n",
        FINAL,
    ),
    Mutant(
        "ledger-program-posts-on-the-last-locked-day",
        TRIGGERS,
        '{refusing("NEW.entry_date <= last")}',
        '{refusing("NEW.entry_date < last")}',
        FROM_OUTSIDE,
    ),
    Mutant(
        "ledger-posting-numbers-count-over-all-years",
        TRIGGERS,
        "      WHERE extract(year FROM e.entry_date) = extract(year FROM NEW.entry_date);",
        "      WHERE true;",
        (f"{LAWS}::test_posting_numbers_are_counted_by_the_year_of_the_entry_without_a_gap",),
    ),
    Mutant(
        "ledger-months-are-closed-with-a-gap",
        TRIGGERS,
        "    IF NEW.month <> last + interval '1 month' THEN\n",
        "    IF NEW.month < last + interval '1 month' THEN\n",
        FROM_OUTSIDE,
    ),
    Mutant(
        "ledger-program-reopens-any-month",
        TRIGGERS,
        "NEW.status <> 'closed' AND NEW.month <> last THEN",
        "NEW.status <> 'closed' AND NEW.month > last THEN",
        FROM_OUTSIDE,
    ),
    Mutant(
        "ledger-book-is-closed-up-to-the-day-after",
        TRIGGERS,
        "interval '1 month' - interval '1 day')::date",
        "interval '1 month')::date",
        IN_ORDER,
    ),
    Mutant(
        "ledger-app-lets-more-credits-pass",
        ACTIONS,
        "    if totals.difference:\n",
        "    if totals.difference > 1:\n",
        REFUSED,
    ),
    Mutant(
        "ledger-line-of-both-sides-is-posted",
        ACTIONS,
        "    if not all(line.is_one_side for line in lines):\n",
        "    if not any(line.is_one_side for line in lines):\n",
        REFUSED,
    ),
    Mutant(
        "ledger-entry-is-reversed-twice",
        ACTIONS,
        "    if entry.reversal is not None:\n",
        "    if entry.reversal is None and entry.posting_number is None:\n",
        REVERSED,
    ),
    Mutant(
        "ledger-reversal-keeps-the-sides",
        ACTIONS,
        "lines = [line.turned for line in stored_lines(session, entry.id)]",
        "lines = list(stored_lines(session, entry.id))",
        REVERSED,
    ),
    Mutant(
        "ledger-key-with-other-lines-is-the-first-entry",
        ACTIONS,
        "    if not is_same or stored_lines(session, first.id) != list(lines):\n",
        "    if not is_same:\n",
        (f"{LAWS}::test_what_comes_again_under_its_key_is_the_first_and_other_content_is_refused",),
    ),
    Mutant(
        "ledger-account-with-lines-changes-its-type",
        ACTIONS,
        '    if values["type"] != account.type and _is_named(session, account.id):\n',
        '    if values["type"] == account.type and not _is_named(session, account.id):\n',
        (
            f"{LAWS}::test_an_account_keeps_its_type_once_entries_name_it_and_never_stands_beneath_itself",
        ),
    ),
    Mutant(
        "ledger-drafts-count-in-accounts",
        FIGURES,
        "total(side, by=JournalLine.account_id, where=is_posted), 0)",
        "total(side, by=JournalLine.account_id), 0)",
        (f"{LAWS}::test_a_draft_counts_nowhere_and_a_posted_entry_at_once",),
    ),
    Mutant(
        "ledger-equity-has-a-debit-balance",
        RULES,
        "DEBIT_TYPES = (ASSET, EXPENSE)",
        "DEBIT_TYPES = (ASSET, EXPENSE, EQUITY)",
        (f"{LAWS}::test_a_draft_counts_nowhere_and_a_posted_entry_at_once",),
    ),
    Mutant(
        "ledger-late-document-stays-on-the-last-locked-day",
        "backoffice/ledger/queries.py",
        "case((day <= until, periods.today()), else_=day)",
        "case((day < until, periods.today()), else_=day)",
        CLOSED,
    ),
    Mutant(
        "ledger-month-closes-though-its-checklist-forbids",
        PERIODS,
        "    if found:\n        raise NotInOrder",
        "    if not found and month is None:\n        raise NotInOrder",
        CLOSED,
    ),
    Mutant(
        "ledger-earlier-month-is-reopened",
        PERIODS,
        "    if last != month:\n",
        "    if last is None:\n",
        IN_ORDER,
    ),
    Mutant(
        "ledger-void-documents-are-posted",
        SOURCES,
        "            Invoice.status != VOID, Invoice.meter_id.is_not(None),\n",
        "            Invoice.meter_id.is_not(None),\n",
        ("tests/ledger/test_posting.py::test_a_change_and_a_void_become_difference_entries",),
    ),
    Mutant(
        "ledger-payments-are-posted-to-revenue",
        SOURCES,
        '"Payment", CASH, RECEIVABLES,',
        '"Payment", CASH, METER_REVENUE,',
        POSTED_ONCE,
    ),
)
