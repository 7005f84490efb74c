"""A lint that refuses arithmetic on money in templates, forms and screens; `make lint` runs it.

A derived amount is defined once, beside the figures of its domain, and referred to by name where it is shown. A name
is an amount if it is that of a numeric column, or of an attribute that classes declare only as Decimal.
"""

import ast
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, nodes
from sqlalchemy import Numeric

from backoffice.app.config import ROOT
from backoffice.app.domain import Declared
from backoffice.app.domains import DOMAINS
from backoffice.base import Base

REFUSED = "arithmetic on money: define it once, beside the figures of its domain, and name it here"

SHOWING = (
    "click", "flask_wtf", "wtforms", "lists.Column", "lists.List",
    "flask.request", "flask.flash", "flask.render_template",
    "web.htmx", "web.forms", "web.typed_fields", "web.formats", "web.charts",
)  # fmt: skip
"""A module that imports one of these belongs to screens or forms: views, forms, lists, wording, notices, commands."""

ROOMS = ("views", "forms", "listing", "wording", "cli")

EXEMPT = {
    "backoffice/web/charts.py": "its arithmetic makes pixels and the steps of an axis of amounts",
}
"""Exempt modules, each with the reason."""

OPERATORS = (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod, ast.Pow)
COMPUTING = {
    "abs", "round", "sum", "fsum", "divmod", "quantize", "add", "sub", "mul", "truediv", "neg",
}  # fmt: skip
"""The names of functions and methods that compute, in Python and in PostgreSQL."""
PASSING = {"max", "min", "coalesce", "greatest", "least", "nullif", "cast", "literal", "getattr"}
"""Functions that return an amount if an argument is one."""
WRAPPING = {"label", "filter", "over"}
"""Methods that return the amount that they are called on."""

JINJA_OPERATORS = (
    nodes.Add, nodes.Sub, nodes.Mul, nodes.Div, nodes.FloorDiv, nodes.Mod, nodes.Pow, nodes.Neg,
)  # fmt: skip
JINJA_COMPUTING = {"abs", "round", "sum"}
JINJA_PASSING = {"default", "d", "first", "last", "max", "min", "list", "map"}
WRITING = {"money", "signed", "signed_price", "unit_price", "percent"}
"""Filters that format an amount: what is computed right before them is one, whatever its name."""


def amounts() -> frozenset[str]:
    """The names of amounts, prices and quantities."""
    Declared(DOMAINS).import_models()
    tables = Base.metadata.tables.values()
    columns = {c.key for table in tables for c in table.c if isinstance(c.type, Numeric)}
    decimals: set[str] = set()
    others: set[str] = set()
    for path in (ROOT / "backoffice").rglob("*.py"):
        for name, kind in _attributes(ast.parse(path.read_text())):
            (decimals if _is_decimal(kind) else others).add(name)
    return frozenset(columns | (decimals - others))


def _attributes(tree: ast.Module) -> Iterator[tuple[str, ast.expr]]:
    """The attributes and properties of classes, with their declared types."""
    classes = (node for node in ast.walk(tree) if isinstance(node, ast.ClassDef))
    for part in (part for each in classes for part in each.body):
        match part:
            case ast.AnnAssign(target=ast.Name(id=name), annotation=kind):
                yield name, kind
            case ast.FunctionDef(name=name, returns=ast.expr() as kind, decorator_list=marks):
                if any("property" in ast.unparse(mark) for mark in marks):
                    yield name, kind


def _is_decimal(kind: ast.expr) -> bool:
    declared = ast.unparse(kind).removeprefix("Mapped[").removesuffix("]")
    return declared.removesuffix(" | None") in ("Decimal", "Money", "Quantity", "UnitPrice")


# Templates


def in_template(source: str, known: frozenset[str]) -> list[int]:
    """The lines of a template that compute an amount."""
    tree = Environment(extensions=["jinja2.ext.do"]).parse(source)
    own = _closed(
        known,
        lambda reported: {
            node.target.name
            for node in tree.find_all(nodes.Assign)
            if isinstance(node.target, nodes.Name) and _written_amount(node.node, reported)
        },
    )
    found = tree.find_all((nodes.Expr,))
    return sorted({node.lineno for node in found if _computes_in_template(node, own)})


