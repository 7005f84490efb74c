"""The sign-in page: who may sign in, what a refusal reveals, how many attempts are allowed. FAULTS.md, lines 34, 46,
49, 55.
"""

import re
import threading
import time

import pytest
from argon2 import PasswordHasher
from redis import Redis
from sqlalchemy import func, select

from backoffice import create_app
from backoffice.app.extensions import db
from backoffice.app.protection import limiter
from backoffice.people import actions, passwords
from backoffice.people.models import User, WebSession

PASSWORD = "seventeen brown hens"


@pytest.fixture
def ayu(session):
    """A finance person with a password."""
    user = actions.create_user(
        session, email="ayu@northwind.example", name="Ayu", role="finance", password=PASSWORD
    )
    session.commit()
    return user


def attempt(client, email="ayu@northwind.example", password=PASSWORD, next_=None, **options):
    query = {"next": next_} if next_ else {}
    return client.post(
        "/login", data={"email": email, "password": password}, query_string=query, **options
    )


def test_the_right_password_opens_the_office(client, ayu):
    answer = attempt(client)
    assert (answer.status_code, answer.location) == (303, "/")
    assert client.get("/profile").status_code == 200


def test_the_address_may_be_written_in_capitals_with_blanks_around(client, ayu):
    assert attempt(client, email="  AYU@Northwind.example ").status_code == 303


@pytest.mark.parametrize(
    ("email", "password"),
    [
        ("ayu@northwind.example", "wrong"),
        ("nobody@northwind.example", PASSWORD),
        ("ayu@northwind.example", PASSWORD + "\0"),
        ("ayu@northwind.example", "x" * 100_000),
        ("farah@northwind.example", ""),
        ("farah@northwind.example", "anything at all"),
    ],
    ids=["password", "address", "NUL", "endless", "no password given", "no password set"],
)
def test_a_refusal_tells_nothing(client, session, ayu, email, password):
    actions.create_user(session, email="farah@northwind.example", name="Farah", role="viewer")
    session.commit()
    answer = attempt(client, email=email, password=password)
    assert answer.status_code == 422
    assert password not in answer.text or password in ("", "wrong")
    assert client.get("/profile").status_code == 302


def test_a_disabled_user_gets_the_same_answer_as_a_wrong_password(client, session, ayu):
    wrong = attempt(client, password="wrong")
    actions.disable(session, ayu)
    session.commit()
    right = attempt(client)
    assert right.status_code == wrong.status_code == 422
    said = "E-mail or password is not right"
    assert said in right.text
    assert said in wrong.text


def test_an_unknown_address_takes_as_long_as_a_wrong_password(session, ayu):
    def seconds(email):
        start = time.process_time()  # of this process only: others may be running on the machine
        actions.authenticate(session, email, "wrong")
        return time.process_time() - start

    seconds("warm@up.example")
    known = sorted(seconds("ayu@northwind.example") for _ in range(7))[3]
    unknown = sorted(seconds("nobody@northwind.example") for _ in range(7))[3]
    assert 0.5 < known / unknown < 2


def test_passwords_are_argon2id_and_old_hashes_are_renewed_at_sign_in(client, session, ayu):
    assert ayu.password_hash.startswith("$argon2id$")
    ayu.password_hash = PasswordHasher(time_cost=1, memory_cost=8192, parallelism=1).hash(PASSWORD)
    session.commit()
    assert attempt(client).status_code == 303
    session.rollback()
    assert not passwords.is_outdated(ayu.password_hash)
    assert passwords.matches(ayu.password_hash, PASSWORD)


@pytest.mark.parametrize(
    "password", ["", "short", "x" * 201, "password123", "aaaaaaaaaaaa", "Ayu@Northwind.Example"]
)
def test_a_weak_password_cannot_be_set(session, ayu, password):
    with pytest.raises(passwords.Refusal):
        actions.set_password(session, ayu, password)


def test_an_old_sign_in_page_says_so_and_opens_again(app, client, ayu):
    app.config["WTF_CSRF_ENABLED"] = True
    answer = attempt(client, next_="/profile")
    assert (answer.status_code, answer.location) == (303, "/login?next=/profile")
    assert "open for too long" in client.get(answer.location).text


