"""What each kind of file does: create, update, replace, leave alone, refuse."""

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, select
from sqlalchemy.orm import Session

from backoffice.app.extensions import db
from backoffice.customers.models import Customer
from backoffice.orders.models import Order
from backoffice.orders.rules import MOST_LINES
from backoffice.people.models import User
from tests.factories.customers import CustomerFactory
from tests.factories.orders import OrderFactory
from tests.factories.people import AccountManagerFactory, UserFactory
from tests.factories.products import ProductFactory

Write = Callable[..., Path]
Problems = Callable[..., list[tuple[int, str, str]]]
Import = Callable[..., dict[str, Any]]

ORDERS = "number,customer_code,account_manager_email,order_date,closing_date"
LINES = "order_number,kind,description,quantity,unit_price"


def order(session: Session, number: str = "SO-1") -> Order:
    """The order as committed."""
    session.rollback()
    return session.scalars(select(Order).where(Order.number == number)).one()


def lines(session: Session, number: str = "SO-1") -> list[tuple[str, str, Decimal]]:
    """Kind, description and amount of the order's lines, in order."""
    found = order(session, number).lines
    return [(line.kind, line.description, line.amount) for line in found]


# Customers


def test_a_customer_is_updated_by_code(write: Write, import_: Import, session: Session) -> None:
    CustomerFactory(code="A", name="Old", city="Jakarta", phone="1")
    session.commit()
    report = import_("customers", write("c.csv", "code,name,phone", "A,New,", "B,b,2"))
    assert (report["created"], report["updated"], report["unchanged"]) == (1, 1, 0)
    session.rollback()
    customer = session.scalars(select(Customer).where(Customer.code == "A")).one()
    assert (customer.name, customer.phone, customer.city) == ("New", "", "Jakarta")


def test_a_code_stands_once_in_a_file(write: Write, problems: Problems) -> None:
    file = write("c.csv", "code,name", "A,a", "B,b", "A,c", "A,d")
    assert problems("customers", file) == [
        (4, "code", "This code stands in line 2 already."),
        (5, "code", "This code stands in line 2 already."),
    ]


@pytest.mark.parametrize("code", ["..", "a/..", "/a", "a//b", "a/", "Options", "x" * 41])
def test_a_code_that_cannot_be_an_address_is_refused(
    code: str, write: Write, problems: Problems
) -> None:
    found = problems("customers", write("c.csv", "code,name", f"{code},a"))
    assert [(line, column) for line, column, _ in found] == [(2, "code")]


@pytest.mark.parametrize("code", ["ALFKI", "PT/001", "C 1", "日本", "...", "a.b-c_d"])
def test_codes_may_be_what_companies_call_their_customers(
    code: str, write: Write, import_: Import
) -> None:
    assert import_("customers", write("c.csv", "code,name", f"{code},a"))["created"] == 1


# Account managers


def test_an_address_is_stored_in_lower_case(
    write: Write, import_: Import, session: Session
) -> None:
    file = write("m.csv", "email,name", "Nancy@Northwind.Example,Nancy")
    assert import_("account-managers", file)["created"] == 1
    assert session.scalars(select(User.email)).one() == "nancy@northwind.example"
    assert import_("account-managers", file)["unchanged"] == 1


def test_who_has_another_role_keeps_it(write: Write, import_: Import, session: Session) -> None:
    user = UserFactory(email="a@x.example", name="Old", role="admin", password_hash="$secret")
    session.commit()
    report = import_("account-managers", write("m.csv", "email,name", "a@x.example,New"))
    assert report["updated"] == 1
    session.refresh(user)
    assert (user.name, user.role, user.password_hash) == ("New", "admin", "$secret")


def test_one_address_in_two_cases_is_one_address(write: Write, problems: Problems) -> None:
    file = write("m.csv", "email,name", "a@x.example,a", "A@X.example,b")
    assert problems("account-managers", file) == [
        (3, "email", "This address stands in line 2 already.")
    ]


# Orders


def test_an_order_names_a_customer_and_a_manager_who_are_there(
    write: Write, problems: Problems, session: Session
) -> None:
    CustomerFactory(code="A")
    AccountManagerFactory(email="m@x.example")
    session.commit()
    file = write(
        "o.csv", ORDERS, "SO-1,B,m@x.example,2026-03-01,", "SO-2,A,n@x.example,2026-03-01,"
    )
    assert problems("orders", file) == [
        (2, "customer_code", "There is no customer B. Import the customers first."),
        (
            3,
            "account_manager_email",
            "There is no account manager n@x.example. Import the account managers first.",
        ),
    ]


