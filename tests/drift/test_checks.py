"""Checks: two sums that must be equal hold on a complete book, and are reported wherever they do not."""

import json
import threading
from decimal import Decimal
from typing import Any, NamedTuple

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import (
    Numeric,
    Text,
    column,
    func,
    literal,
    literal_column,
    select,
    update,
    values,
)

from backoffice.app.domain import Declared
from backoffice.app.domains import DOMAINS
from backoffice.app.extensions import db
from backoffice.billing.figures import invoice_paid
from backoffice.drift import figure_status, listing
from backoffice.drift.models import FOLLOWS, NOTED, UNEQUAL, DriftFinding, FigureCheck
from backoffice.drift.outside import watch
from backoffice.drift.verification import checks
from backoffice.figures import amounts, check
from backoffice.figures.errors import DeclarationError
from backoffice.figures.models import Correction
from backoffice.orders.models import Order, OrderLine
from tests.drift.books import run_of, text_of
from tests.drift.whole_book import write_everything
from tests.factories.ledger import AccountFactory
from tests.factories.orders import OrderFactory
from tests.health.readings import read_anew, token

CHECKS = Declared(DOMAINS).checks
ELSEWHERE = {"ledger.tied", "periods.closed"}
MONEY = Numeric(15, 2)
PLACED, LINES = "check:payments.placed", "check:orders.lines"


class Added(NamedTuple):
    """A stored number that is part of a side of a check."""

    check: str
    table: str
    column: str

    def __str__(self):
        return f"{self.check}: {self.table}.{self.column}"

    def write(self, surgery, by):
        first = f"SELECT id FROM {self.table} ORDER BY {self.column} = 0, id LIMIT 1"
        surgery.execute(
            f"UPDATE {self.table} SET {self.column} = {self.column} {by} WHERE id = ({first})"
        )


def everything_added():
    """Every column of every side, once; those of `ELSEWHERE` have tests of their own."""
    for one in (CHECKS[name] for name in CHECKS if name not in ELSEWHERE):
        for part in (*one.left.sums, *one.right.sums):
            amount = list(part.rows.selected_columns)[-1]
            yield Added(one.name, amount.table.name, amount.key)


ADDED = [pytest.param(a, id=str(a)) for a in dict.fromkeys(everything_added())]


@pytest.fixture
def book(app, session, kept_book):
    """Every kind of record once, verified."""

    def make():
        write_everything()
        run_of("figures.verify")
        session.rollback()

    kept_book("everything once, verified", make)


@pytest.fixture
def declared(app, monkeypatch):
    """Declares an additional check for the duration of a test."""

    def declare(one):
        monkeypatch.setitem(app.declared.checks, one.name, one)
        figure_status.forget()
        listing.findings.cache_clear()
        return one

    yield declare
    listing.findings.cache_clear()


@pytest.fixture
def finance(sign_in):
    return sign_in("admin")


def opened(session):
    """The open findings, by the name under which they are filed."""
    session.rollback()
    found = session.scalars(select(DriftFinding).where(DriftFinding.healed_at.is_(None)))
    return {finding.figure: finding for finding in found}


# On a right book


def test_every_check_holds_on_a_book_of_everything_and_compares_something(book, session):
    for one in CHECKS.values():
        seen = one.compare(session.connection())
        assert seen.holds, seen
        is_closed = one.name == "periods.closed"
        assert is_closed or any(seen.whole.sums), f"{one} compares nothing with nothing"
        assert (seen.whole.difference, seen.gross) == (0, 0)
        assert one.differing(session.connection()) == []


@pytest.mark.slow
def test_every_check_holds_on_the_company_northwind(northwind, session):
    for one in CHECKS.values():
        assert one.compare(session.connection()).holds, one


def test_every_figure_of_money_that_is_a_sum_over_an_owner_stands_in_a_check():
    """So that no such figure is declared without a check of its total."""
    read = {str(c) for one in CHECKS.values() for c in one.columns}
    assert {
        "invoices.paid", "meters.balance", "meters.overpayment", "customers.balance", "customers.overpayment",
        "account_manager_targets.achieved", "orders.total_price", "orders.additions", "orders.promo",
        "orders.reductions", "order_lines.amount", "orders.grand_total",
    } <= read  # fmt: skip