def test_the_csrf_token_changes_at_sign_in_and_the_new_one_works(app, client, ayu):
    app.config["WTF_CSRF_ENABLED"] = True

    def token(page):
        return re.search(r'name="csrf_token" value="([^"]+)"', page.text)[1]

    before = token(client.get("/login"))
    client.post(
        "/login",
        data={"email": ayu.email, "password": PASSWORD, "csrf_token": before},
    )
    after = token(client.get("/profile"))
    assert client.post("/profile", data={"csrf_token": before}).status_code == 400
    settings = {"language": "id", "number_format": "id", "csrf_token": after}
    assert client.post("/profile", data=settings).status_code == 303


# ---------- where the user is redirected afterwards ----------


@pytest.mark.parametrize("target", ["/profile", "/settings/users?q=a%20b&page=2"])
def test_one_is_sent_on_to_the_page_one_asked_for(client, ayu, target):
    assert attempt(client, next_=target).location == target


@pytest.mark.parametrize(
    "target",
    [
        "//evil.example",
        "///evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "https://evil.example/profile",
        "http:/profile",
        "https:profile",
        "javascript:alert(1)",
        "/\t/evil.example",
        "/profile\r\nSet-Cookie: a=b",
        " //evil.example",
        "evil.example",
        "/nowhere",
        "/logout",
        "/login?next=//evil.example",
        "http://localhost@evil.example/",
        "//evil.example/profile",
        "",
    ],
)
def test_one_is_never_sent_to_another_site(client, ayu, target):
    assert attempt(client, next_=target).location == "/"


def test_who_is_signed_in_already_is_sent_on(sign_in):
    assert sign_in("finance").get("/login?next=//evil.example").location == "/today"
    assert sign_in("finance").get("/login?next=/profile").location == "/profile"


def test_an_expired_session_comes_back_to_the_page_it_was_on(client):
    assert client.get("/settings/users?q=a").location == "/login?next=/settings/users?q%3Da"
    fragment = client.get(
        "/profile",
        headers={"HX-Request": "true", "HX-Current-URL": "http://localhost/profile?x=1"},
    )
    assert fragment.status_code == 401
    assert fragment.headers["HX-Redirect"] == "/login?next=/profile?x%3D1"
    lured = client.get(
        "/profile", headers={"HX-Request": "true", "HX-Current-URL": "https://evil.example/profile"}
    )
    assert lured.headers["HX-Redirect"] == "/login"


def test_a_save_after_the_session_ended_leaves_the_page_as_it_is(client):
    """The page prompts the user to sign in in another window; without JavaScript, sign-in leads back to the form."""
    refused = client.post("/profile", headers={"HX-Request": "true"})
    assert refused.status_code == 401
    assert refused.headers["HX-Trigger"] == '{"sessionEnded": {}}'
    assert "HX-Redirect" not in refused.headers
    of_a_button = client.post(
        "/orders/X-1/delete", headers={"Referer": "http://localhost/orders/X-1"}
    )
    assert of_a_button.location == "/login?next=/orders/X-1"
    elsewhere = client.post(
        "/orders/X-1/delete", headers={"Referer": "https://evil.example/orders"}
    )
    assert elsewhere.location == "/login"


def test_a_page_finds_out_who_is_signed_in_now(client, ayu):
    assert client.get("/session", headers={"Accept": "application/json"}).status_code == 401
    attempt(client)
    found = client.get("/session").json
    assert (found["user"], found["name"]) == (str(ayu.id), "Ayu")
    assert found["token"]


def test_a_token_of_another_session_is_told_apart_from_a_form_that_is_too_old(app, client, ayu):
    """The browser belongs to a user: their page fetches a token of the current session."""
    attempt(client)
    app.config["WTF_CSRF_ENABLED"] = True
    stale = {"csrf_token": "stale", "language": "en", "number_format": "en"}
    answer = client.post("/profile", data=stale, headers={"HX-Request": "true"})
    assert (answer.status_code, answer.headers["HX-Trigger"]) == (400, '{"sessionChanged": {}}')
    token = client.get("/session").json["token"]
    saved = client.post(
        "/profile", data=stale | {"csrf_token": token}, headers={"HX-Request": "true"}
    )
    assert saved.status_code == 204


# ---------- how many attempts are allowed ----------


