"""What stands around every page: the navigation, the search, the way to something new.

An entry is shown when its screen exists and the user may see it, so a screen that comes later
appears by itself.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from flask import Flask, current_app, request, url_for
from flask_login import current_user

from ..base import N_
from ..security.rights import allowed


@dataclass(frozen=True)
class NavigationEntry:
    """One screen in the navigation. `section` is the start of its endpoints, `also` are further ones."""

    label: str
    endpoint: str
    icon: str
    section: str
    also: tuple[str, ...] = ()

    def holds(self, endpoint: str) -> bool:
        """Whether the endpoint belongs to it."""
        return endpoint.startswith((self.section, *self.also))


ENTRIES = (
    NavigationEntry(N_("Today"), "health.today", "today", "health.today"),
    NavigationEntry(N_("Orders"), "orders.index", "orders", "orders."),
    NavigationEntry(N_("Pricing"), "pricing.index", "pricing", "pricing.", also=("products.",)),
    NavigationEntry(N_("Customers"), "customers.index", "customers", "customers."),
    NavigationEntry(
        N_("Billing"),
        "meters.index",
        "billing",
        "billing.",
        also=("invoices.", "meters.", "payments.", "adjustments."),
    ),
    NavigationEntry(
        N_("Wallets"), "wallets.index", "wallets", "wallets.", also=("wallet_transactions.",)
    ),
    NavigationEntry(
        N_("Gas"),
        "gas_months.index",
        "gas",
        "gas.",
        also=("gas_", "readings.", "deposits."),
    ),
    NavigationEntry(
        N_("Ledger"),
        "entries.index",
        "ledger",
        "entries.",
        also=("accounts.", "ledger."),
    ),
    NavigationEntry(N_("Targets"), "targets.index", "targets", "targets."),
    NavigationEntry(
        N_("Health"),
        "health.index",
        "health",
        "health.",
        also=("drift.", "runs.", "schedules.", "reconciliation.", "balance_health."),
    ),
    NavigationEntry(N_("Reports"), "reports.index", "reports", "reports."),
    NavigationEntry(N_("Imports"), "imports.index", "imports", "imports."),
    NavigationEntry(N_("Audit"), "audit.index", "audit", "audit."),
    NavigationEntry(
        N_("Settings"), "people.users", "settings", "people.user", also=("people.token",)
    ),
)

SEARCH_ENDPOINT = "search.index"
NEW_ENDPOINT = "orders.new"


def may_open(endpoint: str) -> bool:
    """Whether a screen exists and the present user may see it."""
    view = current_app.view_functions.get(endpoint)
    permission = getattr(view, "required_permission", None)
    return permission is not None and allowed(current_user, permission)


def entries() -> Iterator[NavigationEntry]:
    """The entries for the present user."""
    return (entry for entry in ENTRIES if may_open(entry.endpoint))


def home() -> str:
    """The address at which the present user starts."""
    first = next(entries(), None)
    return url_for(first.endpoint if first else "people.profile")


def entry_here() -> str:
    """The endpoint of the entry that the present page belongs to, or nothing; the longest section that fits wins."""
    endpoint = request.endpoint or ""
    fitting = [entry for entry in ENTRIES if entry.holds(endpoint)]
    return max(fitting, key=lambda entry: len(entry.section)).endpoint if fitting else ""


def page_address() -> str:
    """Where the present page is, for whoever comes back to it."""
    return request.full_path if request.method == "GET" else request.path


def url_with(**changes: object) -> str:
    """The present address with some query arguments changed; None takes one away."""
    arguments = {**request.args.to_dict(flat=False), **(request.view_args or {}), **changes}
    kept: dict[str, Any] = {name: value for name, value in arguments.items() if value is not None}
    return url_for(request.endpoint or "", **kept)


def init_app(app: Flask) -> None:
    """Give templates the shell's parts."""
    app.jinja_env.globals.update(
        navigation=entries,
        entry_here=entry_here,
        page_address=page_address,
        may_open=may_open,
        home=home,
        url_with=url_with,
        SEARCH_ENDPOINT=SEARCH_ENDPOINT,
        NEW_ENDPOINT=NEW_ENDPOINT,
    )
