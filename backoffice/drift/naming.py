"""Names of rows and owners in commands: ids are printed with their names, and names are accepted for ids."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from flask_babel import gettext as _
from sqlalchemy import Connection, Table, Text, cast, func, literal, select
from sqlalchemy.dialects.postgresql import JSONB

from .. import figures
from ..app.command_line import Trouble
from ..base.identifiers import is_id
from ..figures import Figure
from ..figures.verifying.findings import orphans
from ..web import record_links as subjects

MOST_LISTED = 10
"""The most ids that a message lists where a name is ambiguous."""


def with_names(connection: Connection, found: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Findings for JSON, each with the name of its row in addition to owner and key."""
    names = subjects.called(connection, ((f["figure"], f["owner"], f["key"]) for f in found))
    return [{"name": name, **finding} for name, finding in zip(names, found, strict=True)]


def named_failures(
    connection: Connection, failures: Sequence[tuple[str, int | None, str]]
) -> list[dict[str, Any]]:
    """What was not corrected (bundle or figure, owner, why), for JSON, with the owner's name."""
    reported: dict[str, str] = {}
    for bundle in figures.registry.bundles:
        own = (f for f in bundle.figures if f.table is bundle.owner_table)
        name = next(own, bundle.figures[0]).name
        reported |= dict.fromkeys((bundle.name, *(figure.name for figure in bundle.figures)), name)
    none: dict[str, Any] = {}
    rows = [(reported.get(subject, ""), owner, none) for subject, owner, _error in failures]
    return [
        {"name": name, "bundle": bundle, "owner": owner, "error": error}
        for name, (bundle, owner, error) in zip(
            subjects.called(connection, rows), failures, strict=True
        )
    ]


def scoped(
    connection: Connection, selected: list[Figure] | None, owners: Sequence[str]
) -> tuple[list[Figure] | None, list[int]]:
    """The figures and the ids of owners that a person gives as ids (`12`, `#12`) or names (`NW-10250`).

    A name belongs to one kind of owner, so it limits the figures to those of that kind. Raises `Trouble`
    where no owner has the name or id, or where the owners are of several kinds.
    """
    ids = [int(text.removeprefix("#")) for text in owners if is_id(text.removeprefix("#"))]
    texts = [text for text in owners if not is_id(text.removeprefix("#"))]
    chosen = selected or list(figures.registry.figures)
    for unknown in sorted(set(ids) - _known(connection, chosen, ids)):
        raise Trouble(_("No owner of these figures is called %(name)s.", name=f"#{unknown}"))
    if not texts:
        return selected, ids
    meant = {text: _owners_named(connection, chosen, text) for text in texts}
    for text, tables in meant.items():
        if not tables:
            raise Trouble(_("No owner of these figures is called %(name)s.", name=text))
    common = set.intersection(*(set(tables) for tables in meant.values()))
    if len(common) != 1 or (ids and selected is None):
        raise Trouble(_("These owners are of several kinds; name the figures that you mean, too."))
    [table] = common
    ids += [id_ for tables in meant.values() for id_ in tables[table]]
    return [figure for figure in chosen if figure.owner_table is table], ids


def _known(connection: Connection, chosen: Sequence[Figure], ids: Sequence[int]) -> set[int]:
    """The ids, of these, of existing owners, or of missing ones that rows still name."""
    found = set[int]()
    for key in dict.fromkeys(figure.owner_key for figure in chosen) if ids else ():
        found.update(connection.scalars(select(key).where(key.in_(ids))))
    if unknown := set(ids) - found:
        for bundle in figures.registry.bundles_of(chosen):
            found |= {row.owner for row in orphans(connection, figures.registry, bundle, unknown)}
    return found


def _owners_named(
    connection: Connection, chosen: Sequence[Figure], text: str
) -> Mapping[Table, list[int]]:
    """The ids of the owners named `text`, by their table."""
    found: dict[Table, list[int]] = {}
    for figure in chosen:
        named = subjects.owners_named(figure.name, text)
        if named is not None and figure.owner_table not in found:
            ids = list(connection.scalars(named))
            if ids:
                found[figure.owner_table] = ids
    return found


def figure_called(text: str) -> str:
    """The name of a figure given by its name or by its title, as commands print it."""
    titled = [f.name for f in figures.registry.figures if text in (f.title, str(_(f.title)))]
    return titled[0] if len(titled) == 1 else text


def row_of(connection: Connection, figure: Figure, text: str) -> int:
    """The primary key of the figure's row given by its id, as commands print it, or by its owner's name.

    Raises `Trouble` where no owner has the name, or the owner has several rows.
    """
    if is_id(text.removeprefix("#")):
        key = int(text.removeprefix("#"))
        is_there = select(figure.primary_key).where(figure.primary_key == key)
        if text.startswith("#") or connection.scalar(is_there) is not None:
            return key
    printed = _rows_printed_as(connection, figure, text)
    if len(printed) == 1:
        return printed[0]
    owners = _owners_named(connection, [figure], text).get(figure.owner_table, [])
    mine = figure.table.c[figure.owner.key].in_(owners)
    rows = list(
        connection.scalars(select(figure.primary_key).where(mine).order_by(figure.primary_key))
    )
    if not rows:
        raise Trouble(_("%(figure)s has no row %(key)s.", figure=figure.name, key=text))
    if len(rows) > 1:
        ids = ", ".join(str(row) for row in rows[:MOST_LISTED])
        raise Trouble(
            _(
                "%(name)s has %(count)s rows; say which by its id: %(ids)s",
                name=text,
                count=len(rows),
                ids=ids,
            )
        )
    return int(rows[0])


_KEY = re.compile(r"\w+=[^,()]+(?:, \w+=[^,()]+)*")


def _rows_printed_as(connection: Connection, figure: Figure, text: str) -> list[int]:
    """The rows that commands print like that: by a name, by `name (key)`, or by the key alone."""
    name, bracket, rest = text.removesuffix(")").rpartition(" (")
    if bracket and name and _KEY.fullmatch(rest):
        text = rest
    if _KEY.fullmatch(text):
        named = dict(pair.split("=", 1) for pair in text.split(", "))
        if named.keys() != {column.key for column in figure.key}:
            return []
        is_it = (cast(column, Text) == named[column.key] for column in figure.key)
        return list(connection.scalars(select(figure.primary_key).where(*is_it).limit(2)))
    pairs = (part for column in figure.key for part in (literal(column.key, Text), column))
    key = func.jsonb_build_object(*pairs, type_=JSONB).label("key")
    rows = select(figure.primary_key.label("id"), figure.owner.label("owner"), key).subquery()
    called: Any = subjects.name_of_one_in_sql(figure.name, rows.c.owner, rows.c.key)
    return list(connection.scalars(select(rows.c.id).where(called == text).limit(2)))
