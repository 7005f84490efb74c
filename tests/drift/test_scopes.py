"""What a run over selected figures and owners covers, and what it heals beneath them."""

import json
from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy import select

from backoffice.drift.verification.scope import parts
from backoffice.figures import registry
from backoffice.figures.models import Correction
from backoffice.orders.models import Order
from backoffice.runs import actions
from backoffice.runs.models import Run

SUMS, BALANCE = "accounts.sums", "accounts.balance"
"""PostgreSQL computes the balance from the sums in the same row, so they are one bundle."""

Owners = Sequence[int] | None


def covered(figures: dict[str, Owners], *, beneath: bool) -> dict[str, Owners]:
    """Bundle → its covered owners, in order of the bundles; None: all."""
    found = parts(registry, {"figures": figures}, beneath=beneath)
    return {part.bundle.name: part.owners for part in found}


def bundles(*names: str) -> list[str]:
    """The bundles of these figures, each after those that it builds on."""
    return [bundle.name for bundle in registry.bundles_of([registry.get(name) for name in names])]


def test_the_book_has_a_column_that_postgresql_computes(app: Any) -> None:
    assert [figure.name for figure in registry.figures if figure.generated] == [BALANCE]


@pytest.mark.parametrize("beneath", [False, True])
@pytest.mark.parametrize(
    ("asked", "sums"),
    [
        ({BALANCE: [7, 3]}, [3, 7]),
        ({BALANCE: [3], SUMS: [9]}, [3, 9]),
        ({BALANCE: [3], SUMS: None}, None),
        ({BALANCE: None}, None),
        ({BALANCE: None, SUMS: [9]}, None),
        ({SUMS: [3]}, [3]),
    ],
)
def test_a_computed_column_is_covered_with_what_it_is_made_of(
    app: Any, beneath: bool, asked: dict[str, Owners], sums: Owners
) -> None:
    assert covered(asked, beneath=beneath) == {bundles(SUMS)[0]: sums}


def test_what_was_not_narrowed_is_everything(app: Any) -> None:
    for beneath in (False, True):
        found = parts(registry, {}, beneath=beneath)
        assert [part.bundle for part in found] == list(registry.bundles)
        assert {part.owners for part in found} == {None}


@pytest.mark.leaves_drift
@pytest.mark.parametrize("verb", ["verify", "heal", "rebuild"])
def test_an_owner_given_by_its_id_alone_narrows_every_command(
    wrong: dict[str, Order], run_command: Any, session: Any, verb: str
) -> None:
    """Both A-1 and A-2 are wrong; only the first is requested, and the second stays unchanged."""
    first = wrong["A-1"].id
    done = json.loads(run_command("figures", verb, "--owner", str(first), "--json").stdout)
    run = session.get_one(Run, done["run"])
    assert {owner for owners in run.scope["figures"].values() for owner in owners} == {first}
    healed = set(session.scalars(select(Correction.owner)))
    assert healed == (set() if verb == "verify" else {first})


@pytest.mark.leaves_drift
def test_a_dry_run_of_an_owner_given_by_its_id_alone_shows_nobody_else(
    wrong: dict[str, Order], run_command: Any
) -> None:
    third = str(wrong["A-3"].id)
    done = run_command("figures", "heal", "--owner", third, "--dry-run", "--json")
    assert (done.exit_code, json.loads(done.stdout)["findings"]) == (0, [])


@pytest.mark.leaves_drift
@pytest.mark.parametrize("narrowed", [["orders.grand_total", "--owner"], ["--owner"]])
def test_a_dry_run_says_right_of_what_it_has_looked_at(
    wrong: dict[str, Order], run_command: Any, narrowed: list[str]
) -> None:
    done = run_command("figures", "heal", *narrowed, str(wrong["A-3"].id), "--dry-run")
    assert (done.exit_code, done.stdout) == (0, "What was verified is right.\n")


def test_a_dry_run_of_everything_says_it_of_every_figure(
    orders: dict[str, Order], run_command: Any
) -> None:
    done = run_command("figures", "rebuild", "--dry-run")
    assert (done.exit_code, done.stdout) == (0, "Every figure is right.\n")


@pytest.mark.leaves_drift
def test_a_dry_run_that_is_continued_says_what_it_would_change(
    wrong: dict[str, Order], run_command: Any, session: Any
) -> None:
    run = actions.request(session, "figures.heal", {}, dry_run=True, is_paced=False).id
    session.commit()
    done = run_command("figures", "heal", "--resume", str(run))
    assert (done.exit_code, f"Dry run {run}: 2 figure rows would be written" in done.stdout) == (
        1, True,
    )  # fmt: skip
    assert "changed" not in done.stdout


@pytest.mark.parametrize("verb", ["verify", "heal", "rebuild"])
@pytest.mark.parametrize("figures", [[], ["orders.grand_total"]])
def test_an_id_that_is_nobodys_is_trouble(
    orders: dict[str, Order], run_command: Any, verb: str, figures: list[str]
) -> None:
    """A mistyped id is not reported as right."""
    known = str(orders["A-1"].id)
    assert run_command("figures", verb, *figures, "--owner", known).exit_code == 0
    done = run_command("figures", verb, *figures, "--owner", known, "--owner", "#4711")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "No owner of these figures is called #4711." in done.stderr


@pytest.mark.leaves_drift
def test_an_id_whose_record_is_missing_is_still_somebodys(
    orders: dict[str, Order], run_command: Any, surgery: Any
) -> None:
    first = orders["A-1"].id
    surgery.execute("DELETE FROM orders WHERE id = %s", [first])
    done = run_command("figures", "verify", "order_lines.amount", "--owner", str(first), "--json")
    assert (done.exit_code, json.loads(done.stdout)["drifted"]) == (1, 1)
