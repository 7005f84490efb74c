"""Every route × role × method against the table of permissions. It covers every new screen automatically.

FAULTS.md, lines 47 (CSRF on every unsafe method, GET changes nothing) and 48 (the matrix).
"""

import contextvars

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from backoffice.app import edge
from backoffice.app.extensions import db
from backoffice.app.protection import csrf, limiter
from backoffice.base.actor import actor
from backoffice.people.models import User
from backoffice.security.permissions import PERMISSIONS, ROLES, allowed, requires
from tests.addresses import addresses, records_called_x
from tests.factories.orders import OrderFactory
from tests.signing_in import cookie_for, someone

from .views import PUBLIC, VIEWS, Access

pytestmark = pytest.mark.slow

UNSAFE = {"POST", "PUT", "PATCH", "DELETE"}


@pytest.fixture
def people(app, session):
    """One user of each role, and a record named x of every kind, so that every page exists."""
    records_called_x()
    session.commit()
    return {role: someone(app, role) for role in ROLES}


def signed_in(app, user_id):
    """A browser in which this user is signed in."""
    browser = app.test_client()
    browser.set_cookie(*cookie_for(app, user_id))
    return browser


def send(app, method, address, user_id=None, **headers):
    """Send an empty request as this user, in a separate browser."""
    browser = app.test_client() if user_id is None else signed_in(app, user_id)
    return browser.open(address, method=method, headers=headers)


def is_for_programs(view):
    """Whether the view is open to tokens alone; tests/records/test_api.py tests which."""
    return getattr(view, "is_for_programs", False)


def test_every_route_says_who_may(app):
    silent = [
        rule.endpoint
        for rule in app.url_map.iter_rules()
        if not hasattr(app.view_functions[rule.endpoint], "required_permission")
        and not getattr(app.view_functions[rule.endpoint], "is_public", False)
    ]
    assert silent == []


def test_every_view_is_open_to_those_of_the_table_and_to_no_others(app):
    """A view with another permission fails here by its name, as does a new one and a row whose view is gone."""
    table = {name: access for access, names in VIEWS.items() for name in names.split()}
    differing = {}
    served = {rule.endpoint for rule in app.url_map.iter_rules()}
    for endpoint in served:
        view = app.view_functions[endpoint]
        enforced = PUBLIC
        if not getattr(view, "is_public", False):
            scope = getattr(view, "token_scope", "")
            enforced = Access(view.required_permission, scope, is_for_programs(view))
        if table.get(endpoint) != enforced:
            differing[endpoint] = (table.get(endpoint), enforced)
    assert differing == {}
    assert table.keys() - served == set()


def test_every_cell_of_route_role_and_method_is_as_the_table_says(app, people, monkeypatch):
    monkeypatch.setattr(limiter, "enabled", False)
    wrong, browsers = [], {}
    for rule, method, address in addresses(app):
        view = app.view_functions[rule.endpoint]
        if getattr(view, "is_public", False):
            continue
        for role, user_id in people.items():
            may = view.required_permission in PERMISSIONS[role] and not is_for_programs(view)
            browser = browsers.pop(role, None) or signed_in(app, user_id)
            answer = browser.open(address, method=method)
            if "Set-Cookie" not in answer.headers:
                browsers[role] = browser  # the session is still valid
            status = answer.status_code
            if (status in (401, 403)) == may or status >= 500:
                wrong.append((method, address, role, "may" if may else "may not", status))
    assert wrong == []


def test_a_strangers_order_looks_like_none_at_all(app, session):
    owner, stranger = someone(app, "account_manager"), someone(app, "account_manager")
    OrderFactory(
        number="SO-9",
        account_manager=session.get(User, owner),
        lines=[("package", "Queso", "12", "14.00")],
    )
    session.commit()
    wrong, seen = [], 0
    known = {address for _, _, address in addresses(app, number="SO-404")}
    for rule, method, address in addresses(app, number="SO-9"):
        if "number" not in rule.arguments or not allowed_to_managers(app, rule):
            continue
        elsewhere = address.replace("SO-9", "SO-404")
        assert elsewhere in known
        theirs = send(app, method, address, stranger)
        nothing = send(app, method, elsewhere, stranger)
        own = send(app, method, address, owner)
        seen += 1
        if theirs.status_code != nothing.status_code or theirs.status_code in (200, 303):
            wrong.append((method, address, "stranger", theirs.status_code))
        if method == "GET" and own.status_code != 200 and "x" not in address.split("/"):
            wrong.append((method, address, "owner", own.status_code))
    assert wrong == []
    assert seen >= 5


def allowed_to_managers(app, rule):
    permission = getattr(app.view_functions[rule.endpoint], "required_permission", "")
    return permission in PERMISSIONS["account_manager"]


