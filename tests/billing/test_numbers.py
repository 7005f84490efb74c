"""Valid numbers of billing's records: none may collide with the URL of another page."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from werkzeug.exceptions import HTTPException
from werkzeug.routing import Rule

from backoffice.billing.models import Payment
from backoffice.billing.rules import is_number
from backoffice.database import numbering
from tests.factories.billing import PaymentFactory
from tests.factories.customers import CustomerFactory

NOUNS = ("meters", "invoices", "payments", "adjustments")


def of_noun(app: Flask, noun: str) -> list[Rule]:
    """The addresses of the list and its records, and below them."""
    return [r for r in app.url_map.iter_rules() if r.rule.startswith(f"/billing/{noun}/")]


def filled(rule: Rule, path: str, word: str) -> str:
    """The address with `path` for the number, `word` for other words, and a number for numbers."""
    reported = re.sub(r"<path:\w+>", path, rule.rule)
    return re.sub(r"<[^>]+>", word, re.sub(r"<int:\w+>", "7", reported))


def tempting(app: Flask, noun: str) -> Iterator[str]:
    """Numbers that another route would match, and their suffixes."""
    for rule in of_noun(app, noun):
        for word in ("1", "a1", "csv1", "lines/1"):
            text = filled(rule, "M 1", word).removeprefix(f"/billing/{noun}/")
            parts = text.split("/")
            starts = ["/".join(parts[:n]) for n in range(1, len(parts) + 1)]
            yield from (start + end for start in starts for end in ("", "1", "/1", ".1"))


@pytest.mark.parametrize("noun", NOUNS)
def test_every_address_of_a_record_leads_to_it_whatever_it_is_called(app: Flask, noun: str) -> None:
    adapter = app.url_map.bind("localhost")
    own = [rule for rule in of_noun(app, noun) if rule.rule.startswith(f"/billing/{noun}/<path:")]
    assert own
    for number in sorted({text for text in tempting(app, noun) if is_number(text)}):
        for rule in own:
            address = filled(rule, number, "balance")
            method = "GET" if "GET" in (rule.methods or ()) else "POST"
            try:
                endpoint, values = adapter.match(address, method=method)
            except HTTPException as error:
                pytest.fail(f"{number}: {address} is {error}")
            assert (endpoint, number in values.values()) == (rule.endpoint, True), (number, address)


@pytest.mark.parametrize(
    "text",
    [
        "export.1", "export.csv1", "X/calculation/1", "X/calculation/balance1", "M 1/statement.2",
        "M/assignments/1", "new", "X/edit", "", "/1", "1/", "X//1", "../1",
    ],
)  # fmt: skip
def test_what_is_the_address_of_something_else_is_no_number(text: str) -> None:
    assert not is_number(text)


@pytest.mark.parametrize(
    "text", ["1", "INV-2026-0001", "A/2026/7", "X/export.1", "exports.1", "M 1", "statement.2"]
)
def test_numbers_as_people_write_them_are_numbers(text: str) -> None:
    assert is_number(text)


def test_numbers_that_a_user_has_typed_do_not_stop_the_numbering(
    app: Flask, session: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every doubled number is taken, and more consecutive ones than one scan reads."""
    monkeypatch.setattr(numbering, "SCANNED", 5)
    customer = CustomerFactory()
    typed = {*range(1, 8), *(2**power for power in range(numbering.DOUBLINGS))}
    for number in sorted(typed):
        PaymentFactory(customer=customer, reference=f"PAY-2026-{number:05d}")
    for number in range(numbering.LOOKED_BACK):
        PaymentFactory(customer=customer, reference=f"BANK-{number}")
    session.commit()
    assert numbering.next_number(session, Payment.reference, "PAY-2026-") == "PAY-2026-00009"


@pytest.mark.parametrize(
    "held",
    [{}, {1}, {2}, {1, 2, 3}, {1, 2, 4}, set(range(1, 70)), set(range(1, 70)) - {64}, {1, 99_999}],
)
def test_the_next_number_is_free_and_follows_one_that_is_not(
    app: Flask, session: Any, held: set[int]
) -> None:
    customer = CustomerFactory()
    for number in held:
        PaymentFactory(customer=customer, reference=f"PAY-2026-{number:05d}")
    PaymentFactory(customer=customer, reference="PAY-2025-00001")
    text = numbering.next_number(session, Payment.reference, "PAY-2026-")
    found = int(text.removeprefix("PAY-2026-"))
    assert text == f"PAY-2026-{found:05d}"
    assert found not in held
    assert found == 1 or found - 1 in held
    session.rollback()
