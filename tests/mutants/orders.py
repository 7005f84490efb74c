"""Careless changes of orders: what is refused, what is stored, what is merged, and many at once."""

from .mutant import Mutant

ACTIONS, TESTS = "backoffice/orders/actions.py", "tests/orders/test_actions.py"
IMPOSSIBLE = (f"{TESTS}::test_impossible_totals_are_refused_and_change_nothing",)
EXAMPLE = (f"{TESTS}::test_the_example_of_the_specification_comes_to_46_million",)
FIGURES = "backoffice/orders/figures.py"
GRAND_TOTAL = "Order.total_price + Order.additions - Order.promo - Order.reductions"

MUTANTS: tuple[Mutant, ...] = (
    Mutant(
        "orders-negative-component-is-stored",
        ACTIONS,
        "            if amount < 0:\n",
        "            if amount < -1:\n",
        IMPOSSIBLE,
    ),
    Mutant(
        "orders-component-above-the-column-is-not-refused",
        ACTIONS,
        "            elif amount > money.max_amount():\n",
        "            elif amount > 10 * money.max_amount():\n",
        IMPOSSIBLE,
    ),
    Mutant(
        "orders-negative-grand-total-is-stored",
        ACTIONS,
        "        if self.grand_total < 0:\n",
        "        if self.grand_total < -1:\n",
        IMPOSSIBLE,
    ),
    Mutant(
        "orders-largest-grand-total-is-refused",
        ACTIONS,
        "        elif self.grand_total > money.max_amount():\n",
        "        elif self.grand_total >= money.max_amount():\n",
        (f"{TESTS}::test_the_largest_storable_total_is_stored",),
    ),
    Mutant(
        "orders-version-is-not-checked",
        ACTIONS,
        "    records.check_version(order, version, order.number)\n",
        "",
        (f"{TESTS}::test_an_order_that_another_user_saved_is_not_overwritten",),
    ),
    Mutant(
        "orders-every-save-is-a-new-version",
        ACTIONS,
        "    if _is_changed(session, order):\n",
        "    if order.id:\n",
        (f"{TESTS}::test_saving_what_is_stored_already_is_no_new_version",),
    ),
    Mutant(
        "orders-removed-line-is-no-new-version",
        ACTIONS,
        "for thing in (order, *order.lines)",
        "for thing in order.lines",
        (f"{TESTS}::test_adding_or_removing_a_line_is_a_new_version",),
    ),
    Mutant(
        "orders-lines-lose-their-identity",
        ACTIONS,
        "_applied(stored.pop(line.id, None) if line.id else None, line)",
        "_applied(None, line)",
        (f"{TESTS}::test_lines_keep_their_identity_when_an_order_is_saved_again",),
    ),
    Mutant(
        "orders-places-across-kinds-are-mixed-up",
        ACTIONS,
        "stored != sorted(stored)",
        "stored == sorted(stored)",
        (f"{TESTS}::test_lines_that_a_file_has_numbered_across_kinds_keep_their_places",),
    ),
    Mutant(
        "orders-promo-is-added",
        FIGURES,
        GRAND_TOTAL,
        GRAND_TOTAL.replace("- Order.promo", "+ Order.promo"),
        EXAMPLE,
    ),
    Mutant(
        "orders-reductions-are-left-out",
        FIGURES,
        GRAND_TOTAL,
        GRAND_TOTAL.replace(" - Order.reductions", ""),
        (f"{TESTS}::test_it_calculates_grand_total_automatically",),
    ),
    Mutant(
        "orders-itemised-kind-without-lines-keeps-the-entered-amount",
        FIGURES,
        "case((_itemised(kind), literal(Decimal(0))), else_=entered)",
        "entered",
        (f"{TESTS}::test_an_itemised_kind_whose_last_line_is_deleted_is_zero",),
    ),
    Mutant(
        "orders-lines-of-every-kind-are-added-up",
        FIGURES,
        "by=OrderLine.order_id, where=OrderLine.kind == kind)",
        "by=OrderLine.order_id)",
        (f"{TESTS}::test_a_kind_with_lines_is_the_sum_of_its_rounded_lines",),
    ),
    Mutant(
        "orders-update-refuses-nothing",
        ACTIONS,
        '    session.refresh(order, ["lines"])\n    _refuse_impossible(session, entry)\n',
        '    session.refresh(order, ["lines"])\n',
        (f"{TESTS}::test_an_order_is_not_changed_to_impossible_totals",),
    ),
    Mutant(
        "orders-line-amount-is-not-rounded",
        "backoffice/orders/figures.py",
        "    return rounded(quantity * unit_price)\n",
        "    return quantity * unit_price\n",
        ("tests/orders/test_actions.py::test_lines_are_rounded_before_they_are_added_up",),
    ),
    Mutant(
        "orders-bulk-closes-what-was-placed-later",
        "backoffice/orders/bulk/actions.py",
        "Order.order_date > self.closing_date\n",
        "Order.order_date < self.closing_date\n",
        (
            "tests/orders/test_bulk.py::test_all_that_match_are_closed_but_none_before_it_was_placed",
        ),
    ),
    Mutant(
        "orders-bulk-preview-counts-what-is-refused",
        "backoffice/orders/bulk/actions.py",
        "    possible = and_(change.differs, ~change.is_impossible)\n",
        "    possible = change.differs\n",
        (
            "tests/orders/test_bulk.py::test_all_that_match_are_closed_but_none_before_it_was_placed",
        ),
    ),
    Mutant(
        "orders-bulk-overwrites-what-was-saved-since",
        "backoffice/orders/bulk/actions.py",
        '    return func.age(literal_column("orders.xmin")) > own - mark\n',
        '    return func.age(literal_column("orders.xmin")) >= own - own\n',
        ("tests/orders/test_bulk.py::test_what_a_user_saved_since_the_preview_is_left_and_told",),
    ),
    Mutant(
        "orders-bulk-leaves-the-version",
        "backoffice/orders/bulk/actions.py",
        "version=orders.c.version + 1, updated_at=func.now())",
        "updated_at=func.now())",
        ("tests/orders/test_bulk.py::test_chosen_orders_get_another_account_manager",),
    ),
    Mutant(
        "orders-bulk-changes-orders-of-others",
        "backoffice/orders/bulk/actions.py",
        "        return self.state.listing.rows(self.user).where(Order.id.in_(self.ids))\n",
        "        return select(Order).where(Order.id.in_(self.ids))\n",
        (
            "tests/orders/test_bulk.py::test_an_account_manager_changes_only_their_own_and_gives_none_away",
        ),
    ),
    Mutant(
        "orders-merge-loses-a-line-of-another-user",
        "backoffice/orders/entries.py",
        "    lines += [line for name, line in stored.items() if name in taken and name not in here]\n",
        "",
        (
            "tests/orders/test_entries.py::test_a_line_that_they_added_is_taken_beside_the_one_that_i_added",
        ),
    ),
    Mutant(
        "orders-merge-takes-every-amount-of-another-user",
        "backoffice/orders/entries.py",
        "        return (theirs if component in taken else mine).breakdown\n",
        "        return theirs.breakdown\n",
        (
            "tests/orders/test_entries.py::test_what_only_i_changed_stays_and_is_no_difference_to_decide",
        ),
    ),
)
