"""A real receivables book, imported and matched, is right to the cent, and stays so after any edits."""

import json
import random
from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from backoffice import figures
from backoffice.billing.models import Invoice, Meter, MeterAdjustment, MeterAssignment, Payment
from backoffice.customers.models import Customer

from .receivables import DATA, Assignment, Document, Receivables

pytestmark = pytest.mark.slow

COUNTS = {"customers": 100, "meters": 100, "invoices": 1674, "payments": 1574}


@pytest.fixture
def imported(kept_book: Any, run_command: Callable[..., Any]) -> None:
    """The four files, through the command."""

    def make() -> None:
        for kind, count in COUNTS.items():
            done = run_command("import", kind, str(DATA / f"{kind}.csv"), "--json")
            assert done.exit_code == 0, done.output
            report = json.loads(done.stdout)
            assert (report["read"], report["created"]) == (count, count)

    kept_book("receivables", make)


@pytest.fixture
def match(session: Session, run_command: Callable[..., Any]) -> Callable[[], int]:
    """Give every payment its sure meter, by the command; how many got one."""

    def matched() -> int:
        before = unmatched(session)
        done = run_command("backfill", "payment-meter-ids", "--json")
        left = unmatched(session)
        assert done.exit_code in (0, 1), done.output
        json.loads(done.stdout)
        return before - left

    return matched


def unmatched(session: Session) -> int:
    """How many payments wait for a meter."""
    session.rollback()
    waiting = select(func.count()).where(Payment.meter_id.is_(None), Payment.status == "posted")
    return session.scalar(waiting) or 0


@pytest.fixture
def book(imported: None, match: Callable[[], int]) -> Receivables:
    """The book, imported and matched, on both sides."""
    book = Receivables.read()
    assert match() == book.backfill() == COUNTS["payments"]
    return book


def is_right(session: Session, book: Receivables) -> None:
    """Every balance and overpayment to the cent, and no drift by the product's verification."""
    session.rollback()
    session.expire_all()
    for model, name, expected in (
        (Meter, Meter.number, book.meters()),
        (Customer, Customer.code, book.customers()),
    ):
        stored = {
            key: (int(balance * 100), int(overpayment * 100))
            for key, balance, overpayment in session.execute(
                select(name, model.balance, model.overpayment)
            )
        }
        assert stored == expected
    assert list(figures.verify(session)) == []


def money(amount: int) -> Decimal:
    return Decimal(amount).scaleb(-2)


@pytest.mark.usefixtures("imported")
def test_until_payments_are_matched_they_count_on_their_invoices_and_nowhere_else(
    session: Session,
) -> None:
    book = Receivables.read()
    is_right(session, book)
    paid = sum(p.amount for p in book.payments.values() if p.invoice)
    assert session.scalar(select(func.sum(Invoice.paid))) == money(paid)
    assert session.scalar(select(func.sum(Customer.balance))) == money(
        sum(i.amount for i in book.invoices.values())
    )


def test_every_balance_of_the_matched_book_is_right_to_the_cent(
    session: Session, book: Receivables
) -> None:
    is_right(session, book)
    assert any(balance for balance, _ in book.customers().values())


def test_the_migration_in_six_steps_leaves_every_balance_right(
    imported: None, session: Session, run_command: Callable[..., Any]
) -> None:
    book = Receivables.read()
    done = run_command("migrate", "meter-financials", "--json")
    assert done.exit_code in (0, 1), done.output
    assert book.backfill() == COUNTS["payments"]
    is_right(session, book)
    assert unmatched(session) == 0


def test_the_same_files_again_change_nothing_and_take_no_meter_away(
    session: Session, book: Receivables, run_command: Callable[..., Any]
) -> None:
    for kind, count in COUNTS.items():
        report = json.loads(run_command("import", kind, str(DATA / f"{kind}.csv"), "--json").stdout)
        assert (report["unchanged"], report["created"], report["updated"]) == (count, 0, 0)
    is_right(session, book)


