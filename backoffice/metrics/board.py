"""The latest readings of all sources: read when they are requested, and cached for ten seconds.

However often Prometheus and others ask, the database is read at most six times a minute. A source that
cannot be read is reported by a gauge; the others are still exposed.
"""

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from threading import Lock

import structlog
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy import Connection, Engine, func, select
from sqlalchemy.exc import SQLAlchemyError

from ..app.counting import instruments
from ..app.measures import Measure, Reading, Source
from ..database.snapshots import snapshot
from .machine import Machine

log = structlog.get_logger("backoffice.metrics")

KEPT_SECONDS = 10.0
BUDGET_SECONDS = 2.0

BUILD = Measure("backoffice_build_info", "Which version runs.", ("version",))
UP = Measure("backoffice_database_up", "Whether the database could be read (1) or not (0).")
SOURCE_UP = Measure(
    "backoffice_metrics_source_up", "Whether a source of metrics could be read (1).", ("source",)
)
READ_AT = Measure("backoffice_metrics_read_timestamp_seconds", "When these metrics were read.")
READING_TOOK = Measure("backoffice_metrics_read_seconds", "How long reading them took.")


class TimeIsUp(Exception):
    """The sources before this one have used up the time for all."""


@dataclass
class Answer:
    """The result of one reading of all sources."""

    readings: list[Reading]
    measures: list[Measure]


class Board(Collector):
    """The latest readings, as prometheus-client collects them."""

    def __init__(self, engine: Engine, machine: Machine, sources: Mapping[str, Source]) -> None:
        self._engine = engine
        self._sources = sources
        self._machine = machine
        self._lock = Lock()
        self._read_at = 0.0
        self._families: list[Metric] = []

    def collect(self) -> Iterable[Metric]:
        """Every metric family; a request during a reading waits for its result."""
        with self._lock:
            if not self._families or time.monotonic() - self._read_at >= KEPT_SECONDS:
                self._families = list(_families(self._read()))
                self._read_at = time.monotonic()
            return self._families

    def forget(self) -> None:
        """Drop the cached readings, so that the next request reads again."""
        with self._lock:
            self._families = []

    def _read(self) -> Answer:
        began = time.monotonic()
        readings = [BUILD.is_now(1, version("backoffice"))]
        is_up = self._read_database(readings, began + BUDGET_SECONDS)
        readings += self._machine.read()
        readings += [
            UP.is_now(int(is_up)),
            READ_AT.is_now(time.time()),
            READING_TOOK.is_now(time.monotonic() - began),
        ]
        reported = (measure for source in self._sources.values() for measure in source.measures)
        own = (BUILD, UP, SOURCE_UP, READ_AT, READING_TOOK, *self._machine.measures)
        return Answer(readings, [*own, *reported])

    def _read_database(self, readings: list[Reading], end: float) -> bool:
        """Read every source, in one snapshot; returns whether the database is reachable."""
        failed: dict[str, Exception] = {}
        try:
            with snapshot(self._engine) as connection:
                failed = _read_all(connection, self._sources.values(), readings, end)
                is_up = not connection.invalidated
        except SQLAlchemyError as error:
            log.warning("database not readable", error=type(error).__name__)
            is_up = False
        for name, reason in failed.items():
            log.warning("metrics not read", source=name, exc_info=reason)
        read = set(self._sources) - set(failed) if is_up else set()
        readings += [SOURCE_UP.is_now(int(name in read), name) for name in self._sources]
        return is_up


def _read_all(
    connection: Connection, sources: Iterable[Source], readings: list[Reading], end: float
) -> dict[str, Exception]:
    """Add the readings of every source to `readings`; returns the sources that failed, with their errors."""
    failed: dict[str, Exception] = {}
    for source in sources:
        if connection.invalidated:
            break
        try:
            readings += _readings(connection, source, end)
        except Exception as error:  # noqa: BLE001 (a domain's mistake must not blind the others)
            failed[source.name] = error
    return failed


def _readings(connection: Connection, source: Source, end: float) -> list[Reading]:
    """The readings of a source, in the time that is left; its failure does not affect the others."""
    with connection.begin_nested():
        left = int((end - time.monotonic()) * 1000)
        if left <= 0:
            raise TimeIsUp(f"{source.name} was not read: the others took too long.")
        connection.execute(select(func.set_config("statement_timeout", str(left), True)))
        return list(source.read(connection))


def _families(answer: Answer) -> Iterator[Metric]:
    families = {measure: _family(measure) for measure in answer.measures}
    for reading in answer.readings:
        families[reading.measure].add_metric(list(reading.labels), float(reading.value))
    yield from families.values()


def _family(measure: Measure) -> GaugeMetricFamily | CounterMetricFamily:
    kind = CounterMetricFamily if measure.kind == "counter" else GaugeMetricFamily
    return kind(measure.name, measure.help, labels=measure.labels)


def reported(board: Board) -> bytes:
    """All metrics in Prometheus' text format: the processes' counters, and the readings."""
    registry = CollectorRegistry()
    registry.register(board)
    return generate_latest(instruments.counted()) + generate_latest(registry)
