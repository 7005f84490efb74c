"""The statement of a customer or a meter: on screen, for printing, and as a file."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from flask import Response, request, url_for
from flask_babel import gettext as _
from sqlalchemy import select

from ... import lists
from ...app.extensions import db
from ...base import N_, counted, periods
from ...base.periods import Month, read_day
from ...base.refusals import Refusal
from ...customers.models import Customer
from ...customers.screens import screens as customers
from ...drift.marks import FINDINGS, Marks, marks
from ...lists import Column, List, Said
from ...lists.marking import Mark
from ...records.former_addresses import leave_for_present
from ...security.permissions import requires
from ...web.formats import day_filter, money_filter
from ...web.htmx import render
from ...web.paging import PAGE_SIZE, Page, page_number
from .. import queries
from ..figures import customer_balance, invoice_amount
from ..meters.documents import record_url
from ..meters.queries import figures_of
from ..meters.records import METER
from ..models import Invoice, Meter
from ..of_customers import MOST_LOOKED_AT
from ..views import bp
from . import queries as statements
from .queries import Period, StatementLine, Summary

PERIODS = {
    "this_month": N_("This month"),
    "last_month": N_("Last month"),
    "this_year": N_("This year"),
    "all": N_("Everything"),
}
"""Named period → its name on screen; a user may choose two days instead."""

USUAL = "this_year"

MOST_PRINTED = 1_000
"""The most documents on the page for printing; a file holds all."""

UNCOUNTED_SHOWN = 20


class NoSuchDay(Refusal):
    """A day of the period cannot be read."""

    sentence = N_("This is not a day: %(days)s. Choose the days again.")


@dataclass(frozen=True)
class RequestedPeriod:
    """The requested period, by its name, and the error of what was typed.

    `unread` is a typed text that is not a day.
    """

    name: str
    period: Period
    problem: str = ""
    unread: str = ""

    @property
    def as_query(self) -> Mapping[str, str]:
        """The URL arguments of this period."""
        if self.name != "days":
            return {"period": self.name}
        days = (("since", self.period.since), ("until", self.period.until))
        return {"period": "days", **{name: day.isoformat() for name, day in days if day}}

    @property
    def in_words(self) -> str:
        """The days of the period as text."""
        since, until = self.period.since, self.period.until
        if since and until:
            return f"{day_filter(since)} – {day_filter(until)}"
        if since:
            return str(_("from %(day)s", day=day_filter(since)))
        return str(_("up to %(day)s", day=day_filter(until)) if until else _("Everything"))


@dataclass(frozen=True)
class StatementOwner:
    """The customer or the meter that a statement is for."""

    customer: Customer | None
    meter: Meter | None
    meters: Sequence[int]

    @property
    def name(self) -> str:
        """The meter's number, or the customer's code and name."""
        if self.meter is not None:
            return self.meter.number
        assert self.customer is not None
        return f"{self.customer.code} · {self.customer.name}"

    @property
    def file_name(self) -> str:
        """The name of its files, from the meter's number or the customer's code."""
        owner = self.meter or self.customer
        key = owner.number if isinstance(owner, Meter) else owner.code if owner else ""
        return "statement-" + re.sub(r"[^\w.-]+", "-", key).strip("-.")

    @property
    def owed(self) -> Decimal:
        """The stored net balance."""
        owner = self.meter or self.customer
        assert owner is not None
        return owner.net_balance

    def url(self, endpoint: str = "", **query: Any) -> str:
        """The URL of the statement; with the prefix `export_`, of its file."""
        if self.meter is not None:
            return url_for(f"billing.{endpoint}meter_statement", number=self.meter.number, **query)
        assert self.customer is not None
        return url_for(f"billing.{endpoint}statement", code=self.customer.code, **query)


@bp.get("/customers/<path:code>/statement")
@requires("billing.read")
def statement(code: str) -> Response:
    """The statement of a customer."""
    return _page(_of_customer(code))


@bp.get("/customers/<path:code>/statement.<flavour>")
@requires("billing.read")
@lists.limited
def export_statement(code: str, flavour: str) -> Response:
    """The statement of a customer as a file."""
    return _export(_of_customer(code), flavour)


@bp.get("/meters/<path:number>/statement")
@requires("billing.read")
def meter_statement(number: str) -> Response:
    """The statement of one meter."""
    return _page(_of_meter(number))


@bp.get("/meters/<path:number>/statement.<flavour>")
@requires("billing.read")
@lists.limited
def export_meter_statement(number: str, flavour: str) -> Response:
    """The statement of a meter as a file."""
    return _export(_of_meter(number), flavour)


def _of_customer(code: str) -> StatementOwner:
    customer = customers.found(code)
    return StatementOwner(customer, None, statements.meters_of_customer(db.session(), customer))


def _of_meter(number: str) -> StatementOwner:
    meter = queries.meter_of(db.session(), number) or leave_for_present(METER, number)
    owner = next((each.customer for each in meter.assignments if each.is_active), None)
    return StatementOwner(owner, meter, [meter.id])


def _page(subject: StatementOwner) -> Response:
    asked, session = _requested_period(), db.session()
    summary = statements.summary_of(session, subject.meters, asked.period)
    is_printed = "print" in request.args
    size = MOST_PRINTED if is_printed else PAGE_SIZE
    last = max(1, -(-summary.count // size))
    number = 1 if is_printed else min(page_number(request.args.get("page")), last)
    lines = statements.lines_of(
        session, subject.meters, asked.period, limit=size, offset=(number - 1) * size
    )
    known = _marks(subject)
    carried = lines[0].before if lines else summary.opening
    return render(
        "billing/statement.html",
        block="statement",
        subject=subject,
        asked=asked,
        summary=summary,
        page=Page(lines, number, size, summary.count),
        carried=carried,
        is_printed=is_printed,
        tie=_tie_out(subject, summary, is_doubted=bool(known)),
        marks=known,
        uncounted=_uncounted(subject),
        today=periods.today(),
        UNCOUNTED_SHOWN=UNCOUNTED_SHOWN,
        PERIODS=PERIODS,
        KINDS=statements.KINDS,
        url_of=_url_of,
    )


def _uncounted(subject: StatementOwner) -> statements.Uncounted | None:
    """The customer's documents without a meter; None for the statement of a meter."""
    if subject.meter is not None or subject.customer is None:
        return None
    return statements.not_counted_yet(db.session(), subject.customer, limit=UNCOUNTED_SHOWN)


