"""Careless changes of imports: lines that differ, and keys that were used before."""

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
)
