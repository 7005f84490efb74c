"""Careless changes of customers: what a merge previews, locks, moves and leaves."""

from .mutant import Mutant

MERGING, OWNED = "backoffice/customers/merging.py", "backoffice/customers/owned_records.py"
OF_MERGES = "tests/customers/test_merging.py"

MUTANTS: tuple[Mutant, ...] = (
    Mutant(
        "customers-merged-customer-is-merged-again",
        MERGING,
        "    for customer in (survivor, duplicate):\n        if customer.merged",
        "    for customer in (survivor,):\n        if customer.merged",
        (
            f"{OF_MERGES}::test_a_customer_is_no_duplicate_of_itself_and_of_a_merged_one_nothing_is_left_to_merge",
        ),
    ),
    Mutant(
        "customers-merge-differs-from-its-preview",
        MERGING,
        "    if preview(session, survivor, duplicate).digest != digest:\n"
        "        raise PreviewOutdated()\n",
        "    preview(session, survivor, duplicate)\n",
        (f"{OF_MERGES}::test_what_is_no_longer_as_it_was_previewed_is_not_merged",),
    ),
    Mutant(
        "customers-facts-of-the-duplicate-are-always-taken",
        MERGING,
        "for n in MERGED if n in taken}",
        "for n in MERGED}",
        (
            "tests/customers/test_merge_screens.py::test_merging_takes_the_chosen_facts_and_acts_once",
        ),
    ),
    Mutant(
        "customers-moved-record-keeps-its-version",
        OWNED,
        "            self.model.version: self.model.version + 1,\n",
        "",
        (
            "tests/customers/test_merge_screens.py::test_a_form_that_was_open_during_the_merge_conflicts_and_names_the_survivor",
        ),
    ),
    Mutant(
        "customers-row-of-the-last-locked-day-moves",
        OWNED,
        "self.day <= until",
        "self.day < until",
        ("tests/gas/test_locked_days.py::test_the_last_locked_day_is_locked_as_those_before_it",),
    ),
    Mutant(
        "customers-changed-amount-leaves-the-preview-valid",
        OWNED,
        'func.concat_ws(":", self.model.id, self.model.version, self.amount)',
        'func.concat_ws(":", self.model.id)',
        (f"{OF_MERGES}::test_what_is_no_longer_as_it_was_previewed_is_not_merged",),
    ),
    Mutant(
        "customers-order-entered-during-the-merge-stays-behind",
        "backoffice/customers/triggers.py",
        "WHERE id = NEW.customer_id FOR KEY SHARE;",
        "WHERE id = NEW.customer_id;",
        (
            "tests/customers/test_merge_races.py::test_an_order_that_is_entered_while_the_merge_is_under_way_ends_at_the_survivor",
        ),
    ),
    Mutant(
        "customers-chain-of-merges-is-followed-one-step",
        "backoffice/customers/triggers.py",
        "FOR step IN 1..100 LOOP",
        "FOR step IN 1..1 LOOP",
        (f"{OF_MERGES}::test_a_chain_of_merges_leads_to_its_end",),
    ),
)
