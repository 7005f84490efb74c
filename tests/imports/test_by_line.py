"""Charges in a run of chunks: each line as if it came alone, and once, even if workers die."""

import csv
import io
import itertools
import os
import signal
from contextlib import suppress
from decimal import Decimal
from io import BytesIO
from typing import Any

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from backoffice.app.extensions import db
from backoffice.imports import actions as imports
from backoffice.imports.by_line import actions, chunks
from backoffice.imports.by_line.reports import write_results
from backoffice.imports.files.uploads import Upload
from backoffice.imports.models import Import, ImportLine
from backoffice.runs import actions as runs
from backoffice.runs import working
from backoffice.runs.errors import NothingToRetry
from backoffice.runs.models import Run, RunChunk
from backoffice.runs.work import Work
from backoffice.runs.working import perform
from backoffice.wallets import actions as wallets
from backoffice.wallets.models import Wallet, WalletTransaction
from tests.depth import examples
from tests.factories.wallets import WalletFactory
from tests.processes import killed, together

from .test_wallet_charges import HEADER, LINES, STATUSES, charges, one_by_one


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks of three lines, so that a wallet's lines lie in many."""
    monkeypatch.setattr(chunks, "LINES_AT_ONCE", 3)


def taken_in(session: Session, *lines: str, header: str = HEADER) -> Import:
    content = "\n".join([header, *lines]).encode()
    files = [Upload("c.csv", BytesIO(content))]
    return imports.upload(session, user_id=None, kind="wallet-charges", files=files)


def asked(session: Session, *lines: str) -> Import:
    """Files that wait for their run."""
    upload = taken_in(session, *lines)
    actions.request_run(session, upload, is_paced=False)
    session.commit()
    return upload


def done(session: Session, upload: Import) -> Run:
    """Its run, carried out."""
    assert upload.run_id is not None
    perform(db.engine, upload.run_id)
    session.rollback()
    return session.get_one(Run, upload.run_id, populate_existing=True)


def outcomes(session: Session, upload: Import) -> list[tuple[int, str]]:
    session.rollback()
    lines = select(ImportLine.line, ImportLine.outcome).where(ImportLine.import_id == upload.id)
    return [tuple(row) for row in session.execute(lines.order_by(ImportLine.n))]


def results(session: Session, upload: Import) -> list[dict[str, str]]:
    stream = io.StringIO()
    write_results(stream, session, upload)
    return list(csv.DictReader(io.StringIO(stream.getvalue())))


@pytest.fixture
def wallet(session: Session) -> Wallet:
    """Holds 100.00."""
    made = WalletFactory(number="W-1")
    wallets.recharge(session, made.id, Decimal(100))
    session.commit()
    return made


def test_every_line_has_a_result(session: Session, wallet: Wallet) -> None:
    upload = asked(
        session, "W-1,60,vps,March,a", "W-1,50,,,b", "W-1,abc,,,c", "W-9,1,,,d", "W-1,40,,,e", "W-1,60,vps,March,a",
    )  # fmt: skip
    run = done(session, upload)
    assert (run.status, run.total, run.changed, run.skipped, run.unchanged) == ("done", 6, 2, 3, 1)
    reported = results(session, upload)
    assert [line["outcome"] for line in reported] == [
        "done",
        "refused",
        "refused",
        "refused",
        "done",
        "already",
    ]
    assert [line["line"] for line in reported] == ["2", "3", "4", "5", "6", "7"]
    made = list(session.scalars(select(WalletTransaction.id).order_by(WalletTransaction.id)))[1:]
    wanted = [str(made[0]), "", "", "", str(made[1]), str(made[0])]
    assert [line["transaction_id"] for line in reported] == wanted
    assert [line["balance_after"] for line in reported] == ["40.00", "", "", "", "0.00", "40.00"]
    assert "W-1" in reported[1]["reason"]
    assert reported[3]["reason"] == "There is no wallet W-9."
    session.refresh(upload)
    assert (upload.state, upload.created, upload.unchanged, upload.bad_lines) == (
        "applied",
        2,
        1,
        3,
    )
    assert session.get_one(Wallet, wallet.id).balance == 0


def test_the_same_file_again_charges_nothing_twice(session: Session, wallet: Wallet) -> None:
    lines = [f"W-1,{number},,,k{number}" for number in range(1, 9)]
    done(session, asked(session, *lines))
    first = charges(session)
    again = asked(session, *lines)
    assert done(session, again).unchanged == 8
    assert charges(session) == first
    assert {outcome for _line, outcome in outcomes(session, again)} == {"already"}


KEYS = 11
MANY = [(1 + n % 2, 10 + n, "", n % KEYS) for n in range(14)]
"""Two wallets with lines in every chunk; the last keys come twice, for another amount."""


def written(book: str, lines: Any) -> list[str]:
    """The text of an amount in a file."""
    return [f"{book}{wallet},{amount},{said},,{book}{key}" for wallet, amount, said, key in lines]


@pytest.mark.slow
@pytest.mark.parametrize("where", ["begun", "written", "committed"])
def test_killed_in_and_between_chunks_the_end_is_that_of_charging_one_by_one(
    app: Flask, session: Session, where: str
) -> None:
    for number in (1, 2):
        made = WalletFactory(number=f"W-{number}")
        wallets.recharge(session, made.id, Decimal(90))
    session.commit()
    refused = one_by_one(session, "W-", MANY)
    wanted = charges(session)
    session.rollback()
    upload = asked(session, *written("W-", MANY))
    deaths = 0
    while session.get_one(Run, upload.run_id, populate_existing=True).is_live:
        session.rollback()
        deaths += worker_dies(app, session, upload, where)
        if where != "committed":
            worker_dies(app, session, upload, "committed")
    assert deaths >= 6, "it died in the plan and in each of five chunks"
    assert charges(session) == wanted
    reported = outcomes(session, upload)
    assert [line for line, outcome in reported if outcome == "refused"] == [
        line for line, *_ in refused
    ]
    assert len(reported) == len(MANY)
    assert "" not in {outcome for _line, outcome in reported}


