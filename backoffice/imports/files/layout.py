"""The layout of a file: encoding, delimiter, notation of dates and numbers, and the mapping of columns."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

from ...base import N_
from ...base.money import NUMBER_FORMATS

ENCODINGS = {
    "utf-8-sig": N_("UTF-8"),
    "windows-1252": N_("Windows-1252 (older Excel)"),
    "utf-16": N_("UTF-16 (Excel’s “Unicode text”)"),
}
"""Encoding → its name on screen."""

EACH = "each"
EACH_SAYS = N_("Each file as it was recognised")
"""The value in place of an encoding for files in several encodings."""

DELIMITERS = {
    ",": N_("Comma ,"),
    ";": N_("Semicolon ;"),
    "\t": N_("Tab"),
    "|": N_("Bar |"),
}
"""Delimiter → its name on screen."""

DATE_FORMATS = {
    "iso": N_("YYYY-MM-DD, as 2026-03-31"),
    "dmy": N_("Day first, as 31/03/2026"),
    "mdy": N_("Month first, as 03/31/2026"),
}
"""Order of a date → its name on screen. YYYY-MM-DD is understood in each."""

RETURNED = "error"
"""The last column of a file of failed rows, which is ignored when the corrected file is imported."""


class Notation(NamedTuple):
    """How a file writes dates and numbers."""

    dates: str = "iso"
    numbers: str = "plain"


@dataclass(frozen=True)
class Layout:
    """How a file is to be read. Without arguments: as docs/imports.md describes the files.

    `columns` maps a name in the header (in lower case) to a known column, or to "" for one to be
    ignored. A name that it lacks has to be a known column. An empty `delimiter` is the one that fits
    the header best.
    """

    encoding: str = "utf-8-sig"
    delimiter: str = ""
    notation: Notation = field(default_factory=Notation)
    columns: Mapping[str, str] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {**asdict(self), "notation": list(self.notation), "columns": dict(self.columns)}

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> "Layout":
        """The layout that `as_dict` wrote; missing or unknown values get their defaults."""
        dates, numbers = [*stored.get("notation", ()), "", ""][:2]
        return cls(
            _known(stored.get("encoding"), {EACH: EACH_SAYS, **ENCODINGS}, "utf-8-sig"),
            _known(stored.get("delimiter"), DELIMITERS, ""),
            Notation(_known(dates, DATE_FORMATS, "iso"), _known(numbers, NUMBER_FORMATS, "plain")),
            dict(stored.get("columns", {})),
        )


def normalised(header_cell: str) -> str:
    """A name in a header, normalised as in a layout's `columns`."""
    return header_cell.strip().casefold()


def _known(value: Any, choices: Mapping[str, Any], default: str) -> str:
    return value if value in choices else default
