"""The kind of run that changes prices: a dry run records what each changes, and applying does exactly that."""

from typing import TYPE_CHECKING

from ...base import N_
from ...base.late import Late
from ...runs.kinds import RunKind, Scope, as_dry_run
from ...runs.wording import Reason
from ...web.record_links import Word
from ..rules import CHANGE_PRICES as NAME
from ..rules import MOVED, NO_PRICE, SHOWN, UNPRICED

if TYPE_CHECKING:
    from . import work
else:
    work = Late("backoffice.gas.pricing.work")


def _unseen(scope: Scope) -> tuple[str, Scope] | None:
    """A dry run first, for a change that no user has seen on a screen or in a dry run."""
    return None if SHOWN in scope or "run" in scope else as_dry_run(NAME, scope)


CHANGE_PRICES = RunKind(
    NAME, N_("Change gas prices"), "gas.write", work.plan, work.work, work.finish, work.again,
    apply_as=NAME, preview=_unseen,
)  # fmt: skip

KINDS = (CHANGE_PRICES,)

SCOPES = (
    ("prices", N_("these new prices")),
    (SHOWN, N_("as the screen has shown")),
    (UNPRICED, N_("customers without a price on that day are left alone")),
)

WORDS = (
    Word(
        NAME, N_("Gas price"), "customers",
        {
            "price_per_sm3": N_("Price per Sm³"), "correction_factor": N_("Correction factor"),
            "purchases": N_("Purchases"), "closing_balance": N_("Closing balance"),
        },
    ),
)  # fmt: skip
"""How items are named: by the customer, with the labels of the changed values."""

REASONS = (Reason(MOVED), Reason(NO_PRICE))
