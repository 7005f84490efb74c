"""The kind of run that recalculates customers from the documents of their meters."""

from ..base import N_
from ..runs.kinds import Kind, register
from ..runs.wording import name_scope
from . import recalculation, recalculation_report
from .migrating.chain import going_on

RECALCULATE = register(
    Kind(
        "billing.recalculate", N_("Recalculate customer balances"), "figures.heal",
        recalculation.plan, recalculation.recalculate, going_on(recalculation_report.finish),
        recalculation.again, apply_as="figures.apply", report="billing.recalculation",
    )
)  # fmt: skip

name_scope("customers", N_("some customers alone"))
