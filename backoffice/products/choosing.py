"""Choosing a product in a form by a typed text."""

from collections.abc import Iterable, Mapping

from sqlalchemy.orm import Session

from ..base import N_
from ..base.refusals import Refusal
from ..base.spelling import look
from ..records.fields import NOT_CALLED
from . import queries
from .models import Product


class UnknownProduct(Refusal):
    """The text names no product of the price list."""

    sentence = N_("No product is called that. Type a code or a part of the name.")


class SeveralProducts(Refusal):
    """The text names more than one product."""

    sentence = N_("Several products fit that. Choose one from the list.")


class InactiveProduct(Refusal):
    """The product is no longer sold; only a line that already has it may keep it."""

    sentence = N_("%(code)s is not sold any more. Choose another product, or leave this empty.")


class NotCalled(Refusal):
    """A program has sent only part of a code, or a name: unlike a user, it cannot see which product was found."""

    sentence = NOT_CALLED


Found = Product | Refusal | None
"""What a text names: a product, the reason why it names none, or None because it is empty."""


def named(session: Session, texts: Iterable[str | None]) -> Mapping[str | None, Found]:
    """What each text names: a product, the reason why it names none, or None because it is empty."""
    wanted = set(texts)
    known = queries.with_codes(session, filter(None, wanted))
    return {text: known.get(text or "") or _searched(session, text) for text in wanted}


def _searched(session: Session, text: str | None) -> Found:
    if not text:
        return None
    matched = queries.named(session, text)
    if not matched:
        return UnknownProduct()
    return matched[0] if len(matched) == 1 else SeveralProducts()


def checked(found: Found, present_id: int | None) -> Product | None:
    """The product that was found, if any, and if a line that now has the product `present_id` may have it.

    Raises UnknownProduct, SeveralProducts, InactiveProduct.
    """
    if isinstance(found, Refusal):
        raise found
    if found is not None and not found.is_active and found.id != present_id:
        raise InactiveProduct(code=found.code)
    return found


def check_is_called(product: Product, text: str) -> None:
    """Raises NotCalled where the text is not the product's whole code, in any case."""
    if look(text) != look(product.code):
        raise NotCalled(name=text[:100])
