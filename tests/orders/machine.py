"""A state machine that writes orders at random, in every way, and knows their expected totals.

`book` is the model of what the open transaction sees, `committed` of what other sessions see. The stored
figures are compared with the model's own arithmetic after every commit and at every read.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
)
from sqlalchemy import inspect as inspect_mapped
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError

from backoffice import figures
from backoffice.app.extensions import db
from backoffice.orders.models import Order, OrderLine
from backoffice.records import actions as records

from .books import COMPONENT, SIGN, Book, LineFacts, OrderFacts, digest
from .desk import REFUSED, Desk
from .shop import LINES, read
from .ways import WAYS_TO_CHANGE, Values, update_statement

CLOSE_TO_A_TIE = ("0.005", "-0.005", "1.005", "2.675", "0.125", "-1.015")

pick = st.integers(0, 99)
"""Which row: its index, modulo the number of rows."""
quantity = st.decimals(-1000, 1000, places=3) | st.sampled_from(CLOSE_TO_A_TIE).map(Decimal)
unit_price = st.decimals(-1000, 1000, places=4) | st.sampled_from(["1", "10", "0.5"]).map(Decimal)
amount = st.decimals(-(10**6), 10**6, places=2)
kind = st.sampled_from(sorted(COMPONENT))
way = st.sampled_from(WAYS_TO_CHANGE)
look_how = st.sampled_from(["columns", "instances", "text", "settled"])
line_changes = st.fixed_dictionaries(
    {}, optional={"quantity": quantity, "unit_price": unit_price, "kind": kind, "order_id": pick}
)


class Orders(Desk, RuleBasedStateMachine):
    """Random creates, edits, moves, deletes, savepoints and rollbacks, inside and outside the app."""

    def __init__(self, *arguments: Any) -> None:
        RuleBasedStateMachine.__init__(self)
        Desk.__init__(self, *arguments)

    @initialize()
    def open_shop(self) -> None:
        """A customer, an account manager and two orders."""
        query = "INSERT INTO customers (code, name) VALUES ('C', 'C') RETURNING id"
        self.customer = self.outside.execute(query).fetchall()[0][0]
        query = "INSERT INTO users (email, name) VALUES ('a@example.com', 'A') RETURNING id"
        self.manager = self.outside.execute(query).fetchall()[0][0]
        for itemised in (["package", "promo"], []):
            self.create_order("core", dict.fromkeys(SIGN, Decimal("10.05")), itemised)
        self.noted = True  # a customer has figures, too
        self.commit()
        self.drain()

    def teardown(self) -> None:
        """Commit what is still open, and check it."""
        try:
            if hasattr(self, "manager"):
                self.commit()
                self.drain()
                self.everything_is_right(everywhere=True)
        finally:
            self.session.rollback()
            db.session.remove()
            self.context.pop()

    # Through the session

    @rule(
        way=st.sampled_from(["orm", "bulk", "core", "copy"]),
        amounts=st.fixed_dictionaries(dict.fromkeys(SIGN, amount)),
        itemised=st.lists(kind, unique=True),
    )
    def create_order(self, way: str, amounts: dict[str, Decimal], itemised: list[str]) -> None:
        """A new order; an amount for an itemised component is ignored."""
        key = self.new_id()
        header = {"id": key, "number": f"N{key}", "order_date": date(2026, 3, 2)}
        people = {"customer_id": self.customer, "account_manager_id": self.manager}
        self.insert(way, Order, {**header, **people, "itemised": itemised, **amounts})
        self.book.orders[key] = OrderFacts(set(itemised), dict(amounts))

    @precondition(lambda self: self.book.orders)
    @rule(
        way=st.sampled_from(["orm", "append", "bulk", "core", "copy", "text"]),
        order=pick,
        kind=kind,
        quantity=quantity,
        unit_price=unit_price,
    )
    def add_line(
        self, way: str, order: int, kind: str, quantity: Decimal, unit_price: Decimal
    ) -> None:
        """A new line, possibly of a kind that was not itemised before."""
        key, order_id = self.new_id(), self.order_at(order)
        values = {"id": key, "kind": kind, "quantity": quantity, "unit_price": unit_price}
        self.forget_facts()
        if way == "append":
            parent = self.session.get_one(Order, order_id)
            parent.lines.append(OrderLine(**values))
            self.session.flush()
        else:
            self.insert(way, OrderLine, {**values, "order_id": order_id})
        self.book.put(key, LineFacts(order_id, kind, quantity, unit_price))

    @precondition(lambda self: self.book.lines)
    @rule(way=way, line=pick, changes=line_changes)
    def edit_line(self, way: Callable[..., None], line: int, changes: Values) -> None:
        """Change some facts of a line, possibly its order."""
        if "order_id" in changes:
            changes = {**changes, "order_id": self.order_at(changes["order_id"])}
        if changes:
            self.write(way, OrderLine, self.line_at(line), changes)
            self.book.change(self.line_at(line), **changes)

    @precondition(lambda self: self.book.orders)
    @rule(way=way, order=pick, kind=kind, amount=amount)
    def enter_component(
        self, way: Callable[..., None], order: int, kind: str, amount: Decimal
    ) -> None:
        """Enter an amount, which counts if the kind is not itemised."""
        key = self.order_at(order)
        self.write(way, Order, key, {COMPONENT[kind]: amount})
        if kind not in self.book.orders[key].itemised:
            self.book.orders[key].entered[COMPONENT[kind]] = amount

    @precondition(lambda self: self.book.orders)
    @rule(way=way, order=pick, kind=kind, amount=amount)
    def itemise_or_enter(
        self, way: Callable[..., None], order: int, kind: str, amount: Decimal
    ) -> None:
        """Itemise a kind; or, if it is itemised but has no lines, enter an amount instead."""
        key = self.order_at(order)
        facts = self.book.orders[key]
        if kind not in facts.itemised:
            self.write(way, Order, key, {"itemised": sorted(facts.itemised | {kind})})
            facts.itemised.add(kind)
        elif not self.book.lines_of(key, kind):
            left = sorted(facts.itemised - {kind})
            self.write(way, Order, key, {"itemised": left, COMPONENT[kind]: amount})
            facts.itemised.remove(kind)
            facts.entered[COMPONENT[kind]] = amount

    @precondition(lambda self: self.book.lines)
    @rule(way=way, line=pick, amount=amount)
    def tamper(self, way: Callable[..., None], line: int, amount: Decimal) -> None:
        """Write into figures; that must have no effect."""
        key = self.line_at(line)
        self.write(way, OrderLine, key, {"amount": amount})
        self.write(way, Order, self.book.lines[key].order_id, {"grand_total": amount})

    @precondition(lambda self: self.book.lines)
    @rule(way=st.sampled_from(["orm", "bulk", "core", "text"]), line=pick)
    def delete_line(self, way: str, line: int) -> None:
        """Delete a line; its component is then the sum of the others."""
        key = self.line_at(line)
        self.delete(way, OrderLine, key)
        del self.book.lines[key]

    @precondition(lambda self: len(self.book.orders) > 1)
    @rule(way=st.sampled_from(["orm", "bulk", "core", "text"]), order=pick)
    def delete_order(self, way: str, order: int) -> None:
        """Delete an order with its lines."""
        key = self.order_at(order)
        self.delete(way, Order, key)
        self.book.drop(key)

    @precondition(lambda self: self.book.orders)
    @rule(old=pick, new=pick)
    def move_all_lines(self, old: int, new: int) -> None:
        """Move all lines of one order to another, in one statement."""
        one, other = self.order_at(old), self.order_at(new)
        self.forget_facts()
        statement = LINES.update().where(LINES.c.order_id == one).values(order_id=other)
        self.session.execute(statement)
        for key in self.book.lines_of(one):
            self.book.change(key, order_id=other)

    @precondition(lambda self: self.book.orders)
    @rule(
        order=pick,
        is_new=st.booleans(),
        amounts=st.fixed_dictionaries(dict.fromkeys(SIGN, amount)),
        lines=st.lists(st.tuples(kind, quantity, unit_price), max_size=3),
        kept=st.integers(0, 3),
        stale=st.booleans(),
    )
    def save(
        self,
        order: int,
        is_new: bool,
        amounts: dict[str, Decimal],
        lines: list[tuple[str, Decimal, Decimal]],
        kept: int,
        stale: bool,
    ) -> None:
        """Save as the form does; a save that must be refused changes nothing."""
        self.forget_facts()
        key = self.order_at(order)
        wanted = [] if is_new else list(self.book.lines_of(key).items())[:kept]
        after = Book({key: OrderFacts(entered=dict(amounts))})
        for i, facts in enumerate([f for _, f in wanted] + [LineFacts(key, *new) for new in lines]):
            after.put(i, replace(facts))
        entry = self.entry(key, is_new, amounts, wanted, lines)
        totals = after.totals()["orders", key].values()
        if min(totals) < 0 or (stale and not is_new):
            with pytest.raises((records.Impossible, records.RecordChanged)):
                self.act(key, entry, is_new, stale)
            return
        saved = self.act(key, entry, is_new, stale)
        self.book.orders[saved.id] = after.orders[key]
        self.book.lines = {k: f for k, f in self.book.lines.items() if f.order_id != saved.id}
        for line, facts in zip(saved.lines, after.lines.values(), strict=True):
            self.book.lines[line.id] = replace(facts, order_id=saved.id)

    # Transactions

    @precondition(lambda self: not self.noted)
    @rule(how=look_how)
    def look(self, how: str) -> None:
        """Read every figure in the transaction, and compare the instances in memory."""
        if how == "columns":
            assert read(self.session) == self.book.totals()
        elif how == "instances":
            self.held = [
                *self.session.scalars(select(Order)),
                *self.session.scalars(select(OrderLine)),
            ]
        elif how == "text":
            self.session.execute(text("SELECT grand_total FROM orders")).all()
        else:
            figures.settle(self.session)
        totals = self.book.totals()
        for instance in list(self.session.identity_map.values()):
            row = totals.get((instance.__table__.name, inspect_mapped(instance).identity[0]))
            for name, value in (row or {}).items():
                assert getattr(instance, name) == value

    @precondition(lambda self: len(self.savepoints) < 3)
    @rule()
    def set_savepoint(self) -> None:
        """Set a savepoint."""
        self.savepoints.append((self.session.begin_nested(), self.book.copy()))

    @precondition(lambda self: self.book.lines and not self.noted)
    @rule(way=way, line=pick, before=line_changes, within=line_changes, how=look_how)
    def try_out(
        self, way: Callable[..., None], line: int, before: Values, within: Values, how: str
    ) -> None:
        """Change a line, read the figures after a further change, and roll that one back."""
        self.look("instances")
        self.edit_line(way, line, before)
        self.set_savepoint()
        self.edit_line(way, line, within)
        self.look(how)
        self.roll_back_to_savepoint()
        self.look("columns")

    @precondition(lambda self: self.savepoints)
    @rule()
    def roll_back_to_savepoint(self) -> None:
        """Roll back to the savepoint."""
        savepoint, self.book = self.savepoints.pop()
        savepoint.rollback()

    @precondition(lambda self: self.savepoints)
    @rule()
    def release_savepoint(self) -> None:
        """Release the savepoint; the changes since remain."""
        self.savepoints.pop()[0].commit()

    @rule()
    def commit(self) -> None:
        """Commit, and check what other sessions see."""
        while self.savepoints:
            self.release_savepoint()
        self.session.commit()
        self.committed = self.book.copy()
        self.what_is_stored_is_right()

    @rule()
    def roll_back(self) -> None:
        """Roll back; no other session has seen the changes."""
        before = digest(self.outside)
        self.undo()
        assert digest(self.outside) == before
        self.what_is_stored_is_right()

    @precondition(lambda self: len(self.book.orders) > 1 and self.book.lines)
    @rule(what=st.sampled_from(sorted(REFUSED)), within_savepoint=st.booleans())
    def be_refused(self, what: str, within_savepoint: bool) -> None:
        """A statement that the database refuses changes nothing."""
        self.forget_facts()
        before = digest(self.outside)
        if within_savepoint:
            with pytest.raises(DBAPIError), self.session.begin_nested():
                self.refused(what)
        else:
            with pytest.raises(DBAPIError):
                self.refused(what)
            self.undo()
        assert digest(self.outside) == before

    # Outside

    @precondition(lambda self: not self.savepoints and self.book.lines)
    @rule(line=pick, changes=line_changes)
    def edit_line_from_outside(self, line: int, changes: Values) -> None:
        """Another program edits a line while no transaction is open."""
        self.commit()
        self.session.expire_all()
        if "order_id" in changes:
            changes = {**changes, "order_id": self.order_at(changes["order_id"])}
        key = self.line_at(line)
        if changes:
            self.outside.execute(
                update_statement(OrderLine, changes, "%({})s").encode(), {**changes, "key": key}
            )
            self.noted = True
        self.book.change(key, **changes)
        self.committed = self.book.copy()

    @precondition(lambda self: not self.savepoints and self.book.lines)
    @rule(line=pick, amount=amount)
    def tamper_from_outside(self, line: int, amount: Decimal) -> None:
        """Another program writes into a figure."""
        self.commit()
        self.session.expire_all()
        self.noted = True
        order_id = self.book.lines[self.line_at(line)].order_id
        self.outside.execute("UPDATE orders SET grand_total = %s WHERE id = %s", (amount, order_id))
        self.outside.execute("UPDATE order_lines SET amount = %s", (amount,))

    @rule()
    def heal(self) -> None:
        """Drain what was noted; then all figures are right."""
        self.commit()
        self.drain()
        self.everything_is_right()
