"""The server's processes count together: each in files of one folder, of which a scrape reads the sum.

Read by the server's configuration before anything else; so it imports nothing that counts.
"""

import os
import shutil
import tempfile
from pathlib import Path

VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
"""Where prometheus-client looks for the folder, at its import."""

SHARED_MEMORY = "/dev/shm"  # noqa: S108 (mkdtemp makes a private folder there)


def begin() -> None:
    """Count in a new folder of our own, in memory where possible; once in a server's life."""
    ours = f"backoffice-metrics-{os.getpid()}-"
    if Path(os.environ.get(VARIABLE, "")).name.startswith(ours):
        return  # the configuration is read again, when the server is told to
    folder = SHARED_MEMORY if os.access(SHARED_MEMORY, os.W_OK) else None
    os.environ[VARIABLE] = tempfile.mkdtemp(prefix=ours, dir=folder)


def forget(process: int) -> None:
    """A process has ended: what it held is gone, what it has counted stays."""
    from prometheus_client.multiprocess import mark_process_dead

    if os.environ.get(VARIABLE):
        mark_process_dead(process)  # type: ignore[no-untyped-call]


def end() -> None:
    """The server has ended: remove the folder."""
    folder = os.environ.pop(VARIABLE, "")
    if folder:
        shutil.rmtree(folder, ignore_errors=True)
