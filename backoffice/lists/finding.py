"""Search in the rows of a list: by their number, by their owner, by the text they contain.

Every search starts from the list's own `rows`: users find only rows that the list would show them.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import product
from typing import Any
from unicodedata import normalize

from flask import url_for
from flask_babel import gettext as _
from sqlalchemy import String, case, literal, select, union_all
from sqlalchemy.orm import Session

from ..search.search_results import Findable, Question, SearchResult
from .declaration import List, Row
from .filters import escaped
from .joins import prune_joins
from .queries import matching, order_of, totals_cost, totals_of
from .state import State, state_of

Way = Callable[[Question, List], Sequence[Any]]
"""One way to find rows: returns their keys, the likeliest first."""

Reader = Callable[[Question, List, Sequence[Any]], Sequence[Row]]
"""Reads the rows with the given keys, each with its `key`."""

AFFORDABLE = 1_000.0
"""The most that scanning a whole list may cost, in the planner's unit (about 100 a millisecond)."""

MOST_LETTERS = 3
"""Up to this many letters of a number are tried in each case separately; more are tried all in one case."""


def kind_of(
    name: str,
    title: str,
    endpoint: str,
    listing_of: Callable[[Any], List],
    *,
    rank: int,
    ways: Sequence[Way],
    reads: Sequence[str] = (),
    rows: Reader | None = None,
    place: Callable[[Row], SearchResult],
) -> Findable:
    """The search in the list with the screen `endpoint`: `ways` first, then its filter `q`.

    The filter is used only if the list is short, because no index supports it. `place` makes a result of a row, which
    holds only the columns that it `reads` and the list's `also`, or what `rows` reads. The results of one way are
    yielded before the next is tried, which may time out.
    """
    read = rows or partial(_rows, reads=reads)

    def ask(question: Question) -> Iterator[SearchResult]:
        listing, reported = listing_of(question.user), set[Any]()
        for way in (*ways, _holding):
            if len(reported) >= question.limit:
                return
            new = [key for key in dict.fromkeys(way(question, listing)) if key not in reported]
            new = new[: question.limit - len(reported)]
            reported.update(new)
            found = {row.key: row for row in read(question, listing, new)}
            yield from (place(found[key]) for key in new if key in found)

    def count(question: Question) -> int | None:
        state = _state(question, listing_of(question.user))
        if not _is_affordable(question, state):
            return None
        return totals_of(question.session, question.user, state).count

    return Findable(
        name, title, endpoint, ask,
        rank=rank, count=count, all_of=lambda text: url_for(endpoint, q=text),
    )  # fmt: skip


def called(column: Any) -> Way:
    """By the exact number, ignoring case and width: uses an index on the column, in any collation.

    An integer column matches digits only.
    """
    is_text = isinstance(column.type, String)

    def way(question: Question, listing: List) -> Sequence[Any]:
        text = question.text
        if not is_text and not re.fullmatch(r"[0-9]{1,18}", text):
            return ()
        asked: Sequence[Any] = [int(text)] if not is_text else in_either_case(text)
        if is_text and not text.isascii():
            asked = [*asked, *in_either_case(normalize("NFKC", text))]
        rows = listing.rows(question.user).where(column.in_(asked))
        # A comparison may fold to a constant (a code that does not exist), and PostgreSQL rejects a bare constant to
        # sort by.
        order = [case((column == asked[0], 0), else_=1), listing.key]
        found = prune_joins(rows, [listing.key.label("key")], order).limit(question.limit)
        return question.session.scalars(found).all()

    return way


def beginning(column: Any) -> Way:
    """By the beginning of a number, ignoring case: uses an index on the column in collation C."""

    def way(question: Question, listing: List) -> Sequence[Any]:
        rows = listing.rows(question.user)
        value = column.expression.label("value")
        parts = [
            prune_joins(
                rows.where(column.like(f"{escaped(text)}%", escape="/")),
                [literal(rank).label("rank"), value, listing.key.label("key")],
                [column.expression],
            ).limit(question.limit)
            for rank, text in enumerate(in_either_case(question.text))
        ]
        found = union_all(*parts).subquery("found")
        ranked = select(found.c.key).order_by(found.c.rank, found.c.value)
        return question.session.scalars(ranked).all()

    return way


