"""Start, observe and end the processes of the embedded services."""

import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from .folders import Account

PR_SET_PDEATHSIG = 1
LONGEST_LOG = 20 * 1024 * 1024
"""The size in bytes from which a log file is rotated; checked when its process starts."""
_libc = ctypes.CDLL(None, use_errno=True)


def dies_with_parent(end: signal.Signals, parent: int | None = None) -> Callable[[], None]:
    """The function that a child calls before its program, so that it gets the signal `end` when its parent dies.

    Call it after the change of user, which would clear the setting. `parent` is this process unless given.
    """
    expected = os.getpid() if parent is None else parent

    def tie() -> None:
        if hasattr(_libc, "prctl"):
            _libc.prctl(PR_SET_PDEATHSIG, end, 0, 0, 0)
        if os.getppid() != expected:
            os._exit(1)

    return tie


def start(
    command: Sequence[str | Path],
    account: Account,
    *,
    folder: Path,
    log: Path,
    tied: signal.Signals | None,
) -> subprocess.Popen[bytes]:
    """Start a service in a session of its own, so that Ctrl+C reaches only its supervisor.

    It does not inherit this process's environment (there are secrets in it). With `tied` it gets that
    signal when this process dies; otherwise it outlives it.
    """
    with open(fresh_enough(log), "ab") as output:
        return subprocess.Popen(
            [str(part) for part in command],
            cwd=folder,
            env={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            preexec_fn=dies_with_parent(tied) if tied else None,  # noqa: PLW1509 (no threads yet)
            **account.popen_options,
        )


def fresh_enough(log: Path) -> Path:
    """`log`; rotated first if it has become too long."""
    if log.exists() and log.stat().st_size > LONGEST_LOG:
        log.replace(log.with_suffix(".log.1"))
    return log


def pids_in(folder: Path) -> list[int]:
    """The processes with `folder` as working directory; PostgreSQL's processes run in their data folder."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if (entry / "cwd").readlink() == folder:
                    found.append(int(entry.name))
            except OSError:
                continue
    return found


def is_alive(pid: int) -> bool:
    """Whether the process exists and is not a zombie that its parent has not reaped."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"


def wait_until(true: Callable[[], bool], seconds: float, every: float = 0.02) -> bool:
    """Poll until `true` returns true; False when that takes longer than `seconds`."""
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            return False
        time.sleep(every)
    return True


def end_process(pid: int, *how: tuple[signal.Signals, float]) -> None:
    """Send the process one signal after the other, and wait so many seconds after each, until it has ended."""
    for number, seconds in how:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return
        if wait_until(lambda: not is_alive(pid), seconds):
            return


def last_lines(log: Path, count: int = 5) -> str:
    """The end of a log file, for an error message."""
    try:
        return "\n".join(log.read_text(errors="replace").splitlines()[-count:])
    except OSError:
        return ""
