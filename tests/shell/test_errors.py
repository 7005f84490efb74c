"""Errors become sentences: on a page, in a toast for htmx, or in JSON. None of them reveals a secret.

FAULTS.md, lines 25 and 54 (their answers; the locks themselves are tested elsewhere).
"""

import json

import psycopg
import pytest
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from werkzeug import exceptions as http

from backoffice.app.errors import ERROR_PAGES, answer
from backoffice.base.refusals import Refusal, Stale

HTMX = {"HX-Request": "true"}
JSON = {"Accept": "application/json"}


@pytest.fixture
def failing(app, sign_in):
    """`failing(error)`: a signed-in browser for which POST /preferences raises this error."""
    kept = app.view_functions["people.preferences_post"]

    def fail_with(error, who="finance"):
        def view():
            raise error

        view.is_public = True
        app.view_functions["people.preferences_post"] = view
        return sign_in(who) if who else app.test_client()

    yield fail_with
    app.view_functions["people.preferences_post"] = kept


def database_error(sqlstate, message="secret detail", kind=OperationalError):
    class Original(psycopg.errors.lookup(sqlstate)):
        pass

    return kind("SELECT secret", {"password": "hunter2"}, Original(message))


class PriceBelowCost(Refusal):
    """A Refusal for these tests."""

    sentence = "The price of %(name)s is below its cost. Raise it."


@pytest.mark.parametrize("status", sorted(ERROR_PAGES))
@pytest.mark.parametrize("language", ["en", "id"])
def test_every_status_has_a_sentence_in_every_language(app, status, language):
    with app.test_request_context("/", headers={"Cookie": f"language={language}"}):
        said = answer(status, seconds=5, reference="abc").get_data(as_text=True)
    assert f'<html lang="{language}"' in said
    sentence = ERROR_PAGES[status].sentence % {"seconds": 5, "reference": "abc"}
    assert (sentence in said) == (language == "en")


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (http.BadRequest(), 400),
        (http.Forbidden(), 403),
        (http.NotFound(), 404),
        (http.MethodNotAllowed(["GET"]), 405),
        (http.Gone(), 410),
        (http.RequestEntityTooLarge(), 413),
        (http.UnprocessableEntity(), 422),
        (http.ServiceUnavailable(), 503),
        (PriceBelowCost(name="Queso"), 422),
        (Stale(), 409),
        (PoolTimeout(), 503),
        (database_error("55P03"), 503),
        (database_error("57014"), 503),
        (database_error("40P01"), 503),
        (database_error("53100"), 503),
        (database_error("57P01"), 503),
        (database_error("08006"), 503),
        (database_error("23505", kind=IntegrityError), 409),
        (database_error("23503", kind=IntegrityError), 409),
        (database_error("23514", kind=IntegrityError), 500),
        (database_error("42601"), 500),
        (RuntimeError("secret detail"), 500),
        (KeyError("secret detail"), 500),
    ],
    ids=lambda value: getattr(value, "name", None) or type(value).__name__,
)
def test_an_error_is_told_on_a_page_in_a_toast_and_in_json(failing, error, status):
    browser = failing(error)
    page = browser.post("/preferences")
    toast = browser.post("/preferences", headers=HTMX)
    data = browser.post("/preferences", headers=JSON)
    assert (page.status_code, toast.status_code, data.status_code) == (status,) * 3
    assert "<h1>" in page.text
    assert "<" not in toast.text
    assert toast.headers["HX-Reswap"] == "none"
    reported = json.loads(toast.headers["HX-Trigger"])["toast"]
    assert (reported["kind"], reported["message"]) == ("error", toast.text)
    if status != 500:  # which has a different reference
        assert data.json == {"error": toast.text}
    for said in (page, toast, data):
        assert ("Retry-After" in said.headers) == (status in (503, 429))
        for secret in ("secret", "hunter2", "Traceback", "SELECT", "psycopg"):
            assert secret not in said.text


def test_a_refusals_own_sentence_is_what_is_told(failing):
    browser = failing(PriceBelowCost(name="<b>Queso</b>"))
    sentence = "The price of <b>Queso</b> is below its cost. Raise it."
    assert browser.post("/preferences", headers=JSON).json == {"error": sentence}
    page = browser.post("/preferences").text
    assert "&lt;b&gt;Queso&lt;/b&gt;" in page
    assert sentence not in page


def test_the_reference_of_a_500_stands_in_the_log_beside_its_cause(failing, capfd):
    page = failing(RuntimeError("secret detail")).post("/preferences")
    reference = page.text.split("the reference ")[1].split(".")[0]
    printed = capfd.readouterr()
    assert reference in printed.out + printed.err
    assert "secret detail" in printed.out + printed.err


def test_an_error_page_needs_no_database(app, failing, monkeypatch):
    browser = failing(database_error("08006"))
    page = browser.post("/preferences")
    assert page.status_code == 503
    assert "topbar" not in page.text


def test_a_signed_in_user_keeps_the_navigation_on_a_404(sign_in, client):
    assert "topbar" in sign_in("finance").get("/nowhere").text
    assert "topbar" not in client.get("/nowhere").text


def test_an_error_page_stores_nothing_for_a_visitor(client):
    assert "Set-Cookie" not in client.get("/nowhere").headers


def test_what_a_failed_request_did_is_undone(app, session, sign_in):
    from backoffice.app.extensions import db
    from backoffice.people.models import User
    from tests.signing_in import someone

    user_id = someone(app, "finance", name="Before")
    kept = app.view_functions["people.preferences_post"]

    def view():
        db.session.get(User, user_id).name = "After"
        db.session.flush()
        raise PriceBelowCost(name="Queso")

    view.is_public = True
    app.view_functions["people.preferences_post"] = view
    try:
        sign_in("finance").post("/preferences")
    finally:
        app.view_functions["people.preferences_post"] = kept
    assert session.get(User, user_id).name == "Before"
