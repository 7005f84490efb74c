"""Notices of the trail on Today: a chain that fails verification, or is not being sealed."""

from collections.abc import Iterator
from typing import Any

from flask import url_for
from flask_babel import gettext as _
from sqlalchemy.orm import Session

from ..app.attention import Notice, Source
from .chain.queries import chain_of


def _chain(session: Session, _user: Any) -> Iterator[Notice]:
    chain = chain_of(session)
    if chain.verified is not None and chain.verified.bad:
        sentence = _(
            "The audit trail is not what was sealed. %(first)s", first=chain.verified.first_bad
        )
        yield Notice(sentence, url_for("audit.index"), "danger", chain.verified.bad)
    if chain.is_stalled:
        sentence = _("The audit trail is not being sealed.")
        yield Notice(sentence, url_for("audit.index"), "warning", chain.waiting)


NOTICES = (Source("audit", "attention", "audit.read", _chain),)
