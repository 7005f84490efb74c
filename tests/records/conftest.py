"""Users and programs that work on one of the declared records."""

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
    """The records exist to which the values of the record's fields refer."""
    from .declared import prepare

    prepare(session, record)


@pytest.fixture
def desk(sign_in: Callable[..., FlaskClient], prepared: None, record: Record) -> "Desk":
    """The browser of Ayu, a finance user."""
    from .test_conformance import Desk

    return Desk(sign_in("finance", name="Ayu"), record)


@pytest.fixture
def program(app: Flask, session: Any, prepared: None, record: Record) -> "Program":
    """A program that may write the record."""
    from .test_api import Program

    return Program(app, session, f"{record.domain}:write")