# Differences are found, named, and closed when corrected


@pytest.mark.leaves_drift
@pytest.mark.parametrize("added", ADDED)
def test_a_number_that_is_changed_past_every_trigger_is_found_by_its_check_until_it_is_mended(
    added, book, session, surgery
):
    added.write(surgery, "+ 7")
    run = run_of("figures.verify")
    finding = opened(session)[f"check:{added.check}"]
    assert (finding.kind, finding.key) == (UNEQUAL, {"check": added.check})
    assert abs(finding.amount) == finding.gross == 7
    assert Decimal(finding.expected["sum"]) - Decimal(finding.stored["sum"]) == finding.amount
    follows = checks.figures_in(CHECKS[added.check])
    assert finding.cause == (FOLLOWS if follows else UNEQUAL)
    assert finding.run_id == run.id
    rows = [name for name in opened(session) if not name.startswith(("check:", "facts:"))]
    assert run.result["found"] == len(rows) + (
        not follows
    )  # a check that follows from them is not counted as well
    assert figure_status.read(session).state == "wrong"
    added.write(surgery, "- 7")
    run_of("figures.verify")
    left = opened(session)
    assert {name for name in left if not name.startswith("facts:")} == set()
    assert (
        left or figure_status.read(session).state == "right"
    )  # a fact stays forged until verified


def test_a_verification_of_everything_compares_every_check(book, session):
    """Also one that reads facts alone, which is compared with the figures derived from them."""
    compared = set(session.scalars(select(FigureCheck.figure)))
    assert {f"check:{name}" for name in CHECKS} <= compared
    assert figure_status.read(session).state == "right"


@pytest.mark.leaves_drift
def test_what_is_too_much_in_one_part_does_not_make_up_for_what_is_missing_in_another(
    book, session, surgery
):
    surgery.execute("UPDATE orders SET total_price = total_price + 7, additions = additions - 7")
    run_of("figures.verify")
    finding = opened(session)[LINES]
    assert (finding.amount, finding.gross) == (0, 14)
    parts = CHECKS["orders.lines"].differing(session.connection())
    assert {part.label: part.difference for part in parts} == {"Package price": -7, "Additions": 7}


@pytest.mark.leaves_drift
def test_an_amount_that_is_no_number_differs_from_itself(book, session, surgery):
    [[name, guard]] = surgery.execute(
        "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint "
        "WHERE conrelid = 'payments'::regclass AND pg_get_constraintdef(oid) LIKE '%NaN%'"
    ).fetchall()
    surgery.execute(f"ALTER TABLE payments DROP CONSTRAINT {name}")
    try:
        surgery.execute("UPDATE payments SET amount = 'NaN', invoice_id = NULL")
        run = run_of("figures.verify")
        found = opened(session)
        for figure in (PLACED, "facts:payments"):
            assert (found[figure].amount, found[figure].gross) == (None, None), figure
        assert (run.status, run.failed) == ("finished with failures", 1), "the CHECK is missed, too"
    finally:
        surgery.execute("UPDATE payments SET amount = 1")
        surgery.execute(f"ALTER TABLE payments ADD CONSTRAINT {name} {guard}")


@pytest.mark.leaves_drift
def test_a_check_that_differs_while_every_figure_is_right_is_its_own_root_and_nobody_heals_it(
    book, declared, session, finance
):
    declared(
        check(
            "tests.wrong",
            title="Wrong",
            left=amounts("One", select(Order.grand_total)),
            right=amounts("None", select(literal(0, MONEY))),
        )
    )
    run = run_of("figures.verify")
    assert (run.result["found"], run.skipped) == (1, 1)
    finding = opened(session)["check:tests.wrong"]
    assert (finding.cause, finding.is_root) == (UNEQUAL, True)
    assert figure_status.doubted(session) >= {"orders.grand_total"}
    stands = figure_status.read(session)
    assert (stands.state, stands.wrong, stands.amount) == ("wrong", 1, finding.gross)
    run = run_of("figures.heal")
    assert (run.status, run.changed) == ("done", 0)
    assert set(opened(session)) == {"check:tests.wrong"}
    assert session.scalar(select(Correction.id)) is None
    assert "Wrong" in text_of(finance.get("/health/drift").text)