def test_guessing_is_slowed_down_and_the_right_password_waits_too(client, ayu):
    statuses = [attempt(client, password=f"guess {n}").status_code for n in range(6)]
    assert statuses == [422] * 5 + [429]
    refused = attempt(client)
    assert refused.status_code == 429
    assert 0 < int(refused.headers["Retry-After"]) <= 3600
    assert "Wait" in refused.text


def test_right_passwords_are_not_counted_against_anybody(app, ayu):
    assert [attempt(app.test_client()).status_code for _ in range(8)] == [303] * 8


def test_one_persons_slips_do_not_lock_out_their_colleague_next_to_them(client, session, ayu):
    actions.create_user(
        session, email="budi@northwind.example", name="Budi", role="viewer", password=PASSWORD
    )
    session.commit()
    for _ in range(6):
        attempt(client, password="wrong")
    assert attempt(client, email="budi@northwind.example").status_code == 303


def from_address(number):
    """A sender's own address."""
    return {"environ_base": {"REMOTE_ADDR": f"192.0.2.{number}"}}


def storm(app, addresses):
    """A stranger guesses from all these addresses until even the right password is refused to a new browser."""
    for number in addresses:
        for n in range(5):
            attempt(app.test_client(), password=f"guess {n}", **from_address(number))
    assert attempt(app.test_client(), **from_address(250)).status_code == 429


def test_no_stranger_locks_the_owner_of_an_account_out(app, client, ayu):
    assert attempt(client, **from_address(1)).status_code == 303
    client.post("/logout")
    storm(app, range(2, 24))
    assert attempt(client, **from_address(1)).status_code == 303


def test_no_neighbour_behind_the_same_address_does_either(app, client, ayu):
    assert attempt(client).status_code == 303
    client.post("/logout")
    neighbour = app.test_client()
    guesses = [attempt(neighbour, password=f"guess {n}").status_code for n in range(40)]
    assert guesses[-1] == 429
    assert attempt(app.test_client()).status_code == 429, "a browser in which nobody has signed in"
    assert attempt(client).status_code == 303


def test_a_known_browser_has_few_attempts_too(app, client, ayu):
    attempt(client)
    client.post("/logout")
    guesses = [attempt(client, password=f"guess {n}").status_code for n in range(6)]
    assert guesses == [422] * 5 + [429]
    assert attempt(app.test_client()).status_code == 303, "which count in no other browser"


def test_a_known_browser_signs_in_thirty_times_a_minute_and_no_more(app, client, ayu):
    answers = []
    for _ in range(45):
        answers.append(attempt(client).status_code)
        client.post("/logout")
    assert answers[:30] == [303] * 30
    assert answers[31:] == [429] * 14, "right passwords are counted, too"
    assert attempt(app.test_client(), **from_address(9)).status_code == 303, "this browser alone"


def test_a_known_browser_is_known_for_its_own_users_alone(app, client, ayu, session):
    actions.create_user(
        session, email="budi@northwind.example", name="Budi", role="viewer", password=PASSWORD
    )
    session.commit()
    thief = app.test_client()
    assert attempt(thief, email="budi@northwind.example", **from_address(1)).status_code == 303
    thief.post("/logout")
    storm(app, range(2, 24))
    assert attempt(thief, **from_address(1)).status_code == 429
    number, mac = thief.get_cookie("backoffice_known", path="/login").value.split(".")
    for forged in (f"{number}.{'0' * 32}", number, f".{mac}", f"{number}.{mac}." * 40, "é.é", ""):
        thief.set_cookie("backoffice_known", forged, path="/login")
        assert attempt(thief, **from_address(1)).status_code == 429, forged


def test_a_browser_that_two_users_share_is_known_for_both(app, client, ayu, session):
    actions.create_user(
        session, email="budi@northwind.example", name="Budi", role="viewer", password=PASSWORD
    )
    session.commit()
    for email in ("ayu@northwind.example", "budi@northwind.example"):
        assert attempt(client, email=email, **from_address(1)).status_code == 303
        client.post("/logout")
    storm(app, range(2, 24))
    assert attempt(client, **from_address(1)).status_code == 303


def test_a_forged_forwarded_address_buys_no_further_attempts(client, ayu):
    statuses = [
        attempt(client, password="x", headers={"X-Forwarded-For": f"10.0.0.{n}"}).status_code
        for n in range(6)
    ]
    assert statuses[-1] == 429


