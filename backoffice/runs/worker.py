"""The RQ worker: it performs the runs that the queue names by number, and no other function.

A job is JSON: the name of this module's `perform` and the number of a run. RQ itself would
import and call any function that the queue names (its JSON serializer alone ran `os.system`).
"""

import signal
from collections.abc import Callable
from typing import Any

from redis import Redis
from redis.backoff import ExponentialBackoff
from redis.client import PubSubWorkerThread
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeout
from redis.retry import Retry
from rq import Queue, Worker, worker_registration
from rq.exceptions import StopRequested
from rq.job import Job
from rq.serializers import JSONSerializer

from ..database.embedded.processes import dies_with_parent

QUEUE = "backoffice"
PERFORM = f"{__name__}.perform"

SLICE_SECONDS = 60.0
"""How long a job works, on any runs, before the worker takes the next one from the queue."""

LONGEST_SECONDS = 600
"""RQ's timeout of a job: a slice, and the longest chunk after it."""

TTL_SECONDS = 30
"""How often a worker that waits for jobs sends a heartbeat."""

Perform = Callable[[int, Callable[[], bool]], None]
"""Performs runs for a while, woken by the run of that number; the second argument returns whether it is to stop."""


class NotAllowed(Exception):
    """A job names a function other than `perform`."""


class _Horse:
    """State of a job's own process: how runs are performed, and whether it was asked to stop."""

    perform: Perform | None = None
    is_stopping = False


def perform(run_id: int) -> None:
    """Perform the run of that number. Raises NotAllowed for anything else."""
    if _Horse.perform is None or type(run_id) is not int:
        raise NotAllowed(f"The queue asks for {run_id!r}, which is not the number of a run.")
    _Horse.perform(run_id, lambda: _Horse.is_stopping)


def _stop(_number: int, _frame: object) -> None:
    """Finish the chunk in progress, and begin no further one."""
    _Horse.is_stopping = True


class AllowedJob(Job):
    """A job that can call only `perform`, whatever function the queue names; it has no callbacks."""

    @property
    def func(self) -> Callable[..., Any]:
        """The function to call. Raises NotAllowed."""
        if self.func_name != PERFORM:
            raise NotAllowed(
                f"The queue asks for {self.func_name!r}; this worker performs only runs."
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
    """Executes allowed jobs; if the parent is killed its child dies too, instead of going on alone.

    Asked to stop, it lets the child finish its chunk.
    """

    job_class = AllowedJob
    max_connection_wait_time = 2.0
    attend: Callable[[], None] = staticmethod(lambda: None)
    """Called with every heartbeat."""

    def heartbeat(self, *args: Any, **options: Any) -> None:
        """Send a heartbeat; registers the worker again where Redis was emptied."""
        super().heartbeat(*args, **options)
        worker_registration.register(self)
        if not self.is_horse:
            self.attend()

    def handle_warm_shutdown_request(self) -> None:
        """Signal the child to stop after its chunk."""
        if self.horse_pid:
            self.kill_horse(signal.SIGTERM)

    def teardown(self) -> None:
        """Sign off where Redis answers; where it does not, what it knows of this worker expires."""
        try:
            super().teardown()  # type: ignore[no-untyped-call]
        except RedisError:
            listening: PubSubWorkerThread | None = self.pubsub_thread
            if listening is not None:
                listening.stop()

    def fork_work_horse(self, job: Job, queue: Queue) -> None:
        """Fork, and have the child end with its parent."""
        self._tie = dies_with_parent(signal.SIGKILL)
        super().fork_work_horse(job, queue)

    def main_work_horse(self, job: Job, queue: Queue) -> None:
        """Run the job in the child."""
        self._tie()
        super().main_work_horse(job, queue)

    def setup_work_horse_signals(self) -> None:
        """Ctrl+C reaches the child only through its parent, which sends SIGTERM."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, _stop)


def connect(url: str) -> Redis:
    """A connection that retries for a while, so that it survives a restart of Redis."""
    retry = Retry(ExponentialBackoff(cap=2, base=0.1), 10)
    return Redis.from_url(
        url,
        retry=retry,
        retry_on_error=[RedisConnectionError, RedisTimeout],
        health_check_interval=30,
    )


def connect_briefly(url: str, seconds: float = 0.5) -> Redis:
    """A connection that gives up quickly, for callers that must not wait for Redis."""
    return Redis.from_url(url, socket_timeout=seconds, socket_connect_timeout=seconds)


def queue(connection: Redis) -> Queue:
    """The only queue, serialised as JSON."""
    return Queue(
        QUEUE, connection=connection, serializer=JSONSerializer, job_class=AllowedJob,
        default_timeout=LONGEST_SECONDS,
    )  # fmt: skip


def job_id(run_id: int, number: int) -> str:
    """The id of the n-th delivery of a run: the same whichever process makes it."""
    return f"run-{run_id}-{number}"


def deliver(connection: Redis, run_id: int, number: int) -> None:
    """Enqueue the n-th delivery of a run. Raises RedisError."""
    queue(connection).enqueue(
        PERFORM, run_id, job_id=job_id(run_id, number), result_ttl=0, failure_ttl=86_400
    )


def work(
    connection: Redis,
    perform: Perform,
    *,
    burst: bool = False,
    attend: Callable[[], None] = lambda: None,
) -> bool:
    """Perform the queue's jobs until asked to stop; with `burst` until it is empty.

    Returns whether it was asked to stop; if not, Redis was lost, and the caller starts again.
    """
    _Horse.perform = perform
    worker = AllowedWorker(
        [queue(connection)], connection=connection, serializer=JSONSerializer, job_class=AllowedJob,
        log_job_description=False, worker_ttl=TTL_SECONDS,
    )  # fmt: skip
    worker.attend = attend
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        worker.work(burst=burst, logging_level=None)
    except StopRequested:
        pass  # it was asked to stop while it signed off
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    return worker._shutdown_requested_date is not None
