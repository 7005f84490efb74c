"""Concurrent edits of documents that are imported: nothing is booked twice, and void documents stay void."""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest
from flask import Flask
from sqlalchemy import event, func, select
from sqlalchemy.exc import OperationalError

from backoffice.app import edge
from backoffice.app.extensions import db
from backoffice.base.refusals import Refusal
from backoffice.billing.invoices import actions as invoice_actions
from backoffice.billing.models import Invoice, Meter, Payment
from backoffice.billing.payments import actions as payment_actions
from backoffice.billing.payments.allocation import Part
from backoffice.imports.kinds import KINDS, orders, payments
from backoffice.orders.models import Order
from tests.factories.orders import OrderFactory

from .desk import ORDERS
from .documents import DAYS, INVOICES, PAYMENTS, book, entry, invoice, parts, reported, voided

pytestmark = pytest.mark.slow

Write = Callable[..., Path]
Import = Callable[..., dict[str, Any]]
Problems = Callable[..., list[tuple[int, str, str]]]
Meanwhile = Callable[..., None]

PATIENCE = 30
FASTER = "Another user has saved this in the meantime. Import the file again."


@pytest.fixture(autouse=True)
def books(session: Any) -> None:
    """A, B, M-1, M-2, and an invoice of 1,500.00."""
    book(session)


class Importer:
    """Does something after a file is checked and before it is written; saves it then, or only `late`.

    Late is when the import waits for them, or is over. Where they have to wait for the import themselves,
    it goes on.
    """

    def __init__(self, app: Flask, observer: psycopg.Connection[Any], stage: Any) -> None:
        self._app, self._observer = app, observer
        driver = stage.session.connection().connection.driver_connection
        self._import = driver.info.backend_pid
        self._begun = self._one("SELECT xact_start FROM pg_stat_activity WHERE pid = %s")
        self._has_done = threading.Event()
        self._thread = threading.Thread()

    def begin(self, verb: Callable[[], Any], *, late: bool) -> None:
        """Answers when it is saved, when it is done but for a late saving, or when it waits."""
        self._thread = threading.Thread(target=self._work, args=(verb, late))
        self._thread.start()
        anybody_waits = "SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        self._until(
            lambda: (
                self._has_done.is_set()
                or not self._thread.is_alive()
                or self._observer.execute(anybody_waits).fetchone() == (True,)
            )
        )

    def end(self) -> None:
        """Wait for them."""
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()

    def _work(self, verb: Callable[[], Any], late: bool) -> None:
        with self._app.app_context():
            try:
                verb()
                if late:
                    self._has_done.set()
                    self._until(self._import_waits_or_is_over)
                db.session.commit()
            except Refusal:
                db.session.rollback()

    def _import_waits_or_is_over(self) -> bool:
        waits = "SELECT wait_event_type = 'Lock' FROM pg_stat_activity WHERE pid = %s"
        begun = "SELECT xact_start FROM pg_stat_activity WHERE pid = %s"
        return self._one(waits) is True or self._one(begun) != self._begun

    def _one(self, query: Any) -> Any:
        [value] = self._observer.execute(query, (self._import,)).fetchone() or [None]
        return value

    def _until(self, holds: Callable[[], bool]) -> None:
        end = time.monotonic() + PATIENCE
        while not holds():
            assert time.monotonic() < end, "it is neither done nor waiting"


@pytest.fixture
def meanwhile(
    app: Flask, monkeypatch: pytest.MonkeyPatch, app_connection: psycopg.Connection[Any]
) -> Iterator[Meanwhile]:
    """`meanwhile(kind, verb)`: a user does `verb` while a file of that kind is imported, once."""
    importers: list[Importer] = []

    def between(kind: str, verb: Callable[[], Any], *, late: bool = False) -> None:
        def apply(stage: Any) -> Any:
            if not importers:
                importers.append(Importer(app, app_connection, stage))
                importers[0].begin(verb, late=late)
            return real.apply(stage)

        real = KINDS[kind]
        monkeypatch.setitem(KINDS, kind, replace(real, apply=apply))

    yield between
    for one in importers:
        one.end()


def settled(session: Any, read: Callable[[], Any], expected: Any) -> None:
    """Wait until the condition holds."""
    end = time.monotonic() + PATIENCE
    while read() != expected:
        assert time.monotonic() < end, read()
        session.rollback()