def test_three_hundred_later_documents_and_voids_leave_every_balance_right(
    session: Session, book: Receivables
) -> None:
    days = Days(session, book, random.Random(20130401))
    for _ in range(6):
        for _ in range(50):
            days.happen()
        session.commit()
        is_right(session, book)
    assert {len(days.done), sum(days.done.values())} == {len(DAYS_WORK), 300}


def test_customers_with_two_meters_handed_over_and_deactivated_leave_every_balance_right(
    session: Session, book: Receivables, match: Callable[[], int]
) -> None:
    chance = random.Random(2)
    days = Days(session, book, chance)
    for assignment in chance.sample(book.assignments, 25):
        _split(session, book, chance, assignment)
    session.commit()
    is_right(session, book)
    for assignment in chance.sample([a for a in book.assignments if a.is_active], 10):
        _hand_over(session, book, chance, assignment)
    session.commit()
    is_right(session, book)
    for assignment in chance.sample([a for a in book.assignments if a.is_active], 10):
        _assignment(session, assignment).is_active = False
        assignment.is_active = False
    session.commit()
    is_right(session, book)
    for _ in range(100):
        days.happen()
    session.commit()
    is_right(session, book)
    for customer in dict.fromkeys(a.customer for a in book.assignments):
        days.pay_without_a_word(customer)
    session.commit()
    waiting = sum(p.meter is None and not p.is_void for p in book.payments.values())
    found = book.backfill()
    assert 0 < found < waiting
    assert match() == found
    is_right(session, book)


class Days:
    """What happens at the office: documents are posted and voided, on both sides."""

    def __init__(self, session: Session, book: Receivables, chance: random.Random) -> None:
        self.session, self.book, self.chance = session, book, chance
        self.customers = dict(session.execute(select(Customer.code, Customer.id)).all())
        self.day = date(2013, 4, 1)
        self.done: dict[str, int] = {}

    @property
    def meters(self) -> dict[str, int]:
        return dict(self.session.execute(select(Meter.number, Meter.id)).all())

    def happen(self) -> None:
        """One random edit."""
        work = self.chance.choice(DAYS_WORK)
        work(self)
        self.day += timedelta(days=self.chance.choice((0, 0, 1)))
        self.session.flush()
        self.done[work.__name__] = self.done.get(work.__name__, 0) + 1

    def invoice(self) -> None:
        """An invoice of units, or one with an amount."""
        assignment, number = self._assignment(), f"NEW-{len(self.book.invoices)}"
        units, rate, fixed = (self.chance.randint(1, most) for most in (99_999, 99_999, 9_999))
        is_metered = self.chance.random() < 0.5
        exact = units * rate  # thousandths of units × ten-thousandths of money
        amount = (exact + 50_000) // 100_000 + fixed if is_metered else fixed
        self.session.add(
            Invoice(
                number=number,
                units=Decimal(units).scaleb(-3) if is_metered else None,
                rate=Decimal(rate).scaleb(-4) if is_metered else None,
                fixed_charge=money(fixed) if is_metered else Decimal(0),
                amount=Decimal(0) if is_metered else money(fixed),
                issued_on=self.day,
                due_on=self.day + timedelta(days=30),
                **self._of(assignment),
            )
        )
        self.book.invoices[number] = Document(
            assignment.customer, assignment.meter, self.day, amount
        )

    def payment(self) -> None:
        """A payment on a meter, sometimes far too much."""
        assignment, reference = self._assignment(), f"NEW-{len(self.book.payments)}"
        amount = self.chance.choice((1, 9_999, 1_000_000, self.chance.randint(1, 50_000)))
        self.session.add(
            Payment(
                reference=reference,
                paid_on=self.day,
                amount=money(amount),
                **self._of(assignment),
            )
        )
        self.book.payments[reference] = Document(
            assignment.customer, assignment.meter, self.day, amount
        )

    def adjustment(self) -> None:
        """A correction by hand, either way."""
        assignment, number = self._assignment(), f"ADJ-{len(self.book.adjustments)}"
        amount = self.chance.choice((-1, 1)) * self.chance.randint(1, 20_000)
        self.session.add(
            MeterAdjustment(
                number=number,
                adjusted_on=self.day,
                amount=money(amount),
                reason="Seen on site",
                **self._of(assignment),
            )
        )
        self.book.adjustments[number] = Document(
            assignment.customer, assignment.meter, self.day, amount
        )

    def void_an_invoice(self) -> None:
        """Any invoice, old or new."""
        number = self.chance.choice(sorted(self.book.invoices))
        self.session.execute(
            update(Invoice).where(Invoice.number == number).values(status="void", void_reason="x")
        )
        self.book.invoices[number].is_void = True

    def void_a_payment(self) -> None:
        """Any payment, old or new."""
        reference = self.chance.choice(sorted(self.book.payments))
        payment = self.session.scalars(select(Payment).filter_by(reference=reference)).one()
        payment.status, payment.void_reason = "void", "It bounced"
        self.book.payments[reference].is_void = True

    def pay_without_a_word(self, customer: str) -> None:
        """A payment without a meter and an invoice."""
        reference = f"WORDLESS-{customer}"
        self.session.add(
            Payment(
                reference=reference,
                customer_id=self.customers[customer],
                paid_on=self.day,
                amount=money(777),
            )
        )
        self.book.payments[reference] = Document(customer, None, self.day, 777)

    def _assignment(self) -> Assignment:
        return self.chance.choice(self.book.assignments)

    def _of(self, assignment: Assignment) -> dict[str, int]:
        return {
            "customer_id": self.customers[assignment.customer],
            "meter_id": self.meters[assignment.meter],
        }


