"""Texts that look alike: the same but for case, composition, width, invisible signs and blanks.

The same "é" is one sign on Windows and two on a Mac, a Japanese keyboard types wide letters, and a copied cell has
invisible signs. Texts are stored composed (NFC), and else as they were typed.
"""

import re
import unicodedata
from typing import Any

from sqlalchemy import ColumnElement, Index, Text, func, literal, select
from sqlalchemy import text as text_of
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import Session
from sqlalchemy.sql.functions import FunctionElement

_UNSEEN = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f"
    "\ufeff\uffa0"
)
"""Signs without a look of their own, as a set of a regular expression."""

_ACCENTS = "\u0300-\u036f"
_WITHOUT_LOOK, _ACCENT = re.compile(f"[{_UNSEEN}]"), re.compile(f"[{_ACCENTS}{_UNSEEN}]")


def _escaped(signs: str) -> str:
    return "".join(sign if sign == "-" else f"\\u{ord(sign):04X}" for sign in signs)


_LOOK = (
    f"lower(btrim(regexp_replace(regexp_replace(normalize({{}}, NFKC), '[{_escaped(_UNSEEN)}]', '', 'g'), "
    r"'\s+', ' ', 'g')))"
)
_PLAIN = f"regexp_replace(normalize({{}}, NFKD), '[{_escaped(_ACCENTS + _UNSEEN)}]', '', 'g')"


class look_of(FunctionElement[str]):  # noqa: N801 (a function of SQL)
    """The look of a text, by PostgreSQL: the same for texts that a reader cannot tell apart, or only by their case."""

    type = Text()
    inherit_cache = True


class plain_of(FunctionElement[str]):  # noqa: N801 (a function of SQL)
    """A text without accents, wide letters and invisible signs, by PostgreSQL; as `plain`."""

    type = Text()
    inherit_cache = True


@compiles(look_of)
def _look(element: Any, compiler: Any, **options: Any) -> str:
    return _LOOK.format(compiler.process(element.clauses, **options))


@compiles(plain_of)
def _plain(element: Any, compiler: Any, **options: Any) -> str:
    return _PLAIN.format(compiler.process(element.clauses, **options))


def look_index(table: str, column: str) -> Index:
    """The index by which a new code finds one that looks like it."""
    return Index(f"ix_{table}_{column}_look", text_of(_LOOK.format(column)))


def looks_like(column: Any, text: str) -> ColumnElement[bool]:
    """Whether a column looks like the text."""
    return look_of(column) == look_of(literal(text, Text))


def lock_look(session: Session, column: Any, text: str) -> None:
    """Wait for other transactions that save a text which looks like this one, until the end of this one."""
    place = look_of(literal(f"{column.class_.__tablename__}.{column.key} {text}", Text))
    session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(place, 0))))


def composed(text: str) -> str:
    """A text as it is stored: each letter with its accents one sign, where Unicode has it."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def look(text: str) -> str:
    """The look of a text; as `look_of`, for texts that are here already."""
    return " ".join(_seen(unicodedata.normalize("NFKC", text)).casefold().split())


def plain(text: str) -> str:
    """A text without accents, wide letters and invisible signs, for searches."""
    return _seen(unicodedata.normalize("NFKD", text), _ACCENT)


def _seen(text: str, pattern: re.Pattern[str] = _WITHOUT_LOOK) -> str:
    return text if text.isascii() else pattern.sub("", text)
