"""All imports of the benchmarks exist: benchmarks run rarely, and what they use changes meanwhile."""

import importlib
import pkgutil

import pytest

import benchmarks


@pytest.mark.parametrize("module", [found.name for found in pkgutil.iter_modules(benchmarks.__path__)
                                    if found.name != "computed_fields"])  # fmt: skip
def test_a_benchmark_can_be_read(module: str) -> None:
    importlib.import_module(f"benchmarks.{module}")
