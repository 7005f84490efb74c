"""`import order-lines`: the lines of stored orders.

The rule: for every order and kind that the files name, they hold *all* the order's lines of that
kind. The first such line of the files becomes the first stored line of the kind, and so on; what is
stored beyond them is removed, and kinds of the order that the files do not name are left alone. So
the same file again changes nothing, and a corrected file needs no numbers of lines. A line takes
the position that it has among all of the order's lines in the files. Without the column
`product_code` a line keeps its product as long as it keeps its description.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, cast

from sqlalchemy import (
    CTE,
    BigInteger,
    Column,
    ColumnElement,
    Integer,
    MetaData,
    Numeric,
    Table,
    Text,
    and_,
    case,
    delete,
    func,
    insert,
    literal,
    or_,
    select,
    text,
    update,
)

from ...base import N_, money
from ...orders.figures import amount_of_line
from ...orders.models import Order, OrderLine
from ...orders.rules import DESCRIPTION_LENGTH, MOST_LINES
from ...products.choosing import InactiveProduct
from ...products.models import Product
from ...products.rules import CODE_LENGTH, SOLD_AS
from ..files import cells
from ..files.reading import ImportColumn
from ..files.stage import Stage
from ..report import Problem
from .base import Changes, ImportKind, Reads, reads
from .billing import at, lock
from .orders import negative_totals, number

COLUMNS = (
    ImportColumn("order_number", number, Text()),
    ImportColumn("kind", cells.one_of(SOLD_AS), Text()),
    ImportColumn(
        "description", cells.text(DESCRIPTION_LENGTH), Text(), may_be_empty=True, empty=""
    ),
    ImportColumn("quantity", cells.quantity, Numeric(15, 3)),
    ImportColumn("unit_price", cells.unit_price, Numeric(15, 4)),
    ImportColumn(
        "product_code",
        cells.text(CODE_LENGTH),
        Text(),
        required=False,
        may_be_empty=True,
        empty="",
    ),
)

WANTED = Table(
    "import_wanted_lines",
    MetaData(),
    Column("order_id", BigInteger),
    Column("kind", Text),
    Column("nth", Integer),
    Column("position", Integer),
    Column("product_id", BigInteger),
    Column("description", Text),
    Column("quantity", Numeric(15, 3)),
    Column("unit_price", Numeric(15, 4)),
    prefixes=["TEMPORARY"],
)
"""The lines to be stored; `nth` counts an order's lines of one kind from 1."""

FACTS = ("position", "product_id", "description", "quantity", "unit_price")
LINES = cast(Table, OrderLine.__table__)
NTH = func.row_number().over(
    partition_by=(LINES.c.order_id, LINES.c.kind), order_by=(LINES.c.position, LINES.c.id)
)
"""The number of a stored line among those of its order and kind, from 1."""


def _check(stage: Stage) -> Iterator[Problem]:
    """Check the lines. Locks the orders first, against concurrent changes of their lines."""
    lock(stage, select(Order.id).join(stage.lines, stage.c.order_number == Order.number), Order)
    yield from stage.problems(
        stage.unknown("order_number", Order.number.expression),
        "order_number",
        N_("There is no order %(value)s. Import the orders first."),
    )
    if stage.has("product_code"):
        known = Product.code.expression
        yield from stage.problems(
            stage.unknown("product_code", known).where(stage.c.product_code != ""),
            "product_code",
            N_("There is no product %(value)s. Import the products first."),
        )
        yield from _not_sold(stage)
    yield from _too_many(stage)
    yield from _too_large(stage)


def _not_sold(stage: Stage) -> Iterator[Problem]:
    """Problems of lines that add an inactive product to an open order; stored ones may be repeated."""
    nth = func.row_number().over(
        partition_by=(stage.c.order_number, stage.c.kind), order_by=stage.c.n
    )
    said = (stage.c[name] for name in ("n", "order_number", "kind", "product_code"))
    lines = stage.at(*said, nth.label("nth")).subquery()
    ids = select(Order.id).where(Order.number.in_(select(stage.c.order_number)))
    stored = (
        select(LINES.c.order_id, LINES.c.kind, LINES.c.product_id, NTH.label("nth"))
        .where(LINES.c.order_id.in_(ids))
        .subquery()
    )
    is_its_place = and_(*(stored.c[name] == lines.c[name] for name in ("kind", "nth")))
    rows = (
        at(lines, lines.c.product_code.label("code"))
        .join(Order, Order.number == lines.c.order_number)
        .join(Product, Product.code == lines.c.product_code)
        .outerjoin(stored, and_(stored.c.order_id == Order.id, is_its_place))
        .where(
            ~Product.is_active,
            Order.closing_date.is_(None),
            stored.c.product_id.is_distinct_from(Product.id),
        )
    )
    yield from stage.problems(rows, "product_code", InactiveProduct.sentence)


def _too_many(stage: Stage) -> Iterator[Problem]:
    """Problems of orders with too many lines, including stored ones of kinds that the files do not name."""
    named = select(Order.id, Order.number, stage.c.kind).join(
        stage.lines, stage.c.order_number == Order.number
    )
    kinds = named.distinct().subquery()
    orders = select(kinds.c.id, kinds.c.number).distinct().subquery()
    others = (
        select(orders.c.number, func.count().label("count"))
        .join(LINES, LINES.c.order_id == orders.c.id)
        .outerjoin(kinds, and_(kinds.c.id == orders.c.id, kinds.c.kind == LINES.c.kind))
        .where(kinds.c.id.is_(None))
        .group_by(orders.c.number)
        .subquery()
    )
    place = func.row_number().over(partition_by=stage.c.order_number, order_by=stage.c.n)
    free = MOST_LINES - func.coalesce(others.c.count, 0)
    counted = (
        stage.at(place.label("place"), free.label("free"))
        .outerjoin(others, others.c.number == stage.c.order_number)
        .subquery()
    )
    yield from stage.problems(
        select(counted.c.file, counted.c.line, literal(f"{MOST_LINES:,}").label("count")).where(
            counted.c.place == func.greatest(counted.c.free, 0) + 1
        ),
        "order_number",
        N_("An order has at most %(count)s lines. Split it in two."),
    )


