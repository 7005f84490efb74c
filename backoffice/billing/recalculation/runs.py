"""The kind of run that recalculates customers from the documents of their meters."""

from functools import partial
from typing import TYPE_CHECKING

from ...base import N_
from ...base.late import Late
from ...runs.kinds import RunKind, as_dry_run
from ..migration.chain import with_next_step
from ..migration.steps import is_step

if TYPE_CHECKING:
    from . import chunks as recalculation
    from . import report as recalculation_report
else:
    recalculation = Late("backoffice.billing.recalculation.chunks")
    recalculation_report = Late("backoffice.billing.recalculation.report")

RECALCULATE = RunKind(
    "billing.recalculate", N_("Recalculate customer balances"), "figures.heal",
    recalculation.plan, recalculation.recalculate, with_next_step(recalculation_report.finish),
    recalculation.again, apply_as="figures.apply", report="billing.recalculation",
    preview=partial(as_dry_run, "billing.recalculate"), is_part=is_step,
)  # fmt: skip

SCOPES = (("customers", N_("some customers alone")),)

KINDS = (RECALCULATE,)
