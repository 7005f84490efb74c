"""`python -m tests.mutants [NAME…]`: make each change in a private copy, and see whether its tests fail."""

import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import click

from . import caught, mutants
from .mutant import ROOT, Mutant
from .trees import FAILED, NOTHING_RUN, PASSED, Outcome, Tree

LIMIT = 150.0
"""Seconds for the tests of one mutant. A change that makes them hang is caught by it."""
LIMIT_OF_ALL = 1800.0
"""Seconds for all named tests together on the unchanged tree."""
QUICK = ("-m", "not slow")

CAUGHT, SLIPPED, HARMLESS, BROKEN, LEFT = "caught", "NOT CAUGHT", "harmless", "BROKEN", "left"


@dataclass(frozen=True)
class Result:
    """What became of one mutant."""

    mutant: Mutant
    word: str
    reason: str = ""
    seconds: float = 0.0

    def __str__(self) -> str:
        line = f"{self.word:<10} {self.mutant.name:<52} {self.seconds:5.1f} s  {self.mutant.file}"
        return f"{line}\n{'':11}{self.reason}" if self.reason else line


@click.command(help=__doc__)
@click.argument("names", nargs=-1)
@click.option("--changed", is_flag=True, help="Only files that changed since all was caught.")
@click.option("--file", "files", multiple=True, help="Only the mutants of this source file.")
@click.option("--quick", is_flag=True, help="Only with the tests that `make test-quick` runs.")
@click.option("--processes", default=2, show_default=True, help="How many run side by side.")
@click.option("--minutes", type=float, help="Start none later than this; name what is left.")
def main(
    names: tuple[str, ...],
    changed: bool,
    files: tuple[str, ...],
    quick: bool,
    processes: int,
    minutes: float | None,
) -> None:
    """Try the selected mutants, print each, and record the files without any that slipped through."""
    began = time.monotonic()
    known = caught.recorded()
    now = {file: caught.digest(file, of_file) for file, of_file in by_file().items()}
    wanted = list(
        selected(names, files, {f for f in now if known.get(f) == now[f]} if changed else set())
    )
    end = began + minutes * 60 if minutes else float("inf")
    results = []
    for result in tried(wanted, QUICK if quick else (), processes, lambda: time.monotonic() > end):
        results.append(result)
        click.echo(str(result))
    if not quick:
        good = {r.mutant for r in results if r.word in {CAUGHT, HARMLESS}}
        whole = {file for file, of_file in by_file().items() if good.issuperset(of_file)}
        tried_files = {r.mutant.file for r in results if r.word != LEFT} - whole
        kept = {f: d for f, d in known.items() if f in now and f not in tried_files}
        caught.record(kept | {file: now[file] for file in whole})
    counts = Counter(result.word for result in results)
    share = f", {counts[CAUGHT] / max(1, len(results) - counts[HARMLESS]):.0%} of those that count"
    click.echo(
        f"{len(results)} of {len(mutants())} mutants: {counts[CAUGHT]} caught{share if quick else ''}, "
        f"{counts[HARMLESS]} harmless, {counts[SLIPPED]} not caught, {counts[BROKEN]} broken, "
        f"{counts[LEFT]} left to the next run; {time.monotonic() - began:.0f} s."
    )
    sys.exit(1 if counts[BROKEN] or (counts[SLIPPED] and not quick) else 0)


def by_file() -> dict[str, list[Mutant]]:
    """Return the mutants of each source file."""
    grouped: dict[str, list[Mutant]] = {}
    for mutant in mutants():
        grouped.setdefault(mutant.file, []).append(mutant)
    return grouped


def selected(names: tuple[str, ...], files: tuple[str, ...], without: set[str]) -> Iterator[Mutant]:
    """Yield the mutants of these names and files, or all; none of the files in `without`."""
    if unknown := set(names) - {mutant.name for mutant in mutants()}:
        raise click.UsageError(f"No mutant is called {', '.join(sorted(unknown))}.")
    if unknown := set(files) - {mutant.file for mutant in mutants()}:
        raise click.UsageError(f"No mutant changes {', '.join(sorted(unknown))}.")
    for mutant in mutants():
        chosen = mutant.name in names or mutant.file in files or not (names or files)
        if chosen and mutant.file not in without:
            yield mutant


