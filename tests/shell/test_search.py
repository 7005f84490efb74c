"""The search of the shell: which users find what, exact matches, time limits, and where Enter leads."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from flask_login import login_user
from sqlalchemy import event, func, select, text

from backoffice.app.domain import Domain
from backoffice.app.domains import DOMAINS
from backoffice.app.extensions import db
from backoffice.lists import List, finding
from backoffice.orders.listing import ORDERS
from backoffice.orders.models import Order
from backoffice.people.models import User
from backoffice.search import views as search
from backoffice.search.search_results import Findable, Question, SearchResult
from backoffice.wallets.actions import recharge
from tests.factories.billing import (
    InvoiceFactory,
    MeterAssignmentFactory,
    MeterFactory,
    PaymentFactory,
)
from tests.factories.customers import CustomerFactory
from tests.factories.orders import OrderFactory
from tests.factories.people import AccountManagerFactory, UserFactory
from tests.factories.products import ProductFactory
from tests.factories.wallets import WalletFactory
from tests.orders.pages import text_of

SignIn = Callable[..., FlaskClient]
HTMX = {"HX-Request": "true"}


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time limits for the busiest machine; tests of the limits set their own."""
    monkeypatch.setattr(search, "SUGGESTIONS", search.Pace(search.SUGGESTIONS.limit, 60.0, 300.0))
    monkeypatch.setattr(search, "WHOLE_PAGE", search.Pace(search.WHOLE_PAGE.limit, 60.0, 300.0))


@pytest.fixture
def nancy(session: Any) -> User:
    return AccountManagerFactory(name="Nancy Davolio", email="nancy@northwind.example")


@pytest.fixture
def book(session: Any, nancy: User) -> None:
    """One customer with a record of every kind, another with an order of Nancy's, and a product."""
    alfreds = CustomerFactory(code="ALFKI", name="Alfreds Futterkiste", city="Berlin")
    OrderFactory(number="SO-1", customer=alfreds)
    OrderFactory(number="SO-2", customer=alfreds)
    held = MeterAssignmentFactory(meter__number="M 7", customer=alfreds)
    InvoiceFactory(number="INV/7", customer=alfreds, meter=held.meter)
    PaymentFactory(reference="PAY-7", customer=alfreds, meter=held.meter)
    OrderFactory(number="SO-3", customer__name="Berglunds snabbköp", account_manager=nancy)
    ProductFactory(code="QC-1", name="Queso Cabrales")
    session.commit()


def suggested(browser: FlaskClient, wanted: str) -> list[str]:
    """The addresses suggested while typing."""
    answer = browser.get("/search", query_string={"q": wanted}, headers=HTMX)
    assert answer.status_code == 200, answer.text
    options = re.findall(r'<a role="option".*?href="([^"]+)"', answer.text, re.DOTALL)
    return [address for address in options if not address.startswith("/search")]


def page_of(browser: FlaskClient, wanted: str) -> str:
    """The page of results, between its heading and its end."""
    answer = browser.get("/search", query_string={"q": wanted})
    assert answer.status_code == 200
    main: str = answer.text.partition("<main")[2].partition("</main>")[0]
    return main


def go(browser: FlaskClient, wanted: str) -> tuple[int, str | None]:
    """Where Enter leads."""
    answer = browser.get("/search", query_string={"q": wanted, "go": "1"})
    return answer.status_code, answer.location


# Enter


@pytest.mark.parametrize(
    ("wanted", "address"),
    [
        ("SO-1", "/orders/SO-1"),
        (" so-1 ", "/orders/SO-1"),
        ("alfki", "/customers/ALFKI"),
        ("ALFREDS FUTTERKISTE", "/customers/ALFKI"),
        ("inv/7", "/billing/invoices/INV/7"),
        ("Pay-7", "/billing/payments/PAY-7"),
        ("m 7", "/billing/meters/M%207"),
        ("qc-1", "/products/QC-1"),
        ("queso", "/products/QC-1"),
        ("berglunds snabbköp", "/customers/C001"),
        ("ageing", "/billing/ageing"),
    ],
)
def test_enter_goes_straight_to_what_is_called_so_or_is_the_only_one(
    sign_in: SignIn, book: None, wanted: str, address: str
) -> None:
    status, location = go(sign_in("finance"), wanted)
    assert status == 303
    assert location is not None
    assert re.sub(r"C\d+", "C001", location) == address


