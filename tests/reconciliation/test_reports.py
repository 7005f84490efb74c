"""A report equals the tables: every line, every control total, every drift that a test causes."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from backoffice import figures
from backoffice.app.extensions import db
from backoffice.lists.csv_files import FLAVOURS
from backoffice.reconciliation import files
from backoffice.reconciliation import report as reports
from backoffice.reconciliation.queries import snapshot
from backoffice.reconciliation.report import Report, Totals, new_totals
from tests.depth import examples
from tests.surgery import tell_of_everything

GRAND_TOTALS = "SELECT count(*), sum(grand_total), sum(total_price + additions - promo - reductions) FROM orders"


def reconciled(
    name: str, owners: Sequence[int] | None = None, **period: Any
) -> tuple[dict[str, Totals], list[Any]]:
    """The control totals of a figure and its lines."""
    figure, lines = figures.registry.get(name), list[Any]()
    totals = new_totals(figure)
    with snapshot(db.engine) as connection:
        report = Report(connection, figures.registry, figure, owners=owners, **period)
        for page in report.pages():
            for column, sums in report.totals(page).items():
                totals[column].add(sums)
            order = ("owner", "k0", "place")
            lines += connection.execute(select(report.lines).order_by(*order), page)
    return totals, lines


def test_totals_are_the_sums_that_sql_gives_and_those_of_the_lines(
    book: list[int], app_connection: psycopg.Connection[Any]
) -> None:
    totals, lines = reconciled("orders.grand_total")
    total, row = totals["grand_total"], app_connection.execute(GRAND_TOTALS).fetchone()
    assert row == (total.rows, total.stored, total.expected)
    assert [line.owner for line in lines] == book
    assert total.stored == sum(line.stored for line in lines)
    assert (total.drifted, total.difference, total.is_right) == (0, 0, True)


def test_injected_drift_is_shown_and_totalled(
    book: list[int], surgery: psycopg.Connection[Any]
) -> None:
    surgery.execute("UPDATE orders SET grand_total = grand_total + 0.01 WHERE id = %s", [book[2]])
    surgery.execute("UPDATE orders SET grand_total = grand_total - 70 WHERE id = %s", [book[4]])
    totals, lines = reconciled("orders.grand_total")
    wrong = {line.owner: line.difference for line in lines if not line.is_right}
    assert wrong == {book[2]: Decimal("-0.01"), book[4]: Decimal(70)}
    total, row = totals["grand_total"], surgery.execute(GRAND_TOTALS).fetchone()
    assert row == (total.rows, total.stored, total.expected)
    assert (total.drifted, total.difference) == (2, Decimal("69.99"))
    figures.heal(db.engine)


def test_a_figure_of_several_columns_has_a_line_and_totals_for_each(
    book: list[int], surgery: psycopg.Connection[Any]
) -> None:
    surgery.execute("UPDATE orders SET itemised = '{promo}', promo = 5 WHERE id = %s", [book[0]])
    tell_of_everything(surgery)
    totals, lines = reconciled("orders.components")
    names = ["total_price", "additions", "promo", "reductions"]
    assert list(totals) == names
    assert [line.column for line in lines[:4]] == names
    for name, total in totals.items():
        [row] = surgery.execute(f"SELECT count(*), sum({name}) FROM orders").fetchall()
        assert row == (total.rows, total.stored), name
    assert totals["promo"].difference == Decimal(-5)
    assert [t.drifted for t in totals.values()] == [0, 0, 1, 0]
    figures.heal(db.engine)


def test_missing_and_surplus_rows_are_lines_with_one_side(
    book: list[int], surgery: psycopg.Connection[Any]
) -> None:
    [gone] = surgery.execute(
        "DELETE FROM account_manager_targets WHERE id = (SELECT min(id) FROM account_manager_targets)"
        " RETURNING achieved"
    ).fetchall()
    surgery.execute(
        "INSERT INTO account_manager_targets (account_manager_id, month, achieved, orders_closed)"
        " SELECT account_manager_id, '2020-01-01', 9, 1 FROM orders LIMIT 1"
    )
    totals, lines = reconciled("account_manager_targets.achieved")
    wrong = [line for line in lines if not line.is_right]
    sides = {(line.stored, line.expected) for line in wrong if line.column == "achieved"}
    assert sides == {(None, gone[0]), (Decimal(9), None)}
    total = totals["achieved"]
    assert (total.drifted, total.difference) == (2, gone[0] - 9)
    [row] = surgery.execute("SELECT sum(achieved) FROM account_manager_targets").fetchall()
    assert row == (total.stored,)
    figures.heal(db.engine)


def test_corrections_of_the_period_stand_beside_their_rows_and_tie_out(
    book: list[int], surgery: psycopg.Connection[Any]
) -> None:
    before = datetime.now(UTC) - timedelta(minutes=1)
    for amount in (10, 20):
        surgery.execute("UPDATE orders SET grand_total = grand_total + %s", [amount])
        figures.heal(db.engine)
    totals, lines = reconciled("orders.grand_total")
    assert {(line.corrections, line.corrected) for line in lines} == {(2, Decimal(-30))}
    [row] = surgery.execute(
        "SELECT count(*), sum((after->>'grand_total')::numeric - (before->>'grand_total')::numeric)"
        " FROM corrections WHERE figure = 'orders.grand_total'"
    ).fetchall()
    assert row == (totals["grand_total"].corrections, totals["grand_total"].corrected)
    within, _ = reconciled("orders.grand_total", since=before)
    assert within["grand_total"].corrections == 14
    for outside in ({"until": before}, {"since": before + timedelta(days=1)}):
        none, _ = reconciled("orders.grand_total", **outside)
        assert (none["grand_total"].corrections, none["grand_total"].corrected) == (0, 0)


def test_a_correction_at_the_end_of_a_period_counts_in_the_next_one_alone(
    book: list[int], surgery: psycopg.Connection[Any]
) -> None:
    surgery.execute("UPDATE orders SET grand_total = grand_total + 10 WHERE id = %s", [book[3]])
    figures.heal(db.engine)
    [(at,)] = surgery.execute("SELECT at FROM corrections").fetchall()
    counted = [
        reconciled("orders.grand_total", **period)[0]["grand_total"].corrections
        for period in ({"until": at}, {"since": at}, {"since": at, "until": at})
    ]
    assert counted == [0, 1, 0]


def test_the_totals_of_a_file_are_those_of_all_its_pages(
    book: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reports, "PAGE", 2)
    figure, totals = figures.registry.get("orders.grand_total"), dict[str, Totals]()
    with snapshot(db.engine) as connection:
        report = Report(connection, figures.registry, figure)
        about = files.About("all", "the test")
        blocks = files.csv_of(report, about, FLAVOURS["csv"], files.plain(figure), totals)
        text = b"".join(blocks).decode()
    whole, lines = reconciled("orders.grand_total")
    assert totals == whole
    assert f"TOTAL,,{len(lines)},,grand_total,{whole['grand_total'].stored}," in text


def test_what_a_correction_has_removed_is_still_in_its_period(
    book: list[int], surgery: psycopg.Connection[Any]
) -> None:
    surgery.execute(
        "INSERT INTO account_manager_targets (account_manager_id, month, achieved, orders_closed)"
        " SELECT account_manager_id, '2020-01-01', 9, 1 FROM orders LIMIT 1"
    )
    figures.heal(db.engine)
    totals, lines = reconciled("account_manager_targets.achieved")
    [removed] = [line for line in lines if line.corrections and line.column == "achieved"]
    assert (removed.stored, removed.expected, removed.corrected) == (None, None, Decimal(-9))
    assert removed.is_right
    assert totals["achieved"].corrected == Decimal(-9)


def test_one_owner_is_reported_alone(book: list[int]) -> None:
    totals, lines = reconciled("orders.grand_total", owners=[book[3], book[3]])
    assert [line.owner for line in lines] == [book[3]]
    assert totals["grand_total"].rows == 1
    none, lines = reconciled("orders.grand_total", owners=[])
    assert (none["grand_total"].rows, lines) == (0, [])


def test_an_empty_book_has_totals_of_zero(app: Any, session: Any) -> None:
    totals, lines = reconciled("orders.components")
    assert lines == []
    assert {(t.rows, t.stored, t.is_right) for t in totals.values()} == {(0, 0, True)}


@settings(
    max_examples=examples(20),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(size=st.integers(1, 9), drift=st.lists(st.integers(-500, 500), min_size=7, max_size=7))
def test_however_it_is_paged_the_report_is_the_same(
    size: int, drift: list[int], book: list[int], surgery: psycopg.Connection[Any]
) -> None:
    for owner, cents in zip(book, drift, strict=True):
        surgery.execute(
            "UPDATE orders SET grand_total = total_price + additions - promo - reductions + %s"
            " WHERE id = %s",
            [Decimal(cents) / 100, owner],
        )
    whole, lines = reconciled("orders.grand_total")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reports, "PAGE", size)
        paged, same = reconciled("orders.grand_total")
    assert (paged, same) == (whole, lines)
    total = whole["grand_total"]
    assert total.difference == -Decimal(sum(drift)) / 100
    assert total.drifted == sum(1 for cents in drift if cents)
    figures.heal(db.engine)
