"""Marks on amounts with open findings: beside a record's amounts, and for lists."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from flask import url_for
from flask_babel import gettext as _
from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    Connection,
    Table,
    Text,
    any_,
    func,
    literal,
    or_,
    select,
    true,
)
from sqlalchemy.orm import Session

from ..app.extensions import db
from ..app.navigation import may_open
from ..audit import tables
from ..audit.facts import CHANGED, REMOVED, facts_by_table
from ..figures import Figure, registry
from ..lists.marking import Mark, Watched
from ..web import record_links
from . import figure_status
from .facts.findings import PREFIX, name_of
from .figure_status import IS_OPEN
from .models import DriftFinding
from .present import Owners, differences
from .wording import KINDS

Place = tuple[str, str, tuple[str, ...]]
"""A figure, a column of it, and the key of a row as texts."""


@dataclass(frozen=True)
class Marks:
    """The open findings of the rows on a page."""

    places: Mapping[Place, Mark] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.places)

    @property
    def has_figure(self) -> bool:
        """Whether a figure has a finding, and not only an entered fact."""
        return any(not name.startswith(PREFIX) for name, _column, _key in self.places)

    def of(self, row: Any, column: str) -> Mark | None:
        """The mark of the amount in that column of a stored row; None where there is no finding."""
        if not self.places:
            return None
        table: Table = row.__table__
        figure = registry.keeper(table.c[column])
        if figure is None:
            return self.places.get((name_of(table.name), column, (str(row.id),)))
        return self.places.get((figure.name, column, _key_of(figure, row)))


def _key_of(figure: Figure, row: Any) -> tuple[str, ...]:
    return tuple(str(getattr(row, column.key)) for column in figure.key)


def marks(owners: Owners) -> Marks:
    """Compare these owners, which a page shows, and return the marks of what differs; nothing is recorded.

    A fact is marked where a verification has recorded that it differs from the audit trail.
    """
    found, unknown = differences(owners)
    if found:
        figure_status.shown_wrong(len(found))
    facts = {name: ids for figure, ids in owners.items() for name in _facts_of(figure.owner_table)}
    recorded = known({**facts, **{figure.name: ids for figure, ids in owners.items()}}).places
    places = [
        (finding.figure.name, column, tuple(str(value) for value in finding.key.values()))
        for finding in found
        for column in {**finding.stored, **finding.expected}
    ]
    kept = {place: mark for place, mark in recorded.items() if place[0] in {*facts, *unknown}}
    return Marks({**kept, **{place: recorded.get(place, Mark(None)) for place in places}})


@cache
def _facts_of(table: Table) -> tuple[str, ...]:
    """The names of the facts shown with a row of the table: its own, and those of its parts."""
    found = []
    for name, facts in facts_by_table().items():
        known = tables.recorded(name)
        part_of = None if known is None or known.part_of is None else known.part_of.key
        keys = facts.table.c[part_of].foreign_keys if part_of else ()
        if facts.table is table or any(key.column.table is table for key in keys):
            found.append(name_of(name))
    return tuple(found)


MOST_NOTICES = 10
"""The most facts of one page that are named above it; the list of findings has them all."""


@dataclass(frozen=True)
class FactMark:
    """A row of a record that differs from the audit trail: in words, with its finding's address if the user may."""

    sentence: str
    href: str | None


def marks_of_facts(table: Table, row_id: int) -> list[FactMark]:
    """The marks of facts that verification has named: of a record, its parts, and the rows that refer to it."""
    own = DriftFinding.figure.in_(_facts_of(table)) & (DriftFinding.owner == row_id)
    mine = or_(own, *_referring(table, row_id)) if may_open("drift.record") else own
    asked = select(DriftFinding).where(IS_OPEN, mine).order_by(own.desc(), DriftFinding.id)
    found = db.session.scalars(asked.limit(MOST_NOTICES)).all()
    if found:
        figure_status.reported_wrong()
    return [FactMark(_sentence(finding), FINDINGS.address(finding.id)) for finding in found]


def _referring(table: Table, row_id: int) -> Iterator[ColumnElement[bool]]:
    """Whether a finding is of a row that refers to this record: a payment of the customer, for example."""
    recorded = DriftFinding.key["id"].astext.cast(BigInteger)
    for name, facts in facts_by_table().items():
        for column in facts.columns:
            if any(key.column.table is table for key in column.foreign_keys):
                is_of = DriftFinding.figure == name_of(name)
                there = select(literal(1)).where(facts.key == recorded, column == row_id).exists()
                gone = DriftFinding.expected[column.key].astext == str(row_id)
                yield is_of & (there | ((DriftFinding.kind == REMOVED) & gone))


