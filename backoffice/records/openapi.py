"""The OpenAPI 3.1 document of the API, from the records' declarations."""

from collections.abc import Iterator, Sequence
from importlib.metadata import version
from typing import Any

from flask_login import AnonymousUserMixin

from .. import lists
from ..lists.filters import LONGEST_TEXT, Filter
from .calculations import read_beside
from .declaration import Deletion, Record, Verb
from .fields import DAY, Field, Pick
from .idempotent_requests import LONGEST_KEY
from .listing import list_for

LARGEST_PAGE = 1_000
"""The most records in a page."""

LARGEST_ID = 10**18 - 1
"""The largest row id that a filter accepts."""

JSON = "application/json"
PROBLEM = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
TEXT = {"type": "string"}
WITHOUT_NUL = "^[^\\u0000]*$"
"""A text without NUL, which PostgreSQL cannot store."""
ONE = {"name": "name", "in": "path", "required": True, "schema": TEXT}
PART = {**ONE, "name": "part"}
MATCH = {
    "name": "If-Match", "in": "header", "required": True, "schema": TEXT,
    "description": "The version that was read, in quotes.",
}  # fmt: skip
KEY = {"name": "Idempotency-Key", "in": "header", "schema": {**TEXT, "maxLength": LONGEST_KEY}}
OF_VERSION = ("400", "404", "409", "412", "422", "428")
"""The statuses that refuse a change of a version."""

SCHEMAS: dict[str, Any] = {
    "Problem": {
        "type": "object",
        "description": "Problem details by RFC 9457; `errors` names the fields that cannot be.",
        "required": ["type", "title", "status", "code", "detail"],
        "properties": {
            "type": TEXT, "title": TEXT, "status": {"type": "integer"}, "code": TEXT, "detail": TEXT,
            "errors": {
                "type": "array",
                "items": {
                    "type": "object", "required": ["field", "message"],
                    "properties": {"field": TEXT, "message": TEXT},
                },
            },
        },
    },
}  # fmt: skip


class Anybody(AnonymousUserMixin):  # type: ignore[misc]
    """The user for whom lists are described: the document is public, and has no data."""

    id = 0


def document(records: Sequence[Record], resources: Sequence[Any] = ()) -> dict[str, Any]:
    """The whole document: a path per address, a schema per record."""
    paths: dict[str, Any] = {}
    schemas = dict(SCHEMAS)
    for record in records:
        schemas |= _schemas(record)
        paths |= _paths(record)
    for resource in resources:
        paths |= resource.paths()
    return {
        "openapi": "3.1.0",
        "info": {"title": "Backoffice", "version": version("backoffice")},
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{"token": []}],
    }


def _model(record: Record) -> str:
    return record.model.__name__


def _schemas(record: Record) -> dict[str, Any]:
    name, fields = _model(record), _properties(record.fields)
    new = [field.name for field in record.new_fields if field.required]
    required = [*_required(record.fields), *new]
    answers = {name: {**TEXT, "title": title} for name, title in record.answers.items()}
    answers |= {one.name: {**(one.entry or {}), "title": one.title} for one in record.sent}
    shown = [*record.fields, *record.kept]
    beside = {one.name: {**one.schema, "title": one.title} for one in read_beside(record)}
    whole = {
        "id": {"type": "integer"},
        "version": {"type": "integer"},
        **{field.name: {**_shown(field), "title": field.label} for field in shown},
        **beside,
        "url": TEXT,
    }
    found = {
        name: {"type": "object", "required": list(whole), "properties": whole},
        f"New{name}": {
            "type": "object", "additionalProperties": False, "required": required,
            "properties": {**fields, **_properties(record.new_fields), **answers},
        },
        **{f"{name}{verb.name.title()}": _body_of(verb) for verb in record.program_verbs if verb.fields},
    }  # fmt: skip
    for held in record.contents:
        found[_model(held.record)] = _schemas(held.record)[_model(held.record)]
    if not record.append_only:
        found[f"{name}Change"] = {
            "type": "object",
            "additionalProperties": False,
            "properties": {**fields, **answers},
        }
    return found


def _body_of(verb: Verb) -> dict[str, Any]:
    return {
        "type": "object", "additionalProperties": False, "properties": _properties(verb.fields),
        "required": _required(verb.fields),
    }  # fmt: skip


def _required(fields: Sequence[Field]) -> list[str]:
    """The fields that must be sent: required ones without a default."""
    return [field.name for field in fields if field.required and field.usual is None]


def _properties(fields: Sequence[Field]) -> dict[str, Any]:
    return {field.name: {**field.schema(), "title": field.label} for field in fields}


def _shown(field: Field) -> dict[str, Any]:
    """The schema of what is answered: null, too, where the column may be."""
    schema = field.schema()
    if not field.column.expression.nullable or schema["type"] != "string" or "enum" in schema:
        return schema
    return {**schema, "type": ["string", "null"]}


