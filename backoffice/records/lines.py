"""The lines of a record in the API."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from ..base import N_
from ..base.identifiers import is_id
from .declaration import Row, Shown
from .fields import NO_SUCH_FIELD, Field

MOST_LINES = 500
"""Lines that a form shows: one of 5,000 costs four seconds, and has eleven megabytes."""
MOST_ROWS = 2 * MOST_LINES
"""Rows of a form that are parsed, so that the form can be shown again with the error that they are too many."""


LINES = "lines"
"""The name of a record's lines in its form and in the API."""

Problem = tuple[str, str]
"""The place of an error in what was sent, and its sentence."""


def shown_lines(
    of: Callable[[Row], Sequence[Mapping[str, Any]]],
    fields: Sequence[Field],
    *,
    named: str,
    required: Sequence[str] = (),
    has_id: bool = False,
    computed: Sequence[str] = (),
    must_be: str,
) -> Shown:
    """Lines with these fields, which `of` computes from a row. Each sent line is an object with the text `named`.

    `required` are further fields that the API document requires; with `has_id` a line may name the stored line that it
    changes; `computed` amounts are read-only. `must_be` is the error of anything else.
    """
    entered = {field.name: {**field.schema(), "title": field.label} for field in fields}
    read_id, sent_id = {"type": "integer"}, {"type": ["integer", "null"], "minimum": 1}

    def of_line(line: Mapping[str, Any]) -> Iterator[Problem]:
        if line.get(named) is None:
            yield named, by_name[named].required or Field.must_be
        if has_id and not _is_line_id(line.get("id")):
            yield "id", N_("Send the id of one of its lines, or none.")

    by_name = {field.name: field for field in fields}
    known = {**by_name, **({"id": None} if has_id else {})}

    def listed(id_: Mapping[str, Any], more: Mapping[str, Any], **law: Any) -> Mapping[str, Any]:
        properties = {**({"id": id_} if has_id else {}), **entered, **more}
        return {"type": "array", "items": {"type": "object", **law, "properties": properties}}

    return Shown(
        LINES,
        N_("Lines"),
        of,
        schema=listed(read_id, {name: {"type": "string"} for name in computed}),
        entry=listed(sent_id, {}, additionalProperties=False, required=[named, *required]),
        fields=fields,
        problems=lambda sent: problems_of(LINES, sent, known, must_be, of_line),
    )


def problems_of(
    name: str,
    sent: Any,
    known: Mapping[str, Field | None],
    must_be: str,
    of_line: Callable[[Mapping[str, Any]], Iterable[Problem]],
) -> Iterator[Problem]:
    """The errors of sent lines, each at its line and field, like `lines-0-debit`.

    `known` are the names that a line may have, with the fields that read them. `of_line` finds further errors of one
    line. `must_be` is the error of what is no list, or no line.
    """
    if not isinstance(sent, list):
        yield name, must_be
        return
    for number, line in enumerate(sent):
        at = f"{name}-{number}"
        if not isinstance(line, dict):
            yield at, must_be
            continue
        for key, value in line.items():
            if key not in known:
                yield f"{at}-{key[:100]}", NO_SUCH_FIELD
            elif (field := known[key]) is not None and not field.reads(value):
                yield f"{at}-{key}", field.must_be
        for key, sentence in of_line(line):
            yield f"{at}-{key}", sentence


def _is_line_id(sent: Any) -> bool:
    is_number = isinstance(sent, int) and not isinstance(sent, bool)
    return sent is None or (is_number and is_id(str(sent)))
