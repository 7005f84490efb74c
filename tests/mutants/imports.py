"""Careless changes of imports: what a file changes, what it leaves alone, and what it may not do."""

from .mutant import Mutant

MUTANTS: tuple[Mutant, ...] = (
    Mutant(
        "imports-line-that-differs-in-its-product-stays",
        "backoffice/imports/kinds/order_lines.py",
        "(LINES.c[name].is_distinct_from(value) for name, value in wanted.items())",
        '(LINES.c[name].is_distinct_from(value) for name, value in wanted.items() if name != "product_id")',
        (
            "tests/imports/test_products.py::test_a_line_that_differs_only_in_its_product_is_updated",
        ),
    ),
    Mutant(
        "imports-key-of-a-recharge-counts-as-charged",
        "backoffice/imports/kinds/wallet_charges.py",
        "        tx.transaction_type == CHARGE, *(getattr",
        "        *(getattr",
        (
            "tests/imports/test_wallet_charges.py::test_the_key_of_a_recharge_or_refund_is_no_charge_of_its_line",
        ),
    ),
    Mutant(
        "imports-lines-of-other-kinds-are-removed",
        "backoffice/imports/kinds/order_lines.py",
        "        .join(named, and_(named.c.order_id == LINES.c.order_id, named.c.kind == LINES.c.kind))\n",
        "        .join(named, named.c.order_id == LINES.c.order_id)\n",
        ("tests/imports/test_kinds.py::test_lines_of_other_kinds_are_left_alone",),
    ),
    Mutant(
        "imports-changed-lines-leave-the-version",
        "backoffice/imports/kinds/order_lines.py",
        "        .values(version=Order.version + 1, updated_at=func.now())\n",
        "        .values(updated_at=func.now())\n",
        (
            "tests/imports/test_kinds.py::test_lines_make_their_kinds_itemised_and_the_others_stay_entered",
        ),
    ),
    Mutant(
        "imports-product-goes-where-the-file-names-none",
        "backoffice/imports/kinds/order_lines.py",
        '    if not stage.has("product_code"):\n        is_same',
        '    if stage.has("product_code"):\n        is_same',
        (
            "tests/imports/test_products.py::test_a_file_without_products_leaves_them_where_the_description_stays",
        ),
    ),
    Mutant(
        "imports-missing-column-clears-the-closing-date",
        "backoffice/imports/kinds/orders.py",
        '    return stage.c.closing_date if stage.has("closing_date") else Order.closing_date.expression\n',
        "    return stage.c.closing_date\n",
        (
            "tests/imports/test_missing_columns.py::test_a_missing_column_changes_nothing_of_what_is_stored",
        ),
    ),
    Mutant(
        "imports-former-code-is-a-new-record",
        "backoffice/imports/importing.py",
        "[*former_codes(stage, kind), *look_alikes",
        "[*look_alikes",
        (
            "tests/records/test_former_names.py::test_a_file_with_a_former_code_is_refused_with_the_present_one",
        ),
    ),
    Mutant(
        "imports-former-code-changes-the-renamed-record",
        "backoffice/imports/renamed.py",
        "        if not _is_own(kind, each):\n",
        "        if True:\n",
        (
            "tests/records/test_former_names.py::test_a_file_with_a_former_code_is_refused_with_the_present_one",
        ),
    ),
    Mutant(
        "imports-code-that-looks-like-another-is-created",
        "backoffice/imports/look_alikes.py",
        "        .where(found.c.other.is_not(None))\n",
        "        .where(found.c.other.is_(None))\n",
        (
            "tests/imports/test_every_kind.py::test_a_file_with_a_number_in_another_case_is_refused_with_the_same_sentence",
        ),
    ),
    Mutant(
        "imports-order-gets-a-negative-total",
        "backoffice/imports/kinds/orders.py",
        "        .where(Order.grand_total < 0, stage.c.n.in_(first)),\n",
        "        .where(Order.grand_total < -1, stage.c.n.in_(first)),\n",
        (
            "tests/imports/test_kinds.py::test_a_negative_grand_total_is_refused_by_line_and_undoes_everything",
        ),
    ),
    Mutant(
        "imports-empty-amount-becomes-nothing",
        "backoffice/imports/kinds/orders.py",
        "func.coalesce(stage.c[name] if stage.has(name) else None, getattr(Order, name), 0)",
        "func.coalesce(stage.c[name] if stage.has(name) else None, 0)",
        ("tests/imports/test_kinds.py::test_an_empty_amount_leaves_what_is_there",),
    ),
    Mutant(
        "imports-order-is-closed-before-it-is-placed",
        "backoffice/imports/kinds/orders.py",
        "        at(wanted).where(wanted.c.closing_date < wanted.c.order_date),\n",
        "        at(wanted).where(wanted.c.closing_date > wanted.c.order_date),\n",
        ("tests/imports/test_kinds.py::test_an_order_is_not_closed_before_it_is_placed",),
    ),
    Mutant(
        "imports-amount-of-lines-is-written-over",
        "backoffice/imports/kinds/orders.py",
        "stage.c[component] != stored),",
        "stage.c[component] < stored),",
        (
            "tests/imports/test_kinds.py::test_a_file_may_repeat_what_lines_come_to_but_not_change_it",
        ),
    ),
    Mutant(
        "imports-void-document-is-changed",
        "backoffice/imports/kinds/billing.py",
        "        at(wanted).where(wanted.c.is_void, is_other),\n",
        "        at(wanted).where(wanted.c.is_void, ~is_other),\n",
        ("tests/imports/test_documents.py::test_a_void_invoice_may_be_repeated_but_not_changed",),
    ),
    Mutant(
        "imports-invoice-comes-to-less-than-is-paid",
        "backoffice/imports/kinds/invoices.py",
        "is_there, is_less_than_paid(Invoice.amount, wanted.c.paid, wanted.c.stored_amount)\n",
        "is_there, Invoice.amount < 0\n",
        ("tests/imports/test_kept_documents.py::test_an_invoice_comes_to_no_less_than_is_paid",),
    ),
    Mutant(
        "imports-amount-beside-units-is-believed",
        "backoffice/imports/kinds/invoices.py",
        "        come_to.where(~is_entered, wanted.c.said_amount != Invoice.amount),\n",
        "        come_to.where(is_entered, wanted.c.said_amount != Invoice.amount),\n",
        (
            "tests/imports/test_documents.py::test_an_amount_that_is_not_what_units_come_to_is_refused_with_both_figures",
        ),
    ),
    Mutant(
        "imports-part-of-a-receipt-is-left-out",
        "backoffice/imports/kinds/payments.py",
        "stored.c.parts > lines.c.lines, ~is_replacement),",
        "stored.c.parts > lines.c.lines + 1, ~is_replacement),",
        (
            "tests/imports/test_documents.py::test_lines_of_one_reference_are_the_parts_of_one_receipt",
        ),
    ),
    Mutant(
        "imports-payment-of-tomorrow-comes-in",
        "backoffice/imports/kinds/payments.py",
        "        changed.where(wanted.c.paid_on > periods.today()),\n",
        "        changed.where(wanted.c.paid_on > periods.LAST_DAY),\n",
        (
            "tests/imports/test_kept_documents.py::test_a_payment_of_a_day_to_come_is_refused_and_one_of_today_is_not",
        ),
    ),
    Mutant(
        "imports-receipt-puts-more-on-an-invoice-than-it-takes",
        "backoffice/imports/kinds/payments.py",
        "takes_less(brought.c.amount, still_open, own)),",
        "takes_less(brought.c.amount, still_open + 1, own)),",
        (
            "tests/imports/test_kept_documents.py::test_a_line_that_changes_a_receipt_puts_no_more_on_an_invoice_than_it_takes",
        ),
    ),
    Mutant(
        "imports-empty-cell-takes-the-meter-away",
        "backoffice/imports/kinds/payments.py",
        '            func.coalesce(Meter.id, Payment.meter_id).label("meter_id"),\n',
        '            Meter.id.label("meter_id"),\n',
        (
            "tests/imports/test_documents.py::test_a_payment_that_was_matched_since_keeps_its_meter_when_the_file_comes_again",
        ),
    ),
    Mutant(
        "imports-second-equal-deposit-is-the-first",
        "backoffice/imports/kinds/gas.py",
        '    names = (*_SAME_DEPOSIT, "place")\n',
        "    names = _SAME_DEPOSIT\n",
        ("tests/imports/test_gas.py::test_the_same_deposit_twice_in_a_file_is_two_and_stays_two",),
    ),
    Mutant(
        "imports-guard-of-our-exports-is-stored",
        "backoffice/base/formula_guard.py",
        '    return cell[1:] if cell.startswith("\'") and is_formula(cell) else cell\n',
        "    return cell\n",
        (
            "tests/imports/test_own_exports.py::test_an_exported_customer_with_formulas_comes_back_unchanged",
        ),
    ),
    Mutant(
        "imports-footer-of-our-exports-is-a-record",
        "backoffice/lists/footers.py",
        "            if waiting and in_each_language(TOTAL) & set(waiting[-1].cells):\n",
        "            if not waiting:\n",
        ("tests/imports/test_own_exports.py::test_a_footer_is_no_record",),
    ),
    Mutant(
        "imports-last-locked-day-is-open",
        "backoffice/imports/kinds/gas.py",
        "    found = found.where(lines.c[day] <= until, is_new)",
        "    found = found.where(lines.c[day] < until, is_new)",
        (
            "tests/imports/test_gas.py::test_only_a_line_that_says_something_new_of_a_locked_day_is_refused",
        ),
    ),
    Mutant(
        "imports-old-and-new-code-are-two-customers",
        "backoffice/imports/kinds/gas.py",
        '        "partition_by": (wanted.c.customer_id, wanted.c[day]),\n',
        '        "partition_by": (wanted.c.customer_code, wanted.c[day]),\n',
        (
            "tests/imports/test_gas.py::test_two_lines_of_one_customer_and_day_are_refused_whatever_code_they_name",
        ),
    ),
    Mutant(
        "imports-entry-has-more-credits",
        "backoffice/imports/kinds/ledger.py",
        "        .having(func.sum(c.debit) != func.sum(c.credit))\n",
        "        .having(func.sum(c.debit) < func.sum(c.credit))\n",
        ("tests/imports/test_ledger.py::test_what_no_form_would_post_no_file_posts",),
    ),
    Mutant(
        "imports-charge-above-what-is-left-goes-through",
        "backoffice/imports/kinds/wallet_charges.py",
        "(held_then.c.takes > 0) & (held_then.c.takes <= held_then.c.held)",
        "held_then.c.takes > 0",
        (
            "tests/imports/test_wallet_charges.py::test_lines_take_what_is_there_when_their_turn_comes",
        ),
    ),
)
