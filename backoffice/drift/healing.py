"""One chunk of a heal: the owners found wrong are corrected in short transactions under the run's fence."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection

from ..figures import Failure, registry
from ..figures.drain import Drained, correction_of
from ..figures.healing import Healer
from ..figures.registry import Bundle
from ..runs.models import ITEM_FAILED
from ..runs.working import Step, Work
from .findings import close_corrected, corrected_owners, items_of_corrections
from .scope import bundle_named, later, parts
from .verifying import suspected


class RunHealer:
    """A healer whose transactions are a run's: what it corrects is counted and recorded with them."""

    def __init__(
        self, work: Work, bundle: Bundle, cause: str, deferred: frozenset[str] = frozenset()
    ) -> None:
        self.work = work
        self.bundle = bundle
        self.correcting = correction_of(cause, work.asked.reason, run_id=work.asked.id)
        self.healer = Healer(
            registry,
            self._begin,
            self._failed,
            within=self._within,
            deferred=deferred,
            careful=True,
        )
        self.step: Step | None = None

    def heal(self, owners: Sequence[int]) -> None:
        """Correct these owners."""
        self.healer.heal(self.bundle, owners, self.correcting)

    @contextmanager
    def _begin(self) -> Iterator[Connection]:
        with self.work.transaction() as step:
            self.step = step
            yield step.connection

    def _within(self, connection: Connection, owners: int, drained: Drained) -> None:
        assert self.step is not None
        items_of_corrections(connection, registry, self.work.asked.id, drained.corrections)
        close_corrected(connection, drained.corrections)
        corrected = corrected_owners(connection, self.bundle, drained.corrections)
        self.step.tally.checked += owners
        self.step.tally.unchanged += max(owners - corrected - self.step.tally.skipped, 0)
        self.step.tally.changed += len(drained.corrections)

    def _failed(self, failure: Failure) -> None:
        with self.work.transaction() as step:
            step.item(failure.bundle, ITEM_FAILED, owner=failure.owner, error=failure.error)
            step.tally.checked += 1
            step.tally.failed += 1


def deferred(work: Work, bundle: Bundle) -> frozenset[str]:
    """What builds on the bundle and is looked at later in the same run, over all its owners."""
    return later(parts(registry, work.asked.scope, beneath=True), bundle)


def heal(work: Work, *, every_owner: bool = False, cause: str = "heal") -> None:
    """Correct whoever is wrong in the chunk; with `every_owner` all of them are recomputed."""
    bundle = bundle_named(registry, work.payload["bundle"])
    healer = RunHealer(work, bundle, cause, deferred(work, bundle))
    healer.heal(_chosen(work, bundle, every_owner))


def _chosen(work: Work, bundle: Bundle, every_owner: bool) -> list[int]:
    payload: Any = work.payload
    if every_owner and "owners" in payload:
        return sorted(payload["owners"])
    with work.snapshot() as connection:
        if not every_owner:
            return suspected(connection, bundle, payload)
        key = bundle.owner_key
        everyone = bundle.owner_table.select().with_only_columns(key)
        between = key.between(payload["low"], payload["high"])
        return sorted(connection.scalars(everyone.where(between)))
