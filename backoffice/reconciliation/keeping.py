"""Kept files: compressed into parts on their way in, put together again on their way out.

Never more than a part is in memory, whichever way.
"""

import hashlib
import zlib
from collections.abc import Iterator

from sqlalchemy import Engine, select

from .models import ReconciliationPart

PART = 256 * 1024
"""Compressed bytes of a part, about."""

GZIP = 31
"""zlib's window bits for a gzip file."""


class Packer:
    """Compresses a file that comes in blocks; answers parts as they fill."""

    def __init__(self) -> None:
        self.size = 0
        self._digest = hashlib.sha256()
        self._compress = zlib.compressobj(6, zlib.DEFLATED, GZIP)
        self._waiting = bytearray()

    @property
    def sha256(self) -> str:
        """Of the file as it was, not compressed."""
        return self._digest.hexdigest()

    def put(self, block: bytes) -> Iterator[bytes]:
        """Take a block of the file; answers the parts that it fills."""
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
    """A kept report whose bytes have gone while a user read them; the download breaks off."""


def stored(engine: Engine, report_id: int) -> Iterator[bytes]:
    """The parts of a kept report: a gzip file. Each is read for itself, so nothing is held meanwhile.

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
    """The file that a gzip file in parts holds."""
    decompress = zlib.decompressobj(GZIP)
    for part in parts:
        left = part
        while left:
            yield decompress.decompress(left, PART)
            left = decompress.unconsumed_tail
    yield decompress.flush()
