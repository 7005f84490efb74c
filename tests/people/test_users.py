"""The administration of users, and the user's own profile."""

import threading

import pytest
from sqlalchemy import func, select

from backoffice.app.extensions import db
from backoffice.people import actions
from backoffice.people.models import User, WebSession
from backoffice.people.queries import find_users

from .conftest import PASSWORD


def fresh(session, user):
    session.rollback()
    session.refresh(user)
    return user


def error_summary(answer):
    assert answer.status_code == 422
    return answer.text.split("data-error-summary", 1)[1].split("</div>", 1)[0]


# ---------- the list ----------


def found(session, **wanted):
    return [row.user.email.split("@")[0] for row in find_users(session, **wanted).items]


def test_users_are_found_by_part_of_name_or_address(session, office):
    assert found(session) == ["ayu", "budi", "citra", "eka"]
    assert found(session, search="LESTARI") == ["ayu"]
    assert found(session, search="budi@") == ["budi"]
    assert found(session, search="dewi citra") == ["citra"]
    assert found(session, search="100%") == ["citra"]
    assert found(session, search="%") == ["citra"]
    assert found(session, search="_") == []
    assert found(session, search="nobody") == []


def test_users_are_found_by_role_and_state(session, office):
    actions.disable(session, office["ayu"])
    assert found(session, role="viewer") == ["citra"]
    assert found(session, state="disabled") == ["ayu"]
    assert found(session, state="active") == ["budi", "citra", "eka"]
    assert found(session, role="nonsense") == []


def test_the_list_comes_in_pages_and_a_page_too_far_is_the_last(session, office):
    page = find_users(session, page=2, size=3)
    assert (page.first, page.last, page.total, page.pages) == (4, 4, 4, 2)
    assert find_users(session, page=99, size=3).number == 2
    assert find_users(session, search="nobody", page=9).number == 1


@pytest.mark.parametrize("page", ["0", "-1", "x", "٣", "9" * 30, ""])
def test_a_nonsensical_page_number_is_the_first_page(eka, page):
    assert eka.get("/settings/users", query_string={"page": page}).status_code == 200


def test_htmx_gets_the_results_alone(eka):
    whole = eka.get("/settings/users?q=ayu")
    part = eka.get("/settings/users?q=ayu", headers={"HX-Request": "true"})
    back = eka.get(
        "/settings/users?q=ayu", headers={"HX-Request": "true", "HX-Request-Type": "full"}
    )
    assert "<html" in whole.text
    assert "<html" not in part.text
    assert "Ayu Lestari" in part.text
    assert "<html" in back.text
    assert "HX-Request" in part.headers["Vary"]
    assert part.headers["Cache-Control"] == "no-store"


def test_stored_markup_is_shown_as_text(session, eka, office):
    name = "<script>alert(1)</script>' onmouseover=\"x"
    actions.edit_user(
        session, office["ayu"], email="ayu@northwind.example", name=name, role="finance"
    )
    session.commit()
    for path in ("/settings/users", f"/settings/users/{office['ayu'].id}"):
        for headers in ({}, {"HX-Request": "true"}):
            text = eka.get(path, headers=headers).text
            assert "<script>alert" not in text
            assert "&lt;script&gt;alert(1)" in text
            assert 'onmouseover="' not in text


# ---------- creating and editing ----------


def test_a_user_is_created_and_can_sign_in(app, session, eka):
    answer = eka.post(
        "/settings/users/new",
        data={
            "name": "  Fajar   Nugroho ",
            "email": " Fajar@Northwind.Example ",
            "role": "finance",
            "password": PASSWORD,
        },
    )
    assert answer.status_code == 303
    fajar = session.scalars(select(User).filter_by(email="fajar@northwind.example")).one()
    assert answer.location == f"/settings/users/{fajar.id}"
    assert (fajar.name, fajar.role, fajar.is_active) == ("Fajar Nugroho", "finance", True)
    signed_in = app.test_client().post(
        "/login", data={"email": "fajar@northwind.example", "password": PASSWORD}
    )
    assert signed_in.status_code == 303


