"""The counters of every process of the server: requests, statements, time."""

import os

from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics
from prometheus_client.multiprocess import MultiProcessCollector

from .sharing import VARIABLE

disable_created_metrics()  # type: ignore[no-untyped-call]

OWN = CollectorRegistry()
"""The counters of this process alone."""

REQUESTS = Histogram(
    "backoffice_request_duration_seconds",
    "Time from a request's arrival to its answer, by view and class of status.",
    ["endpoint", "status"],
    buckets=(0.025, 0.1, 0.25, 0.5, 1, 5),  # the cost of a scrape grows with their number
    registry=OWN,
)

QUERIES = Histogram(
    "backoffice_query_duration_seconds",
    "Time of the database's statements within requests.",
    buckets=(0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10),
    registry=OWN,
)

RECALCULATIONS = Histogram(
    "backoffice_recalculation_duration_seconds",
    "Time in which a save within a request recomputed the figures that it changed.",
    buckets=(0.001, 0.005, 0.025, 0.1, 0.5, 2.5),
    registry=OWN,
)

RECALCULATED = Counter(
    "backoffice_recalculated_rows",
    "Rows of figures that saves within requests have recomputed and changed.",
    registry=OWN,
)

SLOW_QUERIES = Counter(
    "backoffice_slow_queries",
    "Statements within requests that took longer than 500 ms; the log holds their text.",
    registry=OWN,
)


def counted() -> CollectorRegistry:
    """The counters of all processes of this server."""
    folder = os.environ.get(VARIABLE, "")
    if not folder:
        return OWN
    registry = CollectorRegistry()
    MultiProcessCollector(registry, folder)  # type: ignore[no-untyped-call]
    return registry
