"""Two editors, one order: what the other one saved, beside what is in my form."""

from collections.abc import Sequence

from flask_babel import gettext as _
from sqlalchemy.orm import Session

from ...audit.models import AuditEvent
from ...web.conflicts import Conflict, Difference, Disagreement
from ..entries import Fact, OrderEntry, merge
from ..history import line_text, recorded_events
from ..models import COMPONENT_OF_KIND, Order, OrderLine
from ..wording import Wording


def conflict_of(
    session: Session, order: Order, mine: OrderEntry, base: dict[str, Fact] | None
) -> tuple[OrderEntry, Conflict]:
    """My entry merged over the order as it is stored now, and where the two differ."""
    merged, differences = merge(base, mine, OrderEntry.of(order))
    recorded = recorded_events(session, order.id)
    words = _words(session, recorded, differences)
    newest = recorded[0] if recorded else None
    told = tuple(_told(difference, recorded, words) for difference in differences)
    who = words.actor(newest.actor) if newest else ""
    return merged, Conflict(who, newest.at if newest else None, told)


def _words(
    session: Session, recorded: Sequence[AuditEvent], differences: Sequence[Difference[Fact]]
) -> Wording:
    facts = {d.name: (*d.theirs, *d.mine) for d in differences}
    return Wording(
        session,
        customers=facts.get("customer_id", ()),
        people=facts.get("account_manager_id", ()),
        actors=[event.actor for event in recorded],
        products=[
            fact[4]
            for d in differences
            for fact in (d.theirs, d.mine)
            if ":" in d.name and fact[4:]
        ],
    )


def _told(
    difference: Difference[Fact], recorded: Sequence[AuditEvent], words: Wording
) -> Disagreement:
    event = next((e for e in recorded if _is_about(e, difference.name)), None)
    return Disagreement(
        label=_label(difference, words),
        theirs=_text(difference.name, difference.theirs, words),
        mine=_text(difference.name, difference.mine, words),
        taken=difference.taken,
        who=words.actor(event.actor) if event else "",
        at=event.at if event else None,
    )


def _is_about(event: AuditEvent, name: str) -> bool:
    """Whether the event changed the fact of that name."""
    if name.startswith("line:"):
        return event.table_name == OrderLine.__tablename__ and f"line:{event.row_id}" == name
    if event.table_name != Order.__tablename__:
        return False
    changed = {**(event.before or {}), **(event.after or {})}
    return name in changed or (name in COMPONENT_OF_KIND.values() and "itemised" in changed)


def _label(difference: Difference[Fact], words: Wording) -> str:
    if ":" not in difference.name:
        return words.label(difference.name)
    kind = (difference.theirs or difference.mine)[0]
    return _("Line of %(kind)s", kind=words.value("kind", kind))


def _text(name: str, fact: Fact, words: Wording) -> str:
    if ":" in name:
        if not fact:
            return _("no such line")
        names = ("kind", "description", "quantity", "unit_price", "product_id")
        return line_text(dict(zip(names, fact, strict=False)), words)
    if fact == ("itemised",):
        return _("entered as lines")
    return words.value(name, fact[0] if fact else None)
