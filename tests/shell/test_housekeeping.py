"""What housekeeping deletes, and what it keeps."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, insert, select

from backoffice.app.extensions import db
from backoffice.base import table_of
from backoffice.commands import housekeeping
from backoffice.database.proof import prove
from backoffice.figures.models import Correction
from backoffice.imports.models import Import, ImportContent, ImportOutcome, ImportProblem
from backoffice.people.models import IdempotencyKey, WebSession
from backoffice.reconciliation.models import Reconciliation
from backoffice.runs import actions
from backoffice.runs.models import AWAITING_APPROVAL, DONE, Run, RunItem
from backoffice.runs.working import perform
from backoffice.schedules.catalog import SCHEDULES
from tests.signing_in import someone

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def do(chore: str) -> Run:
    """Perform a chore immediately; returns its run."""
    run_id = actions.request(db.session(), "chore", {"chore": chore}, is_paced=False).id
    db.session.commit()
    perform(db.engine, run_id)
    run = db.session.get_one(Run, run_id, populate_existing=True)
    assert run.status == DONE, run.error
    return run


def finished(kind: str, age: timedelta, **values: Any) -> Run:
    ended = datetime.now(UTC) - age
    run = Run(kind=kind, scope={}, scope_key="", status=DONE, finished_at=ended, **values)
    db.session.add(run)
    db.session.flush()
    return run


def test_expired_sessions_are_forgotten_and_live_ones_stay(session: Any) -> None:
    now = datetime.now(UTC)
    for name, ends in (("old", now - HOUR), ("live", now + HOUR)):
        session.add(WebSession(id=name, data={}, expires_at=ends))
    session.commit()
    assert do("expired-sessions").changed == 1
    assert session.scalars(select(WebSession.id)).all() == ["live"]


def test_the_key_of_a_form_is_forgotten_after_a_week(app: Flask, session: Any) -> None:
    user_id = someone(app, "finance")
    for name, age in {"young": 7 * DAY - HOUR, "old": 7 * DAY + HOUR}.items():
        session.add(
            IdempotencyKey(
                user_id=user_id, action="test", key=name, body_digest="",
                created_at=func.now() - age,
            )
        )  # fmt: skip
    session.commit()
    do("idempotency-keys")
    assert session.scalars(select(IdempotencyKey.key)).all() == ["young"]


def test_of_an_old_upload_its_bytes_go_and_its_record_stays(app: Flask, session: Any) -> None:
    user_id = someone(app, "finance")
    for name, age in {"young": 89 * DAY, "old": 91 * DAY}.items():
        upload = Import(
            kind="orders", name=name, files=[], digest="", layout={}, user_id=user_id,
            created_at=func.now() - age,
        )  # fmt: skip
        session.add(upload)
        session.flush()
        session.add(ImportContent(import_id=upload.id, place=0, content=b"x"))
        session.add(
            ImportProblem(
                import_id=upload.id, n=1, file=0, line=1, column="", message="m", params={}
            )
        )
    session.commit()
    assert do("uploads").changed == 2
    assert session.scalars(select(Import.name).order_by(Import.id)).all() == ["young", "old"]
    for model in (ImportContent, ImportProblem):
        kept = select(Import.name).join(model, model.import_id == Import.id)
        assert session.scalars(kept).all() == ["young"]


def test_of_an_old_upload_that_was_never_imported_the_rows_of_its_dry_run_go(
    app: Flask, session: Any
) -> None:
    user_id, rows = someone(app, "finance"), [["customers", 1, "digest"]]
    ages = {"young": 89 * DAY, "old": 91 * DAY, "being applied": 91 * DAY}
    for name, age in ages.items():
        upload = Import(
            kind="orders", name=name, files=[], digest="", layout={}, user_id=user_id,
            created_at=func.now() - age, state="applying" if name == "being applied" else "checked",
        )  # fmt: skip
        session.add(upload)
        session.flush()
        session.add(
            ImportOutcome(
                import_id=upload.id, sample=[{"kind": "new"}], totals=[["amount", "5.00"]],
                rows=rows, must_be_whole=False, went_through=True,
            )
        )  # fmt: skip
    session.commit()
    assert do("uploads").changed == 1
    kept = select(Import.name, ImportOutcome.rows, ImportOutcome.totals).join(
        ImportOutcome, ImportOutcome.import_id == Import.id
    )
    totals = [["amount", "5.00"]]
    assert sorted(session.execute(kept).all()) == [
        ("being applied", rows, totals), ("old", [], totals), ("young", rows, totals),
    ]  # fmt: skip
    assert do("uploads").changed == 0


def test_the_items_of_a_run_go_after_ninety_days_and_the_run_stays(session: Any) -> None:
    for name, age in {"young": 89 * DAY, "old": 91 * DAY}.items():
        run = finished("figures.heal", age)
        session.add(RunItem(run_id=run.id, subject=name, outcome="applied"))
    session.commit()
    do("run-items")
    assert session.scalars(select(RunItem.subject)).all() == ["young"]
    assert session.scalar(select(func.count()).where(Run.kind == "figures.heal")) == 2


def test_what_waits_to_be_applied_keeps_what_it_will_write(session: Any) -> None:
    for name in ("waits", "was applied"):
        run = finished("figures.heal", 91 * DAY, dry_run=True)
        session.add(RunItem(run_id=run.id, subject=name, outcome="found"))
        values: dict[str, Any] = {"kind": "figures.apply", "follows": run.id, "scope_key": name}
        if name == "waits":
            session.add(Run(scope={"run": run.id}, status=AWAITING_APPROVAL, **values))
        else:
            ended = datetime.now(UTC) - 91 * DAY
            session.add(Run(scope={"run": run.id}, status=DONE, finished_at=ended, **values))
    session.commit()
    do("run-items")
    assert session.scalars(select(RunItem.subject)).all() == ["waits"]


def test_a_reconciliation_goes_after_ninety_days_with_its_file(session: Any) -> None:
    for name, age in {"young": 89 * DAY, "old": 91 * DAY}.items():
        session.add(Reconciliation(figure=name, created_at=func.now() - age, content=b"x"))
    session.commit()
    do("reconciliations")
    assert session.scalars(select(Reconciliation.figure)).all() == ["young"]


def test_housekeeping_is_forgotten_after_two_weeks_unless_something_refers_to_it(
    session: Any,
) -> None:
    old, young = 15 * DAY, 13 * DAY
    kept = [finished("chore", young).id, finished("figures.heal", old).id]
    followed = finished("chore", old)
    kept += [followed.id, finished("chore", young, follows=followed.id).id]
    corrected = finished("chore", old)
    correction = {"figure": "x", "owner": 1, "key": {}, "cause": "heal", "run_id": corrected.id}
    prove(session.connection())
    session.execute(insert(table_of(Correction)).values(correction))
    kept.append(corrected.id)
    first = finished("chore", old)
    finished("chore", old, follows=first.id)
    session.commit()
    own = do("quiet-runs")
    assert own.changed == 2
    assert session.scalars(select(Run.id).order_by(Run.id)).all() == sorted([*kept, own.id])


def test_more_rows_than_one_transaction_removes_are_removed_too(
    session: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(housekeeping, "AT_ONCE", 3)
    ended = datetime.now(UTC) - HOUR
    session.add_all(WebSession(id=str(n), data={}, expires_at=ended) for n in range(7))
    session.commit()
    assert do("expired-sessions").changed == 7


def test_every_chore_has_its_schedule_and_can_be_done_twice(session: Any) -> None:
    scheduled = [s.scope(datetime.now(UTC))["chore"] for s in SCHEDULES if s.kind == "chore"]
    assert sorted(scheduled) == sorted(housekeeping.CHORES)
    for chore in [*housekeeping.CHORES] * 2:
        do(chore)
