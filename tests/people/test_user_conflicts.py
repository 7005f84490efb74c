"""Two administrators and one user: a form left open does not restore a right that was withdrawn."""

import html
import re
import threading

import pytest

from backoffice.app.extensions import db
from backoffice.people import actions
from backoffice.people.models import User


def fresh(session, user):
    session.rollback()
    session.refresh(user)
    return user


def as_opened(browser, user):
    """The form over a user as the browser has it, with its hidden fields."""
    page = browser.get(f"/settings/users/{user.id}").text
    base = re.search(r'name="base"[^>]*value="([^"]*)"', page)[1]
    return {"name": user.name, "email": user.email, "role": user.role, "base": html.unescape(base)}


def test_a_form_that_was_open_gives_nobody_back_the_role_that_was_taken(
    session, sign_in, eka, office
):
    gita = actions.create_user(session, email="gita@northwind.example", name="Gita", role="admin")
    session.commit()
    page, ayu = f"/settings/users/{office['ayu'].id}", office["ayu"]
    opened = as_opened(eka, ayu)
    theirs = as_opened(sign_in(gita), ayu)
    assert sign_in(gita).post(page, data=theirs | {"role": "viewer"}).status_code == 303
    late = eka.post(page, data=opened | {"name": "Ayu L. Lestari"})
    assert late.status_code == 409
    assert "A user saved this after you opened it" in late.text
    assert (fresh(session, ayu).role, ayu.name) == ("viewer", "Ayu Lestari")
    shown = late.text.split("data-warn-unsaved", 1)[1]
    assert 'value="Ayu L. Lestari"' in shown
    assert re.search(r'<option selected value="viewer"', shown)
    base = html.unescape(re.search(r'name="base"[^>]*value="([^"]*)"', shown)[1])
    again = {**opened, "name": "Ayu L. Lestari", "role": "viewer", "base": base}
    assert eka.post(page, data=again).status_code == 303
    assert (fresh(session, ayu).role, ayu.name) == ("viewer", "Ayu L. Lestari")


def test_two_who_save_the_same_of_a_user_have_nothing_to_decide(session, sign_in, eka, office):
    ayu = office["ayu"]
    page, same = f"/settings/users/{ayu.id}", as_opened(eka, ayu) | {"role": "viewer"}
    assert eka.post(page, data=same).status_code == 303
    assert eka.post(page, data=same).status_code == 303
    assert fresh(session, ayu).role == "viewer"


def test_what_is_decided_of_a_user_is_decided_of_them_as_they_are_under_the_lock(
    app, session, office
):
    """Gita becomes an administrator and Eka stops being one, while a third user is about to take Gita's role."""
    gita = actions.create_user(session, email="gita@northwind.example", name="Gita", role="viewer")
    session.commit()
    seen = session.get(User, gita.id)
    assert seen.role == "viewer"

    def meanwhile():
        with app.app_context():
            actions.set_role(db.session, db.session.get(User, gita.id), "admin")
            actions.set_role(db.session, db.session.get(User, office["eka"].id), "viewer")
            db.session.commit()

    other = threading.Thread(target=meanwhile)
    other.start()
    other.join()
    with pytest.raises(actions.LastAdministrator):
        actions.set_role(session, seen, "finance")
