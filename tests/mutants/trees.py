"""Private copies of the whole tree, in which a change is made and tests are run."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree as ET

from .mutant import ROOT

LEFT_OUT = (".git", ".venv", "var", ".*_cache", ".hypothesis", "*.egg-info")

PASSED, FAILED, NOTHING_RUN = 0, 1, 5
"""What pytest's exit status means; any other one is a mistake in the list of mutants."""


@dataclass(frozen=True)
class Outcome:
    """How pytest ended, what it said, and the tests that failed; `status` is None after the time limit."""

    status: int | None
    output: str
    failed: frozenset[str] = field(default_factory=frozenset)


class Tree:
    """A copy of the tree with the compiled code, so that only what is changed is compiled again."""

    def __init__(self, folder: Path) -> None:
        self.home, self.root = folder, folder / "tree"
        shutil.copytree(ROOT, self.root, ignore=shutil.ignore_patterns(*LEFT_OUT), symlinks=True)
        self.temporary = folder / "tmp"
        self.temporary.mkdir()
        for path in (folder, self.temporary):
            path.chmod(0o711)  # as root, PostgreSQL runs as another user, who passes through
        self.changes = 0

    @contextmanager
    def with_text(self, file: str, text: str) -> Iterator[None]:
        """Let `file` have that text during the block."""
        path = self.root / file
        before, times = path.read_bytes(), path.stat()
        path.write_text(text)
        # Compiled code is told apart by size and whole seconds: no two changes share a second.
        self.changes += 1
        os.utime(path, (1_000_000_000 + self.changes,) * 2)
        try:
            yield
        finally:
            path.write_bytes(before)
            os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))

    def run(self, tests: list[str], *options: str, seconds: float) -> Outcome:
        """Run these tests on the copy; the processes that they start use the copy too."""
        results = self.temporary / "results.xml"
        results.unlink(missing_ok=True)
        command = [
            sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--tb=short",
            f"--junit-xml={results}", *options, *tests,
        ]  # fmt: skip
        # The installed package leads to the working tree; PYTHONPATH comes before it.
        own = {"PYTHONPATH": str(self.root), "TMPDIR": str(self.temporary)}
        with subprocess.Popen(
            command,
            cwd=self.root,
            env={**os.environ, **own},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        ) as process:
            try:
                output, _ = process.communicate(timeout=seconds)
                status: int | None = process.returncode
            except BaseException as error:
                os.killpg(process.pid, signal.SIGKILL)
                output, _ = process.communicate()
                if not isinstance(error, subprocess.TimeoutExpired):
                    raise
                status = None
        failed = frozenset(_failed(results)) if results.exists() else frozenset[str]()
        self._clear()
        return Outcome(status, output, failed)

    def _clear(self) -> None:
        for path in self.temporary.iterdir():
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)


def _failed(results: Path) -> Iterator[str]:
    """The node ids, without parameters, of tests that failed or could not be set up."""
    for case in ET.parse(results).iter("testcase"):
        if case.find("failure") is not None or case.find("error") is not None:
            file = case.get("classname", "").replace(".", "/")
            yield f"{file}.py::{case.get('name', '').partition('[')[0]}"