def test_an_order_is_not_closed_before_it_is_placed(
    write: Write, problems: Problems, session: Session
) -> None:
    CustomerFactory(code="A")
    AccountManagerFactory(email="m@x.example")
    session.commit()
    file = write("o.csv", ORDERS, "SO-1,A,m@x.example,2026-03-01,2026-02-28")
    assert problems("orders", file) == [
        (2, "closing_date", "The closing date is before the order date.")
    ]


def test_a_negative_grand_total_is_refused_by_line_and_undoes_everything(
    write: Write, problems: Problems, session: Session
) -> None:
    stored = OrderFactory(number="SO-1", lines=[("package", "x", "1", "5")], promo=0, reductions=0)
    start = f"{stored.customer.code},{stored.account_manager.email},2026-03-02,"
    session.commit()
    file = write("o.csv", f"{ORDERS},promo", f"SO-1,{start},500005.01", f"SO-2,{start},0")
    ((line, column, sentence),) = problems("orders", file)
    assert (line, column) == (2, "number")
    assert sentence.startswith("The grand total of order SO-1 would be -0.01")
    assert order(session).promo == 0


@pytest.mark.parametrize("number", ["no digit", "../1", "a?1", "1/", "x" * 40 + "1", "<b>1"])
def test_a_number_that_cannot_be_an_address_is_refused(
    number: str, write: Write, problems: Problems
) -> None:
    file = write("o.csv", ORDERS, f"{number},A,m@x.example,2026-03-01,")
    line, column, _ = problems("orders", file)[0]
    assert (line, column) == (2, "number")


def test_entered_amounts_are_optional_columns(
    write: Write, import_: Import, session: Session
) -> None:
    CustomerFactory(code="A")
    AccountManagerFactory(email="m@x.example")
    session.commit()
    header = f"{ORDERS},total_price,additions,promo,reductions"
    line = "SO-1,A,m@x.example,2026-03-01,,50000000,2000000.00,5000000,"
    file = write("o.csv", header, line)
    assert import_("orders", file)["created"] == 1
    assert order(session).grand_total == 47_000_000
    file = write("o.csv", f"{ORDERS},reductions", "SO-1,A,m@x.example,2026-03-01,,1000000")
    assert import_("orders", file)["updated"] == 1
    assert order(session).grand_total == 46_000_000


def test_an_empty_amount_leaves_what_is_there(
    write: Write, import_: Import, session: Session
) -> None:
    stored = OrderFactory(number="SO-1", promo=Decimal(7))
    code, email = stored.customer.code, stored.account_manager.email
    session.commit()
    file = write("o.csv", f"{ORDERS},promo", f"SO-1,{code},{email},2026-03-02,,")
    assert import_("orders", file)["unchanged"] == 1
    assert order(session).promo == 7


def test_a_file_may_repeat_what_lines_come_to_but_not_change_it(
    write: Write, import_: Import, problems: Problems, session: Session
) -> None:
    stored = OrderFactory(number="SO-1", lines=[("package", "x", "2", "5")], promo=0, reductions=0)
    start = f"SO-1,{stored.customer.code},{stored.account_manager.email},2026-03-02,"
    session.commit()
    same = write("same.csv", f"{ORDERS},total_price", f"{start},10.00")
    assert import_("orders", same)["unchanged"] == 1
    other = write("other.csv", f"{ORDERS},total_price", f"{start},11")
    assert problems("orders", other) == [
        (
            2,
            "total_price",
            "The lines of this order decide this amount; they come to 10.00. Leave it empty.",
        )
    ]


def test_a_changed_order_counts_its_version(
    write: Write, import_: Import, session: Session
) -> None:
    stored = OrderFactory(number="SO-1")
    code, email = stored.customer.code, stored.account_manager.email
    session.commit()
    file = write("o.csv", ORDERS, f"SO-1,{code},{email},2026-03-02,2026-03-31")
    assert import_("orders", file)["updated"] == 1
    assert order(session).version == 2
    assert import_("orders", file)["unchanged"] == 1
    assert order(session).version == 2


