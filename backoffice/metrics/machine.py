"""Metrics from outside the database: Redis and its workers, and the machine that this process runs on."""

import os
from collections.abc import Iterator
from pathlib import Path

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from ..app.measures import Measure, Reading

TIMEOUT_SECONDS = 0.3

QUEUE_KEY = "rq:queue:backoffice"
WORKERS_KEY = "rq:workers:backoffice"
"""The Redis key under which RQ stores the workers of the queue; read directly, as importing RQ is expensive."""

REDIS_UP = Measure("backoffice_redis_up", "Whether Redis answers (1) or not (0).")
JOBS = Measure("backoffice_queue_jobs", "Jobs that Redis holds and no worker has taken yet.")
WORKERS = Measure("backoffice_workers", "Workers that Redis knows to be alive.")
LOAD = Measure("backoffice_host_load1", "Load average of the machine over one minute.")
CPUS = Measure("backoffice_host_cpus", "Processors of the machine.")
CPU = Measure(
    "backoffice_host_cpu_seconds",
    "Time of the machine's processors since it started, by what they did.",
    ("mode",),
    "counter",
)

PROCESSOR_TIMES = Path("/proc/stat")
_MODES = ("user", "nice", "system", "idle", "iowait")


class Machine:
    """The readings of Redis and of the machine."""

    measures = (REDIS_UP, JOBS, WORKERS, LOAD, CPUS, CPU)

    def __init__(self, redis_url: str) -> None:
        self._redis = Redis.from_url(
            redis_url,
            socket_timeout=TIMEOUT_SECONDS,
            socket_connect_timeout=TIMEOUT_SECONDS,
            retry=Retry(NoBackoff(), 0),
        )

    def read(self) -> Iterator[Reading]:
        """Every reading that is available."""
        yield from self._of_redis()
        yield from _of_host()

    def _of_redis(self) -> Iterator[Reading]:
        try:
            asked = self._redis.pipeline(transaction=False)
            asked.llen(QUEUE_KEY)
            asked.smembers(WORKERS_KEY)
            jobs, names = asked.execute()
            alive = self._redis.exists(*names) if names else 0
        except RedisError:
            yield REDIS_UP.is_now(0)
            return
        yield REDIS_UP.is_now(1)
        yield JOBS.is_now(jobs)
        yield WORKERS.is_now(int(alive))


def _of_host() -> Iterator[Reading]:
    yield CPUS.is_now(os.cpu_count() or 1)
    try:
        yield LOAD.is_now(os.getloadavg()[0])
        words = PROCESSOR_TIMES.read_text().split("\n", 1)[0].split()[1:]
        ticks = os.sysconf("SC_CLK_TCK")
        for mode, spent in zip(_MODES, words, strict=False):
            yield CPU.is_now(int(spent) / ticks, mode)
    except (OSError, ValueError):
        return  # not every system provides it
