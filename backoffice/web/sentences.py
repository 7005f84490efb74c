"""Translation in templates, in the reader's language.

A page translates fifty sentences before any of its own. For each, Flask-Babel looks up the request, the domain and
the catalogue; here the translations are looked up by language.
"""

from collections.abc import Callable
from typing import Any

from babel import Locale
from babel.support import NullTranslations
from flask import Flask
from flask_babel import get_translations
from jinja2 import pass_context
from jinja2.runtime import Context
from markupsafe import Markup

from .preferences import spoken


def init_app(app: Flask) -> None:
    """Replace `_` and `gettext` of templates by this module's; plurals are unchanged."""
    said = _in_templates()
    app.jinja_env.globals.update({"_": said, "gettext": said})


def _in_templates() -> Callable[..., str]:
    catalogues: dict[Locale | None, NullTranslations] = {}

    @pass_context
    def gettext(context: Context, sentence: str, /, **values: Any) -> str:
        """The sentence in the reader's language with its values, escaped if the template escapes."""
        locale = spoken()
        catalogue = catalogues.get(locale) if locale else get_translations()
        if catalogue is None:
            catalogue = catalogues[locale] = get_translations()
        said: str = catalogue.ugettext(sentence)
        if context.eval_ctx.autoescape:
            said = Markup(said)  # noqa: S704 (a catalogue's sentence is trusted)
        return said % values if "%" in said else said

    return gettext