def _sentence(finding: DriftFinding) -> str:
    """How the row differs: Payment: Changed past the audit trail (Amount, Paid on)."""
    said = f"{_(record_links.title_of(finding.figure))}: {_(KINDS[finding.kind])}"
    if finding.kind != CHANGED:
        return said
    labels = [_(record_links.label_of(finding.figure, name)) for name in finding.expected or {}]
    return f"{said} ({', '.join(labels)})"


def known(owners: Mapping[str, Sequence[int]]) -> Marks:
    """The marks of these owners' open findings, by figure; one statement."""
    asked = {name: ids for name, ids in owners.items() if ids}
    if not asked:
        return Marks()
    everyone = sorted({owner for ids in asked.values() for owner in ids})
    found = db.session.scalars(
        select(DriftFinding).where(
            IS_OPEN,
            DriftFinding.figure.in_(list(asked)),
            DriftFinding.owner == any_(literal(everyone, ARRAY(BigInteger))),
        )
    )
    places = {
        (finding.figure, column, _key_in(finding)): Mark(FINDINGS.address(finding.id))
        for finding in found
        for column in {**(finding.stored or {}), **(finding.expected or {})}
    }
    if places:
        figure_status.reported_wrong()
    return Marks(places)


def _key_in(finding: DriftFinding) -> tuple[str, ...]:
    """The key of a finding's row, in the figure's order; for a fact, its id."""
    if finding.figure.startswith(PREFIX):
        return (str(finding.key["id"]),)
    return tuple(str(finding.key[column.key]) for column in registry.get(finding.figure).key)


class RecordedFindings:
    """The open findings, in the form in which lists use them."""

    def is_any_open(self, session: Session | Connection, figures: Collection[str]) -> bool:
        """Whether these figures have any open finding."""
        opened = select(DriftFinding.id).where(IS_OPEN, DriftFinding.figure.in_(figures))
        if not session.scalar(select(opened.exists())):
            return False
        figure_status.reported_wrong()
        return True

    def of_row(self, table: Table, column: str) -> list[Watched]:
        """A stored column in the rows of its table: of a figure, of a fact, of both if some rows have it entered."""
        watched = []
        figure = registry.keeper(table.c[column])
        if figure is not None:
            owner = table.c[figure.owner.key]
            watched.append(_watched(figure.name, column, owner, figure.key, DriftFinding.owner))
        facts = facts_by_table().get(table.name)
        if facts is not None and column in {known.key for known in facts.columns}:
            [key] = table.primary_key
            recorded = DriftFinding.key["id"].astext.cast(BigInteger)
            watched.append(_watched(name_of(table.name), column, key, (key,), recorded))
        return watched

    def of_owners(self, figure: str, owners: Any) -> Watched:
        """A figure of the owners that belong to a row."""
        found = select(func.min(DriftFinding.id)).where(
            IS_OPEN, DriftFinding.figure == figure, DriftFinding.owner.in_(owners)
        )
        return Watched(figure, found.scalar_subquery(), true())

    def address(self, finding: int) -> str | None:
        """The address of a finding; None for a user who may not see it."""
        return url_for("drift.record", finding_id=finding) if may_open("drift.record") else None

    def address_of(self, figures: Collection[str]) -> str | None:
        """The address of the list of these figures' findings; None for a user who may not see it."""
        if not may_open("drift.index"):
            return None
        return url_for("drift.index", figure=next(iter(figures)) if len(figures) == 1 else None)


def _watched(
    name: str, column: str, owner: Any, key_columns: Iterable[Any], recorded: Any
) -> Watched:
    """The findings of one column of the rows filed under `name`; `recorded` is the finding's value matched to owner."""
    key = func.jsonb_build_object(
        *(part for k in key_columns for part in (literal(k.key, Text), k))
    )
    is_it = or_(DriftFinding.stored.has_key(column), DriftFinding.expected.has_key(column))
    named = (IS_OPEN, DriftFinding.figure == name, is_it)
    found = select(DriftFinding.id).where(*named, recorded == owner, DriftFinding.key == key)
    return Watched(
        name, found.limit(1).scalar_subquery(), owner.in_(select(recorded).where(*named))
    )


FINDINGS = RecordedFindings()
KEEPERS = (FINDINGS,)
