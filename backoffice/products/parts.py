"""What other domains show on a product's screen; products know none of them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .models import Product


@dataclass(frozen=True)
class Part:
    """A template, and what it needs: a function of the product and the user."""

    template: str
    context: Callable[[Product, Any], dict[str, Any]]


PARTS: list[Part] = []
"""In the order in which the domains were registered."""
