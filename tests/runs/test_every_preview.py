"""For every kind of run with a preview: its dry run lists exactly what applying it writes, net and gross."""

import random
from typing import Any

import pytest
from flask import Flask

from backoffice.app.extensions import db
from backoffice.billing.migration.steps import STEP_OF, WHOLE
from backoffice.figures import registry
from backoffice.runs import actions
from backoffice.runs.models import Run
from tests.billing.books_of_meters import ended, migrated
from tests.billing.test_migration_outlook import (
    TAMPERED,
    WRITTEN,
    a_book,
    assert_applied_as_listed,
    standing,
)
from tests.depth import examples
from tests.drift.every_figure import fill, tamper

pytestmark = pytest.mark.slow

PREVIEWED = (
    "figures.heal", "figures.rebuild", "billing.recalculate", "billing.backfill-payment-meters",
    "billing.backfill-invoice-amounts", "billing.meter-balances", WHOLE,
)  # fmt: skip


OF_FACTS = {"gas.change-prices"}
"""Kinds that list facts entered by a user, not totals: tests/gas/test_pricing."""


def test_every_kind_that_can_be_applied_is_tried(app: Flask) -> None:
    applied = {name for name, kind in app.declared.kinds.items() if kind.apply_as}
    assert applied == set(PREVIEWED) | OF_FACTS


def previewed(kind: str) -> Run:
    if kind == WHOLE:
        return migrated(dry_run=True)[0]
    scope = STEP_OF[kind].scope if kind in STEP_OF else {}
    asked = actions.request(db.session(), kind, scope, dry_run=True, is_paced=False)
    db.session.commit()
    return ended(asked.id)


@pytest.mark.leaves_drift
@pytest.mark.parametrize("seed", range(examples(1)))
@pytest.mark.parametrize("kind", PREVIEWED)
def test_what_is_listed_is_what_is_written(
    kind: str, seed: int, session: Any, surgery: Any, owner_database_url: str, kept_book: Any
) -> None:
    def make() -> None:
        fill(session)
        a_book(session, seed)
        for statement in TAMPERED:
            surgery.execute(statement)
        tamper(surgery, random.Random(seed), 5)

    kept_book(f"previewed {seed}", make)
    before = standing(session, owner_database_url)
    written = WRITTEN | {figure.table.name for figure in registry.figures}
    dry = previewed(kind)
    assert assert_applied_as_listed(session, dry, owner_database_url, before, written) > 1
    again = previewed(kind)
    assert again.changed == 0, "nothing of it is left"
