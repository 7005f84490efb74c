"""Rows are entered, changed and deleted in any order: what is stored equals what Python computes from scratch."""

from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from backoffice import figures
from backoffice.app.extensions import db
from backoffice.base.periods import Month
from backoffice.customers import merging
from backoffice.customers.models import Customer
from backoffice.gas import actions, queries
from backoffice.gas.models import Deposit, GasPrice, Reading
from tests.depth import examples
from tests.factories.customers import CustomerFactory
from tests.factories.gas import DepositFactory, GasPriceFactory, ReadingFactory

from .oracle import carried, expected, follow, shown, stored

D = Decimal
DAYS = st.integers(0, 130).map(lambda days: date(2025, 11, 20) + timedelta(days))
ENTERED: dict[Any, dict[str, st.SearchStrategy[Any]]] = {
    Reading: {"read_on": DAYS, "metered_volume": st.decimals(0, 9999, places=3)},
    GasPrice: {
        "effective_from": DAYS,
        "price_per_sm3": st.decimals(0, 20000, places=4),
        "correction_factor": st.decimals("0.8", "1.2", places=6),
    },
    Deposit: {
        "deposited_on": DAYS,
        "amount": st.decimals(-99999, 999999, places=2).filter(lambda amount: amount != 0),
    },
}
FACTORIES = {Reading: ReadingFactory, GasPrice: GasPriceFactory, Deposit: DepositFactory}


def _step(data: st.DataObject, session: Any, customers: list[int]) -> None:
    """Enter, change or delete one row; a refusal leaves everything as it was."""
    model: Any = data.draw(st.sampled_from([Reading, Reading, Reading, GasPrice, Deposit]))
    values = data.draw(st.fixed_dictionaries(ENTERED[model]))
    values["customer_id"] = customers[data.draw(st.integers(0, len(customers) - 1))]
    rows = list(session.scalars(select(model.id).order_by(model.id)))
    kind = data.draw(
        st.sampled_from(("enter", "enter", "change", "delete") if rows else ("enter",))
    )
    if kind == "enter":
        session.add(model(**values))
    else:
        row = session.get_one(model, rows[data.draw(st.integers(0, 99)) % len(rows)])
        if kind == "delete":
            session.delete(row)
        else:
            changed = data.draw(st.sets(st.sampled_from(sorted(values)), min_size=1))
            for name in changed:
                setattr(row, name, values[name])
    try:
        session.commit()
    except IntegrityError:
        session.rollback()


def carried_forward(session: Any, customers: list[int]) -> None:
    """Assert that every month until now reads as Python computes it, of one customer or of all in one month."""
    now = Month.current()
    every = {c: carried(expected(session, c)[1], str(now)) for c in customers}
    assert {c: shown(queries.statement(session, c)) for c in customers} == every
    for month in (Month(2025, 10), Month(2025, 12), Month(2026, 3), now, now + 1):
        rows = session.execute(select(queries.months_in(month))).all()
        assert {row.customer_id: shown([row]) for row in rows} == {
            c: {str(month): months[str(month)]}
            for c, months in every.items()
            if str(month) in months
        }


@settings(
    max_examples=examples(12), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)  # fmt: skip
@given(data=st.data())
def test_any_sequence_of_edits_comes_to_what_python_says(
    session: Any, sweep: Callable[[], None], data: st.DataObject
) -> None:
    sweep()
    customers = [CustomerFactory().id for _ in range(2)]
    session.commit()
    for _ in range(data.draw(st.integers(1, 14))):
        _step(data, session, customers)
        session.expire_all()
        for customer in customers:
            lines, months = stored(session, customer)
            assert (lines, months) == expected(session, customer)
            follow(months)
    unpriced = sum(m.unpriced for c in customers for m in stored(session, c)[1].values())
    assert queries.unpriced(session) == unpriced
    before = [stored(session, customer) for customer in customers]
    carried_forward(session, customers)
    actions.switch(session, customers[0], is_stored=False)
    session.commit()
    assert stored(session, customers[0]) == ({}, {})
    carried_forward(session, customers)
    actions.switch(session, customers[0], is_stored=True)
    session.commit()
    assert [stored(session, customer) for customer in customers] == before


