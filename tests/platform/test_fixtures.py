"""Tests of the test suite's own fixtures."""

from sqlalchemy import text


def test_the_app_runs_as_a_role_that_owns_nothing(session):
    assert session.scalar(text("SELECT current_user")) == "backoffice_app"
