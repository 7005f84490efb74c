"""`backoffice targets generate`: proposals, corrections, and exit statuses."""

import json
from decimal import Decimal

import psycopg
import pytest

from backoffice.base.periods import Month, today
from backoffice.targets import queries


def run(run_command, *words):
    done = run_command("targets", "generate", *words)
    return done.exit_code, done.output


def of(run_command, *words):
    done = run_command("targets", "generate", *words, "--json")
    return done.exit_code, json.loads(done.stdout)


@pytest.fixture
def sold(session, nancy, close):
    """Nancy closed 90.50 in January 1997."""
    close(nancy, "1997-01-31", "90.50")
    session.commit()


def test_a_year_is_generated_once(run_command, session, sold, nancy):
    status, reported = of(run_command, "--year", "1998", "--growth", "10")
    assert status == 0
    assert (reported["created"], reported["updated"], reported["without_basis"]) == (1, 0, 11)
    assert reported["targets"] == [
        {
            "account_manager": nancy.email,
            "month": "1998-01",
            "before": None,
            "target": "99.55",
            "difference": "99.55",
        }
    ]
    status, reported = of(run_command, "--year", "1998", "--growth", "10")
    assert (status, reported["created"], reported["unchanged"], reported["corrections"]) == (
        0,
        0,
        1,
        0,
    )


def test_a_dry_run_writes_nothing_and_says_what_it_found(run_command, session, sold, nancy):
    status, reported = of(run_command, "--year", "1998", "--dry-run")
    assert (status, reported["created"], reported["drifted"]) == (1, 1, 0)
    assert queries.row_of(session, nancy.id, Month(1998, 1)) is None
    status, output = run(run_command, "--year", "2005", "--dry-run")
    assert status == 0
    assert "0 targets would be set" in output


def test_what_was_entered_is_replaced_only_with_update(run_command, session, sold, nancy, aim):
    aim(nancy, "1998-01", "5")
    session.commit()
    status, reported = of(run_command, "--month", "1998-01")
    assert (status, reported["kept"], reported["months"]) == (0, 1, ["1998-01"])
    status, reported = of(run_command, "--month", "1998-01", "--update")
    assert (status, reported["updated"]) == (0, 1)
    session.rollback()
    assert queries.row_of(session, nancy.id, Month(1998, 1)).target == Decimal("90.50")


def test_by_default_it_is_this_year(run_command, session, nancy):
    status, reported = of(run_command, "--otherwise", "1000.50")
    assert (status, reported["created"]) == (0, 12)
    assert reported["months"][0] == f"{today().year}-01"


@pytest.mark.leaves_drift
def test_what_is_stored_as_achieved_is_corrected(
    run_command, session, sold, nancy, admin_database_url
):
    with psycopg.connect(admin_database_url, autocommit=True) as surgeon:
        surgeon.execute("SET session_replication_role = replica")
        surgeon.execute("UPDATE account_manager_targets SET achieved = 1")
    status, reported = of(run_command, "--year", "1998", "--dry-run")
    assert (status, reported["drifted"]) == (1, 1)
    status, reported = of(run_command, "--year", "1998")
    assert (status, reported["corrections"], reported["failures"]) == (0, 1, [])
    assert reported["targets"][0]["target"] == "90.50"
    assert run_command("figures", "verify").exit_code == 0


def test_for_people_it_says_what_it_did(run_command, session, sold):
    status, output = run(run_command, "--year", "1998")
    assert status == 0
    assert "1998-01 Nancy Davolio: – → 90.50" in output
    assert "1 targets set, 0 replaced, 0 kept, 0 right already; 11 months" in output
    assert "0 achieved amounts corrected, 0 failed." in output


@pytest.mark.parametrize(
    "words",
    [
        ["--month", "1998-13"],
        ["--month", "1998-01", "--year", "1997"],
        ["--month", "0001-01"],
        ["--year", "12"],
        ["--growth", "much"],
        ["--growth=-101"],
        ["--otherwise=-1"],
    ],
)
def test_bad_usage_is_trouble(run_command, session, words):
    assert run(run_command, *words)[0] == 2
