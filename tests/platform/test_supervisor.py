"""`make run` is `backoffice dev`: it starts everything, stops everything, and restarts it after crashes."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from backoffice.app.config import ROOT
from backoffice.commands.supervisor import Patience
from backoffice.database.embedded.processes import is_alive, wait_until

NewHome = Callable[[], Path]
BACKOFFICE = str(Path(sys.executable).with_name("backoffice"))
pytestmark = [pytest.mark.timeout(300), pytest.mark.slow]


class Copy:
    """A running `backoffice dev`."""

    def __init__(self, home: Path, port: int, **environment: str) -> None:
        self.home, self.port = home, port
        self.output = home.parent / f"{time.monotonic_ns()}.out"
        with open(self.output, "wb") as output:
            self.process = subprocess.Popen(
                [BACKOFFICE, "dev"],
                cwd=ROOT,
                env={
                    **os.environ,
                    "BACKOFFICE_HOME": str(home),
                    "PORT": str(port),
                    "DEMO": "0",
                    "WEB_CONCURRENCY": "1",
                    **environment,
                },
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )

    @property
    def text(self) -> str:
        """Its output so far."""
        return self.output.read_text()

    def is_ready(self) -> bool:
        """Whether it has reported that it is ready, to the last line of it."""
        assert self.process.poll() is None, self.text
        return "Ctrl+C ends everything." in self.text

    def family(self, of: int | None = None) -> list[int]:
        """The ids of its process, or of another one, and of all descendants."""
        parents = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    fields = (entry / "stat").read_text().rpartition(")")[2].split()
                except OSError:
                    continue
                parents[int(entry.name)] = int(fields[1])
        family = [of or self.process.pid]
        for pid in family:
            family += [child for child, parent in parents.items() if parent == pid]
        return family

    def pid_of(self, *words: str) -> int:
        """The id of the supervisor's child with all the words in its command line."""
        for pid in self.family():
            command = Path(f"/proc/{pid}/cmdline").read_bytes().decode()
            if pid != self.process.pid and all(word in command for word in words):
                return pid
        raise AssertionError(f"No process {words} runs.")

    def ready_status(self) -> str:
        """The body of /readyz, as text."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=10) as answer:
            return str(answer.read())

    def is_healthy(self) -> bool:
        """Whether /readyz reports that the app is ready."""
        try:
            return '"ready"' in self.ready_status()
        except OSError:
            return False


@pytest.fixture
def start(new_home: NewHome) -> Iterator[Callable[..., Copy]]:
    """Starts copies and waits until they are ready; none outlives the test."""
    with ExitStack() as stack:

        def start(home: Path | None = None, port: int | None = None, **environment: str) -> Copy:
            copy = Copy(home or new_home(), port or free_port(), **environment)
            stack.callback(end, copy)
            assert wait_until(copy.is_ready, 90, every=0.1), copy.text
            return copy

        yield start


def end(copy: Copy) -> None:
    family = copy.family()
    copy.process.terminate()
    copy.process.wait(60)
    assert wait_until(lambda: not any(map(is_alive, family)), 30)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def kill(*pids: int) -> None:
    for pid in pids:
        os.kill(pid, signal.SIGKILL)


def test_it_comes_back_after_kill_9_and_ends_with_ctrl_c(start: Callable[..., Copy]) -> None:
    copy = start(DEMO="1")
    assert f"http://127.0.0.1:{copy.port}" in copy.text
    sign_ins = re.findall(r"^ +(\w+) +(\S+@\S+) +password (\S+)$", copy.text, re.MULTILINE)
    assert [role for role, _, _ in sign_ins] == ["viewer", "finance", "account_manager", "admin"]
    assert copy.is_healthy()
    assert reported_address(copy) == f"http://127.0.0.1:{copy.port}"
    family = copy.family()
    assert len(family) > 8
    killed(copy, *family)
    assert reported_address(copy) is None, (
        "A killed copy leaves its word behind, and nobody believes it."
    )

    recovered = start(copy.home, copy.port, DEMO="1")
    assert "has recovered" in recovered.text
    assert "Loading the demo company" not in recovered.text
    assert sign_ins[0][2] in recovered.text, "The same sign-ins are printed again."
    assert recovered.is_healthy()
    family = recovered.family()
    recovered.process.send_signal(signal.SIGINT)
    assert recovered.process.wait(60) == 0
    assert not any(map(is_alive, family))
    assert recovered.text.endswith("Stopped.\n")
    assert reported_address(copy) is None


def reported_address(copy: Copy) -> str | None:
    """The address of the copy that `backoffice info` reports, called from another folder with other settings."""
    done = subprocess.run(
        [BACKOFFICE, "info", "--json"],
        cwd="/",
        env={**os.environ, "BACKOFFICE_HOME": str(copy.home), "PORT": "1"},
        stdout=subprocess.PIPE,
        check=True,
        timeout=60,
    )
    address: str | None = json.loads(done.stdout)["address"]
    return address


def killed(copy: Copy, *pids: int) -> None:
    """Kill these processes of a copy, and assert that none of its processes remains."""
    family = copy.family()
    kill(*pids)
    copy.process.wait()
    assert wait_until(lambda: not any(map(is_alive, family)), 60)


def test_copies_run_side_by_side_and_start_again_what_dies_alone(
    start: Callable[..., Copy], new_home: NewHome, copied_home: NewHome
) -> None:
    one, two = start(copied_home()), start(copied_home())
    assert one.is_healthy()
    assert "recovered" not in one.text
    same_home = refused(one.home, free_port())
    assert "already runs" in same_home
    assert str(one.process.pid) in same_home
    same_port = refused(new_home(), one.port)
    assert f"Port {one.port}" in same_port
    assert "PORT=" in same_port

    for words in (("worker.py",), ("--scheduler",), ("gunicorn",), ("redis",)):
        family = one.family(of=one.pid_of(*words))
        kill(family[0])
        assert wait_until(lambda: not any(map(is_alive, family)), 20)  # noqa: B023 (asked at once)
    assert wait_until(lambda: one.text.count("was started again") == 4, 60), one.text
    assert wait_until(one.is_healthy, 60, every=0.2), one.text
    its_database_is_started_when_it_can(one)
    assert one.text.count("was started again") == 5
    assert "Traceback" not in one.text
    assert two.is_healthy()
    assert "started again" not in two.text
    killed(one, one.process.pid)


def its_database_is_started_when_it_can(copy: Copy) -> None:
    """As after a full disk: meanwhile pages report it, and no manual restart is needed."""
    [settings] = copy.home.rglob("postgres/data/postgresql.conf")
    aside = settings.rename(settings.with_name("aside"))
    kill(copy.pid_of("postgres", "-D"))
    assert wait_until(lambda: "is started again in a moment" in copy.text, 60), copy.text
    assert copy.process.poll() is None
    with urllib.request.urlopen(f"http://127.0.0.1:{copy.port}/healthz", timeout=10) as answer:
        assert answer.status == 200
    aside.rename(settings)
    assert wait_until(lambda: "PostgreSQL ended unexpectedly and was started" in copy.text, 60)
    assert wait_until(copy.is_healthy, 60, every=0.2), copy.text


def refused(home: Path, port: int) -> str:
    """The message of a copy that cannot start; asserts that it exits with 2 and leaves nothing behind."""
    copy = Copy(home, port)
    assert copy.process.wait(60) == 2
    assert "Traceback" not in copy.text
    return copy.text


def test_a_terminated_start_leaves_nothing_behind(new_home: NewHome) -> None:
    for delay in (0.5, 1.5, 2.5):
        copy = Copy(new_home(), free_port())
        time.sleep(delay)
        family = copy.family()
        copy.process.terminate()
        copy.process.wait(60)
        assert wait_until(lambda: not any(map(is_alive, family)), 30), copy.text  # noqa: B023 (asked at once)


def test_what_dies_at_once_is_started_later_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    moments = iter([100.0, 101.0, 102.0, 200.0])
    monkeypatch.setattr(time, "monotonic", lambda: next(moments))
    patience = Patience(started_at=99.0)
    assert patience.is_over()
    assert (patience.failures, patience.not_before) == (1, 102.0)
    assert not patience.is_over()
    assert patience.is_over()
    assert (patience.failures, patience.not_before) == (2, 106.0)
    assert patience.is_over()
    assert patience.failures == 0, "it has run for long since"


def test_an_interrupt_that_is_swallowed_is_raised_again() -> None:
    """As in a finalizer, in which Python prints an exception and goes on."""
    program = (
        "import os, signal, time\n"
        "from backoffice.commands import supervisor\n"
        "class Freed:\n"
        "    def __del__(self): os.kill(os.getpid(), signal.SIGTERM); time.sleep(0.1)\n"
        "try:\n"
        "    with supervisor._ending_by_signal():\n"
        "        freed = Freed()\n"
        "        del freed\n"
        "        print('goes on', flush=True)\n"
        "        time.sleep(20)\n"
        "except KeyboardInterrupt:\n"
        "    time.sleep(1.5)\n"
        "    print('ends once', flush=True)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=15, check=True
    )  # fmt: skip
    assert done.stdout.split("\n")[:2] == ["goes on", "ends once"]
