"""Readings and deposits count at once, so none is dated in the future, however it is entered."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from backoffice.base import periods
from backoffice.base.periods import Month
from backoffice.gas.models import Deposit, GasPrice, Reading
from tests.factories.gas import GasPriceFactory
from tests.orders.pages import text_of

from .test_grid import grid
from .test_screens import _of

SAID = "This day is still to come."
ENTERED: dict[str, tuple[Any, str, dict[str, str]]] = {
    "readings": (Reading, "read_on", {"metered_volume": "10"}),
    "deposits": (Deposit, "deposited_on", {"amount": "10"}),
    "prices": (GasPrice, "effective_from", {"price_per_sm3": "10", "correction_factor": "1"}),
}


@pytest.fixture
def browser(session: Session, sign_in: Callable[..., FlaskClient]) -> FlaskClient:
    """Of a person of finance; the customer G-1 has a price."""
    GasPriceFactory(customer__code="G-1")
    session.commit()
    return sign_in("finance")


def entered(session: Session, model: Any) -> int:
    """How many rows are dated in the future."""
    day = next(
        column
        for column in model.__table__.c
        if column.name in ("read_on", "deposited_on", "effective_from")
    )
    session.rollback()
    return session.scalar(select(func.count()).where(day > periods.today())) or 0


@pytest.mark.parametrize("kind", ENTERED)
def test_only_a_price_is_entered_ahead(browser: FlaskClient, session: Session, kind: str) -> None:
    model, day, values = ENTERED[kind]
    at = f"/gas/{kind}/new"
    form_id = f"{model.__name__.lower()}-form"
    tomorrow = (periods.today() + timedelta(1)).isoformat()
    typed = _of(browser, at, form_id) | values | {"customer": "G-1", day: tomorrow}
    answer = browser.post(at, data=typed)
    is_ahead = kind == "prices"
    assert (answer.status_code, SAID in text_of(answer.text)) == (
        (303, False) if is_ahead else (422, True)
    )
    assert entered(session, model) == is_ahead


def test_the_grid_says_the_same(browser: FlaskClient, session: Session) -> None:
    tomorrow = periods.today() + timedelta(1)
    month = str(Month.of(tomorrow))
    answer = browser.post(
        "/gas/entry", data=grid(browser, [("G-1", tomorrow.isoformat(), "10")], month)
    )
    assert (answer.status_code, SAID in text_of(answer.text)) == (422, True)
    assert entered(session, Reading) == 0


@pytest.mark.usefixtures("browser")
@pytest.mark.parametrize(
    ("kind", "column"), [("readings", "metered_volume_m3"), ("deposits", "amount")]
)
def test_a_file_says_so_at_the_line(
    session: Session, run_command: Any, tmp_path: Path, kind: str, column: str
) -> None:
    model, day, _values = ENTERED[kind]
    file = tmp_path / f"{kind}.csv"
    file.write_text(f"customer_code,{day},{column}\nG-1,{periods.today() + timedelta(1)},10\n")
    done = run_command("import", kind, str(file))
    assert done.exit_code != 0
    assert SAID in done.output
    assert entered(session, model) == 0
