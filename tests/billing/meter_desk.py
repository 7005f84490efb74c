"""A company with four meters, for the tests of their screens."""

from datetime import date
from typing import Any

from tests.factories.customers import CustomerFactory

from .meters import meter_of


def a_company(session: Any) -> dict[str, Any]:
    """RINA owes 1,100 on M-1 and overpaid 250 on M-2; M-3 was hers; M-4, with 40, has no customer."""
    rina = CustomerFactory(code="RINA", name="Rina Wijaya")
    budi = CustomerFactory(code="BUDI", name="Budi Santoso")
    owing = meter_of(rina, "M-1", owed=1500, paid=400, assigned_from=date(2026, 1, 1))
    owing.meter.description = "Jl. Sudirman 1"
    overpaid = meter_of(rina, "M-2", owed=100, paid=350)
    inactive = meter_of(rina, "M-3", owed=7000, is_active=False)
    unassigned = meter_of(None, "M-4", owed=40)
    session.commit()
    return {
        "rina": rina, "budi": budi, "owing": owing, "overpaid": overpaid, "inactive": inactive,
        "nobodys": unassigned,
    }  # fmt: skip


def verb(company: dict[str, Any], which: str, name: str) -> str:
    """The URL of an action on an assignment."""
    held = company[which]
    return f"/billing/meters/{held.meter.number}/assignments/{held.id}/{name}"