@pytest.mark.leaves_drift
def test_what_is_declared_no_more_is_wrong_no_more(book, declared, session, app, monkeypatch):
    one = check(
        "tests.wrong", title="Wrong",
        left=amounts("One", select(literal(1, MONEY))), right=amounts("None", select(OrderLine.amount)),
    )  # fmt: skip
    declared(one)
    run_of("figures.verify")
    assert "check:tests.wrong" in opened(session)
    monkeypatch.delitem(app.declared.checks, "tests.wrong")
    run_of("figures.verify")
    assert opened(session) == {}


@pytest.mark.leaves_drift
def test_the_heal_that_mends_a_figure_closes_the_check_that_follows_from_it(book, session, surgery):
    surgery.execute("UPDATE invoices SET paid = paid + 7")
    run_of("figures.verify")
    assert set(opened(session)) == {PLACED, invoice_paid.name}
    stands = figure_status.read(session)
    assert (stands.wrong, stands.amount) == (1, 7)  # what follows from a row is not counted as well
    session.execute(
        update(DriftFinding)
        .where(DriftFinding.figure == invoice_paid.name)
        .values(healed_at=func.now())
    )
    assert figure_status.read(session).wrong == 1, (
        "nobody has looked yet whether the check holds again"
    )
    session.rollback()
    run_of("figures.heal")
    assert opened(session) == {}


@pytest.mark.leaves_drift
def test_an_outside_programs_write_is_the_cause_while_it_waits_and_closes_the_check_when_it_is_followed(
    book, session, app_connection
):
    app_connection.execute("UPDATE payments SET amount = amount + 7")
    with db.engine.begin() as connection:
        one = CHECKS["payments.placed"]
        from backoffice.drift.verification import checks

        checks.settle(connection, one, one.compare(connection))
    assert opened(session)[PLACED].cause == NOTED
    assert watch.look(db.engine)
    assert opened(session) == {}


def test_a_check_that_was_never_verified_is_not_right(book, declared, session):
    assert figure_status.read(session).state == "right"
    declared(
        check(
            "tests.new", title="New",
            left=amounts("One", select(Order.grand_total)), right=amounts("The same", select(Order.grand_total)),
        )
    )  # fmt: skip
    assert figure_status.read(session).state == "unverified"
    run_of("figures.verify", {"figures": {"orders.grand_total": None}})
    session.rollback()
    assert session.get(FigureCheck, "check:tests.new").rows == 1
    assert figure_status.read(session).state == "right"


def test_a_verification_of_some_owners_leaves_checks_alone(book, session):
    before = session.get(FigureCheck, LINES).verified_at
    run_of("figures.verify", {"figures": {"orders.grand_total": [1]}})
    session.rollback()
    assert session.get(FigureCheck, LINES).verified_at == before


# Commands, metrics, screens


