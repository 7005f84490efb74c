"""Verbs that change customers."""

from typing import Any

from sqlalchemy import Select
from sqlalchemy.orm import Session

from ..upserts import Upserted, upsert
from .models import Customer


def upsert_customers(session: Session, rows: Select[Any]) -> Upserted:
    """Create and update the customers that `rows` names by code; columns it lacks stay."""
    return upsert(session, Customer, rows, "code")
