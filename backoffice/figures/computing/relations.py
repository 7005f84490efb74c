"""What a definition reads: tables as stored, as expected, or with unsaved rows laid over them.

Every statement of the core is the declaration over one of these. `Relations.expand` names the
figures with columns that are replaced by their expected values, so that expected values build on
expected values down to facts.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Column,
    ColumnElement,
    FromClause,
    Integer,
    Numeric,
    Select,
    Subquery,
    Table,
    and_,
    any_,
    bindparam,
    false,
    func,
    literal,
    null,
    or_,
    select,
    true,
)
from sqlalchemy.sql.functions import coalesce

from ..declaring.continuing import Beginning
from ..declaring.declaration import Figure, rows_of
from ..declaring.expressions import Expression, Total, replace
from .registry import Registry

Condition = ColumnElement[bool]


class Scope:
    """Which owners a statement is about; each use passes the column that names them."""

    def condition(self, owner: ColumnElement[Any]) -> Condition | None:  # noqa: ARG002 (overridden)
        """The condition that keeps a relation to the scope; None where it keeps everything."""
        return None


class Owners(Scope):
    """The owners of the statement's `owners` parameter, an array (`= ANY` reads by index)."""

    def condition(self, owner: ColumnElement[Any]) -> Condition:
        """`owner = ANY(:owners)`."""
        return owner == any_(bindparam("owners", type_=ARRAY(BigInteger)))


class OneOwner(Scope):
    """The owner of the statement's `owner` parameter.

    An array's length is unknown to the planner, so it plans every run anew; a statement with a single value
    is planned once per connection, and a save usually recomputes one owner.
    """

    def condition(self, owner: ColumnElement[Any]) -> Condition:
        """`owner = :owner`."""
        return owner == bindparam("owner", type_=BigInteger)


class Between(Scope):
    """The owners from `low` to `high`, both inclusive, for passes over everything."""

    def condition(self, owner: ColumnElement[Any]) -> Condition:
        """`owner BETWEEN :low AND :high`."""
        return owner.between(
            bindparam("low", type_=BigInteger), bindparam("high", type_=BigInteger)
        )


@dataclass(frozen=True)
class Within(Scope):
    """The ids that a SELECT returns: a scope expressed through another table."""

    ids: Select[Any]

    def condition(self, owner: ColumnElement[Any]) -> Condition:
        """`owner = ANY(ARRAY(SELECT …))`."""
        return owner == any_(func.array(self.ids.scalar_subquery(), type_=ARRAY(BigInteger)))


EVERYTHING = Scope()
OWNERS = Owners()
ONE_OWNER = OneOwner()
BETWEEN = Between()