@pytest.mark.leaves_drift
def test_commands_tell_of_a_check_that_differs_and_exit_1(book, run_command, surgery):
    listed = json.loads(run_command("figures", "list", "--json").stdout)["checks"]
    assert [one["check"] for one in listed] == list(CHECKS)
    done = run_command("figures", "verify", "--json")
    reported = json.loads(done.stdout)
    assert (done.exit_code, reported["differing"]) == (0, [])
    assert set(reported["checks"]) == set(CHECKS)
    assert run_command("figures", "check").exit_code == 0
    surgery.execute("UPDATE invoices SET paid = paid + 7")
    done = run_command("figures", "verify", "--json")
    [apart] = json.loads(done.stdout)["differing"]
    assert done.exit_code == 1
    assert (apart["check"], apart["difference"], apart["gross"]) == (
        "payments.placed",
        "-7.00",
        "7.00",
    )
    done = run_command("figures", "verify", "invoices.paid")
    assert "`backoffice figures check payments.placed`" in done.output
    assert "right" not in done.output
    done = run_command("figures", "check", "payments.placed", "--json")
    [seen] = json.loads(done.stdout)["checks"]
    assert done.exit_code == 1
    assert [s["title"] for s in seen["left_sums"]] == [
        "Paid on the invoice",
        "Payments on no invoice",
    ]
    assert seen["difference"] == "-7.00"
    done = run_command("figures", "check", "orders.lines", "payments.placed")
    assert "≠" in done.output
    assert run_command("figures", "check", "nothing").exit_code == 2


@pytest.mark.leaves_drift
def test_a_check_that_differs_is_told_where_nothing_can_be_recorded(
    book, run_command, surgery, monkeypatch
):
    from backoffice.drift.healing import performing
    from backoffice.runs.errors import AlreadyRunning

    surgery.execute("UPDATE invoices SET paid = paid + 7")

    def refuse(*_given, **_options):
        raise AlreadyRunning(run=1)

    monkeypatch.setattr(performing.actions, "request", refuse)
    done = run_command("figures", "verify", "--json")
    assert done.exit_code == 1
    assert [one["check"] for one in json.loads(done.stdout)["differing"]] == ["payments.placed"]


@pytest.mark.leaves_drift
def test_metrics_tell_the_difference(book, app, session, surgery):
    secret = token(session)
    surgery.execute("UPDATE invoices SET paid = paid + 7")
    for name in CHECKS:
        assert (
            read_anew(app, secret).one("backoffice_check_difference", check=name, currency="IDR")
            == 0
        )
    run_of("figures.verify")
    read = read_anew(app, secret)
    assert read.one("backoffice_check_difference", check="payments.placed") == 7
    assert read.one("backoffice_check_verified_age_seconds", check="payments.placed") < 60


@pytest.mark.leaves_drift
def test_no_screen_says_right_while_a_check_differs_and_its_page_shows_both_sides(
    book, finance, session, surgery, monkeypatch
):
    monkeypatch.setattr(figure_status, "SECONDS", 0.0)
    surgery.execute("UPDATE orders SET total_price = total_price + 7")
    page = text_of(finance.get("/health/drift/checks/orders.lines").text)
    assert "Differs" in page
    assert "Package price 37 30 -7" in page.replace(".00", "")
    assert opened(session) == {}, "a page records nothing"
    run_of("figures.verify")
    found = opened(session)[LINES]
    reported = text_of(finance.get(f"/health/drift/{found.id}").text)
    assert "Components of orders, and their lines" in reported
    assert "Preview the correction" not in reported
    for address in ("/health", "/today", "/health/drift", "/health/drift/checks/orders.lines"):
        said = finance.get(address).text
        assert "Every stored figure is right" not in said, address
        assert "Figures are right" not in said, address
    assert "1 row" in text_of(
        finance.get("/health/drift").text
    )  # the components, with the check as a consequence
    surgery.execute("UPDATE orders SET total_price = total_price - 7")
    run_of("figures.verify")
    assert "The same" in text_of(finance.get("/health").text)
    assert opened(session) == {}


@pytest.mark.parametrize("name", CHECKS)
def test_every_check_has_a_page_and_a_line_of_health(name, book, finance):
    assert finance.get(f"/health/drift/checks/{name}").status_code == 200
    assert f"/health/drift/checks/{name}" in finance.get("/health").text


def test_a_check_that_nobody_declared_has_no_page(book, finance):
    assert finance.get("/health/drift/checks/nothing").status_code == 404


# The comparison itself


ONCE = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])  # it writes nothing
MONEYS = st.decimals(-1000, 1000, places=2)
ENTRIES = st.lists(st.tuples(st.sampled_from("abc"), MONEYS), max_size=6)