def _computes_in_template(node: nodes.Node, known: frozenset[str]) -> bool:
    if isinstance(node, nodes.Filter) and node.name in WRITING and node.node is not None:
        return any(map(_is_arithmetic, _branches(node.node)))
    return _is_arithmetic(node) and _written_amount(node, known)


def _is_arithmetic(node: nodes.Node) -> bool:
    is_computed = isinstance(node, nodes.Filter) and node.name in JINJA_COMPUTING
    return is_computed or isinstance(node, JINJA_OPERATORS)


def _branches(node: nodes.Node) -> Iterator[nodes.Node]:
    """The possible values of an expression: itself, or its alternatives."""
    match node:
        case nodes.CondExpr(expr1=one, expr2=other) | nodes.Or(left=one, right=other):
            yield from _branches(one)
            yield from () if other is None else _branches(other)
        case _:
            yield node


def _written_amount(node: nodes.Node | None, known: frozenset[str]) -> bool:
    """Whether an expression of a template is an amount, or a collection of amounts."""
    return _written_name(node) in known or any(
        _written_amount(each, known) for each in _made_of(node)
    )


def _written_name(node: nodes.Node | None) -> str:
    match node:
        case nodes.Name(name=name) | nodes.Getattr(attr=name):
            return str(name)
        case nodes.Getitem(arg=nodes.Const(value=name)) | nodes.Const(value=name):
            return str(name)
    return ""


def _made_of(node: nodes.Node | None) -> Iterable[nodes.Node | None]:
    """The parts of which any that is an amount makes the whole one."""
    match node:
        case nodes.Filter(name=name) if name in JINJA_PASSING | JINJA_COMPUTING:
            named = (each.value for each in node.kwargs if each.key == "attribute")
            return [node.node, *named, *(node.args if name in ("map", "sum") else ())]
        case nodes.Call(node=inner) | nodes.Neg(node=inner) | nodes.Pos(node=inner):
            return [inner]
        case nodes.CondExpr(expr1=one, expr2=other) | nodes.BinExpr(left=one, right=other):
            return [one, other]
    return ()


# Forms and screens


def is_of_screens(path: Path, tree: ast.Module) -> bool:
    """Whether a module belongs to screens or forms, by its file name or by what it imports."""
    return path.stem.endswith(ROOMS) or any(
        name == each or name.startswith(f"{each}.") for name in _imported(tree) for each in SHOWING
    )


def _imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            yield from (".".join(filter(None, (node.module, each.name))) for each in node.names)
        elif isinstance(node, ast.Import):
            yield from (each.name for each in node.names)


def in_module(source: str, known: frozenset[str]) -> list[tuple[int, str]]:
    """The lines on which a module computes an amount, and what they compute."""
    tree = ast.parse(source)
    given = {
        node.arg
        for node in ast.walk(tree)
        if isinstance(node, ast.arg) and node.annotation and _is_decimal(node.annotation)
    }
    assigned = [node for node in ast.walk(tree) if isinstance(node, ast.Assign)]
    own = _closed(
        known | given,
        lambda reported: {
            target.id
            for node in assigned
            if _is_amount(node.value, reported)
            for target in node.targets
            if isinstance(target, ast.Name)
        },
    )
    computed = (node for node in ast.walk(tree) if _computes(node, own))
    return sorted((node.lineno, ast.unparse(node)) for node in computed)


def _closed(known: frozenset[str], more: Callable[[frozenset[str]], set[str]]) -> frozenset[str]:
    """The names of amounts, including those to which amounts are assigned."""
    while (reported := known | more(known)) != known:
        known = reported
    return known


