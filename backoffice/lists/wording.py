"""A list's filter in words, for exports, printed pages and previews."""

from collections.abc import Iterator
from datetime import date
from typing import Any

from flask_babel import gettext as _
from sqlalchemy.orm import Session

from ..web.formats import day_filter
from .filters import AsOf, Choice, Days, Filter, Reference
from .state import State


def in_words(session: Session, user: Any, state: State) -> str:
    """The filter in one line, or the statement that there is none."""
    reported = [
        f"{_(label)}: {value}"
        for one in state.listing.filters
        for label, value in _reported(session, user, one, state)
    ]
    return " · ".join(reported) or _("everything")


def _reported(session: Session, user: Any, one: Filter, state: State) -> Iterator[tuple[str, str]]:
    values = {name: state.values[name] for name in one.arguments if name in state.values}
    if isinstance(one, AsOf):
        yield _(one.label), day_filter(one.day(values))
        return
    if not values:
        if isinstance(one, Choice) and one.assumed:
            yield _(one.label), _(one.assumed[0])
        return
    if isinstance(one, Days):
        for name, label in ((one.since, one.label), (one.until, one.until_label)):
            if name in values:
                yield label, day_filter(date.fromisoformat(values[name]))
        return
    label, (value,) = getattr(one, "label", ""), values.values()
    if isinstance(one, Choice):
        value = _(one.options[value][0])
    elif isinstance(one, Reference):
        value = dict(one.offered(session, user)).get(int(value), value)
    yield label, value
