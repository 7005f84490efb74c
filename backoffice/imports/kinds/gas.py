"""`import readings`, `prices`, `deposits`: records of metered gas, by the customer's code and the day.

Readings and prices are created and updated by customer and day. A deposit has no number of its own: of those with the
same customer, day and amount the first line matches the first stored one, and so on, so the same file again books
nothing twice. The lines of a merged customer are booked on the surviving customer.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Subquery,
    Text,
    and_,
    case,
    func,
    insert,
    literal,
    select,
    true,
    update,
)
from sqlalchemy.orm import aliased

from ...base import N_, table_of
from ...base.refusals import Locked
from ...base.upserts import upsert
from ...book.queries import locked_until
from ...customers.models import Customer
from ...customers.queries import booked_customers
from ...customers.rules import CODE_LENGTH
from ...gas.fields import DEPOSIT_FIELDS, PRICE_FIELDS, READING_FIELDS
from ...gas.models import Deposit, GasPrice, Reading
from ..files import cells
from ..files.reading import ImportColumn
from ..files.stage import Stage
from ..report import Problem
from .base import Changes, ImportKind, Reads, no_totals, reads
from .billing import lock, unknown_customers
from .field_columns import columns_of

CUSTOMER = ImportColumn("customer_code", cells.text(CODE_LENGTH), Text())
VOLUME = "metered_volume_m3"
"""The name of the metered volume in files, with its unit."""

READINGS = tuple(
    replace(column, name=VOLUME) if column.name == "metered_volume" else column
    for column in columns_of(READING_FIELDS[1:])
)
PRICES, DEPOSITS = columns_of(PRICE_FIELDS), columns_of(DEPOSIT_FIELDS[1:])


def _wanted(stage: Stage, key: Mapping[str, str]) -> Subquery:
    """The lines with their customer's id, and the columns of `key` under their names in the table."""
    customers = booked_customers()
    columns = (stage.c[said].label(name) for name, said in key.items() if stage.has(said))
    joined = stage.lines.join(customers, customers.c.code == stage.c.customer_code)
    where = stage.c.n, stage.c.file, stage.c.line, stage.c.customer_code
    return (
        select(*where, customers.c.id.label("customer_id"), *columns).select_from(joined).subquery()
    )


def _known(stage: Stage, key: Mapping[str, str]) -> Iterator[Problem]:
    """Problems of lines with an unknown customer; locks the known customers, as all writers of gas records do."""
    yield from unknown_customers(stage)
    lock(stage, select(_wanted(stage, key).c.customer_id), Customer)


def _check_days(
    model: Any, key: Mapping[str, str], day: str, sentence: str, stage: Stage
) -> Iterator[Problem]:
    """Problems of repeated lines of one customer and day, also under the codes of merged customers."""
    yield from _known(stage, key)
    wanted = _wanted(stage, key)
    group: dict[str, Any] = {
        "partition_by": (wanted.c.customer_id, wanted.c[day]),
        "order_by": wanted.c.n,
    }
    place, first = func.row_number().over(**group), func.first_value(wanted.c.line).over(**group)
    seen = select(*wanted.c, place.label("place"), first.label("first")).subquery()
    repeats = select(seen.c.file, seen.c.line, seen.c.first).where(seen.c.place > 1)
    yield from stage.problems(repeats.order_by(seen.c.n), key[day], sentence)
    yield from _locked(stage, wanted, key, day, ~_is_stored(wanted, model, key))


def _is_stored(wanted: Subquery, model: Any, key: Mapping[str, str]) -> ColumnElement[bool]:
    """Whether an identical row is stored."""
    names = ("customer_id", *(name for name in key if name in wanted.c))
    same = (getattr(model, name) == wanted.c[name] for name in names)
    return select(model.id).where(*same).exists()


def _locked(
    stage: Stage, lines: Any, key: Mapping[str, str], day: str, is_new: ColumnElement[bool]
) -> Iterator[Problem]:
    """Problems of lines that would change a locked day."""
    if (until := locked_until(stage.session)) is None:
        return
    found = select(lines.c.file, lines.c.line, literal(until.isoformat(), Text).label("until"))
    found = found.where(lines.c[day] <= until, is_new).order_by(lines.c.n)
    yield from stage.problems(found, key[day], Locked.sentence)


def _write_days(model: Any, key: Mapping[str, str], day: str, stage: Stage) -> Changes:
    """Create and update the rows by customer and day, in id order."""
    wanted = _wanted(stage, key)
    given = (wanted.c[name] for name in key if name in wanted.c)
    rows = select(wanted.c.customer_id, *given).order_by(wanted.c.customer_id, wanted.c[day])
    if (
        locked_until(stage.session) is not None
    ):  # the database refuses them even where nothing changes
        rows = rows.where(~_is_stored(wanted, model, key))
    changed = {"version": model.version + 1, "updated_at": func.now()}
    return Changes(*upsert(stage.session, model, rows, "customer_id", day, on_change=changed))


def _by_day(
    name: str, model: Any, columns: Any, key: Mapping[str, str], repeated: str
) -> ImportKind:
    """The kind of file with rows of `model`, one per customer and day."""
    day = next(iter(key))
    own = _of_day(model, key, day, lambda c: getattr(model, day) == c[day])
    return ImportKind(
        name,
        (CUSTOMER, *columns),
        partial(_check_days, model, key, day, repeated),
        partial(_write_days, model, key, day),
        totals=_volumes if model is Reading else no_totals,
        reads=(own, OF_CUSTOMER, *((_price_of(key),) if model is Reading else ())),
    )


OF_CUSTOMER = reads("customer_code", Customer.code)


