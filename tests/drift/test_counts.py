"""Every run adds up: counts, amounts and items agree on the screen, in the file, in JSON and on a terminal."""

import json
import random
import re
from collections.abc import Callable
from decimal import Decimal
from html import unescape
from typing import Any

import psycopg
import pytest
from sqlalchemy import select

from backoffice.app.protection import limiter
from backoffice.drift.verification.scope import scope_of
from backoffice.figures import registry
from backoffice.runs.models import COUNTERS, Run, RunItem
from tests.billing.books_of_meters import a_customer, a_payment, an_invoice, migrated, step
from tests.billing.recalculations import recalculated
from tests.depth import examples
from tests.drift.books import run_of
from tests.drift.every_figure import fill, tamper
from tests.drift.test_previews import applied
from tests.files_for_people import lines_for_people

pytestmark = pytest.mark.slow

Outside = psycopg.Connection[Any]
OF_ITEMS = ("amount_before", "amount_after", "amount", "gross")


def runs_of_all_kinds(session: Any, surgery: Outside, chance: random.Random) -> list[Run]:
    """One run of each kind, on a book with drift and with documents that lack their meter."""
    fill(session)
    lost = a_customer("LOST", "M-LOST")
    a_payment("P-LOST", lost)
    an_invoice("I-LOST", lost)
    session.commit()
    grand_total = registry.get("orders.grand_total")
    done: list[Run] = []
    for ask in (
        lambda: run_of("figures.verify"),
        lambda: run_of("figures.heal", dry_run=True),
        lambda: run_of("figures.heal", scope_of([grand_total], [1, 2])),
        lambda: run_of("figures.rebuild", scope_of([grand_total]), dry_run=True),
        lambda: applied(run_of("figures.heal", dry_run=True)),
        lambda: run_of("figures.rebuild"),
        lambda: run_of("figures.verify", {"fix": True}),
        lambda: recalculated(dry_run=True),
        recalculated,
        lambda: step("payment-meters", dry_run=True),
    ):
        tamper(surgery, chance, 4)
        surgery.execute(b"UPDATE orders SET grand_total = grand_total + 5 WHERE id <= 2")
        surgery.execute(b"UPDATE meters SET balance = balance + 250 WHERE id = 1")
        done.append(ask())  # type: ignore[no-untyped-call]
    return [*done, *migrated(dry_run=True), *migrated()]


@pytest.mark.leaves_drift
@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", range(examples(1)))
def test_counts_and_amounts_of_every_kind_of_run_tie_out(
    session: Any, surgery: Outside, sign_in: Any, run_command: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch, seed: int,
) -> None:  # fmt: skip
    monkeypatch.setattr(limiter, "enabled", False)
    runs = runs_of_all_kinds(session, surgery, random.Random(seed))
    client, rows = sign_in("finance"), 0
    for number in [run.id for run in runs]:
        session.rollback()
        run = session.get(Run, number)
        assert run.status.startswith(("done", "finished")), (run.kind, run.error)
        rest = sum(getattr(run, name) for name in COUNTERS if name != "checked")
        assert run.checked == rest, (run.kind, {name: getattr(run, name) for name in COUNTERS})
        items = session.scalars(select(RunItem).where(RunItem.run_id == run.id)).all()
        rows += len(items)
        for item in items:
            if item.amount is not None:
                assert item.amount_before + item.amount == item.amount_after
                assert item.gross >= abs(item.amount)
        if run.dry_run:
            assert run.changed == sum(item.outcome == "found" for item in items), run.kind
        reported = json.loads(
            run_command("runs", "show", str(run.id), "--items", "9999", "--json").stdout
        )
        assert reported["checked"] == sum(reported[name] for name in COUNTERS if name != "checked")
        assert sum(Decimal(i["net"] or 0) for i in reported["items"]) == sum(
            i.amount or 0 for i in items
        )
        assert sum(Decimal(i["gross"] or 0) for i in reported["items"]) == sum(
            i.gross or 0 for i in items
        )
        if items:
            assert_the_file_is_the_screen(client, run.id, items)
    assert rows > 50


def assert_the_file_is_the_screen(client: Any, run_id: int, items: Any) -> None:
    """Columns, order, values and count are equal; the totals are those of the rows, before + net = after."""
    page = client.get(f"/runs/{run_id}?totals=1").text
    table = page.partition("<table")[2].partition("</table>")[0]
    heads = [
        plain(h) for h in re.findall(r"<th\b[^>]*scope=\"col\"[^>]*>(.*?)</th>", table, re.DOTALL)
    ]
    body = table.partition("<tbody>")[2].partition("</tbody>")[0]
    shown = [
        [plain(cell) for cell in re.findall(r"<t[dh]\b[^>]*>(.*?)</t[dh]>", row, re.DOTALL)]
        for row in re.findall(r"<tr\b.*?</tr>", body, re.DOTALL)
    ]
    head, *lines = lines_for_people(client, f"/runs/{run_id}/items.csv")
    foot = next(n for n, line in enumerate(lines) if line[0] == "Total")
    assert len(lines[:foot]) == len(items)
    assert head == heads[: len(head)]
    size = min(len(shown), foot)
    assert [[numbers(cell) for cell in row] for row in shown[:size]] == [
        [numbers(cell) for cell in row] for row in lines[:size]
    ]
    sums = dict(zip(head, lines[foot], strict=True))
    for name, label in zip(OF_ITEMS, ("Before", "After", "Net", "Gross"), strict=True):
        assert Decimal(sums[label]) == sum(getattr(item, name) or 0 for item in items), label
    assert Decimal(sums["Before"]) + Decimal(sums["Net"]) == Decimal(sums["After"])


def plain(markup: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", markup)).split())


def numbers(cell: str) -> str:
    """A cell with its amounts in a program's format."""
    exact = re.sub(r"(?<=\d),(?=\d{3})", "", cell.replace("−", "-"))
    return re.sub(r"\d+\.\d+|\d+", lambda found: str(Decimal(found[0]).normalize() + 0), exact)