def first_of(reference: str) -> Payment:
    return payment_actions.parts_in(db.session(), reference)[0]


def stored_invoice() -> Invoice:
    return db.session.scalars(select(Invoice)).one()


def void_invoice() -> None:
    found = stored_invoice()
    invoice_actions.void(db.session(), found.id, 1, "Issued twice")


def recorded(reference: str, amount: int) -> None:
    """A payment of A, on the meter alone."""
    rest = Part(Decimal(amount), meter_id=stored_invoice().meter_id)
    new = replace(entry(db.session, reference, amount), parts=(rest,))
    payment_actions.record(db.session(), new)


# Between check and write


def test_a_receipt_that_is_split_meanwhile_still_comes_to_what_was_paid(
    write: Write, import_: Import, meanwhile: Meanwhile, session: Any
) -> None:
    file = write("p.csv", PAYMENTS, "PAY-1,A,M-1,,2026-03-05,100")
    import_("payments", file)

    def split() -> None:
        payment, found = first_of("PAY-1"), stored_invoice()
        on_both = Part(Decimal(60), invoice_id=found.id), Part(Decimal(40), meter_id=found.meter_id)
        payment_actions.place(db.session(), payment.id, payment.version, on_both)

    meanwhile("payments", split)
    assert import_("payments", file)["unchanged"] == 1
    halves = [("posted", "60.00", "M-1", "INV-1"), ("posted", "40.00", "M-1", None)]
    settled(session, lambda: reported(session, "PAY-1"), halves)


def test_a_receipt_that_is_voided_meanwhile_is_either_changed_or_void(
    write: Write, import_: Import, meanwhile: Meanwhile, session: Any
) -> None:
    import_("payments", write("p.csv", PAYMENTS, "PAY-1,A,M-1,INV-1,2026-03-05,100"))
    meanwhile("payments", lambda: voided(db.session, "PAY-1"))
    import_("payments", write("o.csv", PAYMENTS, "PAY-1,A,M-1,INV-1,2026-03-05,999"))
    assert reported(session, "PAY-1") == [("posted", "999.00", "M-1", "INV-1")]


def test_an_invoice_that_is_voided_meanwhile_is_either_changed_or_void(
    write: Write, import_: Import, meanwhile: Meanwhile, session: Any
) -> None:
    meanwhile("invoices", void_invoice)
    import_("invoices", write("i.csv", INVOICES, f"INV-1,B,M-1,{DAYS},77"))
    assert (invoice(session).status, invoice(session).amount) == ("posted", 77)


def test_an_invoice_that_is_paid_meanwhile_is_paid_on_its_own_meter(
    write: Write, import_: Import, meanwhile: Meanwhile, session: Any
) -> None:
    meanwhile(
        "invoices", lambda: payment_actions.record(db.session(), entry(db.session, "PAY-1", 1000))
    )
    import_("invoices", write("i.csv", INVOICES, f"INV-1,A,M-2,{DAYS},1500"))
    settled(session, lambda: reported(session, "PAY-1"), [("posted", "1000.00", "M-2", "INV-1")])


def test_an_invoice_that_is_voided_while_a_payment_of_it_comes_in_stays_unpaid(
    write: Write, import_: Import, meanwhile: Meanwhile, session: Any
) -> None:
    meanwhile("payments", void_invoice, late=True)
    import_("payments", write("p.csv", PAYMENTS, "PAY-1,A,M-1,INV-1,2026-03-05,100"))
    settled(session, lambda: invoice(session).status, "void")
    assert reported(session, "PAY-1") == [("posted", "100.00", "M-1", None)]


