"""The registry of figures: sealed at start-up, in the order in which they build on each other."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from graphlib import CycleError as GraphCycle
from graphlib import TopologicalSorter
from typing import Any, TypeVar

from sqlalchemy import Column, Table

from ..declaring import figure as declaring
from ..declaring.declaration import Figure, Source
from ..declaring.expressions import columns_in
from ..declaring.rules import check, refuse
from ..errors import CycleError, DeclarationError, UnknownFigure


@dataclass(eq=False)
class Bundle:
    """Figures of one owner that are recomputed together, in one statement under one lock.

    Expressions over the same owner's rows share a bundle (an order's line amounts, components and
    grand total); a SELECT and an incremental figure each have one of their own.
    """

    name: str
    figures: tuple[Figure, ...]

    def __repr__(self) -> str:
        return f"<Bundle {self.name}>"

    @property
    def owner_table(self) -> Table:
        """The table with the rows that are locked before anything is recomputed."""
        return self.figures[0].owner_table

    @property
    def owner_key(self) -> Column[Any]:
        """The primary key of the owner's table."""
        return self.figures[0].owner_key

    @property
    def incremental(self) -> bool:
        """Whether the write hook applies changes rather than recomputing."""
        return self.figures[0].incremental

    @cached_property
    def targets(self) -> tuple[Table, ...]:
        """The tables with columns that the bundle keeps."""
        return tuple(dict.fromkeys(f.table for f in self.figures))

    @cached_property
    def sources(self) -> tuple[Source, ...]:
        """The sources of its figures; sources that reach the owner in the same way are merged.

        Without what only generated columns read: PostgreSQL computes those itself, so nothing is noted for them.
        """
        merged: dict[tuple[object, ...], Source] = {}
        for figure in (f for f in self.figures if not f.generated):
            for source in figure.sources:
                way = (source.table, source.owner, source.through)
                known = merged.get(way)
                columns = source.columns | (known.columns if known else frozenset())
                merged[way] = replace(source, columns=columns)
        return tuple(merged.values())

    def figures_of(self, table: Table) -> tuple[Figure, ...]:
        """The bundle's figures with columns in `table`."""
        return tuple(f for f in self.figures if f.table is table)


Observe = Callable[[float, int], None]
"""Called with the seconds that a drain took, and how many figure rows it changed."""


def noop(*_: Any) -> None:
    """Do nothing: the default where no observer is set."""


