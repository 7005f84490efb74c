"""Notices of wallets on Today: those below their limit, and those below zero."""

from collections.abc import Iterator
from typing import Any

from flask import url_for
from flask_babel import ngettext
from sqlalchemy import select
from sqlalchemy.orm import Session

from ..app.attention import Notice, Source
from ..web.formats import money_filter, quantity_filter
from . import measures
from .figures import below_zero
from .models import Wallet


def _low(session: Session, _user: Any) -> Iterator[Notice]:
    low, below, owed = session.execute(
        select(measures.low, measures.below, below_zero).where(Wallet.needs_attention)
    ).one()
    if below:
        reported = ngettext(
            "%(count)s wallet is below zero: %(amount)s.",
            "%(count)s wallets are below zero: %(amount)s.",
            below, count=quantity_filter(below), amount=money_filter(owed, symbol=True),
        )  # fmt: skip
        here = url_for("wallets.index", state="negative", sort="balance")
        yield Notice(reported, here, "warning", below)
    if low:
        reported = ngettext(
            "%(count)s wallet holds less than its limit.",
            "%(count)s wallets hold less than their limits.",
            low, count=quantity_filter(low),
        )  # fmt: skip
        yield Notice(reported, url_for("wallets.index", state="low", sort="balance"), "info", low)


NOTICES = (Source("wallets", "attention", "wallets.read", _low),)
