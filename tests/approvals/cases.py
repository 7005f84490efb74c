"""A test case for every verb that needs approval: its records, an address, and the submitted form."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Any

from flask.testing import FlaskClient
from werkzeug.datastructures import MultiDict

from backoffice.base.periods import Month
from backoffice.customers.models import Customer
from backoffice.ledger.periods.actions import close
from backoffice.ledger.rules import RETAINED_EARNINGS
from tests.customers import merges
from tests.customers.desk import form
from tests.factories.billing import (
    InvoiceFactory,
    MeterAssignmentFactory,
    MeterFactory,
    PaymentFactory,
)
from tests.factories.customers import CustomerFactory
from tests.factories.gas import DepositFactory, GasPriceFactory, ReadingFactory
from tests.factories.ledger import AccountFactory, of, posted
from tests.factories.orders import OrderFactory
from tests.factories.people import AccountManagerFactory
from tests.orders.pages import _Reader
from tests.orders.test_bulk import previewed
from tests.pricing.shops import open_shop
from tests.pricing.test_views import shown

Asked = tuple[str, MultiDict[str, str]]


@dataclass(frozen=True)
class Case:
    """`make` creates the records; `ask` returns the address and the form. The SQL of `overtake` changes the outcome."""

    verb: str
    endpoint: str
    make: Callable[[Any], dict[str, Any]]
    ask: Callable[[FlaskClient, dict[str, Any]], Asked]
    overtake: str
    is_always_shown: bool = False


def a_book(session: Any) -> dict[str, Any]:
    """Ada owes 1,500 on M-A, of which P-A pays 400; she also has M-B, and 250 and 300 unallocated. Budi has M-C."""
    ada, budi = (CustomerFactory(code=c, name=n) for c, n in (("ADA", "Ada"), ("BUDI", "Budi")))
    meters = {n: MeterFactory(number=n) for n in ("M-A", "M-B", "M-C", "M-D", "M-E")}
    held = MeterAssignmentFactory(meter=meters["M-A"], customer=ada)
    MeterAssignmentFactory(meter=meters["M-C"], customer=budi)
    past = MeterAssignmentFactory(meter=meters["M-D"], customer=budi, is_active=False)
    invoice = InvoiceFactory(number="INV-A", customer=ada, meter=meters["M-A"])
    for meter in ("M-D", "M-E"):
        InvoiceFactory(number=f"INV-{meter}", customer=budi, meter=meters[meter])
    paid = PaymentFactory(
        reference="P-A", customer=ada, meter=meters["M-A"], invoice=invoice, amount=400
    )
    waiting = [
        PaymentFactory(reference=f"W-{n}", customer=ada, amount=amount)
        for n, amount in ((1, 250), (2, 300))
    ]
    session.commit()
    ids = {"held": held.id, "past": past.id, "paid": paid.id, "invoice": invoice.id}
    return ids | {"waiting": [payment.id for payment in waiting], "version": paid.version}


def _match_sure(_browser: FlaskClient, book: dict[str, Any]) -> Asked:
    ids = [("id", str(key)) for key in book["waiting"]]
    return "/billing/unmatched/match-sure", MultiDict([*ids, ("selected", "1")])


def _match_one(_browser: FlaskClient, book: dict[str, Any]) -> Asked:
    typed = {"payment": str(book["waiting"][0]), "version": "1", "choice": "sure"}
    return "/billing/unmatched/match", MultiDict(typed)


def _place_one(_browser: FlaskClient, book: dict[str, Any]) -> Asked:
    typed = {
        "payment": str(book["waiting"][0]),
        "version": "1",
        "choice": f"invoice:{book['invoice']}",
    }
    return "/billing/unmatched/match", MultiDict(typed)


def _take_off(_browser: FlaskClient, book: dict[str, Any]) -> Asked:
    typed = {"part": "1", "version": f"{book['paid']}:{book['version']}"}
    return "/billing/payments/P-A/take-off", MultiDict(typed)


def _move_payment(browser: FlaskClient, book: dict[str, Any]) -> Asked:
    address = "/billing/payments/P-A/move"
    return address, form(browser, address, **{f"to-{book['invoice']}": "150"})


def _reassign(browser: FlaskClient, book: dict[str, Any]) -> Asked:
    address = f"/billing/meters/M-A/assignments/{book['held']}/reassign"
    page = "/billing/meters/M-A/reassign"
    return address, form(browser, page, address, customer="BUDI", since="2026-04-01")


def _assign(browser: FlaskClient, book: dict[str, Any]) -> Asked:
    address = "/billing/meters/M-E/assign"
    typed = form(browser, address, customer="ADA", assigned_from="2026-04-01")
    typed["is_active"] = "y"
    return address, typed


def _end(browser: FlaskClient, book: dict[str, Any]) -> Asked:
    address = f"/billing/meters/M-A/assignments/{book['held']}/end"
    return address, form(browser, address, last="2026-04-30")


def _of_assignment(
    verb: str, which: str, meter: str, button: str = ""
) -> Callable[[FlaskClient, dict[str, Any]], Asked]:
    """The form of the button beside an assignment, posted to the address of `verb`, even if it is not offered."""

    def ask(browser: FlaskClient, book: dict[str, Any]) -> Asked:
        address = f"/billing/meters/{meter}/assignments/{book[which]}"
        typed = form(browser, f"/billing/meters/{meter}", f"{address}/{button or verb}")
        return f"{address}/{verb}", typed

    return ask


def _move_invoice(browser: FlaskClient, book: dict[str, Any]) -> Asked:
    address = "/billing/invoices/INV-A/move"
    return address, form(browser, address, meter="M-C")


def _orders(session: Any) -> dict[str, Any]:
    nancy, robert = AccountManagerFactory(name="Nancy"), AccountManagerFactory(name="Robert")
    made = [OrderFactory(number=f"A-{n}", account_manager=nancy) for n in (1, 2)]
    made.append(OrderFactory(number="A-3", account_manager=nancy, closing_date="2026-03-09"))
    session.commit()
    return {"ids": [order.id for order in made], "robert": robert.id}


def _bulk(browser: FlaskClient, book: dict[str, Any]) -> Asked:
    query = {"selected": 1, "id": book["ids"], "to_manager": book["robert"]}
    return "/orders/bulk", previewed(browser, **query)[1]


def _shop(session: Any) -> dict[str, Any]:
    return {"shop": open_shop(session)}


def _price(browser: FlaskClient, _book: dict[str, Any]) -> Asked:
    return "/pricing/apply", shown(browser)


def _twins(session: Any) -> dict[str, Any]:
    ids = merges.customer("AAA", 1, name="Ada"), merges.customer("BBB", 2, name="Ada Ltd")
    meter = MeterFactory(number="M-B")
    twin = session.get_one(Customer, ids[1])
    MeterAssignmentFactory(meter=meter, customer=twin)
    InvoiceFactory(customer=twin, meter=meter)
    session.commit()
    return {"pair": ids}


def _merge(browser: FlaskClient, _book: dict[str, Any]) -> Asked:
    page = "/customers/merge?survivor=AAA&duplicate=BBB"
    return "/customers/merge", form(browser, page, "/customers/merge")


def _gas(session: Any) -> dict[str, Any]:
    """Ada paid 1,000,000 in advance and has readings on five days, at a price from January on."""
    ada = CustomerFactory(code="ADA", name="Ada")
    price = GasPriceFactory(customer=ada)
    DepositFactory(customer=ada)
    for day in range(1, 6):
        ReadingFactory(customer=ada, read_on=date(2026, 2, day))
    session.commit()
    return {"price": price.id}


def _gas_price(address: str) -> Callable[[FlaskClient, dict[str, Any]], Asked]:
    def ask(browser: FlaskClient, book: dict[str, Any]) -> Asked:
        at = address.format(**book)
        reader = _Reader("gasprice-form")
        reader.feed(browser.get(at.replace("/new", "/new?customer=ADA")).text)
        reader.fields["effective_from"] = "2026-02-03" if at.endswith("new") else "2026-01-01"
        reader.fields["price_per_sm3"] = "12.50"
        return at, reader.fields

    return ask


def _delete_price(browser: FlaskClient, book: dict[str, Any]) -> Asked:
    address = f"/gas/prices/{book['price']}/delete"
    return address, form(browser, address)


def _switch(_browser: FlaskClient, _book: dict[str, Any]) -> Asked:
    return "/gas/customers/ADA/realtime/off", MultiDict()


def _year(session: Any) -> dict[str, Any]:
    """700 was earned in December 2025, the first month of the journal."""
    cash = AccountFactory(code="Cash", type="asset")
    sales = AccountFactory(code="Sales", type="revenue")
    AccountFactory(code="Kept", type="equity", role=RETAINED_EARNINGS)
    posted(of(cash, 700), of(sales, -700), day=date(2025, 12, 7))
    session.commit()
    return {}


def _closed_year(session: Any) -> dict[str, Any]:
    book = _year(session)
    close(session, Month(2025, 12), "user:1")
    session.commit()
    return book


def _of_december(verb: str, **typed: str) -> Callable[[FlaskClient, dict[str, Any]], Asked]:
    return lambda _browser, _book: (f"/ledger/periods/2025-12/{verb}", MultiDict(typed))


_READ_ANEW = "UPDATE readings SET metered_volume = metered_volume + 1"

_TOUCHED = "UPDATE {table} SET version = version + 1 WHERE {where}"

CASES = [
    Case(
        "billing.match-sure", "billing.match_sure", a_book, _match_sure,
        "UPDATE payments SET amount = amount + 1 WHERE reference = 'W-1'", is_always_shown=True,
    ),
    Case(
        "billing.match-one", "billing.match_payment", a_book, _match_one,
        "UPDATE payments SET amount = amount + 1 WHERE reference = 'W-1'",
    ),
    Case(
        "billing.place-payment", "billing.match_payment", a_book, _place_one,
        _TOUCHED.format(table="payments", where="reference = 'W-1'"),
    ),
    Case(
        "billing.take-off", "payments.take_off", a_book, _take_off,
        _TOUCHED.format(table="payments", where="reference = 'P-A'"), is_always_shown=True,
    ),
    Case(
        "billing.place-payment", "payments.move_post", a_book, _move_payment,
        _TOUCHED.format(table="payments", where="reference = 'P-A'"),
    ),
    Case(
        "billing.move-invoice", "invoices.move_post", a_book, _move_invoice,
        _TOUCHED.format(table="invoices", where="number = 'INV-A'"),
    ),
    Case(
        "billing.assign", "meters.assign_post", a_book, _assign,
        _TOUCHED.format(table="meters", where="number = 'M-E'"),
    ),
    Case(
        "billing.reassign", "meters.reassign_post", a_book, _reassign,
        _TOUCHED.format(table="meter_assignments", where="is_active"), is_always_shown=True,
    ),
    Case(
        "billing.end-assignment", "meters.end_assignment_post", a_book, _end,
        _TOUCHED.format(table="meter_assignments", where="is_active"),
    ),
    Case(
        "billing.activate-assignment", "meters.change_assignment", a_book,
        _of_assignment("activate", "past", "M-D"),
        _TOUCHED.format(table="meter_assignments", where="NOT is_active"),
    ),
    Case(
        "billing.deactivate-assignment", "meters.change_assignment", a_book,
        _of_assignment("deactivate", "held", "M-A"),
        _TOUCHED.format(table="meter_assignments", where="is_active"),
    ),
    Case(
        "billing.remove-assignment", "meters.change_assignment", a_book,
        _of_assignment("remove", "held", "M-A", "deactivate"),
        _TOUCHED.format(table="meter_assignments", where="is_active"),
    ),
    Case(
        "orders.bulk-edit", "orders.bulk_apply", _orders, _bulk,
        _TOUCHED.format(table="orders", where="number = 'A-1'"),
    ),
    Case(
        "pricing.apply", "pricing.apply", _shop, _price,
        _TOUCHED.format(table="orders", where="number = 'SO-1'"),
    ),
    Case(
        "customers.merge", "customers.merge_post", _twins, _merge,
        "UPDATE customers SET name = name || '!' WHERE code = 'BBB'",
    ),
    Case("gas_prices.save", "gas_prices.create", _gas, _gas_price("/gas/prices/new"), _READ_ANEW),
    Case(
        "gas_prices.save", "gas_prices.update", _gas, _gas_price("/gas/prices/{price}/edit"), _READ_ANEW
    ),
    Case("gas_prices.delete", "gas_prices.delete_post", _gas, _delete_price, _READ_ANEW),
    Case("gas.switch", "gas.realtime", _gas, _switch, _READ_ANEW),
    Case(
        "ledger.close-period", "ledger.close_period", _year, _of_december("close"),
        "UPDATE accounts SET role = '' WHERE code = 'Kept'",
    ),
    Case(
        "ledger.reopen-period", "ledger.reopen_period", _closed_year,
        _of_december("reopen", reason="A late bill"),
        "UPDATE periods SET status = 'open', closing_entry_id = NULL",
    ),
]  # fmt: skip