def test_all_errors_are_told_at_once_and_the_input_is_kept(eka):
    answer = eka.post(
        "/settings/users/new", data={"name": "", "email": "nonsense", "role": "emperor"}
    )
    summary = error_summary(answer)
    assert 'href="#name"' in summary
    assert 'href="#role"' in summary
    assert 'value="nonsense"' in answer.text
    assert 'aria-invalid="true"' in answer.text


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"email": "AYU@northwind.example"}, "Another user already has the address"),
        ({"email": "not an address"}, "is not an e-mail address"),
        ({"name": " \t "}, "Name: This cannot be empty."),
        ({"password": "short"}, "at least 10 characters"),
        ({"password": "fajar@northwind.example"}, "among the first that anybody would guess"),
    ],
    ids=["taken", "malformed", "blank", "short", "obvious"],
)
def test_a_refused_user_is_explained_and_not_created(session, eka, office, changes, sentence):
    data = {"name": "Fajar", "email": "fajar@northwind.example", "role": "viewer"}
    answer = eka.post("/settings/users/new", data=data | changes)
    assert sentence in error_summary(answer)
    assert session.scalar(select(func.count()).select_from(User)) == 4


def test_fields_that_the_form_does_not_have_are_ignored(session, eka, office):
    ayu = office["ayu"]
    before = ayu.password_hash
    eka.post(
        f"/settings/users/{ayu.id}",
        data={
            "name": "Ayu",
            "email": "ayu@northwind.example",
            "role": "finance",
            "id": "999",
            "is_active": "",
            "password_hash": "x",
            "language": "id",
            "created_at": "2000-01-01",
        },
    )
    ayu = fresh(session, ayu)
    assert (ayu.name, ayu.is_active, ayu.password_hash, ayu.language) == ("Ayu", True, before, "")


def test_a_user_that_is_not_there_is_not_found(eka):
    assert eka.get("/settings/users/4711").status_code == 404
    assert eka.post("/settings/users/4711/disable").status_code == 404
    assert eka.get("/settings/users/99999999999999999999999").status_code == 404


# ---------- administrators cannot lock anyone out by accident, least of all themselves ----------


def test_an_administrator_cannot_disable_or_demote_themselves_by_accident(session, eka, office):
    me = office["eka"]
    someone_else = actions.create_user(
        session, email="gita@northwind.example", name="Gita", role="admin"
    )
    session.commit()
    assert someone_else.is_active
    eka.post(f"/settings/users/{me.id}/disable")
    assert "Ask another administrator" in eka.get("/settings/users").text
    data = {"name": "Eka", "email": me.email, "role": "viewer"}
    answer = eka.post(f"/settings/users/{me.id}", data=data)
    assert "Ask another administrator" in error_summary(answer)
    me = fresh(session, me)
    assert (me.is_active, me.role, me.name) == (True, "admin", "Eka Putri")


def test_the_last_active_administrator_stays(session, office):
    eka = office["eka"]
    with pytest.raises(actions.LastAdministrator, match="Eka Putri is the last"):
        actions.disable(session, eka)
    with pytest.raises(actions.LastAdministrator):
        actions.set_role(session, eka, "viewer")
    gita = actions.create_user(session, email="gita@northwind.example", name="Gita", role="admin")
    actions.disable(session, gita)
    with pytest.raises(actions.LastAdministrator):
        actions.set_role(session, eka, "viewer")
    actions.enable(session, gita)
    actions.set_role(session, eka, "viewer", by=gita)
    assert eka.role == "viewer"


