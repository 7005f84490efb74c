"""`import meters`: meters by number, and their assignments to customers.

A line is one assignment of a meter to a customer; a reassigned meter has a line for each customer. A line without a
customer is the meter alone, and leaves its assignments.
It matches a stored assignment with the same first day; else, active ones and then the latest first,
one without a known first day in file or book, or the active one if the line is active too.
Otherwise it is a new one. An empty cell keeps the stored value; assignments that the files do not
name stay. At most one assignment of a meter is active, so the files that activate another one must
deactivate the former.
"""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Date,
    Integer,
    MetaData,
    Select,
    Table,
    Text,
    and_,
    case,
    cast,
    func,
    insert,
    literal,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import distinct_on

from ...base import N_, periods, table_of
from ...base.languages import in_each_language
from ...base.upserts import upsert
from ...billing.meters.fields import NUMBER
from ...billing.meters.refusals import BeginsLater, DaysOverlap
from ...billing.models import Meter, MeterAssignment
from ...billing.rules import METER_STATES, counts_ahead
from ...customers.models import Customer
from ...customers.queries import booked_customers
from ...customers.rules import CODE_LENGTH, TEXT_LENGTH
from ..files import cells
from ..files.reading import ImportColumn
from ..files.stage import Stage
from ..report import Problem
from .base import Changes, ImportKind, Reads, creates, reads
from .billing import at, lock, number, optional_column, unknown_customers


def _day(name: str) -> ImportColumn:
    return ImportColumn(name, cells.day, Date(), required=False, may_be_empty=True)


def _is_active(cell: str) -> bool:
    """Whether the assignment is active, also by the words of the list of meters."""
    for state, word in METER_STATES.items():
        if cell.casefold() in map(str.casefold, in_each_language(word)):
            return state == "active"
    return cells.yes_or_no(cell)


COLUMNS = (
    ImportColumn("meter_number", number, Text()),
    ImportColumn("customer_code", cells.text(CODE_LENGTH), Text(), may_be_empty=True),
    ImportColumn("is_active", _is_active, Boolean()),
    _day("assigned_from"),
    _day("assigned_to"),
    ImportColumn("description", cells.text(TEXT_LENGTH), Text(), required=False, may_be_empty=True),
)

ASSIGNMENTS = table_of(MeterAssignment)

WANTED = Table(
    "import_wanted_assignments",
    MetaData(),
    Column("n", BigInteger),
    Column("file", Integer),
    Column("line", BigInteger),
    Column("meter_number", Text),
    Column("meter_id", BigInteger),
    Column("customer_id", BigInteger),
    Column("stored_id", BigInteger),
    Column("assigned_from", Date),
    Column("assigned_to", Date),
    Column("is_active", Boolean),
    Column("is_described_anew", Boolean),
    prefixes=["TEMPORARY"],
)
"""The assignments that the lines are to become; `stored_id` is the stored one that a line matches."""

FACTS = ("assigned_from", "assigned_to", "is_active")


def _check(stage: Stage) -> Iterator[Problem]:
    is_dated = ("assigned_from",) if stage.has("assigned_from") else ()
    yield from stage.problems(
        stage.repeated("meter_number", "customer_code", *is_dated),
        "meter_number",
        N_("Line %(first)s says so of this meter and this customer already."),
    )
    yield from unknown_customers(stage)
    yield from stage.problems(
        stage.at().where(stage.c.is_active, stage.c.customer_code.is_(None)),
        "customer_code",
        N_("An active meter needs a customer. Enter the customer’s code, or “no”."),
    )
    if stage.has("description"):
        yield from stage.problems(
            stage.contradicting("description", within="meter_number"),
            "description",
            N_("An earlier line says “%(first)s” of this meter."),
        )
    lock(stage, select(Meter.id).join(stage.lines, stage.c.meter_number == Meter.number), Meter)
    _lay_out(stage)
    yield from stage.problems(
        at(WANTED).where(WANTED.c.assigned_to < WANTED.c.assigned_from),
        "assigned_to",
        N_("The assignment ends before it begins."),
    )
    yield from _ahead(stage)
    yield from _twice_active(stage)
    yield from _overlaps(stage)
    stage.session.execute(text(f"DROP TABLE pg_temp.{WANTED.name}"))


