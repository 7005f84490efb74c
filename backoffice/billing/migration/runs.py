"""The kinds of runs of the migration, one per step; the fifth is the recalculation of customers."""

from functools import partial
from typing import TYPE_CHECKING

from ...base import N_
from ...base.late import Late
from ...drift.healing import applying
from ...drift.runs import HEAL
from ...runs.kinds import RunKind, Scope, as_dry_run
from . import steps
from .chain import with_next_step
from .steps import is_step

if TYPE_CHECKING:
    from . import amounts, balances, checks, groups, placing, proving, together
else:
    amounts, balances, checks, groups, placing, proving, together = (
        Late(f"backoffice.billing.migration.{name}")
        for name in (
            "amounts", "balances", "checks", "groups", "placing", "proving", "together",
        )
    )  # fmt: skip

REPORT = "billing.migration_report"
"""The endpoint that shows the report of a step's run."""


def _placed_unseen(scope: Scope) -> tuple[str, Scope] | None:
    """The preview of a run; None for one that applies a dry run's findings, which has the same kind."""
    return None if "run" in scope else as_dry_run("billing.backfill-payment-meters", scope)


PLACE = RunKind(
    "billing.backfill-payment-meters", N_("Give payments their meters"), "figures.heal",
    together.plan, together.work, with_next_step(placing.finish), groups.again,
    apply_as="billing.backfill-payment-meters", report=REPORT, preview=_placed_unseen,
    is_part=is_step,
)  # fmt: skip
AMOUNTS = RunKind(
    "billing.backfill-invoice-amounts", N_("Compute invoice amounts"), "figures.heal",
    amounts.plan, amounts.work, with_next_step(amounts.finish), HEAL.again, apply_as="figures.apply",
    report=REPORT, preview=partial(as_dry_run, "billing.backfill-invoice-amounts"), is_part=is_step,
)  # fmt: skip
VALIDATE = RunKind(
    "billing.validate", N_("Validate payments and documents"), "figures.heal",
    checks.plan, checks.work, with_next_step(checks.finish), report=REPORT,
)  # fmt: skip
BALANCES = RunKind(
    "billing.meter-balances", N_("Calculate meter balances"), "figures.heal",
    balances.plan, balances.work, with_next_step(balances.finish), balances.again,
    apply_as="figures.apply", report=REPORT,
    preview=partial(as_dry_run, "billing.meter-balances"), is_part=is_step,
)  # fmt: skip
PROVE = RunKind(
    "billing.prove", N_("Prove that everything ties out"), "figures.heal",
    proving.plan, proving.work, with_next_step(proving.finish), report=REPORT,
)  # fmt: skip
WHOLE = RunKind(
    steps.WHOLE, N_("Migration, all steps"), "figures.heal",
    together.plan, together.work, with_next_step(placing.finish), apply_as=steps.APPLY_WHOLE,
)  # fmt: skip
APPLY_WHOLE = RunKind(
    steps.APPLY_WHOLE, N_("Apply a migration"), "figures.heal",
    together.plan, together.work, applying.result, groups.again,
)  # fmt: skip

KINDS = (PLACE, AMOUNTS, VALIDATE, BALANCES, PROVE, WHOLE, APPLY_WHOLE)
