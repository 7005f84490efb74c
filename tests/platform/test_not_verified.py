"""A figure that the database keeps by another definition does not prevent others from being verified."""

import json
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from sqlalchemy import select

from backoffice import figures
from backoffice.app.extensions import db
from backoffice.commands.upgrade import upgrade
from backoffice.drift.healing import dry_runs
from backoffice.drift.models import DriftFinding, FigureCheck
from backoffice.drift.verification.checks import all_checks
from backoffice.figures import registry
from backoffice.figures.errors import AnotherDefinition
from backoffice.runs.models import Run, RunItem
from tests.factories.orders import OrderFactory

Connection = psycopg.Connection[Any]
CHANGED = "orders.components"


@pytest.fixture
def another_version(app: Any, owner_connection: Connection) -> Any:
    """A database that was upgraded by a version with another definition of a figure."""
    bundle = registry.bundle_of(registry.get(CHANGED))
    owner_connection.execute(
        "UPDATE schema_fingerprints SET fingerprint = repeat(%s, 64) "
        'WHERE name = %s AND "group" LIKE %s',
        ("0", bundle.name, "% defined"),
    )
    yield sorted(figure.name for figure in bundle.figures)
    upgrade(app)


@pytest.mark.leaves_drift
@pytest.mark.parametrize("database", ["takes writes", "read-only"])
def test_the_command_verifies_the_others_names_it_and_exits_1(
    database: str, session: Any, surgery: Connection, another_version: list[str],
    run_command: Callable[..., Any], admin_database_url: str,
) -> None:  # fmt: skip
    OrderFactory()
    session.commit()
    surgery.execute("UPDATE customers SET balance = balance + 5")
    if database == "read-only":
        with psycopg.connect(admin_database_url, autocommit=True) as admin:
            admin.execute("ALTER ROLE backoffice_app SET default_transaction_read_only = on")
    try:
        db.engine.dispose()
        done = run_command("figures", "verify", "--json")
        said = run_command("figures", "verify")
    finally:
        with psycopg.connect(admin_database_url, autocommit=True) as admin:
            admin.execute("ALTER ROLE backoffice_app RESET default_transaction_read_only")
        db.engine.dispose()
    assert (done.exit_code, said.exit_code) == (1, 1), done.output
    reported = json.loads(done.stdout)
    assert reported["not_verified"] == another_version
    assert [finding["figure"] for finding in reported["findings"]] == ["customers.balance"]
    assert not reported["figures"].keys() & set(another_version), "of them nothing is claimed"
    assert f"Not verified: {', '.join(another_version)}." in said.stderr
    assert "Every figure is right" not in said.stdout


def test_a_run_fails_it_at_once_and_claims_nothing_of_it(
    session: Any, another_version: list[str], run_command: Callable[..., Any]
) -> None:
    OrderFactory()
    session.commit()
    done = run_command("figures", "verify")
    assert done.exit_code == 1
    assert "Every figure is right" not in done.stdout
    run = session.scalars(select(Run).order_by(Run.id.desc()).limit(1)).one()
    [item] = session.scalars(select(RunItem).where(RunItem.run_id == run.id)).all()
    assert item.outcome == "failed"
    assert "another definition" in item.error
    assert (run.failed, run.checked) == (1, run.unchanged + 1)
    verified = set(session.scalars(select(FigureCheck.figure))) - set(all_checks())
    assert verified == {figure.name for figure in registry.figures} - set(another_version)
    assert session.scalars(select(DriftFinding.id)).all() == []


@pytest.mark.leaves_drift
@pytest.mark.parametrize("verb", ["heal", "rebuild"])
def test_a_dry_run_that_could_not_look_at_it_claims_nothing(
    session: Any, surgery: Connection, another_version: list[str],
    run_command: Callable[..., Any], verb: str,
) -> None:  # fmt: skip
    OrderFactory()
    session.commit()
    surgery.execute("UPDATE orders SET grand_total = 1")
    done = run_command("figures", verb, "--dry-run")
    assert (done.exit_code, done.stdout) == (1, "")
    assert "did not look at everything: " in done.stderr
    assert ", ".join(another_version) in done.stderr
    run = session.scalars(select(Run)).one()
    assert dry_runs.as_dict(run)["status"] == "finished with failures"


def test_the_library_looks_at_the_others_and_then_refuses(
    session: Any, another_version: list[str]
) -> None:
    with pytest.raises(AnotherDefinition) as refused:
        assert list(figures.verify(db.engine)) == []
    assert refused.value.names == another_version
    others = [f for f in registry.figures if f.name not in another_version]
    assert list(figures.verify(db.engine, others)) == []


@pytest.mark.leaves_drift
def test_a_page_claims_nothing_of_it_either(
    session: Any, surgery: Connection, another_version: list[str], sign_in: Any
) -> None:
    order = OrderFactory(number="A-1")
    session.commit()
    surgery.execute("UPDATE orders SET total_price = 1, grand_total = 1 WHERE id = %s", (order.id,))
    assert sign_in("finance").get("/orders/A-1").status_code == 200
    session.rollback()
    assert not set(session.scalars(select(DriftFinding.figure))) & set(another_version)
