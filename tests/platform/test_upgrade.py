"""`backoffice db upgrade`: all of it or nothing, and as often as one likes."""

from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from flask import Flask

from backoffice import grants
from backoffice.embedded import ADMIN, Services
from backoffice.upgrade import upgrade

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
    """What ends the upgrade at its last step."""


def _power_cut(*_: object) -> None:
    raise PowerCut
