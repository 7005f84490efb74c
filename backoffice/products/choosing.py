"""Choosing a product in a form: what a typed text names."""

from collections.abc import Iterable, Mapping

from sqlalchemy.orm import Session

from ..base import N_
from ..base.refusals import Refusal
from ..records.fields import NOT_CALLED
from . import queries
from .models import Product


class UnknownProduct(Refusal):
    """The text names nothing in the price list."""

    sentence = N_("No product is called that. Type a code or a part of the name.")


class SeveralProducts(Refusal):
    """The text names more than one product."""

    sentence = N_("Several products fit that. Choose one from the list.")


class InactiveProduct(Refusal):
    """A product that is not sold any more; a line that has it keeps it."""

    sentence = N_("%(code)s is not sold any more. Choose another product, or leave this empty.")


class NotCalled(Refusal):
    """What a program has sent is a part of a code or a name. A user would see what it means; nobody looks there."""

    sentence = NOT_CALLED


Found = Product | Refusal | None
"""What a text names: a product, nothing that it can be (and why), or nothing because it is empty."""


def named(session: Session, texts: Iterable[str | None]) -> Mapping[str | None, Found]:
    """What each text names: its product, why it names none, or None for an empty one."""
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
    """The product that was found, if any, and if a line that has product `present_id` now may have it.

    Raises UnknownProduct, SeveralProducts, InactiveProduct.
    """
    if isinstance(found, Refusal):
        raise found
    if found is not None and not found.is_active and found.id != present_id:
        raise InactiveProduct(code=found.code)
    return found


def check_is_called(product: Product, text: str) -> None:
    """Raises NotCalled where the text is not the product's whole code, in whatever case."""
    if text.strip().lower() != product.code.lower():
        raise NotCalled(name=text[:100])