def _too_large(stage: Stage) -> Iterator[Problem]:
    """Problems of totals per order and kind that are too large for their column."""
    amount = amount_of_line(stage.c.quantity, stage.c.unit_price)
    first = (
        select(func.min(stage.c.n))
        .group_by(stage.c.order_number, stage.c.kind)
        .having(func.sum(amount) > money.max_amount())
        .scalar_subquery()
    )
    yield from stage.problems(
        stage.at().where(stage.c.n.in_(first)),
        "unit_price",
        N_("This comes to more than can be stored. Check the quantities and the prices."),
    )


def _apply(stage: Stage) -> Changes:
    """Write the lines. Removes first: stored lines are matched by their position among those that stay."""
    session = stage.session
    WANTED.create(session.connection())
    session.execute(insert(WANTED).from_select(list(WANTED.c.keys()), _wanted(stage)))
    session.execute(text(f"ANALYZE pg_temp.{WANTED.name}"))
    touched: Counter[int] = Counter()
    counts = []
    for statement in (_removed(), _changed(stage), _added()):
        written = statement.returning(LINES.c.order_id).cte("written")
        rows = session.execute(
            select(written.c.order_id, func.count()).group_by(written.c.order_id)
        ).all()
        counts.append(sum(count for _, count in rows))
        touched.update(order_id for order_id, _ in rows)
    _count_version(stage, sorted(touched))
    session.execute(text(f"DROP TABLE pg_temp.{WANTED.name}"))
    removed, updated, created = counts
    return Changes(created, updated, removed)


def _wanted(stage: Stage) -> Any:
    place = func.row_number()
    product: Any = literal(None, BigInteger)
    if stage.has("product_code"):
        product = select(Product.id).where(Product.code == stage.c.product_code).scalar_subquery()
    return select(
        Order.id,
        stage.c.kind,
        place.over(partition_by=(Order.id, stage.c.kind), order_by=stage.c.n),
        place.over(partition_by=Order.id, order_by=stage.c.n) - 1,
        product,
        stage.c.description,
        stage.c.quantity,
        stage.c.unit_price,
    ).join(Order, Order.number == stage.c.order_number)


def _stored() -> CTE:
    """The stored lines of the orders and kinds that the files name, numbered as in WANTED."""
    named = select(WANTED.c.order_id, WANTED.c.kind).distinct().subquery()
    return (
        select(LINES.c.id, LINES.c.order_id, LINES.c.kind, NTH.label("nth"))
        .join(named, and_(named.c.order_id == LINES.c.order_id, named.c.kind == LINES.c.kind))
        .cte("stored")
    )


def _same(stored: CTE) -> Any:
    return and_(*(stored.c[name] == WANTED.c[name] for name in ("order_id", "kind", "nth")))


def _removed() -> Any:
    stored = _stored()
    is_wanted = select(WANTED.c.nth).where(_same(stored)).exists()
    return delete(LINES).where(LINES.c.id.in_(select(stored.c.id).where(~is_wanted)))


def _changed(stage: Stage) -> Any:
    stored = _stored()
    wanted: dict[str, Any] = {name: WANTED.c[name] for name in FACTS}
    if not stage.has("description"):
        wanted["description"] = LINES.c.description
    if not stage.has("product_code"):
        is_same = LINES.c.description == wanted["description"]
        wanted["product_id"] = case((is_same, LINES.c.product_id))
    return (
        update(LINES)
        .where(LINES.c.id == stored.c.id, _same(stored))
        .where(or_(*(LINES.c[name].is_distinct_from(value) for name, value in wanted.items())))
        .values(wanted)
    )


def _added() -> Any:
    stored = _stored()
    is_stored = select(stored.c.id).where(_same(stored)).exists()
    names = ("order_id", "kind", *FACTS)
    missing = select(*(WANTED.c[name] for name in names)).where(~is_stored)
    ordered = missing.order_by(WANTED.c.order_id, WANTED.c.position)
    return insert(LINES).from_select(list(names), ordered)


def _count_version(stage: Stage, order_ids: list[int]) -> None:
    """Increment the versions of these orders, so that editors with one of them open get a conflict."""
    stage.session.execute(
        update(Order)
        .where(Order.id == func.any(order_ids))
        .values(version=Order.version + 1, updated_at=func.now())
        .execution_options(synchronize_session=False)
    )


def _check_result(stage: Stage) -> Iterator[Problem]:
    return negative_totals(stage, "order_number")


def _totals(stage: Stage) -> Mapping[str, ColumnElement[Any]]:
    amount = amount_of_line(stage.c.quantity, stage.c.unit_price)
    return {
        N_("Quantity"): func.sum(stage.c.quantity),
        N_("Line amount"): func.sum(amount),
    }


def _is_line(c: Any) -> ColumnElement[bool]:
    order = select(Order.id).where(Order.number == c.order_number).scalar_subquery()
    return and_(OrderLine.order_id == order, OrderLine.kind == c.kind)


KIND = ImportKind(
    "order-lines",
    COLUMNS,
    _check,
    _apply,
    _check_result,
    together="order_number",
    totals=_totals,
    reads=(
        reads("order_number", Order.number),
        Reads(OrderLine, ("order_number", "kind"), _is_line),
        reads("product_code", Product.code),
    ),
)
