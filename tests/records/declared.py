"""Every declared record, with valid values."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import ColumnElement, Integer, insert, select, update
from sqlalchemy.orm import Session

from backoffice.app.domain import Declared
from backoffice.app.domains import DOMAINS
from backoffice.billing.models import Meter, MeterAssignment
from backoffice.customers.models import Customer
from backoffice.ledger.models import Account, JournalEntry, JournalLine
from backoffice.people.models import User
from backoffice.records import (
    Amount,
    CalendarMonth,
    Choice,
    Day,
    Deletion,
    Factor,
    Field,
    Flag,
    Pick,
    Quantity,
    Record,
    Text,
    UnitPrice,
    Verb,
)  # fmt: skip
from backoffice.records.writing import written
from tests.factories.billing import MeterFactory
from tests.factories.customers import CustomerFactory
from tests.factories.ledger import AccountFactory, of
from tests.factories.orders import OrderFactory
from tests.factories.people import AccountManagerFactory

DECLARED = tuple(record for record in Declared(DOMAINS).records.values() if record.writes)
EDITED = tuple(record for record in DECLARED if not record.append_only)
ACTS = tuple(
    (record, verb) for record in DECLARED for verb in record.program_verbs if not verb.creates
)
VERBS = tuple((record, verb) for record, verb in ACTS if not isinstance(verb, Deletion))
DELETIONS = tuple((record, verb) for record, verb in ACTS if isinstance(verb, Deletion))
"""Verbs that need approval are tested by `tests/approvals`, those that create rows by `test_booking`."""

EVERY_RECORD = pytest.mark.parametrize("record", DECLARED, ids=lambda record: record.domain)
EVERY_EDITED_RECORD = pytest.mark.parametrize("record", EDITED, ids=lambda record: record.domain)
NAMED = tuple(record for record in DECLARED if record.argument in record.by_name)
RENAMED = tuple(record for record in NAMED if not record.append_only)
"""Records with an entered name, which can be changed; the names of others are derived."""
EVERY_NAMED_RECORD = pytest.mark.parametrize("record", NAMED, ids=lambda record: record.domain)
EVERY_RENAMED_RECORD = pytest.mark.parametrize("record", RENAMED, ids=lambda record: record.domain)
RENAMED_ACTS = tuple(each for each in ACTS if not isinstance(each[0].name.type, Integer))
"""Records with unique numbers."""
EVERY_VERB, EVERY_DELETION, EVERY_ACT, EVERY_RENAMED_ACT = (
    pytest.mark.parametrize(
        ("record", "verb"), each, ids=lambda each: getattr(each, "domain", None) or each.name
    )
    for each in (VERBS, DELETIONS, ACTS, RENAMED_ACTS)
)

REFERRED = {
    Customer: lambda number: CustomerFactory(code=f"C-{number}", name=f"Customer {number}"),
    Meter: lambda number: MeterFactory(number=f"M-{number}"),
    User: lambda number: AccountManagerFactory(email=f"m-{number}@example.com"),
    Account: lambda number: AccountFactory(code=f"A-{number}"),
}
"""Model to which others refer → its factory."""

PICKED = {Customer: "C-{}", Meter: "M-{}", User: "m-{}@example.com", Account: "A-{}"}
VALUES: dict[type[Field], Callable[[int], str]] = {
    Factor: lambda number: f"1.0{number}2345",
    Amount: lambda number: f"{number + 1}00.50",
    CalendarMonth: lambda number: f"2026-{number + 1:02}",
    Day: lambda number: f"2026-03-{number + 10}",
}

MOST = 10
"""Rows to which a record may refer; numbers of values are below it."""


def prepared_of(record: Record) -> int:
    """How many rows of the record exist before any is entered: those to which it may refer."""
    fields = (*record.fields, *record.new_fields)
    own = (field for field in fields if isinstance(field, Pick) and field.of.model is record.model)
    return MOST if any(own) else 0


READY: dict[tuple[str, str], dict[str, Any]] = {
    ("wallets", "lift"): {"status": "suspended", "suspension_reason": "Because"},
}
"""Record and verb → the values of a new row for which the verb is possible."""


def balance(entry: JournalEntry) -> None:
    """Give a draft two lines that balance."""
    from backoffice.app.extensions import db

    for line in (of(AccountFactory(), 5), of(AccountFactory(), -5)):
        db.session.add(JournalLine(entry_id=entry.id, **vars(line)))


BESIDE: dict[tuple[str, str], Callable[[Any], object]] = {("entries", "post"): balance}
"""Record and verb → the function that writes what the verb needs beside a new row."""

LATE = READY.keys() | BESIDE.keys()
"""Verbs that are not possible for a row as entered."""

STOPPED = {("entries", "post"): "stopped"}
"""Verbs that PostgreSQL refuses a second time, even without the lock."""


def make_ready(session: Session, record: Record, verb: Verb, name: str) -> None:
    """Write what makes the verb possible."""
    if writes := BESIDE.get((record.domain, verb.name)):
        writes(session.scalars(select(record.model).where(record.name == name)).one())
        session.commit()
    if values := READY.get((record.domain, verb.name)):
        session.execute(update(record.model).where(is_called(record, name)).values(values))
        session.commit()


def prepare(session: Session, record: Record) -> None:
    """Create the records to which the values of the record's fields refer."""
    fields = (
        *record.fields,
        *record.new_fields,
        *(f for verb in record.verbs for f in verb.fields),
    )
    rows = {
        model: [REFERRED[model](number) for number in range(MOST)]  # type: ignore[index]
        for model in {field.of.model for field in fields if isinstance(field, Pick)}
    }
    if rows.keys() >= {Customer, Meter}:  # every meter was every customer's once
        owned = [
            {"customer_id": c.id, "meter_id": m.id} for c in rows[Customer] for m in rows[Meter]
        ]
        session.execute(insert(MeterAssignment).values(is_active=False), owned)
    session.commit()