def _ahead(stage: Stage) -> Iterator[Problem]:
    """Problems of lines that would make an assignment count before its first day; one that already does may stay."""
    ahead = counts_ahead(WANTED.c.is_active, WANTED.c.assigned_from, periods.today())
    does_already = (
        select(ASSIGNMENTS.c.id)
        .where(ASSIGNMENTS.c.id == WANTED.c.stored_id, ASSIGNMENTS.c.is_active)
        .where(ASSIGNMENTS.c.assigned_from == WANTED.c.assigned_from)
    )
    yield from stage.problems(
        at(WANTED, WANTED.c.assigned_from.label("day")).where(ahead, ~does_already.exists()),
        "assigned_from" if stage.has("assigned_from") else "is_active",
        BeginsLater.sentence,
    )


def _twice_active(stage: Stage) -> Iterator[Problem]:
    """Problems of lines that would give a meter two active assignments."""
    active = (
        select(
            *WANTED.c,
            func.row_number().over(partition_by=WANTED.c.meter_number, order_by=WANTED.c.n).label("place"),
            func.first_value(WANTED.c.line)
            .over(partition_by=WANTED.c.meter_number, order_by=WANTED.c.n)
            .label("first"),
        )
        .where(WANTED.c.is_active)
        .subquery()
    )  # fmt: skip
    yield from stage.problems(
        at(active, active.c.first).where(active.c.place > 1),
        "is_active",
        N_("A meter is one customer’s at a time, and in line %(first)s it is active already."),
    )
    named = select(WANTED.c.stored_id).where(WANTED.c.stored_id == MeterAssignment.id)
    yield from stage.problems(
        at(active, active.c.meter_number.label("value"), Customer.code.label("customer"))
        .join(MeterAssignment, MeterAssignment.meter_id == active.c.meter_id)
        .join(Customer, Customer.id == MeterAssignment.customer_id)
        .where(MeterAssignment.is_active, ~named.exists()),
        "meter_number",
        N_(
            "Meter %(value)s is actively %(customer)s’s. Deactivate that in the same file by a line "
            "with “no”, or leave this line out."
        ),
    )


def _overlaps(stage: Stage) -> Iterator[Problem]:
    """Problems of lines with days that overlap another assignment of the meter.

    Unknown days overlap with nothing: a file may give no more than the customer of a meter.
    """
    facts = ("assigned_from", "assigned_to")
    named = select(WANTED.c.stored_id).where(WANTED.c.stored_id == MeterAssignment.id).exists()
    stored = (
        select(literal(-1), Meter.number, Customer.code, *(ASSIGNMENTS.c[name] for name in facts))
        .select_from(MeterAssignment)
        .join(Meter, Meter.id == MeterAssignment.meter_id)
        .join(Customer, Customer.id == MeterAssignment.customer_id)
        .where(Meter.id.in_(select(WANTED.c.meter_id)), ~named)
    )
    other = (
        select(
            WANTED.c.n, WANTED.c.meter_number, Customer.code, *(WANTED.c[name] for name in facts)
        )
        .join(Customer, Customer.id == WANTED.c.customer_id)
        .union_all(stored)
        .subquery()
    )
    first, last = (
        bound(WANTED.c[name], other.c[name])
        for bound, name in zip((func.greatest, func.least), facts, strict=True)
    )
    days = func.concat_ws(" – ", *(func.coalesce(cast(other.c[n], Text), "…") for n in facts))
    are_known = (func.num_nonnulls(*(side.c[n] for n in facts)) > 0 for side in (WANTED, other))
    yield from stage.problems(
        at(WANTED, other.c.meter_number.label("number"), other.c.code.label("customer"), days.label("days"))
        .join(other, other.c.meter_number == WANTED.c.meter_number)
        .where(other.c.n < WANTED.c.n, *are_known, first <= last),
        "assigned_from" if stage.has("assigned_from") else "assigned_to",
        DaysOverlap.sentence,
    )  # fmt: skip


