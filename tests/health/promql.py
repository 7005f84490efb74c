"""A small evaluator of the PromQL of the app's alert rules, over scrapes as `/metrics` answered them.

As Prometheus it adds `instance`, `job` and `up` to what it scrapes, matches, groups and compares. `increase` and
`rate` are the growth between the first and the last scrape of their window, without extrapolation. What it does
not know raises: a rule that is written anew is taught to it, never passed over.
"""

import math
import re
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

Labels = frozenset[tuple[str, str]]
Vector = dict[Labels, float]
Value = float | Vector

INSTANCES = [
    {"instance": f"{host}.example.com:443", "job": "backoffice"} for host in ("one", "two")
]
"""Two servers on one database: each tells the same."""

TOKENS = re.compile(
    r"\s*(?:(?P<number>\d+(?:\.\d+)?)|(?P<word>[a-zA-Z_:][\w:]*)|(?P<text>\"[^\"]*\")|"
    r"(?P<sign>=~|!~|!=|==|>=|<=|[-+*/(){}\[\],<>=]))"
)
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
COMPARED: dict[str, Callable[[float, float], bool]] = {
    ">": lambda a, b: a > b, "<": lambda a, b: a < b, "==": lambda a, b: a == b,
    ">=": lambda a, b: a >= b, "<=": lambda a, b: a <= b, "!=": lambda a, b: a != b,
}  # fmt: skip
COMPUTED: dict[str, Callable[[float, float], float]] = {
    "+": lambda a, b: a + b, "-": lambda a, b: a - b, "*": lambda a, b: a * b,
    "/": lambda a, b: a / b if b else math.nan,
}  # fmt: skip

AGGREGATES: dict[str, Callable[[Any], float]] = {"sum": sum, "max": max, "min": min}


@dataclass
class Scrapes:
    """The scrapes with their times; a failed scrape is None."""

    taken: list[tuple[float, list[tuple[str, dict[str, str], float]]]] = field(default_factory=list)

    def add(self, at: datetime, written: str | None) -> None:
        """One more scrape, later than those before."""
        samples = [("up", dict(one), 0.0 if written is None else 1.0) for one in INSTANCES]
        for family in text_string_to_metric_families(written or ""):
            samples += [(s.name, s.labels | i, s.value) for s in family.samples for i in INSTANCES]
        self.taken.append((at.timestamp(), samples))

    def query(self, expression: str) -> Value:
        """The value of the expression at the last scrape; an alert fires for every element of a vector."""
        reader = _Reader(self, expression)
        value = reader.expression(0)
        if reader.tokens:
            raise SyntaxError(f"{expression!r}: {reader.tokens[0]!r} is not understood.")
        return value

    def fires(self, expression: str) -> bool:
        """Whether an alert with that expression fires."""
        value = self.query(expression)
        assert isinstance(value, dict), f"{expression!r} is no vector"
        return bool(value)