def _url_of(line: StatementLine) -> str | None:
    return record_url(statements.TABLES[line.kind], line.number)


def _marks(subject: StatementOwner) -> Marks:
    """The marks of wrong stored amounts behind the statement; only the first meters are verified anew."""
    meters = figures_of(subject.meters[:MOST_LOOKED_AT])
    if subject.meter is None and subject.customer is not None:
        meters[customer_balance] = [subject.customer.id]
    invoices = select(Invoice.id).where(Invoice.meter_id.in_(subject.meters))
    wrong = FINDINGS.of_owners(invoice_amount.name, invoices).finding
    found = db.session.scalar(select(wrong))
    seen = marks(meters)
    if found is None:
        return seen
    of_invoice = (invoice_amount.name, "amount", (str(found),))
    return Marks({**seen.places, of_invoice: Mark(FINDINGS.address(found))})


def _tie_out(subject: StatementOwner, summary: Summary, *, is_doubted: bool) -> str:
    """A sentence that compares the closing amount with the stored balance; it states only what was tested."""
    owner = subject.meter or subject.customer
    assert owner is not None
    values = {
        "balance": money_filter(owner.balance, symbol=True),
        "overpayment": money_filter(owner.overpayment, symbol=True),
        "rest": money_filter(summary.beyond, symbol=True),
        "total": money_filter(summary.total, symbol=True),
    }
    stored = _(
        "Stored are a balance of %(balance)s and an overpayment of %(overpayment)s.", **values
    )
    if summary.total != subject.owed:
        wrong = _("All documents come to %(total)s, which is not what is stored.", **values)
        cure = _("Recalculate the customer to put that right.")
        return f"{wrong} {stored} {cure}"
    if is_doubted:
        doubt = _("Not every stored total behind this statement is right.")
        return f"{stored} {doubt}"
    if summary.closing == summary.total:
        exactly = _("The closing amount is exactly the one less the other.")
        return f"{stored} {exactly}"
    later = _(
        "Documents after this period come to %(rest)s, and all of them to %(total)s.", **values
    )
    exactly = _("The former is exactly the one less the other.")
    return f"{later} {stored} {exactly}"


