"""What happened to a product and its prices, in words; and what somebody else saved meanwhile."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from itertools import groupby
from typing import Any

from flask_babel import gettext as _
from sqlalchemy.orm import Session

from ..audit.histories import Change, Event
from ..audit.models import AuditEvent
from ..audit.queries import history as audit_history
from ..audit.tables import Recorded, register
from ..audit.telling import difference_of
from ..base import N_
from ..people.actors import name_of, names_of
from ..web.conflicts import Conflict, conflict_over, differences
from ..web.formats import recorded_day, unit_price_filter
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


def events_of(session: Session, product: Product) -> list[Event]:
    """The changes of a product and of its prices, newest first."""
    recorded = _recorded(session, product)
    names = names_of(session, [row.actor for row in recorded])
    days = {str(price.id): price.effective_from.isoformat() for price in product.prices}
    for row in recorded:
        if told := {**(row.before or {}), **(row.after or {})}.get("effective_from"):
            days.setdefault(str(row.row_id), told)
    saves = (list(group) for _xid, group in groupby(recorded, key=lambda row: row.xid))
    return [
        Event(
            save[0].at,
            names[save[0].actor],
            _kind(save),
            tuple(change for row in reversed(save) for change in _told(row, days)),
        )
        for save in saves
    ]


def _kind(save: list[AuditEvent]) -> str:
    own = (row for row in save if row.table_name == Product.__tablename__)
    return "created" if any(row.action == "INSERT" for row in own) else "changed"


def conflict_of(
    session: Session, product: Product, mine: ProductEntry, base: Mapping[str, str] | None
) -> tuple[ProductEntry, Conflict]:
    """My entry merged over the product as it is stored now, and where the two differ."""
    stored = ProductEntry.of(product)
    found = differences(base, stored.facts(), mine.facts(), none="")
    merged = replace(mine, **{d.name: getattr(stored, d.name) for d in found if d.taken})
    recorded = _recorded(session, product)
    newest = next((row for row in recorded if row.table_name == "products"), None)
    who = name_of(session, newest.actor) if newest else ""
    at = newest.at if newest else None
    return merged, conflict_over(found, lambda name: _(LABELS[name]), _shown, who, at)


def _recorded(session: Session, product: Product) -> Sequence[AuditEvent]:
    return audit_history(session, "products", product.id, parts=[ProductPrice.product_id])


def _told(row: AuditEvent, days: dict[str, str]) -> Iterator[Change]:
    before, after = row.before or {}, row.after or {}
    if row.table_name == ProductPrice.__tablename__:
        day = recorded_day(days[str(row.row_id)])
        label = _("Unit price from %(day)s", day=day)
        sides = before.get("unit_price"), after.get("unit_price")
        apart = difference_of(row.table_name, "unit_price", *sides)
        yield Change(label, _price(before), _price(after), apart)
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


def _shown(name: str, value: str) -> str:
    return _value(name, value) or "–"
