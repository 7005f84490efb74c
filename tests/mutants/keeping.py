"""Careless changes of how figures are kept: what a correction writes, and which owners it reaches."""

from .mutant import Mutant

STATEMENTS = "backoffice/figures/computing/statements.py"

MUTANTS: tuple[Mutant, ...] = (
    Mutant(
        "figures-correction-writes-over-what-was-entered-meanwhile",
        "backoffice/figures/keeping/recomputing.py",
        "case((untouched, col), else_=expected) if col in figure.entered else expected",
        "expected",
        (
            "tests/figures/test_settling.py::test_what_another_program_enters_while_a_correction_waits_for_the_row_stays",
        ),
    ),
    Mutant(
        "figures-not-refused-total-within-a-total",
        "backoffice/figures/declaring/rules.py",
        "        if any(list(totals_in(w)) for w in wholes):\n",
        "        if any(list(totals_in(w)) for w in ()):\n",
        ("tests/figures/test_refused_declarations.py::test_what_could_not_be_kept_is_refused",),
    ),
    Mutant(
        "figures-owner-is-not-looked-up-again-after-the-lock",
        "backoffice/figures/keeping/locking.py",
        "        waiting = _named_through(connection, bundle, leading) - asked\n",
        "        waiting = set()\n",
        (),
        harmless=(
            "Who links a row to an owner locks that row first, and so waits for whoever has changed it. "
            "What a program without that lock links meanwhile is noted, and the next drain reaches its owner."
        ),
    ),
    Mutant(
        "figures-correction-does-not-reach-owners-through-another-table",
        "backoffice/figures/keeping/drain.py",
        "            if ids and upper.name not in self.deferred:\n",
        "            if False:\n",
        (),
        harmless=(
            "Every correction of the app defers what other owners build on it, and corrects those owners "
            "afterwards, each of them once."
        ),
    ),
    Mutant(
        "figures-derived-rows-are-compared-without-null",
        STATEMENTS,
        "        stored.c[c.key].is_distinct_from(v) for c, v in zip(figure.columns, values, strict=True)\n",
        "        stored.c[c.key] != v for c, v in zip(figure.columns, values, strict=True)\n",
        (),
        harmless=(
            "No figure of the app keeps a column that may be NULL, and a row that is missing or surplus is told "
            "by its key."
        ),
    ),
)