# The period


def _requested_period() -> RequestedPeriod:
    """The period that the URL requests; unusable parts are ignored, with an error sentence."""
    name = request.args.get("period", "")
    since, until = (read_day(text) for text in _typed_days())
    month, today = Month.current(), periods.today()
    named = {
        "this_month": Period(month.first, month.last),
        "last_month": Period(month.previous.first, month.previous.last),
        "this_year": Period(date(today.year, 1, 1), date(today.year, 12, 31)),
        "all": Period(),
    }
    if name in named:
        return RequestedPeriod(name, named[name])
    unread, problem = _unread(), ""
    if unread:
        problem = _(NoSuchDay.sentence, days=unread)
    if not (since or until) and (name != "days" or unread):
        return RequestedPeriod(USUAL, named[USUAL], problem, unread)
    if since and until and since > until:
        return RequestedPeriod(
            "days", Period(until, since), _("The days were the wrong way round.")
        )
    return RequestedPeriod("days", Period(since, until), problem, unread)


def _unread() -> str:
    """The texts in the URL that should be days and are not."""
    return ", ".join(text for text in _typed_days() if text and read_day(text) is None)


def _typed_days() -> list[str]:
    return [request.args.get(name, "").strip()[:20] for name in ("since", "until")]


# Files


def _export(subject: StatementOwner, flavour: str) -> Response:
    asked = _requested_period()
    if asked.unread:
        raise NoSuchDay(days=asked.unread)
    summary = statements.summary_of(db.session(), subject.meters, asked.period)
    return lists.export(_listing(subject, asked, summary), flavour)


def _listing(subject: StatementOwner, asked: RequestedPeriod, summary: Summary) -> List:
    """The whole period as a list, for files; its filters write the control totals."""
    rows = statements.running_balances(subject.meters, asked.period)
    return List(
        subject.file_name,
        N_("Statement"),
        "billing.statement",
        rows=lambda _user: select().select_from(rows),
        key=rows.c.position,
        columns=(
            Column("day", N_("Day"), rows.c.day, kind="day"),
            Column("kind", N_("Document"), rows.c.kind, words=statements.KINDS),
            Column("number", N_("Number"), rows.c.number),
            Column("meter", N_("Meter"), rows.c.meter),
            Column("note", N_("Note"), rows.c.note),
            Column("due_on", N_("Due"), rows.c.due_on, kind="day"),
            Column("amount", N_("Amount"), rows.c.amount, kind="money", total=True),
            Column("balance", N_("Balance"), rows.c.balance, kind="money"),
            Column("position", N_("Position"), rows.c.position, kind="number", is_shown=False),
        ),
        filters=tuple(_control_totals(subject, asked, summary)),
        default_sort="position",
        counted=counted("%(num)s document", "%(num)s documents"),
        is_computed=True,
    )


def _control_totals(
    subject: StatementOwner, asked: RequestedPeriod, summary: Summary
) -> Iterator[Said]:
    yield Said("owner", N_("Meter") if subject.meter else N_("Customer"), subject.name)
    yield Said("period", N_("Period"), asked.in_words)
    yield Said("opening", N_("Opening"), money_filter(summary.opening))
    yield Said("closing", N_("Closing"), money_filter(summary.closing))
