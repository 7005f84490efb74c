"""Wallets under the load of a bank: many programs at once through HTTP, while servers and workers are killed."""

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest
from flask import Flask
from redis import Redis
from sqlalchemy import String, cast, func, select
from sqlalchemy.exc import DBAPIError

from backoffice import figures
from backoffice.app.extensions import db
from backoffice.book import APPLICATION
from backoffice.drift.verification.scope import scope_of
from backoffice.figures.models import Correction
from backoffice.runs import actions as runs
from backoffice.runs.errors import AlreadyRunning
from backoffice.runs.models import Run
from backoffice.wallets import actions
from backoffice.wallets.figures import WALLET_FIGURES
from backoffice.wallets.models import Wallet, WalletTransaction
from tests.depth import rounds, seconds
from tests.factories.wallets import WalletFactory
from tests.faults.servers import web
from tests.faults.workers import children, until, worker
from tests.processes import in_rounds, together

from .books import is_in_step, transactions
from .tellers import DONE, REFUSED, Bank, busy, secret_of, sure, wrongly_kept

pytestmark = [pytest.mark.slow, pytest.mark.timeout(0)]

D = Decimal
TELLERS = 8
WALLETS = 20
BEAT = 0.25
RATE = "100000000 per hour"
FULL = 100_000


# Five and fifty processes at one wallet


@contextmanager
def served(log: Path, session: Any, app: str = "") -> Iterator[Bank]:
    """The app, or a mutant of it, under gunicorn."""
    secret = secret_of(session)
    session.rollback()
    with web(log, app=app, API_RATE=RATE) as port:
        yield Bank(port, secret)


def overdrawn(
    app: Flask, session: Any, bank: Bank, wallet: Wallet, processes: int, amount: int, count: int
) -> list[str]:
    """The rounds in which not as many of the charges at the same moment were let through as there was money for.

    The wallet holds 100,000 at the beginning of each of them.
    """
    key, number = wallet.id, wallet.number
    session.rollback()

    def charge(process: int, turn: int) -> str:
        return sure(
            bank, f"{number}-{processes}-{turn}-{process}", number, "charges", f"{amount}.00"
        ).reported

    def fill_up() -> None:
        held = db.session.scalars(select(Wallet.balance).where(Wallet.id == key)).one()
        if held != FULL:
            actions.adjust(db.session(), key, FULL - held)
        db.session.commit()

    hands = [partial(charge, process) for process in range(processes)]
    reported = in_rounds(app, count, *hands, between=fill_up)
    counts = [Counter(answers) for answers in zip(*reported, strict=True)]
    return [
        f"round {n}: {found}" for n, found in enumerate(counts) if found[DONE] != FULL // amount
    ]


def test_processes_charge_through_http_at_once_and_never_overdraw(
    app: Flask, session: Any, wallet: Wallet, tmp_path: Path
) -> None:
    """In the long suite a thousand times each."""
    with served(tmp_path / "log", session) as bank:
        for processes, amount, usual in ((5, 30_000, 40), (50, 3_000, 4)):
            found = overdrawn(app, session, bank, wallet, processes, amount, rounds(usual, 1_000))
            assert found == [], processes
    assert is_in_step(session, wallet.id)
    assert min(after for *_rest, after in transactions(session, wallet.id)) >= 0


@pytest.mark.leaves_drift
def test_without_the_lock_processes_overdraw_and_that_is_seen(
    app: Flask, session: Any, wallet: Wallet, tmp_path: Path
) -> None:
    """The mutant."""
    mutant = "tests.wallets.unlocked:serve()"
    with served(tmp_path / "log", session, mutant) as bank:
        found = overdrawn(app, session, bank, wallet, 5, 30_000, 5)
    assert found
    assert min(after for *_rest, after in transactions(session, wallet.id)) < 0


# Everything at once


