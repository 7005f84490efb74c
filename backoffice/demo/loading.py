"""Loads the demo company: Northwind's files, data of all other domains, and four users."""

import contextlib
import json
import os
import secrets
from dataclasses import asdict, dataclass
from decimal import Decimal
from pathlib import Path

from flask import current_app
from sqlalchemy import select

from ..app.extensions import db
from ..base import periods
from ..base.actor import acting_as
from ..base.periods import Month
from ..customers.models import Customer
from ..imports.importing import import_files
from ..imports.kinds import KINDS
from ..ledger.posting.actions import reconcile
from ..ledger.posting.queries import EVERYTHING
from ..people import actions
from ..people.models import User
from ..runs.actions import request
from ..targets import actions as targets
from . import billing, gas, ledger, wallets
from .fitting import fitted, years_with_targets

FILES = {
    "customers": "customers.csv",
    "account-managers": "account_managers.csv",
    "products": "products.csv",
    "orders": "orders.csv",
    "order-lines": "order_lines.csv",
}
"""Kind → file, in the order in which they build on each other."""

GROWTH = Decimal(10)
"""Growth of the account managers' targets over the year before, in percent."""

PEOPLE = {
    "viewer": ("viewer@northwind.example", "Vera Viewer"),
    "finance": ("finance@northwind.example", "Fina Finance"),
    "account_manager": ("nancy.davolio@northwind.example", "Nancy Davolio"),
    "admin": ("admin@northwind.example", "Ada Admin"),
}
"""Role → email and name of its user. The account manager is one of Northwind's employees, so she has orders."""


FIRST_CHECK = "The demo company was loaded"
"""The reason of the first verification run."""


class DemoError(Exception):
    """The demo company cannot be loaded."""


@dataclass(frozen=True)
class SignIn:
    """The credentials of a user of the demo company."""

    role: str
    email: str
    password: str


def is_empty() -> bool:
    """Whether there are no users and no customers yet."""
    return not any(
        db.session.scalar(select(select(model.id).exists())) for model in (User, Customer)
    )


def load() -> list[SignIn]:
    """Load the demo company into an empty book, in one transaction; answers its sign-ins.

    The passwords are generated here, so that no deployment has a known one. Raises DemoError.
    """
    if not is_empty():
        raise DemoError(
            "There is data already; the demo company is loaded into an empty book only."
        )
    with acting_as("demo"):
        for kind, name in FILES.items():
            report = import_files(db.session(), KINDS[kind], [fitted(name)])
            if report.problems:
                raise DemoError(f"{name}: {report.problems[0]}")
        if problem := billing.load(db.session()):
            raise DemoError(f"billing: {problem}")
        wallets.load(db.session())
        gas.load(db.session())
        ledger.load(db.session())
        reconcile(db.session(), EVERYTHING)
        ledger.leave_drafts(db.session())
        for year in years_with_targets(periods.today()):
            months = list(Month(year, 1).through(Month(year, 12)))
            targets.generate(db.session(), months, growth=GROWTH)
        request(db.session(), "figures.verify", {}, reason=FIRST_CHECK)
        people = [_sign_in(role) for role in PEOPLE]
        _keep(people)
        db.session.commit()
    return people


def sign_ins() -> list[SignIn]:
    """The sign-ins of the demo company that was loaded from this home; empty without one."""
    try:
        people = [SignIn(**person) for person in json.loads(_path().read_text())]
    except (OSError, ValueError, TypeError):
        return []
    known = set(db.session.scalars(select(User.email).where(User.is_active)))
    return [person for person in people if person.email in known]


def are_kept(people: list[SignIn]) -> bool:
    """Whether the next start will find these sign-ins in the home."""
    return sign_ins() == people


def _sign_in(role: str) -> SignIn:
    email, name = PEOPLE[role]
    password = "-".join(secrets.token_hex(2) for _ in range(4))
    user = db.session.scalar(select(User).where(User.email == email))
    if user is None:
        actions.create_user(db.session, email=email, name=name, role=role, password=password)
    else:
        actions.set_password(db.session, user, password)
    return SignIn(role, email, password)


def _keep(people: list[SignIn]) -> None:
    """Save the sign-ins for the next start, in a file that only the owner of this home can read.

    `are_kept` returns whether that was possible.
    """
    with contextlib.suppress(OSError):
        _write(people)


def _write(people: list[SignIn]) -> None:
    _path().parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(_path(), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump([asdict(person) for person in people], file, indent=1)


def _path() -> Path:
    home: Path = current_app.config["BACKOFFICE_HOME"]
    return home / "demo-sign-ins.json"
