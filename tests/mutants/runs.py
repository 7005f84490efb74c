"""Careless changes of background runs."""

from .mutant import Mutant

WORKING = "tests/runs/test_working.py"

MUTANTS: tuple[Mutant, ...] = (
    Mutant(
        "runs-claim-waits-for-other-claims",
        "backoffice/runs/working.py",
        """        .limit(1)
        .with_for_update(skip_locked=True)""",
        """        .limit(1)
        .with_for_update()""",
        (
            f"{WORKING}::test_a_worker_claims_the_next_chunk_where_another_one_is_claiming_the_first",
        ),
    ),
    Mutant(
        "runs-transaction-does-not-renew-the-lease",
        "backoffice/runs/work.py",
        '{**counts, "lease_until": lease}',
        "{**counts}",
        (f"{WORKING}::test_every_transaction_of_a_chunk_renews_its_lease",),
    ),
    Mutant(
        "runs-cancel-ignores-a-worker-past-its-lease",
        "backoffice/runs/ending.py",
        'return bool(chunks["working"]) or len(free) < chunks["open"]',
        'return bool(chunks["working"])',
        (f"{WORKING}::test_a_cancelled_run_ends_only_when_a_worker_past_its_lease_has_committed",),
    ),
    Mutant(
        "runs-lease-of-others-is-ignored",
        "backoffice/runs/working.py",
        "mine.c.lease_until < func.clock_timestamp())",
        "mine.c.lease_until > func.clock_timestamp())",
        (f"{WORKING}::test_what_was_claimed_is_not_given_to_anybody_else",),
    ),
    Mutant(
        "runs-failed-items-read-as-done",
        "backoffice/runs/ending.py",
        'return DONE_WITH_FAILURES if chunks["failed"] else DONE',
        "return DONE",
        (f"{WORKING}::test_a_failed_item_is_undone_alone_and_the_run_says_so",),
    ),
    Mutant(
        "runs-unplanned-run-reads-as-done",
        "backoffice/runs/ending.py",
        "        return FAILED  # it could not even be planned",
        "        return DONE",
        (f"{WORKING}::test_a_run_that_cannot_be_planned_fails_and_says_why",),
    ),
    Mutant(
        "runs-limit-by-count-includes-the-limit",
        "backoffice/runs/actions.py",
        "count > self.count or",
        "count >= self.count or",
        ("tests/runs/test_limits.py::test_a_run_exactly_at_a_limit_needs_no_second_person",),
    ),
    Mutant(
        "runs-limit-by-amount-includes-the-limit",
        "backoffice/runs/actions.py",
        "amount > self.amount",
        "amount >= self.amount",
        ("tests/runs/test_limits.py::test_a_run_exactly_at_a_limit_needs_no_second_person",),
    ),
    Mutant(
        "runs-both-limits-must-be-exceeded",
        "backoffice/runs/actions.py",
        "count > self.count or amount",
        "count > self.count and amount",
        ("tests/runs/test_limits.py::test_a_run_exactly_at_a_limit_needs_no_second_person",),
    ),
    Mutant(
        "runs-claim-keeps-the-fence",
        "backoffice/runs/working.py",
        "fence=CHUNKS.c.fence + 1,",
        "fence=CHUNKS.c.fence,",
        (f"{WORKING}::test_a_worker_whose_chunk_was_taken_over_cannot_begin_a_transaction",),
    ),
    Mutant(
        "runs-late-write-is-not-refused",
        "backoffice/runs/work.py",
        "            raise Fenced()",
        "            return",
        (f"{WORKING}::test_a_worker_whose_chunk_was_taken_over_cannot_begin_a_transaction",),
    ),
    Mutant(
        "runs-failed-chunk-counts-nothing",
        "backoffice/runs/working.py",
        """    if gave_up:
        values |= _all_left_failed()""",
        """    if gave_up:
        values |= {}""",
        (f"{WORKING}::test_a_chunk_that_fails_is_tried_again_and_then_counts_as_failed",),
    ),
)
