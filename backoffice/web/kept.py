"""Template fragments cached in memory: rendered once, then filled in per request.

`kept("shell/top.html", {"name": current_user.name}, role=current_user.role)` renders the template with its arguments
the first time, and caches the text by template, language and arguments. Values of this request or user are *slots*:
the cached text holds a marker, and each page inserts its own value there, escaped. So a cached template reads nothing
but its arguments, its slots and values that are the same for the whole app (`tests/shell/test_kept.py` checks for
anything else).
"""

import re
import secrets
from collections.abc import Hashable, Mapping
from typing import Any

from flask import Flask
from jinja2 import pass_context
from jinja2.runtime import Context
from markupsafe import Markup, escape

from .preferences import spoken

MOST = 500
"""The most cached texts: for each page of the navigation one for every role and language."""

Key = tuple[Hashable, ...]


class KeptParts:
    """The cached texts of one app, each split at its slots: text, slot, text, slot, …, text."""

    def __init__(self) -> None:
        self._mark = f"slot-{secrets.token_hex(8)}-"  # random, so that no user can type it
        self._texts: dict[Key, list[str]] = {}

    @pass_context
    def kept(
        self, context: Context, name: str, slots: Mapping[str, Any], /, **arguments: Hashable
    ) -> Markup:
        """The template's text for these arguments in the user's language, with this request's slots."""
        language = context["language"]
        root = context["request"].script_root
        key = (name, language, spoken(), root, *arguments.items())
        parts = self._texts.get(key)
        if parts is None or context.environment.auto_reload:
            marks = {slot: f"{self._mark}{slot}-" for slot in slots}
            template = context.environment.get_template(name)
            text = template.render(language=language, **marks, **arguments)
            parts = re.split(f"{self._mark}(\\w+)-", text)
            if len(self._texts) >= MOST:
                self._texts.clear()
            self._texts[key] = parts
        filled = parts.copy()
        for place in range(1, len(parts), 2):
            filled[place] = escape(slots[parts[place]])
        return Markup("".join(filled))  # noqa: S704 (rendered by a template; every slot is escaped)


def init_app(app: Flask) -> None:
    """Give templates `kept`."""
    app.jinja_env.globals["kept"] = KeptParts().kept
