"""The figures of every declared record: shown, explained, in the API, and marked where they are wrong."""

import re
from collections.abc import Callable, Iterator
from datetime import date
from typing import Any

import pytest
from flask import Flask, url_for
from flask.testing import FlaskClient
from sqlalchemy import select

from backoffice import figures
from backoffice.drift.wording import value
from backoffice.records import Record
from backoffice.records.listing import list_for
from backoffice.records.openapi import Anybody
from tests.addresses import records_called_x
from tests.factories.orders import OrderFactory
from tests.orders.pages import text_of
from tests.surgery import past_every_trigger

from .declared import DECLARED
from .test_api import Program, address

SignIn = Callable[..., FlaskClient]

WITH_FIGURES = pytest.mark.parametrize(
    "record", [record for record in DECLARED if record.figures], ids=lambda record: record.domain
)


@pytest.fixture
def row(session: Any, record: Record) -> Any:
    """A row of the record with figures above zero."""
    records_called_x()
    closed = date(2026, 3, 5)
    OrderFactory(customer__code="y", order_date=closed, closing_date=closed)
    session.commit()
    return session.scalars(select(record.model).order_by(record.model.id)).first()


@pytest.fixture
def reader(sign_in: SignIn) -> FlaskClient:
    return sign_in("viewer")


def at(record: Record, row: Any, view: str, **more: Any) -> str:
    return url_for(f"{record.domain}.{view}", **{record.argument: record.name_of(row)}, **more)


def parts(session: Any, record: Record, row: Any) -> Iterator[tuple[str, int, Any]]:
    """Column, id and value of each figure of a part of the row."""
    for figure in record.figures:
        if figure.table is not record.model.__table__:
            of_it = select(figure.table).where(figure.owner == row.id)
            for part in session.execute(of_it).mappings():
                yield from ((c.key, part["id"], part[c.key]) for c in figure.columns)


@WITH_FIGURES
def test_every_figure_is_explained_and_its_page_and_the_api_say_what_is_stored(
    app: Flask, session: Any, reader: FlaskClient, record: Record, row: Any
) -> None:
    program = Program(app, session, f"{record.domain}:read")
    with app.test_request_context():
        paths = {
            name: at(record, row, "calculation_of", column=name) for name in record.figure_columns
        }
        of_parts = [
            (at(record, row, "calculation_of_part", column=name, part=key), name, reported)
            for name, key, reported in parts(session, record, row)
        ]
        main, nothing, page = (
            at(record, row, "calculation"),
            at(record, row, "calculation_of", column="version"),
            at(record, row, "record"),
        )
    sent = program.send("GET", address(record, record.name_of(row))).get_json()
    shown = reader.get(page).text
    for name, figure in record.figure_columns.items():
        stored = getattr(row, name)
        reported = sent[name]
        assert reported == (stored if isinstance(stored, int) else f"{stored:f}")
        assert isinstance(reported, int | str)
        text = text_of(reader.get(paths[name]).text)
        assert f"Stored {value(figure.name, name, stored)}" in text, name
        assert "Stored as calculated" in text
        assert "Stored wrongly" not in text
        assert 'aria-current="page">How was this calculated?' in reader.get(main).text
        assert f'href="{paths[name]}"' in shown or f'href="{main}"' in shown, name
    for path, name, reported in of_parts:
        figure = next(
            f for f in record.figures if name in f.table.c and f.table.c[name] in f.columns
        )
        assert f'href="{path}"' in shown, path
        assert f"Stored {value(figure.name, name, reported)}" in text_of(reader.get(path).text)
        assert reader.get(f"{path}77").status_code == 404
    assert reader.get(main).status_code == 200
    assert reader.get(nothing).status_code == 404


@WITH_FIGURES
def test_the_document_says_of_every_figure_that_it_is_read_only(
    app: Flask, session: Any, record: Record
) -> None:
    document = app.test_client().get("/api/openapi.json").get_json()
    known = document["components"]["schemas"]
    typed = {field.name for field in record.fields}
    for name in record.figure_columns.keys() - typed:
        reported = known[record.model.__name__]["properties"][name]
        assert reported["readOnly"]
        assert reported["title"]
        assert reported["description"]
        assert name not in known[f"New{record.model.__name__}"]["properties"]
    answer = Program(app, session, f"{record.domain}:write").send(
        "POST", address(record), json=dict.fromkeys(record.figure_columns.keys() - typed, "1")
    )
    assert answer.status_code == 422
    columns = list_for(record, Anybody()).columns
    shown = {name for each in columns for name in (each.name, getattr(each.order, "key", ""))}
    assert record.figure_columns.keys() <= shown, "its list shows them"


@pytest.mark.leaves_drift
@WITH_FIGURES
def test_what_is_stored_wrongly_is_marked_wherever_it_is_shown(
    app: Flask,
    session: Any,
    reader: FlaskClient,
    record: Record,
    row: Any,
    admin_database_url: str,
) -> None:
    table = record.model.__tablename__
    for name, figure in record.figure_columns.items():
        if name in record.by_name or figure.generated:
            continue  # PostgreSQL computes it; or a person may have entered it, as its neighbours were not
        before = getattr(row, name)
        with past_every_trigger(admin_database_url) as surgery:
            surgery.execute(f"UPDATE {table} SET {name} = {name} + 7 WHERE id = %s", [row.id])
        wrong, right = (value(figure.name, name, reported) for reported in (before + 7, before))
        with app.test_request_context():
            pages = [at(record, row, "record"), at(record, row, "calculation_of", column=name)]
        for page in pages:
            assert 'class="wrong-mark"' in reader.get(page).text, (name, page)
        assert "A figure of this record is stored wrongly." in reader.get(pages[0]).text
        text = text_of(reader.get(pages[1]).text)
        assert "Stored wrongly" in text
        assert re.search(rf"Expected {re.escape(right)} Stored {re.escape(wrong)}", text), name
        figures.heal(session, [figure])
        session.expire_all()
        assert getattr(row, name) == before
        assert 'class="wrong-mark"' not in reader.get(pages[1]).text
        reported = text_of(reader.get(pages[1]).text)
        assert f"Found by a check {wrong} {right}" in reported or f"{wrong} {right}" in reported
