"""What other domains show on a customer's screen and in the list; customers know none of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ..lists import Column
from .models import Customer


@dataclass(frozen=True)
class Part:
    """A template, and what it needs: a function of the customer, the user and the page asked for.

    None: there is nothing to show to this user.
    """

    template: str
    context: Callable[[Customer, Any, int], dict[str, Any] | None]


PARTS: list[Part] = []
"""In the order in which the domains were registered."""

COLUMNS: list[Callable[[Any], Sequence[Column]]] = []
"""Columns of the list of customers, as the user may see them; values correlate with `Customer.id`."""
