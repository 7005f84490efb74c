"""Notices on Today about tokens of programs that expire soon."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from flask import url_for
from flask_babel import ngettext
from sqlalchemy.orm import Session

from ..app.attention import Notice, Source
from . import tokens

SOON = timedelta(days=14)
"""How long before expiry a replacement token should be made."""


def _ending(session: Session, _user: Any) -> Iterator[Notice]:
    count = len(tokens.ending_before(session, datetime.now(UTC) + SOON))
    if count:
        sentence = ngettext(
            "%(num)d program's token expires within 14 days.",
            "%(num)d programs' tokens expire within 14 days.",
            count,
        )
        yield Notice(sentence, url_for("people.tokens_index"), "warning", count)


NOTICES = (Source("tokens", "attention", "tokens.manage", _ending),)
