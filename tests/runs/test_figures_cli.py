"""`backoffice figures …`: what it prints, what it leaves behind, and its exit status."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import psycopg
import pytest
from sqlalchemy import func, select, update

from backoffice.app.domain import declared
from backoffice.app.extensions import db
from backoffice.drift.healing import performing
from backoffice.figures import registry
from backoffice.figures.models import Correction
from backoffice.orders.figures import ORDER_FIGURES
from backoffice.orders.models import Order
from backoffice.runs import actions
from backoffice.runs.models import Run
from tests.factories.orders import OrderFactory
from tests.surgery import tell_of_everything

Command = Callable[..., Any]


@pytest.fixture
def order(session: Any) -> Order:
    """An order of one package line (3 × 10) and entered amounts: 30 + 500,000 − 1,000,000 − 200,000."""
    order = OrderFactory(
        lines=[("package", "Tofu", "3", "10")], total_price=0, promo=0, reductions=0
    )
    session.commit()
    return order  # type: ignore[no-any-return]


def test_list_names_every_figure_what_it_builds_on_and_what_waits(
    order: Order, run_command: Command, owner_connection: psycopg.Connection[Any]
) -> None:
    owner_connection.execute("UPDATE order_lines SET quantity = 4")
    done = run_command("figures", "list", "--json")
    listed = {line["figure"]: line for line in json.loads(done.stdout)["figures"]}
    assert list(listed) == [figure.name for figure in registry.figures]
    assert listed["orders.grand_total"]["builds_on"] == ["orders.components"]
    assert listed["orders.components"]["columns"] == [
        "total_price", "additions", "promo", "reductions",
    ]  # fmt: skip
    waiting = {name for name, line in listed.items() if line["noted"] == 1}
    assert waiting == {figure.name for figure in ORDER_FIGURES}, "the order is open, for one"
    assert "orders.grand_total" in run_command("figures", "list").stdout
    drained = json.loads(run_command("figures", "heal", "--noted", "--json").stdout)
    assert (drained["notes"], drained["corrections"]) == (1, 3)


def test_verify_exits_0_when_clean_and_1_with_what_drifted(
    order: Order, run_command: Command, surgery: psycopg.Connection[Any]
) -> None:
    clean = run_command("figures", "verify", "--json")
    assert clean.exit_code == 0
    assert json.loads(clean.stdout) == {
        "run": 1,
        "drifted": 0,
        "figures": {figure.name: 0 for figure in registry.figures},
        "not_verified": [],
        "findings": [],
        "checks": [*declared().checks],
        "differing": [],
    }
    surgery.execute("UPDATE orders SET grand_total = 1")
    for dry in (("verify",), ("heal", "--dry-run"), ("rebuild", "--dry-run")):
        found = run_command("figures", *dry, "--json")
        assert found.exit_code == 1, dry
        [finding] = json.loads(found.stdout)["findings"]
        assert finding["figure"] == "orders.grand_total" == finding["root"]["figure"]
        assert finding["stored"] == {"grand_total": "1.00"}
        assert finding["expected"] == {"grand_total": "500030.00"}
    assert "itself" in run_command("figures", "verify").stdout
    assert db.session.scalar(select(func.count()).select_from(Correction)) == 0
    assert run_command("figures", "heal").exit_code == 0


def test_verify_of_one_figure_and_one_owner_looks_no_further(
    order: Order, session: Any, run_command: Command, surgery: psycopg.Connection[Any]
) -> None:
    other = OrderFactory()
    session.commit()
    surgery.execute("UPDATE orders SET grand_total = 1")
    scope = ("orders.grand_total", "--owner", str(other.id), "--json")
    [finding] = json.loads(run_command("figures", "verify", *scope).stdout)["findings"]
    assert finding["owner"] == other.id
    assert run_command("figures", "verify", "order_lines.amount").exit_code == 0
    assert run_command("figures", "heal").exit_code == 0


def test_heal_leaves_a_run_and_corrections_with_reason_and_actor(
    order: Order, session: Any, run_command: Command, surgery: psycopg.Connection[Any]
) -> None:
    surgery.execute("UPDATE order_lines SET quantity = 4")
    tell_of_everything(surgery)
    done = run_command("figures", "heal", "--reason", "recount", "--json")
    assert done.exit_code == 0
    result = json.loads(done.stdout)
    one_order_its_manager_and_its_customer = 3
    checked = result["checked"], result["corrections"], result["failures"]
    its_gas_and_its_months = 2
    further = 2  # of the order three rows were wrong
    owners = one_order_its_manager_and_its_customer + its_gas_and_its_months
    assert checked == (owners + further, 3, [])
    assert result["checked"] == result["changed"] + result["unchanged"]
    run = session.get_one(Run, result["run"])
    assert (run.status, run.kind, run.changed) == ("done", "figures.heal", 3)
    corrections = session.scalars(select(Correction).order_by(Correction.id)).all()
    assert {(c.run_id, c.reason, c.cause) for c in corrections} == {(run.id, "recount", "heal")}
    assert all(c.actor.startswith("cli:") for c in corrections)
    again = json.loads(run_command("figures", "heal", "--json").stdout)
    assert again["corrections"] == 0
    rebuilt = json.loads(run_command("figures", "rebuild", "--json").stdout)
    assert (rebuilt["checked"], rebuilt["corrections"]) == (owners, 0)


@pytest.mark.leaves_drift
def test_heal_exits_1_when_an_owner_could_not_be_corrected(
    order: Order, run_command: Command, surgery: psycopg.Connection[Any]
) -> None:
    surgery.execute("UPDATE order_lines SET quantity = 999999999999, unit_price = 99999999999")
    tell_of_everything(surgery)
    done = run_command("figures", "heal", "--json")
    assert done.exit_code == 1
    [failure] = json.loads(done.stdout)["failures"]
    assert failure["owner"] == order.id
    assert "overflow" in failure["error"]


def test_an_interrupted_heal_is_resumed_where_it_stood(
    session: Any,
    run_command: Command,
    surgery: psycopg.Connection[Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for _ in range(5):
        OrderFactory()
    session.commit()
    surgery.execute("UPDATE orders SET grand_total = 0")
    monkeypatch.setattr("backoffice.drift.verification.scope.SCAN", 2)

    class Killed(BaseException):
        pass

    def die(_checked: int) -> None:
        if session.scalar(select(func.count()).select_from(Correction)):
            raise Killed
        session.rollback()

    with pytest.raises(Killed):
        performing.heal(db.engine, progress=die)
    session.rollback()
    run = session.scalar(select(Run))
    assert (run.status, session.scalar(select(func.count()).select_from(Correction))) == (
        "running", 2,
    )  # fmt: skip
    done = json.loads(run_command("figures", "heal", "--resume", str(run.id), "--json").stdout)
    assert (done["run"], done["corrections"]) == (run.id, 5)
    session.refresh(run)
    managers = customers = gas = months = 5
    others = managers + customers + gas + months
    assert (run.status, run.checked, run.changed) == ("done", 5 + others, 5)
    assert run.unchanged == others
    refused = run_command("figures", "heal", "--resume", str(run.id))
    assert refused.exit_code == 2
    assert "has finished" in refused.stderr


def test_explain_prints_the_formula_down_to_the_rows(order: Order, run_command: Command) -> None:
    shown = run_command("figures", "explain", "orders.components", str(order.id))
    assert shown.exit_code == 0
    assert "order_lines 1: 30.00" in shown.stdout
    data = json.loads(
        run_command("figures", "explain", "orders.grand_total", str(order.id), "--json").stdout
    )
    [column] = data["columns"]
    assert [(t["sign"], t["value"]) for t in column["terms"]] == [
        ("", "30.00"), ("+", "500000.00"), ("−", "0.00"), ("−", "0.00"),
    ]  # fmt: skip
    assert run_command("figures", "explain", "orders.grand_total", "999").exit_code == 2


def test_an_unknown_figure_is_trouble_with_the_known_names(
    run_command: Command,
) -> None:
    done = run_command("figures", "verify", "orders.grandtotal")
    assert done.exit_code == 2
    assert "orders.grand_total" in done.stderr


HEALING = [
    ("figures.heal", "figures heal"),
    ("figures.heal", "figures heal --dry-run"),
    ("figures.heal", "figures heal --json"),
    ("figures.rebuild", "figures rebuild"),
    ("figures.rebuild", "figures rebuild --dry-run"),
    ("figures.verify", "figures verify"),
    ("figures.heal", "orders update-grand-totals"),
    ("figures.heal", "targets generate"),
    ("figures.heal", "balance sync-realtime --all"),
    ("figures.rebuild", "balance sync-realtime --all --force"),
    ("figures.heal", "balance verify-sync --fix"),
    ("figures.rebuild", "balance verify-sync --rebuild"),
    ("billing.recalculate", "recalculate customer-balances"),
    ("billing.meter-balances", "migrate customer-balances-to-meters"),
    ("billing.backfill-invoice-amounts", "backfill invoice-amounts"),
]
"""The kind of run that a command performs, and the command."""


@pytest.mark.parametrize(("kind", "words"), HEALING, ids=[words for _, words in HEALING])
def test_a_command_whose_run_cannot_go_on_says_so_and_nothing_else(
    kind: str, words: str, session: Any, run_command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cannot(_connection: Any, _asked: Any) -> dict[str, Any]:
        raise RuntimeError("the disk is full")

    broken = replace(declared().kinds[kind], finish=cannot)
    monkeypatch.setitem(declared().kinds, kind, broken)
    done = run_command(*words.split())
    assert done.exit_code == 2, done.output
    assert "Error: " in done.stderr
    assert "the disk is full" in done.stderr
    assert "is right" not in done.stdout


@pytest.mark.parametrize("words", ["figures heal", "schedule run balance-sync-daily"])
def test_a_command_that_is_stopped_has_found_nothing_and_names_the_way_on(
    words: str, order: Order, run_command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(_work: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        broken = replace(declared().kinds["figures.heal"], work=stopped)
        patched.setitem(declared().kinds, "figures.heal", broken)
        done = run_command(*words.split())
    assert (done.exit_code, done.stdout) == (2, "")
    assert "backoffice runs list --live" in done.stderr
    live = json.loads(run_command("runs", "list", "--live", "--json").stdout)["runs"]
    assert [run["kind"] for run in live] == ["figures.heal"]
    assert run_command(*words.split()).exit_code == 2, "it is under way"
    assert run_command("runs", "cancel", str(live[0]["run"])).exit_code == 0
    assert run_command(*words.split()).exit_code == 0


def test_a_dry_run_that_was_cancelled_does_not_say_that_every_figure_is_right(
    order: Order, run_command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    heal = declared().kinds["figures.heal"]

    def cancelled(connection: Any, asked: Any) -> Any:
        with db.engine.begin() as other:
            other.execute(update(Run).values(cancelled_by="user:1"))
        return heal.plan(connection, asked)

    monkeypatch.setitem(declared().kinds, "figures.heal", replace(heal, plan=cancelled))
    done = run_command("figures", "heal", "--dry-run")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "did not end well: cancelled" in done.stderr


@pytest.mark.parametrize("kind", ["figures.verify", "summary.daily", "ledger.post"])
def test_what_waits_for_a_worker_is_performed_whatever_its_kind(
    kind: str, session: Any, run_command: Command
) -> None:
    waiting = actions.request(session, kind, {})
    session.commit()
    assert run_command("figures", "heal", "--resume", str(waiting.id)).exit_code == 0
    session.expire_all()
    assert session.get_one(Run, waiting.id).status == "done"


def test_what_nobody_declares_any_more_is_not_performed_for_ever(
    session: Any, run_command: Command
) -> None:
    session.add(Run(kind="gone.for_good", scope={}, scope_key="x"))
    session.commit()
    number = session.scalars(select(Run.id)).one()
    refused = run_command("figures", "heal", "--resume", str(number))
    assert refused.exit_code == 2
    assert "There is no kind of run called gone.for_good" in refused.stderr
    assert run_command("runs", "cancel", str(number)).exit_code == 0
