"""Careless changes of gas: locked days, the price of a day, running balances, and new prices."""

from .mutant import Mutant

LOCKS, FIGURES = "backoffice/book/locks.py", "backoffice/gas/figures.py"
EFFECTS, PRICING = "backoffice/gas/pricing/effects.py", "backoffice/gas/pricing/actions.py"
DAYS, PRICES = "tests/gas/test_locked_days.py", "tests/gas/test_pricing.py"
LOCKED = (f"{DAYS}::test_another_program_changes_nothing_of_a_locked_day",)
YEARS = ("tests/gas/test_heat_meter.py::test_three_years_are_right_to_the_cent",)
COMPUTED = ("tests/gas/test_reading.py::test_off_and_on_are_read_the_same",)
WITHOUT_MOVEMENT = (
    "tests/gas/test_reading.py::test_a_month_without_movement_is_the_closing_balance_before_it",
)

MUTANTS: tuple[Mutant, ...] = (
    Mutant(
        "gas-row-of-the-last-locked-day-is-changed-away",
        LOCKS,
        "OLD.{day} <= last OR",
        "OLD.{day} < last OR",
        (f"{DAYS}::test_the_last_locked_day_is_locked_as_those_before_it",),
    ),
    Mutant(
        "gas-row-is-moved-to-the-last-locked-day",
        LOCKS,
        'NEW.{day} <= last")',
        'NEW.{day} < last")',
        LOCKED,
    ),
    Mutant(
        "gas-row-of-a-locked-day-is-deleted",
        LOCKS,
        "TG_OP <> 'INSERT' AND OLD",
        "TG_OP = 'UPDATE' AND OLD",
        LOCKED,
    ),
    Mutant(
        "gas-row-is-inserted-on-a-locked-day",
        LOCKS,
        "TG_OP <> 'DELETE' AND NEW",
        "TG_OP = 'UPDATE' AND NEW",
        LOCKED,
    ),
    Mutant(
        "gas-closed-months-are-not-locked",
        LOCKS,
        "SELECT greatest(locked_until, closed_until) FROM",
        "SELECT locked_until FROM",
        (
            "tests/ledger/test_periods.py::test_another_program_posts_nothing_in_a_closed_month_and_cannot_reorder_periods",
        ),
    ),
    Mutant(
        "gas-price-counts-from-the-day-after",
        FIGURES,
        "(period.c.effective_from <= readings.c.read_on)",
        "(period.c.effective_from < readings.c.read_on)",
        YEARS,
    ),
    Mutant(
        "gas-volume-has-more-than-three-decimals",
        FIGURES,
        """    volume = func.round(
        readings.c.metered_volume * period.c.correction_factor, 3, type_=Numeric(15, 3)
    )
""",
        "    volume = readings.c.metered_volume * period.c.correction_factor\n",
        YEARS,
    ),
    Mutant(
        "gas-total-price-is-not-rounded",
        FIGURES,
        '            rounded(volume * period.c.price_per_sm3).label("total_price"),\n',
        '            (volume * period.c.price_per_sm3).label("total_price"),\n',
        COMPUTED,
    ),
    Mutant(
        "gas-purchases-are-added",
        FIGURES,
        "    change = sums.c.deposit - sums.c.purchase + sums.c.apart\n",
        "    change = sums.c.deposit + sums.c.purchase + sums.c.apart\n",
        YEARS,
    ),
    Mutant(
        "gas-price-of-the-same-day-stays-beside-the-new-one",
        EFFECTS,
        'if p["id"] != new.price_id and p["effective_from"] != new.effective_from\n',
        'if p["id"] != new.price_id\n',
        (f"{PRICES}::test_a_price_of_a_day_that_has_one_takes_its_place",),
    ),
    Mutant(
        "gas-percentage-is-rounded-to-cents",
        PRICING,
        "(100 + self.percent) / 100, money.UNIT_PRICE_DECIMALS)",
        "(100 + self.percent) / 100)",
        (f"{PRICES}::test_a_percentage_keeps_the_four_decimals_of_a_price",),
    ),
    Mutant(
        "gas-price-out-of-range-is-stored",
        PRICING,
        "        if not (is_factor and 0 <= new.price_per_sm3 <= MAX_PRICE):\n",
        "        if not is_factor:\n",
        (f"{PRICES}::test_what_cannot_be_is_refused_before_anything_is_asked",),
    ),
    Mutant(
        "gas-price-is-stored-though-it-has-changed-since-the-screen",
        "backoffice/gas/pricing/work.py",
        'elif "before" in reported and (reported["before"], reported["after"]) != (was, then):\n',
        'elif "before" not in reported and "after" in reported:\n',
        (f"{PRICES}::test_that_run_leaves_a_customer_whose_price_has_changed_since_the_screen",),
    ),
    Mutant(
        "gas-limit-of-one-customer-needs-approval",
        "backoffice/runs/actions.py",
        "count > self.count",
        "count >= self.count",
        (f"{PRICES}::test_exactly_at_the_limits_nobody_has_to_approve_it",),
    ),
    Mutant(
        "gas-low-volume-is-not-unusual",
        "backoffice/gas/entry/actions.py",
        "    return volume > usual * TIMES or volume * TIMES < usual\n",
        "    return volume > usual * TIMES\n",
        ("tests/gas/test_grid.py::test_a_volume_far_above_or_below_the_usual_one_is_unusual",),
    ),
    Mutant(
        "gas-month-without-movement-opens-as-the-one-before",
        "backoffice/gas/queries.py",
        '        "opening_balance": last.c.closing_balance,\n',
        '        "opening_balance": last.c.opening_balance,\n',
        WITHOUT_MOVEMENT,
    ),
)
