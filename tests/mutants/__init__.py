"""Careless changes of the code, each with the tests that must notice it; `make mutants` tries them.

A module for each domain holds its changes as `MUTANTS`. To add one, name the file, the exact text, what it is replaced
by, and the tests that fail then. A change that alters nothing stays in the list with its reason in `harmless`.
"""

from functools import cache
from importlib import import_module
from pathlib import Path

from .mutant import Mutant


@cache
def mutants() -> tuple[Mutant, ...]:
    """Return the mutants of all modules of this folder, in the order of their modules."""
    names = sorted(path.stem for path in Path(__file__).parent.glob("[a-z]*.py"))
    modules = [import_module(f"{__name__}.{name}") for name in names if "test" not in name]
    return tuple(each for module in modules for each in getattr(module, "MUTANTS", ()))
