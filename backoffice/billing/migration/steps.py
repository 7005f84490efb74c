"""The six steps of the migration, in order, with the kind and scope of run of each."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ...base import N_
from ...drift.verification.scope import scope_of
from ..figures import invoice_amount, meter_balance, meter_totals


@dataclass(frozen=True)
class MigrationStep:
    """One step: its kind of run, scope, title and description."""

    number: int
    name: str
    kind: str
    title: str
    about: str
    scope: Mapping[str, Any] = field(default_factory=dict)
    in_advance: str = ""
    """A note on its dry run in a whole migration, where the other steps have not been done."""
    only_looks: bool = False
    """It only checks, so there is nothing to preview."""


STEPS = (
    MigrationStep(
        1, "payment-meters", "billing.backfill-payment-meters",
        N_("Give payments their meters"),
        N_(
            "A payment goes to the meter of its invoice, or else to the only meter that its customer "
            "had on that day. Invoices without a meter are assigned first, by their date."
        ),
    ),
    MigrationStep(
        2, "invoice-amounts", "billing.backfill-invoice-amounts",
        N_("Compute invoice amounts"),
        N_("Units × rate, rounded, plus the fixed charge. Amounts that a user entered stay as they are."),
        scope_of([invoice_amount]),
    ),
    MigrationStep(
        3, "validation", "billing.validate",
        N_("Validate payments and documents"),
        N_("Looks for missing meters, overpaid invoices, duplicates, and days outside an assignment."),
        in_advance=N_("Shows the result after all six steps."),
        only_looks=True,
    ),
    MigrationStep(
        4, "meter-balances", "billing.meter-balances",
        N_("Calculate meter balances"),
        N_("Invoices plus adjustments minus payments: above zero is the balance, below zero the overpayment."),
        scope_of([meter_totals, meter_balance]),
        N_("Shows the result after all six steps."),
    ),
    MigrationStep(
        5, "customer-balances", "billing.recalculate",
        N_("Recalculate customer balances"),
        N_("Adds up the meters that are actively assigned to the customer."),
        in_advance=N_("Shows the result after all six steps."),
    ),
    MigrationStep(
        6, "proof", "billing.prove",
        N_("Prove that everything ties out"),
        N_("Adds up all documents again with separate SQL, and compares meters, customers and totals."),
        in_advance=N_("Shows the result after all six steps."),
        only_looks=True,
    ),
)  # fmt: skip
"""The steps in their order."""

KEY = "migration"
"""The key in a run's scope that identifies the migration it is a step of."""

WHOLE, APPLY_WHOLE = "billing.migration", "billing.apply-migration"
"""The kinds of runs that list all findings of the previewed steps, and that apply exactly these."""

STEP_OF = {step.kind: step for step in STEPS}
"""Kind of run → step."""

STEP_NAMED = {step.name: step for step in STEPS}
"""Name in URLs → step."""


def after(step: MigrationStep) -> MigrationStep | None:
    """The step that follows; None after the last one."""
    return next((other for other in STEPS if other.number == step.number + 1), None)


def is_step(scope: Mapping[str, Any]) -> bool:
    """Whether a run of this scope is a step of a whole migration, and so is applied with the others."""
    return KEY in scope
