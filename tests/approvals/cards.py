"""The card of a verb, read and submitted as a browser does."""

from typing import Any

from flask.testing import FlaskClient

from tests.customers.desk import fields_of

REASON = "agreed by phone"


def confirm(browser: FlaskClient, card: Any, **typed: str) -> Any:
    """Submit the card that was shown."""
    sent = fields_of(card.text, card.request.path, **{"card_reason": REASON, **typed})
    return browser.post(card.request.full_path.rstrip("?"), data=sent)


def pressed(browser: FlaskClient, address: str, data: Any) -> Any:
    """Press the button, read the card, and confirm it with a reason."""
    card = browser.post(address, data=data)
    return confirm(browser, card) if card.status_code == 200 else card
