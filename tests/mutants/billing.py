"""Careless changes of billing: in which order payments are allocated, and how much an invoice takes."""

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
)
