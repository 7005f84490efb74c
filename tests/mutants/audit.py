"""Careless changes of the audit trail and its seals."""

from .mutant import Mutant

TAMPERING = "tests/audit/test_tampering.py"
VERIFYING = "backoffice/audit/chain/verifying.py"

MUTANTS: tuple[Mutant, ...] = (
    Mutant(
        "audit-seal-need-not-follow-the-previous-one",
        VERIFYING,
        'follows or seal["previous"] == previous["digest"]',
        "True",
        (
            f"{TAMPERING}::test_a_genuine_seal_of_another_fork_of_the_chain_is_found_at_its_successor",
        ),
    ),
    Mutant(
        "audit-seal-is-not-compared-with-its-key",
        VERIFYING,
        'digest_of_seal(seal, key) == seal["digest"] and (',
        "(",
        (f"{TAMPERING}::test_fault_18_a_seal_that_was_changed_is_named",),
    ),
    Mutant(
        "audit-anchor-is-not-compared-with-its-seal",
        VERIFYING,
        '(one.digest, one.events) != (seal["digest"].hex(), seal["total"])',
        'one.events != seal["total"]',
        (
            f"{TAMPERING}::test_fault_18_a_chain_made_anew_with_the_stolen_key_is_found_by_the_anchor",
        ),
    ),
    Mutant(
        "audit-cut-tail-is-not-found",
        VERIFYING,
        "if number > self._last:",
        "if number > self._last + 2:",
        (f"{TAMPERING}::test_fault_18_a_tail_cut_with_its_seals_is_found_by_the_anchor",),
    ),
    Mutant(
        "audit-removed-event-counts-as-present",
        VERIFYING,
        "                self._gone += 1\n",
        "",
        (f"{TAMPERING}::test_fault_18_one_row_out_and_one_in_are_both_named",),
    ),
    Mutant(
        "audit-changed-event-is-not-compared",
        VERIFYING,
        'if None in now or b"".join(filter(None, now)) != sealed:',
        "if None in now:",
        (f"{TAMPERING}::test_fault_18_an_edited_row_is_named_whichever_column_it_was",),
    ),
    Mutant(
        "audit-event-that-occurs-twice-passes",
        VERIFYING,
        'b"" if is_twice else digest_of(row, key.of_events)',
        "digest_of(row, key.of_events)",
        (f"{TAMPERING}::test_fault_18_a_row_that_stands_twice_is_named",),
    ),
    Mutant(
        "audit-added-event-is-not-named",
        VERIFYING,
        "if surplus > 0:",
        "if surplus > 1:",
        (f"{TAMPERING}::test_fault_18_a_row_put_in_is_named",),
    ),
)
