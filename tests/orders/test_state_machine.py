"""Random sequences of writes leave no drift, and refused writes change nothing."""

from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from flask import Flask
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.depth import examples

from .machine import Orders

pytestmark = pytest.mark.slow

EXAMPLES = examples(25)
STEPS = 40


@pytest.mark.timeout(60 + 10 * EXAMPLES)
def test_random_writes_leave_no_drift_and_refused_ones_no_trace(
    app: Flask, outside: psycopg.Connection[Any], sweep: Callable[[], None]
) -> None:
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        lambda: Orders(app, outside, sweep),
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
