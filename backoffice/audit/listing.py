"""The list of everything that happened, newest first."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flask import url_for
from sqlalchemy import (
    ColumnElement,
    Text,
    bindparam,
    case,
    cast,
    func,
    literal,
    select,
    type_coerce,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Session

from ..base import N_, Base, counted, differences
from ..base.identifiers import is_id
from ..book import Book
from ..figures.models import Correction
from ..lists import Choice, Column, List, Moments, Reference, Search, containing
from ..people.models import ApiToken, User
from .chain.records import EVENTS, xid_of
from .models import AuditEvent
from .queries import person_of
from .rendering import ACTIONS, is_measured
from .tables import ByTable, Recorded, title_of

_ROW = AuditEvent


@dataclass(frozen=True)
class Person(Reference):
    """Filter by user; events name their actor as `user:7`."""

    def conditions(self, values: Mapping[str, str]) -> Iterator[ColumnElement[bool]]:
        """The condition that the actor is that user."""
        if self.name in values:
            yield _ROW.actor == f"user:{int(values[self.name])}"


@dataclass(frozen=True)
class Transaction(Search):
    """Filter by transaction number."""

    def conditions(self, values: Mapping[str, str]) -> Iterator[ColumnElement[bool]]:
        """The condition for that transaction; text that is not a number matches nothing."""
        if self.name in values:
            text = values[self.name]
            yield _ROW.xid == xid_of(int(text) if is_id(text) else 0)


def _people(session: Session, _user: Any) -> Sequence[tuple[int, str]]:
    found = session.execute(select(User.id, User.name).order_by(func.lower(User.name), User.id))
    return [(row.id, row.name) for row in found]


def _event(row: Any) -> str:
    return url_for("audit.event", event_id=row.key)


def _document(column: ColumnElement[Any]) -> ColumnElement[Any]:
    """A recorded document; empty if it was not written by a trigger."""
    document = type_coerce(column, JSONB)
    is_one = func.jsonb_typeof(document) == "object"
    return case((is_one, document), else_=cast(literal("{}", Text), JSONB))


def _amounts() -> str:
    """By table, the columns of amounts, quantities, prices and counts; as JSON."""
    return json.dumps(
        {
            table.name: [column.key for column in table.c if is_measured(column)]
            for table in Base.metadata.tables.values()
        }
    )


def _fields() -> ColumnElement[str]:
    """Every field with its recorded values, for the export."""
    before, after = map(_document, (EVENTS.c.before, EVENTS.c.after))
    keys = func.jsonb_object_keys(before.op("||")(after)).table_valued("name", name="fields")
    names = keys.render_derived()
    name = names.c.name
    was, is_now = (side.op("->>", return_type=Text())(name) for side in (before, after))
    old, new = (func.coalesce(side, "") for side in (was, is_now))
    amounts = cast(bindparam("amounts", callable_=_amounts, type_=Text, unique=True), JSONB)
    is_amount = amounts[_ROW.table_name].has_key(name) & was.is_not(None) & is_now.is_not(None)
    apart = func.coalesce(case((is_amount, differences.signed_in_sql(was, is_now))), "")
    written = case(
        (_ROW.action == "UPDATE", func.concat(name, ": ", old, " → ", new, apart)),
        else_=func.concat(name, ": ", old, new),
    )
    reported = select(func.string_agg(written, "; ")).select_from(names)
    return reported.correlate(EVENTS).scalar_subquery()


AUDIT = List(
    "audit",
    N_("Audit"),
    "audit.index",
    export="audit.export",
    rows=lambda _user: select().select_from(_ROW),
    key=_ROW.id,
    also={
        "actor": _ROW.actor, "table_name": _ROW.table_name, "row_id": _ROW.row_id,
        "before": _ROW.before, "after": _ROW.after,
    },
    columns=(
        Column("at", N_("When"), _ROW.at, kind="moment", link=_event),
        Column("who", N_("Who"), func.coalesce(person_of(_ROW.actor), _ROW.actor), is_sortable=False),
        Column("db_user", N_("Database user"), _ROW.db_user, is_sortable=False, is_shown=False),
        Column(
            "what", N_("What"), _ROW.table_name, words=ByTable(title_of), is_sortable=False
        ),
        Column("record", N_("Record"), _ROW.row_id, is_sortable=False),
        Column(
            "action", N_("Action"), _ROW.action,
            words={action: word for action, (word, _tone) in ACTIONS.items()}, is_sortable=False,
        ),
        Column(
            "changes", N_("Before and after"), _fields(), is_sortable=False, classes="cell-changes"
        ),
        Column("event", N_("Event"), _ROW.id, kind="number", is_sortable=False, is_shown=False),
    ),
    filters=(
        Search(
            "q", N_("Value"), containing(cast(EVENTS.c.before, Text), cast(EVENTS.c.after, Text)),
            placeholder=N_("Part of a value, before or after"),
        ),
        Search("row", N_("Record number"), lambda text: _ROW.row_id == text.removeprefix("#")),
        Choice(
            "table", N_("What"),
            ByTable(lambda name: (title_of(name), _ROW.table_name == name)),
            any_label=N_("Everything"),
        ),
        Choice(
            "action", N_("Action"),
            {name.lower(): (word, _ROW.action == name) for name, (word, _tone) in ACTIONS.items()},
        ),
        Person("person", N_("Who"), User.id, _people),
        Moments("since", "until", N_("From"), N_("to"), _ROW.at),
        Search("actor", N_("Actor"), lambda text: _ROW.actor == text, is_quiet=True),
        Search("db_user", N_("Database user"), lambda text: _ROW.db_user == text, is_quiet=True),
        Transaction("transaction", N_("Transaction"), lambda _text: _ROW.id > 0, is_quiet=True),
    ),
    default_sort="-at",
    counted=counted("%(num)s event", "%(num)s events"),
    nothing_yet=(
        N_("Nothing recorded yet"),
        N_("Whatever anybody enters, changes or deletes appears here, and stays."),
    ),
    classes="audit-table",
)  # fmt: skip

RECORDED = (
    Recorded(
        N_("User"), User, name=User.name,
        endpoint="people.user", argument="user_id", is_shown_by_id=True,
    ),
    Recorded(N_("Corrections"), Correction, labels={"digests": N_("Sealed")}),
    Recorded(
        N_("What the book means"), Book,
        labels={
            "currency": N_("Currency"), "business_timezone": N_("Business time zone"),
            "locked_until": N_("Locked until"),
            "closed_until": N_("Closed until"),
            "reason": N_("Reason"), "set_at": N_("Set"),
        },
    ),
    Recorded(
        N_("API token"), ApiToken, name=ApiToken.name,
        labels={
            "scope": N_("Opens"), "token_hash": N_("Token"), "created_by": N_("Made by"),
            "expires_at": N_("Expires"), "revoked_at": N_("Revoked"),
        },
    ),
)  # fmt: skip