@pytest.mark.parametrize("who", [{"is_active": False}, {"role": "admin"}])
def test_an_order_is_given_to_an_active_account_manager_only(
    who: dict[str, Any], write: Write, import_: Import, problems: Problems, session: Session
) -> None:
    """An order keeps its account manager."""
    former = AccountManagerFactory(email="former@x.example")
    stored = OrderFactory(number="SO-1", account_manager=former)
    OrderFactory(number="SO-2", customer=stored.customer)
    for name, value in who.items():
        setattr(former, name, value)
    session.commit()
    rest = f"{stored.customer.code},former@x.example,2026-03-01,"
    file = write("o.csv", ORDERS, *(f"SO-{n},{rest}" for n in (1, 2, 3)))
    sentence = (
        "Orders are given to active account managers, and former@x.example is none. "
        "Name another one."
    )
    column = "account_manager_email"
    assert problems("orders", file) == [(3, column, sentence), (4, column, sentence)]
    closed = write("c.csv", ORDERS, f"SO-2,{rest}2026-03-02")
    if "role" in who:
        assert problems("orders", closed) == [(2, column, sentence)]
    else:
        assert import_("orders", closed)["updated"] == 1, (
            "an order of the past, of who was there then"
        )
    assert import_("orders", write("o.csv", ORDERS, f"SO-1,{rest}"))["updated"] == 1


# Order lines


def test_lines_make_their_kinds_itemised_and_the_others_stay_entered(
    write: Write, import_: Import, session: Session
) -> None:
    OrderFactory(number="SO-1", promo=Decimal(3), reductions=0, additions=0)
    session.commit()
    file = write("l.csv", LINES, "SO-1,package,Queso,12,14.00", "SO-1,package,Mie,0.5,9.99")
    assert import_("order-lines", file)["created"] == 2
    stored = order(session)
    assert stored.itemised == ["package"]
    assert (stored.total_price, stored.promo) == (Decimal("173.00"), 3)
    assert stored.grand_total == 170
    assert stored.version == 2


def test_lines_of_other_kinds_are_left_alone(
    write: Write, import_: Import, session: Session
) -> None:
    stored = [("package", "old", "1", "100"), ("addition", "keep", "1", "5")]
    OrderFactory(number="SO-1", lines=stored, promo=0, reductions=0)
    session.commit()
    file = write("l.csv", LINES, "SO-1,package,new,1,200", "SO-1,package,newer,1,300")
    report = import_("order-lines", file)
    assert (report["created"], report["updated"], report["removed"]) == (1, 1, 0)
    assert sorted(lines(session)) == [
        ("addition", "keep", 5),
        ("package", "new", 200),
        ("package", "newer", 300),
    ]


def test_a_shorter_file_removes_what_it_no_longer_has(
    write: Write, import_: Import, session: Session
) -> None:
    OrderFactory(number="SO-1", promo=0, reductions=0)
    session.commit()
    head = [f"SO-1,addition,first {n},1,{n}" for n in range(3)]
    import_(
        "order-lines", write("l.csv", LINES, *head, *(f"SO-1,package,P{n},1,1" for n in range(4)))
    )
    file = write("l.csv", LINES, "SO-1,package,P0,1,1", "SO-1,package,P1,1,1")
    report = import_("order-lines", file)
    assert (report["created"], report["updated"], report["removed"]) == (0, 2, 2)
    assert [d for kind, d, _ in lines(session) if kind == "package"] == ["P0", "P1"]
    assert import_("order-lines", file)["unchanged"] == 2


def test_a_corrected_line_is_changed_and_not_replaced(
    write: Write, import_: Import, session: Session
) -> None:
    stored = [("package", "x", "1", "1"), ("package", "y", "1", "1")]
    OrderFactory(number="SO-1", lines=stored, promo=0, reductions=0)
    session.commit()
    before = [line.id for line in order(session).lines]
    file = write("l.csv", LINES, "SO-1,package,x,1,1", "SO-1,package,y,1,2")
    assert import_("order-lines", file)["updated"] == 1
    assert [line.id for line in order(session).lines] == before


def test_lines_of_one_order_may_be_separate_in_the_file(
    write: Write, import_: Import, session: Session
) -> None:
    OrderFactory(number="SO-1", promo=0, reductions=0)
    OrderFactory(number="SO-2", promo=0, reductions=0)
    session.commit()
    file = write("l.csv", LINES, "SO-1,package,a,1,1", "SO-2,package,b,1,1", "SO-1,package,c,1,1")
    assert import_("order-lines", file)["created"] == 3
    assert [d for _, d, _ in lines(session)] == ["a", "c"]


