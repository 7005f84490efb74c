"""Careless changes of billing: invoices, payments and how they are allocated, meters and their ageing."""

from .mutant import Mutant

MUTANTS: tuple[Mutant, ...] = (
    Mutant(
        "billing-payment-goes-to-the-invoice-issued-first",
        "backoffice/billing/payments/sheets.py",
        "i.id != first, i.due_on, i.issued_on, i.id",
        "i.id != first, i.issued_on, i.due_on, i.id",
        (
            "tests/billing/test_payment_form.py::test_the_invoice_that_was_due_first_is_paid_before_the_one_issued_first",
        ),
    ),
    Mutant(
        "billing-overpaid-invoice-keeps-nothing",
        "backoffice/billing/payments/allocation.py",
        "    return max(still_open + own, own)\n",
        "    return still_open + own\n",
        (
            "tests/billing/test_allocation.py::test_what_a_payment_has_on_an_invoice_may_stay_where_others_overpaid_it",
        ),
    ),
    Mutant(
        "billing-replaced-receipt-does-not-keep-what-it-had",
        "backoffice/billing/payments/actions.py",
        "    return _record(session, new_entry, by_invoice(parts))\n",
        "    return _record(session, new_entry, {})\n",
        (
            "tests/billing/test_payment_replacing.py::test_what_a_payment_has_on_an_invoice_stays_where_another_overpaid_it",
        ),
    ),
    Mutant(
        "billing-invoice-leaves-its-fixed-charge-out",
        "backoffice/billing/figures.py",
        "else_=usage + Invoice.fixed_charge)",
        "else_=usage)",
        (
            "tests/billing/test_invoices.py::test_an_invoice_comes_to_units_times_rate_and_its_fixed_charge",
        ),
    ),
    Mutant(
        "billing-usage-is-not-rounded",
        "backoffice/billing/figures.py",
        "usage = rounded(Invoice.units * Invoice.rate)\n",
        "usage = Invoice.units * Invoice.rate\n",
        (
            "tests/billing/test_invoices.py::test_the_usage_is_rounded_to_the_currencys_smallest_unit",
        ),
    ),
    Mutant(
        "billing-void-documents-count",
        "backoffice/billing/figures.py",
        "total(amount, by=by, where=status != VOID), 0)",
        "total(amount, by=by), 0)",
        (
            "tests/billing/test_invoice_moves.py::test_a_void_invoice_counts_nowhere_and_keeps_its_reason",
        ),
    ),
    Mutant(
        "billing-inactive-assignments-count",
        "backoffice/billing/figures.py",
        "        .where(assignments.c.is_active)\n",
        "",
        (
            "tests/billing/test_meters.py::test_a_customer_with_two_active_meters_and_an_inactive_one_is_right_after_every_change",
        ),
    ),
    Mutant(
        "billing-overpayment-has-the-wrong-sign",
        "backoffice/billing/figures.py",
        "            Meter.paid - _charged, literal(0), type_",
        "            _charged - Meter.paid, literal(0), type_",
        (
            "tests/billing/test_meters.py::test_a_customer_with_two_active_meters_and_an_inactive_one_is_right_after_every_change",
        ),
    ),
    Mutant(
        "billing-adjustments-are-taken-off",
        "backoffice/billing/rules.py",
        "    return invoiced + adjusted\n",
        "    return invoiced - adjusted\n",
        (
            "tests/billing/test_adjustments.py::test_what_is_posted_is_owed_at_once_and_what_is_voided_no_more",
        ),
    ),
    Mutant(
        "billing-overpaid-invoice-cannot-be-saved",
        "backoffice/billing/rules.py",
        "    return (amount < paid) & (amount < before)\n",
        "    return amount < paid\n",
        (
            "tests/billing/test_invoices.py::test_one_that_was_overpaid_can_still_get_another_due_date",
        ),
    ),
    Mutant(
        "billing-amount-that-is-just-paid-is-refused",
        "backoffice/billing/rules.py",
        "    return (amount < paid) & (amount < before)\n",
        "    return (amount <= paid) & (amount < before)\n",
        (
            "tests/billing/test_invoices.py::test_while_payments_name_it_it_comes_to_no_less_and_stays_where_it_is",
        ),
    ),
    Mutant(
        "billing-void-invoice-keeps-its-payments",
        "backoffice/billing/invoices/actions.py",
        "        payment.invoice_id = None\n        records.next_version(payment)\n    invoice.status = VOID\n",
        "        records.next_version(payment)\n    invoice.status = VOID\n",
        (
            "tests/billing/test_invoice_moves.py::test_what_was_paid_on_a_void_invoice_stays_on_the_meter",
        ),
    ),
    Mutant(
        "billing-void-needs-no-reason",
        "backoffice/billing/invoices/actions.py",
        "    if not reason.strip():\n",
        "    if not reason:\n",
        ("tests/billing/test_invoice_moves.py::test_no_void_without_a_reason_and_none_twice",),
    ),
    Mutant(
        "billing-void-payments-move-along",
        "backoffice/billing/invoices/actions.py",
        "(Payment.invoice_id == invoice_id) & (Payment.status != VOID)",
        "(Payment.invoice_id == invoice_id)",
        ("tests/billing/test_invoice_moves.py::test_void_payments_stay_where_they_are",),
    ),
    Mutant(
        "billing-invoice-is-due-before-it-is-issued",
        "backoffice/billing/invoices/charges.py",
        "due_on is not None and due_on < issued_on\n",
        "due_on is not None and due_on == issued_on\n",
        ("tests/billing/test_invoices.py::test_it_is_not_due_before_it_is_issued",),
    ),
    Mutant(
        "billing-invoice-over-nothing-is-issued",
        "backoffice/billing/invoices/charges.py",
        "    if amount <= 0:\n",
        "    if amount < 0:\n",
        ("tests/billing/test_invoices.py::test_what_cannot_be_owed_is_refused_at_its_field",),
    ),
    Mutant(
        "billing-negative-fixed-charge-is-issued",
        "backoffice/billing/invoices/charges.py",
        '    for name in ("units", "rate", "fixed_charge"):\n',
        '    for name in ("units", "rate"):\n',
        ("tests/billing/test_invoices.py::test_what_cannot_be_owed_is_refused_at_its_field",),
    ),
    Mutant(
        "billing-parts-come-to-less-than-the-payment",
        "backoffice/billing/payments/actions.py",
        "    if total != amount:\n",
        "    if total > amount:\n",
        ("tests/billing/test_payments.py::test_parts_that_do_not_add_up_are_refused",),
    ),
    Mutant(
        "billing-part-of-nothing-is-recorded",
        "backoffice/billing/payments/actions.py",
        "any(part.amount <= 0 for part in parts)",
        "any(part.amount < 0 for part in parts)",
        ("tests/billing/test_payments.py::test_a_payment_of_nothing_or_less_is_refused",),
    ),
    Mutant(
        "billing-void-receipt-keeps-its-reference",
        "backoffice/billing/payments/actions.py",
        "for p in parts_in(session, reference) if p.status != VOID), None)",
        "for p in parts_in(session, reference)), None)",
        (
            "tests/billing/test_payments.py::test_a_void_receipt_gives_its_reference_to_the_next_that_wants_it",
        ),
    ),
    Mutant(
        "billing-further-parts-stay-posted",
        "backoffice/billing/payments/actions.py",
        "    for payment in parts:\n        payment.status = VOID\n",
        "    for payment in parts[:1]:\n        payment.status = VOID\n",
        (
            "tests/billing/test_payments.py::test_a_void_receipt_counts_nowhere_with_any_of_its_parts",
        ),
    ),
    Mutant(
        "billing-payment-of-a-day-to-come-is-recorded",
        "backoffice/billing/payments/actions.py",
        "    refuse_to_come(entry.paid_on)\n",
        "",
        ("tests/billing/test_adjustments.py::test_no_action_dates_ahead_what_counts_at_once",),
    ),
    Mutant(
        "billing-void-invoice-takes-a-payment",
        "backoffice/billing/payments/actions.py",
        "    if invoice.status == VOID:\n",
        "    if invoice.status == VOID and paid:\n",
        (
            "tests/billing/test_payments.py::test_void_invoices_and_those_without_a_meter_take_no_payment",
        ),
    ),
    Mutant(
        "billing-part-stays-on-another-meter-than-its-invoice",
        "backoffice/billing/payments/actions.py",
        "        if part.invoice_id is None\n",
        "        if part.invoice_id is None or part.meter_id\n",
        (
            "tests/billing/test_payments.py::test_a_part_on_an_invoice_is_on_the_meter_of_that_invoice_whatever_was_sent",
        ),
    ),
    Mutant(
        "billing-overpaid-invoice-takes-from-the-others",
        "backoffice/billing/payments/allocation.py",
        "            given = min(left, max(target.open, ZERO))\n",
        "            given = min(left, target.open)\n",
        ("tests/billing/test_allocation.py::test_an_invoice_that_was_overpaid_gets_nothing",),
    ),
    Mutant(
        "billing-same-money-goes-to-every-invoice",
        "backoffice/billing/payments/allocation.py",
        "            left -= given\n",
        "",
        (
            "tests/billing/test_allocation.py::test_the_oldest_invoice_is_paid_first_and_the_last_one_in_part",
        ),
    ),
    Mutant(
        "billing-entered-amounts-are-not-taken-off",
        "backoffice/billing/payments/allocation.py",
        "    left = max(amount - sum((decided.get(t.invoice_id, ZERO) for t in targets), ZERO), ZERO)\n",
        "    left = amount\n",
        (
            "tests/billing/test_allocation.py::test_more_than_there_is_leaves_the_others_nothing_and_a_rest_below_zero",
        ),
    ),
    Mutant(
        "billing-last-cent-of-a-receipt-is-lost",
        "backoffice/billing/payments/allocation.py",
        "    if rest:\n",
        "    if rest >= 1:\n",
        ("tests/billing/test_allocation.py::test_a_third_of_a_hundred_leaves_no_unit_behind",),
    ),
    Mutant(
        "billing-two-customers-have-a-meter-on-one-day",
        "backoffice/billing/meters/actions.py",
        "first is None or last is None or first <= last\n",
        "first is None or last is None or first < last\n",
        ("tests/billing/test_meters.py::test_on_one_day_a_meter_is_one_customers",),
    ),
    Mutant(
        "billing-former-customer-keeps-the-day-of-the-change",
        "backoffice/billing/meters/actions.py",
        "    last = since - timedelta(days=1)\n",
        "    last = since\n",
        ("tests/billing/test_meters.py::test_reassigning_ends_the_day_before_and_begins_anew",),
    ),
    Mutant(
        "billing-meter-changes-hands-tomorrow",
        "backoffice/billing/meters/actions.py",
        "    if is_to_come(day):\n        raise DayToCome",
        "    if is_to_come(day) and day.year > 9000:\n        raise DayToCome",
        ("tests/billing/test_meters.py::test_what_changes_hands_at_once_is_not_dated_ahead",),
    ),
    Mutant(
        "billing-ageing-begins-a-day-late",
        "backoffice/billing/ageing/queries.py",
        "due_on >= day - timedelta(days=bucket.until)",
        "due_on > day - timedelta(days=bucket.until)",
        ("tests/billing/test_ageing.py::test_days_past_due_say_which_bucket",),
    ),
    Mutant(
        "billing-ageing-ignores-later-documents",
        "backoffice/billing/ageing/queries.py",
        "        owed = owed - func.coalesce(later.c.amount, 0)\n",
        "        owed = owed - func.coalesce(later.c.amount, 0) * 0\n",
        ("tests/billing/test_ageing.py::test_what_was_paid_later_was_owed_on_the_day",),
    ),
    Mutant(
        "billing-void-invoice-is-open",
        "backoffice/billing/models.py",
        "        return (self.status != VOID) & (self.paid < self.amount)\n",
        "        return self.paid < self.amount\n",
        ("tests/billing/test_ageing.py::test_what_is_void_counts_nowhere",),
    ),
    Mutant(
        "billing-adjustment-is-the-present-customers",
        "backoffice/billing/queries.py",
        "        .order_by(covers.desc(), MeterAssignment.is_active.desc(), MeterAssignment.id.desc())\n",
        "        .order_by(MeterAssignment.is_active.desc(), covers.desc(), MeterAssignment.id.desc())\n",
        (
            "tests/billing/test_invoice_moves.py::test_it_becomes_the_invoice_of_the_meters_owner_on_its_day",
        ),
    ),
)