def test_another_program_is_followed_too(
    session: Any, app_connection: psycopg.Connection[Any]
) -> None:
    price = GasPriceFactory(effective_from=date(2026, 1, 2))
    session.commit()
    app_connection.execute(
        "INSERT INTO readings (customer_id, read_on, metered_volume) SELECT %s, d, 10.5 FROM "
        "generate_series('2026-01-01'::date, '2026-03-01', '1 day') AS d",
        [price.customer_id],
    )
    app_connection.execute("UPDATE gas_prices SET correction_factor = 1.5")
    figures.heal_noted(db.engine)
    session.rollback()
    lines, months = stored(session, price.customer_id)
    assert (lines, months) == expected(session, price.customer_id)
    assert (len(lines), months["2026-01"].unpriced) == (59, 1)


def test_another_program_stores_nothing_that_cannot_be(
    session: Any, app_connection: psycopg.Connection[Any]
) -> None:
    reading = ReadingFactory(read_on=date(2026, 1, 1))
    price, deposit = GasPriceFactory(), DepositFactory()
    session.commit()
    for statement in (
        f"UPDATE readings SET metered_volume = -1 WHERE id = {reading.id}",
        f"UPDATE readings SET metered_volume = 'NaN' WHERE id = {reading.id}",
        f"UPDATE readings SET read_on = 'infinity' WHERE id = {reading.id}",
        f"UPDATE gas_prices SET correction_factor = 0 WHERE id = {price.id}",
        f"UPDATE gas_prices SET price_per_sm3 = -1 WHERE id = {price.id}",
        f"UPDATE deposits SET amount = 0 WHERE id = {deposit.id}",
        f"INSERT INTO readings (customer_id, read_on, metered_volume) VALUES ({reading.customer_id}, '2026-01-01', 5)",
        f"UPDATE monthly_customer_balances SET year_month = '2025-13' WHERE customer_id = {reading.customer_id}",
    ):
        with pytest.raises(psycopg.IntegrityError):
            app_connection.execute(statement.encode())


def test_customers_who_have_a_reading_of_one_day_are_not_merged(session: Any) -> None:
    day = date(2026, 1, 5)
    first, second = ReadingFactory(read_on=day), ReadingFactory(read_on=day)
    session.commit()
    pair = (first.customer, second.customer)
    with pytest.raises(merging.InTheWay, match="reading of the same day: 2026-01-05"):
        merging.preview(session, *pair)
    session.delete(second)
    session.commit()
    _merged(session, *pair)


def test_a_merge_brings_what_was_drawn_and_paid_in_together(session: Any) -> None:
    price = GasPriceFactory()
    survivor, duplicate = price.customer, CustomerFactory()
    for day, customer in enumerate((survivor, duplicate, duplicate), start=3):
        ReadingFactory(customer=customer, read_on=date(2026, 1, day))
    DepositFactory(customer=duplicate)
    session.commit()
    _merged(session, survivor, duplicate)
    lines, months = stored(session, survivor.id)
    assert (lines, months) == expected(session, survivor.id)
    assert (len(lines), months["2026-01"].unpriced) == (3, 0)
    assert stored(session, duplicate.id) == ({}, {})


def _merged(session: Any, survivor: Customer, duplicate: Customer) -> None:
    digest = merging.preview(session, survivor, duplicate).digest
    merging.merge(session, survivor.id, duplicate.id, taken=(), digest=digest)
    session.commit()


def test_two_customers_are_calculated_by_themselves(session: Any) -> None:
    """What one customer changes rewrites no row of another."""
    prices = [GasPriceFactory(), GasPriceFactory()]
    for price in prices:
        ReadingFactory(customer=price.customer, read_on=date(2026, 1, 5))
    session.commit()
    first, second = (price.customer_id for price in prices)
    before = queries.statement(session, second)
    at = select(Customer.id, Customer.balance_last_updated_at).order_by(Customer.id)
    written = dict(session.execute(at).all())
    prices[0].correction_factor = D(2)
    session.commit()
    assert queries.statement(session, second) == before
    rewritten = dict(session.execute(at).all())
    assert rewritten[first] > written[first]
    assert rewritten[second] == written[second]
    assert stored(session, first) == expected(session, first)
