"""A new price: the preview equals to the cent what saving it changes; many prices are changed by a run."""

import io
from collections.abc import Mapping
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import event, func, select
from sqlalchemy.orm import Session

from backoffice.app.extensions import db
from backoffice.customers.models import Customer
from backoffice.gas.models import GasPrice, MonthlyCustomerBalance
from backoffice.gas.pricing import views
from backoffice.gas.pricing.actions import PriceChange, store
from backoffice.gas.pricing.bulk import BulkForm
from backoffice.gas.pricing.effects import (
    MonthAmounts,
    NewPrice,
    PriceEffect,
    effect_of,
    effects_of,
)
from backoffice.runs import actions
from backoffice.runs.models import Run, RunItem
from backoffice.runs.working import perform
from tests.factories.customers import CustomerFactory
from tests.factories.gas import DepositFactory, GasPriceFactory, ReadingFactory
from tests.gas import oracle
from tests.orders.pages import _Reader, text_of

D = Decimal
BEGIN = date(2025, 1, 1)


@pytest.fixture
def customer(session: Session) -> Customer:
    """Read every ten days of 2025, with a price since 10 January: the first reading has none."""
    made = CustomerFactory(code="G-1", name="Gas One")
    fill(made)
    session.commit()
    return made  # type: ignore[no-any-return]


def fill(customer: Customer, volume: str = "123.456") -> None:
    """A year of readings, a price and monthly deposits."""
    GasPriceFactory(customer=customer, effective_from=date(2025, 1, 10))
    for number in range(36):
        ReadingFactory(
            customer=customer, read_on=BEGIN + timedelta(days=10 * number), metered_volume=D(volume)
        )
    for month in range(1, 13, 2):
        DepositFactory(customer=customer, deposited_on=date(2025, month, 5))


def stored(session: Session, customer_id: int) -> Mapping[str, MonthAmounts]:
    """What is stored of each month."""
    m = MonthlyCustomerBalance
    rows = session.scalars(select(m).where(m.customer_id == customer_id))
    return {
        row.year_month: MonthAmounts(
            row.total_volume_sm3, row.total_purchases, row.closing_balance,
            row.calculation_details["unpriced"],
        )
        for row in rows
    }  # fmt: skip


PRICES = st.decimals(D(0), D(99999), places=4)
FACTORS = st.decimals(D("0.000001"), D("9.999999"), places=6)
DAYS = st.dates(date(2024, 12, 1), date(2026, 1, 31))


@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(day=DAYS, price=PRICES, factor=FACTORS, is_moved=st.booleans())
def test_a_preview_is_what_saving_then_makes_of_every_month(
    session: Session, customer: Customer, day: date, price: Decimal, factor: Decimal, is_moved: bool
) -> None:
    was = stored(session, customer.id)
    edited = session.scalars(select(GasPrice.id)).one() if is_moved else None
    effect = effect_of(session, NewPrice(customer.id, day, price, factor, edited))
    assert not session.new
    assert not session.dirty
    store(session, effect.new)
    session.flush()
    became = stored(session, customer.id)
    changed = {month for month in became if became[month] != was.get(month)}
    assert {month.year_month for month in effect.months} == changed
    for month in effect.months:
        assert (month.now, month.then) == (was[month.year_month], became[month.year_month])
    assert is_moved or all(month >= day.isoformat()[:7] for month in changed)
    for months, were_incomplete in ((effect.becoming, False), (effect.staying, True)):
        assert {month.year_month: month.lost for month in months} == {
            month: max(became[month].unpriced - was[month].unpriced, 0)
            for month in changed
            if became[month].unpriced and bool(was[month].unpriced) is were_incomplete
        }
    if effect.months:
        assert effect.total.difference == became["2025-12"].closing - was["2025-12"].closing
        assert effect.total.difference == effect.total.now.purchases - effect.total.then.purchases
    session.rollback()


