"""The kinds of runs over the trail: sealing, anchoring and verifying it, each in one chunk."""

from collections.abc import Iterator, Mapping
from typing import Any

from flask import current_app
from sqlalchemy import Connection, select

from ..base import N_, table_of
from ..runs.kinds import RunKind
from ..runs.work import Asked, Chunk, Work
from .chain.anchors import anchor, anchors_in, folder_of, stored_in
from .chain.keys import Keyring
from .chain.sealing import head_of, seal_batch
from .chain.verifying import record, verify
from .models import AuditCheck

CHECKS = table_of(AuditCheck)


def _one_chunk(_connection: Connection, _asked: Asked) -> Iterator[Chunk]:
    yield Chunk({})


def _seal(work: Work) -> None:
    """Seal one batch per transaction, until nothing more can be sealed."""
    keys = Keyring.of(current_app.config)
    sealed: int | None = 0
    while sealed is not None:
        with work.transaction() as step:
            sealed = seal_batch(step.connection, keys)
            step.tally.checked += sealed or 0
            step.tally.changed += sealed or 0


def _anchor(work: Work) -> None:
    with work.transaction() as step:
        made = anchor(
            step.connection, Keyring.of(current_app.config), folder_of(current_app.config)
        )
        step.tally.checked += 1 if made else 0


def _verify(work: Work) -> None:
    """Verify the chain; each part renews the claim, because a long trail takes longer than one lease."""

    def advance(count: int) -> None:
        with work.transaction() as step:
            step.tally.checked += count

    keys = Keyring.of(current_app.config)
    with work.engine.connect() as connection:
        stored = stored_in(connection)
    anchors = anchors_in([folder_of(current_app.config)], keys, stored=stored)
    found = verify(work.engine, keys, anchors, progress=advance)
    with work.transaction() as step:
        record(step.connection, found)
        step.tally.failed += found.bad_count
        for bad in found.bad:
            step.item(
                f"audit_events:{bad.event}" if bad.event else f"audit_seals:{bad.seal}",
                "failed",
                error=bad.sentence,
            )


def _state(connection: Connection, _asked: Asked) -> Mapping[str, Any]:
    head = head_of(connection)
    if head is None:
        return {}
    return {"seal": head.number, "events": head.total, "digest": head.digest.hex()}


def _verdict(connection: Connection, asked: Asked) -> Mapping[str, Any]:
    newest = select(CHECKS).where(CHECKS.c.kind == "verified").order_by(CHECKS.c.id.desc()).limit(1)
    row = connection.execute(newest).mappings().first()
    reported = {} if row is None else {"bad": row["bad"], "first_bad": row["first_bad"]}
    return {**_state(connection, asked), **reported}


SEAL = RunKind(
    "audit.seal", N_("Seal the audit trail"), "schedules.run",
    _one_chunk, _seal, _state, is_quiet=True,
)  # fmt: skip
ANCHOR = RunKind(
    "audit.anchor", N_("Anchor the audit trail"), "schedules.run",
    _one_chunk, _anchor, _state, is_quiet=True,
)  # fmt: skip
VERIFY = RunKind(
    "audit.verify", N_("Verify the audit trail"), "schedules.run",
    _one_chunk, _verify, _verdict, again=lambda _items: [Chunk({})],
)  # fmt: skip

KINDS = (SEAL, ANCHOR, VERIFY)