DIGITS = {Quantity: "0", UnitPrice: "00"}
"""Type of number → its digits beyond those of an amount."""

INSTEAD = {"invoices": {"amount"}}
"""Fields that are entered instead of others, tested by their records' own tests."""


def tried(record: Record) -> list[Field]:
    """The fields that can all be entered together."""
    return [field for field in record.fields if field.name not in INSTEAD.get(record.domain, ())]


def entered(record: Record, number: int) -> dict[str, Any]:
    """A value for every field, another for every number; they keep the record's laws.

    Only what stays with a row for ever, and is unique together with what is edited, is the same of all.
    """
    beside = {column.key for field in record.fields for column in field.unique_by}
    new = {
        field.name: value_of(field, 1 if field.key in beside else number)
        for field in record.new_fields
        if field.required
    }
    return {field.name: value_of(field, number) for field in tried(record)} | new


def is_called(record: Record, name: str) -> ColumnElement[bool]:
    """The condition of the row of that name, which may be a number."""
    return record.name == (int(name) if isinstance(record.name.type, Integer) else name)


def unique_beside(record: Record, name: str) -> dict[str, str]:
    """The first row's values of the edited fields with which a field is unique together."""
    columns = {column.key for column in record.by_name[name].unique_by}
    return {field.name: value_of(field, 1) for field in record.fields if field.key in columns}


def newest(record: Record) -> str:
    """The name of the row that was entered last."""
    from backoffice.app.extensions import db

    db.session.rollback()
    return str(db.session.scalar(select(record.name).order_by(record.model.id.desc()).limit(1)))


def value_of(field: Field, number: int) -> Any:
    """A value of one field."""
    if isinstance(field, Choice):
        return list(field.words)[number % len(field.words)]
    if isinstance(field, Flag):
        return number % 2 == 0
    if isinstance(field, Pick):
        return PICKED[field.of.model].format(number)
    if isinstance(field, Day) and field.name.startswith(("due", "closing")):
        return f"2026-04-{number + 10}"
    for kind, value in VALUES.items():
        if isinstance(field, kind):
            return str(value(number)) + DIGITS.get(type(field), "")
    assert isinstance(field, Text), f"Say here what a {type(field).__name__} may hold."
    return f"{field.name.replace('_', '')}-{number}"


OWN = {"orders": "account_manager"}
"""Roles that see only their own rows, tested by their domain's own tests."""

DELETABLE: dict[str, dict[str, Any]] = {"orders": {"closing_date": ""}}
"""The values of a row that can be deleted."""


def _posted(entry: JournalEntry) -> None:
    from backoffice.app.extensions import db

    balance(entry)
    db.session.flush()
    entry.status = "posted"


KEPT: dict[str, Callable[[Any], object]] = {
    "orders": lambda order: setattr(order, "closing_date", order.order_date),
    "customers": lambda customer: OrderFactory(customer=customer),
    "entries": _posted,
}
"""The functions that write what prevents a deletion."""


def facts_of(record: Record, values: dict[str, Any]) -> dict[str, str]:
    """The stored form of entered values."""
    nothing = {field.name: "" for field in record.fields}
    return nothing | {f.name: fact_of(f, values[f.name]) for f in tried(record)}


def values_of(record: Record, values: dict[str, Any]) -> dict[str, Any]:
    """Entered values as actions take them."""
    facts = facts_of(record, values)
    return {field.name: field.data(facts[field.name]) for field in record.fields}


def fact_of(field: Field, value: Any) -> str:
    """The stored form of an entered value: the id for another record's name."""
    if isinstance(field, Pick):
        from backoffice.app.extensions import db

        row = db.session.scalars(select(field.of.model).where(field.of.name == value)).one()
        return str(row.id)  # type: ignore[attr-defined]
    return field.fact(value)


def words_of(field: Field, value: Any) -> str:
    """An entered value formatted for display."""
    return written(field, fact_of(field, value))
