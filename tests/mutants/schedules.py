"""Careless changes of schedules: when they are due, and what is started."""

from .mutant import Mutant

RULES, TICKING = "tests/schedules/test_rules.py", "tests/schedules/test_ticking.py"
IN_RULES, IN_TICKING = "backoffice/schedules/rules.py", "backoffice/schedules/ticking.py"

REFUSED = (f"{RULES}::test_a_rule_that_would_not_be_exact_is_refused",)
LAST_AND_NEXT = (f"{RULES}::test_the_last_and_the_next_due_time_have_none_between_them",)
EVERY_CLOCK = (f"{RULES}::test_due_times_are_those_of_every_wall_clock_in_order_and_once",)
SKIPPED = (f"{RULES}::test_what_clocks_skip_happens_at_the_moment_they_skip",)

MUTANTS: tuple[Mutant, ...] = (
    Mutant("schedules-eighth-weekday", IN_RULES, "not in range(7)", "not in range(8)", REFUSED),
    Mutant("schedules-day-29", IN_RULES, "not in range(1, 29)", "not in range(1, 32)", REFUSED),
    Mutant("schedules-day-0", IN_RULES, "not in range(1, 29)", "not in range(29)", REFUSED),
    Mutant("schedules-no-months", IN_RULES, "if not self.months or not set", "if not set", REFUSED),
    Mutant(
        "schedules-hours-that-do-not-divide",
        IN_RULES,
        "self.hours < 1 or 24 % self.hours",
        "self.hours < 1",
        REFUSED,
    ),
    Mutant(
        "schedules-minutes-that-do-not-divide",
        IN_RULES,
        "self.minutes < 1 or 60 % self.minutes",
        "self.minutes < 1",
        REFUSED,
    ),
    Mutant(
        "schedules-due-now-is-not-due",
        IN_RULES,
        "        if moment > until:\n",
        "        if moment >= until:\n",
        EVERY_CLOCK,
    ),
    Mutant(
        "schedules-due-time-is-repeated",
        IN_RULES,
        "        if moment > last:\n",
        "        if moment >= last:\n",
        EVERY_CLOCK,
    ),
    Mutant(
        "schedules-month-is-ignored",
        IN_RULES,
        "if day.day == self.day and day.month in self.months:",
        "if day.day == self.day:",
        (f"{RULES}::test_leap_years_and_year_ends",),
    ),
    Mutant(
        "schedules-skipped-time-is-late",
        IN_RULES,
        "    while moment - early > SECOND:",
        "    while moment - early > DAY:",
        SKIPPED,
    ),
    Mutant(
        "schedules-unfolded-clock",
        IN_RULES,
        "    if _shown(moment, zone) == wall:\n        return moment\n",
        "    return moment\n",
        SKIPPED,
    ),
    Mutant(
        "schedules-minutes-from-the-hour-passed",
        IN_RULES,
        "        passed += 1\n        yield datetime.fromtimestamp(passed * seconds, UTC)",
        "        yield datetime.fromtimestamp(passed * seconds, UTC)\n        passed += 2",
        (f"{RULES}::test_minutes_go_on_whatever_clocks_do",),
    ),
    Mutant(
        "schedules-past-due-times-of-a-new-book-start",
        IN_TICKING,
        "if due[s.name] > known[s.name] and",
        "if",
        (f"{TICKING}::test_a_book_that_is_new_starts_nothing_that_was_due_before",),
    ),
    Mutant(
        "schedules-no-grace-ends",
        IN_TICKING,
        " and now - due[s.name] <= s.grace]",
        "]",
        (f"{TICKING}::test_what_is_no_longer_worth_starting_is_missed",),
    ),
    Mutant(
        "schedules-clock-that-was-ahead-holds-up",
        IN_TICKING,
        "if name not in known or known[name] > now]",
        "if name not in known]",
        (f"{TICKING}::test_a_clock_that_was_far_ahead_at_first_holds_nothing_up",),
    ),
    Mutant(
        "schedules-one-refusal-stops-the-others",
        IN_TICKING,
        "            if error.connection_invalidated:\n                raise\n",
        "            raise\n",
        (f"{TICKING}::test_one_that_cannot_be_asked_for_does_not_keep_the_others",),
    ),
)
