"""What a run left undone: it is reported until it is mended, and a retry does it."""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select, update

from backoffice.app.domain import declared
from backoffice.app.extensions import db
from backoffice.base.actor import acting_as
from backoffice.health.queries import background
from backoffice.people.models import User
from backoffice.runs import actions, queries, working
from backoffice.runs.errors import NothingToRetry
from backoffice.runs.kinds import RunKind
from backoffice.runs.models import STATUSES, Run, RunItem
from backoffice.runs.work import Chunk, Work
from tests.factories.customers import CustomerFactory
from tests.factories.people import UserFactory
from tests.health.readings import read_anew, token
from tests.runs.balances import APPLYING, BALANCES, domains  # noqa: F401 (a fixture)
from tests.runs.test_views import a_dry_run, a_run, act, key_in, numbers_of, run_of

SignIn = Callable[..., FlaskClient]
LAST_WEEK = timedelta(days=8)


def unmended(session: Any) -> set[int]:
    session.expire_all()
    return set(session.scalars(select(Run.id).where(queries.is_unmended())))


def retried(session: Any, run_id: int) -> int:
    with acting_as("cli:root"):
        again = actions.retry(db.session(), run_id)
        session.commit()
    return again.id


def mended(session: Any, run_id: int) -> None:
    """Remove the cause of the failures."""
    customers = {item.owner for item in session.scalars(select(RunItem)) if item.run_id == run_id}
    session.execute(update(CustomerFactory._meta.model).values(city="Jakarta"))
    session.commit()
    assert customers


def test_a_retried_application_is_mended(session: Any) -> None:
    """Its retry names the dry run that it applies, as an application of the rest does, which mends nothing."""
    now = datetime.now(UTC)

    def ended(status: str, follows: Run | None = None, **scope: int) -> Run:
        run = Run(
            kind=BALANCES.name, scope=scope, scope_key=str(scope), status=status, created_at=now,
            started_at=now, finished_at=now, total=0, follows=follows and follows.id,
        )  # fmt: skip
        session.add(run)
        session.flush()
        return run

    dry = ended("done")
    failed = ended("finished with failures", dry, run=dry.id)
    session.commit()
    assert unmended(session) == {failed.id}
    ended("done", failed, run=dry.id, retry=failed.id)
    session.commit()
    assert unmended(session) == set()


def test_a_retry_that_was_cancelled_has_mended_nothing(session: Any, sign_in: SignIn) -> None:
    run_id, client = a_dry_run(session, ("Ana", "Broken")), sign_in("finance")
    assert unmended(session) == {run_id}
    again = retried(session, run_id)
    assert unmended(session) == set(), "somebody does it"
    actions.cancel(db.session(), again)
    session.commit()
    assert unmended(session) == {run_id}
    page = client.get(f"/runs/{run_id}").text
    answer = act(client, run_id, "retry", key_in(page))
    number = int(answer.headers["Location"].rsplit("/", 1)[1])
    mended(session, run_id)
    working.perform(db.engine, number)
    assert run_of(session, number).status == "done"
    assert unmended(session) == set()


def test_what_failed_in_a_dry_run_is_not_mended_by_applying_the_rest(session: Any) -> None:
    run_id = a_dry_run(session, ("Ana", "Broken"))
    with acting_as("cli:root"):
        limits = actions.Limits(10**6, 10**12)
        applied = actions.apply(db.session(), run_id, reason="recount", limits=limits).id
        session.commit()
    working.perform(db.engine, applied)
    assert run_of(session, applied).status == "done"
    assert unmended(session) == {run_id}


@pytest.mark.parametrize("can_do_single_items", [True, False])
def test_a_retry_does_what_failed_whatever_its_kind_can_do_again(
    session: Any, monkeypatch: pytest.MonkeyPatch, can_do_single_items: bool
) -> None:
    if not can_do_single_items:
        whole = RunKind(BALANCES.name, "", "figures.heal", BALANCES.plan, BALANCES.work)
        monkeypatch.setitem(declared().kinds, BALANCES.name, whole)
    run_id = a_dry_run(session, ("Ana", "Broken", "Citra"))
    again = retried(session, run_id)
    working.perform(db.engine, again)
    assert run_of(session, again).status == "finished with failures", "it fails again"
    assert run_of(session, again).failed == 1
    assert run_of(session, again).checked == (1 if can_do_single_items else 3)


