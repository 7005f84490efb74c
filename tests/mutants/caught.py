"""The record of files whose mutants were all caught, with digests of what that depends on."""

import ast
import hashlib
import json
from collections.abc import Iterable
from functools import cache

from .mutant import ROOT, Mutant

RECORD = ROOT / "tests" / "mutants" / "caught.json"


def recorded() -> dict[str, str]:
    """Return the digest of each file at the time when all its mutants were caught."""
    return dict(json.loads(RECORD.read_text())) if RECORD.exists() else {}


def record(digests: dict[str, str]) -> None:
    """Replace the record."""
    RECORD.write_text(json.dumps(digests, indent=1, sort_keys=True) + "\n")


def digest(file: str, mutants: Iterable[Mutant]) -> str:
    """Return a digest of the file, of its mutants, and of the text of the tests that they name."""
    whole = hashlib.sha256((ROOT / file).read_bytes())
    for mutant in mutants:
        whole.update(repr(mutant).encode())
        for test in mutant.tests:
            whole.update(source_of(test).encode())
    return whole.hexdigest()[:16]


def source_of(test: str) -> str:
    """Return the source of the test function with that node id; raise LookupError if it is missing."""
    path, _, name = test.partition("[")[0].partition("::")
    text, functions = _functions(path)
    if name not in functions:
        raise LookupError(f"{test} does not exist")
    return ast.get_source_segment(text, functions[name]) or ""


@cache
def _functions(path: str) -> tuple[str, dict[str, ast.FunctionDef]]:
    if not (ROOT / path).is_file():
        return "", {}
    text = (ROOT / path).read_text()
    body = ast.parse(text).body
    return text, {node.name: node for node in body if isinstance(node, ast.FunctionDef)}
