"""The users of an office."""

import pytest

from backoffice.people import actions

PASSWORD = "seventeen brown hens"


@pytest.fixture
def office(session):
    """The users by first name."""
    people = {
        "ayu": ("Ayu Lestari", "finance"),
        "budi": ("Budi Santoso", "account_manager"),
        "citra": ("Citra Dewi 100%", "viewer"),
        "eka": ("Eka Putri", "admin"),
    }
    made = {
        short: actions.create_user(
            session, email=f"{short}@northwind.example", name=name, role=role, password=PASSWORD
        )
        for short, (name, role) in people.items()
    }
    session.commit()
    return made


@pytest.fixture
def eka(sign_in, office):
    """The administrator's browser."""
    return sign_in(office["eka"])
