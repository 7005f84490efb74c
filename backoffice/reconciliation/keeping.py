"""Kept files: compressed and split into parts when written, joined again when read.

Never more than one part is in memory.
"""

import hashlib
import zlib
from collections.abc import Iterator

from sqlalchemy import Engine, select

from .models import ReconciliationPart

PART = 256 * 1024
"""The approximate size of a part, in compressed bytes."""

GZIP = 31
"""zlib's window bits for a gzip file."""


class Packer:
    """Compresses a file that comes in blocks; returns parts as they are full."""

    def __init__(self) -> None:
        self.size = 0
        self._digest = hashlib.sha256()
        self._compress = zlib.compressobj(6, zlib.DEFLATED, GZIP)
        self._waiting = bytearray()

    @property
    def sha256(self) -> str:
        """The digest of the uncompressed file."""
        return self._digest.hexdigest()

    def put(self, block: bytes) -> Iterator[bytes]:
        """Compress a block of the file; returns the parts that are full."""
        self._digest.update(block)
        self._waiting += self._compress.compress(block)
        if len(self._waiting) >= PART:
            yield self._part()

    def rest(self) -> bytes:
        """The last part."""
        self._waiting += self._compress.flush()
        return self._part()

    def _part(self) -> bytes:
        part = bytes(self._waiting)
        self.size += len(part)
        self._waiting.clear()
        return part


class Torn(Exception):
    """A kept report was deleted while a user was reading it; the download is aborted."""


def stored(engine: Engine, report_id: int) -> Iterator[bytes]:
    """The parts of a kept report, together a gzip file. Each is read separately, so that no transaction stays open.

    Raises Torn.
    """
    content = select(ReconciliationPart.content).where(
        ReconciliationPart.reconciliation_id == report_id
    )
    last = select(ReconciliationPart.number).where(
        ReconciliationPart.reconciliation_id == report_id
    )
    with engine.connect() as connection:
        count = len(connection.scalars(last).all())
    for number in range(count):
        with engine.connect() as connection:
            part = connection.scalar(content.where(ReconciliationPart.number == number))
        if part is None:
            raise Torn(f"Part {number} of report {report_id} is gone.")
        yield part


def unpacked(parts: Iterator[bytes]) -> Iterator[bytes]:
    """The uncompressed content of a gzip file in parts."""
    decompress = zlib.decompressobj(GZIP)
    for part in parts:
        left = part
        while left:
            yield decompress.decompress(left, PART)
            left = decompress.unconsumed_tail
    yield decompress.flush()