def test_whatever_is_killed_each_move_that_was_acknowledged_is_there_once(
    app: Flask,
    session: Any,
    admin_database_url: str,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    """Eight programs charge, recharge and refund twenty wallets, while a worker verifies and heals what is made wrong.

    Connections are cut, Redis is emptied, workers and the server's processes are killed meanwhile. Another process
    verifies without a pause. In the long suite two hours long.
    """
    wallets = [WalletFactory(number=f"B-{n}") for n in range(WALLETS)]
    for wallet in wallets:
        actions.recharge(session, wallet.id, D(50))
    session.commit()
    ids, numbers = [w.id for w in wallets], [w.number for w in wallets]
    before, length = set(children(os.getpid())), seconds(3, 2 * 60 * 60)
    with served(tmp_path / "web", session) as bank:
        [server] = set(children(os.getpid())) - before
        end = time.time() + length
        tellers = [partial(busy, bank, numbers, seed, end) for seed in range(TELLERS)]
        trouble = Trouble(app, admin_database_url, server, ids, tmp_path / "worker")
        works = [*tellers, partial(verifications, end, length / 2), partial(trouble.make, end)]
        *made, verified, done = together(app, *works, seconds=length + 120)
    moves = [one for each in made for one in each]
    reported = Counter(one.reported for one in moves)
    record_property("reported", dict(reported))
    done["verifications"], finished = verified, ended_runs(session)
    record_property("done", dict(done) | finished)
    assert wrongly_kept(moves, stored(session)) == [], reported
    assert {DONE, REFUSED} <= reported.keys(), reported
    assert set(done) == {*Trouble.KINDS, "runs", "verifications"}, (
        f"{done}: not everything happened"
    )
    assert verified >= length / 2, f"{done}: it was not verified all the time"
    assert min(finished.values()) >= 1, finished
    for key in ids:
        assert is_in_step(session, key)
        assert min(after for *_rest, after in transactions(session, key)) >= 0
    assert list(figures.verify(session)) == []
    assert healed(session) == done["wrong totals"], "exactly what was made wrong is corrected"


def verifications(end: float, fewest: float) -> int:
    """How often everything was verified until then, and so often; what is found is only what was made wrong."""
    count = 0
    while time.time() < end or count < fewest:
        try:
            found = list(figures.verify(db.engine, WALLET_FIGURES))
        except DBAPIError:
            continue  # its connection was cut
        assert {name for one in found for name in one.stored} <= {"total_recharged"}, found
        count += 1
    return count


def ended_runs(session: Any) -> dict[str, int]:
    """How many runs of each kind were carried out to their end."""
    ended = select(Run.kind, func.count()).where(Run.status == "done").group_by(Run.kind)
    counts = dict.fromkeys(ASKED, 0)
    return counts | {kind: count for kind, count in session.execute(ended) if kind in counts}


ASKED: Mapping[str, Mapping[str, object]] = {"figures.verify": {"fix": True}, "figures.heal": {}}
"""A verification that heals what it finds, and a heal of everything."""


class Trouble:
    """Faults of machines, repeated at random, and a worker that heals what is wrong."""

    KINDS = ("connections cut", "wrong totals", "Redis emptied", "workers killed", "servers killed")

    def __init__(
        self, app: Flask, admin_url: str, server: int, wallets: list[int], log: Path
    ) -> None:
        self.app = app
        self.admin_url = admin_url
        self.server = server
        self.wallets = wallets
        self.log = log
        self.chance = random.Random(7)
        self.happened: Counter[str] = Counter()
        self.ended = 0

    def make(self, end: float) -> Counter[str]:
        """Until then; afterwards a worker has the time that it needs. Answers how often each of it happened."""
        self.redis = Redis.from_url(self.app.config["REDIS_URL"])
        wrong = "SET session_replication_role = replica"
        with psycopg.connect(self.admin_url, autocommit=True) as self.admin, ExitStack() as workers:
            self.admin.execute(wrong)
            self.worker = workers.enter_context(worker(self.log))
            beats = 0
            while time.time() < end or self.happened.keys() < set(self.KINDS):
                beats += 1
                if beats % 12 == 1:
                    self._cut_connections()
                self._ask_for_a_run()
                if beats % 3 == 2:
                    self._falsify()
                if beats % 8 == 1:
                    self.redis.flushall()
                    self.happened["Redis emptied"] += 1
                if beats % 9 == 4:
                    self._kill("servers killed", children(self.server)[:1])
                if beats == 3 or self._has_worked():
                    self._kill("workers killed", [*children(self.worker.pid), self.worker.pid])
                    self.worker = workers.enter_context(worker(self.log))
                time.sleep(BEAT)
            until(lambda: not self._is_running(), 60, "every run has ended", self.log)
            for kind in ASKED:
                self._ask_for_a_run(kind)
                until(lambda: not self._is_running(), 60, "the last runs have ended", self.log)
        return self.happened

    def _has_worked(self) -> bool:
        """Whether runs have ended since a worker was killed: one that is killed as it starts never works."""
        try:
            ended = sum(ended_runs(db.session()).values())
        except DBAPIError:
            ended = 0  # its connection was cut
        db.session.rollback()
        if ended < self.ended + 2:
            return False
        self.ended = ended
        return True

    def _cut_connections(self) -> None:
        ended = self.admin.execute(
            "SELECT pg_terminate_backend(pid) FROM (SELECT pid FROM pg_stat_activity "
            "WHERE application_name = %s AND state <> 'idle' ORDER BY random() LIMIT 2) chosen",
            [APPLICATION],
        ).fetchall()
        self.happened["connections cut"] += len(ended)

    def _falsify(self) -> None:
        """Change a sum on which no charge depends: charges accepted meanwhile must be right all the same."""
        self.admin.execute(
            "UPDATE wallets SET total_recharged = total_recharged + 1 WHERE id = %s",
            [self.chance.choice(self.wallets)],
        )
        self.happened["wrong totals"] += 1

    def _kill(self, what: str, processes: list[int]) -> None:
        for process in processes:
            os.kill(process, signal.SIGKILL)
        self.happened[what] += 1

    def _ask_for_a_run(self, kind: str = "") -> None:
        """Of that kind, or of one by chance; not while another is under way."""
        kind = kind or self.chance.choice(list(ASKED))
        scope = scope_of(WALLET_FIGURES) | ASKED[kind]
        try:
            runs.request(db.session(), kind, scope, is_paced=False)
            db.session.commit()
            self.happened["runs"] += 1
        except (AlreadyRunning, DBAPIError):
            db.session.rollback()

    def _is_running(self) -> bool:
        db.session.rollback()
        live = select(func.count()).select_from(Run).where(Run.finished_at.is_(None))
        return bool(db.session.scalar(live))


def stored(session: Any) -> list[tuple[int, str, str, str, str]]:
    """Every transaction that a program has asked for: id, key, wallet, type, amount."""
    session.rollback()
    t = WalletTransaction
    rows = select(
        t.id, t.idempotency_key, Wallet.number, t.transaction_type, cast(t.amount, String)
    )
    rows = rows.join(Wallet, Wallet.id == t.wallet_id).where(t.idempotency_key.is_not(None))
    return [tuple(row) for row in session.execute(rows)]


def healed(session: Any) -> Decimal:
    """By how much the totals that were made wrong have been corrected; nothing else was."""
    total = D(0)
    for before, after in session.execute(select(Correction.before, Correction.after)):
        assert {name for name in before if before[name] != after[name]} == {"total_recharged"}
        total += D(before["total_recharged"]) - D(after["total_recharged"])
    return total
