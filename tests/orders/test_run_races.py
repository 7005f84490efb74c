"""FAULTS.md, line 26, with runs: heals, rebuilds and verifications over and over, beside four writers."""

import time
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
from tests.processes import together

from .test_races import everything_is_right, live_edits, orders

pytestmark = pytest.mark.slow

SECONDS = seconds(6)

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
    until = time.monotonic() + SECONDS

    def heal() -> int:
        rounds = 0
        while time.monotonic() < until or rounds < len(KINDS):
            kind, scope = KINDS[rounds % len(KINDS)]
            run = actions.request(db.session(), kind, scope, is_paced=False, is_here=True)
            run_id = run.id
            db.session.commit()
            assert performed(db.engine, run_id).is_clean
            rounds += 1
        return rounds

    *writers, rounds = together(
        app,
        *(lambda seed=seed: live_edits(seed, keys, until) for seed in range(WRITERS)),
        heal,
        seconds=SECONDS + 60,
    )
    outcomes = sum(writers, Counter[str]())
    assert rounds > 2
    assert outcomes["done"] > 50
    assert set(outcomes) == {"done"}
    for model in (Correction, DriftFinding):
        assert session.scalar(select(func.count()).select_from(model)) == 0, "a false fix"
    session.rollback()
    everything_is_right(session, outside)
