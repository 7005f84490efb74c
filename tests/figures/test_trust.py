"""What was compared with the facts is read as stored only where that finds and writes the same.

Shapes that no domain declares yet, each of which violates a simpler rule.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from decimal import Decimal
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import ForeignKey, UniqueConstraint, case, func, select
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from backoffice.base import Id
from backoffice.base.money import Money, rounded
from backoffice.figures import Registry, total
from backoffice.figures.keeping.drain import Drained, correction_of
from backoffice.figures.verifying.healing import Healer, heal

from .worlds import World, a_world

ZERO = Decimal(0)


class Base(DeclarativeBase):
    pass


class Region(Base):
    __tablename__ = "trust_regions"
    id: Mapped[Id]
    total: Mapped[Money] = mapped_column(server_default="0", default=ZERO)


class Seller(Base):
    __tablename__ = "trust_sellers"
    id: Mapped[Id]
    region_id: Mapped[int | None] = mapped_column(ForeignKey(Region.id))
    total: Mapped[Money] = mapped_column(server_default="0", default=ZERO)


class Client(Base):
    __tablename__ = "trust_clients"
    id: Mapped[Id]
    total: Mapped[Money] = mapped_column(server_default="0", default=ZERO)


class Bucket(Base):
    __tablename__ = "trust_buckets"
    id: Mapped[Id]
    total: Mapped[Money] = mapped_column(server_default="0", default=ZERO)


class Sale(Base):
    __tablename__ = "trust_sales"
    id: Mapped[Id]
    seller_id: Mapped[int] = mapped_column(ForeignKey(Seller.id))
    region_id: Mapped[int | None] = mapped_column(ForeignKey(Region.id))
    client_id: Mapped[int] = mapped_column(ForeignKey(Client.id))
    payer_id: Mapped[int] = mapped_column(ForeignKey(Client.id))
    bucket_id: Mapped[int | None] = mapped_column(ForeignKey(Bucket.id))
    price: Mapped[Money]
    amount: Mapped[Money] = mapped_column(server_default="0", default=ZERO)
    fee: Mapped[Money] = mapped_column(server_default="0", default=ZERO)


class Pair(Base):
    __tablename__ = "trust_pairs"
    __table_args__ = (UniqueConstraint("seller_id", "client_id"),)
    id: Mapped[Id]
    seller_id: Mapped[int] = mapped_column(ForeignKey(Seller.id))
    client_id: Mapped[int] = mapped_column(ForeignKey(Client.id))
    amount: Mapped[Money] = mapped_column(server_default="0", default=ZERO)


Make = Callable[[Registry], World]


@pytest.fixture
def world(
    app: Flask, owner_database_url: str, database_url: str, admin_database_url: str
) -> Iterator[Make]:
    """The tables above, with a test's own declarations."""
    with ExitStack() as stack:
        yield lambda registry: stack.enter_context(
            a_world(
                Base, registry, owner=owner_database_url, app=database_url, admin=admin_database_url
            )
        )


def summed(amount: Any, by: Any) -> Any:
    return func.coalesce(total(amount, by=by), 0)


def sales() -> Registry:
    registry = Registry("trust")
    registry.figure(Sale.amount, rounded(Sale.price * 2), title="Amount")
    return registry


def by_seller_and_client(registry: Registry) -> None:
    @registry.figure(
        columns=(Pair.amount,),
        row_per=(Pair.seller_id, Pair.client_id),
        owner=Pair.seller_id,
        name="pairs",
        title="By seller and client",
    )
    def by_pair(sale: Any = Sale) -> Any:
        amount = func.sum(sale.c.amount).label("amount")
        grouped = select(sale.c.seller_id, sale.c.client_id, amount)
        return grouped.group_by(sale.c.seller_id, sale.c.client_id)


def fill(world: World, *given: dict[str, Any]) -> None:
    """Insert two of everything, both sellers of region 1, and these sales."""
    usual = {"client_id": 1, "payer_id": 1, "seller_id": 1}
    with world.sessions() as session:
        session.add_all([Region(), Region(), Client(), Client(), Bucket(), Bucket()])
        session.flush()
        session.add_all([Seller(region_id=1), Seller(region_id=1)])
        session.flush()
        session.add_all([Sale(**{**usual, **one}) for one in given])
        session.commit()
    assert not world.drift()


def one(world: World, sql: str) -> Any:
    row = world.outside.execute(sql.encode()).fetchone()
    assert row is not None
    return row[0]


