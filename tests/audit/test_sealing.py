"""Sealing: in batches, by any number of sealers, and never past a transaction that commits late."""

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from sqlalchemy import Engine, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from backoffice.audit.chain import sealing
from backoffice.audit.chain.keys import Keyring
from backoffice.audit.chain.records import COLUMNS, EVENTS
from backoffice.audit.chain.sealing import (
    BrokenChain,
    UnknownKey,
    head_of,
    seal,
    seal_batch,
    stalled,
)
from backoffice.audit.chain.verifying import Verification
from backoffice.audit.models import AuditEvent, AuditSeal

Verified = Callable[[], Verification]
Write = Callable[..., None]


def sealed_ids(session: Session) -> list[int]:
    """The ids of all sealed events, in the order of the chain."""
    session.rollback()
    return [
        i for ids in session.scalars(select(AuditSeal.ids).order_by(AuditSeal.number)) for i in ids
    ]


def all_ids(session: Session) -> list[int]:
    """The ids of all events, in order."""
    session.rollback()
    return list(session.scalars(select(AuditEvent.id).order_by(AuditEvent.id)))


def test_every_column_of_an_event_is_sealed() -> None:
    assert sorted(COLUMNS) == sorted(column.key for column in EVENTS.c)


def test_everything_is_sealed_once_and_a_second_run_finds_nothing(
    session: Session, engine: Engine, keys: Keyring, write: Write, verified: Verified
) -> None:
    write(5)
    assert seal(engine, keys) == 5
    assert seal(engine, keys) == 0
    assert sealed_ids(session) == all_ids(session)
    found = verified()
    assert (found.events, found.waiting, found.bad) == (5, 0, [])


def test_small_batches_are_cut_inside_a_transaction_and_leave_nobody_out(
    session: Session, engine: Engine, keys: Keyring, write: Write, verified: Verified
) -> None:
    write(3, size=5)
    reported: list[int] = []
    assert seal(engine, keys, size=4, progress=reported.append) == 15
    assert reported == [0, 4, 4, 4, 3]
    assert sealed_ids(session) == all_ids(session)
    write(2)
    assert seal(engine, keys, size=4) == 2
    assert verified().bad == []


def test_a_batch_that_is_not_committed_leaves_nothing(
    session: Session, engine: Engine, keys: Keyring, write: Write
) -> None:
    write(3)
    with engine.connect() as connection:
        seal_batch(connection, keys)
        assert seal_batch(connection, keys) == 3
        connection.rollback()
    assert sealed_ids(session) == []
    assert seal(engine, keys) == 3


def interrupted(database_url: str) -> psycopg.Connection[Any]:
    """A transaction that has its number and has written its event, but commits later."""
    late = psycopg.connect(database_url)
    late.execute("INSERT INTO customers (code, name) VALUES ('LATE', 'Late')")
    return late


def test_a_late_committer_is_neither_skipped_nor_sealed_out_of_order(
    session: Session,
    engine: Engine,
    keys: Keyring,
    write: Write,
    verified: Verified,
    database_url: str,
) -> None:
    write(2)
    with interrupted(database_url) as late:
        write(3)
        assert seal(engine, keys) == 2
        assert verified().waiting == 3
        late.commit()
    assert seal(engine, keys) == 4
    assert sealed_ids(session) == all_ids(session)
    assert verified().bad == []