def test_nobody_in_particular_is_sent_to_the_sign_in_page(app, people):
    wrong = []
    for rule, method, address in addresses(app):
        view = app.view_functions[rule.endpoint]
        if getattr(view, "is_public", False):
            continue
        if is_for_programs(view):
            answers = [
                send(app, method, address, **headers)
                for headers in ({}, {"Accept": "text/html"}, {"HX_Request": "true"})
            ]
            if {(a.status_code, a.mimetype) for a in answers} != {
                (401, "application/problem+json")
            }:
                wrong.append((method, address, "for programs"))
            continue
        plain = send(app, method, address, Accept="text/html,*/*;q=0.8")
        htmx = send(app, method, address, HX_Request="true")
        program = send(app, method, address, Accept="application/json")
        bare = send(app, method, address)  # as curl and Prometheus send it
        expected = 401 if getattr(view, "token_scope", "") else 302
        if bare.status_code != expected:
            wrong.append((method, address, "bare", bare.status_code))
        if plain.status_code != 302 or not plain.location.startswith("/login"):
            wrong.append((method, address, plain.status_code))
        reported = htmx.headers.get("HX-Redirect" if method == "GET" else "HX-Trigger", "")
        if htmx.status_code != 401 or not reported.startswith(("/login", '{"sessionEnded"')):
            wrong.append((method, address, "htmx", htmx.status_code))
        if program.status_code != 401 or "error" not in program.json:
            wrong.append((method, address, "json", program.status_code))
    assert wrong == []


def test_nothing_that_changes_anything_is_accepted_without_its_csrf_token(app, people):
    app.config["WTF_CSRF_ENABLED"] = True
    before = everything_stored(app)
    accepted = []
    for rule, method, address in addresses(app):
        view = app.view_functions[rule.endpoint]
        if method not in UNSAFE or f"{view.__module__}.{view.__name__}" in csrf._exempt_views:
            continue
        answer = send(app, method, address, people["admin"])
        if is_for_programs(view) and answer.status_code == 401:
            continue  # no cookie opens it, so no browser can be made to call it
        if answer.status_code not in (303, 400) or (
            answer.status_code == 303 and rule.endpoint != "people.login_post"
        ):
            accepted.append((method, address, answer.status_code))
    assert accepted == []
    assert everything_stored(app) == before


def test_no_get_changes_anything(app, people):
    before = everything_stored(app)
    for _rule, method, address in addresses(app):
        if method == "GET":
            for who in (people["admin"], None):
                assert send(app, "GET", address, who).status_code < 500, address
    after = everything_stored(app)
    # A monitor's GET of the balance sheet's check is a verification, and records when it was.
    assert {**after, "figure_checks": before["figure_checks"]} == before


def test_postgresql_itself_refuses_a_get_that_writes(app, people):
    def write_during(method):
        with app.test_request_context("/", method=method):
            edge.begin()
            try:
                db.session.execute(text("UPDATE users SET name = 'changed' WHERE id = 1"))
                return "written"
            except DBAPIError as error:
                return type(error.orig).__name__
            finally:
                db.session.rollback()

    assert contextvars.Context().run(write_during, "GET") == "ReadOnlySqlTransaction"
    assert contextvars.Context().run(write_during, "POST") == "written"


def everything_stored(app):
    """A digest of every table that the app may read, except the sessions, which the tests themselves open."""
    with app.app_context():
        tables = db.session.scalars(
            text(
                "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace "
                "AND relkind = 'r' AND has_table_privilege(oid, 'SELECT') ORDER BY 1"
            )
        ).all()
        digest = "SELECT coalesce(md5(string_agg(t::text, '|' ORDER BY t::text)), '') FROM {} t"
        found = {
            table: db.session.scalar(text(digest.format(f'"{table}"')))
            for table in tables
            if table not in ("web_sessions", "figure_notes")
        }
        db.session.rollback()
        return found


def test_a_route_that_says_nothing_is_refused(app):
    view = lambda: "secret"  # noqa: E731
    app.view_functions["people.start"], kept = view, app.view_functions["people.start"]
    try:
        answer = app.test_client().get("/")
    finally:
        app.view_functions["people.start"] = kept
    assert answer.status_code == 500
    assert "secret" not in answer.text


def test_a_permission_that_nobody_has_cannot_be_required():
    with pytest.raises(ValueError, match=r"orders\.writ"):
        requires("orders.writ")


def test_a_disabled_user_may_nothing():
    gone = User(role="admin", is_active=False)
    assert allowed(gone, "users.manage") is False


def test_the_actor_is_the_signed_in_user_and_forgotten_afterwards(app, people):
    with app.test_request_context("/profile"):
        pass
    seen = []
    view = app.view_functions["people.profile"]

    def watched():
        seen.append(actor.get())
        return view()

    watched.required_permission = view.required_permission
    app.view_functions["people.profile"] = watched
    try:
        send(app, "GET", "/profile", people["viewer"])
    finally:
        app.view_functions["people.profile"] = view
    assert seen == [f"user:{people['viewer']}"]
    assert actor.get() == ""