def _paths(record: Record) -> dict[str, Any]:
    model, name = _model(record), record.domain
    shown = operation(f"One of {name}", f"{name}_record", "200", model, (ONE,), "404")
    new = operation(
        f"A new one of {name}", f"{name}_create", "201", model, (KEY,), "400", "409", "422", body=f"New{model}",
    )  # fmt: skip
    found: dict[str, Any] = {
        f"/api/{name}": {"get": _listing(record, f"{name}_index"), "post": new},
        f"/api/{name}/{{name}}": {"get": shown},
    }
    if not record.append_only:
        found[f"/api/{name}/{{name}}"]["patch"] = operation(
            f"Change one of {name}", f"{name}_update", "200", model, (ONE, MATCH, KEY), *OF_VERSION,
            body=f"{model}Change",
        )  # fmt: skip
    for verb in record.program_verbs:
        found[f"/api/{name}/{{name}}/{verb.address}"] = {"post": _act(record, verb)}
    for held in record.contents:
        at, view = f"/api/{name}/{{name}}/{held.name}", f"{name}_{held.name}"
        part = operation(
            f"One of {held.name}", f"{view}_record", "200", _model(held.record), (ONE, PART), "404"
        )
        found.setdefault(at, {})["get"] = _listing(held.record, view, ONE)
        found[f"{at}/{{part}}"] = {"get": part}
    return found


def _act(record: Record, verb: Verb) -> dict[str, Any]:
    status, answered = "200", _model(record)
    sent, refused = [ONE, MATCH, KEY], list(OF_VERSION)
    if isinstance(verb, Deletion):
        status, answered = "204", ""
    if verb.creates is not None:
        status, answered = "201", _model(verb.creates)
        sent, refused = [ONE, KEY], ["400", "404", "409", "422"]
    return operation(
        f"{verb.title}: one of {record.domain}", f"{record.domain}_{verb.name}", status, answered, sent,
        *refused, *(str(refusal.status) for refusal in verb.raises),
        body=f"{_model(record)}{verb.name.title()}" if verb.fields else "",
    )  # fmt: skip


def arguments_of(record: Record, listing: lists.List) -> dict[str, dict[str, Any]]:
    """The query arguments of the record's list, with their schemas."""
    entered = (*record.fields, *record.kept)
    names = {field.name for field in entered if not isinstance(field, Pick)}
    sorts = sorted(listing.sorts & {"id", *names, *record.figure_columns})
    return {
        **dict(pair for one in listing.filters for pair in _of_filter(one)),
        "sort": {"enum": [*sorts, *(f"-{name}" for name in sorts)]},
        "limit": {"type": "integer", "minimum": 1, "maximum": LARGEST_PAGE},
        "after": TEXT,
        "totals": {"enum": ["1"]},
    }


def _listing(record: Record, name: str, *within: dict[str, Any]) -> dict[str, Any]:
    """The list operation of that name; `within` are the path parameters of the record that has the contents."""
    schemas = arguments_of(record, list_for(record, Anybody()))
    asked = [{"name": n, "in": "query", "schema": schema} for n, schema in schemas.items()]
    page = {
        "type": "object", "required": ["items", "next"],
        "properties": {
            "items": {"type": "array", "items": {"$ref": f"#/components/schemas/{_model(record)}"}},
            "next": {"type": ["string", "null"]}, "count": {"type": "integer"},
            "totals": {"type": "object", "additionalProperties": TEXT},
        },
    }  # fmt: skip
    refused = ("400", "404") if within else ("400",)
    found = operation(f"A page of {record.domain}", name, "200", "", (*within, *asked), *refused)
    found["responses"]["200"]["content"] = {JSON: {"schema": page}}
    return found


def _of_filter(one: Filter) -> Iterator[tuple[str, dict[str, Any]]]:
    """The query arguments of a filter, with their schemas."""
    schema: dict[str, Any] = {"type": "string", "maxLength": LONGEST_TEXT, "pattern": WITHOUT_NUL}
    if isinstance(one, lists.Choice):
        schema = {"enum": list(one.options)}
    elif isinstance(one, lists.Reference):
        schema = {"type": "integer", "minimum": 1, "maximum": LARGEST_ID}
    elif isinstance(one, lists.Days | lists.AsOf):
        schema = {"type": "string", "format": "date", "pattern": f"^{DAY}$"}
    return ((name, schema) for name in one.arguments)


def operation(
    summary: str,
    name: str,
    status: str,
    model: str,
    parameters: Sequence[Any],
    *refusals: str,
    body: str = "",
) -> dict[str, Any]:
    """One operation: its answer, parameters and body, and the statuses by which it refuses."""
    answer: dict[str, Any] = {"description": "Done."}
    if model:
        answer["content"] = {JSON: {"schema": {"$ref": f"#/components/schemas/{model}"}}}
    refused = {code: {"description": "Refused.", "content": PROBLEM} for code in refusals}
    signed_in = {
        code: {"description": "The token does not open this.", "content": PROBLEM}
        for code in ("401", "403", "429")
    }
    found: dict[str, Any] = {
        "summary": summary, "operationId": name, "parameters": list(parameters),
        "responses": {status: answer, **refused, **signed_in},
    }  # fmt: skip
    if body:
        schema = {"$ref": f"#/components/schemas/{body}"}
        found["requestBody"] = {"required": True, "content": {JSON: {"schema": schema}}}
    return found
