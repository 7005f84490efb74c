"""Anchors: the head of the chain, recorded outside the database.

An append-only file of lines, readable by its owner only; the log holds the same lines. Truncating the trail or
rebuilding the chain cannot change the anchors to match. The database holds them, too, so that each host knows the
anchors of the others; each line is proved by its HMAC, wherever it is read.
"""

import contextlib
import hmac
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

import structlog
from sqlalchemy import Connection, insert, select

from ...base import periods, table_of
from ...base.trouble import Unwritable
from ..models import AuditCheck
from .keys import Keyring
from .sealing import head_of

log = structlog.get_logger("backoffice.audit")

CHECKS = table_of(AuditCheck)


@dataclass(frozen=True)
class Anchor:
    """The head of the chain at one moment; `restored` is the reason if a later head was given up."""

    at: str
    seal: int
    events: int
    digest: str
    restored: str
    key: str

    def mac(self, keys: Keyring) -> str | None:
        """The HMAC that proves the line genuine; None for an unknown key."""
        age = keys.age_of(self.key)
        if age is None:
            return None
        message = json.dumps(asdict(self), sort_keys=True).encode()
        return hmac.digest(keys.key(age).of_anchors, message, "sha256").hex()


@dataclass(frozen=True)
class Anchors:
    """Every valid anchor, oldest first, and the lines that failed authentication."""

    standing: tuple[Anchor, ...] = ()
    unbelievable: tuple[str, ...] = ()


def folder_of(settings: Mapping[str, Any]) -> Path:
    """The folder of this deployment's anchors."""
    return Path(settings["BACKOFFICE_HOME"]) / "audit-anchors"


def anchor(
    connection: Connection, keys: Keyring, folder: Path, *, restored: str = ""
) -> Anchor | None:
    """Record the current head; None if nothing is sealed yet.

    `restored` is the reason why later seals are gone: a backup was restored. Earlier anchors of those seals no longer
    count. Raises Unwritable where the file cannot be written.
    """
    head = head_of(connection)
    if head is None:
        return None
    now = datetime.now(UTC).isoformat(timespec="seconds")
    made = Anchor(now, head.number, head.total, head.digest.hex(), restored, keys.newest.name)
    line = json.dumps({**asdict(made), "mac": made.mac(keys)})
    try:
        _append(folder, line)
    except OSError as error:
        raise Unwritable(error) from error
    log.info("audit anchor", **asdict(made))
    told = {"seal": head.number, "events": head.total, "anchor": line}
    connection.execute(insert(CHECKS).values(kind="anchored", **told))
    return made


def stored_in(connection: Connection) -> list[tuple[str, str]]:
    """The lines of anchors that any host has stored in the database, each with its place."""
    lines = select(CHECKS.c.id, CHECKS.c.anchor).where(CHECKS.c.anchor != "").order_by(CHECKS.c.id)
    return [(f"audit_checks:{number}", line) for number, line in connection.execute(lines)]


def anchors_in(
    folders: Iterable[Path],
    keys: Keyring,
    *,
    until: str = "",
    stored: Iterable[tuple[str, str]] = (),
) -> Anchors:
    """The anchors in all these folders and the `stored` ones, by time; with `until`, only those made up to then.

    A backup cannot match anchors made after it was taken. A time without an offset is in the business time zone, as
    on the screens. Raises ValueError if `until` is not a time.
    """
    end = datetime.fromisoformat(until) if until else None
    if end is not None and end.tzinfo is None:
        end = end.replace(tzinfo=periods.timezone())
    standing: list[Anchor] = []
    unbelievable: list[str] = []
    lines = list(_lines(folders))
    in_files = {line for _place, line in lines}
    lines += [(place, line) for place, line in stored if line not in in_files]
    for place, line in sorted(lines, key=lambda found: _moment(found[1])):
        made = _believed(line, keys)
        if made is None:
            unbelievable.append(place)
            continue
        if end is not None and datetime.fromisoformat(made.at) > end:
            break
        if made.restored:
            standing = [earlier for earlier in standing if earlier.seal <= made.seal]
        standing.append(made)
    return Anchors(tuple(standing), tuple(unbelievable))


def _append(folder: Path, line: str) -> None:
    """Append a line and fsync it; it starts on a new line even after one truncated by a crash."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / f"{datetime.now(UTC):%Y}.jsonl"
    with open(path, "a+b", opener=_for_its_owner) as file:
        is_cut = file.seek(0, os.SEEK_END) > 0 and _last_byte(file) != b"\n"
        file.write((("\n" if is_cut else "") + line + "\n").encode())
        file.flush()
        os.fsync(file.fileno())
    descriptor = os.open(folder, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)


def _for_its_owner(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _last_byte(file: BinaryIO) -> bytes:
    file.seek(-1, os.SEEK_END)
    return file.read(1)


def _lines(folders: Iterable[Path]) -> Iterator[tuple[str, str]]:
    for folder in folders:
        for path in sorted(folder.glob("*.jsonl")):
            # Split on this only: a reason may contain other characters that Python treats as line ends.
            for number, line in enumerate(path.read_text("utf-8", "replace").split("\n"), 1):
                if line.strip():
                    yield f"{path}:{number}", line


def _moment(line: str) -> tuple[str, bool]:
    """When it was made; within a second a statement of a restore comes after what it gives up."""
    with contextlib.suppress(ValueError, TypeError, KeyError):
        reported = json.loads(line)
        return str(reported["at"]), bool(reported["restored"])
    return "", False


def _believed(line: str, keys: Keyring) -> Anchor | None:
    with contextlib.suppress(ValueError, TypeError):
        reported = json.loads(line)
        mac = reported.pop("mac")
        made = Anchor(**reported)
        expected = made.mac(keys)
        if expected is not None and hmac.compare_digest(expected, str(mac)):
            return made
    return None