def owned_by(column: Any, owners: Callable[[Question], Sequence[int]]) -> Way:
    """By owner: the first rows of each owner, in the list's own order."""
    return belonging_to(lambda owner: column == owner, owners)


def belonging_to(is_of: Callable[[int], Any], owners: Callable[[Question], Sequence[int]]) -> Way:
    """As `owned_by`, with a condition for the rows of an owner."""

    def way(question: Question, listing: List) -> Sequence[Any]:
        found = owners(question)
        if not found:
            return ()
        rows = listing.rows(question.user)
        order = order_of(rows, state_of(listing, {}))
        key = listing.key.label("key")
        parts = union_all(
            *(
                prune_joins(rows.where(is_of(owner)), [key], order).limit(question.limit)
                for owner in found
            )
        ).subquery("found")
        return question.session.scalars(select(parts.c.key)).all()

    return way


def in_either_case(text: str) -> list[str]:
    """The spellings of a number in upper and lower case: as typed first, without duplicates."""
    letters = [position for position, sign in enumerate(text) if sign.lower() != sign.upper()]
    if len(letters) > MOST_LETTERS:
        return list(dict.fromkeys((text, text.upper(), text.lower(), text.capitalize())))
    choices = [(sign, sign.upper(), sign.lower()) for sign in text]
    return list(dict.fromkeys("".join(signs) for signs in product(*map(dict.fromkeys, choices))))


def _holding(question: Question, listing: List) -> Sequence[Any]:
    """The rows that match the list's own filter, if that is affordable."""
    state = _state(question, listing)
    if not _is_affordable(question, state):
        return ()
    rows = matching(question.user, state)
    found = prune_joins(rows, [listing.key.label("key")], order_of(rows, state))
    return question.session.scalars(found.limit(question.limit)).all()


def _state(question: Question, listing: List) -> State:
    """The list filtered by the text, without columns, so that nothing is summed."""
    return replace(state_of(listing, {"q": question.text}), columns=())


def _is_affordable(question: Question, state: State) -> bool:
    """Whether scanning the whole list is affordable, by the planner's estimate."""

    def ask() -> bool:
        return totals_cost(question.session, question.user, state) <= AFFORDABLE

    return bool(question.once(("affordable", state.listing.name), ask, otherwise=False))


def _rows(
    question: Question, listing: List, keys: Sequence[Any], *, reads: Sequence[str]
) -> Sequence[Row]:
    """The rows with these keys, with the columns that are read."""
    if not keys:
        return ()
    values = {c.name: c.value for c in listing.columns if c.name in reads} | dict(listing.also)
    columns = [listing.key.label("key"), *(v.label(name) for name, v in values.items())]
    rows = listing.rows(question.user).with_only_columns(*columns)
    return question.session.execute(rows.where(listing.key.in_(keys))).all()


def statuses_of(session: Session, user: Any, listing: List, record: Any) -> list[dict[str, str]]:
    """The statuses of a record as its list shows them: the word and the tone of every column of statuses.

    None of a record that is listed by another key than its id.
    """
    named = [column for column in listing.columns if column.tones]
    if not named or listing.key is not type(record).id:
        return []
    values = (column.value.label(column.name) for column in named)
    one = listing.rows(user).with_only_columns(*values).where(listing.key == record.id)
    row = session.execute(one).first()
    found = [] if row is None else [status_in(listing, column.name, row) for column in named]
    return [status for status in found if status["status"]]


def status_in(listing: List, name: str, row: Row) -> dict[str, str]:
    """The status of a row for a search result: the word and the tone of that column of the list."""
    column, value = listing.column(name), getattr(row, name)
    word = (column.words or {}).get(value, "")
    return {"status": _(word) if word else "", "tone": (column.tones or {}).get(value, "neutral")}