def test_two_administrators_who_demote_each_other_at_once_do_not_both_succeed(app, session, office):
    gita = actions.create_user(session, email="gita@northwind.example", name="Gita", role="admin")
    session.commit()
    pairs = [(office["eka"].id, gita.id), (gita.id, office["eka"].id)]
    together, outcomes = threading.Barrier(2), []

    def demote(victim, culprit):

        with app.app_context():
            by, user = db.session.get(User, culprit), db.session.get(User, victim)
            together.wait()
            try:
                actions.set_role(db.session, user, "viewer", by=by)
                db.session.commit()
                outcomes.append("demoted")
            except actions.LastAdministrator:
                db.session.rollback()
                outcomes.append("refused")

    threads = [threading.Thread(target=demote, args=pair) for pair in pairs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["demoted", "refused"]
    session.rollback()
    assert session.scalar(select(func.count()).select_from(User).filter_by(role="admin")) == 1


def test_an_administrator_who_sets_their_own_password_stays_signed_in_here_only(
    session, sign_in, office
):
    here, there = sign_in(office["eka"]), sign_in(office["eka"])
    url = f"/settings/users/{office['eka'].id}/password"
    assert here.post(url, data={"password": "another good one"}).status_code == 303
    assert here.get("/profile").status_code == 200
    assert there.get("/profile").status_code == 302


def test_disabling_and_enabling_from_the_screen(session, sign_in, eka, office):
    ayu = sign_in(office["ayu"])
    page = f"/settings/users/{office['ayu'].id}"
    eka.post(f"{page}/disable")
    assert ayu.get("/profile").status_code == 302
    assert "is disabled and signed out everywhere" in eka.get(page).text
    eka.post(f"{page}/enable")
    assert fresh(session, office["ayu"]).is_active


def test_sessions_are_counted_and_ended_from_the_screen(session, sign_in, eka, office):
    browsers = [sign_in(office["ayu"]) for _ in range(2)]
    page = f"/settings/users/{office['ayu'].id}"
    assert "Signed in on 2 browsers" in eka.get(page).text
    eka.post(f"{page}/end-sessions")
    assert "sessions ended: 2" in eka.get(page).text
    assert all(browser.get("/profile").status_code == 302 for browser in browsers)


# ---------- the user's own profile ----------


def test_language_and_number_format_are_two_settings(session, sign_in, office):
    ayu = sign_in(office["ayu"])
    ayu.post("/profile", data={"language": "id", "number_format": "plain"})
    page = ayu.get("/profile").text
    assert '<html lang="id"' in page
    assert 'data-number-format="plain"' in page
    assert "Pengaturan Anda sudah disimpan." in page
    ayu.post("/preferences", data={"language": "en"})
    assert fresh(session, office["ayu"]).number_format == "plain"
    assert '<html lang="en"' in ayu.get("/profile").text


def test_a_choice_that_does_not_exist_changes_nothing(session, sign_in, office):
    ayu = sign_in(office["ayu"])
    ayu.post("/preferences", data={"language": "xx", "number_format": "de", "theme": "pink"})
    answer = ayu.post("/profile", data={"language": "xx", "number_format": "id"})
    assert answer.status_code == 422
    user = fresh(session, office["ayu"])
    assert (user.language, user.number_format) == ("", "")


def test_a_visitor_chooses_language_and_theme_before_signing_in(client):
    client.post("/preferences", data={"language": "id", "theme": "dark", "next": "/login"})
    page = client.get("/login").text
    assert '<html lang="id"' in page
    assert 'data-bs-theme="dark"' in page
    assert "Masuk" in page


def test_preferences_lead_back_to_the_page_they_were_chosen_on(client):
    back = client.post("/preferences", data={"theme": "dark", "next": "/login?next=/profile"})
    assert back.location == "/"  # the sign-in page is not a valid target after signing in
    away = client.post("/preferences", data={"theme": "dark", "next": "//evil.example"})
    assert away.location == "/"


def test_changing_ones_password_needs_the_present_one_and_ends_other_sessions(
    app, session, sign_in, office
):
    here, there = sign_in(office["ayu"]), sign_in(office["ayu"])
    wrong = here.post("/profile/password", data={"present": "no", "password": "a much better one"})
    assert "That is not your present password" in error_summary(wrong)
    weak = here.post("/profile/password", data={"present": PASSWORD, "password": "weak"})
    assert "at least 10 characters" in error_summary(weak)
    data = {"present": PASSWORD, "password": "a much better one"}
    assert here.post("/profile/password", data=data).status_code == 303
    assert "Your password is changed" in here.get("/profile").text
    assert there.get("/profile").status_code == 302
    session.rollback()
    assert session.scalar(select(func.count()).select_from(WebSession)) == 1


def test_the_number_format_never_follows_the_language_by_itself(app, sign_in):
    browser = sign_in("finance", language="id")
    assert 'data-number-format="en"' in browser.get("/profile").text
    app.config["LANGUAGE_DEFAULT"] = "id"
    assert 'data-number-format="id"' in browser.get("/profile").text
