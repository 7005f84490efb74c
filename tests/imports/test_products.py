"""Importing the price list, and lines that name products."""

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from backoffice.demo.fitting import fitted
from backoffice.demo.loading import FILES
from backoffice.imports.importing import import_files
from backoffice.imports.kinds import KINDS
from backoffice.orders.models import Order
from backoffice.products.models import Product
from tests.factories.orders import OrderFactory
from tests.factories.products import ProductFactory

Write = Callable[..., Path]
Import = Callable[..., dict[str, Any]]
Problems = Callable[..., list[tuple[int, str, str]]]

HEADER = "code,name,kind,unit,effective_from,unit_price"
LINES = "order_number,kind,description,quantity,unit_price"


def product(session: Any, code: str) -> Product:
    session.rollback()
    found: Product = session.scalars(select(Product).where(Product.code == code)).one()
    return found


def prices(session: Any, code: str) -> dict[date, str]:
    return {p.effective_from: str(p.unit_price) for p in product(session, code).prices}


def counts(report: dict[str, Any]) -> tuple[int, int, int]:
    return report["created"], report["updated"], report["unchanged"]


def test_products_come_with_their_prices_and_again_change_nothing(
    write: Write, import_: Import, session: Any
) -> None:
    file = write(
        "products.csv",
        HEADER,
        "TEA,Green tea,,box,2026-01-01,10",
        "TEA,Green tea,,box,2026-03-01,12.5",
        "FREIGHT,Freight,addition,,,",
    )
    assert counts(import_("products", file)) == (3, 0, 0)
    tea, freight = product(session, "TEA"), product(session, "FREIGHT")
    assert (tea.kind, tea.unit, freight.kind) == ("package", "box", "addition")
    assert prices(session, "TEA") == {date(2026, 3, 1): "12.5000", date(2026, 1, 1): "10.0000"}
    assert prices(session, "FREIGHT") == {}
    assert counts(import_("products", file)) == (0, 0, 3)
    assert product(session, "TEA").version == 1


def test_what_the_file_lacks_stays(write: Write, import_: Import, session: Any) -> None:
    ProductFactory(code="TEA", name="Old", unit="tin", is_active=False, prices={"2026-01-01": "9"})
    session.commit()
    assert counts(import_("products", write("p.csv", "code,name", "TEA,New"))) == (0, 1, 0)
    tea = product(session, "TEA")
    assert (tea.name, tea.unit, tea.is_active, tea.version) == ("New", "tin", False, 2)
    assert prices(session, "TEA") == {date(2026, 1, 1): "9.0000"}
    changed = write("q.csv", "code,name,effective_from,unit_price", "TEA,New,2026-01-01,9.5")
    assert counts(import_("products", changed)) == (0, 1, 0)
    assert prices(session, "TEA") == {date(2026, 1, 1): "9.5000"}


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (
            ["TEA,Tea,,,2026-01-01,", "CUPS,Cups,,,,5"],
            [
                (2, "effective_from", "A price needs both"),
                (3, "unit_price", "A price needs both"),
            ],
        ),
        (
            ["TEA,Tea,,,2026-01-01,1", "TEA,Tea,,,2026-01-01,2"],
            [(3, "effective_from", "Line 2 has a price of this product from this day already.")],
        ),
        (
            ["TEA,Tea,,,2026-01-01,1", "TEA,Green tea,,,2026-02-01,2"],
            [(3, "name", "An earlier line says “Tea” of this product.")],
        ),
        (["new,Tea,,,,"], [(2, "code", "This cannot be part of a web address.")]),
        (["TEA,Tea,gift,,,"], [(2, "kind", "Enter one of these:")]),
        (["TEA,Tea,,,2026-02-30,1"], [(2, "effective_from", "There is no such day.")]),
        (["TEA,Tea,,,2026-02-01,-1"], [(2, "unit_price", "This is too small")]),
        (["TEA,,,,,"], [(2, "name", "This must not be empty.")]),
    ],
)
def test_a_bad_line_is_named_and_nothing_is_imported(
    write: Write,
    problems: Problems,
    session: Any,
    lines: list[str],
    expected: list[tuple[int, str, str]],
) -> None:
    found = problems("products", write("products.csv", HEADER, "GOOD,Good,,,,", *lines))
    shifted = [(line + 1, column) for line, column, _message in expected]
    assert [(line, column) for line, column, _message in found] == shifted
    for (_l, _c, sentence), (_line, _column, message) in zip(expected, found, strict=True):
        assert message.replace("Line 3", "Line 2").startswith(sentence)
    assert session.scalars(select(Product)).all() == []


