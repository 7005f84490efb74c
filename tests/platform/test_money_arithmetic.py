"""Amounts are derived in one place each, none of them in templates, forms and screens: the lint and its mutants."""

import ast
from pathlib import Path

import pytest

from backoffice.app.config import ROOT
from tests import money_arithmetic as lint


@pytest.fixture(scope="module")
def known() -> frozenset[str]:
    """The names of amounts."""
    return lint.amounts()


def test_the_house_computes_no_amount_where_it_is_shown_or_typed() -> None:
    assert list(lint.wrong_places()) == []


def test_make_lint_asks_for_it() -> None:
    assert "-m tests.money_arithmetic" in (ROOT / "Makefile").read_text()


def test_what_amounts_are_called_is_asked_of_the_models_and_the_declarations(
    known: frozenset[str],
) -> None:
    columns = {"amount", "paid", "balance", "unit_price", "quantity", "grand_total", "achieved"}
    derived = {"open", "net_balance", "closing", "attainment", "rest", "usage"}
    assert columns | derived <= known
    assert known.isdisjoint({"year", "number", "page", "count", "version", "id", "size"})


@pytest.mark.parametrize(
    "wrong",
    [
        "{{ row.amount - row.paid }}",
        "{{ (row.amount - row.paid)|money }}",
        "{{ row['amount'] + 1 }}",
        "{{ (0 if void else invoice.amount - invoice.paid)|money(symbol=true) }}",
        "{{ (-line.amount)|money }}",
        "{{ achieved / target * 100 }}",
        "{{ rows|sum(attribute='amount') }}",
        "{{ rows|map(attribute='amount')|sum }}",
        "{{ row.balance|abs }}",
        "{{ row.unit_price|round(2) }}",
        "{{ (mine - theirs)|money }}",
        "{{ values|sum|money }}",
        "{{ (part * 100 / whole)|percent }}",
        "{% set left = row.amount %}{{ left - row.paid }}",
        "{% if row.amount - row.paid > 0 %}open{% endif %}",
        "{{ show(row.amount - row.paid) }}",
        "{% set ns.total = ns.total + row.amount %}",
        "{{ (row.paid or 0) + (row.fixed_charge or 0) }}",
    ],
)
def test_a_template_that_computes_an_amount_is_refused(known: frozenset[str], wrong: str) -> None:
    assert lint.in_template(f"one\n{wrong}", known) == [2]


@pytest.mark.parametrize(
    "right",
    [
        "{{ row.open|money }}",
        "{{ year - 1 }}",
        "{{ (count - 1)|number }}",
        "{{ figures|sum(attribute='wrong')|number }}",
        "{% if row.paid > row.amount %}overpaid{% endif %}",
        "{{ (row.overpayment or row.balance)|money }}",
        "{{ speed|round|int|number }}",
    ],
)
def test_a_template_that_names_and_compares_amounts_is_not(
    known: frozenset[str], right: str
) -> None:
    assert lint.in_template(right, known) == []


@pytest.mark.parametrize(
    "wrong",
    [
        "x = invoice.amount - invoice.paid",
        "x = 0 if is_void else invoice.amount - invoice.paid",
        "x = Invoice.amount - func.coalesce(further, 0)",
        "x = row['amount'] * 2",
        "x = -row.balance",
        "total += line.amount",
        "x = sum(part.amount for part in parts)",
        "x = sum((field.data for field in fields), Decimal(0))",
        "x = func.sum(Payment.amount)",
        "x = func.sum(Payment.amount).label('sum')",
        "x = abs(summary.closing)",
        "x = round(form.amount.data / 12, 2)",
        "x = form.amount.data * form.rate.data",
        "x = rows.c.amount.quantize(STEP)",
        "still = row.amount\nx = still - other",
        "def left(given: Decimal, taken: Decimal) -> Decimal:\n    return given - taken",
        "x = reduce(add, [row.amount]) + row.paid",
        "x = max(row.amount, 0) - 1",
        "x = achieved * 100 / target",
    ],
)
def test_a_form_or_a_screen_that_computes_an_amount_is_refused(
    known: frozenset[str], wrong: str
) -> None:
    assert lint.in_module(wrong, known)


@pytest.mark.parametrize(
    "right",
    [
        "x = invoice.open",
        "x = page.number - 1",
        "x = len(rows) + 1",
        "x = 'a' + 'b'",
        "x = invoice.paid < invoice.amount",
        "x = max(invoice.open, 0)",
        "x = {'amount': row.amount} | more",
        "x = -(-summary.count // size)",
        "x = sum(each.is_new for each in rows)",
    ],
)
def test_a_form_or_a_screen_that_names_and_compares_amounts_is_not(
    known: frozenset[str], right: str
) -> None:
    assert lint.in_module(right, known) == []


def test_every_screen_form_list_and_command_is_looked_at() -> None:
    rooms = {"views.py", "forms.py", "listing.py", "wording.py", "cli.py"}
    looked_at, others = [], []
    for path in (ROOT / "backoffice").rglob("*.py"):
        of_screens = lint.is_of_screens(path, ast.parse(path.read_text()))
        if path.name in rooms or "requires(" in path.read_text():
            (looked_at if of_screens else others).append(path.name)
    assert len(looked_at) > 60
    assert set(others) <= {"permissions.py", "bearer.py"}, others


@pytest.mark.parametrize(
    "imported",
    [
        "from flask import request",
        "from wtforms import Field",
        "from flask_wtf import FlaskForm",
        "from ...web.formats import money_filter",
        "from ..lists import Column, List",
        "from ...web.htmx import render",
    ],
)
def test_a_module_is_of_screens_by_what_it_imports(imported: str) -> None:
    assert lint.is_of_screens(Path("orders/entry.py"), ast.parse(imported))
    assert not lint.is_of_screens(
        Path("orders/queries.py"), ast.parse("from sqlalchemy import select")
    )


def test_each_exemption_is_needed(known: frozenset[str]) -> None:
    for name in lint.EXEMPT:
        assert lint.in_module((ROOT / name).read_text(), known)


def test_an_amount_that_two_modules_define_is_refused(known: frozenset[str]) -> None:
    one, other = "open = invoice.amount - invoice.paid", "left = Invoice.amount - Invoice.paid"
    assert lint.defined_twice({"one": one, "other": other}, known) == {
        "amount Sub paid": {"one", "other"}
    }
    assert lint.defined_twice({"one": one, "other": "left = invoice.open"}, known) == {}
    assert lint.PROOF in {
        str(path.relative_to(ROOT)) for path in (ROOT / "backoffice").rglob("*.py")
    }
