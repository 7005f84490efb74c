"""A machine that writes billing's rows at random, in every way, and knows what is owed.

`book` is what the open transaction sees, `committed` what all others see. What the product
stores is compared with the ledger's own arithmetic after every commit and at every read.
"""

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any, ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from sqlalchemy import inspect as inspect_mapped
from sqlalchemy import select, text

from backoffice import figures
from backoffice.app.extensions import db
from backoffice.base import table_of
from backoffice.billing.models import Invoice, Meter, MeterAdjustment, MeterAssignment, Payment
from backoffice.customers.models import Customer
from tests.factories.orders import OrderFactory
from tests.orders.desk import Desk
from tests.orders.ways import WAYS_TO_CHANGE, Values, update_statement

from . import ledgers
from .ledgers import FIGURES, Ledger, Totals

MODELS: dict[str, Any] = {
    "meter_assignments": MeterAssignment,
    "invoices": Invoice,
    "payments": Payment,
    "meter_adjustments": MeterAdjustment,
}
OWNERS: dict[str, Any] = {"invoices": Invoice, "meters": Meter, "customers": Customer}
DAY = date(2026, 3, 2)

pick = st.integers(0, 99)
"""Which row: an index among the existing ones, modulo their number."""
perhaps = st.none() | pick
amount = st.decimals(-(10**6), 10**6, places=2)
metered = st.tuples(
    st.decimals(-1000, 1000, places=3) | st.sampled_from(("0.005", "1.005", "-2.675")).map(Decimal),
    st.decimals(-1000, 1000, places=4) | st.sampled_from(("1", "0.5")).map(Decimal),
)
way = st.sampled_from(WAYS_TO_CHANGE)
insert_way = st.sampled_from(["orm", "bulk", "core", "text", "copy"])
delete_way = st.sampled_from(["orm", "bulk", "core", "text"])
status = st.sampled_from(["posted", "void"])
look_how = st.sampled_from(["columns", "instances", "text", "settled"])
documents = st.sampled_from(["invoices", "payments", "meter_adjustments"])


def read(session: Any) -> Totals:
    """Every figure as a statement of this session reads it, in its transaction."""
    found: dict[tuple[str, int], dict[str, Decimal]] = {}
    for table, names in FIGURES.items():
        columns = table_of(OWNERS[table]).c
        for key, *values in session.execute(select(columns.id, *(columns[n] for n in names))):
            found[table, key] = dict(zip(names, values, strict=True))
    return found