def test_a_preview_writes_nothing_and_locks_nothing(session: Session, customer: Customer) -> None:
    before = session.scalar(select(func.pg_current_xact_id_if_assigned()))
    effect_of(session, NewPrice(customer.id, date(2025, 6, 1), D(9000), D(1)))
    assert before is None
    assert session.scalar(select(func.pg_current_xact_id_if_assigned())) is None
    locks = """SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid()
        AND mode NOT IN ('AccessShareLock', 'ExclusiveLock')"""
    assert session.connection().exec_driver_sql(locks).scalar() == 0


def test_a_customer_whose_months_are_not_stored_is_shown_the_same(
    session: Session, customer: Customer
) -> None:
    new = NewPrice(customer.id, date(2025, 6, 1), D(9000), D("1.1"))
    shown = effect_of(session, new)
    customer.use_realtime_calculation = False
    session.commit()
    assert stored(session, customer.id) == {}
    off = effect_of(session, new)
    assert (off.months, off.total) == (shown.months, shown.total)


def test_a_price_of_a_day_that_has_one_takes_its_place(
    session: Session, customer: Customer
) -> None:
    new = NewPrice(customer.id, date(2025, 1, 10), D(9000), D(1))
    effect = effect_of(session, new)
    assert effect.after is not None
    assert effect.after["price_per_sm3"] == 9000
    store(session, new)
    session.commit()
    became = stored(session, customer.id)
    assert {month.year_month: month.then for month in effect.months} == became
    assert session.scalar(select(func.count()).select_from(GasPrice)) == 1


def test_a_percentage_keeps_the_four_decimals_of_a_price() -> None:
    held = GasPrice(price_per_sm3=D("10500.1234"), correction_factor=D(1))
    assert PriceChange(percent=D(1)).of(held) == (D("10605.1246"), D(1))


def test_a_price_that_moves_to_another_day_is_laid_over_itself(
    session: Session, customer: Customer
) -> None:
    price = session.scalars(select(GasPrice)).one()
    new = NewPrice(customer.id, date(2025, 3, 1), D(10500), D("1.012345"), price.id)
    effect = effect_of(session, new)
    unpriced = {month.year_month: month.then.unpriced for month in effect.months}
    assert (unpriced["2025-01"], unpriced["2025-02"], unpriced["2025-03"]) == (4, 2, 0)
    assert [month.year_month for month in effect.staying] == ["2025-01"]
    assert [(month.year_month, month.lost) for month in effect.becoming] == [("2025-02", 2)]
    store(session, new)
    session.commit()
    became = stored(session, customer.id)
    assert all(became[month.year_month] == month.then for month in effect.months)
    assert session.scalar(select(func.count()).select_from(GasPrice)) == 1


def test_many_customers_are_looked_at_in_one_go_as_each_alone(
    session: Session, customer: Customer
) -> None:
    other = CustomerFactory(code="G-2")
    fill(other, "77.7")
    session.commit()
    wanted = [NewPrice(c.id, date(2025, 7, 1), D(11000), D("1.02")) for c in (customer, other)]
    together = effects_of(session, wanted)
    assert together == [effect_of(session, new) for new in wanted]
    assert together[0].total != together[1].total


# Many at once: a dry run, then its application


@pytest.fixture
def other(session: Session) -> Customer:
    """A second one, read otherwise."""
    made = CustomerFactory(code="G-2", name="Gas Two")
    fill(made, "77.7")
    session.commit()
    return made  # type: ignore[no-any-return]


def bulk(browser: FlaskClient, query: str = "", **typed: Any) -> Any:
    """The answer to the submitted form of a bulk change."""
    reader = _Reader("bulk-form")
    reader.feed(browser.get(f"/gas/prices/bulk?{query}").text)
    return browser.post("/gas/prices/bulk", data={**reader.fields.to_dict(), **typed})


def run_of(answer: Any) -> int:
    """The number of the run to which an answer leads, once it is done."""
    assert answer.status_code == 303, text_of(answer.text)
    number = int(answer.headers["Location"].rsplit("/", 1)[1])
    perform(db.engine, number)
    return number


