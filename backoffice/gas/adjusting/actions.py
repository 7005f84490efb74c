"""The proposed adjustment of closed months that differ from their facts, and its acceptance.

No heal writes such a month. Once a user accepts it, it is expected as stored, and a deposit on the first open day
reverses the difference of the balance. Nothing here commits.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from hashlib import sha256
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from ... import figures
from ...base import N_
from ...base.money import format_amount
from ...base.periods import Month, is_to_come
from ...base.refusals import Refusal, Stale
from ...book.queries import locked_until
from ...drift.facts.holding import HELD, held
from ...drift.verification.scope import scope_of
from ...figures import Finding, registry
from ...figures.keeping.drain import correction_of, drain
from ...figures.keeping.notes import Touched
from ...figures.verifying.findings import findings
from ...runs.actions import request
from ...runs.errors import AlreadyRunning
from ..figures import GAS_FIGURES, calculation, is_closed, monthly
from ..models import AMOUNTS, AcceptedMonth, Deposit, MonthlyCustomerBalance, TransactionCalculation

RUNNING = ("opening_balance", "closing_balance")
"""The running balances, of which a difference is carried forward to later months."""


class ProposalChanged(Stale):
    """The proposal has changed since it was shown."""

    sentence = N_("What is proposed has changed since you opened it. Look at it again.")


class DayToCome(Refusal):
    """The deposit would be dated in the future, and count at once."""

    sentence = N_(
        "The first open day, %(day)s, is still to come, and no deposit is entered ahead. Accept the adjustment on that "
        "day, or open the days again first."
    )
    status = 409


class FactsInDoubt(Refusal):
    """The facts of the months differ from the audit trail."""

    sentence = HELD


@dataclass(frozen=True)
class ClosedMonth:
    """A closed month as stored, and as expected from its facts."""

    stored: MonthlyCustomerBalance
    facts: Mapping[str, Any]
    is_wrong: bool

    @property
    def month(self) -> Month:
        """The calendar month."""
        return Month.parse(self.stored.year_month)

    @property
    def details(self) -> Mapping[str, Any] | None:
        """The stored calculation details where they differ from those expected; else None."""
        stored = self.stored.calculation_details
        return None if stored == self.facts.get("calculation_details", stored) else stored

    def difference(self, name: str) -> Decimal:
        """An amount as stored less as expected."""
        return Decimal(getattr(self.stored, name) - self.facts[name])


@dataclass(frozen=True)
class Proposal:
    """The proposal to accept a customer's closed months, and to deposit `amount` on the first open day.

    An amount of 0: the balance is the same, and only its details differ.
    """

    months: Sequence[ClosedMonth]
    day: date
    amount: Decimal
    besides: Sequence[Finding]
    """Findings on open days, which are corrected with it."""

    @property
    def wrong(self) -> Sequence[ClosedMonth]:
        """The months that differ."""
        return [month for month in self.months if month.is_wrong]

    @property
    def refusal(self) -> DayToCome | None:
        """The refusal that prevents accepting it today; None if it can be accepted."""
        return DayToCome(day=self.day) if self.amount and is_to_come(self.day) else None

    @property
    def digest(self) -> str:
        """A digest that changes with the proposal."""
        differences = [
            (str(m.month), *(f"{m.difference(name)}" for name in AMOUNTS)) for m in self.wrong
        ]
        besides = [finding.as_dict() for finding in self.besides]
        return sha256(repr((self.day, differences, besides)).encode()).hexdigest()

    @property
    def note(self) -> str:
        """The note of the deposit: the months, and the difference of the last one."""
        named = sorted({str(self.wrong[0].month), str(self.wrong[-1].month)})
        return f"{'–'.join(named)}: {format_amount(-self.amount)}"


def proposal_of(session: Session, customer_id: int) -> Proposal | None:
    """The proposal for the customer's closed months; None where none differs."""
    until = locked_until(session)
    rows = session.scalars(_closed(MonthlyCustomerBalance, customer_id)).all()
    if until is None or not rows:
        return None
    of_months, of_readings = (
        findings(session.connection(), registry, registry.bundle_of(figure), [customer_id])
        for figure in (monthly, calculation)
    )
    wrong = {finding.key["year_month"]: finding for finding in of_months}
    closed = {
        c.reading_id: c.year_month
        for c in session.scalars(_closed(TransactionCalculation, customer_id))
    }
    readings = {finding.key["reading_id"] for finding in of_readings}
    behind = {month for reading, month in closed.items() if reading in readings}
    months = list(_months(rows, wrong, behind))
    if not any(month.is_wrong for month in months):
        return None
    closed_months = {row.year_month for row in rows}
    besides = [f for f in of_months if f.key["year_month"] not in closed_months]
    besides += [f for f in of_readings if f.key["reading_id"] not in closed]
    amount = -months[-1].difference("closing_balance")
    return Proposal(months, until + timedelta(1), amount, besides)


