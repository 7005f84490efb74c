"""FAULTS.md, line 26, with runs: repeated heals, rebuilds and verifications, concurrent with four writers."""

from collections import Counter
from typing import Any

import psycopg
import pytest
from flask import Flask
from sqlalchemy import func, select

from backoffice.app.extensions import db
from backoffice.drift.healing.performing import performed
from backoffice.drift.models import DriftFinding
from backoffice.figures.models import Correction
from backoffice.runs import actions
from tests.depth import seconds
from tests.processes import Race, together

from .test_races import SAVES, everything_is_right, live_edits, orders

pytestmark = pytest.mark.slow

WRITERS = 4

KINDS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("figures.heal", {}),
    ("figures.rebuild", {}),
    ("figures.verify", {"fix": True}),
)


def test_runs_beside_live_edits_fix_nothing_that_is_right_and_find_nothing(
    app: Flask, session: Any, outside: psycopg.Connection[Any]
) -> None:
    keys = orders(session, 4)
    race = Race(WRITERS + 1)

    def heal() -> None:
        for turn in race.turns(2 * len(KINDS)):
            kind, scope = KINDS[turn % len(KINDS)]
            run = actions.request(db.session(), kind, scope, is_paced=False, is_here=True)
            run_id = run.id
            db.session.commit()
            assert performed(db.engine, run_id).is_clean

    *writers, _healed = together(
        app,
        *(lambda seed=seed: live_edits(seed, keys, race) for seed in range(WRITERS)),
        heal,
        seconds=seconds(120),
    )
    outcomes = sum(writers, Counter[str]())
    assert outcomes["done"] >= WRITERS * SAVES
    assert set(outcomes) == {"done"}
    for model in (Correction, DriftFinding):
        assert session.scalar(select(func.count()).select_from(model)) == 0, "a false fix"
    session.rollback()
    everything_is_right(session, outside)