def _lay_out(stage: Stage) -> None:
    """Store in `WANTED` the assignment that each line matches, and what it is to become."""
    WANTED.create(stage.session.connection())
    lines, stored = _lines(stage).cte("said"), _stored(stage).cte("stored")
    beginning = _matched(lines, stored, is_same_day=True).cte("beginning")
    rest = [
        select(*rows.c)
        .where(~select(beginning.c[key]).where(beginning.c[key] == rows.c[key]).exists())
        .cte(f"other_{rows.name}")
        for rows, key in ((lines, "n"), (stored, "id"))
    ]
    others = _matched(*rest, is_same_day=False).cte("others")
    found = select(beginning).union_all(select(others)).cte("found")
    is_reactivated = and_(lines.c.is_active, ~MeterAssignment.is_active)
    until = func.coalesce(lines.c.assigned_to, MeterAssignment.assigned_to)
    rows = (
        select(
            *(lines.c[name] for name in ("n", "file", "line", "meter_number", "meter_id")),
            lines.c.customer_id,
            found.c.id,
            func.coalesce(lines.c.assigned_from, MeterAssignment.assigned_from),
            case((is_reactivated, lines.c.assigned_to), else_=until),
            lines.c.is_active,
            lines.c.is_described_anew,
        )
        .select_from(lines)
        .outerjoin(found, found.c.n == lines.c.n)
        .outerjoin(MeterAssignment, MeterAssignment.id == found.c.id)
    )
    stage.session.execute(insert(WANTED).from_select(list(WANTED.c.keys()), rows))
    stage.session.execute(text(f"ANALYZE pg_temp.{WANTED.name}"))


def _lines(stage: Stage) -> Select[Any]:
    customers = booked_customers()
    days = (
        cast(optional_column(stage, name), Date).label(name)
        for name in ("assigned_from", "assigned_to")
    )
    is_described_anew = func.coalesce(
        optional_column(stage, "description") != Meter.description, False
    )
    return (
        select(
            *(stage.c[name] for name in ("n", "file", "line", "meter_number", "is_active")),
            *days,
            customers.c.id.label("customer_id"),
            Meter.id.label("meter_id"),
            is_described_anew.label("is_described_anew"),
        )
        .select_from(stage.lines)
        .join(customers, customers.c.code == stage.c.customer_code)
        .outerjoin(Meter, Meter.number == stage.c.meter_number)
    )


def _stored(stage: Stage) -> Select[Any]:
    """The stored assignments of the meters that the files name."""
    named = select(stage.c.meter_number).where(stage.c.meter_number == Meter.number).exists()
    facts = (getattr(MeterAssignment, name) for name in ("id", "meter_id", "customer_id", *FACTS))
    return select(*facts).join(Meter, Meter.id == MeterAssignment.meter_id).where(named)


def _matched(lines: Any, stored: Any, *, is_same_day: bool) -> Select[Any]:
    """(n, id) of lines and assignments that match: the nth of each, the active and the latest first."""
    owner = ("meter_id", "customer_id", *(("assigned_from",) if is_same_day else ()))

    def placed(rows: Any, last: Any) -> Any:
        latest = rows.c.assigned_from.desc().nulls_last()
        place = func.row_number().over(
            partition_by=[rows.c[name] for name in owner],
            order_by=(rows.c.is_active.desc(), latest, last),
        )
        found = select(*rows.c, place.label("place"))
        return (found.where(rows.c.assigned_from.is_not(None)) if is_same_day else found).subquery()

    line, one = placed(lines, lines.c.n), placed(stored, stored.c.id)
    same = [line.c[name] == one.c[name] for name in (*owner, "place")]
    if not is_same_day:
        is_open = or_(line.c.assigned_from.is_(None), one.c.assigned_from.is_(None))
        same.append(or_(is_open, and_(line.c.is_active, one.c.is_active)))
    return select(line.c.n, one.c.id).join(one, and_(*same))


