"""What happened to a product and its prices, in words; and what somebody else saved meanwhile."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from itertools import groupby
from typing import Any

from flask_babel import gettext as _
from sqlalchemy.orm import Session

from ..audit.models import AuditEvent
from ..audit.queries import history as audit_history
from ..audit.tables import Recorded, register
from ..base import N_
from ..formats import day_filter, unit_price_filter
from ..people.models import User
from .actions import ProductEntry
from .models import Product, ProductPrice
from .rules import SOLD_AS

LABELS = {
    "code": N_("Code"),
    "name": N_("Name"),
    "kind": N_("Sold as"),
    "unit": N_("Unit"),
    "is_active": N_("Can be chosen in orders"),
}
"""Column of a product → its name on screen."""

register(
    Recorded(
        N_("Product"), Product, name=Product.code,
        endpoint="products.record", argument="code", labels=LABELS,
    )
)  # fmt: skip
register(
    Recorded(
        N_("Price"), ProductPrice, part_of=ProductPrice.product_id,
        labels={"effective_from": N_("In force from"), "unit_price": N_("Unit price")},
    )
)  # fmt: skip


@dataclass(frozen=True)
class Change:
    """One thing that changed; `before` empty: it came, `after` empty: it went."""

    label: str
    before: str
    after: str


@dataclass(frozen=True)
class Event:
    """Everything that one save changed."""

    at: datetime
    who: str
    changes: tuple[Change, ...]


@dataclass(frozen=True)
class Conflict:
    """What the form shows above the fields after somebody else was faster: field, theirs, mine."""

    who: str
    at: datetime | None
    differences: tuple[tuple[str, str, str], ...]


def events_of(session: Session, product: Product) -> list[Event]:
    """The changes of a product and of its prices, newest first."""
    recorded = _recorded(session, product)
    people = _people(session, recorded)
    days = {str(price.id): price.effective_from.isoformat() for price in product.prices}
    for row in recorded:
        if told := {**(row.before or {}), **(row.after or {})}.get("effective_from"):
            days.setdefault(str(row.row_id), told)
    saves = (list(group) for _xid, group in groupby(recorded, key=lambda row: row.xid))
    return [
        Event(
            save[0].at,
            people.get(save[0].actor, save[0].actor),
            tuple(change for row in reversed(save) for change in _told(row, days)),
        )
        for save in saves
    ]


def conflict_of(session: Session, product: Product, mine: ProductEntry) -> Conflict:
    """Where the stored product and my entry differ, and who saved it last."""
    recorded = _recorded(session, product)
    newest = next((row for row in recorded if row.table_name == "products"), None)
    differences = tuple(
        (_(label), _value(name, getattr(product, name)), _value(name, getattr(mine, name)))
        for name, label in LABELS.items()
        if getattr(product, name) != getattr(mine, name)
    )
    who = _people(session, recorded).get(newest.actor, newest.actor) if newest else ""
    return Conflict(who, newest.at if newest else None, differences)


def _recorded(session: Session, product: Product) -> Sequence[AuditEvent]:
    return audit_history(session, "products", product.id, parts=[ProductPrice.product_id])


def _people(session: Session, recorded: Sequence[AuditEvent]) -> dict[str, str]:
    """Actor → the name of the user."""
    ids = {row.actor.removeprefix("user:") for row in recorded}
    found = (session.get(User, int(text)) for text in ids if text.isascii() and text.isdigit())
    return {f"user:{user.id}": user.name for user in found if user is not None}


def _told(row: AuditEvent, days: dict[str, str]) -> Iterator[Change]:
    before, after = row.before or {}, row.after or {}
    if row.table_name == ProductPrice.__tablename__:
        day = day_filter(date.fromisoformat(days[str(row.row_id)]))
        label = _("Unit price from %(day)s", day=day)
        yield Change(label, _price(before), _price(after))
        return
    for name, label in LABELS.items():
        if name in before or name in after:
            old = _value(name, before[name]) if name in before else ""
            new = _value(name, after[name]) if name in after else ""
            if old or new:
                yield Change(_(label), old, new)


def _price(recorded: dict[str, Any]) -> str:
    price = recorded.get("unit_price")
    return "" if price is None else unit_price_filter(Decimal(str(price)))


def _value(name: str, value: Any) -> str:
    if name == "kind":
        return str(_(SOLD_AS.get(value, value)))
    if name == "is_active":
        return str(_("yes") if value else _("no"))
    return str(value)
