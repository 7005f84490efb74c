"""Careless changes of permissions: a view that opens to those who may only read."""

from .mutant import Mutant

MUTANTS: tuple[Mutant, ...] = (
    Mutant(
        "people-view-that-writes-opens-to-readers",
        "backoffice/billing/invoices/views.py",
        '@requires("billing.write")\ndef propose()',
        '@requires("billing.read")\ndef propose()',
        (
            "tests/people/test_permissions.py::test_every_view_is_open_to_those_of_the_table_and_to_no_others",
        ),
    ),
)