def test_what_is_called_by_a_whole_number_is_found_by_its_digits(
    sign_in: SignIn, session: Any, book: None
) -> None:
    moved = recharge(session, WalletFactory().id, Decimal(500))
    session.commit()
    browser = sign_in("finance")
    assert any(address.endswith(f"/{moved.id}") for address in suggested(browser, str(moved.id)))
    for wanted in ("9" * 30, f"{moved.id}a", "٣"):
        assert suggested(browser, wanted) == []


@pytest.mark.parametrize("wanted", ["SO-", "alfreds", "7", "nothing like it"])
def test_enter_shows_what_was_found_where_it_is_not_one(
    sign_in: SignIn, book: None, wanted: str
) -> None:
    assert go(sign_in("finance"), wanted) == (200, None)


def test_of_two_with_one_number_neither_is_guessed(
    sign_in: SignIn, session: Any, book: None
) -> None:
    OrderFactory(number="PAY-7")
    session.commit()
    browser = sign_in("finance")
    assert go(browser, "PAY-7") == (200, None)
    assert {"/orders/PAY-7", "/billing/payments/PAY-7"} <= set(suggested(browser, "PAY-7"))


def test_letters_as_they_are_written_come_before_the_same_in_another_case(
    sign_in: SignIn, session: Any
) -> None:
    for number in ("ab-1", "AB-1", "aB-1"):
        OrderFactory(number=number)
    session.commit()
    browser = sign_in("finance")
    assert go(browser, "AB-1") == (303, "/orders/AB-1")
    assert go(browser, "Ab-1") == (200, None)
    assert len(suggested(browser, "Ab-1")) == 3


# What is found


def test_a_customers_name_finds_everything_of_theirs(sign_in: SignIn, book: None) -> None:
    found = suggested(sign_in("finance"), "futterk")
    assert found == [
        "/customers/ALFKI",
        "/orders/SO-2",
        "/orders/SO-1",
        "/billing/invoices/INV/7",
        "/billing/payments/PAY-7",
        "/billing/meters/M%207",
    ]


def test_each_line_tells_its_record_apart(sign_in: SignIn, book: None) -> None:
    reported = text_of(page_of(sign_in("finance"), "alfki"))
    assert "SO-1 Alfreds Futterkiste · 2 Mar 2026 · Rp 9,300,000.00 Open" in reported
    assert "INV/7 Alfreds Futterkiste · 1 Mar 2026 · Rp 1,500.00 Overdue" in reported
    assert "PAY-7 Alfreds Futterkiste · 15 Mar 2026 · Rp 500.00 Posted" in reported
    assert "Alfreds Futterkiste ALFKI · Berlin" in reported


def test_a_page_has_the_number_of_each_kind_and_the_way_to_its_list(
    sign_in: SignIn, session: Any, book: None
) -> None:
    for number in range(30):
        OrderFactory(number=f"XY-{number}")
    session.commit()
    browser = sign_in("finance")
    page = page_of(browser, "xy-")
    assert "Orders 30" in text_of(page)
    assert "Show all 30 in the list" in text_of(page)
    assert len(re.findall(r'href="/orders/XY-', page)) == 10
    assert len(suggested(browser, "xy-")) == 5
    assert 'href="/orders?q=xy-"' in page
    assert "30 orders" in text_of(browser.get("/orders?q=xy-").text)


def test_on_a_short_list_a_number_is_found_by_its_middle(sign_in: SignIn, session: Any) -> None:
    OrderFactory(number="NW-10248")
    session.commit()
    assert suggested(sign_in("finance"), "024") == ["/orders/NW-10248"]


def test_on_a_long_list_the_beginning_and_the_customer_find_and_the_page_says_where_to_look(
    sign_in: SignIn, book: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finding, "AFFORDABLE", -1.0)
    browser = sign_in("finance")
    assert suggested(browser, "so-1") == ["/orders/SO-1"]
    assert "/billing/invoices/INV/7" in suggested(browser, "alfki")
    assert suggested(browser, "O-1") == []
    page = page_of(browser, "O-1")
    assert "Nothing found" in text_of(page)
    assert "To look inside them:" in text_of(page)
    assert 'href="/orders?q=O-1"' in page
    assert "Show all in the list" in text_of(page_of(browser, "so-1"))


