"""Careless changes of targets: what is achieved, attainment, proposals, and two editors of one month."""

from .mutant import Mutant

FIGURES, ACTIONS = "backoffice/targets/figures.py", "backoffice/targets/actions.py"
QUERIES = "backoffice/targets/queries.py"
FIGURE_TESTS, TESTS = "tests/targets/test_figures.py", "tests/targets/test_actions.py"
READS = "tests/targets/test_queries.py"

MUTANTS: tuple[Mutant, ...] = (
    Mutant(
        "targets-count-the-month-of-the-order-date",
        FIGURES,
        "cast(orders.c.closing_date, DateTime)",
        "cast(orders.c.order_date, DateTime)",
        (f"{FIGURE_TESTS}::test_moving_an_order_between_months_and_managers_keeps_both_right",),
    ),
    Mutant(
        "targets-attainment-is-divided-by-nothing",
        FIGURES,
        "func.nullif(func.greatest(target, ZERO), ZERO), 1, type_",
        "func.greatest(target, ZERO), 1, type_",
        (f"{READS}::test_attainment_of_no_target_or_of_zero_is_unknown",),
    ),
    Mutant(
        "targets-difference-without-a-target-is-unknown",
        FIGURES,
        "achieved - func.coalesce(target, ZERO)",
        "achieved - target",
        (f"{READS}::test_a_year_has_twelve_months_and_running_sums",),
    ),
    Mutant(
        "targets-growth-is-not-rounded",
        ACTIONS,
        "    return min(money.round_amount(amount * (100 + percent) / 100), money.max_amount())\n",
        "    return min(amount * (100 + percent) / 100, money.max_amount())\n",
        (f"{TESTS}::test_a_proposal_is_last_years_amount_with_growth_rounded",),
    ),
    Mutant(
        "targets-entered-target-is-replaced",
        ACTIONS,
        "            elif before is not None and not update:\n",
        "            elif before is None and update:\n",
        (f"{TESTS}::test_what_a_user_entered_is_kept_unless_it_is_to_be_replaced",),
    ),
    Mutant(
        "targets-other-editor-is-overwritten",
        ACTIONS,
        "if stored[m] not in (entries[m].before, mine)]",
        "if stored[m] is None and mine is None]",
        (f"{TESTS}::test_two_editors_of_one_month_do_not_overwrite_each_other_unseen",),
    ),
    Mutant(
        "targets-second-editor-does-not-wait",
        ACTIONS,
        "    figures.hold(session, achieved, [manager_id])\n    rows = stored_targets",
        "    rows = stored_targets",
        (f"{TESTS}::test_the_second_of_two_at_the_same_moment_waits_and_sees_the_first",),
    ),
    Mutant(
        "targets-manager-sees-those-of-everybody",
        QUERIES,
        "    of_owners = [visible_to(user)]\n",
        "    of_owners: list[Any] = [True]\n",
        (f"{READS}::test_an_account_manager_sees_only_their_own",),
    ),
    Mutant(
        "targets-year-to-date-leaves-its-month-out",
        QUERIES,
        "cast(func.sum(stored.c[name]).over(order_by=stored.c.month), kind)",
        "cast(func.sum(stored.c[name]).over(order_by=stored.c.month, rows=(None, -1)), kind)",
        (f"{READS}::test_a_year_has_twelve_months_and_running_sums",),
    ),
)
