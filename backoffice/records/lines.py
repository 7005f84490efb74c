"""The lines of a record in the API."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..base import N_
from ..base.identifiers import is_id
from .declaration import Row, Shown
from .fields import Field

MOST_LINES = 500
"""Lines that one record may have."""
MOST_ROWS = 2 * MOST_LINES
"""Rows of a form that are parsed, so that the form can be shown again with the error that they are too many."""


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
    reads = {field.name: field.reads for field in fields} | ({"id": _is_line_id} if has_id else {})
    read_id, sent_id = {"type": "integer"}, {"type": ["integer", "null"], "minimum": 1}

    def is_line(one: Any) -> bool:
        return (
            isinstance(one, dict)
            and isinstance(one.get(named), str)
            and all(name in reads and reads[name](value) for name, value in one.items())
        )

    def listed(id_: Mapping[str, Any], more: Mapping[str, Any], **law: Any) -> Mapping[str, Any]:
        properties = {**({"id": id_} if has_id else {}), **entered, **more}
        return {"type": "array", "items": {"type": "object", **law, "properties": properties}}

    return Shown(
        "lines",
        N_("Lines"),
        of,
        schema=listed(read_id, {name: {"type": "string"} for name in computed}),
        entry=listed(sent_id, {}, additionalProperties=False, required=[named, *required]),
        reads=lambda sent: isinstance(sent, list) and all(map(is_line, sent)),
        must_be=must_be,
    )


def _is_line_id(sent: Any) -> bool:
    return sent is None or (isinstance(sent, int) and is_id(str(sent)))