@dataclass
class Relations:
    """The tables of one statement: `expand` as expected, `overlay` as given, all others as stored."""

    registry: Registry
    expand: frozenset[Figure] = frozenset()
    overlay: Mapping[Table, FromClause] = field(default_factory=dict)
    overlay_is_scoped: bool = True
    """Whether an overlay holds rows of the scope alone, as unsaved rows do."""

    def stored(self, table: Table) -> FromClause:
        """The table itself, or its overlay."""
        laid = self.overlay.get(table)
        return table.alias() if laid is None else laid

    def source(
        self, table: Table, scope: Scope, owner: Column[Any], reads: frozenset[str]
    ) -> FromClause:
        """`table` within `scope`, with the expanded figures among the columns `reads` at their expected values."""
        above = self.with_derived_rows(table, scope, owner)
        if above is not self:
            return above.source(table, scope, owner, reads)
        asked = tuple(c for c in table.c if c.key in reads)
        if any(self.registry.keeper(c) in self.expand for c in asked):
            frame = Frame(self, table, scope, owner, asked)
            values = (frame.value(c) if c in asked else frame.stored(c) for c in table.c)
            named = (v.label(c.key) for v, c in zip(values, table.c, strict=True))
            return frame.select(*named).subquery()
        relation = self.stored(table)
        condition = self.condition(scope, relation, table, owner)
        return relation if condition is None else select(relation).where(condition).subquery()

    def with_derived_rows(self, table: Table, scope: Scope, owner: Column[Any]) -> "Relations":
        """These relations with the rows of `table` as expected, where they are themselves derived."""
        derived = next((f for f in self.expand if f.derived_rows and f.table is table), None)
        if derived is None:
            return self
        rows = self._derived(derived, scope, owner)
        overlay = {**self.overlay, table: rows}
        return dataclasses.replace(self, expand=self.expand - {derived}, overlay=overlay)

    def source_as_stored(self, table: Table, scope: Scope, owner: Column[Any]) -> Subquery:
        """All columns of `table` within `scope`, as they are stored."""
        rows = self.stored(table)
        condition = self.condition(scope, rows, table, owner)
        return select(rows).where(true() if condition is None else condition).subquery()

    def condition(
        self, scope: Scope, relation: FromClause, table: Table, owner: Column[Any]
    ) -> Condition | None:
        """The condition that limits `relation` to the scope; None for unsaved rows, which are all in scope."""
        is_in = self.overlay_is_scoped and table in self.overlay
        return None if is_in else scope.condition(relation.c[owner.key])

    def seen_from(
        self, scope: Scope, table: Table, named: Column[Any], wanted: Column[Any]
    ) -> Scope:
        """`scope` on `table`'s column `named`, as the scope of the same rows' column `wanted`."""
        if named.key == wanted.key:
            return scope
        rows = self.stored(table)
        condition = self.condition(scope, rows, table, named)
        ids = select(rows.c[wanted.key])
        if condition is None:
            return Within(ids) if self.overlay_is_scoped and table in self.overlay else EVERYTHING
        return Within(ids.where(condition))

    def expected_rows(self, figure: Figure, scope: Scope) -> Select[Any]:
        """The SELECT of a shape B figure over these relations, with the scope applied to every source."""
        return rows_of(figure, lambda table: self.read_by(figure, table, scope))

    def rows_since(
        self, figure: Figure, scope: Scope, places: Subquery, beneath: FromClause | None = None
    ) -> tuple[Subquery, Subquery]:
        """The rows of a figure from these places on, as expected and as stored.

        Continued from the rows before them, as stored or as in `beneath`.
        """
        stored = self.stored(figure.table)
        target = stored if beneath is None else beneath
        begins = Beginning(figure, target, places)

        def read(table: Table) -> FromClause:
            """Without the scope: the places name the owners, and a second condition would search all ids again."""
            is_placed = table in figure.since and not self._computes(figure, table)
            return self.read_by(figure, table, EVERYTHING if is_placed else scope)

        return begins.rows(read).subquery(), begins.stored(stored)

    def _computes(self, figure: Figure, table: Table) -> bool:
        """Whether a figure reads anything but stored rows from a table."""
        source, reads = figure.source_of(table), figure.reads[table]
        keepers = {self.registry.keeper(table.c[name]) for name in reads}
        derived = self.registry.deriving(table)
        return source.through is not None or bool({*keepers, derived} & self.expand)

    def read_by(self, figure: Figure, table: Table, scope: Scope) -> FromClause:
        """The relation that a figure's SELECT reads for one of its tables, in scope."""
        source, reads = figure.source_of(table), figure.reads[table]
        if source.through is None:
            return self.source(table, scope, source.owner, reads)
        led = self.seen_from(scope, source.through.table, source.owner, source.through)
        return self.source(table, led, next(iter(table.primary_key)), reads)

    def _derived(self, figure: Figure, scope: Scope, owner: Column[Any]) -> Subquery:
        """A table with derived rows: the expected rows, with the stored values of all other columns."""
        mine = self.seen_from(scope, figure.table, owner, figure.owner)
        expected = self.expected_rows(figure, mine).subquery()
        rows = self.source_as_stored(figure.table, mine, figure.owner)
        joined = expected.join(
            rows,
            have_same_key(expected, rows, figure.key),
            full=figure.entered_rows is not None,
            isouter=True,
        )
        columns: list[ColumnElement[Any]] = []
        for col in figure.table.c:
            if col in figure.key:
                columns.append(coalesce(expected.c[col.key], rows.c[col.key]).label(col.key))
            elif col in figure.columns:
                columns.append(coalesce(expected.c[col.key], absent(col)).label(col.key))
            else:
                columns.append(rows.c[col.key].label(col.key))
        statement = select(*columns).select_from(joined)
        if figure.entered_rows is not None:
            kept = replace(figure.entered_rows, lambda c: rows.c[c.key])
            missing = expected.c[figure.key[0].key].is_(None)
            statement = statement.where(~missing | kept)
        return statement.subquery()


def have_same_key(left: FromClause, right: FromClause, key: Sequence[Column[Any]]) -> Condition:
    """Whether rows of both have the same key."""
    return and_(*(left.c[k.key] == right.c[k.key] for k in key))


def absent(col: Column[Any]) -> Expression:
    """The expected value for a row that the definition does not return: zero, or NULL.

    Zero for a number that may not be NULL; NULL elsewhere.
    """
    is_zero = isinstance(col.type, Numeric | Integer) and not col.nullable
    return literal(0, col.type) if is_zero else null()