def _apply(stage: Stage) -> Changes:
    """Write the assignments. Deactivates first: at most one assignment of a meter is active."""
    session = stage.session
    _lay_out(stage)
    counts = zip(*(session.execute(rows).one() for rows in (_counts(), _alone(stage))), strict=True)
    changes = Changes(*map(sum, counts))
    _upsert_meters(stage)
    for is_active in (False, True):
        session.execute(_changed(is_active))
    names = ("customer_id", *FACTS)
    new = select(Meter.id, *(WANTED.c[name] for name in names)).join_from(
        WANTED, Meter, Meter.number == WANTED.c.meter_number
    )
    new = new.where(WANTED.c.stored_id.is_(None)).order_by(WANTED.c.n)
    session.execute(insert(ASSIGNMENTS).from_select(["meter_id", *names], new))
    session.execute(text(f"DROP TABLE pg_temp.{WANTED.name}"))
    return changes


def _counts() -> Select[int, int]:
    """How many lines create an assignment, and how many change one or its meter."""
    is_new = WANTED.c.stored_id.is_(None)
    is_other = or_(_differs(), WANTED.c.is_described_anew)
    return select(
        func.count().filter(is_new), func.count().filter(and_(~is_new, is_other))
    ).select_from(
        WANTED.outerjoin(ASSIGNMENTS, ASSIGNMENTS.c.id == WANTED.c.stored_id),
    )


def _alone(stage: Stage) -> Select[int, int]:
    """How many lines without a customer create a meter, and how many describe one anew."""
    is_other = optional_column(stage, "description") != Meter.description
    return (
        select(func.count().filter(Meter.id.is_(None)), func.count().filter(is_other))
        .select_from(stage.lines)
        .outerjoin(Meter, Meter.number == stage.c.meter_number)
        .where(stage.c.customer_code.is_(None))
    )


def _differs() -> ColumnElement[bool]:
    return or_(*(ASSIGNMENTS.c[name].is_distinct_from(WANTED.c[name]) for name in FACTS))


def _changed(is_active: bool) -> Any:
    return (
        update(ASSIGNMENTS)
        .where(ASSIGNMENTS.c.id == WANTED.c.stored_id, _differs())
        .where(WANTED.c.is_active == is_active)
        .values(
            {name: WANTED.c[name] for name in FACTS}
            | {"version": ASSIGNMENTS.c.version + 1, "updated_at": func.now()}
        )
    )


def _upsert_meters(stage: Stage) -> None:
    """Create missing meters, and set each description from the first line that has one."""
    says = optional_column(stage, "description")
    meters = (
        select(
            stage.c.meter_number.label("number"),
            func.coalesce(says, Meter.description, "").label("description"),
        )
        .select_from(stage.lines)
        .outerjoin(Meter, Meter.number == stage.c.meter_number)
        .order_by(stage.c.meter_number, says.is_(None), stage.c.n)
        .ext(distinct_on(stage.c.meter_number))
    )
    changed = {"version": Meter.version + 1, "updated_at": func.now()}
    upsert(stage.session, Meter, meters, "number", on_change=changed)


def _is_assignment(c: Any) -> ColumnElement[bool]:
    meter = select(Meter.id).where(Meter.number == c.meter_number).scalar_subquery()
    return MeterAssignment.meter_id == meter


KIND = ImportKind(
    "meters", COLUMNS, _check, _apply, together="meter_number", creates=creates("meter_number", NUMBER),
    reads=(
        reads("meter_number", Meter.number), Reads(MeterAssignment, ("meter_number",), _is_assignment),
        reads("customer_code", Customer.code),
    ),
)  # fmt: skip