def test_a_receipt_is_found_by_the_customer_of_any_of_its_parts(
    sign_in: SignIn, book: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finding, "AFFORDABLE", -1.0)
    PaymentFactory(reference="PAY-7", part=2, customer__code="BOLID")
    db.session.commit()
    assert suggested(sign_in("finance"), "bolid") == [
        "/customers/BOLID",
        "/billing/payments/PAY-7",
    ]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ("50%", ["/orders/50%25-1"]),
        ("a_", ["/orders/a_1"]),
        ("/", []),
        ("\\", []),
        ("%", ["/orders/50%25-1"]),
        ("'; DROP", []),
    ],
)
@pytest.mark.parametrize("affordable", [-1.0, 1_000.0])
def test_what_means_something_in_a_pattern_means_itself(
    sign_in: SignIn,
    session: Any,
    monkeypatch: pytest.MonkeyPatch,
    wanted: str,
    found: list[str],
    affordable: float,
) -> None:
    monkeypatch.setattr(finding, "AFFORDABLE", affordable)
    for number in ("50%-1", "5012", "a_1", "ab1"):
        OrderFactory(number=number)
    session.commit()
    expected = [] if wanted == "%" and affordable < 0 else found
    assert suggested(sign_in("finance"), wanted) == expected


@pytest.mark.parametrize("wanted", ["x" * 5_000, "9" * 5_000, "\0", " ", "", "ﬁ" * 120, "ß", "İ-1"])
def test_any_input_is_answered(sign_in: SignIn, book: None, wanted: str) -> None:
    browser = sign_in("admin")
    assert browser.get("/search", query_string={"q": wanted}).status_code == 200
    assert isinstance(suggested(browser, wanted), list)


def test_an_empty_page_says_what_to_do(sign_in: SignIn, session: Any) -> None:
    assert "What are you looking for?" in text_of(sign_in("viewer").get("/search").text)
    reported = text_of(page_of(sign_in("viewer"), "zzzz"))
    assert "Nothing found" in reported
    assert "Check the spelling" in reported


def test_screens_are_found_in_either_language(sign_in: SignIn, book: None) -> None:
    browser = sign_in("finance", language="id")
    assert suggested(browser, "ageing") == ["/billing/ageing"]
    assert "/billing/meters" in suggested(sign_in("finance"), "meters")
    assert "/orders/new" in suggested(sign_in("finance"), "new or")


# Who finds what


@pytest.mark.parametrize("wanted", ["SO-1", "SO", "so-", "alfreds", "ALFKI", "O-1", "S", "1"])
@pytest.mark.parametrize("affordable", [-1.0, 1_000.0])
def test_an_account_manager_never_finds_a_strangers_order(
    sign_in: SignIn,
    book: None,
    nancy: User,
    monkeypatch: pytest.MonkeyPatch,
    wanted: str,
    affordable: float,
) -> None:
    monkeypatch.setattr(finding, "AFFORDABLE", affordable)
    browser = sign_in(nancy)
    reported = [*suggested(browser, wanted), page_of(browser, wanted), go(browser, wanted)[1] or ""]
    assert not re.search(r"/orders/SO-[12]|billing/", " ".join(reported))
    assert "Show all 3" not in " ".join(reported)


def test_an_account_manager_finds_their_own(sign_in: SignIn, book: None, nancy: User) -> None:
    browser = sign_in(nancy)
    assert "/orders/SO-3" in suggested(browser, "so-")
    assert go(browser, "so-3") == (303, "/orders/SO-3")
    assert "Orders 1" in text_of(page_of(browser, "so-"))


@pytest.mark.parametrize("wanted", ["INV/7", "PAY-7", "M 7", "ageing"])
def test_an_account_manager_finds_nothing_of_billing(
    sign_in: SignIn, book: None, nancy: User, wanted: str
) -> None:
    assert suggested(sign_in(nancy), wanted) == []
    assert go(sign_in(nancy), wanted) == (200, None)