def test_without_the_lock_a_payment_names_an_invoice_that_is_void(
    write: Write,
    import_: Import,
    meanwhile: Meanwhile,
    session: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The mutant of the test above."""
    monkeypatch.setattr(payments, "lock", lambda *_: None)
    meanwhile("payments", void_invoice, late=True)
    import_("payments", write("p.csv", PAYMENTS, "PAY-1,A,M-1,INV-1,2026-03-05,100"))
    settled(session, lambda: invoice(session).status, "void")
    assert reported(session, "PAY-1") == [("posted", "100.00", "M-1", "INV-1")]


def test_a_receipt_that_is_recorded_meanwhile_under_a_reference_of_the_file_stays_as_it_is(
    write: Write, problems: Problems, meanwhile: Meanwhile, session: Any
) -> None:
    meanwhile("payments", lambda: recorded("PAY-1", 60))
    file = write("p.csv", PAYMENTS, "PAY-1,A,M-1,,2026-03-05,100")
    assert problems("payments", file) == [(2, "", FASTER)]
    assert [part.amount for part in parts(session, "PAY-1")] == [60]


def test_an_invoice_that_is_entered_meanwhile_under_a_number_of_the_file_stays_as_it_is(
    write: Write, problems: Problems, meanwhile: Meanwhile, session: Any
) -> None:
    def enter() -> None:
        same = {
            name: getattr(stored_invoice(), name)
            for name in ("customer_id", "meter_id", "issued_on", "due_on")
        }
        db.session.add(Invoice(number="INV-2", amount=Decimal(60), **same))

    meanwhile("invoices", enter)
    file = write("i.csv", INVOICES, f"INV-2,A,M-1,{DAYS},100")
    assert problems("invoices", file) == [(2, "", FASTER)]
    assert invoice(session, "INV-2").amount == 60


@pytest.mark.parametrize("late", [False, True])
def test_a_meter_that_is_entered_meanwhile_under_a_number_of_the_file_is_no_new_one(
    write: Write, import_: Import, meanwhile: Meanwhile, session: Any, late: bool
) -> None:
    """The one that is there now is assigned."""
    meanwhile(
        "meters", lambda: db.session.add(Meter(number="M-9")) or db.session.flush(), late=late
    )
    file = write("m.csv", "meter_number,customer_code,is_active", "M-9,A,yes")
    assert import_("meters", file)["created"] == 1  # the assignment
    session.rollback()
    [meter] = session.scalars(select(Meter).where(Meter.number == "M-9"))
    assert [each.customer.code for each in meter.assignments] == ["A"]


def test_the_good_lines_come_in_without_one_that_a_user_has_entered_meanwhile(
    write: Write, run_command: Callable[..., Any], meanwhile: Meanwhile, session: Any
) -> None:
    meanwhile("payments", lambda: recorded("PAY-1", 60))
    rows = ("PAY-1,A,M-1,,2026-03-05,100", "PAY-2,A,M-1,,2026-03-05,7")
    done = run_command(
        "import", "payments", str(write("p.csv", PAYMENTS, *rows)), "--skip-bad-rows"
    )
    assert (done.exit_code, FASTER in done.output) == (1, True), done.output
    sums = select(Payment.reference, func.sum(Payment.amount)).group_by(Payment.reference)
    session.rollback()
    assert dict(session.execute(sums).all()) == {"PAY-1": 60, "PAY-2": 7}


# Orders


@pytest.fixture
def file_of_orders(session: Any, write: Write) -> Path:
    """It closes SO-1, says nothing of its promo, and has a new order SO-2."""
    stored = OrderFactory(number="SO-1", promo=0)
    session.commit()
    rest = f"{stored.customer.code},{stored.account_manager.email},2026-03-02,2026-03-31,"
    return write("o.csv", f"{ORDERS},promo", f"SO-1,{rest}", f"SO-2,{rest}")


def raise_promo() -> None:
    """Another user sets SO-1's promo to 30."""
    found = db.session.scalars(select(Order).where(Order.number == "SO-1").with_for_update()).one()
    found.promo, found.version = Decimal(30), found.version + 1
    db.session.flush()


def promos(session: Any) -> list[tuple[str, bool, int]]:
    """Of each order its number, whether it is closed, and its promo."""
    session.rollback()
    rows = select(Order.number, Order.closing_date.is_not(None), Order.promo)
    return [tuple(row) for row in session.execute(rows.order_by(Order.id))]


def test_an_order_that_is_saved_meanwhile_keeps_what_the_file_does_not_say(
    file_of_orders: Path, import_: Import, meanwhile: Meanwhile, session: Any
) -> None:
    meanwhile("orders", raise_promo, late=True)
    import_("orders", file_of_orders)
    settled(session, lambda: promos(session), [("SO-1", True, 30), ("SO-2", True, 0)])


def test_without_the_lock_an_order_that_is_saved_meanwhile_keeps_the_file_out(
    file_of_orders: Path,
    problems: Problems,
    meanwhile: Meanwhile,
    session: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The mutant of the test above; a changed row is still not overwritten."""
    monkeypatch.setattr(orders, "lock", lambda *_: None)
    meanwhile("orders", raise_promo, late=True)
    assert problems("orders", file_of_orders) == [(2, "", FASTER)]
    settled(session, lambda: promos(session), [("SO-1", False, 30)])


def test_an_order_that_is_entered_meanwhile_under_a_number_of_the_file_stays_as_it_is(
    file_of_orders: Path, problems: Problems, meanwhile: Meanwhile, session: Any
) -> None:
    meanwhile("orders", lambda: OrderFactory(number="SO-2", promo=30))
    assert problems("orders", file_of_orders) == [(3, "", FASTER)]
    assert promos(session) == [("SO-1", False, 0), ("SO-2", False, 30)]


# Deadlocks


def test_an_import_that_postgresql_ends_in_a_circle_is_done_all_the_same(
    write: Write,
    import_: Import,
    session: Any,
    admin_database_url: str,
    owner_connection: psycopg.Connection[Any],
) -> None:
    """A program holds the payment and wants its invoice; the import holds the invoice and wants the payment.

    The program never checks for deadlocks and waits first, so that the import is the victim.
    """
    import_("payments", write("p.csv", PAYMENTS, "PAY-1,A,M-1,INV-1,2026-03-05,100"))
    file = write("o.csv", PAYMENTS, "PAY-1,A,M-1,INV-1,2026-03-05,120")
    holds_the_invoice, attempts = threading.Event(), 0

    with psycopg.connect(admin_database_url) as program:

        @event.listens_for(db.engine, "before_cursor_execute")
        def wait_for_the_program(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
            nonlocal attempts
            if (
                "SELECT payments.id" in statement.split("FROM", maxsplit=1)[0]
                and "FOR NO KEY" in statement
            ):
                attempts += 1
                if attempts == 1:
                    holds_the_invoice.set()
                    _wait_until_it_waits(owner_connection, program.info.backend_pid)

        def compete() -> None:
            assert holds_the_invoice.wait(PATIENCE)
            program.execute("SELECT FROM invoices FOR NO KEY UPDATE")
            program.commit()

        program.execute("SET deadlock_timeout = '60s'")
        program.execute("SELECT FROM payments FOR NO KEY UPDATE")
        competing = threading.Thread(target=compete)
        competing.start()
        try:
            import_("payments", file)
        finally:
            event.remove(db.engine, "before_cursor_execute", wait_for_the_program)
            competing.join(PATIENCE)
    assert attempts == 2
    assert reported(session, "PAY-1") == [("posted", "120.00", "M-1", "INV-1")]


def _wait_until_it_waits(observer: psycopg.Connection[Any], pid: int) -> None:
    end = time.monotonic() + PATIENCE
    waits = "SELECT pg_blocking_pids(%s) <> '{}'"
    while observer.execute(waits, (pid,)).fetchone() != (True,):
        assert time.monotonic() < end, "the other program never waited"


# Retries that fail


@pytest.mark.parametrize("sqlstate", ["40P01", "40001", "55P03"])
def test_lost_lock_conflicts_are_reported_as_such_and_not_as_a_database_that_is_gone(
    sqlstate: str, write: Write, run_command: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def lose(_stage: Any) -> Any:
        nonlocal attempts
        attempts += 1
        raise OperationalError("UPDATE", {}, psycopg.errors.lookup(sqlstate)())

    attempts = 0
    monkeypatch.setattr(edge, "LONGEST_PAUSE", 0)
    monkeypatch.setitem(KINDS, "payments", replace(KINDS["payments"], apply=lose))
    file = write("p.csv", PAYMENTS, "PAY-1,A,M-1,,2026-03-05,100")
    done = run_command("import", "payments", str(file))
    assert done.exit_code == 2
    assert "Others are changing the same records just now. Give the command again" in done.output
    assert attempts == (1 if sqlstate == "55P03" else edge.TRIES)