class Frame:
    """One target table joined with the sums that `reads` needs: a single pass.

    All figures of a table share one grouped pass over each child table. `checks` names, by the
    child's foreign key, row figures of that child that the same pass checks for drift.
    `trusted` names figures of the table itself that the same statement checks for drift: what builds
    on them reads them as stored. Where they are right that is the expected value, and where one
    is not, its owner is reported anyway; so the pass computes nothing twice.
    """

    def __init__(
        self,
        relations: Relations,
        table: Table,
        scope: Scope,
        owner: Column[Any],
        reads: tuple[Expression, ...],
        checks: Mapping[Column[Any], Sequence[Figure]] | None = None,
        trusted: frozenset[Figure] = frozenset(),
    ) -> None:
        self.relations = relations
        self.table = table
        self.scope = scope
        self.owner = owner
        self.base = relations.stored(table)
        self._checks = checks or {}
        self._trusted = trusted
        self._totals: dict[Column[Any], dict[Total, None]] = {}
        self._selects: dict[Figure, None] = {}
        for wanted in reads:
            self._collect(wanted)
        self._joined: dict[Any, Subquery] = {
            by: self._grouped(by, tuple(totals)) for by, totals in self._totals.items()
        }
        for figure in self._selects:
            mine = relations.seen_from(scope, table, owner, figure.owner)
            self._joined[figure] = relations.expected_rows(figure, mine).subquery()

    def stored(self, col: Column[Any]) -> Expression:
        """The column as it is stored."""
        return self.base.c[col.key]

    def value(self, wanted: Expression, inside: Column[Any] | None = None) -> Expression:
        """`wanted` over the joined relations, expanded figures at their expected values.

        `inside` is the column to which the definition belongs: within it, that column is read as stored,
        as an entered fact.
        """

        def leaf(part: Any) -> Any:
            if isinstance(part, Total):
                return self._joined[part.by].c[part.name]
            keeper = self._expanded(part) if part is not inside else None
            if keeper is None:
                return self.base.c[part.key]
            if keeper.select is None:
                return self.value(keeper.definitions[part], part)
            return coalesce(self._joined[keeper].c[part.key], absent(part))

        return replace(wanted, leaf)

    def differs(self, figure: Figure) -> Condition:
        """Whether the figure's stored columns differ from their expected values."""

        def expected(col: Column[Any]) -> Expression:
            definition = figure.definitions.get(col)
            return self.value(col) if definition is None else self.value(definition, col)

        return or_(*(self.stored(c).is_distinct_from(expected(c)) for c in figure.columns))

    def checked(self, by: Column[Any]) -> Condition:
        """Whether a checked row figure of that child table has drifted."""
        return coalesce(self._joined[by].c.apart_, false())

    def select(self, *columns: Any) -> Select[Any]:
        """SELECT `columns` from the table joined with its sums, within the scope."""
        origin: FromClause = self.base
        for group, sub in self._joined.items():
            origin = origin.outerjoin(sub, self._on(group, sub))
        statement = select(*columns).select_from(origin)
        condition = self.relations.condition(self.scope, self.base, self.table, self.owner)
        return statement if condition is None else statement.where(condition)

    @property
    def _primary_key(self) -> Column[Any]:
        return next(iter(self.table.primary_key))

    def _on(self, group: Column[Any] | Figure, sub: Subquery) -> Condition:
        if isinstance(group, Figure):
            return have_same_key(sub, self.base, group.key)
        return sub.c.by_ == self.base.c[self._primary_key.key]

    def _expanded(self, col: Column[Any]) -> Figure | None:
        keeper = self.relations.registry.keeper(col)
        if keeper is None or col.table is not self.table or keeper in self._trusted:
            return None
        return keeper if keeper in self.relations.expand else None

    def _collect(self, wanted: Expression, inside: Column[Any] | None = None) -> None:
        def leaf(part: Any) -> None:
            if isinstance(part, Total):
                self._totals.setdefault(part.by, {})[part] = None
                return
            keeper = self._expanded(part) if part is not inside else None
            if keeper is None:
                return
            if keeper.select is None:
                self._collect(keeper.definitions[part], part)
            else:
                self._selects[keeper] = None

        replace(wanted, leaf)

    def _grouped(self, by: Column[Any], totals: tuple[Total, ...]) -> Subquery:
        """One pass over a child table: all the required sums, grouped by the foreign key."""
        checks = self._checks.get(by, ())
        reads = [
            by,
            *(t.argument for t in totals),
            *(d for f in checks for d in f.definitions.values()),
        ]
        reads += [t.where for t in totals if t.where is not None]
        scope = self.relations.seen_from(self.scope, self.table, self.owner, self._primary_key)
        relations = self.relations.with_derived_rows(by.table, scope, by)
        child = Frame(relations, by.table, scope, by, tuple(reads), trusted=frozenset(checks))
        columns = [child.value(by).label("by_"), *(_sum(child.value, t) for t in totals)]
        if checks:
            differs = or_(*(child.differs(f) for f in checks))
            columns.append(func.bool_or(differs).label("apart_"))
        return child.select(*columns).group_by(child.value(by)).subquery()


def _sum(reported: Callable[[Expression], Expression], part: Total) -> Expression:
    added: Expression = func.sum(reported(part.argument), type_=part.type)
    if part.where is not None:
        added = func.sum(reported(part.argument), type_=part.type).filter(reported(part.where))
    return added.label(part.name)