DAYS_WORK = (
    Days.invoice,
    Days.payment,
    Days.adjustment,
    Days.void_an_invoice,
    Days.void_a_payment,
)


def _split(
    session: Session, book: Receivables, chance: random.Random, assignment: Assignment
) -> None:
    """A second meter for the customer, and half of the invoices with their payments move there."""
    customer = session.scalars(select(Customer).filter_by(code=assignment.customer)).one()
    second = Meter(number=f"{assignment.meter}-B2")
    session.add_all((second, MeterAssignment(meter=second, customer=customer)))
    session.flush()
    book.assignments.append(Assignment(second.number, assignment.customer, True))
    own = [n for n, i in book.invoices.items() if i.meter == assignment.meter]
    moved = set(chance.sample(own, len(own) // 2))
    paid = {r for r, p in book.payments.items() if p.invoice in moved}
    for model, name, numbers in (
        (Invoice, Invoice.number, moved),
        (Payment, Payment.reference, paid),
    ):
        session.execute(update(model).where(name.in_(numbers)).values(meter_id=second.id))
    for document in (*(book.invoices[n] for n in moved), *(book.payments[r] for r in paid)):
        document.meter = second.number


def _hand_over(
    session: Session, book: Receivables, chance: random.Random, assignment: Assignment
) -> None:
    """Reassign a meter to another customer; its balance moves along."""
    day = date(2013, 4, 1)
    stored = _assignment(session, assignment)
    stored.is_active, stored.assigned_to = False, day - timedelta(days=1)
    session.flush()
    others = sorted({a.customer for a in book.assignments} - {assignment.customer})
    code = chance.choice(others)
    customer = session.scalars(select(Customer).filter_by(code=code)).one()
    session.add(MeterAssignment(meter=stored.meter, customer=customer, assigned_from=day))
    assignment.is_active, assignment.ends = False, day - timedelta(days=1)
    book.assignments.append(Assignment(assignment.meter, code, True, day))


def _assignment(session: Session, assignment: Assignment) -> MeterAssignment:
    return session.scalars(
        select(MeterAssignment)
        .join(Meter, Meter.id == MeterAssignment.meter_id)
        .join(Customer, Customer.id == MeterAssignment.customer_id)
        .where(Meter.number == assignment.meter, Customer.code == assignment.customer)
        .where(MeterAssignment.is_active)
    ).one()