def _closed(model: Any, customer_id: int) -> Any:
    rows = select(model).where(model.customer_id == customer_id, is_closed(model.__table__))
    return rows.order_by(model.year_month)


def _months(
    rows: Sequence[MonthlyCustomerBalance], wrong: Mapping[str, Finding], behind: set[str]
) -> Iterator[ClosedMonth]:
    """Each stored month beside what its facts expect; a surplus month is expected to keep the balance before it."""
    balance, stored = Decimal(0), {row.year_month: row for row in rows}
    for month in sorted({*stored, *wrong}):
        row, finding = stored.get(month), wrong.get(month)
        facts: dict[str, Any] = {} if row is None else {n: getattr(row, n) for n in AMOUNTS}
        if finding is not None and finding.kind == "surplus":
            facts = {"calculation_details": None, **dict.fromkeys(AMOUNTS, Decimal(0))}
            facts |= dict.fromkeys(RUNNING, balance)
        elif finding is not None:
            facts |= finding.expected
        balance = facts["closing_balance"]
        if row is not None:  # a missing one is restored, and its balance precedes the next
            yield ClosedMonth(row, facts, finding is not None or month in behind)


def accept(session: Session, customer_id: int, shown: str) -> None:
    """Accept the customer's closed months as stored, and reverse the difference on the first open day.

    `shown` is the digest of the proposal that the user saw. Raises ProposalChanged, DayToCome, FactsInDoubt.
    """
    figures.hold(session, monthly, [customer_id])
    proposed = proposal_of(session, customer_id)
    if proposed is None or proposed.digest != shown:
        raise ProposalChanged()
    if proposed.refusal is not None:
        raise proposed.refusal
    if held(session.connection(), registry.bundle_of(monthly), [customer_id]):
        raise FactsInDoubt()
    deposit = None
    if proposed.amount:
        deposit = Deposit(
            customer_id=customer_id, deposited_on=proposed.day, amount=proposed.amount, note=proposed.note
        )  # fmt: skip
        session.add(deposit)
        session.flush()
    session.add_all(_accepted(proposed, deposit))
    session.flush()
    _correct(session, customer_id, proposed.note)


def _accepted(proposed: Proposal, deposit: Deposit | None) -> Iterator[AcceptedMonth]:
    """The accepted difference of each month, without the part carried forward from earlier months."""
    carried = Decimal(0)
    for month in proposed.months:
        differences = {name: month.difference(name) for name in AMOUNTS}
        if not month.is_wrong and not carried and not any(differences.values()):
            continue
        differences |= {name: differences[name] - carried for name in RUNNING}
        carried += differences["closing_balance"]
        yield AcceptedMonth(
            customer_id=month.stored.customer_id, year_month=month.stored.year_month, **differences,
            calculation_details=month.details, deposit_id=None if deposit is None else deposit.id,
        )  # fmt: skip


def _correct(session: Session, customer_id: int, reason: str) -> None:
    """Correct the calculated readings of the accepted months, and start a run that closes the findings."""
    figures.settle(session)
    bundle = registry.bundle_of(calculation)
    pending = {bundle.name: Touched(owners={customer_id})}
    correcting = correction_of("heal", reason)
    drain(session.connection(), registry, pending, correcting, deferred=registry.bundle_names)
    with suppress(AlreadyRunning):
        request(session, "figures.verify", scope_of(GAS_FIGURES, [customer_id]), is_paced=False)
