"""Careless changes of approvals: what is shown, who approves, and what is then written."""

from .mutant import Mutant

VERBS, ACTIONS = "backoffice/approvals/verbs.py", "backoffice/approvals/actions.py"
RUNS = "backoffice/runs/actions.py"
OF_VERBS, FOUR_EYES = "tests/approvals/test_verbs.py", "tests/runs/test_four_eyes.py"
WAITS = (
    f"{OF_VERBS}::test_above_a_limit_nothing_is_written_until_another_user_approves_and_then_exactly_what_was_shown",
)
AT_ONCE = (
    f"{OF_VERBS}::test_below_the_limits_it_is_done_at_once_and_where_it_is_always_shown_with_a_reason",
)

GUARD, GUARDED = "backoffice/runs/triggers.py", "tests/runs/test_approval_guards.py"

MUTANTS: tuple[Mutant, ...] = (
    Mutant(
        "approvals-guard-lets-the-one-who-asked-approve",
        GUARD,
        "NEW.approved_by IN ('', OLD.requested_by)",
        "NEW.approved_by = ''",
        (f"{GUARDED}::test_also_our_own_processes_need_another_user",),
    ),
    Mutant(
        "approvals-guard-asks-nobody-for-proof",
        GUARD,
        "  IF NOT public.{IS_OURS}() THEN",
        "  IF false THEN",
        (f"{GUARDED}::test_another_program_with_the_password_changes_and_approves_nothing",),
    ),
    Mutant(
        "approvals-guard-forgets-the-items",
        GUARD,
        "convert_to(scope::text || items, 'UTF8')",
        "convert_to(scope::text, 'UTF8')",
        (f"{GUARDED}::test_what_has_changed_since_it_was_requested_is_not_approved",),
    ),
    Mutant(
        "approvals-what-was-approved-is-not-compared-again",
        "backoffice/runs/working.py",
        "    asked.check_digest(connection)\n",
        "",
        (f"{GUARDED}::test_what_has_changed_since_it_was_approved_is_not_applied",),
    ),
    Mutant(
        "approvals-what-has-changed-is-written-all-the-same",
        VERBS,
        '        if verb.digest(outlook) != reported["digest"]:\n            raise OutlookChanged()\n',
        "",
        (f"{OF_VERBS}::test_what_has_changed_since_is_left_alone",),
    ),
    Mutant(
        "approvals-who-lost-the-permission-has-it-done",
        VERBS,
        "(_is_deployment() if user is None else allowed(user, verb.permission))",
        "(user is not None or _is_deployment())",
        (
            f"{OF_VERBS}::test_above_a_limit_of_amounts_it_waits_and_who_may_not_do_it_any_more_has_asked_in_vain",
        ),
    ),
    Mutant(
        "approvals-reason-may-be-empty",
        ACTIONS,
        "        if not reason.strip():\n            raise ReasonMissing()\n",
        "",
        AT_ONCE,
    ),
    Mutant(
        "approvals-what-waits-is-written-at-once",
        ACTIONS,
        "    if waits:\n        savepoint.rollback()\n    else:\n        savepoint.commit()\n",
        "    savepoint.commit()\n",
        WAITS,
    ),
    Mutant(
        "approvals-shown-items-are-not-those-that-wait",
        ACTIONS,
        "FOUND if waits else APPLIED)",
        "APPLIED)",
        WAITS,
    ),
    Mutant(
        "approvals-done-at-once-stays-open",
        ACTIONS,
        "        if not waits:\n            _end(session, run, outlook)\n",
        "",
        AT_ONCE,
    ),
    Mutant(
        "approvals-whoever-asked-approves",
        RUNS,
        "    if run.requested_by == actor.get():\n",
        "    if not actor.get():\n",
        (f"{FOUR_EYES}::test_whoever_asked_cannot_approve_in_any_way",),
    ),
    Mutant(
        "approvals-kind-of-run-is-not-asked-for",
        RUNS,
        'return known is not None and allowed(user, known.permission) and allowed(user, "runs.approve")',
        "return known is not None and allowed(user, known.permission)",
        (
            "tests/runs/test_limits.py::test_whoever_may_ask_for_a_run_approves_it_only_with_the_right_to_approve",
        ),
    ),
    Mutant(
        "approvals-command-approves",
        RUNS,
        "    if approver is None or not may_approve(approver, run.kind):\n",
        "    if approver is not None and not may_approve(approver, run.kind):\n",
        (f"{FOUR_EYES}::test_a_command_a_program_or_nobody_approves_nothing",),
    ),
    Mutant(
        "approvals-person-changes-totals-unseen",
        RUNS,
        "    if not dry_run and _is_signed_in() and",
        "    if dry_run and _is_signed_in() and",
        (f"{FOUR_EYES}::test_a_person_changes_totals_only_as_a_dry_run_has_shown_them",),
    ),
    Mutant(
        "approvals-item-that-moved-is-applied",
        "backoffice/drift/healing/applying.py",
        "        if now and now <= then:\n",
        "        if now:\n",
        (
            "tests/drift/test_runs.py::test_exactly_what_a_dry_run_found_is_applied_and_what_moved_is_left_alone",
        ),
    ),
)
