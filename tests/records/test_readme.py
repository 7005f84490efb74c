"""The README's example of a record, as written: a model, a migration, a declaration; every test here passes on it."""

import os
import re
import subprocess
import sys

import pytest

from backoffice.app.config import ROOT

from .scratch import MIGRATION, blocks

pytestmark = pytest.mark.slow


def test_it_takes_seventy_lines() -> None:
    texts = [*blocks().values(), MIGRATION]
    assert len(texts) == 4
    assert sum(len([line for line in text.splitlines() if line.strip()]) for text in texts) <= 70


@pytest.mark.timeout(300)
def test_every_test_of_records_passes_on_it() -> None:
    done = subprocess.run(
        [
            sys.executable, "-m", "pytest", "-q", "-p", "tests.records.scratch", "-p", "no:cacheprovider",
            "-k", "suppliers", *(f"tests/records/test_{each}.py" for each in ("conformance", "api", "verbs")),
        ],
        cwd=ROOT, env={**os.environ, "SCRATCH_RECORD": "1"}, capture_output=True, text=True, timeout=280, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-4000:]
    found = re.search(r"(\d+) passed", done.stdout)
    assert found is not None
    assert int(found[1]) >= 18, done.stdout
