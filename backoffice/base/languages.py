"""A sentence in each language of the screens, for files that users of any language have exported."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path

from babel.support import NullTranslations, Translations

_CATALOGUES = Path(__file__).parents[1] / "translations"


@cache
def in_each_language(sentence: str, **values: str) -> frozenset[str]:
    """The sentence in each language, with its values."""
    spoken = (catalogue.gettext(sentence) for catalogue in _catalogues())
    return frozenset(said % values if values else said for said in spoken)


@cache
def _catalogues() -> Sequence[NullTranslations]:
    languages = [path.parent.name for path in _CATALOGUES.glob("*/LC_MESSAGES")]
    return [Translations.load(_CATALOGUES, [language]) for language in languages]