def test_a_file_without_a_column_for_prices_names_each_product_once(
    write: Write, problems: Problems
) -> None:
    file = write("products.csv", "code,name", "TEA,Tea", "TEA,Tea")
    assert problems("products", file) == [(3, "code", "This code stands in line 2 already.")]
    half = write("half.csv", "code,name,unit_price", "TEA,Tea,5")
    assert problems("products", half)[0][:2] == (2, "unit_price")


def test_lines_name_their_products(write: Write, import_: Import, session: Any) -> None:
    OrderFactory(number="SO-1", promo=0, reductions=0)
    ProductFactory(code="TEA")
    session.commit()
    file = write(
        "lines.csv",
        f"{LINES},product_code",
        "SO-1,package,Green tea,2,10,TEA",
        "SO-1,package,Cups,1,5,",
    )
    assert counts(import_("order-lines", file)) == (2, 0, 0)
    assert codes(session) == ["TEA", None]
    assert counts(import_("order-lines", file)) == (0, 0, 2)


def test_a_file_without_products_leaves_them_where_the_description_stays(
    write: Write, import_: Import, session: Any
) -> None:
    tea = ProductFactory(code="TEA")
    order = OrderFactory(
        number="SO-1",
        promo=0,
        reductions=0,
        lines=[("package", "Green tea", "2", "10"), ("package", "Cold tea", "2", "10")],
    )
    for line in order.lines:
        line.product_id = tea.id
    session.commit()
    file = write("lines.csv", LINES, "SO-1,package,Green tea,3,11", "SO-1,package,Cups,1,5")
    assert counts(import_("order-lines", file)) == (0, 2, 0)
    assert codes(session) == ["TEA", None]


def test_a_line_that_differs_only_in_its_product_is_updated(
    write: Write, import_: Import, session: Any
) -> None:
    ProductFactory(code="A")
    ProductFactory(code="B")
    OrderFactory(number="SO-1", promo=0, reductions=0, lines=[])
    session.commit()

    def version() -> int:
        session.rollback()
        return int(session.scalars(select(Order.version)).one())

    def file(code: str) -> Path:
        return write(f"{code}.csv", f"{LINES},product_code", f"SO-1,package,Tea,2,10,{code}")

    assert counts(import_("order-lines", file("A"))) == (1, 0, 0)
    before = version()
    assert counts(import_("order-lines", file("B"))) == (0, 1, 0)
    assert (codes(session), version()) == (["B"], before + 1)
    assert counts(import_("order-lines", file("B"))) == (0, 0, 1)
    assert (codes(session), version()) == (["B"], before + 1)


def codes(session: Any) -> list[str | None]:
    session.rollback()
    session.expire_all()
    order = session.scalars(select(Order)).one()
    return [line.product.code if line.product else None for line in order.lines]


def test_a_product_that_is_not_there_is_refused(
    write: Write, problems: Problems, session: Any
) -> None:
    OrderFactory(number="SO-1")
    session.commit()
    file = write("lines.csv", f"{LINES},product_code", "SO-1,package,Tea,2,10,TEA")
    assert problems("order-lines", file) == [
        (2, "product_code", "There is no product TEA. Import the products first.")
    ]


def test_the_demo_company_has_a_price_list_that_its_open_orders_refer_to(
    session: Any,
) -> None:
    for kind, name in FILES.items():
        assert import_files(session, KINDS[kind], [fitted(name)]).problems == []
    session.commit()
    assert len(session.scalars(select(Product)).all()) == 77
    open_orders = session.scalars(select(Order).where(Order.closing_date.is_(None))).all()
    assert len(open_orders) == 21
    lines = [line for o in open_orders for line in o.lines if line.kind == "package"]
    assert lines
    assert all(line.product.name == line.description for line in lines)
