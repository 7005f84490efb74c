"""An edit conflict of an order: what another user has saved, beside what this form holds."""

import json
from collections.abc import Mapping
from datetime import datetime

from flask_babel import gettext as _
from sqlalchemy.orm import Session

from ...audit.models import AuditEvent
from ...audit.queries import history
from ...people.actors import Actors
from ...records.writing import written
from ...web.conflicts import Conflict, Disagreement
from ..entries import ITEMISED, LINE, OrderEntry, merge
from ..fields import FIELDS, KIND, PRODUCT
from ..history import line_text
from ..models import COMPONENT_OF_KIND, Order, OrderLine

_FIELDS = {field.key: field for field in FIELDS}


def conflict_of(
    session: Session, order: Order, mine: OrderEntry, base: Mapping[str, str] | None
) -> tuple[OrderEntry, Conflict]:
    """This user's entry merged over the stored order, and the conflicting facts, each with the user who saved it."""
    merged, differences = merge(base, mine, OrderEntry.of(order))
    recorded = history(session, Order.__tablename__, order.id, parts=[OrderLine.order_id])
    names = Actors(session, [event.actor for event in recorded])

    def saved(name: str) -> tuple[str, datetime | None]:
        event = next((e for e in recorded if not name or _is_about(e, name)), None)
        return (names.actor(event.actor), event.at) if event else ("", None)

    reported = tuple(
        Disagreement(
            _label(d.name, d.theirs or d.mine), _text(session, d.name, d.theirs),
            _text(session, d.name, d.mine), d.taken, *saved(d.name),
        )
        for d in differences
    )  # fmt: skip
    return merged, Conflict(*saved(""), reported)


def _is_about(event: AuditEvent, name: str) -> bool:
    """Whether the event changed the fact with that name."""
    if ":" in name:
        return event.table_name == OrderLine.__tablename__ and f"line:{event.row_id}" == name
    if event.table_name != Order.__tablename__:
        return False
    changed = {**(event.before or {}), **(event.after or {})}
    return name in changed or (name in COMPONENT_OF_KIND.values() and ITEMISED in changed)


def _label(name: str, fact: str) -> str:
    if name in _FIELDS:
        return _(_FIELDS[name].label)
    return _("Line of %(kind)s", kind=written(KIND, json.loads(fact)[0]))


def _text(session: Session, name: str, fact: str) -> str:
    if fact == ITEMISED:
        return _("entered as lines")
    if name in _FIELDS:
        return written(_FIELDS[name], fact) or "–"
    if not fact:
        return _("no such line")
    line = dict(zip(LINE, json.loads(fact), strict=True))
    sold = PRODUCT.of.names(session, [line["product_id"]])
    return line_text(line, {str(key): code for key, code in sold.items()})
