"""The demo company in every currency: it loads, is right, and has recent and plausible data."""

import csv
from collections import defaultdict
from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from statistics import mean
from typing import Any

import psycopg
import pytest
from flask import Flask
from sqlalchemy import func, select

from backoffice import figures
from backoffice.app import create_background_app
from backoffice.app.extensions import db
from backoffice.base import money, periods
from backoffice.base.currencies import CURRENCIES, MINOR_UNITS
from backoffice.billing.models import Invoice, Payment
from backoffice.commands.upgrade import upgrade
from backoffice.database.embedded import ADMIN, APP, OWNER, Services
from backoffice.demo import billing, fitting, loading
from backoffice.orders.models import Order, OrderLine
from backoffice.products.models import ProductPrice
from backoffice.targets.models import AccountManagerTarget
from tests.depth import DEPTH
from tests.processes import together

SIGN = {"package": 1, "addition": 1, "promo": -1, "reduction": -1}

pytestmark = [pytest.mark.timeout(600), pytest.mark.slow]


@pytest.fixture
def in_currency() -> Iterator[Any]:
    """Sets the currency of this process, and restores the previous one afterwards."""
    before = money.currency()
    yield money.set_currency
    money.set_currency(before)


def test_every_currency_has_a_fit() -> None:
    assert set(fitting.FITS) == set(CURRENCIES)


@pytest.mark.parametrize("code", sorted(CURRENCIES))
def test_prices_are_as_the_currency_writes_them(code: str, in_currency: Any) -> None:
    in_currency(code)
    fit = fitting.FITS[code]
    smallest = Decimal(1).scaleb(-money.minor_unit())
    prices = [Decimal(str(line["unit_price"])) for line in fitting.fitted("products.csv").lines]
    assert all(price > 0 and price % fit.step == 0 for price in prices)
    assert fit.step % smallest == 0
    assert max(prices) / min(prices) > 100, "cheap is still cheap, and dear is dear"
    for line in fitting.fitted("order_lines.csv").lines:
        amount = Decimal(str(line["unit_price"]))
        assert amount % smallest == 0
        assert amount > 0
    assert fit.price(Decimal("0.0001")) == fit.step, "nothing is free by rounding"


@pytest.mark.parametrize("code", sorted(CURRENCIES))
def test_amounts_look_like_those_of_such_a_business(code: str, in_currency: Any) -> None:
    in_currency(code)
    fit, orders = fitting.FITS[code], defaultdict[str, Decimal](Decimal)
    for line in fitting.fitted("order_lines.csv").lines:
        amount = Decimal(str(line["quantity"])) * Decimal(str(line["unit_price"]))
        orders[str(line["order_number"])] += SIGN[str(line["kind"])] * amount
    prices = [Decimal(str(line["unit_price"])) for line in fitting.fitted("products.csv").lines]
    _looks_like_a_business(code, {"order": mean(orders.values()), "price": mean(prices)})
    assert len(orders) == 830
    for dollars in billing.RATES:
        rate = fit.rate(Decimal(dollars)) / fit.worth / Decimal(dollars)
        assert Decimal("0.9") < rate < Decimal("1.1"), (
            "a kWh costs what it costs in dollars, roughly"
        )


BUSINESS = {"order": (500, 3000), "invoice": (100, 400), "price": (15, 60)}
"""Bounds of the average amounts, in dollars."""


def _looks_like_a_business(code: str, seen: dict[str, Any]) -> None:
    for what in BUSINESS.keys() & seen.keys():
        low, high = (fitting.FITS[code].worth * amount for amount in BUSINESS[what])
        assert low < seen[what] < high, f"{what}: {seen[what]} {code} looks odd"


def _written_alike() -> list[str]:
    """The least and the most valuable of all currencies with the same format; all of them with TEST_DEPTH above 1.

    The minor unit decides how amounts are rounded, and whether prices are in whole units how rates are; no
    other step of the loading depends on the currency.
    """
    if DEPTH > 1:
        return sorted(CURRENCIES)
    alike: dict[tuple[int, bool], list[str]] = {}
    for code in sorted(CURRENCIES, key=lambda code: fitting.FITS[code].worth):
        way = MINOR_UNITS[code], fitting.FITS[code].step >= 1
        alike.setdefault(way, []).append(code)
    return sorted({code for codes in alike.values() for code in (codes[0], codes[-1])})


def test_every_way_of_writing_amounts_is_loaded() -> None:
    assert len({MINOR_UNITS[code] for code in _written_alike()}) == 2
    assert {"IDR", "VND"} <= set(_written_alike())


