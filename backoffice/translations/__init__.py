"""The catalogues, and the command that updates them: `python -m backoffice.translations`.

It extracts every marked string, updates `en` and `id`, compiles both, and lists the strings without an Indonesian
translation. English is the msgid itself, so its catalogue holds only the plurals. With `compile` it only compiles.
"""

import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from babel import Locale
from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_dir
from babel.messages.frontend import parse_mapping_cfg
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
LANGUAGES = ("en", "id")

PLURALS = {"en": "nplurals=2; plural=(n != 1);", "id": "nplurals=1; plural=0;"}

KEYWORDS: dict[str, tuple[int, ...] | None] = {
    "_": None,
    "gettext": None,
    "lazy_gettext": None,
    "_l": None,
    "N_": None,
    "ngettext": (1, 2),
    "counted": (1, 2),
}
"""Functions that mark a string for translation."""


def po_file(language: str) -> Path:
    """The path of a language's catalogue."""
    return HERE / language / "LC_MESSAGES" / "messages.po"


def read(language: str) -> Catalog:
    """A language's catalogue; an empty one if there is none yet."""
    path = po_file(language)
    if not path.exists():
        return _empty(language)
    with path.open("rb") as file:
        return read_po(file, locale=language)


def extract() -> dict[str | tuple[str, ...], set[str]]:
    """Every string that the code and the templates mark → the files that contain it."""
    with (HERE / "babel.cfg").open() as file:
        methods, options = parse_mapping_cfg(file)
    found: dict[str | tuple[str, ...], set[str]] = {}
    strings = extract_from_dir(
        ROOT,
        methods,
        options,
        KEYWORDS,
        directory_filter=_is_ours,
    )
    for name, _line, message, _comments, _context in strings:
        found.setdefault(message, set()).add(name.replace("\\", "/"))
    return found


def update() -> None:
    """Bring both catalogues up to date with the code, and compile them."""
    marked = extract()
    for language in LANGUAGES:
        known, catalogue = read(language), _empty(language)
        for message, files in marked.items():
            if not is_held(language, message):
                continue
            earlier = known.get(message)
            said = earlier.string if earlier and not earlier.fuzzy else None
            catalogue.add(
                message,
                message if language == "en" else said,
                locations=[(name, 0) for name in sorted(files)],
            )
        _write(catalogue, po_file(language))
    compile()


def compile() -> None:
    """Write the binary catalogues that the app reads, if they are older than the texts."""
    for language in LANGUAGES:
        source = po_file(language)
        target = source.with_suffix(".mo")
        if target.exists() and target.stat().st_mtime >= source.stat().st_mtime:
            continue
        with tempfile.NamedTemporaryFile(dir=target.parent, delete=False) as file:
            write_mo(file, read(language))
        Path(file.name).chmod(0o644)
        Path(file.name).replace(target)


def is_held(language: str, message: str | tuple[str, ...]) -> bool:
    """Whether the language's catalogue contains the message; English contains only plurals."""
    return language != "en" or not isinstance(message, str)


def missing(language: str) -> Iterator[Message]:
    """The messages of a language that have no translation, or only a fuzzy one."""
    for message in read(language):
        texts = message.string if isinstance(message.string, tuple | list) else [message.string]
        if message.id and (message.fuzzy or not all(texts)):
            yield message


def _is_ours(folder: str) -> bool:
    relative = Path(folder).relative_to(ROOT)
    return relative == Path() or relative.parts[0] in ("backoffice", "templates")


def _empty(language: str) -> Catalog:
    then = datetime(
        2026, 11, 21, tzinfo=UTC
    )  # fixed: a date that changes is a conflict in every merge
    catalogue = Catalog(
        locale=language,
        header_comment=f"# Backoffice in {Locale.parse(language).english_name}.",
        project="Backoffice",
        version="1",
        msgid_bugs_address="Backoffice",
        creation_date=then,
        revision_date=then,
        last_translator="Backoffice",
        language_team="Backoffice",
        fuzzy=False,
    )
    catalogue.mime_headers = [("Plural-Forms", PLURALS[language])]
    return catalogue


def _write(catalogue: Catalog, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        write_po(file, catalogue, width=0, sort_output=True, include_lineno=False)
