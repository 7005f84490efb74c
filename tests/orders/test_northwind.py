"""All of Northwind through the real commands: imported, verified, tampered with, detected and healed."""

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from tests.northwind import rows
from tests.surgery import tell_of_everything

from .books import COMPONENT, SIGN, ZERO, Book, LineFacts, OrderFacts, digest, stored

pytestmark = pytest.mark.slow


Command = Callable[..., Any]
Outside = psycopg.Connection[Any]


def from_the_files() -> Book:
    """The model built from the files alone; orders and lines are numbered in the order of the files."""
    book, keys = Book(), {}
    for key, row in enumerate(rows("orders.csv"), start=1):
        book.orders[key] = OrderFacts(entered=dict.fromkeys(SIGN, ZERO))
        keys[row["number"]] = key
    for key, row in enumerate(rows("order_lines.csv"), start=1):
        amounts = Decimal(row["quantity"]), Decimal(row["unit_price"])
        book.put(key, LineFacts(keys[row["order_number"]], row["kind"], *amounts))
    return book


def key_of(outside: Outside, number: str) -> int:
    """The id of the order with that number."""
    return int(_one(outside, "SELECT id FROM orders WHERE number = %s", number))


def _one(outside: Outside, query: str, *values: Any) -> Any:
    row = outside.execute(query.encode(), values).fetchone()
    assert row is not None
    return row[0]


@pytest.mark.usefixtures("northwind")
def test_all_830_grand_totals_are_right_to_the_cent_and_the_verification_says_so(
    run_command: Command, outside: Outside
) -> None:
    totals = stored(outside)
    numbers = dict(outside.execute("SELECT id, number FROM orders").fetchall())
    found = {numbers[key]: row for (table, key), row in totals.items() if table == "orders"}
    book = from_the_files()
    names = [row["number"] for row in rows("orders.csv")]
    expected = {names[key - 1]: row for (t, key), row in book.totals().items() if t == "orders"}
    assert len(found) == 830
    assert found == expected
    assert sum(row["grand_total"] for row in found.values()) == sum(
        Decimal(r["quantity"]) * Decimal(r["unit_price"]) * (-1 if r["kind"] == "promo" else 1)
        for r in rows("order_lines.csv")
    ).quantize(Decimal("0.01"))
    assert len(totals) == 830 + 3823
    verified = run_command("figures", "verify", "--json")
    assert verified.exit_code == 0
    assert json.loads(verified.stdout)["drifted"] == 0


@pytest.mark.usefixtures("northwind")
def test_tampering_with_three_figures_is_found_named_and_healed(
    run_command: Command, outside: Outside, surgery: Outside
) -> None:
    right = stored(outside)
    one, two, three = (key_of(outside, f"NW-{n}") for n in (10248, 10250, 10251))
    line = _one(outside, "SELECT min(id) FROM order_lines WHERE order_id = %s", three)
    surgery.execute("UPDATE orders SET grand_total = grand_total + 1 WHERE id = %s", (one,))
    surgery.execute("UPDATE orders SET total_price = 0.01 WHERE id = %s", (two,))
    surgery.execute("UPDATE order_lines SET amount = -5 WHERE id = %s", (line,))
    assert _one(outside, "SELECT count(*) FROM figure_notes") == 0

    found = run_command("figures", "verify", "--json")
    assert found.exit_code == 1
    report = json.loads(found.stdout)
    assert report["drifted"] == 3
    grand_total = right["orders", one]["grand_total"]
    total_price = right["orders", two]["total_price"]
    amount = right["order_lines", line]["amount"]
    assert _by_figure(report["findings"]) == {
        ("orders.grand_total", one): (
            {"grand_total": grand_total + 1},
            {"grand_total": grand_total},
        ),
        ("orders.components", two): (
            {"total_price": Decimal("0.01")},
            {"total_price": total_price},
        ),
        ("order_lines.amount", line): ({"amount": Decimal(-5)}, {"amount": amount}),
    }
    for finding in report["findings"]:
        assert finding["root"] == {"figure": finding["figure"], "key": finding["key"]}
        assert finding["roots"] == [finding["root"]]
        assert finding["kind"] == "different"
    assert {f["owner"] for f in report["findings"]} == {one, two, three}

    _heals(run_command, outside, corrections=3)
    assert stored(outside) == right
    left = {
        (figure, key["id"]): (before, after, cause)
        for figure, key, before, after, cause in outside.execute(
            "SELECT figure, key, before, after, cause FROM corrections"
        )
    }
    components = {c: str(right["orders", two][c]) for c in COMPONENT.values()}
    assert left == {
        ("orders.grand_total", one): (
            {"grand_total": str(grand_total + 1)}, {"grand_total": str(grand_total)}, "heal",
        ),
        ("orders.components", two): ({**components, "total_price": "0.01"}, components, "heal"),
        ("order_lines.amount", line): ({"amount": "-5.00"}, {"amount": str(amount)}, "heal"),
    }  # fmt: skip


