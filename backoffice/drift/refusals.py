"""What drift refuses on the screen."""

from ..base import N_
from ..base.refusals import Refusal


class TooManyOwners(Refusal):
    """More records than a preview of chosen rows takes."""

    sentence = N_(
        "More than %(most)s records match. Narrow the filter, or choose a whole figure and nothing else."
    )
