"""A file writes the amounts of a figure's column in one way: stored, computed, corrected and added up."""

import csv
from decimal import Decimal
from io import StringIO
from typing import Any

import psycopg
import pytest
from sqlalchemy import Integer, Numeric

from backoffice import figures
from backoffice.app.extensions import db
from backoffice.lists.csv_files import FLAVOURS
from backoffice.reconciliation.files import AMOUNTS, About, csv_of, plain
from backoffice.reconciliation.queries import snapshot
from backoffice.reconciliation.report import Report
from tests.drift.whole_book import FIGURES, everything_stored, write_everything
from tests.factories.billing import MeterFactory
from tests.factories.customers import CustomerFactory
from tests.factories.wallets import WalletFactory

pytestmark = pytest.mark.slow


def lines_of(name: str, flavour: str) -> list[dict[str, str]]:
    """The lines of a figure's file, and those of its totals."""
    figure = figures.registry.get(name)
    with snapshot(db.engine) as connection:
        report = Report(connection, figures.registry, figure)
        file = b"".join(csv_of(report, About("all", "me"), FLAVOURS[flavour], plain(figure), {}))
    head, *lines = csv.reader(
        StringIO(file.decode(), newline=""), delimiter=FLAVOURS[flavour].delimiter
    )
    return [dict(zip(head, line, strict=True)) for line in lines if len(line) == len(head)]


def written(name: str, flavour: str) -> dict[tuple[str, str], set[int]]:
    """The numbers of decimals in which the amounts of each column of a figure are written, by column of the file."""
    found: dict[tuple[str, str], set[int]] = {}
    for line in lines_of(name, flavour):
        for one in AMOUNTS:
            cell = line[one]
            if cell:
                decimals = len(cell.partition(FLAVOURS[flavour].point)[2])
                found.setdefault((line["column"], one), set()).add(decimals)
    return found


@pytest.mark.leaves_drift
@pytest.mark.parametrize("flavour", FLAVOURS)
def test_amounts_of_a_column_have_the_same_decimals(
    session: Any, surgery: psycopg.Connection[Any], flavour: str
) -> None:
    write_everything()
    for nothing in (CustomerFactory, MeterFactory, WalletFactory):
        nothing()
    session.commit()
    for stored in list(everything_stored())[::2]:
        table, name = stored.figure.table.name, stored.column
        surgery.execute(f"UPDATE {table} SET {name} = coalesce({name}, 0) + 7")
    names = [figure.name for figure in FIGURES]
    before = [written(name, flavour) for name in names]
    figures.heal(db.engine)
    seen = 0
    for name, amounts in zip(
        names * 2, [*before, *(written(n, flavour) for n in names)], strict=True
    ):
        for (column, one), decimals in amounts.items():
            kind = figures.registry.get(name).table.c[column].type
            if isinstance(kind, Numeric | Integer):
                scale = getattr(kind, "scale", None) or 0
                assert decimals == {scale}, (name, column, one)
            seen += 1
    assert seen > 100


def test_an_amount_with_more_decimals_than_its_column_hides_none(session: Any) -> None:
    from backoffice.reconciliation.files import _padded

    money = figures.registry.get("orders.grand_total").columns[0]
    said = [str(_padded(Decimal(text), money)) for text in ("0", "-7", "1.5", "0.001", "1E+3")]
    assert said == ["0.00", "-7.00", "1.50", "0.001", "1000.00"]
