"""The JSON API of every record, from its declaration: list, read, create, change, and verbs.

It refuses what a screen refuses, with the same sentence at the same field: both validate with the record's form.
Programs authenticate with a token that has a scope of the domain (`customers:read`, `customers:write`); browser
sessions are not accepted. docs/api.md says how it is used.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

from flask import Blueprint, Response, current_app, jsonify, request, url_for
from flask_babel import gettext as _
from sqlalchemy import Text, cast

from ..app.extensions import db
from ..app.protection import limiter
from ..base import N_
from ..base.refusals import Invalid, Refusal
from ..lists import List
from ..lists.queries import after, matching, order_of, totals_of
from ..lists.state import State
from ..security.bearer import Program, signed_in_program
from ..security.permissions import for_programs, requires, stateless
from ..web.problems import as_json as _plain
from . import actions, forms
from .calculations import read_beside
from .declaration import Contents, Deletion, Record, Repeated, Row, Verb
from .fields import NO_SUCH_FIELD, CalendarMonth, Field, Flag, Pick, is_text
from .former_addresses import row_formerly_named
from .idempotent_requests import key_sent, once, replayed
from .listing import address_of, list_for, row_named
from .openapi import document
from .query_arguments import cursor_of, list_state, page_size, parse_cursor

UNPROCESSABLE = Refusal.status
"""The status of errors at fields; a refusal with another status keeps it."""


class NotAnObject(Refusal):
    """A body that is not a JSON object."""

    sentence = N_("Send a JSON object, with Content-Type: application/json.")
    status = 400


class VersionMissing(Refusal):
    """A change without `If-Match`."""

    sentence = N_('Send the version that you have read as the header If-Match, like If-Match: "3".')
    status = 428


class VersionOvertaken(Refusal):
    """A change of a version that is not the current one."""

    sentence = actions.RecordChanged.sentence
    status = 412


class RecordNotFound(Refusal):
    """No such record, or none that the program may see."""

    sentence = N_("There is no such record.")
    status = 404


def _program() -> Program:
    program = signed_in_program()
    assert program is not None, "the guard admits programs only"
    return program


def _rate() -> str:
    """The rate limit of one token."""
    return str(current_app.config["API_RATE"])


def rate_limit_key() -> str:
    """The key under which requests are counted: the token, or the client address without one."""
    program = signed_in_program()
    return f"token:{program.token_id}" if program else str(request.remote_addr)


def guarded(
    answer: Callable[..., Response], permission: str, scope: str, *, is_once: bool
) -> Callable[..., Response]:
    """A view for programs with a token of `scope`, rate-limited; `is_once`: one effect per idempotency key."""

    def view(**named: str) -> Response:
        if not is_once:
            return answer(*named.values())
        return once(_program().token_id, lambda: answer(*named.values()))

    view.__doc__ = answer.__doc__
    limited = limiter.shared_limit(_rate, scope="api", key_func=rate_limit_key)(view)
    found: Callable[..., Response] = for_programs(requires(permission, scope=scope)(limited))
    return found


class Resource:
    """The API of one record."""

    def __init__(self, record: Record) -> None:
        self.record = record

    def add_to(self, bp: Blueprint) -> None:
        """Register the record's routes on `bp`."""
        record, name = self.record, self.record.domain
        one = f"/{name}/<path:name>"
        routes: list[tuple[str, str, str, Callable[..., Response]]] = [
            ("GET", f"/{name}", "index", self.index),
            ("GET", one, "record", self.show),
            ("POST", f"/{name}", "create", self.create),
        ]
        if not record.append_only:
            routes.append(("PATCH", one, "update", self.update))
        for method, rule, view, answer in routes:
            bp.add_url_rule(rule, f"{name}_{view}", self._guarded(answer, method), methods=[method])
        for verb in record.program_verbs:
            act = self.create_by_verb if verb.creates else self.act
            answer = self._guarded(partial(act, verb), "POST", verb)
            bp.add_url_rule(
                f"{one}/{verb.address}", f"{name}_{verb.name}", answer, methods=["POST"]
            )
        for held in record.contents:
            at, view = f"{one}/{held.name}", f"{name}_{held.name}"
            bp.add_url_rule(at, view, self._guarded(partial(self.list_contents, held), "GET"))
            part = self._guarded(partial(self.show_content, held), "GET")
            bp.add_url_rule(f"{at}/<path:part>", f"{view}_record", part)

    def _guarded(
        self, answer: Callable[..., Response], method: str, verb: Verb | None = None
    ) -> Callable[..., Response]:
        is_reading = method == "GET"
        writes = (verb and verb.writes) or self.record.writes
        permission = self.record.reads if is_reading else writes
        scope = f"{self.record.domain}:{'read' if is_reading else 'write'}"
        keeps_key = verb is not None and bool(verb.key)
        return guarded(answer, permission, scope, is_once=not is_reading and not keeps_key)

    def index(self) -> Response:
        """A page of records, by the list's own filters and sort; `after` continues where the last page ended."""
        return self._listed(list_for(self.record, _program()))

    def list_contents(self, held: Contents, name: str) -> Response:
        """A page of the contents of a record, by their own list's filters and sort."""
        row, whole = self._found(name), list_for(held.record, _program())

        def rows(user: Any) -> Any:
            return whole.rows(user).where(held.of == row.id)

        return Resource(held.record)._listed(replace(whole, rows=rows))

    def show_content(self, held: Contents, name: str, part: str) -> Response:
        """One of the contents of a record."""
        row, of_it = self._found(name), Resource(held.record)
        found = of_it._found(part)
        if getattr(found, held.of.key) != row.id:
            raise RecordNotFound()
        return of_it._answer(found)

    def _listed(self, listing: List) -> Response:
        state = list_state(self.record, listing)
        size = page_size()
        rows, has_more = self._page_of_rows(state, size)
        answer: dict[str, Any] = {
            "items": self.as_json([row for row, _value in rows]),
            "next": None,
        }
        if has_more:
            last, sorted_by = rows[-1]
            arguments: dict[str, Any] = {
                **(request.view_args or {}),
                **request.args.to_dict(),
                "after": cursor_of(state.sort, sorted_by, last.id),
            }
            answer["next"] = url_for(request.endpoint or "", **arguments)
        if "totals" in request.args:
            found = totals_of(db.session(), _program(), state)
            sums = {name: str(amount) for name, amount in found.sums.items()}
            answer |= {"count": found.count, "totals": sums}
        return jsonify(answer)

    def _page_of_rows(
        self, state: State, size: int
    ) -> tuple[Sequence[tuple[Row, str | None]], bool]:
        """Rows, each with its sort value as text, and whether there are more."""
        value: Any = cast(state.listing.expression(state.sort.removeprefix("-")), Text)
        rows = matching(_program(), state).with_only_columns(
            self.record.model, value.label("sorted_by")
        )
        rows = rows.options(*self.record.loads)
        if (cursor := request.args.get("after")) is not None:
            rows = after(rows, state, *parse_cursor(cursor, state.sort))
        else:
            rows = rows.order_by(*order_of(rows, state))
        found = [(row, sorted_by) for row, sorted_by in db.session.execute(rows.limit(size + 1))]
        return found[:size], len(found) > size

    def show(self, name: str) -> Response:
        """One record, with its version as ETag."""
        return self._answer(self._found(name))

    def create(self) -> Response:
        """A new record."""
        record = self.record
        given = _body(names_sent(record) | {field.name for field in record.new_fields})
        usual = {field.name: field.suggested() for field in record.fields}
        form = self._form(None, {**usual, **given}, given)
        with _for_a_program(form):
            row = actions.create(db.session(), record, form.values())
        answer = self._answer(row, 201)
        named: dict[str, Any] = {"name": record.name_of(row)}
        answer.headers["Location"] = url_for(f"api.{record.domain}_record", **named)
        return answer

    def update(self, name: str) -> Response:
        """A change of some fields of a record, if it is still at the version in `If-Match`."""
        record, version, row = self.record, _version(), self._found(name)
        given = _body(names_sent(record))
        [stored] = self.as_json([row])
        stored |= {field.name: None for field in record.fields if not field.counts(row)}
        form = self._form(row, {**stored, **given}, given)
        with _for_a_program(form):
            changed = actions.update(db.session(), record, row.id, form.values(), version)
        return self._answer(changed)

    def act(self, verb: Verb, name: str) -> Response:
        """Carry out a verb, if the row is still at the version in `If-Match`."""
        version, row = _version(), self._found(name)
        self._run_verb(verb, row, version)
        return Response(status=204) if isinstance(verb, Deletion) else self._answer(row)

    def create_by_verb(self, verb: Verb, name: str) -> Response:
        """The row that a verb creates; for a repeated key the one that it created then."""
        record, row = self.record, self._found(name)
        held = record.content_of(verb.creates)
        assert held is not None, "a verb creates rows of the record's contents"
        key = {verb.key: key_sent()} if verb.key else {}
        found = self._run_verb(verb, row, record.version_of(row), **key)
        made = found.row if isinstance(found, Repeated) else found
        named: dict[str, Any] = {"name": name, "part": held.record.name_of(made)}
        answer = Resource(held.record)._answer(made, 201)
        answer.headers["Location"] = url_for(f"api.{record.domain}_{held.name}_record", **named)
        return replayed(answer) if isinstance(found, Repeated) else answer

    def _run_verb(self, verb: Verb, row: Row, version: int, **key: str | None) -> Any:
        known = {field.name for field in verb.fields}
        given = _body(known) if known or request.get_data() else {}
        usual = {field.name: field.suggested() for field in verb.fields}
        form = self._form(row, {**usual, **given}, given, verb)
        with _for_a_program(form):
            values = {**form.values(), **key}
            return actions.run_verb(db.session(), self.record, verb, row.id, version, values)

    def _found(self, name: str) -> Row:
        row = row_named(db.session(), self.record, _program(), name)
        if row is None:
            row = row_formerly_named(self.record, _program(), name)
        if row is None:
            raise RecordNotFound()
        return row

    def _form(
        self,
        row: Row,
        values: Mapping[str, Any],
        given: Mapping[str, Any],
        verb: Verb | None = None,
    ) -> forms.OfRecord:
        """The record's valid form over these values. Raises Invalid with all errors."""
        fields = forms.fields_of(self.record, row, verb)
        beside = () if verb is not None else self.record.sent
        wrong = [
            (field.name, _(field.must_be))
            for field in fields
            if field.name in given and not field.reads(given[field.name])
        ]
        for shown in beside:
            if shown.name in given:
                wrong += [(at, _(sentence)) for at, sentence in shown.problems(given[shown.name])]
        answers = {name: given[name] for name in self.record.answers if name in given}
        wrong += [(name, _(Field.must_be)) for name, sent in answers.items() if not is_text(sent)]
        if wrong:
            raise Invalid(wrong)
        facts = {field.name: field.fact(values.get(field.name)) for field in fields}
        sent = {f.name: facts[f.name] for f in fields if facts[f.name] or not isinstance(f, Flag)}
        sent |= {one.name: values[one.name] for one in beside if one.name in values} | answers
        form = forms.sent(self.record, row, sent, given, verb)
        if not form.validate():
            form.add_errors(form.problems())
            raise Invalid(form.error_messages())
        if asked := form.asked():
            raise Invalid([(asked[-1].name, asked[-1].in_words)])
        return form

    def _answer(self, row: Row, status: int = 200) -> Response:
        """The row, with its version as ETag."""
        db.session.flush()
        response = jsonify(self.as_json([row])[0])
        response.status_code = status
        response.headers["ETag"] = f'"{self.record.version_of(row)}"'
        return response

    def as_json(self, rows: Sequence[Row]) -> list[dict[str, Any]]:
        """Records as JSON: exact numbers as text, other records by their names."""
        fields = (*self.record.fields, *self.record.kept)
        beside = list(read_beside(self.record))
        columns = {
            field.name: _as_json(field, [getattr(r, field.key) for r in rows]) for field in fields
        }
        return [
            {
                "id": row.id,
                "version": self.record.version_of(row),
                **{name: values[place] for name, values in columns.items()},
                **{shown.name: _plain(shown.of(row)) for shown in beside},
                "url": address_of(self.record, row),
            }
            for place, row in enumerate(rows)
        ]