def tried(
    wanted: list[Mutant], options: tuple[str, ...], processes: int, is_late: Callable[[], bool]
) -> Iterator[Result]:
    """Yield what became of each, as it is known; the unchanged tree must pass the tests first."""
    yield from (Result(each, HARMLESS, each.harmless) for each in wanted if each.harmless)
    wanted = [each for each in wanted if not each.harmless]
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        Path(folder).chmod(0o711)
        count = min(processes, len(wanted))
        trees: SimpleQueue[Tree] = SimpleQueue()
        for number in range(count):
            own = Path(folder, str(number))
            own.mkdir()
            trees.put(Tree(own))

        def with_a_tree(work: Callable[[Tree], Any]) -> Any:
            tree = trees.get()
            try:
                return work(tree)
            finally:
                trees.put(tree)

        with ThreadPoolExecutor(max(1, count)) as pool:
            failing: dict[str, str] = {}
            parts = [lambda t, p=p: failing_among(p, t, options) for p in shares(wanted, count)]
            for found in pool.map(with_a_tree, parts):
                failing |= found
            pending = [
                pool.submit(with_a_tree, lambda t, m=m: try_one(m, t, options, failing, is_late))
                for m in wanted
            ]
            try:
                yield from (future.result() for future in as_completed(pending))
            finally:
                pool.shutdown(cancel_futures=True)


def shares(wanted: Iterable[Mutant], count: int) -> list[list[str]]:
    """Return the named tests in `count` parts; the tests of a file stay together."""
    tests: dict[str, dict[str, None]] = {}
    for mutant in wanted:
        for test in mutant.tests:
            tests.setdefault(test.partition("::")[0], {})[test] = None
    parts: list[list[str]] = [[] for _ in range(count)]
    for of_file in sorted(tests.values(), key=len, reverse=True):
        min(parts, key=len).extend(of_file)
    return [part for part in parts if part]


def failing_among(tests: list[str], tree: Tree, options: tuple[str, ...]) -> dict[str, str]:
    """Return the tests that fail on the unchanged tree, each with the reason."""
    outcome = tree.run(tests, *options, seconds=LIMIT_OF_ALL)
    if outcome.status in {PASSED, NOTHING_RUN}:
        return {}
    if outcome.status == FAILED:
        return {
            test: "fails without the change"
            for test in tests
            if without_case(test) in outcome.failed
        }
    return {test: f"cannot be run: {last_line(outcome)}" for test in tests}


def try_one(
    mutant: Mutant,
    tree: Tree,
    options: tuple[str, ...],
    failing: dict[str, str],
    is_late: Callable[[], bool],
) -> Result:
    """Run a mutant's tests on its changed file."""
    if is_late():
        return Result(mutant, LEFT, "no time was left")
    try:
        text = mutant.changed((tree.root / mutant.file).read_text())
    except (OSError, ValueError) as error:
        return Result(mutant, BROKEN, str(error))
    if wrong := [f"{test} {failing[test]}" for test in mutant.tests if test in failing]:
        return Result(mutant, BROKEN, "; ".join(wrong))
    began = time.monotonic()
    with tree.with_text(mutant.file, text):
        outcome = tree.run(list(mutant.tests), "-x", *options, seconds=LIMIT)
    seconds = time.monotonic() - began
    word, reason = verdict(outcome, bool(options))
    return Result(mutant, word, reason, seconds)


def verdict(outcome: Outcome, is_part: bool) -> tuple[str, str]:
    """Return the word and the reason for how the tests ended; `is_part` where some were left out."""
    if outcome.status is None:
        return CAUGHT, f"by the time limit of {LIMIT:.0f} s"
    if outcome.status == FAILED:
        return CAUGHT, ""
    if outcome.status == PASSED or (outcome.status == NOTHING_RUN and is_part):
        return SLIPPED, "its tests pass with the change"
    return BROKEN, last_line(outcome)


def without_case(test: str) -> str:
    """Return the node id without the parameters of a case."""
    return test.partition("[")[0]


def last_line(outcome: Outcome) -> str:
    """Return the last line of pytest's output that says something."""
    return next(
        (line for line in reversed(outcome.output.splitlines()) if line.strip()), "no output"
    )


if __name__ == "__main__":
    main(prog_name=f"python -m tests.{Path(__file__).parent.relative_to(ROOT / 'tests')}")
