"""The examples of `deploy/balance-health/`: each asks an address that there is, and the shell's monitor heals."""

import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from threading import Thread
from typing import Any

import psycopg
import pytest
import yaml
from flask import Flask
from werkzeug.serving import make_server

from backoffice.app.config import ROOT
from backoffice.ledger.models import Account, JournalEntry
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


def command_of(example: str) -> list[str]:
    """The commands that the schedule runs."""
    text = (FOLDER / example).read_text()
    if example == "kubernetes-cronjob.yaml":
        pod = yaml.safe_load(text)["spec"]["jobTemplate"]["spec"]["template"]["spec"]
        return list(pod["containers"][0]["command"])
    if example == "schtasks.cmd":
        [said] = re.findall(r'/tr "(.*?)"', text)
        return str(said).replace("\\", "/").split()
    [line] = [line for line in text.splitlines() if not line.startswith("#")]
    return shlex.split(line.partition("backoffice")[2])


@pytest.fixture
def answering(app: Flask, session: Any, tmp_path: Path) -> Iterator[dict[str, str]]:
    """The environment of the examples: the app's address, and the file with the token."""
    secret = tokens.create(session, name="monitor", scope="health", expires_at=None).secret
    session.commit()
    header = tmp_path / "authorization"
    header.write_text(f"Authorization: Bearer {secret}\n")
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    address = f"http://127.0.0.1:{server.server_port}"
    yield {"BACKOFFICE_URL": address, "BACKOFFICE_TOKEN_FILE": str(header), "BACKOFFICE_WAIT": "0"}
    server.shutdown()
    thread.join()


def run(command: list[str], **where: str) -> tuple[int, str]:
    """Its exit status, and what it says."""
    env = {**os.environ, **where}
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout


@pytest.fixture
def monitor(answering: dict[str, str]) -> Any:
    """The monitor, run once against the app."""
    return partial(run, ["sh", str(FOLDER / "check-balance.sh")], **answering)


@pytest.fixture
def cash(session: Any, chart: dict[str, Account]) -> JournalEntry:
    """An entry of a book that is right."""
    entry = posted(of(chart["Cash"], 100), of(chart["Capital"], -100))
    session.commit()
    return entry


def test_the_monitor_is_silent_while_all_is_right_and_else_says_so_and_heals(
    monitor: Any, session: Any, cash: JournalEntry, surgery: psycopg.Connection[Any]
) -> None:
    assert monitor() == (0, "")
    surgery.execute("UPDATE accounts SET debits = debits + 7 WHERE code = 'Cash'")
    status, said = monitor()
    assert status == 1
    assert "The balance sheet is not valid" in said
    assert balances(session) == {"Cash": 100, "Capital": 100}
    assert monitor() == (0, "")


def test_the_monitors_of_six_hosts_are_all_answered(monitor: Any, cash: JournalEntry) -> None:
    with ThreadPoolExecutor(6) as pool:
        assert [one.result() for one in [pool.submit(monitor) for _ in range(6)]] == [(0, "")] * 6


@pytest.mark.leaves_drift
@pytest.mark.parametrize("example", ["crontab", "kubernetes-cronjob.yaml", "schtasks.cmd"])
def test_an_example_fails_where_the_book_is_not_right_after_the_maintenance(
    example: str, answering: dict[str, str], cash: JournalEntry, surgery: psycopg.Connection[Any]
) -> None:
    tool, *arguments = command_of(example)
    assert tool in ("curl", "curl.exe")
    here, token = answering["BACKOFFICE_URL"], answering["BACKOFFICE_TOKEN_FILE"]
    said = [re.sub(r"@.*", f"@{token}", re.sub(r"^https?://[^/]*", here, a)) for a in arguments]
    assert run(["curl", *said])[0] == 0
    surgery.execute("UPDATE accounts SET debits = debits + 7 WHERE code = 'Cash'")
    assert run(["curl", *said])[0] == 0, "what is safe to heal is healed"
    surgery.execute("DELETE FROM journal_lines WHERE entry_id = %s AND credit > 0", (cash.id,))
    assert run(["curl", *said])[0] == 22