def named(found: Any) -> set[tuple[str, int]]:
    return {(f.figure.name, f.owner) for f in found}


def apart(world: World, registry: Registry) -> set[tuple[str, int]]:
    """The findings of verifying each figure separately, which trusts nothing."""
    return {found for figure in registry.figures for found in named(world.drift(figures=[figure]))}


def regions() -> Registry:
    """A region reads sales directly, and again through its sellers."""
    registry = sales()
    registry.figure(Seller.total, summed(Sale.amount, Sale.seller_id), title="Sold")
    both = summed(Seller.total, Seller.region_id) + summed(Sale.amount, Sale.region_id)
    registry.figure(Region.total, both, title="Region")
    return registry


def test_a_correction_does_not_trust_what_also_comes_by_a_way_that_is_computed(world: Make) -> None:
    registry = regions()
    w = world(registry)
    fill(w, {"price": 5, "region_id": 1}, {"price": 50, "seller_id": 2, "region_id": 2})
    w.surgery.execute("UPDATE trust_sales SET amount = 1")
    heal(w.engine, registry, [registry.get("trust_sales.amount")], owners=[1])
    assert one(w, "SELECT total FROM trust_regions WHERE id = 1") == 120, "it was right"
    heal(w.engine, registry)


def test_a_verification_of_some_figures_trusts_nothing_that_others_lead_to(world: Make) -> None:
    registry = regions()
    w = world(registry)
    fill(w, {"price": 5, "region_id": 1}, {"price": 50, "seller_id": 2, "region_id": 2})
    w.surgery.execute("UPDATE trust_sales SET amount = 1 WHERE id = 2")
    w.surgery.execute("UPDATE trust_regions SET total = 21 WHERE id = 1")
    some = [registry.get("trust_sales.amount"), registry.get("trust_regions.total")]
    assert ("trust_regions.total", 1) in named(w.drift(figures=some))
    assert named(w.drift()) == apart(w, registry)
    heal(w.engine, registry)


def test_a_derived_row_of_another_owner_is_no_way_to_trust_what_is_beneath_it(world: Make) -> None:
    registry = sales()
    by_seller_and_client(registry)
    both = summed(Pair.amount, Pair.client_id) + summed(Sale.amount, Sale.payer_id)
    registry.figure(Client.total, both, title="Client")
    w = world(registry)
    fill(w, {"price": 5, "client_id": 1, "payer_id": 2})
    for table in ("trust_sales SET amount = 1", "trust_pairs SET amount = 1"):
        w.surgery.execute(f"UPDATE {table}".encode())
    w.surgery.execute("UPDATE trust_clients SET total = 1 WHERE id = 1")
    assert named(w.drift()) == apart(w, registry)
    heal(w.engine, registry)


def test_a_figure_that_says_where_a_row_belongs_is_not_trusted(world: Make) -> None:
    registry = sales()
    registry.figure(Sale.bucket_id, case((Sale.price > 10, 2), else_=1), title="Bucket")
    registry.figure(Bucket.total, summed(Sale.price, Sale.bucket_id), title="In the bucket")
    w = world(registry)
    fill(w, {"price": 50})
    w.surgery.execute("UPDATE trust_sales SET bucket_id = 1")
    w.surgery.execute("UPDATE trust_buckets SET total = CASE id WHEN 1 THEN 50 ELSE 0 END")
    assert named(w.drift()) == apart(w, registry)
    assert ("trust_buckets.total", 2) in named(w.drift())
    heal(w.engine, registry)


def test_sums_over_derived_rows_are_right_by_the_facts_before_those_rows_are(world: Make) -> None:
    registry = sales()
    by_seller_and_client(registry)
    definition = {Client.total: summed(Pair.amount, Pair.client_id)}
    sums = registry.figure(definition, name="sums", title="Client", incremental=True)
    w = world(registry)
    fill(w, {"price": 5})
    w.surgery.execute("UPDATE trust_pairs SET amount = 1")
    w.surgery.execute("UPDATE trust_clients SET total = 7 WHERE id = 1")
    done, failures = Drained(), list[Any]()
    healer = Healer(registry, w.engine.begin, failures.append, stands=done.add)
    healer.heal([registry.bundle_of(sums)], [1], correction_of("heal"))
    assert failures == []
    assert one(w, "SELECT total FROM trust_clients WHERE id = 1") == 10
    assert named(w.drift()) == {("pairs", 1)}
    heal(w.engine, registry)
    assert one(w, "SELECT total FROM trust_clients WHERE id = 1") == 10, "and nothing twice"