def test_bad_lines_of_orders_are_named(write: Write, problems: Problems, session: Session) -> None:
    OrderFactory(number="SO-1")
    session.commit()
    file = write(
        "l.csv",
        LINES,
        "SO-1,package,a,1,1",
        "SO-9,package,b,1,1",
        "SO-1,discount,c,1,1",
        'SO-1,package,d,"1,5",1',
        "SO-1,package,e,1.2345,-1",
        "SO-1,package,f,1e3,NaN",
    )
    assert problems("order-lines", file) == [
        (3, "order_number", "There is no order SO-9. Import the orders first."),
        (4, "kind", "Enter one of these: package, addition, promo, reduction."),
        (5, "quantity", "Write the number as 1000.50."),
        (6, "quantity", "At most 3 decimals are allowed here."),
        (6, "unit_price", "This is too small: at least 0."),
        (7, "quantity", "Write the number out: exponents are not read."),
        (7, "unit_price", "This is not a number. Write it as 1000.50."),
    ]
    assert lines(session) == []


def test_a_line_newly_gets_a_product_only_that_is_sold(
    write: Write, import_: Import, problems: Problems, session: Session
) -> None:
    """A line that has it keeps it, at its place."""
    OrderFactory(number="SO-1", promo=0, reductions=0)
    product = ProductFactory(code="P-1")
    ProductFactory(code="P-2")
    session.commit()
    header, line = f"{LINES},product_code", "SO-1,package,x,1,1"
    same = write("l.csv", header, f"{line},P-1", f"{line},P-2")
    assert import_("order-lines", same)["created"] == 2
    product.is_active = False
    session.commit()
    assert import_("order-lines", same)["unchanged"] == 2
    newly = write("n.csv", header, f"{line},P-2", f"{line},P-1", "SO-1,addition,x,1,1,P-1")
    sentence = "P-1 is not sold any more. Choose another product, or leave this empty."
    assert problems("order-lines", newly) == [
        (3, "product_code", sentence),
        (4, "product_code", sentence),
    ]
    OrderFactory(
        number="SO-2",
        order_date=date(2026, 3, 1),
        closing_date=date(2026, 3, 2),
        promo=0,
        reductions=0,
    )
    session.commit()
    closed = write("c.csv", header, "SO-2,package,x,1,1,P-1")
    assert import_("order-lines", closed)["created"] == 1, "what was sold then"


def test_an_order_has_at_most_5000_lines(
    write: Write, problems: Problems, import_: Import, session: Session
) -> None:
    OrderFactory(number="SO-1", reductions=0, promo=0)
    session.commit()
    many = [f"SO-1,package,{n},1,1" for n in range(MOST_LINES + 1)]
    assert import_("order-lines", write("l.csv", LINES, *many[:-1]))["created"] == MOST_LINES
    ((line, column, _),) = problems("order-lines", write("l.csv", LINES, *many))
    assert (line, column) == (MOST_LINES + 2, "order_number")
    more = [f"SO-1,promo,{n},1,0" for n in range(2)]
    ((line, column, _),) = problems("order-lines", write("l.csv", LINES, *more))
    assert (line, column) == (2, "order_number")
    both = write("l.csv", LINES, *many[:-3], *more)
    assert import_("order-lines", both)["created"] == 2
    ((line, _, _),) = problems("order-lines", write("l.csv", LINES, *(more * 2)))
    assert line == 4


# All kinds


def statements(write: Write, import_: Import, count: int) -> int:
    """How many statements an import of `count` lines takes."""
    seen: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        seen.append(statement)

    event.listen(db.engine, "before_cursor_execute", note)
    try:
        rows = (f"SO-{n % 2},package,line {n},{n + 1},1.5" for n in range(count))
        import_("order-lines", write("l.csv", LINES, *rows))
    finally:
        event.remove(db.engine, "before_cursor_execute", note)
    return len(seen)


def test_the_number_of_statements_does_not_grow_with_the_lines(
    write: Write, import_: Import, session: Session
) -> None:
    for number in ("SO-0", "SO-1"):
        OrderFactory(number=number, promo=0, reductions=0)
    session.commit()
    few = statements(write, import_, 10)
    assert statements(write, import_, 400) == few
