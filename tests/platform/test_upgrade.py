"""`backoffice db upgrade` is atomic and idempotent."""

import json
from collections.abc import Callable
from datetime import date
from typing import Any

import psycopg
import pytest
from flask import Flask
from sqlalchemy import Select, func, select

from backoffice import figures
from backoffice.commands.upgrade import upgrade
from backoffice.customers.models import Customer
from backoffice.database import grants
from backoffice.database.embedded import ADMIN, Services
from backoffice.figures import Registry
from backoffice.targets.models import AccountManagerTarget
from tests.factories.customers import CustomerFactory
from tests.factories.orders import OrderFactory

pytestmark = pytest.mark.slow

Connection = psycopg.Connection[Any]


def test_a_second_upgrade_changes_nothing(run_command: Callable[..., Any]) -> None:
    done = run_command("db", "upgrade")
    assert (done.exit_code, done.output) == (0, "The database is up to date.\n")


def test_an_upgrade_puts_tampered_triggers_right(app: Flask, owner_connection: Connection) -> None:
    owner_connection.execute("UPDATE schema_fingerprints SET fingerprint = 'another version'")
    assert "renewed" in upgrade(app)[0]
    assert upgrade(app) == []


def test_an_interrupted_upgrade_leaves_nothing_and_the_next_one_succeeds(
    app: Flask, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    with psycopg.connect(services.postgres.url(ADMIN), autocommit=True) as admin:
        admin.execute("CREATE DATABASE half OWNER backoffice_owner TEMPLATE template0")
        url = services.postgres.url("backoffice_owner").replace("/backoffice?", "/half?")
        monkeypatch.setitem(app.config, "MIGRATION_DATABASE_URL", f"{url}")
        try:
            with monkeypatch.context() as at_the_end:
                at_the_end.setattr(grants, "sync", _power_cut)
                with pytest.raises(PowerCut):
                    upgrade(app)
            with psycopg.connect(url) as half:
                count = half.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
                assert count.fetchone() == (0,)
            assert upgrade(app)
        finally:
            admin.execute("DROP DATABASE half WITH (FORCE)")


class PowerCut(Exception):
    """Raised to interrupt the upgrade at its last step."""


def _power_cut(*_: object) -> None:
    raise PowerCut


def test_a_figure_that_the_database_has_not_seen_is_computed_for_the_rows_that_are_there(
    app: Flask, session: Any, surgery: Connection
) -> None:
    order = OrderFactory(closing_date=date(2026, 3, 9))
    session.commit()
    with surgery.transaction():
        surgery.execute("DELETE FROM account_manager_targets")
        surgery.execute("DELETE FROM figure_notes")
        surgery.execute(
            "DELETE FROM schema_fingerprints WHERE name = 'account_manager_targets.achieved'"
        )
    assert upgrade(app) == ["account_manager_targets.achieved: 1 rows were computed, 0 failed."]
    [row] = session.scalars(select(AccountManagerTarget)).all()
    assert (row.month, row.achieved) == (date(2026, 3, 1), order.grand_total)
    assert upgrade(app) == []


def a_version_that_declares_wrongly() -> Registry:
    """Declarations with an error: each customer's figure is the sum over all customers."""
    registry = Registry("figures")

    @registry.figure(Customer.overpayment, title="Wrong")
    def wrong(customers: Any = Customer) -> Select[Any]:
        return select(customers.c.id, func.sum(customers.c.id).over().label("overpayment"))

    return registry


def test_a_wrong_declaration_is_disproved_by_a_command_and_not_by_an_upgrade(
    app: Flask, session: Any, run_command: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    CustomerFactory.create_batch(2)
    session.commit()
    done = run_command("figures", "prove", "--json")
    assert (done.exit_code, json.loads(done.stdout)) == (0, {"disproved": []})
    try:
        with monkeypatch.context() as version:
            version.setattr(figures, "registry", a_version_that_declares_wrongly())
            assert "reads what belongs to other owners" not in "".join(upgrade(app))
            done = run_command("figures", "prove", "--json")
            [one] = json.loads(done.stdout)["disproved"]
            assert (done.exit_code, one["figure"]) == (1, "customers.overpayment")
            assert "reads what belongs to other owners" in one["problem"]
            assert "customers.overpayment: " in run_command("figures", "prove").stdout
    finally:
        upgrade(app)
