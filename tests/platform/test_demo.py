"""The demo company."""

import json
from collections.abc import Callable
from typing import Any

from flask import Flask
from sqlalchemy import func, select

from backoffice.orders.models import Order
from backoffice.people.actions import authenticate
from backoffice.people.models import User
from backoffice.permissions import ROLES


def test_the_demo_company_loads_once_and_everybody_can_sign_in(
    app: Flask, session: Any, run_command: Callable[..., Any]
) -> None:
    done = run_command("demo", "load", "--json")
    assert done.exit_code == 0, done.output
    people = json.loads(done.stdout)["sign_ins"]
    assert {person["role"] for person in people} == set(ROLES)
    assert session.scalar(select(func.count()).select_from(Order)) == 830
    for person in people:
        user = authenticate(session, person["email"], person["password"])
        assert user is not None
        assert user.role == person["role"]
    manager = session.scalar(select(User).where(User.email == "nancy.davolio@northwind.example"))
    own = select(func.count()).select_from(Order).where(Order.account_manager_id == manager.id)
    assert session.scalar(own) > 50
    kept = app.config["BACKOFFICE_HOME"] / "demo-sign-ins.json"
    assert kept.stat().st_mode & 0o777 == 0o600

    again = run_command("demo", "load")
    assert again.exit_code == 2
    assert "empty book only" in again.stderr