def names_sent(record: Record) -> set[str]:
    """The names that a program may send for a record."""
    fields = {field.name for field in record.fields}
    return {*record.answers, *fields, *(shown.name for shown in record.sent)}


@contextmanager
def _for_a_program(form: forms.OfRecord) -> Iterator[None]:
    """Turn the refusals of an action into API errors: another version into 412, else errors at fields."""
    try:
        yield
    except actions.RecordChanged as late:
        raise VersionOvertaken(**late.values) from late
    except Refusal as refusal:
        if refusal.status != UNPROCESSABLE or not form.shows(refusal):
            raise
        raise Invalid(form.error_messages()) from refusal


def _as_json(field: Field, values: Sequence[Any]) -> list[Any]:
    """The values of one field as JSON."""
    if isinstance(field, Pick):
        names = field.of.names(db.session(), values)
        return [names.get(value) for value in values]
    if isinstance(field, CalendarMonth):
        return [field.fact(value) or None for value in values]
    return [_plain(value) for value in values]


def _body(known: set[str]) -> dict[str, Any]:
    """The JSON object that was sent. Raises NotAnObject, or Invalid with every unknown name."""
    try:
        body = request.get_json(silent=True)
    except RecursionError:  # brackets by the thousand, which Python's reader does not follow
        body = None
    if not isinstance(body, dict):
        raise NotAnObject()
    unknown = [name for name in body if name not in known]
    if unknown:
        raise Invalid([(str(name)[:100], _(NO_SUCH_FIELD)) for name in unknown])
    return body


def _version() -> int:
    """The version in `If-Match`. Raises VersionMissing where it does not name exactly one."""
    tags = [tag or "" for tag in request.if_match.as_set(include_weak=False)]
    text = tags[0] if len(tags) == 1 else ""
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise VersionMissing()
    return int(text)


def api_of(declared: Iterable[Record], resources: Sequence[Any] = ()) -> Blueprint:
    """The blueprint of the API for these records and the domains' further resources, with its OpenAPI document."""
    records = tuple(record for record in declared if record.writes)
    bp = Blueprint("api", __name__, url_prefix="/api")
    for resource in resources:
        resource.add_to(bp)
    for record in records:
        Resource(record).add_to(bp)

    @stateless
    def openapi() -> Response:
        """The OpenAPI 3.1 document; it contains no secret, and is public."""
        return jsonify(document(records, resources))

    bp.add_url_rule("/openapi.json", "openapi", openapi)
    return bp
