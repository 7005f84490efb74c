"""The domains of the product: each declares its parts in its `domain.py`, and nothing registers itself."""

from ..approvals import domain as approvals
from ..audit import domain as audit
from ..billing import domain as billing
from ..commands import domain as commands
from ..customers import domain as customers
from ..drift import domain as drift
from ..gas import domain as gas
from ..health import domain as health
from ..imports import domain as imports
from ..ledger import domain as ledger
from ..lists import domain as lists
from ..metrics import domain as metrics
from ..orders import domain as orders
from ..people import domain as people
from ..pricing import domain as pricing
from ..products import domain as products
from ..reconciliation import domain as reconciliation
from ..reports import domain as reports
from ..runs import domain as runs
from ..schedules import domain as schedules
from ..search import domain as search
from ..targets import domain as targets
from ..wallets import domain as wallets
from .domain import Domain

DOMAINS: tuple[Domain, ...] = (
    people.DOMAIN,
    lists.DOMAIN,
    runs.DOMAIN,
    schedules.DOMAIN,
    drift.DOMAIN,
    approvals.DOMAIN,
    customers.DOMAIN,
    billing.DOMAIN,
    wallets.DOMAIN,
    gas.DOMAIN,
    ledger.DOMAIN,
    orders.DOMAIN,
    audit.DOMAIN,
    health.DOMAIN,
    metrics.DOMAIN,
    products.DOMAIN,
    pricing.DOMAIN,
    targets.DOMAIN,
    reconciliation.DOMAIN,
    reports.DOMAIN,
    imports.DOMAIN,
    search.DOMAIN,
    commands.DOMAIN,
)
"""In the order in which pages show their parts."""
