"""How the history of an entry renders changes of its lines."""

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
    """What each save changed of the lines: at each position the line before and the line after."""
    sides = [side for event in recorded for side in (event.before, event.after) if side]
    ids = {side["account_id"] for side in sides if side.get("account_id")}
    codes = ACCOUNT.of.names(session, ids)

    def render(save: Sequence[AuditEvent]) -> Rendered:
        by_position: dict[int, list[str]] = {}
        for event in save:
            if event.table_name == JournalLine.__tablename__:
                _add_line(by_position, event, codes)
        return "", list(_changes(by_position))

    return Rendering(render)


def _add_line(
    by_position: dict[int, list[str]], event: AuditEvent, codes: Mapping[int, str]
) -> None:
    """Add a deleted line as the one before at its position, an inserted line as the one after."""
    for place, side in enumerate((event.before, event.after)):
        if event.action != "UPDATE" and side:
            sides = by_position.setdefault(int(side["position"] or 0), ["", ""])
            sides[place] = _recorded_line(side, codes)


def _changes(by_position: Mapping[int, Sequence[str]]) -> Iterator[Change]:
    for position, (before, after) in sorted(by_position.items()):
        if before != after:
            difference = difference_of(JournalLine.__tablename__, "memo", before, after)
            yield Change(_("Line %(number)d", number=position + 1), before, after, difference)


def _recorded_line(line: Mapping[str, Any], codes: Mapping[int, str]) -> str:
    account = int(line["account_id"])
    debit, credit = (Decimal(str(line[name] or 0)) for name in ("debit", "credit"))
    return line_text(LineEntry(account, debit, credit, str(line.get("memo") or "")), codes)


def line_text(line: LineEntry, codes: Mapping[int, str]) -> str:
    """A line in a few words: account, debit or credit, memo."""
    side = _("Debit") if line.debit else _("Credit")
    amount = f"{side} {money_filter(line.debit or line.credit)}"
    parts = (codes.get(line.account_id, f"#{line.account_id}"), amount, line.memo)
    return " · ".join(filter(None, parts))