def items(session: Session, run: int) -> list[tuple[Any, ...]]:
    """Customer, outcome, and by how much the balance changes."""
    session.rollback()
    found = select(RunItem.owner, RunItem.outcome, RunItem.amount).where(RunItem.run_id == run)
    return [tuple(row) for row in session.execute(found.order_by(RunItem.owner))]


def test_a_percentage_for_all_that_match_is_foretold_and_then_so(
    sign_in: Any, session: Session, customer: Customer, other: Customer
) -> None:
    browser = sign_in("finance")
    before = [stored(session, c.id)["2025-12"].closing for c in (customer, other)]
    dry = run_of(bulk(browser, "matching=1", effective_from="2025-07-01", percent="10"))
    reported = items(session, dry)
    assert [row[:2] for row in reported] == [(customer.id, "found"), (other.id, "found")]
    assert session.scalar(select(func.count()).select_from(GasPrice)) == 2
    page = text_of(browser.get(f"/runs/{dry}").text)
    assert "Price per Sm³ 10,500 → 11,550 (+1,050)" in page
    applied = run_of(apply(browser, dry))
    assert items(session, applied) == [
        (owner, "applied", amount) for owner, _found, amount in reported
    ]
    after = [stored(session, c.id)["2025-12"].closing for c in (customer, other)]
    assert [b - a for a, b in zip(before, after, strict=True)] == [row[2] for row in reported]
    prices = session.scalars(
        select(GasPrice.price_per_sm3).where(GasPrice.effective_from == date(2025, 7, 1))
    )
    assert list(prices) == [D(11550), D(11550)]
    for each in (customer, other):
        assert oracle.stored(session, each.id) == oracle.expected(session, each.id)


@pytest.mark.parametrize(
    "file",
    [b"G-1," + b"1" * 200_000, b"\xff\xfe\x00", b"G-1\x00,5x", b",,,x"],
    ids=("long", "binary", "zero", "empty"),
)
def test_a_file_that_is_none_is_said_to_be_wrong(
    sign_in: Any, session: Session, customer: Customer, file: bytes
) -> None:
    given = (io.BytesIO(file), "prices.csv")
    answer = bulk(sign_in("finance"), effective_from="2025-07-01", file=given)
    assert (answer.status_code, "Line 1: " in text_of(answer.text)) == (422, True)
    assert session.scalar(select(func.count()).select_from(Run)) == 0


def test_a_line_of_a_merged_customer_is_of_whom_that_leads_to(
    sign_in: Any, session: Session, customer: Customer
) -> None:
    CustomerFactory(code="G-0", merged_into_id=customer.id)
    session.commit()
    browser = sign_in("finance")
    dry = run_of(bulk(browser, effective_from="2025-07-01", lines="G-0\t9000"))
    assert [row[0] for row in items(session, dry)] == [customer.id]
    both = bulk(browser, effective_from="2025-07-01", lines="G-0\t9000\nG-1\t9000")
    assert "Line 2: This customer has a line already." in text_of(both.text)


def test_many_lines_are_read_in_as_many_statements_as_one(
    app: Flask, session: Session, customer: Customer
) -> None:
    """A file may have 20,000 lines, and its user waits for the answer."""
    fewest = _statements(app, session, 1)
    assert _statements(app, session, 50) == fewest


def _statements(app: Flask, session: Session, lines: int) -> int:
    """How many statements it takes to read so many lines."""
    first = session.scalar(select(func.count()).select_from(Customer)) or 0
    codes = [CustomerFactory(code=f"L-{first + number}").code for number in range(lines)]
    session.commit()
    counted = []
    text = "\n".join(f"{code}\t9000\t1" for code in codes)
    with app.test_request_context(
        method="POST", data={"effective_from": "2025-07-01", "lines": text}
    ):
        form = BulkForm(meta={"csrf": False})
        assert form.validate()
        event.listen(db.engine, "before_cursor_execute", lambda *_: counted.append(1))
        assert len(form.prices(db.session())) == lines
    return len(counted)