def rows_of(entries):
    if not entries:
        return select(literal("a", Text), literal(0, MONEY)).where(literal_column("false"))
    rows = values(column("part", Text), column("amount", MONEY), name="rows").data(entries)
    return select(rows.c.part, rows.c.amount)


@ONCE
@given(plus=ENTRIES, less=ENTRIES, right=ENTRIES)
def test_a_check_compares_as_independent_python_does(session, plus, less, right):
    one = check(
        "tests.sums", title="Sums",
        left=amounts("plus", rows_of(plus)) - amounts("less", rows_of(less)),
        right=amounts("right", rows_of(right)),
    )  # fmt: skip
    apart = {}
    for sign, entries in ((-1, plus), (1, less), (1, right)):
        for part, amount in entries:
            apart[part] = apart.get(part, Decimal(0)) + sign * amount
    seen, parts = one.compare(session.connection()), one.differing(session.connection())
    wrong = {part: by for part, by in apart.items() if by}
    assert {part.label: part.difference for part in parts} == wrong
    assert (seen.differing, seen.parts) == (len(wrong), len(apart))
    assert seen.whole.difference == sum(apart.values())
    assert seen.gross == sum(map(abs, apart.values()))
    assert seen.whole.left == sum(a for _, a in plus) - sum(a for _, a in less)


@pytest.mark.slow
def test_a_check_never_differs_while_people_save(app, session):
    OrderFactory.create_batch(3, lines=[("package", "Tea", "2", "10.00")])
    session.commit()
    done = threading.Event()

    def save():
        number = 0
        with app.app_context():
            while not done.is_set():
                number += 1
                for line in db.session.scalars(select(OrderLine)):
                    line.quantity = number % 9 + 1
                db.session.commit()

    with app.app_context():
        savers = [threading.Thread(target=save)]
    for saver in savers:
        saver.start()
    try:
        with db.engine.connect() as connection:
            for _ in range(150):
                assert CHECKS["orders.lines"].compare(connection).holds
                connection.rollback()
    finally:
        done.set()
        for saver in savers:
            saver.join()


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: amounts("x", select(Order.number)), "answers an amount"),
        (lambda: amounts("x", select(Order.id, Order.number, Order.grand_total)), "answers an amount"),
        (
            lambda: check(
                "a.b", title="x", left=amounts("x", select(Order.grand_total)),
                right=amounts("y", select(Order.number, Order.grand_total)),
            ),
            "a part, or none",
        ),
        (
            lambda: check(
                "check:b", title="x", left=amounts("x", select(Order.grand_total)),
                right=amounts("y", select(Order.grand_total)),
            ),
            "named like a figure",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_compared_is_refused_when_it_is_declared(make, sentence):
    with pytest.raises(DeclarationError, match=sentence):
        make()


@pytest.mark.leaves_drift
def test_the_page_of_a_check_that_differs_says_right_of_nothing(book, declared, finance, surgery):
    declared(
        check(
            "tests.wrong",
            title="Wrong",
            left=amounts("One", select(Order.grand_total)),
            right=amounts("None", select(literal(0, MONEY))),
        )
    )
    assert run_of("figures.verify").result["found"] == 1
    surgery.execute("UPDATE drift_findings SET healed_at = now()")
    figure_status.forget_everything()
    assert "Figures are right" in finance.get("/customers").text
    reported = finance.get("/health/drift/checks/tests.wrong")
    assert "Differs" in reported.text
    assert "Figures are right" not in reported.text


@pytest.mark.leaves_drift
def test_a_part_without_a_name_is_printed_as_a_dash(
    session: Any, surgery: psycopg.Connection[Any], run_command: Any
) -> None:
    AccountFactory(code="Cash", type="asset")
    session.commit()
    surgery.execute("UPDATE accounts SET debits = debits + 7")
    said = run_command("figures", "check", "accounts.trial").stdout
    assert "  –: 7.00 ≠ 0.00 (-7.00)" in said
    assert "Project-Id-Version" not in said
