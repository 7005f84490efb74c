"""Which role may do what: one table, used by screens, actions and workers alike. Does not import Flask."""

from typing import Any, Protocol

from sqlalchemy import ColumnElement, true

from ..base import N_

_READ = frozenset(
    {
        "profile.own", "today.read", "orders.read", "customers.read", "products.read", "targets.read", "reports.read",
    }
)  # fmt: skip
_READ_ALL = _READ | {
    "orders.read_all",
    "targets.read_all",
    "billing.read",
    "wallets.read",
    "gas.read",
    "ledger.read",
    "figures.read",
    "runs.read",
}
_FINANCE = _READ_ALL | {
    "orders.write",
    "orders.reassign",
    "customers.write",
    "billing.write",
    "wallets.write",
    "gas.write",
    "ledger.write",
    "ledger.close",
    "products.write",
    "targets.write",
    "figures.heal",
    "facts.decide",
    "runs.approve",
    "schedules.run",
    "audit.read",
    "imports.run",
}

PERMISSIONS: dict[str, frozenset[str]] = {
    "viewer": _READ_ALL,
    "account_manager": _READ | {"orders.write"},
    "finance": _FINANCE,
    "admin": _FINANCE | {"users.manage", "tokens.manage", "metrics.read"},
}
"""Role → its permissions. Without `orders.read_all`, account managers see only their own rows."""

ROLES: dict[str, str] = {
    "viewer": N_("Viewer"),
    "finance": N_("Finance"),
    "account_manager": N_("Account manager"),
    "admin": N_("Administrator"),
}
"""Role → its name on screen."""

KNOWN = frozenset().union(*PERMISSIONS.values())
"""Every permission that any role has."""


class Person(Protocol):
    """The subject of a permission check: a user, or an anonymous visitor."""

    @property
    def is_authenticated(self) -> bool:
        """Whether they are signed in."""

    @property
    def is_active(self) -> bool:
        """Whether they are enabled."""


def allowed(user: Person, permission: str) -> bool:
    """Whether `user` has `permission`. A visitor and a disabled user have none.

    A program has no role: its token grants the permissions.
    """
    behind = getattr(user, "_get_current_object", None)
    person: Person = user if behind is None else behind()  # resolved once, not for each attribute
    given = getattr(person, "permissions", None)
    held = PERMISSIONS.get(getattr(person, "role", ""), frozenset()) if given is None else given
    if permission not in held:
        return False
    return person.is_authenticated and person.is_active


def sees_all(user: Any, permission: str) -> bool:
    """Whether `user` may see all users' rows. A program owns no rows: its token opens all rows of its domain."""
    given = getattr(user, "permissions", None)
    if given is None:
        return allowed(user, permission)
    return permission.partition(".")[0] in {held.partition(".")[0] for held in given}


def mine_or(user: Any, permission: str, owner: ColumnElement[Any]) -> ColumnElement[bool]:
    """The condition for rows that `user` may see: all with `permission`, else those they own by the `owner` column."""
    return true() if sees_all(user, permission) else owner == user.id
