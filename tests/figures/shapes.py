"""A shape of figures for tests: its tables, its declarations, what may be entered, and an oracle in Python.

A shape's oracle computes every figure from the facts, which are plain rows, without SQL. Facts
are changed in every way that can write: the same change through the unit of work, Core, `text()` and COPY, by the app
and by another program.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from itertools import count
from typing import Any

from hypothesis import strategies as st
from sqlalchemy import create_engine, delete, insert, select, text, update
from sqlalchemy.orm import DeclarativeBase, Session, sessionmaker

from backoffice.figures import Registry

from .worlds import World

Row = dict[str, Any]
Facts = dict[Any, list[Row]]
"""Model → rows with the columns that no figure keeps."""
Rendered = dict[str, dict[tuple[Any, ...], tuple[Any, ...]]]
"""Figure and key → the values of its columns."""


@dataclass(frozen=True)
class Shape:
    """Figures over tables of their own.

    `entered` has, for each source, strategies for the values of its columns; `first` creates the three owners, and
    `book` a small book of theirs.
    """

    name: str
    base: type[DeclarativeBase]
    registry: Registry
    oracle: Callable[[Facts], Rendered]
    entered: Mapping[Any, Mapping[str, st.SearchStrategy[Any]]]
    first: Callable[[], Iterable[Any]]
    book: Callable[[], Iterable[Any]]

    @property
    def models(self) -> list[Any]:
        """Every mapped class, each after those that it refers to."""
        order = {table: i for i, table in enumerate(self.base.metadata.sorted_tables)}
        mapped = (mapper.class_ for mapper in self.base.registry.mappers)
        return sorted(mapped, key=lambda model: order[model.__table__])

    @property
    def derived(self) -> set[Any]:
        """Models with rows that a figure derives."""
        return {m for m in self.models if self.registry.deriving(m.__table__) is not None}

    def begin(self, world: World, *, with_book: bool = False) -> None:
        """Create only the owners, or their book too."""
        names = ", ".join(table.name for table in self.base.metadata.sorted_tables)
        world.surgery.execute(f"TRUNCATE {names}, figure_notes RESTART IDENTITY CASCADE")
        for rows in (self.first, *((self.book,) if with_book else ())):
            with world.sessions() as session:
                for row in rows():  # one by one, so that their ids are known
                    session.add(row)
                    session.flush()
                session.commit()

    def facts(self, world: World) -> Facts:
        """Every row as it is stored, without what figures keep."""
        with world.sessions() as session:
            return {model: list(self._facts_of(session, model)) for model in self.models}

    def _facts_of(self, session: Session, model: Any) -> Iterator[Row]:
        columns = [
            column
            for column in model.__table__.c
            if self.registry.keeper(column) is None and column.computed is None
        ]
        for row in session.execute(select(*columns).order_by(model.id)):
            yield dict(zip((c.key for c in columns), row, strict=True))

    def stored(self, world: World) -> Rendered:
        """Every figure as stored."""
        with world.sessions() as session:
            return {
                f.name: {
                    tuple(row[: len(f.key)]): tuple(row[len(f.key) :])
                    for row in session.execute(select(*f.key, *f.columns))
                }
                for f in self.registry.figures
            }

    def expected(self, world: World) -> Rendered:
        """Every figure as Python computes it from the stored facts."""
        return self.oracle(self.facts(world))


# Changes


@dataclass(frozen=True)
class Step:
    """Rows to insert, or stored rows to update or delete; `picks` selects them, in turn."""

    kind: str
    model: Any
    way: str
    rows: tuple[Row, ...] = ()
    picks: tuple[int, ...] = ()

    def of(self, ids: list[int]) -> list[int]:
        """The selected ones of the stored rows."""
        return sorted({ids[pick % len(ids)] for pick in self.picks}) if ids else []


@dataclass(frozen=True)
class Transaction:
    """Steps that are committed together, by the app or by another program."""

    steps: tuple[Step, ...]
    is_outside: bool = False


WAYS = ("orm", "core", "text", "copy")


@st.composite
def _steps(draw: st.DrawFn, shape: Shape) -> Step:
    model = draw(st.sampled_from(list(shape.entered)))
    row = st.fixed_dictionaries(dict(shape.entered[model]))
    kind = draw(st.sampled_from(("insert", "insert", "edit", "delete")))
    way = draw(st.sampled_from(WAYS))
    if kind == "insert":
        rows = draw(st.lists(row, min_size=1, max_size=6))
        return Step(kind, model, way, tuple(rows))
    picks = tuple(draw(st.lists(st.integers(0, 99), min_size=1, max_size=3)))
    if kind == "delete":
        return Step(kind, model, way, picks=picks)
    changed = draw(st.sets(st.sampled_from(list(shape.entered[model])), min_size=1, max_size=2))
    values = draw(row)
    return Step(kind, model, way, ({name: values[name] for name in sorted(changed)},), picks)


def transactions(shape: Shape, *, only_ours: bool = False) -> st.SearchStrategy[Transaction]:
    """A few steps per transaction; one transaction in five is by another program."""
    steps = st.lists(_steps(shape), min_size=1, max_size=3).map(tuple)
    outside = st.just(False) if only_ours else st.sampled_from((False,) * 4 + (True,))
    return st.builds(Transaction, steps, outside)


NEW = 10**9
"""The first id of rows that are not stored."""


def laid_over(facts: Facts, transaction: Transaction) -> Facts:
    """The facts as the transaction would leave them; new rows come after all that are stored."""
    found = deepcopy(facts)
    numbers = {model: count(NEW) for model in found}
    for step in transaction.steps:
        rows = found[step.model]
        chosen = step.of([row["id"] for row in rows])
        if step.kind == "insert":
            rows += ({"id": next(numbers[step.model]), **row} for row in step.rows)
        elif step.kind == "edit":
            for row in (row for row in rows if row["id"] in chosen):
                row.update(step.rows[0])
        else:
            found[step.model] = [row for row in rows if row["id"] not in chosen]
    for rows in found.values():
        new = (row for row in rows if row["id"] >= NEW)
        for number, row in enumerate(new, start=NEW):
            row["id"] = number
    return found


def outside_sessions(world: World) -> sessionmaker[Session]:
    """Makes sessions of another program, which do not keep figures."""
    return sessionmaker(create_engine("postgresql+psycopg://", creator=world.open_outside))


def written(session: Session, transaction: Transaction) -> None:
    """Write every step in its own way, without a commit."""
    for step in transaction.steps:
        session.flush()
        ids = list(session.scalars(select(step.model.id).order_by(step.model.id)))
        WRITERS[step.kind](session, step, step.of(ids))


def _made(session: Session, step: Step, _: list[int]) -> None:
    rows, table, names = list(step.rows), step.model.__table__, list(step.rows[0])
    columns = ", ".join(names)
    if step.way == "orm":
        session.add_all(step.model(**row) for row in rows)
    elif step.way == "core":
        session.execute(insert(step.model).values(rows))
    elif step.way == "text":
        statement = (
            f"INSERT INTO {table} ({columns}) SELECT {columns} "
            f"FROM jsonb_populate_recordset(NULL::{table}, CAST(:rows AS jsonb))"
        )
        session.execute(text(statement), {"rows": json.dumps(rows, default=str)})
    else:
        driver: Any = session.connection().connection.driver_connection
        with driver.cursor().copy(f"COPY {table} ({columns}) FROM STDIN") as copying:
            for row in rows:
                copying.write_row([row[name] for name in names])


def _edited(session: Session, step: Step, ids: list[int]) -> None:
    model, values = step.model, step.rows[0]
    if step.way == "orm":
        for row in session.scalars(select(model).where(model.id.in_(ids))):
            for name, value in values.items():
                setattr(row, name, value)
    elif step.way == "core":
        session.execute(update(model).where(model.id.in_(ids)).values(values))
    else:
        assigned = ", ".join(f"{name} = :{name}" for name in values)
        statement = f"UPDATE {model.__table__} SET {assigned} WHERE id = ANY(:ids)"
        session.execute(text(statement), {**values, "ids": ids})


def _deleted(session: Session, step: Step, ids: list[int]) -> None:
    model = step.model
    if step.way == "orm":
        for row in session.scalars(select(model).where(model.id.in_(ids))):
            session.delete(row)
    elif step.way == "core":
        session.execute(delete(model).where(model.id.in_(ids)))
    else:
        statement = f"DELETE FROM {model.__table__} WHERE id = ANY(:ids)"
        session.execute(text(statement), {"ids": ids})


WRITERS: dict[str, Callable[[Session, Step, list[int]], None]] = {
    "insert": _made,
    "edit": _edited,
    "delete": _deleted,
}
