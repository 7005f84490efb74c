"""The control totals of a figure with a date column as well as amounts are those of its amounts."""

import csv
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import date
from decimal import Decimal
from io import StringIO
from typing import Any

import pytest
from sqlalchemy import Date, ForeignKey, Integer, Select, UniqueConstraint, cast, func, select
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from backoffice.base import Id
from backoffice.base.money import Money
from backoffice.figures import Registry
from backoffice.figures.verifying.healing import heal
from backoffice.lists.csv_files import FLAVOURS
from backoffice.reconciliation.files import About, csv_of, plain, values_of
from backoffice.reconciliation.report import Report
from tests.figures.worlds import World, a_world

D = Decimal


class Base(DeclarativeBase):
    """Moves, and their monthly sums."""


class Party(Base):
    __tablename__ = "rd_parties"
    id: Mapped[Id]


class Move(Base):
    __tablename__ = "rd_moves"
    id: Mapped[Id]
    party_id: Mapped[int] = mapped_column(ForeignKey(Party.id))
    moved_on: Mapped[date]
    amount: Mapped[Money]


class Month(Base):
    __tablename__ = "rd_months"
    __table_args__ = (UniqueConstraint("party_id", "month"),)
    id: Mapped[Id]
    party_id: Mapped[int] = mapped_column(ForeignKey(Party.id))
    month: Mapped[date]
    last_on: Mapped[date | None]
    amount: Mapped[Money] = mapped_column(server_default="0", default=D(0))
    moves: Mapped[int] = mapped_column(Integer, server_default="0", default=0)


registry = Registry("dated")


@registry.figure(
    columns=(Month.last_on, Month.amount, Month.moves), row_per=(Month.party_id, Month.month),
    owner=Month.party_id, name="rd_months.all", title="Months",
)  # fmt: skip
def months(moves: Any = Move) -> Select[Any]:
    month = cast(func.date_trunc("month", moves.c.moved_on), Date)
    return select(
        moves.c.party_id, month.label("month"), func.max(moves.c.moved_on).label("last_on"),
        func.sum(moves.c.amount).label("amount"), func.count().label("moves"),
    ).group_by(moves.c.party_id, month)  # fmt: skip


registry.seal()


@pytest.fixture
def world(
    session: Any, owner_database_url: str, database_url: str, admin_database_url: str
) -> Iterator[World]:
    """Three moves of one party in two months."""
    urls = {"owner": owner_database_url, "app": database_url, "admin": admin_database_url}
    with a_world(Base, registry, **urls) as world, world.sessions() as db:
        party = Party()
        db.add(party)
        db.flush()
        for day, amount in ((3, "10.50"), (9, "-2.25"), (40, "1000")):
            moved = date(2026, 1 + day // 31, day % 31)
            db.add(Move(party_id=party.id, moved_on=moved, amount=D(amount)))
        db.commit()
        yield world


@pytest.fixture
def reported(
    world: World,
) -> Callable[[], tuple[dict[str, dict[str, Any]], list[list[str]], list[Any]]]:
    """The control totals, the lines of a file in Indonesian, and those of a workbook."""

    def reported() -> tuple[dict[str, dict[str, Any]], list[list[str]], list[Any]]:
        with closing(world.engine.connect()) as connection:
            report = Report(connection, registry, months)
            [page] = report.pages()
            totals, about = report.totals(page), About("all", "a test")
            language = plain(months)
            file = b"".join(csv_of(report, about, FLAVOURS["csv-id"], language, {}))
            sheet = list(connection.execute(values_of(report, language), page))
            lines = list(csv.reader(StringIO(file.decode()), delimiter=";"))
            return totals, [line for line in lines if len(line) == len(lines[0])], sheet

    return reported


def test_amounts_are_added_up_beside_a_day(reported: Any) -> None:
    totals, lines, sheet = reported()
    assert {name: t["stored"] for name, t in totals.items()} == {
        "last_on": 0, "amount": D("1008.25"), "moves": 3,
    }  # fmt: skip
    assert all(t["stored"] == t["expected"] and t["drifted"] == 0 for t in totals.values())
    assert len(sheet) == 6
    place = {name: number for number, name in enumerate(lines[0])}
    amounts = [line for line in lines if line[place["column"]] == "amount"]
    assert [line[place["stored"]] for line in amounts] == [
        "8,25",
        "1000,00",
        "1008,25",
    ]  # and their total
    days = [line[place["stored"]] for line in lines if line[place["column"]] == "last_on"]
    assert days[:2] == ["2026-01-09", "2026-02-09"]


@pytest.mark.leaves_drift
def test_what_was_changed_is_added_up_beside_a_day_and_healed(reported: Any, world: World) -> None:
    world.surgery.execute(
        "UPDATE rd_months SET amount = amount + 7, last_on = last_on + 1 WHERE moves = 2"
    )
    world.surgery.execute("DELETE FROM rd_months WHERE moves = 1")
    totals, _lines, _sheet = reported()
    assert (totals["amount"]["difference"], totals["amount"]["drifted"]) == (D(993), 2)
    assert (totals["last_on"]["difference"], totals["last_on"]["drifted"]) == (0, 2)
    heal(world.engine, registry, every_owner=True)
    totals, _lines, _sheet = reported()
    assert totals["amount"]["difference"] == totals["last_on"]["drifted"] == 0
    assert totals["amount"]["corrected"] == D(993)
    assert [t["corrections"] for t in totals.values()] == [2, 2, 1]
