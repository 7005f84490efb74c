"""How the state machine writes: its session, and the model that it updates in parallel."""

from collections.abc import Callable, Iterable, Mapping
from datetime import date
from decimal import Decimal
from functools import cached_property
from typing import Any

import psycopg
from flask import Flask
from sqlalchemy import delete, insert, select, text
from sqlalchemy import inspect as inspect_mapped

from backoffice import figures
from backoffice.app.extensions import db
from backoffice.figures import Figure
from backoffice.orders import actions
from backoffice.orders.entries import Breakdown, LineEntry, OrderEntry
from backoffice.orders.models import Order, OrderLine
from tests.drift.forging import forged_now

from .books import SIGN, Book, LineFacts, stored
from .ways import Values

FIGURES = {Order: (*SIGN, "grand_total"), OrderLine: ("amount",)}
REFUSED: dict[str, str] = {
    "an unknown kind": "UPDATE order_lines SET kind = 'gift'",
    "no kind": "UPDATE order_lines SET kind = NULL",
    "not a number": "UPDATE order_lines SET quantity = 'NaN'",
    "an order that does not exist": "UPDATE order_lines SET order_id = -7",
    "a number twice": "UPDATE orders SET number = 'the same'",
    "an unknown kind itemised": "UPDATE orders SET itemised = ARRAY['gift']",
    "more than can be stored": "UPDATE order_lines SET quantity = 99999999, unit_price = 99999999",
}
"""Statements that fail when there are two orders with lines; the last one fails only in the drain."""


class Desk:
    """One session, what its transaction has written so far, and what other sessions see.

    `book` is the model of what the open transaction sees, `committed` of what is committed. The desk of another
    domain has its own figures, model and way of reading what is stored.
    """

    figures: Mapping[type[Any], tuple[str, ...]] = FIGURES
    tables: Iterable[str] = ("orders", "order_lines")
    books: Any = Book
    stored: Callable[..., Any] = staticmethod(stored)

    def __init__(
        self, app: Flask, outside: psycopg.Connection[Any], sweep: Callable[[], None]
    ) -> None:
        self.outside = outside
        sweep()
        self.context = app.app_context()
        self.context.push()
        self.session = db.session()
        self.book, self.committed = self.books(), self.books()
        self.savepoints: list[tuple[Any, Any]] = []
        self.noted = False
        self.next_id = 1_000_000
        self.held: list[Any] = []
        """Instances that are kept in memory, so that they could become stale."""

    def new_id(self) -> int:
        self.next_id += 1
        return self.next_id

    def order_at(self, index: int) -> int:
        return sorted(self.book.orders)[index % len(self.book.orders)]

    def line_at(self, index: int) -> int:
        return sorted(self.book.lines)[index % len(self.book.lines)]

    def forget_facts(self) -> None:
        """Expire the instances' facts, but not their figures, after raw SQL has changed rows."""
        self.session.flush()
        rows = self.book.totals()
        for instance in list(self.session.identity_map.values()):
            state = inspect_mapped(instance)
            if (instance.__table__.name, state.identity[0]) not in rows:
                self.session.expunge(instance)
                continue
            kept = {"id", *self.figures.get(type(instance), ())}
            self.session.expire(instance, set(state.mapper.attrs.keys()) - kept)

    def write(self, way: Callable[..., None], model: type[Any], key: int, values: Values) -> None:
        self.forget_facts()
        way(self.session, model, key, values)
        self.session.flush()

    def insert(self, way: str, model: type[Any], values: Values) -> None:
        table = model.__table__
        if way == "orm":
            self.session.add(model(**values))
            self.session.flush()
        elif way == "bulk":
            self.session.execute(insert(model), [values])
        elif way == "core":
            self.session.connection().execute(table.insert(), [values])
        elif way == "text":
            given = ", ".join(f":{name}" for name in values)
            statement = f"INSERT INTO {table.name} ({', '.join(values)}) VALUES ({given})"
            self.session.execute(text(statement), values)
        else:
            driver: Any = self.session.connection().connection.driver_connection
            with driver.cursor().copy(
                f"COPY {table.name} ({', '.join(values)}) FROM STDIN"
            ) as copy:
                copy.write_row(tuple(values.values()))

    def delete(self, way: str, model: type[Any], key: int) -> None:
        self.forget_facts()
        table = model.__table__
        if way == "orm":
            self.session.delete(self.session.get_one(model, key))
            self.session.flush()
        elif way == "bulk":
            self.session.execute(delete(model).where(model.id == key))
        elif way == "core":
            self.session.connection().execute(table.delete().where(table.c.id == key))
        else:
            self.session.execute(text(f"DELETE FROM {table.name} WHERE id = :id"), {"id": key})

    def entry(
        self,
        key: int,
        is_new: bool,
        amounts: dict[str, Decimal],
        kept: list[tuple[int, LineFacts]],
        new: list[tuple[str, Decimal, Decimal]],
    ) -> OrderEntry:
        lines = [LineEntry(f.kind, "", f.quantity, f.unit_price, k) for k, f in kept]
        lines += [LineEntry(kind, "", quantity, price) for kind, quantity, price in new]
        number = f"N{self.new_id()}" if is_new else self.session.scalar(
            select(Order.number).where(Order.id == key)
        )  # fmt: skip
        breakdown = Breakdown(amounts, frozenset(), tuple(lines))
        return OrderEntry(
            str(number), self.customer, self.manager, date(2026, 3, 2), None, breakdown
        )

    def act(self, key: int, entry: OrderEntry, is_new: bool, stale: bool) -> Order:
        if is_new:
            return actions.create(self.session, entry)
        version = self.session.scalar(select(Order.version).where(Order.id == key)) or 0
        return actions.update(self.session, key, entry, version - stale)

    def refused(self, what: str) -> None:
        self.session.execute(text(REFUSED[what]))
        figures.settle(self.session)

    def undo(self) -> None:
        self.savepoints.clear()
        self.session.rollback()
        self.book = self.committed.copy()

    def what_is_stored_is_right(self) -> None:
        """Assert that committed facts and figures equal the model, and that nothing is left noted."""
        assert self.books.read(self.outside).facts() == self.committed.facts()
        if not self.noted:
            assert self.stored(self.outside) == self.committed.totals()
            assert set(figures.noted(db.session).values()) == {0}

    def drain(self) -> None:
        """Drain what was committed and noted."""
        figures.heal_noted(db.session)
        self.session.expire_all()
        self.noted = False

    def everything_is_right(self, *, everywhere: bool = False) -> None:
        """Assert that nothing has drifted and that the audit trail says the same; `everywhere`: of every table."""
        self.what_is_stored_is_right()
        verified = figures.registry.figures if everywhere else self.fed
        assert list(figures.verify(db.session, verified)) == []
        assert forged_now(db.engine, None if everywhere else self.entered) == []

    @property
    def entered(self) -> frozenset[str]:
        """The tables into which the machine writes facts repeatedly."""
        return frozenset(self.tables)

    @cached_property
    def fed(self) -> tuple[Figure, ...]:
        """The figures that depend on these tables, directly or through other figures."""
        reached = set(self.tables)
        for figure in figures.registry.figures:  # in the order in which they build on each other
            if reached & {source.table.name for source in figure.sources}:
                reached.add(figure.table.name)
        return tuple(f for f in figures.registry.figures if f.table.name in reached)