@pytest.mark.usefixtures("northwind")
def test_a_tampered_quantity_is_found_with_everything_above_it(
    run_command: Command, outside: Outside, surgery: Outside
) -> None:
    before = stored(outside)
    order = key_of(outside, "NW-10255")
    line = _one(
        outside,
        "SELECT min(id) FROM order_lines WHERE order_id = %s AND kind = 'package'",
        order,
    )
    surgery.execute("UPDATE order_lines SET quantity = quantity + 0.125 WHERE id = %s", (line,))
    tell_of_everything(surgery)
    will_be = Book.read(outside).totals()

    report = json.loads(run_command("figures", "verify", "--json").stdout)
    names = {"order_lines.amount": ("order_lines", line, "amount")}
    names |= {"orders.components": ("orders", order, "total_price")}
    names |= {"orders.grand_total": ("orders", order, "grand_total")}
    of_order, of_month = report["findings"][:3], report["findings"][3:]
    assert _by_figure(of_order) == {
        (figure, key): ({c: before[table, key][c]}, {c: will_be[table, key][c]})
        for figure, (table, key, c) in names.items()
    }
    [month] = of_month
    assert month["figure"] == "account_manager_targets.achieved"
    [old, new] = (Decimal(month[side]["achieved"]) for side in ("stored", "expected"))
    totals = [known["orders", order]["grand_total"] for known in (before, will_be)]
    assert new - old == totals[1] - totals[0]
    root = {"figure": "order_lines.amount", "key": {"id": str(line)}}
    assert [f["root"] for f in report["findings"]] == [root] * 4

    dry = run_command("figures", "heal", "--dry-run", "--json")
    assert dry.exit_code == 1
    assert json.loads(dry.stdout)["findings"] == report["findings"]
    assert stored(outside) == before
    _heals(run_command, outside, corrections=4)
    assert stored(outside) == will_be


@pytest.mark.usefixtures("northwind")
def test_one_order_tampered_with_in_several_places_names_each_root(
    run_command: Command, outside: Outside, surgery: Outside
) -> None:
    order = key_of(outside, "NW-10258")
    lines = "SELECT id FROM order_lines WHERE order_id = %s AND kind = 'package' ORDER BY id"
    first, second = (key for (key,) in outside.execute(lines, (order,)).fetchmany(2))
    surgery.execute("UPDATE order_lines SET quantity = 1 WHERE id = %s", (first,))
    surgery.execute("UPDATE order_lines SET amount = 1 WHERE id = %s", (second,))
    surgery.execute("UPDATE orders SET additions = 1, grand_total = 2 WHERE id = %s", (order,))
    tell_of_everything(surgery)
    report = json.loads(run_command("figures", "verify", "--json").stdout)
    of_order = [f for f in report["findings"] if "id" in f["key"]]
    roots = {(f["figure"], f["key"]["id"]): f["root"]["figure"] for f in of_order}
    assert roots == {
        ("order_lines.amount", str(first)): "order_lines.amount",
        ("order_lines.amount", str(second)): "order_lines.amount",
        ("orders.components", str(order)): "orders.components",
        ("orders.grand_total", str(order)): "orders.grand_total",
    }
    _heals(run_command, outside, corrections=4 + 1)
    assert stored(outside) == Book.read(outside).totals()


@pytest.mark.usefixtures("northwind")
def test_a_rebuild_of_what_is_right_writes_nothing(run_command: Command, outside: Outside) -> None:
    before = digest(outside)
    rebuilt = run_command("figures", "rebuild", "--json")
    assert rebuilt.exit_code == 0
    report = json.loads(rebuilt.stdout)
    assert (report["checked"], report["corrections"], report["failures"]) == (
        830 + 9 + 91 + 2 * 91,  # orders, account managers, customers; their gas and its months
        0,
        [],
    )
    assert _changed(before, digest(outside)) == {"figure_checks", "runs"}


def _by_figure(findings: list[dict[str, Any]]) -> dict[tuple[str, int], Any]:
    """The findings of a verification, by figure and row: stored and expected amounts."""
    return {
        (f["figure"], int(f["key"]["id"])): (_amounts(f["stored"]), _amounts(f["expected"]))
        for f in findings
    }


def _amounts(texts: dict[str, str]) -> dict[str, Decimal]:
    assert all(isinstance(text, str) for text in texts.values())
    return {name: Decimal(text) for name, text in texts.items()}


def _heals(run_command: Command, outside: Outside, *, corrections: int) -> None:
    """Assert that `figures heal` makes that many corrections and leaves no drift, and that another one does nothing."""
    healed = run_command("figures", "heal", "--json")
    assert healed.exit_code == 0, healed.output
    assert json.loads(healed.stdout)["corrections"] == corrections
    assert run_command("figures", "verify").exit_code == 0
    before = digest(outside)
    again = json.loads(run_command("figures", "heal", "--json").stdout)
    assert again["corrections"] == 0
    assert _changed(before, digest(outside)) == {"figure_checks", "runs"}
    assert _one(outside, "SELECT count(*) FROM corrections") == corrections


def _changed(before: dict[str, str], after: dict[str, str]) -> set[str]:
    return {table for table in after if before[table] != after[table]}
