"""Careless changes of findings: their causes, their end, which owners are left alone, and what is shown."""

from .mutant import Mutant

FINDINGS, HOLDING = "backoffice/drift/findings.py", "backoffice/drift/facts/holding.py"
RUNS, RIGHT_AGAIN = "tests/drift/test_runs.py", "tests/drift/test_right_again.py"
OF_HOLDING = "tests/drift/test_holding.py"

MUTANTS: tuple[Mutant, ...] = (
    Mutant(
        "drift-finding-that-was-seen-again-is-closed",
        FINDINGS,
        "        owned,\n        FINDINGS.c.last_seen_at < since,\n",
        "        owned,\n",
        (f"{RUNS}::test_a_finding_is_one_row_from_first_seen_until_healed",),
    ),
    Mutant(
        "drift-finding-of-an-owner-that-was-not-compared-is-closed",
        FINDINGS,
        "        owned,\n        FINDINGS.c.last_seen_at < since,\n",
        "        FINDINGS.c.last_seen_at < since,\n",
        (f"{RIGHT_AGAIN}::test_what_looks_at_others_leaves_it_open",),
    ),
    Mutant(
        "drift-finding-of-a-removed-figure-stays-open",
        FINDINGS,
        "FINDINGS.c.figure.not_in(list(known))",
        "FINDINGS.c.figure.in_(list(known))",
        (f"{RIGHT_AGAIN}::test_what_is_declared_no_more_is_not_wrong_for_ever",),
    ),
    Mutant(
        "drift-finding-that-a-save-mended-is-a-heal",
        FINDINGS,
        '(chosen.c.correction_id.is_(None), "save"),',
        '(chosen.c.correction_id.is_(None), "run"),',
        (f"{RUNS}::test_a_finding_that_a_save_has_mended_is_closed_by_the_next_verification",),
    ),
    Mutant(
        "drift-what-follows-from-another-row-is-a-root",
        FINDINGS,
        '"is_root": not facts and finding.roots[0] == finding.row,',
        '"is_root": not facts,',
        (f"{RUNS}::test_a_tampered_quantity_is_found_with_all_above_it_and_their_root",),
    ),
    Mutant(
        "drift-cause-of-what-follows-is-its-own",
        FINDINGS,
        "    if finding.roots[0] != finding.row:\n        return FOLLOWS\n",
        "",
        (
            "tests/drift/test_views.py::test_what_follows_from_another_row_names_its_root_and_leads_to_it",
        ),
    ),
    Mutant(
        "drift-healed-findings-count-as-open",
        FINDINGS,
        "is_open = FINDINGS.c.figure.in_(list(verified)), FINDINGS.c.healed_at.is_(None)",
        "is_open = (FINDINGS.c.figure.in_(list(verified)),)",
        (f"{RUNS}::test_a_finding_is_one_row_from_first_seen_until_healed",),
    ),
    Mutant(
        "drift-heal-builds-on-a-forged-fact",
        HOLDING,
        "            return found | dict.fromkeys(held(connection, bundle, asked.scalars().all()), HELD)\n",
        "            asked.scalars().all()\n            return found\n",
        (f"{OF_HOLDING}::test_no_heal_follows_a_forgery[changed-function-unmarked]",),
    ),
    Mutant(
        "drift-column-that-no-figure-reads-holds-owners",
        HOLDING,
        "return [c for c in facts.columns if c.key in source.columns | refers]",
        "return [c for c in facts.columns if c.key not in refers]",
        (f"{OF_HOLDING}::test_an_order_is_held_by_its_lines_alone",),
    ),
)