def _computes(node: Any, known: frozenset[str]) -> bool:
    match node:
        case ast.BinOp(op=op) if isinstance(op, OPERATORS):
            return _is_amount(node, known)
        case ast.AugAssign(op=op) if isinstance(op, OPERATORS):
            return _is_amount(node.target, known) or _is_amount(node.value, known)
        case ast.UnaryOp(op=ast.USub()):
            return _is_amount(node.operand, known)
    return isinstance(node, ast.Call) and _called(node) in COMPUTING and _is_amount(node, known)


def _is_amount(node: ast.expr, known: frozenset[str]) -> bool:
    """Whether an expression is an amount, or a collection of amounts."""
    if isinstance(node, ast.Call) and _called(node) == "Decimal":
        return True
    return _name_of(node) in known or any(_is_amount(each, known) for each in _parts_of(node))


def _name_of(node: ast.expr) -> str:
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case ast.Subscript(slice=ast.Constant(value=name)):
            return str(name)
    return ""


def _parts_of(node: ast.expr) -> Iterable[ast.expr]:
    """The parts of which any that is an amount makes the whole one."""
    match node:
        case (
            ast.Attribute(attr="data", value=value)
            | ast.Starred(value=value)
            | ast.GeneratorExp(elt=value)
            | ast.ListComp(elt=value)
            | ast.UnaryOp(op=ast.USub() | ast.UAdd(), operand=value)
        ):
            return [value]
        case ast.Subscript(value=value, slice=key) if not isinstance(key, ast.Constant):
            return [value]
        case ast.BinOp(left=one, right=other) | ast.IfExp(body=one, orelse=other):
            return [one, other]
        case ast.BoolOp(values=values):
            return values
        case ast.Call():
            return _carried(node)
    return ()


def _carried(call: ast.Call) -> Iterable[ast.expr]:
    """The operands that a call computes with or passes on."""
    on = [call.func.value] if isinstance(call.func, ast.Attribute) else []
    if _called(call) in WRAPPING:
        return on
    return [*on, *call.args] if _called(call) in COMPUTING | PASSING else ()


def _called(call: ast.Call) -> str:
    function = call.func
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


# One definition

PROOF = "backoffice/billing/migration/proving.py"
"""A module that sums up the books independently, and must not use the declarations of figures."""

OF_ANYTHING = {"after Sub before"}
"""A difference between two values of one column is not a derived amount of its own."""


def defined_twice(sources: Mapping[str, str], known: frozenset[str]) -> dict[str, set[str]]:
    """Each expression of two amounts that more than one module computes, with these modules."""
    found: dict[str, set[str]] = defaultdict(set)
    for name, source in sources.items():
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.BinOp) and isinstance(node.op, OPERATORS):
                pair = [_name_of(node.left), _name_of(node.right)]
                if known.issuperset(pair):
                    found[f" {type(node.op).__name__} ".join(pair)].add(name)
    return {
        made: modules
        for made, modules in found.items()
        if len(modules) > 1 and made not in OF_ANYTHING
    }


# The whole program


def wrong_places() -> Iterator[str]:
    """Every place in screens and forms that computes an amount."""
    known = amounts()
    for path in sorted((ROOT / "templates").rglob("*.html")):
        for line in in_template(path.read_text(), known):
            yield f"{path.relative_to(ROOT)}:{line}"
    for path in sorted((ROOT / "backoffice").rglob("*.py")):
        name, source = str(path.relative_to(ROOT)), path.read_text()
        if name not in EXEMPT and is_of_screens(path, ast.parse(source)):
            yield from (f"{name}:{line}: {code}" for line, code in in_module(source, known))
    for made, modules in defined_twice(_house(), known).items():
        yield f"{made}: {', '.join(sorted(modules))}"


def _house() -> dict[str, str]:
    found = {str(path.relative_to(ROOT)): path for path in (ROOT / "backoffice").rglob("*.py")}
    return {name: path.read_text() for name, path in found.items() if name != PROOF}


if __name__ == "__main__":
    wrong = list(wrong_places())
    sys.exit("\n".join(f"{place}\n    {REFUSED}" for place in wrong) if wrong else 0)