def worker_dies(app: Flask, session: Session, upload: Import, where: str) -> bool:
    """Whether it was killed: as soon as a transaction has begun, has written all that it writes, or has committed."""
    run_id = upload.run_id
    assert run_id is not None
    session.rollback()
    was_killed = killed(app, lambda: die(run_id, where)) == -signal.SIGKILL
    session.execute(update(RunChunk).values(lease_until=None, attempts=0))  # its lease is over
    session.commit()
    return was_killed


def die(run_id: int, where: str) -> None:
    hold, record = Work._hold, Work._record

    def held(self: Work, connection: Any) -> None:
        hold(self, connection)
        if where == "begun":
            os.kill(os.getpid(), signal.SIGKILL)

    def recorded(self: Work, step: Any, is_last: bool) -> None:
        record(self, step, is_last)
        if where == "committed":
            step.connection.commit()
        os.kill(os.getpid(), signal.SIGKILL)

    Work._hold, Work._record = held, recorded  # type: ignore[method-assign]
    perform(db.engine, run_id)


@pytest.mark.slow
def test_a_worker_that_was_overtaken_writes_nothing(
    app: Flask, session: Session, wallet: Wallet
) -> None:
    """Four workers with leases that are over at once take chunks from each other."""
    lines = [f"W-1,{1 + n},,,k{n}" for n in range(12)]
    upload = asked(session, *lines)
    run_id = upload.run_id
    assert run_id is not None
    together(app, *([lambda: perform(db.engine, run_id, lease=0.001)] * 4))
    with suppress(NothingToRetry):  # an overtaken worker may have done all that its chunk lacked
        while done(session, upload).status != "done":
            upload.run_id = runs.retry(
                session, upload.run_id or 0
            ).id  # a chunk was begun too often
            session.commit()
    assert [charge[1] for charge in charges(session)] == list(range(1, 13))
    assert [outcome for _line, outcome in outcomes(session, upload)] == ["done"] * 12


@pytest.mark.slow
def test_chunks_do_what_the_lines_would_do_one_after_the_other(session: Session) -> None:
    books = itertools.count()

    @settings(max_examples=examples(20), deadline=None, suppress_health_check=list(HealthCheck))
    @given(
        made=st.lists(st.tuples(st.sampled_from(STATUSES), st.integers(0, 120)), min_size=1, max_size=4),
        before=LINES, lines=LINES,
    )  # fmt: skip
    def agrees(made: Any, before: Any, lines: Any) -> None:
        book = f"B{next(books)}-"
        for number, (status, held) in enumerate(made):
            one = WalletFactory(number=f"{book}{number}")
            if held:
                wallets.recharge(session, one.id, Decimal(held))
            one.status = status
        one_by_one(session, book, before[:5])
        session.commit()
        first = session.scalar(select(func.max(WalletTransaction.id))) or 0
        refused = one_by_one(session, book, lines)
        wanted = charges(session, first)
        session.rollback()
        if not lines:
            return
        upload = asked(session, *written(book, lines))
        assert done(session, upload).status == "done"
        reported = [(line["line"], line["outcome"]) for line in results(session, upload)]
        assert [line for line, outcome in reported if outcome == "refused"] == [
            str(line) for line, *_ in refused
        ]
        assert charges(session, first) == wanted

    agrees()


def test_what_comes_to_more_than_can_be_stored_is_refused_line_by_line(session: Session) -> None:
    made = WalletFactory(number="W-1")
    wallets.recharge(session, made.id, Decimal("9999999999999.00"))
    wallets.charge(session, made.id, Decimal("9999999999998.00"))
    wallets.adjust(session, made.id, Decimal(10))
    session.commit()
    upload = asked(session, "W-1,0.50,,,a", "W-1,2.00,,,b", "W-1,0.40,,,c")
    done(session, upload)
    assert [line["outcome"] for line in results(session, upload)] == ["done", "refused", "done"]


def test_what_a_chunk_could_not_do_is_not_overtaken_by_the_next(
    session: Session, wallet: Wallet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first chunk fails for good: the next one begins with its lines, and a retry does the rest."""
    upload = asked(session, *(f"W-1,{1 + n},,,k{n}" for n in range(7)))
    attempts = itertools.count()
    import_staged = chunks.import_staged

    def fails_first(*given: Any) -> Any:
        if next(attempts) == 0:
            raise RuntimeError("the first chunk fails")
        return import_staged(*given)

    monkeypatch.setattr(chunks, "import_staged", fails_first)
    monkeypatch.setattr(working, "TRIES", 1)
    assert done(session, upload).status == "finished with failures"
    assert [charge[1] for charge in charges(session)] == [1, 2, 3, 4, 5, 6]
    session.refresh(upload)
    assert upload.state == "applying", "a line waits"
    upload.run_id = runs.retry(session, upload.run_id or 0).id
    session.commit()
    assert done(session, upload).status == "done"
    assert [charge[1] for charge in charges(session)] == [1, 2, 3, 4, 5, 6, 7]
    session.refresh(upload)
    assert (upload.state, upload.created) == ("applied", 7)