def test_without_redis_one_can_still_sign_in_and_guessing_is_still_slowed_down(
    app, client, ayu, services
):
    redis = Redis.from_url(services.redis.url)
    redis.execute_command("CLIENT", "PAUSE", 4000, "ALL")  # frozen, the worst kind of failure
    try:
        start = time.monotonic()
        answer = attempt(client)
        waited = time.monotonic() - start
        assert answer.status_code == 303
        assert client.get("/profile").status_code == 200
        guesses = [attempt(app.test_client(), password="no").status_code for _ in range(6)]
        assert guesses[-1] == 429
        assert waited < 2
    finally:
        redis.execute_command("CLIENT", "UNPAUSE")
        redis.close()


def test_whoever_switches_the_limits_off_has_an_app_without_them(ayu, monkeypatch):
    monkeypatch.setattr(
        limiter, "enabled", limiter.enabled
    )  # the extension keeps the last app's setting
    monkeypatch.delattr(limiter, "_after")  # as in a process that has made no other app
    without = create_app({"TESTING": True, "WTF_CSRF_ENABLED": False, "RATELIMIT_ENABLED": False})
    guesses = [attempt(without.test_client(), password="no").status_code for _ in range(7)]
    assert guesses == [422] * 7
    assert attempt(without.test_client()).status_code == 303


class HeldUp:
    """Password checks that block after the comparison, before they return."""

    def __init__(self, monkeypatch):
        monkeypatch.setattr(limiter, "enabled", False)
        self.checked, self.go_on = threading.Semaphore(0), threading.Event()
        self.matches = passwords.matches
        monkeypatch.setattr(passwords, "matches", self.check)

    def check(self, *given):
        is_right = self.matches(*given)
        self.checked.release()
        assert self.go_on.wait(10)
        return is_right


def test_whoever_signs_in_while_the_password_is_changed_is_not_let_in_by_the_old_one(
    app, session, ayu, monkeypatch
):
    held, thief = HeldUp(monkeypatch), app.test_client()
    signing_in = threading.Thread(target=attempt, args=[thief])
    signing_in.start()
    assert held.checked.acquire(timeout=10)
    actions.set_password(session, ayu, "another fine one")
    session.commit()
    held.go_on.set()
    signing_in.join()
    assert thief.get("/profile").status_code == 302
    assert session.scalar(select(func.count()).select_from(WebSession)) == 0
    assert attempt(app.test_client(), password="another fine one").status_code == 303


def test_whoever_knew_the_old_password_does_not_take_the_new_one_back(
    app, session, ayu, sign_in, monkeypatch
):
    """A thief with a stolen session and the old password, and an administrator who sets another one concurrently."""
    thief, key, held = sign_in(ayu), ayu.id, HeldUp(monkeypatch)
    session.rollback()
    typed = {"present": PASSWORD, "password": "a thief's own one"}

    def rescue():
        with app.app_context():
            actions.set_password(db.session, db.session.get(User, key), "another fine one")
            db.session.commit()

    taking = threading.Thread(target=thief.post, args=["/profile/password"], kwargs={"data": typed})
    rescuing = threading.Thread(target=rescue)
    taking.start()
    assert held.checked.acquire(timeout=10)
    rescuing.start()
    rescuing.join(0.5)
    held.go_on.set()
    for one in (taking, rescuing):
        one.join()
    session.rollback()
    assert held.matches(session.get(User, key).password_hash, "another fine one")
    assert thief.get("/profile").status_code == 302


def test_two_who_renew_an_old_hash_at_once_are_both_let_in(app, session, ayu, monkeypatch):
    ayu.password_hash = PasswordHasher(time_cost=1, memory_cost=8192, parallelism=1).hash(PASSWORD)
    session.commit()
    held, browsers = HeldUp(monkeypatch), [app.test_client(), app.test_client()]
    both = [threading.Thread(target=attempt, args=[browser]) for browser in browsers]
    for one in both:
        one.start()
        assert held.checked.acquire(timeout=10)
    held.go_on.set()
    for one in both:
        one.join()
    assert [browser.get("/profile").status_code for browser in browsers] == [200, 200]
    session.rollback()
    assert not passwords.is_outdated(ayu.password_hash)
