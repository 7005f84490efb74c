"""Where the bytes of a file come from: a path, or what was uploaded and stored."""

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
    """A file to be read, more than once."""

    @property
    def name(self) -> str:
        """What people call the file."""

    def open(self) -> BinaryIO:
        """Its bytes from the beginning. Raises OSError where it cannot be read."""


@dataclass(frozen=True)
class FileOnDisk:
    """A file that a command names."""

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
    """An uploaded file, or a workbook (what `as_csv` wrote of it); `content` is compressed."""

    name: str
    content: bytes
    encoding: str = "utf-8-sig"
    is_workbook: bool = False

    def open(self) -> BinaryIO:
        """Its bytes from the beginning."""
        return cast(BinaryIO, gzip.GzipFile(fileobj=BytesIO(self.content)))


def as_sources(files: Iterable[Path | Source]) -> list[Source]:
    """The files as sources, whether they are paths or sources already; of a workbook what it says.

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
    """What a stored file's content is made of."""
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
