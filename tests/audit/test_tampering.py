"""Fault 18: after any manipulation of the trail in the database, verifying the chain names the first bad row."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import Engine

from backoffice.audit.chain.anchors import anchor, anchors_in
from backoffice.audit.chain.keys import Keyring
from backoffice.audit.chain.sealing import seal
from backoffice.audit.chain.verifying import Verification, verify

pytestmark = pytest.mark.slow

Surgeon = psycopg.Connection[Any]
Verified = Callable[[], Verification]
Write = Callable[..., None]

EVENTS = 30
BATCH = 7
"""Events 1 to 7 are in seal 2, 8 to 14 in seal 3, and so on; seal 1 opens the chain."""


@pytest.fixture(autouse=True)
def chain(engine: Engine, keys: Keyring, write: Write) -> None:
    """Thirty events, sealed in batches of seven."""
    write(EVENTS)
    assert seal(engine, keys, size=BATCH) == EVENTS


@pytest.fixture
def anchored(engine: Engine, keys: Keyring, folder: Path) -> Callable[[], None]:
    """Anchors the head of the chain."""

    def anchored() -> None:
        with engine.begin() as connection:
            assert anchor(connection, keys, folder) is not None

    return anchored


def first(found: Verification) -> tuple[str, int, int | None]:
    """The first defect, and its position."""
    bad = found.bad[0]
    return bad.kind, bad.seal, bad.event


def test_an_untouched_trail_is_clean(verified: Verified, anchored: Callable[[], None]) -> None:
    anchored()
    found = verified()
    assert (found.seals, found.events, found.waiting, found.anchors) == (6, 30, 0, 1)
    assert (found.bad, found.bad_count) == ([], 0)


EDITS = {
    "id": "1000",
    "xid": "'3'::xid8",
    "at": "at + interval '1 microsecond'",
    "actor": "'user:1'",
    "db_user": "'nobody'",
    "table_name": "'orders'",
    "row_id": "row_id || '0'",
    "action": "'UPDATE'",
    "before": "'{}'",
    "after": "jsonb_set(after, '{city}', '\"Bandung\"')",
}


@pytest.mark.parametrize("column", list(EDITS))
def test_fault_18_an_edited_row_is_named_whichever_column_it_was(
    column: str, surgeon: Surgeon, verified: Verified
) -> None:
    surgeon.execute(f"UPDATE audit_events SET {column} = {EDITS[column]} WHERE id = 12".encode())
    kind = "removed" if column == "id" else "changed"
    assert first(verified()) == (kind, 3, 12)


@pytest.mark.parametrize(
    "edit",
    [
        "before = 'null'::jsonb",
        "row_id = NULL",
        "actor = actor || db_user, db_user = ''",
        "after = NULL, before = after",
    ],
)
def test_fault_18_what_looks_alike_is_not_alike(
    edit: str, surgeon: Surgeon, verified: Verified
) -> None:
    surgeon.execute(f"UPDATE audit_events SET {edit} WHERE id = 20".encode())
    assert first(verified()) == ("changed", 4, 20)


@pytest.mark.parametrize(("event", "seal_number"), [(1, 2), (14, 3), (15, 4), (30, 6)])
def test_fault_18_a_deleted_row_is_named(
    event: int, seal_number: int, surgeon: Surgeon, verified: Verified
) -> None:
    surgeon.execute("DELETE FROM audit_events WHERE id = %s", [event])
    found = verified()
    assert first(found) == ("removed", seal_number, event)
    assert found.bad_count == 1


def test_fault_18_rows_in_each_others_place_are_named(surgeon: Surgeon, verified: Verified) -> None:
    surgeon.execute("UPDATE audit_events SET id = -id WHERE id IN (9, 25)")
    surgeon.execute("UPDATE audit_events SET id = CASE id WHEN -9 THEN 25 ELSE 9 END WHERE id < 0")
    found = verified()
    assert [(bad.kind, bad.event) for bad in found.bad] == [("changed", 9), ("changed", 25)]


def test_fault_18_transactions_in_each_others_place_are_named(
    surgeon: Surgeon, verified: Verified
) -> None:
    surgeon.execute(
        "UPDATE audit_events e SET xid = o.xid FROM audit_events o "
        "WHERE (e.id, o.id) IN ((10, 17), (17, 10))"
    )
    assert first(verified()) == ("changed", 3, 10)


INSERTION = """
INSERT INTO audit_events (id, xid, at, actor, db_user, table_name, row_id, action, after)
OVERRIDING SYSTEM VALUE
SELECT %s, xid, at, actor, db_user, table_name, '99', action, after FROM audit_events WHERE id = %s
"""


def test_fault_18_a_row_put_in_is_named(surgeon: Surgeon, verified: Verified) -> None:
    surgeon.execute(INSERTION, [1000, 10])
    found = verified()
    assert first(found) == ("added", 3, 1000)
    assert found.bad_count == 1


def test_fault_18_a_row_of_a_transaction_to_come_is_named(
    surgeon: Surgeon, verified: Verified
) -> None:
    surgeon.execute(INSERTION, [1000, 10])
    surgeon.execute("UPDATE audit_events SET xid = '999999999999'::xid8 WHERE id = 1000")
    assert first(verified())[::2] == ("added", 1000)


def test_fault_18_one_row_out_and_one_in_are_both_named(
    surgeon: Surgeon, verified: Verified
) -> None:
    surgeon.execute(INSERTION, [1000, 10])
    surgeon.execute("DELETE FROM audit_events WHERE id = 5")
    found = verified()
    assert [(bad.kind, bad.event) for bad in found.bad] == [("removed", 5), ("added", 1000)]


def test_fault_18_a_row_that_stands_twice_is_named(surgeon: Surgeon, verified: Verified) -> None:
    surgeon.execute("ALTER TABLE audit_events DROP CONSTRAINT pk_audit_events")
    try:
        surgeon.execute(
            "INSERT INTO audit_events OVERRIDING SYSTEM VALUE SELECT * FROM audit_events WHERE id = 8"
        )
        assert first(verified()) == ("changed", 3, 8)
    finally:
        surgeon.execute("DELETE FROM audit_events")
        surgeon.execute("ALTER TABLE audit_events ADD CONSTRAINT pk_audit_events PRIMARY KEY (id)")


def test_fault_18_the_first_of_many_bad_rows_comes_first(
    surgeon: Surgeon, verified: Verified
) -> None:
    surgeon.execute("UPDATE audit_events SET actor = 'user:1' WHERE id >= 11")
    found = verified()
    assert first(found) == ("changed", 3, 11)
    assert found.bad_count == 20


# The tail


def test_fault_18_a_cut_tail_whose_seals_are_left_is_named(
    surgeon: Surgeon, verified: Verified
) -> None:
    surgeon.execute("DELETE FROM audit_events WHERE id > 25")
    assert first(verified()) == ("removed", 5, 26)


def test_fault_18_a_tail_cut_with_its_seals_is_found_by_the_anchor(
    surgeon: Surgeon, verified: Verified, anchored: Callable[[], None]
) -> None:
    anchored()
    surgeon.execute("DELETE FROM audit_events WHERE id > 21")
    surgeon.execute("DELETE FROM audit_seals WHERE number > 4")
    assert first(verified()) == ("cut", 6, None)


def test_fault_18_a_tail_that_grew_again_is_found_by_the_anchor(
    engine: Engine,
    keys: Keyring,
    surgeon: Surgeon,
    verified: Verified,
    write: Write,
    anchored: Callable[[], None],
) -> None:
    anchored()
    surgeon.execute("DELETE FROM audit_events WHERE id > 21")
    surgeon.execute("DELETE FROM audit_seals WHERE number > 4")
    write(20)
    seal(engine, keys, size=BATCH)
    assert first(verified()) == ("other", 6, None)


def test_a_tail_cut_after_the_last_anchor_cannot_be_seen(
    surgeon: Surgeon,
    verified: Verified,
    anchored: Callable[[], None],
    engine: Engine,
    keys: Keyring,
    write: Write,
) -> None:
    """A tail removed after the last anchor leaves no evidence (docs/audit.md); so anchors are made hourly."""
    anchored()
    write(5)
    seal(engine, keys)
    surgeon.execute("DELETE FROM audit_events WHERE id > 30")
    surgeon.execute("DELETE FROM audit_seals WHERE number > 6")
    assert verified().bad == []


def test_fault_18_an_emptied_trail_is_found_by_the_anchor(
    surgeon: Surgeon, verified: Verified, anchored: Callable[[], None]
) -> None:
    anchored()
    surgeon.execute("TRUNCATE audit_events, audit_seals")
    assert first(verified())[0] == "cut"


# The chain itself


def test_fault_18_a_chain_made_anew_without_the_key_is_found_at_its_first_seal(
    engine: Engine, surgeon: Surgeon, verified: Verified
) -> None:
    surgeon.execute("UPDATE audit_events SET actor = 'user:1' WHERE id = 3")
    surgeon.execute("TRUNCATE audit_seals")
    seal(engine, Keyring(["a secret of the intruder"]))
    assert first(verified()) == ("key", 1, None)


def test_fault_18_a_chain_that_only_claims_our_key_is_found(
    engine: Engine, keys: Keyring, surgeon: Surgeon, verified: Verified
) -> None:
    surgeon.execute("UPDATE audit_events SET actor = 'user:1' WHERE id = 17")
    surgeon.execute("DELETE FROM audit_seals WHERE number >= 4")
    surgeon.execute("UPDATE audit_seals SET key = 'stolen'")
    forger = Keyring(["a secret of the intruder"])
    surgeon.execute("UPDATE audit_seals SET key = %s", [keys.newest.name])
    copy = "CREATE TEMP TABLE kept AS TABLE audit_seals"
    surgeon.execute(copy)
    surgeon.execute("TRUNCATE audit_seals")
    seal(engine, forger, size=BATCH)
    surgeon.execute("DELETE FROM audit_seals WHERE number < 4")
    surgeon.execute("INSERT INTO audit_seals TABLE kept")
    surgeon.execute("UPDATE audit_seals SET key = %s", [keys.newest.name])
    assert first(verified()) == ("changed", 4, 15), "every digest of the forged seal is wrong"
    assert {bad.seal for bad in verified().bad} == {4, 5, 6}


def test_fault_18_a_chain_made_anew_with_the_stolen_key_is_found_by_the_anchor(
    engine: Engine,
    keys: Keyring,
    surgeon: Surgeon,
    verified: Verified,
    anchored: Callable[[], None],
) -> None:
    anchored()
    surgeon.execute("UPDATE audit_events SET actor = 'user:1' WHERE id = 3")
    surgeon.execute("TRUNCATE audit_seals")
    seal(engine, keys, size=BATCH)
    assert first(verified()) == ("other", 6, None)


@pytest.mark.parametrize(
    "edit",
    [
        "digests = set_byte(digests, 5, (get_byte(digests, 5) + 1) %% 256)",
        "ids[2] = 9999",
        "events = events + 1",
        "total = total - 1",
        "last_id = last_id + 1",
        "last_xid = last_xid + 1",
        "floor_id = 3",
        "system = 1",
        "highest_id = highest_id + 1",
        "sealed_at = sealed_at - interval '1 day'",
        "previous = digest",
        "digest = previous",
    ],
)
def test_fault_18_a_seal_that_was_changed_is_named(
    edit: str, surgeon: Surgeon, verified: Verified
) -> None:
    surgeon.execute(f"UPDATE audit_seals SET {edit.replace('%%', '%')} WHERE number = 3".encode())
    found = verified()
    assert first(found)[1] == 3
    assert ("seal", 3) in {(bad.kind, bad.seal) for bad in found.bad}


def test_fault_18_a_seal_taken_out_with_its_events_is_named(
    surgeon: Surgeon, verified: Verified
) -> None:
    surgeon.execute("DELETE FROM audit_events WHERE id BETWEEN 8 AND 14")
    surgeon.execute("DELETE FROM audit_seals WHERE number = 3")
    assert first(verified()) == ("gap", 3, None)


def test_fault_18_a_seal_taken_out_and_the_rest_renumbered_is_named(
    surgeon: Surgeon, verified: Verified
) -> None:
    surgeon.execute("DELETE FROM audit_events WHERE id BETWEEN 8 AND 14")
    surgeon.execute("DELETE FROM audit_seals WHERE number = 3")
    for number in (4, 5, 6):
        surgeon.execute("UPDATE audit_seals SET number = number - 1 WHERE number = %s", [number])
    assert first(verified()) == ("seal", 3, None)


def test_a_genuine_seal_of_another_fork_of_the_chain_is_found_at_its_successor(
    engine: Engine, keys: Keyring, surgeon: Surgeon, verified: Verified
) -> None:
    """After a restored backup the same key seals the same events once more, at another moment."""
    surgeon.execute("CREATE TEMP TABLE fork AS SELECT * FROM audit_seals WHERE number = 4")
    surgeon.execute("DELETE FROM audit_seals WHERE number >= 4")
    seal(engine, keys, size=BATCH)
    assert verified().bad == []
    surgeon.execute("DELETE FROM audit_seals WHERE number = 4")
    surgeon.execute("INSERT INTO audit_seals TABLE fork")
    assert [(bad.kind, bad.seal) for bad in verified().bad] == [("seal", 5)]


# Anchors


def test_an_anchor_is_a_line_for_its_owners_eyes(
    folder: Path, anchored: Callable[[], None], verified: Verified
) -> None:
    anchored()
    anchored()
    (file,) = folder.iterdir()
    assert (folder.stat().st_mode & 0o777, file.stat().st_mode & 0o777) == (0o700, 0o600)
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert [(line["seal"], line["events"]) for line in lines] == [(6, 30), (6, 30)]
    assert verified().anchors == 2


def test_an_anchor_after_a_line_that_a_crash_cut_short_stands_alone(
    folder: Path, anchored: Callable[[], None], verified: Verified
) -> None:
    anchored()
    (file,) = folder.iterdir()
    file.write_bytes(file.read_bytes()[:-40])
    anchored()
    found = verified()
    assert found.anchors == 1
    assert [bad.kind for bad in found.bad] == ["anchor"]


def test_an_anchor_that_was_changed_is_not_believed(
    folder: Path, anchored: Callable[[], None], verified: Verified
) -> None:
    anchored()
    (file,) = folder.iterdir()
    file.write_text(file.read_text().replace('"seal": 6', '"seal": 5'))
    found = verified()
    assert first(found)[0] == "anchor"
    assert found.bad[0].sentence.startswith(f"The anchor {file}:1 cannot be believed")


def test_after_a_restored_backup_the_given_up_anchors_count_no_more(
    engine: Engine,
    keys: Keyring,
    surgeon: Surgeon,
    folder: Path,
    anchored: Callable[[], None],
    verified: Verified,
) -> None:
    anchored()
    surgeon.execute("DELETE FROM audit_events WHERE id > 21")
    surgeon.execute("DELETE FROM audit_seals WHERE number > 4")
    assert first(verified())[0] == "cut"
    with engine.begin() as connection:
        anchor(connection, keys, folder, restored="The disk failed; backup of last night.")
    assert verified().bad == []


def test_only_the_key_gives_anchors_up(
    engine: Engine, keys: Keyring, surgeon: Surgeon, folder: Path, anchored: Callable[[], None]
) -> None:
    anchored()
    surgeon.execute("DELETE FROM audit_seals WHERE number > 4")
    intruder = Keyring(["a secret of the intruder"])
    with engine.begin() as connection:
        anchor(connection, intruder, folder, restored="Nothing to see here.")
    found = verify(engine, keys, anchors_in([folder], keys))
    assert {bad.kind for bad in found.bad} == {"anchor", "cut"}
