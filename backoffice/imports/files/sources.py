"""Sources of a file's bytes: a path, or a stored upload."""

import gzip
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import IO, BinaryIO, Protocol, cast

from .workbooks import BEGINNING, as_csv

CHUNK = 64 * 1024


class Source(Protocol):
    """A file that can be read repeatedly."""

    @property
    def name(self) -> str:
        """The file's name as shown to users."""

    def open(self) -> BinaryIO:
        """Its bytes from the beginning. Raises OSError where it cannot be read."""


@dataclass(frozen=True)
class FileOnDisk:
    """A file at a path."""

    path: Path

    @property
    def name(self) -> str:
        """The path as it was written."""
        return str(self.path)

    def open(self) -> BinaryIO:
        """Its bytes from the beginning. Raises OSError where it cannot be read."""
        return self.path.open("rb")


@dataclass(frozen=True)
class StoredFile:
    """An uploaded file, or the CSV that `as_csv` wrote of a workbook; `content` is compressed."""

    name: str
    content: bytes
    encoding: str = "utf-8-sig"
    is_workbook: bool = False

    def open(self) -> BinaryIO:
        """Its bytes from the beginning."""
        return cast(BinaryIO, gzip.GzipFile(fileobj=BytesIO(self.content)))


def as_sources(files: Iterable[Path | Source]) -> list[Source]:
    """Paths and sources as sources; a workbook is converted to CSV.

    Raises OSError for a file that cannot be read, and NoWorkbook.
    """
    return [_on_disk(file) if isinstance(file, Path) else file for file in files]


def _on_disk(path: Path) -> Source:
    with path.open("rb") as stream:
        if stream.read(len(BEGINNING)) != BEGINNING:
            return FileOnDisk(path)
        stream.seek(0)
        return StoredFile(str(path), compressed(as_csv(stream)), is_workbook=True)


def compressed(stream: IO[bytes]) -> bytes:
    """The stream's bytes, compressed as the content of a stored file."""
    packed = BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", compresslevel=6, mtime=0) as archive:
        while chunk := stream.read(CHUNK):
            archive.write(chunk)
    return packed.getvalue()


def digest(source: Source) -> str:
    """SHA-256 of the file's bytes."""
    found = sha256()
    with source.open() as stream:
        while chunk := stream.read(CHUNK):
            found.update(chunk)
    return found.hexdigest()
