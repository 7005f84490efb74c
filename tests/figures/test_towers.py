"""Towers of figures: however figures build on each other, the core agrees with Python's own arithmetic.

A tower is drawn as plain trees. Each is evaluated twice, as an SQLAlchemy expression and as a Decimal value,
and the two share nothing but the tree.
"""

import operator
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Context, Decimal, localcontext
from fractions import Fraction
from itertools import count, product
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import (
    Column,
    ForeignKey,
    Numeric,
    Select,
    UniqueConstraint,
    case,
    func,
    literal,
    select,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from backoffice.base import Id
from backoffice.figures import Registry, total
from backoffice.figures.declaring.expressions import leaves
from backoffice.figures.showing.explanation import explain
from backoffice.figures.showing.previews import preview
from backoffice.figures.verifying.healing import heal
from backoffice.figures.verifying.proving import disproofs
from tests.depth import examples

from .worlds import Building, World

pytestmark = pytest.mark.slow

D = Decimal
EXACT = Context(prec=3_000)
WIDE = Numeric(900, 2)
"""Wide enough for a product of products of products."""


class Base(DeclarativeBase):
    """Tables of these tests only."""


def _fact() -> Any:
    return mapped_column(WIDE)


def _kept() -> Any:
    return mapped_column(WIDE, server_default="0", default=D(0))


class Whole(Base):
    """Three facts, and levels of figures over them and over the parts."""

    __tablename__ = "w_wholes"
    id: Mapped[Id]
    a: Mapped[Decimal] = _fact()
    b: Mapped[Decimal] = _fact()
    c: Mapped[Decimal] = _fact()
    sums: Mapped[Decimal] = _kept()
    x: Mapped[Decimal] = _kept()
    y: Mapped[Decimal] = _kept()
    z: Mapped[Decimal] = _kept()
    over: Mapped[Decimal] = _kept()
    top: Mapped[Decimal] = _kept()


class Part(Base):
    """Two facts of a whole's part and its kind, and two levels of figures over them."""

    __tablename__ = "w_parts"
    id: Mapped[Id]
    whole_id: Mapped[int] = mapped_column(ForeignKey(Whole.id))
    kind: Mapped[int]
    u: Mapped[Decimal] = _fact()
    v: Mapped[Decimal] = _fact()
    p: Mapped[Decimal] = _kept()
    q: Mapped[Decimal] = _kept()


class Group(Base):
    """Derived rows: a whole's parts by kind, between two levels."""

    __tablename__ = "w_groups"
    __table_args__ = (UniqueConstraint("whole_id", "kind"),)
    id: Mapped[Id]
    whole_id: Mapped[int] = mapped_column(ForeignKey(Whole.id))
    kind: Mapped[int]
    g: Mapped[Decimal] = _kept()
    n: Mapped[int] = mapped_column(server_default="0", default=0)


FACTS = {Whole: ("a", "b", "c"), Part: ("kind", "u", "v")}
KEPT = {Whole: ("sums", "x", "y", "z", "over", "top"), Part: ("p", "q")}

# Trees

Tree = tuple[Any, ...]
AMOUNTS = st.decimals(-9, 9, places=2)


PAIRS = ("+", "-", "-", "*", "greatest", "least")
OPERATIONS = ("leaf", *PAIRS, "neg", "round", "case")


@st.composite
def _grown(draw: st.DrawFn, leaf: st.SearchStrategy[Tree], height: int = 2) -> Tree:
    kind = draw(st.sampled_from(OPERATIONS)) if height else "leaf"
    if kind == "leaf":
        return draw(leaf)
    operands = {"neg": 1, "round": 1, "case": 4}.get(kind, 2)
    lower = _grown(leaf, 0 if kind == "case" else height - 1)
    inner = [draw(lower) for _ in range(operands)]
    return (kind, *inner, draw(st.integers(0, 2))) if kind == "round" else (kind, *inner)


def _over(names: tuple[str, ...], *more: st.SearchStrategy[Tree]) -> st.SearchStrategy[Tree]:
    """Trees over columns, mostly the newest, so that towers become deep; and over constants."""
    column = st.tuples(st.just("column"), st.sampled_from((*names, names[-1], names[-1])))
    return _grown(st.one_of(column, column, st.tuples(st.just("constant"), AMOUNTS), *more))


@dataclass(frozen=True)
class Tower:
    """The definition of each figure; in `sums`, the total that is added and the one subtracted.

    `grouped` is what derived rows sum, by changes (`is_incremental`) or absolutely; `over` is summed over these.
    """

    parts: Mapping[str, Tree]
    wholes: Mapping[str, Tree]
    added: Tree
    taken: Tree
    top: Tree
    grouped: Tree
    over: Tree
    is_incremental: bool


@st.composite
def towers(draw: st.DrawFn) -> Tower:
    """Figures built on each other, in both tables."""
    parts = {"p": draw(_over(("u", "v"))), "q": draw(_over(("u", "v", "p")))}
    part = _over(("u", "v", "p", "q"))
    where = st.none() | st.tuples(part, part)
    totals = st.tuples(st.just("total"), part, where)
    whole = ("a", "b", "c", "sums")
    wholes = {
        "x": draw(_over(whole, totals)),
        "y": draw(_over((*whole, "x"), totals)),
        "z": draw(_over((*whole, "x", "y"), totals)),
    }
    rounded = st.tuples(st.just("round"), part, st.just(2))
    added, taken = (draw(st.tuples(st.just("total"), rounded, where)) for _ in range(2))
    top = draw(_over((*whole, "x", "y", "z", "over")))
    over = draw(_over(("n", "g")))
    return Tower(parts, wholes, added, taken, top, draw(part), over, draw(st.booleans()))


# The trees as declarations


def _said(tree: Tree, columns: Any) -> Any:
    """The tree as SQLAlchemy's expression; a column is an attribute of `columns`."""
    kind, *inner = tree
    if kind == "column":
        return getattr(columns, inner[0])
    if kind == "constant":
        return literal(inner[0])
    if kind == "total":
        argument, where = inner
        met = None if where is None else _said(where[0], Part) > _said(where[1], Part)
        return func.coalesce(total(_said(argument, Part), by=Part.whole_id, where=met), 0)
    if kind == "round":
        return func.round(_said(inner[0], columns), inner[1], type_=Numeric(900, inner[1]))
    return SAID[kind](*(_said(part, columns) for part in inner))


SAID: dict[str, Callable[..., Any]] = {
    "neg": operator.neg,
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "greatest": lambda one, other: func.greatest(one, other, type_=Numeric()),
    "least": lambda one, other: func.least(one, other, type_=Numeric()),
    "case": lambda one, other, then, otherwise: case((one > other, then), else_=otherwise),
}
WORTH: dict[str, Callable[..., Decimal]] = {
    **SAID,
    "greatest": max,
    "least": min,
    "case": lambda one, other, then, otherwise: then if one > other else otherwise,
}


def declared(tower: Tower) -> Registry:
    """The tower's registry: expressions, incremental sums, and a SELECT on top."""
    registry = Registry("towers")
    for name, tree in tower.wholes.items():
        registry.figure(getattr(Whole, name), _said(tree, Whole), title=name)
    for name, tree in tower.parts.items():
        registry.figure(getattr(Part, name), _said(tree, Part), owner=Part.whole_id, title=name)
    sums = _said(tower.added, Whole) - _said(tower.taken, Whole)
    registry.figure(Whole.sums, sums, title="sums", incremental=True)

    over = total(_said(tower.over, Group), by=Group.whole_id)
    registry.figure(Whole.over, func.coalesce(over, 0), title="over")

    @registry.figure(
        columns=(Group.g, Group.n), row_per=(Group.whole_id, Group.kind), owner=Group.whole_id,
        name="groups", title="groups", incremental=tower.is_incremental,
    )  # fmt: skip
    def groups(part: Any = Part) -> Select[Any]:
        amount = func.coalesce(func.sum(_said(("round", tower.grouped, 2), part.c)), 0)
        key = (part.c.whole_id, part.c.kind)
        return select(*key, amount.label("g"), func.count().label("n")).group_by(*key)

    @registry.figure(Whole.top, title="top")
    def top(whole: Any = Whole) -> Select[Any]:
        return select(whole.c.id, _said(tower.top, whole.c).label("top"))

    return registry


# The oracle in Python


@dataclass
class Book:
    """Facts of each whole and of each of its parts."""

    wholes: list[dict[str, Decimal]]
    parts: list[list[dict[str, Decimal]]] = field(default_factory=list)


def _at(value: Decimal, digits: int) -> Decimal:
    return value.quantize(D(1).scaleb(-digits), ROUND_HALF_UP, EXACT)


def _worth(tree: Tree, row: Mapping[str, Decimal], parts: list[dict[str, Decimal]]) -> Decimal:
    """The tree's value in one row, computed with Decimal only."""
    kind, *inner = tree
    if kind == "column":
        return row[inner[0]]
    if kind == "constant":
        return D(inner[0])
    if kind == "total":
        argument, where = inner
        met = [
            p for p in parts if where is None or _worth(where[0], p, []) > _worth(where[1], p, [])
        ]
        return sum((_worth(argument, part, []) for part in met), D(0))
    if kind == "round":
        return _at(_worth(inner[0], row, parts), inner[1])
    return WORTH[kind](*(_worth(part, row, parts) for part in inner))


Groups = dict[tuple[int, int], tuple[Decimal, int]]
Rendered = tuple[list[dict[str, Any]], list[dict[str, Any]], Groups]
"""Every whole and every part with its figures, and the derived rows by whole and kind."""


def _computed(tower: Tower, book: Book) -> Rendered:
    wholes, everyone, groups = [], [], Groups()
    with localcontext(EXACT):
        for place, (facts, given) in enumerate(zip(book.wholes, book.parts, strict=True), start=1):
            parts = [dict(part) for part in given]
            for part in parts:
                for name, tree in tower.parts.items():
                    part[name] = _at(_worth(tree, part, []), 2)
            mine = {kind: _group(tower, parts, kind) for kind in {part["kind"] for part in parts}}
            row = dict(facts)
            row["sums"] = _worth(tower.added, row, parts) - _worth(tower.taken, row, parts)
            over = (_worth(tower.over, {"g": g, "n": D(n)}, []) for g, n in mine.values())
            row["over"] = _at(sum(over, D(0)), 2)
            for name, tree in {**tower.wholes, "top": tower.top}.items():
                row[name] = _at(_worth(tree, row, parts), 2)
            wholes.append(row)
            everyone += parts
            groups |= {(place, int(kind)): values for kind, values in mine.items()}
    return wholes, everyone, groups


def _group(tower: Tower, parts: list[dict[str, Decimal]], kind: Decimal) -> tuple[Decimal, int]:
    mine = [part for part in parts if part["kind"] == kind]
    return sum((_at(_worth(tower.grouped, part, []), 2) for part in mine), D(0)), len(mine)


# The core compared with Python


KINDS: st.SearchStrategy[Any] = st.sampled_from([0, 1])


def _facts(names: tuple[str, ...]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({name: KINDS if name == "kind" else AMOUNTS for name in names})


@st.composite
def books(draw: st.DrawFn) -> Book:
    """Two wholes, each of at most three parts."""
    wholes = draw(st.lists(_facts(FACTS[Whole]), min_size=2, max_size=2))
    return Book(wholes, [draw(st.lists(_facts(FACTS[Part]), max_size=3)) for _ in wholes])


def _stored(world: World) -> Rendered:
    found = []
    with world.sessions() as session:
        for model in (Whole, Part):
            names = (*FACTS[model], *KEPT[model])
            columns = (getattr(model, name) for name in names)
            rows = session.execute(select(*columns).order_by(model.id))
            found.append([dict(zip(names, row, strict=True)) for row in rows])
        groups = session.execute(select(Group.whole_id, Group.kind, Group.g, Group.n)).all()
    return found[0], found[1], {(whole, kind): (g, n) for whole, kind, g, n in groups}


def _written(world: World, book: Book) -> None:
    with world.sessions() as session:
        for facts, parts in zip(book.wholes, book.parts, strict=True):
            whole = Whole(**facts)
            session.add(whole)
            session.flush()
            session.add_all(Part(whole_id=whole.id, **part) for part in parts)
            session.flush()
        session.commit()


def _changed(world: World, book: Book) -> None:
    """Update every fact that already exists."""
    with world.sessions() as session:
        for model, rows in ((Whole, book.wholes), (Part, [p for ps in book.parts for p in ps])):
            for stored, facts in zip(
                session.scalars(select(model).order_by(model.id)), rows, strict=True
            ):
                for name, value in facts.items():
                    setattr(stored, name, value)
        session.commit()


def _previewed(world: World, book: Book) -> Rendered:
    numbers = count(1)
    rows: dict[Any, list[dict[str, Any]]] = {Whole: [], Part: []}
    for place, (facts, parts) in enumerate(zip(book.wholes, book.parts, strict=True), start=1):
        rows[Whole].append({"id": -place, **facts})
        rows[Part] += [{"id": -next(numbers), "whole_id": -place, **part} for part in parts]
    with world.sessions() as session:
        seen = preview(session.connection(), world.registry, world.registry.figures, rows)
    wholes, parts = (
        [{**row, **seen.row(model, row["id"])} for row in rows[model]] for model in (Whole, Part)
    )
    return (
        [{name: row[name] for name in (*FACTS[Whole], *KEPT[Whole])} for row in wholes],
        [{name: row[name] for name in (*FACTS[Part], *KEPT[Part])} for row in parts],
        {(-whole, kind): (row["g"], row["n"]) for (whole, kind), row in seen.rows(Group).items()},
    )


def _explained(world: World) -> Iterator[Any]:
    with world.sessions() as session:
        for figure in world.registry.figures:
            for key in session.scalars(select(figure.primary_key)):
                yield explain(session.connection(), world.registry, figure, key)


A, B, C, X = (("column", name) for name in "abcx")
A_DIFFERENCE_OF_DIFFERENCES = Tower(
    parts={"p": ("-", ("column", "u"), ("column", "v")), "q": ("neg", ("column", "p"))},
    wholes={
        "x": ("-", A, B),
        "y": ("-", C, X),
        "z": ("-", X, ("total", ("neg", ("column", "q")), None)),
    },
    added=("total", ("neg", ("neg", ("column", "p"))), None),
    taken=("total", ("neg", ("constant", D(-1))), None),
    top=("-", ("neg", ("neg", ("column", "z"))), ("column", "over")),
    grouped=("-", ("column", "u"), ("column", "q")),
    over=("-", ("column", "g"), ("-", ("column", "n"), ("column", "g"))),
    is_incremental=True,
)
TWO_WHOLES = Book(
    [{"a": D(10), "b": D(3), "c": D(20)}, {"a": D(0), "b": D(-1), "c": D(1)}],
    [[{"kind": 0, "u": D(5), "v": D(2)}, {"kind": 1, "u": D(1), "v": D(-1)}], []],
)


@settings(
    max_examples=examples(6),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@example(A_DIFFERENCE_OF_DIFFERENCES, TWO_WHOLES, TWO_WHOLES)
@given(tower=towers(), book=books(), later=books())
def test_every_storey_says_what_python_says(
    building: Building, tower: Tower, book: Book, later: Book
) -> None:
    with building(Base, declared(tower)) as world:
        expected = _computed(tower, book)
        assert _previewed(world, book) == expected, "the preview"
        _written(world, book)
        assert _stored(world) == expected, "the write hook"
        assert world.drift() == [], "verification"
        with world.engine.connect() as connection:
            assert [*disproofs(connection, world.registry, sample=None)] == [], "the proof"
        assert all(reported.is_right for reported in _explained(world)), "the explanation"
        tampered = "UPDATE w_wholes SET x = x + 1, y = 5, z = 7 - z, sums = 3, top = top - 1"
        world.surgery.execute(tampered)
        world.surgery.execute("UPDATE w_parts SET p = p - 1, q = 11")
        world.surgery.execute("UPDATE w_groups SET g = g + 1, n = 7 WHERE kind = 0")
        world.surgery.execute("DELETE FROM w_groups WHERE kind = 1")
        world.surgery.execute("INSERT INTO w_groups (whole_id, kind, g) VALUES (1, 2, 3)")
        assert heal(world.engine, world.registry).failures == []
        assert _stored(world) == expected, "the heal"
        assert heal(world.engine, world.registry, every_owner=True).corrections == 0, "the rebuild"
        later.parts = [
            (after + before)[: len(before)]
            for before, after in zip(book.parts, later.parts, strict=True)
        ]
        _changed(world, later)
        assert _stored(world) == _computed(tower, later), "the write hook after a change"
        assert world.drift() == []


# Formulas in words


def _dressed(tree: Tree) -> Iterator[Tree]:
    """The tree, and the tree wrapped in what words omit: a rounding, and a bound that is never reached."""
    yield tree
    yield ("round", tree, 2)
    yield ("least", tree, ("constant", D(10**30)))


def _storey(left: list[Tree], right: list[Tree]) -> list[Tree]:
    """Every operation over every pair, each plain and wrapped."""
    made = [(kind, *pair) for kind in ("+", "-", "*", "/") for pair in product(left, right)]
    made += [("neg", tree) for tree in left]
    return [dressed for tree in made for dressed in _dressed(tree)]


def _formulas() -> Iterator[Tree]:
    a, b, c, x = (("column", name) for name in "abcx")
    two = _storey([a, *_storey([a], [b])], [c, *_storey([c], [x])])
    yield from two
    for tree in two:
        yield from (("-", c, tree), ("*", tree, c), ("/", c, tree))


def test_a_formula_in_words_comes_to_what_it_says() -> None:
    """Its terms are evaluated by the usual rules: products first, then from left to right."""
    row = {"a": Fraction(2), "b": Fraction(-3), "c": Fraction(7), "x": Fraction(11)}
    columns = Whole.__table__.c
    wrong = [t for t in _formulas() if _read(_said(t, columns), row) != _plainly(t, row)]
    assert wrong == []


def _plainly(tree: Tree, row: Mapping[str, Fraction]) -> Fraction:
    """The tree's value without rounding or bounds."""
    kind, *inner = tree
    if kind == "column":
        return row[inner[0]]
    if kind in ("round", "least"):
        return _plainly(inner[0], row)
    return SAID[kind](*(_plainly(part, row) for part in inner))  # type: ignore[no-any-return]


def _read(definition: Any, row: Mapping[str, Fraction]) -> Fraction:
    """The value of the words' terms by the usual precedence; a term that is no column counts as one bracket."""
    products: list[Fraction] = []
    for sign, leaf in leaves(definition):
        value = row[leaf.key] if isinstance(leaf, Column) else _read_bracket(leaf, row)
        if sign in TIMES:
            products[-1] = TIMES[sign](products[-1], value)
        else:
            products.append(-value if sign == "−" else value)
    return sum(products, Fraction(0))


TIMES: dict[str, Callable[..., Any]] = {"×": operator.mul, "÷": operator.truediv}


def _read_bracket(leaf: Any, row: Mapping[str, Fraction]) -> Fraction:
    named = {"round": lambda value, _: value, "least": lambda value, _: value, **row}
    text = str(leaf.compile(compile_kwargs={"literal_binds": True})).replace("w_wholes.", "")
    text = re.sub(r" AS NUMERIC(\(900, 2\))?\)", ")", text.replace("CAST(", "("))
    return eval(text, {"__builtins__": {}}, named)  # type: ignore[no-any-return]
