"""Whoever works on one of the declared records: in a browser, or by another program."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from backoffice.records import Record

if TYPE_CHECKING:
    from .test_api import Program
    from .test_conformance import Desk


@pytest.fixture
def prepared(session: Any, record: Record) -> None:
    """There is what the values of the record's fields name."""
    from .declared import prepare

    prepare(session, record)


@pytest.fixture
def desk(sign_in: Callable[..., FlaskClient], prepared: None, record: Record) -> "Desk":
    """Ayu's, of the finance department."""
    from .test_conformance import Desk

    return Desk(sign_in("finance", name="Ayu"), record)


@pytest.fixture
def program(app: Flask, session: Any, prepared: None, record: Record) -> "Program":
    """May write the record."""
    from .test_api import Program

    return Program(app, session, f"{record.domain}:write")