class Billing(Desk, RuleBasedStateMachine):
    """Random documents, voids, moves, reassignments and rollbacks, inside and outside the app."""

    figures: ClassVar = {OWNERS[table]: names for table, names in FIGURES.items()}
    tables = (*MODELS, "meters", "customers")
    books = Ledger
    stored = staticmethod(ledgers.stored)

    def __init__(self, *arguments: Any) -> None:
        RuleBasedStateMachine.__init__(self)
        Desk.__init__(self, *arguments)

    @initialize()
    def open_book(self) -> None:
        """Three customers and three meters, of which the first customer has two."""
        OrderFactory()  # which one of the ways of writing changes, too
        self.session.commit()
        for _ in range(2):
            self.new_owner(Customer, "customers", code=f"C{self.next_id}", name="C")
        for customer in (0, 0, 1):
            self.new_owner(Meter, "meters", number=f"M{self.next_id}")
            self.assign("core", len(self.book.meters) - 1, customer, True)
        self.commit()

    def teardown(self) -> None:
        """An open transaction is committed and checked."""
        try:
            if self.book.meters:
                self.commit()
                self.drain()
                self.everything_is_right(everywhere=True)
        finally:
            self.session.rollback()
            db.session.remove()
            self.context.pop()

    def new_owner(self, model: Any, table: str, **facts: Any) -> None:
        """A customer or a meter; the order's customer is one, too."""
        key = self.new_id()
        self.insert("core", model, {"id": key, **facts})
        self.book = self.books.read(self.outside) if not self.book.customers else self.book
        getattr(self.book, table).add(key)

    def at(self, table: str, index: int) -> int:
        rows = getattr(self.book, table, None) or self.book.rows[table]
        return sorted(rows)[index % len(rows)]

    def add(self, way: str, table: str, **facts: Any) -> int:
        """A row of the table; what a figure depends on stands in the ledger from now on."""
        key = self.new_id()
        self.insert(way, MODELS[table], {"id": key, **self.about(table, key), **facts})
        known = {n: v for n, v in facts.items() if n in ledgers.FACTS[table]}
        self.book.put(table, key, **known)
        return key

    def about(self, table: str, key: int) -> Values:
        """The other required columns of a row of the table."""
        if table == "meter_assignments":
            return {}
        own: dict[str, Values] = {
            "invoices": {"number": f"I{key}", "issued_on": DAY, "due_on": DAY},
            "payments": {"reference": f"P{key}", "paid_on": DAY},
            "meter_adjustments": {"number": f"A{key}", "adjusted_on": DAY, "reason": "Seen"},
        }
        return {"customer_id": min(self.book.customers), **own[table]}

    def change(self, way: Callable[..., None], table: str, key: int, changes: Values) -> None:
        """Some facts of a row."""
        self.write(way, MODELS[table], key, changes)
        self.book.put(table, key, **changes)

    def active(self, meter: int) -> list[int]:
        rows = self.book.rows["meter_assignments"].items()
        return [key for key, row in rows if row["meter_id"] == meter and row["is_active"]]

    # Through the session

    @rule(way=insert_way, meter=pick, customer=pick, is_active=st.booleans())
    def assign(self, way: str, meter: int, customer: int, is_active: bool) -> None:
        """Assign a meter to a customer; the former active assignment is deactivated."""
        of = self.at("meters", meter)
        for former in self.active(of) if is_active else ():
            self.change(WAYS_TO_CHANGE[0], "meter_assignments", former, {"is_active": False})
        self.add(
            way,
            "meter_assignments",
            meter_id=of,
            customer_id=self.at("customers", customer),
            is_active=is_active,
        )

    @precondition(lambda self: self.book.rows["meter_assignments"])
    @rule(way=way, assignment=pick, customer=perhaps, flip=st.booleans())
    def change_assignment(
        self, way: Callable[..., None], assignment: int, customer: int | None, flip: bool
    ) -> None:
        """Change the customer of an assignment, or deactivate or activate it."""
        key = self.at("meter_assignments", assignment)
        row = self.book.rows["meter_assignments"][key]
        changes: Values = {}
        if customer is not None:
            changes["customer_id"] = self.at("customers", customer)
        if flip and (row["is_active"] or not self.active(row["meter_id"])):
            changes["is_active"] = not row["is_active"]
        if changes:
            self.change(way, "meter_assignments", key, changes)

    @rule(
        way=insert_way, meter=perhaps, units=st.none() | metered, fixed=amount, entered=amount,
        status=status,
    )  # fmt: skip
    def invoice(
        self,
        way: str,
        meter: int | None,
        units: tuple[Decimal, Decimal] | None,
        fixed: Decimal,
        entered: Decimal,
        status: str,
    ) -> None:
        """Of units, or with an amount that a user entered; perhaps without a meter."""
        self.add(
            way,
            "invoices",
            meter_id=None if meter is None else self.at("meters", meter),
            units=units[0] if units else None,
            rate=units[1] if units else None,
            fixed_charge=fixed,
            amount=entered,
            status=status,
        )

    @rule(way=insert_way, meter=perhaps, invoice=perhaps, amount=amount, status=status)
    def pay(
        self, way: str, meter: int | None, invoice: int | None, amount: Decimal, status: str
    ) -> None:
        """A payment on a meter, on an invoice, on both (perhaps of different ones), or on neither."""
        has_invoice = invoice is not None and self.book.rows["invoices"]
        self.add(
            way,
            "payments",
            meter_id=None if meter is None else self.at("meters", meter),
            invoice_id=self.at("invoices", invoice or 0) if has_invoice else None,
            amount=amount,
            status=status,
        )

    @rule(way=insert_way, meter=pick, amount=amount, status=status)
    def adjust(self, way: str, meter: int, amount: Decimal, status: str) -> None:
        """A manual adjustment."""
        self.add(
            way,
            "meter_adjustments",
            meter_id=self.at("meters", meter),
            amount=amount,
            status=status,
        )

    @rule(
        way=way, table=documents, index=pick,
        changes=st.fixed_dictionaries(
            {}, optional={"meter_id": perhaps, "amount": amount, "status": status}
        ),
    )  # fmt: skip
    def edit(self, way: Callable[..., None], table: str, index: int, changes: Values) -> None:
        """Move a document, change its amount, void it or post it again."""
        if not self.book.rows[table]:
            return
        key, changes = self.at(table, index), dict(changes)
        if "meter_id" in changes:
            meter = changes["meter_id"]
            is_kept = meter is None and table == "meter_adjustments"
            changes["meter_id"] = (
                self.at("meters", meter or 0) if meter is not None or is_kept else None
            )
        if changes:
            self.change(way, table, key, changes)

    @precondition(lambda self: self.book.rows["invoices"])
    @rule(way=way, invoice=pick, units=metered, fixed=amount)
    def measure(
        self, way: Callable[..., None], invoice: int, units: tuple[Decimal, Decimal], fixed: Decimal
    ) -> None:
        """Enter units: the amount follows from them from now on."""
        changes = {"units": units[0], "rate": units[1], "fixed_charge": fixed}
        self.change(way, "invoices", self.at("invoices", invoice), changes)

    @precondition(lambda self: self.book.rows["invoices"])
    @rule(way=way, invoice=pick, entered=amount)
    def enter(self, way: Callable[..., None], invoice: int, entered: Decimal) -> None:
        """Enter the amount as a whole, without units."""
        changes = {"units": None, "rate": None, "amount": entered}
        self.change(way, "invoices", self.at("invoices", invoice), changes)

    @precondition(lambda self: self.book.rows["payments"])
    @rule(way=way, payment=pick, invoice=perhaps)
    def allocate(self, way: Callable[..., None], payment: int, invoice: int | None) -> None:
        """Allocate a payment to another invoice, or to none."""
        has_invoice = invoice is not None and self.book.rows["invoices"]
        named = self.at("invoices", invoice or 0) if has_invoice else None
        self.change(way, "payments", self.at("payments", payment), {"invoice_id": named})

    @rule(way=delete_way, table=st.sampled_from(sorted(MODELS)), index=pick)
    def remove(self, way: str, table: str, index: int) -> None:
        """Delete a row that no payment names."""
        named = {row["invoice_id"] for row in self.book.rows["payments"].values()}
        free = sorted(self.book.rows[table].keys() - (named if table == "invoices" else set()))
        if free:
            key = free[index % len(free)]
            self.delete(way, MODELS[table], key)
            del self.book.rows[table][key]

    @rule(table=documents, old=pick, new=pick)
    def move_all(self, table: str, old: int, new: int) -> None:
        """All of a meter's documents of one kind to another meter, in one statement."""
        one, other = self.at("meters", old), self.at("meters", new)
        self.forget_facts()
        rows = table_of(MODELS[table])
        self.session.execute(rows.update().where(rows.c.meter_id == one).values(meter_id=other))
        for key, row in self.book.rows[table].items():
            if row["meter_id"] == one:
                self.book.put(table, key, meter_id=other)

    @rule(table=st.sampled_from(sorted(FIGURES)), column=pick, index=pick, amount=amount)
    def tamper(self, table: str, column: int, index: int, amount: Decimal) -> None:
        """Write into a figure, which has no effect."""
        if table == "invoices" and not self.book.rows["invoices"]:
            return
        key, names = self.at(table, index), FIGURES[table]
        name = names[column % len(names)]
        if (table, name) == ("invoices", "amount") and not self.book.rows[table][key]["units"]:
            return  # that amount is entered
        self.forget_facts()
        rows = table_of(OWNERS[table])
        self.session.execute(rows.update().where(rows.c.id == key).values({name: amount}))

    # Transactions

    @precondition(lambda self: not self.noted)
    @rule(how=look_how)
    def look(self, how: str) -> None:
        """Read every figure in the transaction, and what the instances in memory say."""
        if how == "columns":
            assert read(self.session) == self.book.totals()
        elif how == "instances":
            self.held = [
                x for model in OWNERS.values() for x in self.session.scalars(select(model))
            ]
        elif how == "text":
            self.session.execute(text("SELECT balance FROM meters")).all()
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
        """A savepoint to roll back to."""
        self.savepoints.append((self.session.begin_nested(), self.book.copy()))

    @precondition(lambda self: self.savepoints)
    @rule()
    def roll_back_to_savepoint(self) -> None:
        """Undo everything since the savepoint."""
        savepoint, self.book = self.savepoints.pop()
        savepoint.rollback()

    @rule()
    def commit(self) -> None:
        """Commit: others see it, and every figure is right."""
        while self.savepoints:
            self.savepoints.pop()[0].commit()
        self.session.commit()
        self.committed = self.book.copy()
        self.what_is_stored_is_right()

    @rule()
    def roll_back(self) -> None:
        """Undo the open transaction, which no other session has seen."""
        self.undo()
        self.what_is_stored_is_right()

    # Outside

    @precondition(lambda self: not self.savepoints)
    @rule(table=documents, index=pick, meter=pick, amount=amount, status=status)
    def edit_from_outside(
        self, table: str, index: int, meter: int, amount: Decimal, status: str
    ) -> None:
        """Another program edits a document while no transaction is open."""
        if not self.book.rows[table]:
            return
        self.commit()
        self.session.expire_all()
        key, changes = self.at(table, index), {"meter_id": self.at("meters", meter)}
        values: Values = {**changes, "amount": amount, "status": status}
        self.outside.execute(
            update_statement(MODELS[table], values, "%({})s").encode(), {**values, "key": key}
        )
        self.noted = True
        self.book.put(table, key, **values)
        self.committed = self.book.copy()

    @precondition(lambda self: not self.savepoints)
    @rule(meter=pick, customer=pick, amount=amount)
    def tamper_from_outside(self, meter: int, customer: int, amount: Decimal) -> None:
        """Another program writes into figures."""
        self.commit()
        self.session.expire_all()
        self.noted = True
        for table, key, names in (
            ("meters", self.at("meters", meter), "balance = %s, invoiced = %s"),
            ("customers", self.at("customers", customer), "balance = %s, overpayment = %s"),
        ):
            query = f"UPDATE {table} SET {names} WHERE id = %s"
            self.outside.execute(query.encode(), (amount, amount, key))

    @rule()
    def heal(self) -> None:
        """Drain the notes; then every figure is right."""
        self.commit()
        self.drain()
        self.everything_is_right()