def test_in_dollars_they_are_northwinds_own(in_currency: Any) -> None:
    in_currency("USD")
    for name in ("products.csv", "order_lines.csv"):
        with (fitting.DATA / name).open(encoding="utf-8", newline="") as file:
            theirs = [Decimal(row["unit_price"]) for row in csv.DictReader(file)]
        ours = [Decimal(str(line["unit_price"])) for line in fitting.fitted(name).lines]
        assert ours == theirs


@pytest.mark.parametrize(
    "today", [date(2026, 11, 22), date(2027, 1, 1), date(2028, 2, 29), date(2026, 5, 6)]
)
def test_its_days_end_this_week_and_stay_the_days_of_the_week_that_they_were(
    today: date, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(periods, "today", lambda: today)
    lines = fitting.fitted("orders.csv").lines
    ordered = [line["order_date"] for line in lines]
    closed = [line["closing_date"] for line in lines if line["closing_date"]]
    assert today - timedelta(days=7) < max(ordered) <= today  # type: ignore[type-var, operator]
    assert max(closed) <= today  # type: ignore[type-var, operator]
    assert max(ordered).weekday() == date(1998, 5, 6).weekday()  # type: ignore[type-var, union-attr]
    assert [dict(line) for line in lines] == [
        dict(line) for line in fitting.fitted("orders.csv").lines
    ]
    years = fitting.years_with_targets(today)
    assert today.year in years
    assert min(ordered).year < min(years)  # type: ignore[type-var, union-attr]


@pytest.fixture(scope="module")
def migrated(application: Flask, services: Services) -> Iterator[str]:
    """The name of the template database that new books are copied from: migrated and empty."""
    name = "demo_of_none"
    with psycopg.connect(services.postgres.url(ADMIN), autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name} OWNER backoffice_owner TEMPLATE template0")
        try:
            together(application, lambda: _migrated(name, services), seconds=300)
            yield name
        finally:
            admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.mark.parametrize("code", _written_alike())
def test_it_loads_into_a_book_of_a_currency_and_is_right(
    code: str, application: Flask, services: Services, migrated: str
) -> None:
    name = f"demo_{code.lower()}"
    with psycopg.connect(services.postgres.url(ADMIN), autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name} OWNER backoffice_owner TEMPLATE {migrated}")
        try:
            with psycopg.connect(_url(services, OWNER, name), autocommit=True) as owner:
                owner.execute("UPDATE book SET currency = %s", [code])
            [seen] = together(application, lambda: _loaded(code, name, services), seconds=300)
        finally:
            admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
    assert seen["drifted"] == 0
    assert seen["orders"] == 830
    assert seen["targets"] > 50
    assert seen["in fractions"] == 0
    _looks_like_a_business(code, seen)
    newest = [seen["ordered"], seen["issued"], seen["paid"]]
    assert all(seen["today"] - timedelta(days=32) < day <= seen["today"] for day in newest), newest


def _url(services: Services, role: str, name: str) -> str:
    return services.postgres.url(role).replace("/backoffice?", f"/{name}?")


def _book(code: str, name: str, services: Services) -> Flask:
    urls = {
        setting: _url(services, role, name)
        for setting, role in (("DATABASE_URL", APP), ("MIGRATION_DATABASE_URL", OWNER))
    }
    return create_background_app(
        {**urls, "REDIS_URL": services.redis.url, "SECRET_KEY": "x" * 40, "CURRENCY": code}
    )


def _migrated(name: str, services: Services) -> None:
    app = _book("IDR", name, services)
    with app.app_context():
        upgrade(app)
        db.engine.dispose()


def _loaded(code: str, name: str, services: Services) -> dict[str, Any]:
    """Load the demo company into a new book of that currency, in a separate process; returns the book's content."""
    with _book(code, name, services).app_context():
        assert loading.load()
        ask = db.session.scalar
        amounts = [
            (Order, Order.grand_total), (OrderLine, OrderLine.amount), (Invoice, Invoice.amount),
            (Payment, Payment.amount), (AccountManagerTarget, AccountManagerTarget.target),
        ]  # fmt: skip
        places = money.minor_unit()
        seen = {
            "orders": ask(select(func.count(Order.id))),
            "targets": ask(select(func.count()).where(AccountManagerTarget.target > 0)),
            "in fractions": sum(
                ask(
                    select(func.count())
                    .select_from(model)
                    .where(func.round(column, places) != column)
                )
                or 0
                for model, column in amounts
            ),
            "order": ask(select(func.avg(Order.grand_total))),
            "invoice": ask(select(func.avg(Invoice.amount))),
            "price": ask(select(func.avg(ProductPrice.unit_price))),
            "ordered": ask(select(func.max(Order.order_date))),
            "issued": ask(select(func.max(Invoice.issued_on))),
            "paid": ask(select(func.max(Payment.paid_on))),
            "today": periods.today(),
            "drifted": len(list(figures.verify(db.session))),
        }
        db.session.rollback()
        db.engine.dispose()
    return seen