def test_a_run_of_which_only_the_end_failed_is_ended_by_a_retry(
    session: Any, sign_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    def finish(_connection: Any, _asked: Any) -> dict[str, Any]:
        return {"rows": 1 // len(works)}

    works: list[int] = []
    kind = RunKind(
        APPLYING.name, "Sum up", "figures.heal", lambda _c, _a: (), lambda _w: None, finish=finish
    )
    monkeypatch.setitem(declared().kinds, APPLYING.name, kind)
    run_id, client = a_run(APPLYING.name), sign_in("finance")
    working.perform(db.engine, run_id)
    assert run_of(session, run_id).status == "failed"
    page = client.get(f"/runs/{run_id}").text
    works.append(1)
    answer = act(client, run_id, "retry", key_in(page))
    assert answer.status_code == 303
    number = int(answer.headers["Location"].rsplit("/", 1)[1])
    working.perform(db.engine, number)
    assert (run_of(session, number).status, run_of(session, number).result) == ("done", {"rows": 1})
    assert unmended(session) == set()


@pytest.mark.parametrize("status", STATUSES)
def test_a_page_speaks_of_a_retry_exactly_where_it_can_be_had(
    status: str, session: Any, sign_in: SignIn
) -> None:
    """Also for a run that never began, and for one with items that were deleted after their retention."""
    client = sign_in("finance")
    ended = status in ("done", "finished with failures", "failed", "cancelled")
    for began in (True, False):
        run_id = a_run(scope={"n": began})
        values: dict[str, Any] = {"status": status, "requested_by": "cli:root"}
        values |= {"finished_at": func.now()} if ended else {}
        values |= {"started_at": func.now()} if began else {}
        session.execute(update(Run).where(Run.id == run_id).values(**values))
        session.commit()
        page = client.get(f"/runs/{run_id}").text
        offered = f"/runs/{run_id}/retry" in page
        assert offered == ("Retry does what is left" in page)
        if offered:
            assert act(client, run_id, "retry", key_in(page)).status_code == 303
        else:
            with pytest.raises(NothingToRetry):
                actions.retry(db.session(), run_id)
            session.rollback()


def counts_on_today(page: str) -> Iterator[tuple[int, str]]:
    """The counts of runs on Today, each with the URL of the list that it links to."""
    for place, text in re.findall(
        r'href="(/runs\?[^"]+)">.*?<span>(\d+ runs? [^<]*)<', page, re.DOTALL
    ):
        yield int(text.split()[0]), place.replace("&amp;", "&")


def test_today_counts_the_runs_that_it_leads_to_housekeeping_too(
    session: Any, sign_in: SignIn
) -> None:
    client, long_ago = sign_in("admin"), datetime.now(UTC) - timedelta(minutes=2)
    for number, kind in enumerate(("test.balances", "test.chore")):
        for status in ("failed", "queued"):
            run_id = a_run(kind, scope={"n": [number, status]})
            values = {"status": status, "created_at": long_ago}
            values |= {"finished_at": func.now()} if status == "failed" else {}
            session.execute(update(Run).where(Run.id == run_id).values(**values))
    session.commit()
    found = list(counts_on_today(client.get("/today").text))
    assert [count for count, _ in found] == [2, 2]
    for count, place in found:
        assert len(numbers_of(client.get(place).text)) == count, place


def test_today_counts_what_a_user_may_approve_and_what_is_their_own(
    session: Any, sign_in: SignIn
) -> None:
    client = sign_in("finance")
    me = session.scalars(select(User.id).where(User.role == "finance")).one()
    for number, by in enumerate((f"user:{me}", f"user:{me}", "cli:root", "cli:other")):
        a_run(by=by, scope={"n": number}, needs_approval=True)
    a_run("test.chore", needs_approval=True)
    waiting = "/runs?status=awaiting-approval"
    found = sorted(counts_on_today(client.get("/today").text))
    assert found == [(2, waiting), (2, f"{waiting}&mine=1")]
    assert len(numbers_of(client.get(f"{waiting}&mine=1").text)) == 2


def test_a_run_waits_for_a_worker_from_the_moment_it_is_approved(
    session: Any, sign_in: SignIn, app: Flask
) -> None:
    boss = UserFactory(role="admin")
    session.commit()
    run_id = a_run(needs_approval=True)
    session.execute(update(Run).values(created_at=func.now() - LAST_WEEK))
    session.commit()
    with acting_as(f"user:{boss.id}"):
        actions.approve(db.session(), run_id)
        session.commit()
    assert run_of(session, run_id).status == "queued"
    assert list(counts_on_today(sign_in("admin").get("/today").text)) == []
    assert not background(session).is_stuck
    found = read_anew(app, token(session))
    for name in ("backoffice_run_queue_age_seconds", "backoffice_run_outbox_age_seconds"):
        assert found.one(name) < 60


class Stopped(Exception):
    """Raised in place of the end of the process."""


@pytest.mark.parametrize("end", [KeyboardInterrupt, SystemExit])
def test_a_run_whose_command_was_stopped_is_cancelled_at_once_and_what_is_left_retried(
    session: Any, monkeypatch: pytest.MonkeyPatch, run_command: Callable[..., Any], end: Any
) -> None:
    """No worker runs here, and none is needed."""
    work, worked = BALANCES.work, []

    def stopped(of: Work) -> None:
        worked.append(of)
        if len(worked) == 2:
            raise end()
        work(of)

    kind = RunKind(BALANCES.name, "", "figures.heal", BALANCES.plan, stopped, again=BALANCES.again)
    monkeypatch.setitem(declared().kinds, BALANCES.name, kind)
    for name in ("Ana", "Budi", "Citra", "Dewi", "Eko"):
        CustomerFactory(name=name, city="Jakarta")
    session.commit()
    run_id = a_run(is_here=True)
    with pytest.raises(end):
        working.perform(db.engine, run_id)
    shown = run_command("runs", "show", str(run_id))
    assert "2 looked at: 2 changed" in shown.stdout, "so far"
    assert run_command("runs", "list").stdout.count("│ 2 ") == 1
    stopped_run = run_command("runs", "cancel", str(run_id))
    assert (stopped_run.exit_code, "Cancelled" in stopped_run.stdout) == (0, True)
    assert run_command("runs", "show", str(run_id)).exit_code == 1, "it was not done"
    assert run_of(session, run_id).checked == 2
    rest = run_command("runs", "retry", str(run_id))
    assert (rest.exit_code, "3 looked at: 3 changed" in rest.stdout) == (0, True)


def test_cancelling_waits_for_whoever_is_at_work(session: Any, sign_in: SignIn) -> None:
    for name in ("Ana", "Budi", "Citra"):
        CustomerFactory(name=name, city="Jakarta")
    session.commit()
    run_id = a_run()
    tried = iter([False, False, True, True])
    working.perform(db.engine, run_id, stopping=lambda: next(tried))
    claim = working._claim(db.engine, run_id, 30)
    assert claim is not None
    finance = sign_in("finance")
    assert act(finance, run_id, "cancel").status_code == 303
    assert run_of(session, run_id).status == "running"
    assert "It is being stopped" in finance.get(f"/runs/{run_id}").text
    asked = working.asked_of(session.connection(), run_id)
    session.rollback()
    assert asked is not None
    held = Work(db.engine, asked, claim, working.Pace(is_paced=False))
    working._do(BALANCES, asked, held)
    working.perform(db.engine, run_id)
    assert (run_of(session, run_id).status, run_of(session, run_id).checked) == ("done", 3)


def test_what_could_not_go_on_is_trouble(
    session: Any, run_command: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def finish(_connection: Any, _asked: Any) -> dict[str, Any]:
        raise ValueError("the end cannot be said")

    kind = RunKind(
        BALANCES.name, "", "figures.heal", lambda _c, _a: (Chunk({"ids": []}),), BALANCES.work, finish
    )  # fmt: skip
    monkeypatch.setitem(declared().kinds, BALANCES.name, kind)
    run_id = a_run()
    working.perform(db.engine, run_id)
    for words in (("show", str(run_id)), ("retry", str(run_id))):
        done = run_command("runs", *words)
        assert done.exit_code == 2, words
        assert "the end cannot be said" in done.stderr
