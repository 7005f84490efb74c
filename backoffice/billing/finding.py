"""What the search of the shell finds of billing: an invoice, a receipt or a meter by its very number."""

from typing import Any

from flask import url_for
from sqlalchemy import select
from sqlalchemy.orm import Session

from .. import places
from ..permissions import allowed
from .models import Invoice, Meter, Payment


def find(session: Session, user: Any, text: str) -> str | None:
    """Where the invoice, else the receipt, else the meter of that number is shown, if `user` may read it."""
    if not allowed(user, "billing.read"):
        return None
    for column, endpoint, name in (
        (Invoice.number, "billing.invoice", "number"),
        (Payment.reference, "billing.payment", "reference"),
        (Meter.number, "billing.meter", "number"),
    ):
        if session.scalar(select(column).where(column == text).limit(1)) is not None:
            values: dict[str, Any] = {name: text}
            return url_for(endpoint, **values)
    return None


def register() -> None:
    """Let the search ask; called once, where the screens are."""
    places.register(find)