def test_lines_of_a_file_change_each_customer_by_its_own(
    sign_in: Any, session: Session, customer: Customer, other: Customer
) -> None:
    file = (
        io.BytesIO(b"customer_code,price_per_sm3,correction_factor\nG-1,9000.5\nG-2,11000,1.5\n"),
        "prices.csv",
    )
    dry = run_of(bulk(sign_in("finance"), effective_from="2025-07-01", file=file))
    reported = session.execute(
        select(RunItem.owner, RunItem.after).where(RunItem.run_id == dry).order_by(RunItem.owner)
    )
    assert [(owner, row["price_per_sm3"], row.get("correction_factor")) for owner, row in reported] == [
        (customer.id, "9000.5000", None), (other.id, "11000.0000", "1.500000"),
    ]  # fmt: skip


def test_columns_are_found_by_their_names(
    sign_in: Any, session: Session, customer: Customer, other: Customer
) -> None:
    lines = (
        b" Correction_Factor ;PRICE_PER_SM3;note;Effective_From;Customer_Code\n"
        b"1.5;9000.5;new;2025-07-01;G-1\n;11000;;;G-2\n"
    )
    file = (io.BytesIO(lines), "prices.csv")
    dry = run_of(bulk(sign_in("finance"), effective_from="2025-07-01", file=file))
    reported = session.scalars(
        select(RunItem.after).where(RunItem.run_id == dry).order_by(RunItem.owner)
    )
    prices = [(row["price_per_sm3"], row.get("correction_factor")) for row in reported]
    assert prices == [("9000.5000", "1.500000"), ("11000.0000", None)]


def test_a_decimal_comma_stands_between_no_columns(
    sign_in: Any, session: Session, customer: Customer
) -> None:
    browser = sign_in("finance", number_format="id")
    page = browser.get("/gas/prices/bulk").text
    assert ("with semicolons" in page, "with commas" in page) == (True, False)
    refused = bulk(browser, effective_from="2025-07-01", lines="G-1,9000,5")
    assert (refused.status_code, "The comma is your decimal mark" in refused.text) == (422, True)
    dry = run_of(bulk(browser, effective_from="2025-07-01", lines="\nG-1;9000,5"))
    after = session.scalars(select(RunItem.after).where(RunItem.run_id == dry)).one()
    assert after is not None
    assert (after["price_per_sm3"], "correction_factor" in after) == ("9000.5000", False)


