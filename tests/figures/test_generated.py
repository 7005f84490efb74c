"""A total that PostgreSQL computes from the sums in its row: declared by its column, and corrected with them."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import Computed, ForeignKey, func, select, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from backoffice.base import Id
from backoffice.base.money import Money
from backoffice.figures import Registry, total
from backoffice.figures.errors import DeclarationError
from backoffice.figures.models import Correction
from backoffice.figures.showing.explanation import explain
from backoffice.figures.showing.previews import preview
from backoffice.figures.verifying.healing import heal

from .worlds import Building, World

D = Decimal


class Base(DeclarativeBase):
    """The tables of this world."""


def _kept() -> Any:
    return mapped_column(server_default="0", default=D(0))


class Group(Base):
    """A total over generated columns."""

    __tablename__ = "gen_groups"
    id: Mapped[Id]
    worth: Mapped[Money] = _kept()


class Account(Base):
    """Sums that the trigger adds to, and a balance that PostgreSQL computes from them and a fee."""

    __tablename__ = "gen_accounts"
    id: Mapped[Id]
    group_id: Mapped[int] = mapped_column(ForeignKey(Group.id), index=True)
    fee: Mapped[Money] = _kept()
    given: Mapped[Money] = _kept()
    taken: Mapped[Money] = _kept()
    balance: Mapped[Money] = mapped_column(Computed(given - taken - fee, persisted=True))


class Line(Base):
    """A fact that the sums add up."""

    __tablename__ = "gen_lines"
    id: Mapped[Id]
    account_id: Mapped[int] = mapped_column(ForeignKey(Account.id), index=True)
    quantity: Mapped[int] = mapped_column()
    price: Mapped[Money] = mapped_column()


registry = Registry("generated")


def _sum(side: Any, where: Any) -> Any:
    return func.coalesce(total(side, by=Line.account_id, where=where), 0)


sums = registry.figure(
    {
        Account.given: _sum(Line.quantity * Line.price, Line.quantity > 0),
        Account.taken: _sum(-Line.quantity * Line.price, Line.quantity < 0),
    },
    name="sums",
    title="Sums",
    incremental=True,
    at_once=True,
)
balance = registry.figure(Account.balance, title="Balance")
worth = registry.figure(
    Group.worth, func.coalesce(total(Account.balance, by=Account.group_id), 0), title="Worth"
)


@pytest.fixture
def world(building: Building) -> Iterator[World]:
    with building(Base, registry) as made:
        with made.sessions() as session:
            session.add_all([Group(), Group()])
            session.flush()
            session.add_all([Account(group_id=1, fee=D(1)), Account(group_id=2, fee=D(2))])
            session.flush()
            for quantity in (3, -2):
                session.add(Line(account_id=1, quantity=quantity, price=D(10)))
            session.add(Line(account_id=2, quantity=1, price=D(5)))
            session.commit()
        yield made


def stored(world: World) -> Any:
    columns = (Account.given, Account.taken, Account.balance)
    with world.sessions() as session:
        return [
            tuple(map(int, row)) for row in session.execute(select(*columns).order_by(Account.id))
        ]


def worths(world: World) -> list[int]:
    with world.sessions() as session:
        return [int(worth) for worth in session.scalars(select(Group.worth).order_by(Group.id))]


def test_it_follows_whoever_writes_and_so_does_what_builds_on_it(world: World) -> None:
    assert stored(world) == [(30, 20, 9), (5, 0, 3)]
    assert worths(world) == [9, 3]
    with world.sessions() as session:
        account = session.get_one(Account, 2)
        assert account.balance == 3
        session.execute(text("UPDATE gen_lines SET quantity = 4 WHERE account_id = 2"))
        assert session.scalar(select(Group.worth).where(Group.id == 2)) == 18
        assert account.balance == 18
        session.commit()
    assert stored(world)[1] == (20, 0, 18)
    assert worths(world) == [9, 18]
    assert world.drift() == []


def test_it_is_recomputed_with_the_sums_that_it_follows(world: World) -> None:
    bundle = registry.bundle_of(balance)
    assert bundle.figures == (sums, balance)
    assert bundle is registry.bundle_of(sums)


def test_its_drift_is_found_with_its_root_and_corrected_with_what_it_follows(world: World) -> None:
    right = stored(world)
    world.surgery.execute("UPDATE gen_accounts SET given = given + 7 WHERE id = 1")
    findings = {f.row.figure: f for f in world.drift()}
    assert {name: {root.figure for root in f.roots} for name, f in findings.items()} == {
        "sums": {"sums"},
        "gen_accounts.balance": {"sums"},
    }
    assert heal(world.engine, registry).failures == []
    assert stored(world) == right
    assert world.drift() == []
    assert corrections(world) == {("gen_accounts.balance", "16.00", "9.00")}


def corrections(world: World) -> set[tuple[str, str, str]]:
    """Figure, before and after of every correction of one column."""
    with world.sessions() as session:
        return {
            (c.figure, *(str(next(iter(values.values()))) for values in (c.before, c.after)))
            for c in session.scalars(select(Correction))
            if len(c.after) == 1
        }


@pytest.mark.parametrize("owners", [None, [1]])
def test_asked_of_it_alone_what_it_follows_is_healed(world: World, owners: Any) -> None:
    right = stored(world)
    world.surgery.execute("UPDATE gen_accounts SET taken = taken - 7 WHERE id = 1")
    assert heal(world.engine, registry, [balance], owners).failures == []
    assert stored(world) == right
    assert world.drift() == []


def test_it_is_previewed_and_explained(world: World) -> None:
    with world.sessions() as session:
        shown = preview(
            session.connection(),
            registry,
            [balance],
            {Line: [{"id": -1, "account_id": 2, "quantity": 2, "price": D(3)}]},
            [2],
        )
        assert shown.rows(Account)[2]["balance"] == 4  # instead of the stored value
        reported = explain(session.connection(), registry, balance, 1)
    assert reported is not None
    assert reported.is_right
    [column] = reported.columns
    assert [term.value for term in column.terms] == [30, 20, 1]


class Wrong(Base):
    """A table with declarations of generated columns that are refused."""

    __tablename__ = "gen_wrong"
    id: Mapped[Id]
    account_id: Mapped[int] = mapped_column(ForeignKey(Account.id))
    a: Mapped[Money] = mapped_column()
    b: Mapped[Money] = mapped_column()
    read: Mapped[Money] = mapped_column(Computed(a + b, persisted=False))
    hidden: Mapped[Money] = mapped_column(Computed("a + b", persisted=True))
    twice: Mapped[Money] = mapped_column(Computed(a + b, persisted=True))


def declare(*given: Any, **options: Any) -> Registry:
    wrong = Registry("wrong")
    wrong.figure(*given, title="Wrong", **options)
    return wrong


def of_two_sums() -> Registry:
    wrong = declare(Wrong.twice)
    for column in (Wrong.a, Wrong.b):
        wrong.figure(column, _total_of(column), title="Sum", incremental=True)
    return wrong


def _total_of(column: Any) -> Any:
    return func.coalesce(total(Piece.amount, by=Piece.wrong_id, where=Piece.side == column.key), 0)


class Piece(Base):
    """A child row of it."""

    __tablename__ = "gen_pieces"
    id: Mapped[Id]
    wrong_id: Mapped[int] = mapped_column(ForeignKey(Wrong.id))
    side: Mapped[str]
    amount: Mapped[Money]


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: declare(Wrong.read), "persisted=True"),
        (lambda: declare(Wrong.hidden), "Computed() of a text hides what it reads"),
        (lambda: declare(Wrong.twice, Wrong.a + Wrong.b), "declare it by its column alone"),
        (
            lambda: declare(Wrong.twice, incremental=True),
            "leave incremental, at_once and entered out",
        ),
        (lambda: declare(Wrong.twice), "the incremental sums of one figure"),
        (of_two_sums, "the incremental sums of one figure"),
    ],
)
def test_what_postgresql_could_not_keep_is_refused(make: Any, sentence: str) -> None:
    with pytest.raises(DeclarationError, match=sentence.replace("(", r"\(").replace(")", r"\)")):
        make().seal()