def _of_day(
    model: Any, key: Mapping[str, str], day: str, is_it: Callable[[Any], ColumnElement[bool]]
) -> Reads:
    """The rows of a customer for which `is_it` holds, named by the customer and the day."""
    return Reads(
        model,
        ("customer_code", day, "customer_id"),
        lambda c: and_(model.customer_id == c.customer_id, is_it(c)),
        lines=partial(_wanted, key=key),
    )


def _price_of(key: Mapping[str, str]) -> Reads:
    """The prices in force on the days of readings."""
    price = aliased(GasPrice)

    def is_in_force(c: Any) -> ColumnElement[bool]:
        last = select(func.max(price.effective_from)).where(
            price.customer_id == c.customer_id, price.effective_from <= c.read_on
        )
        return GasPrice.effective_from == last.scalar_subquery()

    return _of_day(GasPrice, key, "read_on", is_in_force)


def _volumes(stage: Stage) -> Mapping[str, ColumnElement[Any]]:
    return {N_("Metered volume"): func.sum(stage.c[VOLUME])}


_OF_DEPOSIT = {c.name: c.name for c in DEPOSITS}


_SAME_DEPOSIT = ("customer_id", "deposited_on", "amount")


def _placed(rows: Any, others: Any) -> Any:
    """Each row with its position among those of its customer, day and amount.

    Rows with a twin in `others`, which has the same note too, come first: so the order of a file does not matter.
    """
    group = [rows.c[name] for name in _SAME_DEPOSIT]
    order = rows.c.n if "n" in rows.c else rows.c.id
    if "note" not in rows.c or "note" not in others.c:
        place = func.row_number().over(partition_by=group, order_by=order)
        return select(*rows.c, place.label("place")).subquery()
    same = (*_SAME_DEPOSIT, "note")
    theirs = [others.c[name] for name in same]
    counts = select(*theirs, func.count().label("count")).group_by(*theirs).subquery()
    nth = func.row_number().over(partition_by=[rows.c[name] for name in same], order_by=order)
    found = (
        select(*rows.c, nth.label("nth"), func.coalesce(counts.c.count, 0).label("twins"))
        .outerjoin_from(rows, counts, and_(*(counts.c[name] == rows.c[name] for name in same)))
        .subquery()
    )
    c = found.c
    has_twin = c.nth <= c.twins
    place = func.row_number().over(
        partition_by=[c[name] for name in _SAME_DEPOSIT],
        order_by=(has_twin.desc(), case((has_twin, c.note)), c[order.key]),
    )
    return select(*c, place.label("place")).subquery()


def _matched(stage: Stage) -> tuple[Subquery, Any, ColumnElement[bool]]:
    """The lines, the stored deposits of the same days, and the condition that the two are the same deposit."""
    wanted = _wanted(stage, _OF_DEPOSIT)
    table = table_of(Deposit)
    of_same_days = select(table).where(
        select(wanted.c.n)
        .where(
            wanted.c.customer_id == table.c.customer_id,
            wanted.c.deposited_on == table.c.deposited_on,
        )
        .exists()
    )
    held = of_same_days.subquery()
    lines, stored = _placed(wanted, held), _placed(held, wanted)
    names = (*_SAME_DEPOSIT, "place")
    return lines, stored, and_(*(lines.c[name] == stored.c[name] for name in names))


def _check_deposits(stage: Stage) -> Iterator[Problem]:
    """Problems of lines with an unknown customer, and of lines that would change a locked day."""
    yield from _known(stage, _OF_DEPOSIT)
    lines, stored, is_same = _matched(stage)
    is_said = lines.c.note == stored.c.note if "note" in lines.c else true()
    is_new = ~select(stored.c.id).where(is_same, is_said).exists()
    yield from _locked(stage, lines, _OF_DEPOSIT, "deposited_on", is_new)


def _write_deposits(stage: Stage) -> Changes:
    """Update the notes of stored deposits, and insert the others."""
    lines, stored, is_same = _matched(stage)
    table = table_of(Deposit)
    session, updated = stage.session, 0
    if stage.has("note"):
        changed = (
            update(table)
            .where(table.c.id == stored.c.id, is_same, table.c.note != lines.c.note)
            .values(note=lines.c.note, version=table.c.version + 1, updated_at=func.now())
            .returning(table.c.id)
        )
        updated = len(session.scalars(changed).all())
    names = [name for name in ("customer_id", *_OF_DEPOSIT) if name in lines.c]
    missing = select(*(lines.c[name] for name in names)).where(
        ~select(stored.c.id).where(is_same).exists()
    )
    made = insert(table).from_select(names, missing.order_by(lines.c.customer_id, lines.c.n))
    written = made.returning(table.c.id).cte("written")
    return Changes(session.scalars(select(func.count()).select_from(written)).one(), updated)


def _amounts(stage: Stage) -> Mapping[str, ColumnElement[Any]]:
    return {N_("Amount"): func.sum(stage.c.amount)}


KINDS = (
    _by_day(
        "prices", GasPrice, PRICES,
        {c.name: c.name for c in PRICES},
        N_("Line %(first)s has a price of this customer from this day already."),
    ),
    _by_day(
        "readings", Reading, READINGS,
        {c.name.removesuffix("_m3"): c.name for c in READINGS},
        N_("Line %(first)s has a reading of this customer on this day already."),
    ),
    ImportKind(
        "deposits",
        (CUSTOMER, *DEPOSITS),
        _check_deposits,
        _write_deposits,
        totals=_amounts,
        reads=(
            _of_day(Deposit, _OF_DEPOSIT, "deposited_on", lambda c: Deposit.deposited_on == c.deposited_on),
            OF_CUSTOMER,
        ),
    ),
)  # fmt: skip
"""In the order in which a company's files are imported: a reading is priced when it is imported."""
