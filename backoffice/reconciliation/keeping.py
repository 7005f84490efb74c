"""Kept files: compressed while they are written, and read in slices when they are downloaded."""

import hashlib
import zlib
from collections.abc import Iterator

from sqlalchemy import Engine, func, select

from .actions import REPORTS
from .models import Reconciliation

SLICE = 256 * 1024
"""The most bytes that a download holds at a time, compressed and uncompressed."""

GZIP = 31
"""zlib's window bits for a gzip file."""


class Packer:
    """Compresses a file that comes in blocks. `content` is the gzip file, complete after `end`."""

    def __init__(self) -> None:
        self.content = bytearray()
        self._digest = hashlib.sha256()
        self._compress = zlib.compressobj(6, zlib.DEFLATED, GZIP)

    @property
    def sha256(self) -> str:
        """The digest of the uncompressed file."""
        return self._digest.hexdigest()

    def put(self, block: bytes) -> None:
        """Compress a block of the file."""
        self._digest.update(block)
        self.content += self._compress.compress(block)

    def end(self) -> None:
        """Complete the file."""
        self.content += self._compress.flush()


class Torn(Exception):
    """A kept report was deleted while a user was reading it; the download is aborted."""


def stored(engine: Engine, report: Reconciliation) -> Iterator[bytes]:
    """Return the gzip file of a kept report in slices, each read in a transaction of its own.

    Raises Torn.
    """
    report_id, size = report.id, report.size
    for start in range(1, size + 1, SLICE):
        part = func.substring(REPORTS.c.content, start, SLICE)
        with engine.connect() as connection:
            content = connection.scalar(select(part).where(REPORTS.c.id == report_id))
        if content is None:
            raise Torn(f"Report {report_id} was deleted while it was read.")
        yield content


def unpacked(slices: Iterator[bytes]) -> Iterator[bytes]:
    """Return the uncompressed content of a gzip file that comes in slices."""
    decompress = zlib.decompressobj(GZIP)
    for packed in slices:
        left = packed
        while left:
            yield decompress.decompress(left, SLICE)
            left = decompress.unconsumed_tail
    yield decompress.flush()
