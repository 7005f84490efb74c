"""Signing in, the profile and the administration of users, in a real browser."""

import pytest

from backoffice.people import actions
from tests.browser.looks import LANGUAGES

PASSWORD = "seventeen brown hens"


def office(session):
    """A few users, as in an office."""
    people = [
        ("Ayu Lestari", "ayu", "finance"),
        ("Budi Santoso", "budi", "account_manager"),
        ("Citra Dewi Kusumawardhani", "citra", "account_manager"),
        ("Dimas Prakoso", "dimas", "viewer"),
        ("Eka Putri", "eka", "admin"),
    ]
    made = [
        actions.create_user(
            session, email=f"{short}@northwind.example", name=name, role=role, password=PASSWORD
        )
        for name, short, role in people
    ]
    actions.create_user(
        session, email="farah@northwind.example", name="Farah Nabila", role="viewer"
    )
    actions.disable(session, made[3])
    session.commit()
    return made


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_people_screen_is_sound_in_every_look(language, session, open_page, browse, is_sound):
    users = office(session)
    page = open_page(language=language)
    page.goto("/login")
    is_sound(page, "login")
    page.locator("[name=email]").fill("nobody@northwind.example")
    page.locator("[name=password]").fill("wrong")
    page.locator(".gate button[type=submit]").click()
    page.wait_for_selector(".notice-error")
    is_sound(page, "login-refused")

    page = browse("admin", language=language)
    for name, path in {
        "users": "/settings/users",
        "user": f"/settings/users/{users[0].id}",
        "user-new": "/settings/users/new",
        "profile": "/profile",
        "not-found": "/nowhere",
        "nothing": "/settings/users?q=zzz",
    }.items():
        page.goto(path)
        is_sound(page, name)

    page.goto("/settings/users/new")
    page.locator("main button[type=submit]").click()
    page.wait_for_selector(".error-summary")
    is_sound(page, "user-new-refused")
    page.locator("details.menu-user summary").click()
    is_sound(page, "user-menu")
    page = browse("admin", language=language, width="narrow")
    page.goto("/settings/users/new")
    page.locator("details.menu-nav summary").click()
    is_sound(page, "nav-menu", ["narrow"])
