"""The examples of `deploy/balance-health/`: each asks an address that there is, and the shell's monitor heals."""

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from typing import Any

import psycopg
import pytest
import yaml
from flask import Flask
from werkzeug.serving import make_server

from backoffice.app.config import ROOT
from backoffice.ledger.models import Account
from backoffice.people import tokens
from tests.factories.ledger import of, posted

from .books import balances

FOLDER = ROOT / "deploy" / "balance-health"
EXAMPLES = sorted(FOLDER.iterdir())


@pytest.mark.parametrize("example", EXAMPLES, ids=[path.name for path in EXAMPLES])
def test_an_example_asks_an_address_that_there_is_and_holds_no_secret(
    example: Path, app: Flask
) -> None:
    text = example.read_text().replace("$address", "/admin/balance-health")
    asked = set(re.findall(r"/admin/balance-health/[\w-]+", text))
    assert asked <= {str(rule) for rule in app.url_map.iter_rules()}
    assert asked
    assert not re.search(r"bo_\w", text)


def test_the_cron_job_of_kubernetes_starts_once_a_night_and_again_only_where_it_failed() -> None:
    job = yaml.safe_load((FOLDER / "kubernetes-cronjob.yaml").read_text())
    assert (job["kind"], job["spec"]["schedule"]) == ("CronJob", "0 2 * * *")
    assert job["spec"]["concurrencyPolicy"] == "Forbid"
    pod = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    assert pod["restartPolicy"] == "OnFailure"
    assert "--fail" in pod["containers"][0]["command"]


def test_the_image_is_asked_every_half_hour_for_what_is_stored() -> None:
    said = (FOLDER / "Dockerfile.healthcheck").read_text()
    often = ("--interval=30m", "--timeout=3s", "--start-period=5s", "--retries=3")
    for how in (*often, "strict=1", "stored=1"):
        assert how in said


@pytest.fixture
def monitor(app: Flask, session: Any, tmp_path: Path) -> Iterator[Any]:
    """The monitor, run once against the app; its exit status and what it says."""
    secret = tokens.create(session, name="monitor", scope="health", expires_at=None).secret
    session.commit()
    header = tmp_path / "authorization"
    header.write_text(f"Authorization: Bearer {secret}\n")
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    address = f"http://127.0.0.1:{server.server_port}"
    where = {**os.environ, "BACKOFFICE_URL": address, "BACKOFFICE_TOKEN_FILE": str(header)}

    def run() -> tuple[int, str]:
        command = ["sh", str(FOLDER / "check-balance.sh")]
        done = subprocess.run(command, env=where, capture_output=True, text=True, timeout=60, check=False)  # fmt: skip
        return done.returncode, done.stdout

    yield run
    server.shutdown()
    thread.join()


def test_the_monitor_is_silent_while_all_is_right_and_else_says_so_and_heals(
    monitor: Any, session: Any, chart: dict[str, Account], surgery: psycopg.Connection[Any]
) -> None:
    posted(of(chart["Cash"], 100), of(chart["Capital"], -100))
    session.commit()
    assert monitor() == (0, "")
    surgery.execute("UPDATE accounts SET debits = debits + 7 WHERE code = 'Cash'")
    status, said = monitor()
    assert status == 1
    assert "The balance sheet is not valid" in said
    assert balances(session) == {"Cash": 100, "Capital": 100}
    assert monitor() == (0, "")