def test_users_are_found_by_those_who_manage_them_and_managers_by_who_may_see_them(
    sign_in: SignIn, session: Any, nancy: User
) -> None:
    UserFactory(name="Zoe Viewer", role="viewer")
    margaret = AccountManagerFactory(name="Margaret Peacock")
    session.commit()
    own = f"/targets?manager={nancy.id}"
    assert suggested(sign_in("finance"), "davolio") == [own]
    assert suggested(sign_in("admin"), "davolio") == [own, f"/settings/users/{nancy.id}"]
    assert suggested(sign_in("finance"), "zoe") == []
    assert len(suggested(sign_in("admin"), "zoe")) == 1
    assert suggested(sign_in(nancy), "davolio") == [own]
    assert suggested(sign_in(margaret), "davolio") == []


ROLES_THAT_ASKED: list[str] = []


def note(question: Question) -> list[SearchResult]:
    ROLES_THAT_ASKED.append(question.user.role)
    return []


SECRET = Domain("secret", findable=(Findable("secret", "Secret", "audit.index", note, rank=5),))


@pytest.mark.parametrize("domains", [(*DOMAINS, SECRET)], ids=["secret"])
def test_only_kinds_whose_screen_the_person_may_open_are_asked(
    domains: Any, sign_in: SignIn, session: Any
) -> None:
    ROLES_THAT_ASKED.clear()
    for role in ("viewer", "account_manager", "finance"):
        suggested(sign_in(role), "x")
    assert ROLES_THAT_ASKED == ["finance"]


# How fast


@contextmanager
def statements() -> Iterator[list[tuple[str, Any]]]:
    """The statements sent to the database inside the block."""
    asked: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, values: Any, *_rest: Any) -> None:
        asked.append((statement, values))

    event.listen(db.engine, "before_cursor_execute", note)
    try:
        yield asked
    finally:
        event.remove(db.engine, "before_cursor_execute", note)


@pytest.mark.parametrize("headers", [{}, HTMX])
def test_the_number_of_statements_does_not_follow_the_number_of_rows(
    sign_in: SignIn, session: Any, headers: dict[str, str]
) -> None:
    browser = sign_in("admin")
    customer = CustomerFactory(code="Q", name="Q of many")
    counts = []
    for _round in range(3):
        for _ in range(20):
            order = OrderFactory(customer=customer)
            OrderFactory(number=f"Q-{order.id}")
            InvoiceFactory(customer=customer, meter=MeterFactory())
        session.commit()
        browser.get("/search?q=Q", headers=headers)
        with statements() as asked:
            assert browser.get("/search?q=Q", headers=headers).status_code == 200
        # How often the timeout is renewed depends on timing.
        counts.append(sum("set_config" not in statement for statement, _values in asked))
    assert len(set(counts)) == 1
    assert counts[0] <= 60


def plan_of(session: Any, way: finding.Way, wanted: str) -> tuple[int, str]:
    """How many rows a way finds, and PostgreSQL's plan with sequential scans and sorts off."""
    user = session.scalars(select(User)).first()
    user.role = "finance"
    session.execute(text("SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off"))
    with statements() as asked:
        found = len(way(Question(session, user, wanted, 5), ORDERS))
    [(statement, values)] = asked
    plan = session.connection().exec_driver_sql(f"EXPLAIN {statement}", values).scalars().all()
    return found, "\n".join(plan)


def test_the_beginning_of_a_number_is_looked_up_in_its_index(
    app: Flask, session: Any, book: None
) -> None:
    with app.test_request_context():
        found, plan = plan_of(session, finding.beginning(Order.number), "so-")
    assert found == 3
    assert plan.count("Index Cond: ((number >=") == 4  # so-, SO-, So-, sO-
    assert "Seq Scan" not in plan


def test_a_whole_number_is_looked_up_by_equality_which_an_index_answers_in_any_collation(
    app: Flask, session: Any, book: None
) -> None:
    with app.test_request_context():
        found, plan = plan_of(session, finding.called(Order.number), "so-1")
    assert found == 1
    assert "Index Cond: (number = ANY" in plan
    assert "Seq Scan" not in plan


def cancelled(question: Question) -> Iterator[SearchResult]:
    """A kind with a statement that PostgreSQL cancels at once, whatever its timeout."""
    connection = question.session.connection()
    connection.execute(text("SET LOCAL statement_timeout = 20"))
    connection.execute(text("SELECT pg_sleep(600)"))
    yield from ()