def test_who_has_no_price_on_the_day_is_named_and_left_alone(
    sign_in: Any, session: Session, customer: Customer
) -> None:
    late = CustomerFactory(code="G-3")
    GasPriceFactory(customer=late, effective_from=date(2025, 9, 1))
    session.commit()
    browser = sign_in("finance")
    asked = {"effective_from": "2025-07-01", "price_per_sm3": "9000"}
    dry = run_of(bulk(browser, "matching=1", **asked))
    assert [row[:2] for row in items(session, dry)] == [
        (customer.id, "found"),
        (late.id, "skipped"),
    ]
    assert "No price is in force on that day." in text_of(browser.get(f"/runs/{dry}").text)
    applied = run_of(apply(browser, dry))
    assert [row[:2] for row in items(session, applied)] == [(customer.id, "applied")]
    whole = run_of(bulk(browser, "matching=1", **asked, correction_factor="1.1"))
    assert [row[:2] for row in items(session, whole)] == [
        (customer.id, "found"),
        (late.id, "found"),
    ]
    after = session.scalars(select(RunItem.after).where(RunItem.run_id == whole)).all()
    assert {row["correction_factor"] for row in after if row} == {"1.100000"}


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ({"percent": "5", "price_per_sm3": "100"}, "Enter a percentage or a price, not both."),
        ({}, "Enter a percentage, a price or a factor."),
        ({"lines": "G-9\t100"}, "Line 1: There is no customer G-9."),
        ({"lines": "G-1\t100\nG-1\t200"}, "Line 2: This customer has a line already."),
        ({"lines": "G-1\tlots"}, "Line 1: "),
        ({"lines": "G-1\t9000\t1\t2"}, "Line 1: There are more cells than columns."),
        ({"lines": "G-1\t9000", "percent": "5"}, "Enter the same change for all, or lines"),
        (
            {"lines": "G-1\t9000", "correction_factor": "1"},
            "Enter the same change for all, or lines",
        ),
        (
            {"lines": "customer_code\teffective_from\nG-1\t2025-07-02"},
            "Line 2: 2025-07-02 is not the day from which",
        ),
        ({"lines": "customer_code\tnote\nG-1\t9000"}, "Line 2: "),
        ({"percent": "1000", "effective_from": "2025-07-01"}, "A price is from 0 to"),
        ({"percent": "5", "effective_from": "2024-01-01"}, "None of these customers has a price"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_asked(
    sign_in: Any, session: Session, customer: Customer, typed: dict[str, str], sentence: str
) -> None:
    answer = bulk(sign_in("finance"), "matching=1", **typed)
    assert answer.status_code in (400, 409, 422)
    assert sentence in text_of(answer.text)
    assert session.scalar(select(func.count()).select_from(Run)) == 0


def test_what_is_no_price_chooses_nobody_rather_than_everybody(
    sign_in: Any, session: Session, customer: Customer
) -> None:
    answer = bulk(sign_in("finance"), "id=abc", effective_from="2025-07-01", percent="10")
    assert answer.status_code == 422
    assert session.scalar(select(func.count()).select_from(Run)) == 0


@pytest.mark.parametrize("percent", ["-101", "1001"])
def test_a_percentage_out_of_range_is_said_once(
    sign_in: Any, customer: Customer, percent: str
) -> None:
    page = text_of(
        bulk(sign_in("finance"), "matching=1", effective_from="2025-07-01", percent=percent).text
    )
    assert "This is too" in page
    assert "Enter a percentage, a price or a factor" not in page


def test_whoever_has_changed_since_the_dry_run_is_left(
    sign_in: Any, session: Session, customer: Customer, other: Customer
) -> None:
    browser = sign_in("finance")
    dry = run_of(bulk(browser, "matching=1", effective_from="2025-07-01", percent="10"))
    ReadingFactory(customer=customer, read_on=date(2025, 8, 3))
    session.commit()
    applied = run_of(apply(browser, dry))
    assert [row[:2] for row in items(session, applied)] == [
        (customer.id, "skipped"),
        (other.id, "applied"),
    ]
    assert (
        len(session.scalars(select(GasPrice).where(GasPrice.customer_id == customer.id)).all()) == 1
    )


def long_change(browser: FlaskClient) -> Any:
    """What the form of a new price from March on answers, which changes more months than a page has."""
    reader = _Reader("gasprice-form")
    reader.feed(browser.get("/gas/prices/new?customer=G-1").text)
    typed = {**reader.fields.to_dict(), "effective_from": "2025-03-01", "price_per_sm3": "9000"}
    return browser.post("/gas/prices/new", data=typed)


@pytest.fixture
def foretold(session: Session, customer: Customer, monkeypatch: pytest.MonkeyPatch) -> PriceEffect:
    """What that change makes of the customer's months, where a page has three."""
    monkeypatch.setattr(views, "PAGE_SIZE", 3)
    return effect_of(session, NewPrice(customer.id, date(2025, 3, 1), D(9000), D("1.012345")))


def test_a_change_of_more_months_than_a_page_has_is_made_by_a_run(
    sign_in: Any, session: Session, customer: Customer, foretold: PriceEffect
) -> None:
    answer = long_change(sign_in("finance"))
    assert len(session.scalars(select(GasPrice)).all()) == 1
    number = run_of(answer)
    assert items(session, number) == [(customer.id, "applied", foretold.total.difference)]
    assert stored(session, customer.id)["2025-12"] == foretold.months[-1].then


def test_a_new_price_is_no_stored_one_whatever_stamp_is_sent(
    sign_in: Any, session: Session, customer: Customer, other: Customer, foretold: PriceEffect
) -> None:
    browser = sign_in("finance")
    theirs = session.scalars(select(GasPrice).where(GasPrice.customer_id == other.id)).one()
    stamped, page = _Reader("gasprice-form"), browser.get(f"/gas/prices/{theirs.id}/edit")
    stamped.feed(page.text)
    version = stamped.fields.to_dict()["version"]
    reader = _Reader("gasprice-form")
    reader.feed(browser.get("/gas/prices/new?customer=G-1").text)
    typed = {**reader.fields.to_dict(), "effective_from": "2025-03-01", "price_per_sm3": "9000"}
    number = run_of(browser.post("/gas/prices/new", data={**typed, "version": version}))
    assert items(session, number) == [(customer.id, "applied", foretold.total.difference)]
    assert session.get_one(GasPrice, theirs.id).price_per_sm3 == D(10500)


def test_a_price_that_failed_is_stored_by_a_retry_as_it_was_shown(
    sign_in: Any, session: Session, customer: Customer, foretold: PriceEffect, run_command: Any
) -> None:
    answer = long_change(sign_in("finance"))
    run_command("balance", "lock", "--until", "2025-03-31", "--reason", "Reported")
    failed = run_of(answer)
    assert items(session, failed) == [(customer.id, "failed", 0)]
    run_command("balance", "lock", "--open", "--reason", "Reported too early")
    again = actions.retry(session, failed).id
    session.commit()
    perform(db.engine, again)
    assert items(session, again) == [(customer.id, "applied", foretold.total.difference)]
    assert stored(session, customer.id)["2025-12"] == foretold.months[-1].then


def test_that_run_leaves_a_customer_whose_price_has_changed_since_the_screen(
    sign_in: Any, session: Session, customer: Customer, foretold: PriceEffect
) -> None:
    answer = long_change(sign_in("finance"))
    GasPriceFactory(
        customer=customer, effective_from=foretold.new.effective_from, price_per_sm3=D(7777)
    )
    session.commit()
    assert items(session, run_of(answer)) == [(customer.id, "skipped", 0)]
    stored_prices = session.scalars(select(GasPrice.price_per_sm3).order_by(GasPrice.id))
    assert list(stored_prices) == [D(10500), D(7777)]


def test_above_the_limits_that_run_is_a_dry_run_and_another_user_approves_its_application(
    app: Flask, sign_in: Any, session: Session, customer: Customer, foretold: PriceEffect
) -> None:
    app.config["APPROVAL_ABOVE_AMOUNT"] = abs(foretold.total.difference) - 1
    was, browser = stored(session, customer.id), sign_in("finance")
    answer = long_change(browser)
    assert "another user has to approve it" in text_of(browser.get(answer.location).text)
    number = run_of(answer)
    assert items(session, number) == [(customer.id, "found", foretold.total.difference)]
    asked = int(apply(browser, number).location.rsplit("/", 1)[1])
    approval = {"idempotency_key": "a"}
    assert browser.post(f"/runs/{asked}/approve", data=approval).status_code == 403
    run = session.get_one(Run, asked)
    assert (run.status, stored(session, customer.id)) == ("awaiting approval", was)
    session.rollback()
    assert (
        sign_in("finance", name="Budi").post(f"/runs/{asked}/approve", data=approval).status_code
        == 303
    )
    perform(db.engine, asked)
    assert items(session, asked) == [(customer.id, "applied", foretold.total.difference)]
    assert stored(session, customer.id)["2025-12"] == foretold.months[-1].then


def test_exactly_at_the_limits_nobody_has_to_approve_it(
    app: Flask, sign_in: Any, session: Session, customer: Customer, foretold: PriceEffect
) -> None:
    app.config["APPROVAL_ABOVE_AMOUNT"] = abs(foretold.total.difference)
    app.config["APPROVAL_ABOVE_COUNT"] = 1
    number = run_of(long_change(sign_in("finance")))
    assert items(session, number) == [(customer.id, "applied", foretold.total.difference)]


def deleted(browser: FlaskClient, price: GasPrice) -> Any:
    """What the page that deletes a price answers."""
    reader = _Reader("delete-form")
    reader.feed(browser.get(f"/gas/prices/{price.id}/delete").text)
    return browser.post(f"/gas/prices/{price.id}/delete", data=reader.fields)


@pytest.mark.parametrize("day", [date(2025, 1, 10), date(2025, 12, 10)])
def test_deleting_a_price_shows_every_month_that_it_changes_and_then_so(
    sign_in: Any, session: Session, customer: Customer, day: date
) -> None:
    GasPriceFactory(customer=customer, effective_from=date(2025, 12, 10), price_per_sm3=D(9000))
    session.commit()
    price = session.scalars(select(GasPrice).where(GasPrice.effective_from == day)).one()
    was, browser = stored(session, customer.id), sign_in("finance")
    effect = effect_of(session, NewPrice.gone(price))
    assert NewPrice.of_json(effect.new.as_json) == effect.new
    page = text_of(browser.get(f"/gas/prices/{price.id}/delete").text)
    assert ("have no price then" in page) == (day.month == 1)
    assert page.count("December 2025") == 1
    assert deleted(browser, price).status_code == 303
    session.rollback()
    session.expire_all()
    became = stored(session, customer.id)
    assert {m.year_month: m.then for m in effect.months} == {
        month: amounts for month, amounts in became.items() if amounts != was[month]
    }
    assert oracle.stored(session, customer.id) == oracle.expected(session, customer.id)


def test_a_price_whose_deletion_changes_more_months_than_a_page_has_is_deleted_by_a_run(
    app: Flask, sign_in: Any, session: Session, customer: Customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(views, "PAGE_SIZE", 3)
    price, browser = session.scalars(select(GasPrice)).one(), sign_in("finance")
    effect = effect_of(session, NewPrice.gone(price))
    app.config["APPROVAL_ABOVE_AMOUNT"] = abs(effect.total.difference) - 1
    dry = run_of(deleted(browser, price))
    assert items(session, dry) == [(customer.id, "found", effect.total.difference)]
    page = text_of(browser.get(f"/runs/{dry}").text)
    assert "Price per Sm³ 10,500 →" in page
    app.config["APPROVAL_ABOVE_AMOUNT"] = abs(effect.total.difference)
    price = session.scalars(select(GasPrice)).one()
    reader = _Reader("delete-form")
    reader.feed(browser.get(f"/gas/prices/{price.id}/delete").text)
    answers = []
    for _click in range(2):
        answers.append(browser.post(f"/gas/prices/{price.id}/delete", data=reader.fields))
        number = run_of(answers[-1])
    assert answers[0].location == answers[1].location
    assert items(session, number) == [(customer.id, "applied", effect.total.difference)]
    assert session.scalars(select(GasPrice)).all() == []
    assert oracle.stored(session, customer.id) == oracle.expected(session, customer.id)


def test_only_who_may_write_changes_prices(sign_in: Any, customer: Customer) -> None:
    browser = sign_in("viewer")
    assert browser.get("/gas/prices/bulk").status_code == 403
    assert "/gas/prices/bulk" not in browser.get("/gas/prices").text


def apply(browser: FlaskClient, dry: int) -> Any:
    """Apply what a dry run has found."""
    page = browser.get(f"/runs/{dry}").text
    token = page.split('name="csrf-token" content="')[1].split('"')[0]
    return browser.post(
        f"/runs/{dry}/apply",
        data={"csrf_token": token, "idempotency_key": "k", "reason": "New contract"},
    )