class Registry:
    """Every declared figure. `seal` sorts them and refuses what cannot be kept.

    `name` is the group under which its triggers are fingerprinted.
    """

    def __init__(self, name: str = "figures") -> None:
        self.name = name
        self.observe: Observe = noop
        """Called after every drain of a transaction's own notes."""
        self._declared: dict[str, Figure] = {}
        self._bundles: tuple[Bundle, ...] | None = None
        self._dependencies: dict[Figure, frozenset[Figure]] = {}

    # Declaring

    def declare(self, figures: Iterable[Figure]) -> None:
        """Register these figures; once sealed, only figures already registered are accepted.

        Raises:
            DeclarationError: a new figure after the seal, two of one name, or one of several amounts with none leading.
        """
        for figure in figures:
            assert all(name in figure.table.c for name in figure.amounts)
            if self._declared.get(figure.name) is not figure:
                self._add(figure)

    def figure(self, *given: Any, **options: Any) -> Any:
        """Declare a figure and register it; returns it. Arguments as those of the function `figure`."""
        made: Any = declaring.figure(*given, **options)
        if isinstance(made, Figure):
            return self._add(made)
        return lambda select: self._add(made(select))

    def _add(self, figure: Figure) -> Figure:
        if self._bundles is not None:
            raise DeclarationError(f"{figure.name}: declared after the registry was sealed.")
        if figure.name in self._declared:
            raise DeclarationError(f"{figure.name}: declared twice.")
        self._declared[figure.name] = figure
        return figure

    # Reading

    @property
    def figures(self) -> tuple[Figure, ...]:
        """Every figure, each after those that it builds on."""
        return tuple(f for bundle in self.bundles for f in bundle.figures)

    @property
    def bundles(self) -> tuple[Bundle, ...]:
        """Every bundle, each after those that it builds on. Seals the registry."""
        if self._bundles is None:
            self.seal()
        assert self._bundles is not None
        return self._bundles

    @cached_property
    def bundle_names(self) -> list[str]:
        """The names of all bundles."""
        return [bundle.name for bundle in self.bundles]

    def with_beneath(self, figures: Sequence[Figure]) -> tuple[Figure, ...]:
        """`figures`, and what the incremental ones among them build on."""
        found = set(figures)
        waiting = [f for f in figures if f.incremental]
        while waiting:
            lower = self.depends_on(waiting.pop()) - found
            found |= lower
            waiting += lower
        return tuple(f for f in self.figures if f in found)

    def get(self, name: str) -> Figure:
        """The figure of that name.

        Raises:
            UnknownFigure: when no figure of that name is declared.
        """
        if name not in self._declared:
            raise UnknownFigure(name, sorted(self._declared))
        return self._declared[name]

    def bundle_of(self, figure: Figure) -> Bundle:
        """The bundle in which `figure` is recomputed."""
        return next(b for b in self.bundles if figure in b.figures)

    def with_expressions(self, bundle: Bundle) -> tuple[Bundle, Bundle] | None:
        """For sums on their owner's row: the bundle of the expressions built on them in that row, and both as one.

        Changes are added to the sums alone; a computation by the facts takes both in one pass, and writes each row
        once. None where the child rows, or the columns that name their owner, are derived.
        """
        return self._joined.get(bundle)

    @cached_property
    def _joined(self) -> dict[Bundle, tuple[Bundle, Bundle]]:
        found: dict[Bundle, tuple[Bundle, Bundle]] = {}
        for bundle in (b for b in self.bundles if b.incremental and b.targets == (b.owner_table,)):
            totals = [t for f in bundle.figures for t in f.totals]
            if any(self.deriving(t.by.table) or self.keeper(t.by) for t in totals):
                continue
            for other in self.bundles:
                builds = any(set(bundle.figures) & self.depends_on(f) for f in other.figures)
                by_formula = not (other.incremental or any(f.select for f in other.figures))
                if builds and by_formula and other.targets == bundle.targets:
                    both = Bundle(bundle.name, bundle.figures + other.figures)
                    found.setdefault(bundle, (other, both))
        return found

    def bundles_of(self, figures: Iterable[Figure]) -> tuple[Bundle, ...]:
        """The bundles of `figures`, in order."""
        wanted = set(figures)
        return tuple(b for b in self.bundles if wanted.intersection(b.figures))

    def keeper(self, column: Column[Any]) -> Figure | None:
        """The figure that keeps `column`, if one does."""
        return self._keepers.get(column)

    def deriving(self, table: Table) -> Figure | None:
        """The figure that derives the rows of `table`, if one does."""
        return self._derivers.get(table)

    def depends_on(self, figure: Figure) -> frozenset[Figure]:
        """The figures that `figure` builds on directly."""
        self.bundles  # noqa: B018  (seals)
        return self._dependencies[figure]

    @cached_property
    def added_at_once(self) -> frozenset[Table]:
        """The tables with sums to which triggers add."""
        return frozenset(f.table for f in self._declared.values() if f.at_once and f.incremental)

    @cached_property
    def targets(self) -> frozenset[Table]:
        """Every table that holds a figure."""
        return frozenset(f.table for f in self._declared.values())

    @cached_property
    def sources(self) -> frozenset[Table]:
        """Every table with changes that may change a figure."""
        return frozenset(s.table for f in self._declared.values() for s in f.sources)

    @cached_property
    def _keepers(self) -> dict[Column[Any], Figure]:
        keepers: dict[Column[Any], Figure] = {}
        for figure in self._declared.values():
            for col in figure.columns:
                if col in keepers:
                    raise DeclarationError(f"{col}: kept by two figures.")
                keepers[col] = figure
        return keepers

    @cached_property
    def _derivers(self) -> dict[Table, Figure]:
        """Table → the figure that derives its rows; refuses two for one table, which would remove each other's rows."""
        derivers: dict[Table, Figure] = {}
        for figure in (f for f in self._declared.values() if f.derived_rows):
            if derivers.setdefault(figure.table, figure) is not figure:
                raise DeclarationError(
                    f"{figure.name}: {derivers[figure.table].name} derives the rows of "
                    f"{figure.table.name} already; make them one figure of several columns."
                )
        return derivers

    # Sealing

    def seal(self) -> None:
        """Sort the figures and refuse circles and declarations that cannot be kept.

        Raises:
            CycleError: figures that build on each other in a circle.
            DeclarationError: anything else that the core could not keep right.
        """
        for figure in self._declared.values():
            check(figure)
        self._dependencies = {f: self._direct(f) for f in self._declared.values()}
        for figure, beneath in self._dependencies.items():
            if figure.at_once and figure.incremental and beneath:
                kept = ", ".join(sorted(f.name for f in beneath))
                refuse(figure, [f"at_once adds up facts, and {kept} is none; leave at_once out."])
        ordered = _sorted(self._dependencies)
        self._bundles = self._bundled(ordered)

    def _direct(self, figure: Figure) -> frozenset[Figure]:
        columns = [table.c[name] for table, names in figure.reads.items() for name in names]
        found = {*map(self.keeper, columns), *map(self.deriving, figure.reads)}
        if (
            figure.select is None
        ):  # its own column in its definition may be a fact that a user entered
            own = {c for e in figure.definitions.values() for c in columns_in(e)}
            if not own & set(figure.columns) - figure.entered.keys():
                found.discard(figure)
        return frozenset(f for f in found if f is not None)

    def _bundled(self, ordered: tuple[Figure, ...]) -> tuple[Bundle, ...]:
        """Expressions of one owner together, unless another bundle has to come between them."""
        together: dict[Any, list[Figure]] = {}
        owner: dict[Any, Column[Any]] = {}
        for figure in ordered:
            way = (figure.owner_table, figure.table)
            alone = figure.select is not None or figure.incremental
            alone = alone or owner.setdefault(way, figure.owner) is not figure.owner
            home: Any = self._sums_of(figure) or (figure if alone else figure.owner_table)
            together.setdefault(home, []).append(figure)
        bundles = [Bundle(k.name, tuple(f)) for k, f in together.items()]
        if len({b.name for b in bundles}) < len(bundles):
            names = [b.name for b in bundles]
            twice = next(n for n in names if names.count(n) > 1)
            raise DeclarationError(f"{twice}: a figure may not be named like its owner's table.")
        try:
            return _sorted(self._between(bundles))
        except CycleError:
            singles = [Bundle(f.name, (f,)) for f in ordered]
            return _sorted(self._between(singles))

    def _sums_of(self, figure: Figure) -> Figure | None:
        """The sums from which PostgreSQL computes a generated figure: they are corrected together."""
        if not figure.generated:
            return None
        match list(self._dependencies[figure]):
            case [only] if only.incremental and only.table is figure.table:
                return only
        raise DeclarationError(
            f"{figure.name}: PostgreSQL computes it, so it needs the incremental sums of one figure in its row. "
            "Compute it from those alone, or declare a plain column."
        )

    def _between(self, bundles: list[Bundle]) -> dict[Bundle, frozenset[Bundle]]:
        home = {f: b for b in bundles for f in b.figures}
        return {
            b: frozenset(
                home[d] for f in b.figures for d in self._dependencies[f] if home[d] is not b
            )
            for b in bundles
        }


Node = TypeVar("Node")


def _sorted(graph: Mapping[Node, frozenset[Node]]) -> tuple[Node, ...]:
    try:
        return tuple(TopologicalSorter(graph).static_order())
    except GraphCycle as circle:
        names = " → ".join(str(getattr(n, "name", n)) for n in circle.args[1])
        raise CycleError(
            f"These figures build on each other in a circle: {names}. Compute one of them from facts alone; what "
            "builds on another column of its own figure is a figure by itself."
        ) from None


registry = Registry()
"""The deployment's registry; an app registers the figures of its domains in it."""

__all__ = ["Bundle", "Registry", "registry"]
