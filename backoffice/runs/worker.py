"""RQ carries work to a worker; the worker executes only what its allow-list names.

A job is JSON: the name of this module's `perform` and the name of a piece of work. RQ itself would
import and call any function that the queue names (its JSON serializer alone ran `os.system`).
"""

import signal
from collections.abc import Callable, Mapping
from typing import Any

import structlog
from redis import Redis
from redis.backoff import ExponentialBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeout
from redis.retry import Retry
from rq import Queue, Worker
from rq.job import Job
from rq.serializers import JSONSerializer

from ..embedded.processes import dies_with_parent

log = structlog.get_logger("backoffice.worker")

QUEUE = "backoffice"
PERFORM = f"{__name__}.perform"
LONGEST_SECONDS = 600

Work = Callable[[], None]

_allowed: dict[str, Work] = {}
"""What this process does; filled once, by `work`."""


class NotAllowed(Exception):
    """A job names something that this worker does not do."""


def perform(name: str) -> None:
    """Do the piece of work called `name`. Raises NotAllowed for anything else."""
    work = _allowed.get(name)
    if work is None:
        raise NotAllowed(f"The queue asks for {name!r}, which is not on this worker's list.")
    work()


class AllowedJob(Job):
    """A job whose function can only be `perform`, whatever the queue says; nor has it callbacks."""

    @property
    def func(self) -> Callable[..., Any]:
        """The function to call. Raises NotAllowed."""
        if self.func_name != PERFORM:
            raise NotAllowed(
                f"The queue asks for {self.func_name!r}; this worker runs only its list."
            )
        return perform

    @property
    def success_callback(self) -> None:
        """None: a callback is a function that the queue names."""
        return None

    @property
    def failure_callback(self) -> None:
        """None: a callback is a function that the queue names."""
        return None

    @property
    def stopped_callback(self) -> None:
        """None: a callback is a function that the queue names."""
        return None


class AllowedWorker(Worker):
    """Executes allowed jobs; a child whose parent was killed dies too, instead of going on alone."""

    job_class = AllowedJob

    def fork_work_horse(self, job: Job, queue: Queue) -> None:
        """Fork, and tie the child to us."""
        self._tie = dies_with_parent(signal.SIGKILL)
        super().fork_work_horse(job, queue)

    def main_work_horse(self, job: Job, queue: Queue) -> None:
        """What the child does."""
        self._tie()
        super().main_work_horse(job, queue)


def connect(url: str) -> Redis:
    """A connection that tries again for a while when Redis is restarted."""
    retry = Retry(ExponentialBackoff(cap=2, base=0.1), 10)
    return Redis.from_url(
        url,
        retry=retry,
        retry_on_error=[RedisConnectionError, RedisTimeout],
        health_check_interval=30,
    )


def queue(connection: Redis) -> Queue:
    """The one queue, in JSON."""
    return Queue(
        QUEUE, connection=connection, serializer=JSONSerializer, job_class=AllowedJob,
        default_timeout=LONGEST_SECONDS,
    )  # fmt: skip


def enqueue(connection: Redis, name: str, *, seconds: int) -> bool:
    """Ask a worker for the piece of work called `name`; False when Redis does not take it.

    The wish is forgotten if no worker comes to it within `seconds`.
    """
    try:
        queue(connection).enqueue(PERFORM, name, ttl=seconds, result_ttl=0, failure_ttl=86_400)
    except RedisError as error:
        log.warning(
            "redis does not take work; it is asked again when next due",
            error=str(error),
        )
        return False
    return True


def work(connection: Redis, allowed: Mapping[str, Work], *, burst: bool = False) -> None:
    """Execute what the queue brings until told to stop; with `burst` until it is empty."""
    _allowed.update(allowed)
    AllowedWorker(
        [queue(connection)], connection=connection, serializer=JSONSerializer, job_class=AllowedJob,
        log_job_description=False,
    ).work(burst=burst, logging_level=None)  # fmt: skip
