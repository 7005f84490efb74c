"""The templates' environment: all templates share the app's globals.

Jinja gives each template a chain of two dictionaries, its own above the app's, so that globals of one template alone
are possible. This app has none, and such a chain is copied slowly, by Python: for each page, and for each file of
macros that a page imports.
"""

from collections.abc import MutableMapping
from typing import Any

from flask.templating import Environment
from jinja2 import Template


class Templates(Environment):
    """Flask's environment of templates, with one dictionary of globals."""

    def make_globals(self, d: MutableMapping[str, Any] | None) -> MutableMapping[str, Any]:
        """The app's globals themselves; a template's own would become everybody's."""
        if d:
            raise TypeError("A template has no globals of its own; give it variables.")
        return self.globals

    def _load_template(
        self,
        name: str,
        globals: MutableMapping[str, Any] | None,  # noqa: A002 (Jinja's own name)
    ) -> Template:
        self.make_globals(globals)  # a template that was loaded before is not made again
        return super()._load_template(name, globals)