def test_the_bound_is_what_saves_the_late_committer(
    session: Session,
    engine: Engine,
    keys: Keyring,
    write: Write,
    verified: Verified,
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without the bound, an event committed late is never sealed; this shows that the test above would fail."""
    monkeypatch.setattr(sealing, "oldest_running", sealing.next_to_come)
    write(2)
    with interrupted(database_url) as late:
        write(3)
        assert seal(engine, keys) == 5
        late.commit()
    assert seal(engine, keys) == 0
    assert len(sealed_ids(session)) == len(all_ids(session)) - 1
    assert [bad.kind for bad in verified().bad] == ["added"]


def test_a_transaction_that_rolls_back_holds_nothing_up(
    engine: Engine, keys: Keyring, write: Write, database_url: str
) -> None:
    with interrupted(database_url) as late:
        write(1)
        assert seal(engine, keys) == 0
        late.rollback()
    assert seal(engine, keys) == 1


def test_several_sealers_make_one_chain(
    session: Session, engine: Engine, keys: Keyring, write: Write, verified: Verified
) -> None:
    write(40, size=3)
    counts: list[int] = []
    sealers = [
        threading.Thread(target=lambda: counts.append(seal(engine, keys, size=5))) for _ in range(4)
    ]
    for sealer in sealers:
        sealer.start()
    for sealer in sealers:
        sealer.join()
    assert sum(counts) == 120
    assert sealed_ids(session) == all_ids(session)
    assert verified().bad == []


def test_the_lock_is_what_lets_the_second_sealer_wait(
    engine: Engine, keys: Keyring, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under another lock it makes the same seal, which the unique number refuses; so the test above needs the lock."""
    write(4)
    failures: list[Exception] = []

    def second() -> None:
        try:
            seal(engine, keys, size=2)
        except IntegrityError as error:
            failures.append(error)

    with engine.connect() as first:
        assert seal_batch(first, keys, size=2) == 0
        monkeypatch.setattr(sealing, "ONE_AT_A_TIME", 7)
        thread = threading.Thread(target=second)
        thread.start()
        waits = "SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'transactionid'"
        while not first.exec_driver_sql(waits).scalar():
            assert thread.is_alive()
        first.commit()
        thread.join()
    assert len(failures) == 1


def test_sealing_beside_people_who_write_leaves_nobody_out_and_raises_no_alarm(
    session: Session, engine: Engine, keys: Keyring, verified: Verified, database_url: str
) -> None:
    def write_for_a_while(number: int) -> None:
        with psycopg.connect(database_url) as connection:
            for count in range(1, 401):
                connection.execute(
                    "INSERT INTO customers (code, name) VALUES (%s, 'x')", [f"W{number}-{count}"]
                )
                if count % 3 == 0:
                    connection.commit()
                if count % 7 == 0:
                    connection.rollback()

    writers = [threading.Thread(target=write_for_a_while, args=(n,)) for n in range(4)]
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        seal(engine, keys, size=40)
        found = verified()
        assert found.bad == []
    for writer in writers:
        writer.join()
    seal(engine, keys)
    assert verified().events == len(all_ids(session)) > 100
    assert sorted(sealed_ids(session)) == all_ids(session)


# Keys


def test_a_new_key_takes_over_and_the_old_one_still_verifies(
    engine: Engine, write: Write, session: Session
) -> None:
    from backoffice.audit.chain.verifying import verify

    old, new = "an old secret of ours", "a new secret of ours"
    write(2)
    seal(engine, Keyring([old]))
    write(2)
    seal(engine, Keyring([new, old]))
    names = session.scalars(select(AuditSeal.key).order_by(AuditSeal.number)).all()
    assert names == [Keyring([old]).newest.name] * 2 + [Keyring([new]).newest.name]
    assert verify(engine, Keyring([new, old])).bad == []
    assert {bad.kind for bad in verify(engine, Keyring([new])).bad} == {"key"}


def test_nobody_seals_on_under_a_key_that_the_chain_has_left(engine: Engine, write: Write) -> None:
    old, new = "an old secret of ours", "a new secret of ours"
    write()
    seal(engine, Keyring([new, old]))
    write()
    with pytest.raises(UnknownKey, match="AUDIT_KEY"):
        seal(engine, Keyring([old]))
    with engine.connect() as connection:
        assert stalled(connection) is not None


def test_nobody_seals_on_after_a_seal_that_the_app_forged(
    engine: Engine, keys: Keyring, write: Write, app_connection: psycopg.Connection[Any]
) -> None:
    write()
    seal(engine, keys)
    app_connection.execute(
        "INSERT INTO audit_seals SELECT number + 1, system, floor_id, 1 << 60, 0, highest_id, 0, total, "
        "'{}', '', key, sealed_at, digest, digest FROM audit_seals ORDER BY number DESC LIMIT 1"
    )
    write()
    with pytest.raises(BrokenChain, match="verify-chain"):
        seal(engine, keys)


# A stall


def test_a_stall_is_the_age_of_what_could_have_been_sealed(
    session: Session, engine: Engine, keys: Keyring, write: Write, database_url: str
) -> None:
    assert stalled(session) is None
    write()
    age = stalled(session)
    assert age is not None
    assert timedelta(0) <= age < timedelta(minutes=1)
    session.rollback()
    seal(engine, keys)
    assert stalled(session) is None
    session.rollback()
    with interrupted(database_url) as late:
        write()
        assert stalled(session) is None, "a transaction still running keeps it from being sealed"
        late.commit()
    assert stalled(session) is not None


# What the app's role may


@pytest.mark.parametrize("table", ["audit_seals", "audit_checks"])
@pytest.mark.parametrize("change", ["UPDATE {} SET events = 0", "DELETE FROM {}", "TRUNCATE {}"])
def test_fault_15_nobody_changes_the_chain_by_its_front_door(
    table: str,
    change: str,
    engine: Engine,
    keys: Keyring,
    write: Write,
    app_connection: psycopg.Connection[Any],
    owner_connection: psycopg.Connection[Any],
) -> None:
    write()
    seal(engine, keys)
    for connection in (app_connection, owner_connection):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(change.format(table).encode())


def test_a_seal_has_one_number(
    session: Session, engine: Engine, keys: Keyring, write: Write
) -> None:
    """The second guard beside the lock: two sealers cannot add the same link."""
    write()
    seal(engine, keys)
    with engine.connect() as connection:
        assert head_of(connection) is not None
    twice = "INSERT INTO audit_seals SELECT * FROM audit_seals ORDER BY number DESC LIMIT 1"
    with pytest.raises(psycopg.errors.UniqueViolation):
        session.connection().connection.cursor().execute(twice)
    session.rollback()
    assert session.scalar(select(func.count()).select_from(AuditSeal)) == 2