class _Reader:
    """Reads an expression from left to right and evaluates it on the way."""

    LEVELS = (("and", "or", "unless"), tuple(COMPARED), ("+", "-"), ("*", "/"))

    def __init__(self, scrapes: Scrapes, expression: str) -> None:
        self.scrapes = scrapes
        self.now = scrapes.taken[-1][0]
        self.tokens = _tokens(expression)

    def expression(self, level: int) -> Value:
        """A chain of operators of this precedence."""
        if level == len(self.LEVELS):
            return self.operand()
        left = self.expression(level + 1)
        while self.tokens and self.tokens[0] in self.LEVELS[level]:
            operator = self.tokens.pop(0)
            on = self.names() if self.take("on") else None
            left = _combined(operator, left, self.expression(level + 1), on)
        return left

    def operand(self) -> Value:
        token = self.tokens.pop(0)
        if token == "(":
            inside = self.expression(0)
            self.expect(")")
            return inside
        if re.fullmatch(r"\d+(\.\d+)?", token):
            return float(token)
        called = {
            **dict.fromkeys(AGGREGATES, self.aggregated),
            **dict.fromkeys(("time", "hour", "minute"), self.clock),
            **dict.fromkeys(("rate", "increase"), self.grown),
            "histogram_quantile": self.quantile,
        }
        if token in called:
            return called[token](token)
        return self.selected(token, self.matchers(), self.scrapes.taken[-1][1])

    def clock(self, name: str) -> Value:
        self.expect("(")
        self.expect(")")
        if name == "time":
            return self.now
        moment = datetime.fromtimestamp(self.now, UTC)
        return {frozenset(): float(getattr(moment, name))}

    def quantile(self, _name: str) -> Vector:
        self.expect("(")
        share = self.operand()
        self.expect(",")
        buckets = self.expression(0)
        self.expect(")")
        assert not isinstance(share, dict)
        assert isinstance(buckets, dict)
        return _quantile(share, buckets)

    def aggregated(self, name: str) -> Vector:
        kept: list[str] | None = None
        left_out: list[str] = []
        if self.take("by"):
            kept = self.names()
        elif self.take("without"):
            left_out = self.names()
        else:
            kept = []
        self.expect("(")
        inside = self.expression(0)
        self.expect(")")
        assert isinstance(inside, dict)
        groups: dict[Labels, list[float]] = defaultdict(list)
        for labels, value in inside.items():
            group = _only(labels, kept) if kept is not None else _but_for(labels, left_out)
            groups[group].append(value)
        return {labels: AGGREGATES[name](values) for labels, values in groups.items()}

    def grown(self, function: str) -> Vector:
        self.expect("(")
        name, matchers = self.tokens.pop(0), self.matchers()
        self.expect("[")
        window = float(self.tokens.pop(0)) * SECONDS[self.tokens.pop(0)]
        self.expect("]")
        self.expect(")")
        within = [samples for at, samples in self.scrapes.taken if at >= self.now - window]
        first, last = (
            self.selected(name, matchers, samples) for samples in (within[0], within[-1])
        )
        by = window if function == "rate" else 1
        return {labels: (value - first.get(labels, 0.0)) / by for labels, value in last.items()}

    def selected(self, name: str, matchers: list[tuple[str, str, str]], samples: Any) -> Vector:
        return {
            frozenset(labels.items()): value
            for found, labels, value in samples
            if found == name and all(_matches(labels.get(n, ""), how, t) for n, how, t in matchers)
        }

    def matchers(self) -> list[tuple[str, str, str]]:
        found = []
        if self.take("{"):
            while not self.take("}"):
                name, how, text = (self.tokens.pop(0) for _ in range(3))
                found.append((name, how, text.strip('"')))
                self.take(",")
        return found

    def names(self) -> list[str]:
        found = []
        self.expect("(")
        while not self.take(")"):
            found.append(self.tokens.pop(0))
            self.take(",")
        return found

    def take(self, token: str) -> bool:
        if self.tokens and self.tokens[0] == token:
            self.tokens.pop(0)
            return True
        return False

    def expect(self, token: str) -> None:
        if not self.take(token):
            raise SyntaxError(f"{token!r} is expected before {self.tokens[:3]}.")


def _tokens(expression: str) -> list[str]:
    found, place = [], 0
    text = expression.strip()
    while place < len(text):
        token = TOKENS.match(text, place)
        if token is None:
            raise SyntaxError(f"{text[place:]!r} is not understood.")
        found.append(token.group().strip())
        place = token.end()
    return found


def _matches(value: str, how: str, text: str) -> bool:
    if how in ("=", "!="):
        return (value == text) is (how == "=")
    return bool(re.fullmatch(text, value)) is (how == "=~")


def _only(labels: Labels, names: list[str]) -> Labels:
    return frozenset((name, value) for name, value in labels if name in names)


def _but_for(labels: Labels, names: list[str]) -> Labels:
    return frozenset((name, value) for name, value in labels if name not in names)


def _combined(operator: str, left: Value, right: Value, on: list[str] | None) -> Value:
    if operator == "and":
        assert isinstance(left, dict)
        assert isinstance(right, dict)
        there = {labels if on is None else _only(labels, on) for labels in right}
        return {
            labels: value
            for labels, value in left.items()
            if (labels if on is None else _only(labels, on)) in there
        }
    if operator in COMPARED:
        assert isinstance(left, dict)
        assert not isinstance(right, dict)
        return {labels: v for labels, v in left.items() if COMPARED[operator](v, right)}
    compute = COMPUTED[operator]
    if isinstance(left, dict) and isinstance(right, dict):
        beside = {labels if on is None else _only(labels, on): v for labels, v in right.items()}
        assert len(beside) == len(right), "many match one"
        return {
            mine: compute(value, beside[mine])
            for labels, value in left.items()
            if (mine := labels if on is None else _only(labels, on)) in beside
        }
    if isinstance(left, dict):
        assert not isinstance(right, dict)
        return {labels: compute(value, right) for labels, value in left.items()}
    assert not isinstance(right, dict)
    return compute(left, right)


def _quantile(share: float, buckets: Vector) -> Vector:
    """As Prometheus does it: within the bucket that holds the rank, in proportion; its last is unbounded."""
    groups: dict[Labels, list[tuple[float, float]]] = defaultdict(list)
    for labels, count in buckets.items():
        bound = float(dict(labels)["le"].replace("+Inf", "inf"))
        groups[_but_for(labels, ["le"])].append((bound, count))
    found: Vector = {}
    for labels, pairs in groups.items():
        pairs.sort()
        rank, low, below = share * pairs[-1][1], 0.0, 0.0
        if not pairs[-1][1]:
            continue
        for bound, count in pairs:
            if count >= rank:
                inside = (rank - below) / (count - below) if count > below else 0.0
                found[labels] = low if math.isinf(bound) else low + (bound - low) * inside
                break
            low, below = bound, count
    return found