SLOW = Findable(
    "slow", "Orders", "orders.index", cancelled,
    rank=0, all_of=lambda text: f"/orders?q={text}",
)  # fmt: skip


@pytest.mark.parametrize("domains", [(*DOMAINS, Domain("slow", findable=(SLOW,)))], ids=["slow"])
def test_a_kind_that_takes_long_keeps_nobody_from_the_others(
    domains: Any, sign_in: SignIn, book: None
) -> None:
    browser = sign_in("finance")
    assert suggested(browser, "so-1") == ["/orders/SO-1"]
    page = page_of(browser, "so-1")
    assert "takes long" in text_of(page)
    assert 'href="/orders/SO-1"' in page
    assert go(browser, "so-1") == (303, "/orders/SO-1")
    assert go(browser, "queso") == (200, None)  # the slow kind may contain it too


def test_what_a_quick_way_found_stays_when_a_later_one_takes_long(
    sign_in: SignIn, book: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def too_long(question: Question, _listing: List) -> list[Any]:
        return list(cancelled(question))

    monkeypatch.setattr(finding, "_holding", too_long)
    browser = sign_in("finance")
    assert suggested(browser, "so-1") == ["/orders/SO-1"]
    assert go(browser, "so-1") == (303, "/orders/SO-1")
    page = page_of(browser, "so-1")
    assert 'href="/orders/SO-1"' in page
    assert "takes long" in text_of(page)
    assert "/orders/SO-1" in suggested(browser, "alfreds")
    assert go(browser, "so-") == (200, None)


def test_what_was_found_stays_when_it_takes_long_to_count_all(
    app: Any, sign_in: SignIn, book: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def too_long(question: Question) -> int:
        return len(list(cancelled(question)))

    orders = replace(app.declared.findable["orders"], count=too_long)
    monkeypatch.setitem(app.declared.findable, "orders", orders)
    page = page_of(sign_in("finance"), "so-")
    assert len(re.findall(r'href="/orders/SO-', page)) == 3
    assert "Show all in the list" in text_of(page)


@pytest.mark.parametrize("seconds", [0.001, 600.0])
def test_all_statements_of_a_kind_share_its_time(
    app: Any, sign_in: SignIn, book: None, monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    def endless(question: Question) -> Iterator[SearchResult]:
        yield SearchResult("SO-1", "/orders/SO-1")
        while True:
            question.session.execute(select(func.pg_sleep(seconds)))

    kind = Findable("endless", "Orders", "orders.index", endless, rank=0)
    monkeypatch.setattr(app.declared, "findable", {"endless": kind})
    monkeypatch.setattr(search, "SUGGESTIONS", search.Pace(5, 0.3, 60.0))
    monkeypatch.setattr(search, "WHOLE_PAGE", search.Pace(10, 60.0, 0.3))
    browser = sign_in("finance")
    assert suggested(browser, "so-1") == ["/orders/SO-1"]
    assert "takes long" in text_of(page_of(browser, "so-1"))


@pytest.mark.parametrize("left", [0.0, search.SHORTEST / 2])
def test_no_kind_is_asked_when_the_time_is_over(
    sign_in: SignIn, book: None, monkeypatch: pytest.MonkeyPatch, left: float
) -> None:
    monkeypatch.setattr(search, "SUGGESTIONS", search.Pace(5, 60.0, left))
    assert suggested(sign_in("finance"), "so-1") == []


def test_after_the_search_a_statement_may_take_as_long_as_any(
    app: Flask, session: Any, book: None
) -> None:
    with app.test_request_context("/search?q=so-1"):
        login_user(session.scalars(select(User)).first())
        before = session.scalar(text("SHOW statement_timeout"))
        assert list(search._groups("so-1", search.SUGGESTIONS))
        assert session.scalar(text("SHOW statement_timeout")) == before != "1min"


def test_to_give_the_time_back_may_itself_take_too_long(
    app: Flask, session: Any, book: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    with app.test_request_context("/search?q=so-1"):
        before = session.scalar(text("SHOW statement_timeout"))
        session.execute(text("SET LOCAL statement_timeout = 20"))
        monkeypatch.setattr(search, "text", lambda _reset: text("SELECT pg_sleep(600)"))
        search._give_back_the_time()
        assert session.scalar(text("SHOW statement_timeout")) == before != "20ms"
