"""What a save tells of an entry's lines."""

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from flask_babel import gettext as _
from sqlalchemy.orm import Session

from ..audit.histories import Change
from ..audit.models import AuditEvent
from ..audit.rendering import difference_of
from ..records import Rendered, Rendering
from ..web.formats import money_filter
from .entries import LineEntry
from .fields import ACCOUNT
from .models import JournalEntry, JournalLine


def lines_rendered(
    session: Session, _entry: JournalEntry, recorded: Sequence[AuditEvent]
) -> Rendering:
    """What each save did to lines: the one that stood in a place, and the one that stands there now."""
    sides = [side for event in recorded for side in (event.before, event.after) if side]
    ids = {side["account_id"] for side in sides if side.get("account_id")}
    codes = ACCOUNT.of.names(session, ids)

    def tell(save: Sequence[AuditEvent]) -> Rendered:
        places: dict[int, list[str]] = {}
        for event in save:
            if event.table_name == JournalLine.__tablename__:
                _place(places, event, codes)
        return "", list(_changes(places))

    return Rendering(tell)


def _place(places: dict[int, list[str]], event: AuditEvent, codes: Mapping[int, str]) -> None:
    """Put a line that went, or came, where it stood."""
    for place, side in enumerate((event.before, event.after)):
        if event.action != "UPDATE" and side:
            reported = places.setdefault(int(side["position"] or 0), ["", ""])
            reported[place] = _recorded(side, codes)


def _changes(places: Mapping[int, Sequence[str]]) -> Iterator[Change]:
    for position, (before, after) in sorted(places.items()):
        if before != after:
            apart = difference_of(JournalLine.__tablename__, "memo", before, after)
            yield Change(_("Line %(number)d", number=position + 1), before, after, apart)


def _recorded(line: Mapping[str, Any], codes: Mapping[int, str]) -> str:
    account = int(line["account_id"])
    debit, credit = (Decimal(str(line[name] or 0)) for name in ("debit", "credit"))
    return line_text(LineEntry(account, debit, credit, str(line.get("memo") or "")), codes)


def line_text(line: LineEntry, codes: Mapping[int, str]) -> str:
    """A line in a few words: account, debit or credit, memo."""
    side = _("Debit") if line.debit else _("Credit")
    amount = f"{side} {money_filter(line.debit or line.credit)}"
    reported = (codes.get(line.account_id, f"#{line.account_id}"), amount, line.memo)
    return " · ".join(filter(None, reported))
