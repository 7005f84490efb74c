"""Uploads as they are stored: compressed, with a cleaned name, a size and a recognised encoding."""

import codecs
import gzip
import re
from dataclasses import dataclass
from hashlib import sha256
from io import BytesIO
from typing import IO

from ..refusals import CellFarBelow, EmptyFile, NotText
from .sources import CHUNK, StoredFile
from .workbooks import BEGINNING, FarCell, NoWorkbook, as_csv

MOST_BYTES = 16 * 1024 * 1024
MOST_LINES = 100_000
"""The limits of a dry run or an import that takes half a minute on a slow machine: half of a request's time."""

MOST_FILES = 20
LONGEST_NAME = 100

_NOT_IN_NAMES = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ud800-\udfff\ufeff]"
)
_BINARY = (
    b"\xd0\xcf\x11\xe0",
    b"%PDF",
    b"\x1f\x8b",
    b"\x89PNG",
    b"\xff\xd8\xff",
    b"GIF8",
)
"""First bytes of old workbooks, archives and pictures."""


@dataclass(frozen=True)
class Upload:
    """One file as a client sends it. Its name is untrusted."""

    name: str
    stream: IO[bytes]


@dataclass(frozen=True)
class PackedFile:
    """An uploaded file as it is stored, with its properties."""

    name: str
    content: bytes
    size: int
    lines: int
    digest: str
    encoding: str
    is_workbook: bool

    @property
    def as_stored(self) -> StoredFile:
        """The file as a source."""
        return StoredFile(self.name, self.content, self.encoding, self.is_workbook)


def pack(upload: Upload) -> PackedFile:
    """Compress the upload. Raises EmptyFile and NotText; stops reading beyond the limit."""
    name, found, stored = clean_name(upload.name), sha256(), BytesIO()
    stream = _text_of(upload.stream, name)
    is_workbook = stream is not upload.stream
    decoder, encoding = codecs.getincrementaldecoder("utf-8")(), "utf-8-sig"
    size = lines = 0
    with gzip.GzipFile(fileobj=stored, mode="wb", compresslevel=6, mtime=0) as archive:
        while size <= MOST_BYTES and (chunk := stream.read(CHUNK)):
            if size == 0:
                encoding = _of_head(chunk, name)
            if encoding == "utf-8-sig" and not _is_text(decoder, chunk):
                encoding = "windows-1252"
            size += len(chunk)
            lines += max(chunk.count(b"\n"), chunk.count(b"\r"))
            found.update(chunk)
            archive.write(chunk)
    if not size:
        raise EmptyFile(name=name)
    if encoding == "utf-8-sig" and not _is_text(decoder, b"", final=True):
        encoding = "windows-1252"
    if encoding == "windows-1252" and _is_in_part_utf8(stored):
        encoding = "utf-8-sig"  # the lines in another encoding are refused one by one
    return PackedFile(
        name, stored.getvalue(), size, lines, found.hexdigest(), encoding, is_workbook
    )


def clean_name(name: str) -> str:
    """A file's name without folders and invisible characters, shortened for display."""
    last = re.split(r"[/\\]", name)[-1]
    visible = _NOT_IN_NAMES.sub("", last).strip()
    if len(visible) > LONGEST_NAME:
        half = LONGEST_NAME // 2
        visible = f"{visible[: half - 1]}…{visible[-half:]}"
    return visible or "file.csv"


def distinct_names(names: list[str]) -> list[str]:
    """The names, with a number appended to repeated ones."""
    seen: list[str] = []
    for name in names:
        number, own = 2, name
        while own in seen:
            own, number = f"{name} ({number})", number + 1
        seen.append(own)
    return seen


def _text_of(stream: IO[bytes], name: str) -> IO[bytes]:
    """The stream itself, or a workbook as CSV. Raises NotText for any other archive."""
    beginning = stream.read(len(BEGINNING))
    stream.seek(0)
    if beginning != BEGINNING:
        return stream
    try:
        return as_csv(stream, MOST_LINES + MOST_FILES + 1, MOST_BYTES)
    except FarCell as refusal:
        raise CellFarBelow(name=name, cell=refusal.place) from refusal
    except NoWorkbook as refusal:
        raise NotText(name=name) from refusal


def _of_head(head: bytes, name: str) -> str:
    """The encoding from a file's first bytes. Raises NotText for a binary file."""
    if head.startswith(_BINARY):
        raise NotText(name=name)
    is_utf16 = head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return "utf-16" if is_utf16 or head[1:400:2].count(0) > len(head[1:400:2]) // 2 else "utf-8-sig"


def _is_in_part_utf8(stored: BytesIO) -> bool:
    """Whether a line with special letters is UTF-8, in a file that is not UTF-8 as a whole."""
    with gzip.GzipFile(fileobj=BytesIO(stored.getvalue())) as lines:
        return any(
            not line.isascii()
            and _is_text(codecs.getincrementaldecoder("utf-8")(), line, final=True)
            for line in lines
        )


def _is_text(decoder: codecs.IncrementalDecoder, chunk: bytes, *, final: bool = False) -> bool:
    try:
        decoder.decode(chunk, final)
    except UnicodeDecodeError:
        return False
    return True
