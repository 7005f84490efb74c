"""The templates' environment: all templates share the app's globals.

Jinja gives each template a chain of two dictionaries, its own above the app's, so that globals of one template alone
are possible. This app has none, and such a chain is copied slowly, by Python: for each page, and for each file of
macros that a page imports.
"""

from collections.abc import MutableMapping
from typing import Any

from flask.templating import Environment


class Templates(Environment):
    """Flask's environment of templates, with one dictionary of globals."""

    def make_globals(self, d: MutableMapping[str, Any] | None) -> MutableMapping[str, Any]:
        """The app's globals themselves, unless a template is given its own."""
        return super().make_globals(d) if d else self.globals
