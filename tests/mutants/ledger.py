"""Careless changes of the ledger's triggers: entries balance, whatever program posts them."""

from .mutant import Mutant

MUTANTS: tuple[Mutant, ...] = (
    Mutant(
        "ledger-entry-may-be-off-by-a-cent",
        "backoffice/ledger/triggers.py",
        "  IF debits <> credits OR debits = 0 THEN\n",
        "  IF abs(debits - credits) > 0.01 OR debits = 0 THEN\n",
        ("tests/ledger/test_laws.py::test_an_unbalanced_entry_is_refused_at_commit",),
    ),
)
