"""Careless changes of how the trail is written, sealed, anchored and compared with rows."""

from .mutant import Mutant

TRIGGERS, SEALING = "backoffice/audit/triggers.py", "backoffice/audit/chain/sealing.py"
ANCHORS, MARKS = "backoffice/audit/chain/anchors.py", "backoffice/audit/marks.py"
TRAIL, APPEND_ONLY = "tests/audit/test_trail.py", "tests/audit/test_append_only.py"
OF_SEALS, TAMPERING = "tests/audit/test_sealing.py", "tests/audit/test_tampering.py"
OF_MARKS = "tests/drift/test_fact_marks.py"
STALE = (f"{OF_MARKS}::test_a_mark_that_does_not_fit_leads_to_a_comparison_of_the_whole_table",)
LATE = (f"{OF_SEALS}::test_a_late_committer_is_neither_skipped_nor_sealed_out_of_order",)

MUTANTS: tuple[Mutant, ...] = (
    Mutant(
        "audit-change-to-null-is-not-recorded",
        TRIGGERS,
        'return f"o.{_quote(col.key)} IS DISTINCT FROM n.{_quote(col.key)}"',
        'return f"o.{_quote(col.key)} <> n.{_quote(col.key)}"',
        (f"{TRAIL}::test_an_update_to_null_and_back_is_recorded",),
    ),
    Mutant(
        "audit-row-with-a-changed-key-is-not-recorded",
        TRIGGERS,
        "FROM old_rows o FULL JOIN new_rows n ON {matched}",
        "FROM old_rows o JOIN new_rows n ON {matched}",
        (f"{TRAIL}::test_a_changed_primary_key_is_one_row_gone_and_one_come",),
    ),
    Mutant(
        "audit-update-without-a-change-is-recorded",
        TRIGGERS,
        "WHERE ({_is_changed(audited)}) AND",
        "WHERE",
        (f"{TRAIL}::test_an_update_that_changes_nothing_leaves_no_trace",),
    ),
    Mutant(
        "audit-secret-is-recorded",
        TRIGGERS,
        "*(f\"{_literal(c.key)}, 'changed'\" for c in audited.secrets),",
        '*(f"{_literal(c.key)}, {rows}.{_quote(c.key)}" for c in audited.secrets),',
        (f"{TRAIL}::test_of_a_password_only_that_it_changed_is_recorded",),
    ),
    Mutant(
        "audit-seals-may-be-changed",
        TRIGGERS,
        'APPEND_ONLY = ("audit_events", "audit_seals", ',
        'APPEND_ONLY = ("audit_events", ',
        (f"{OF_SEALS}::test_fault_15_nobody_changes_the_chain_by_its_front_door",),
    ),
    Mutant(
        "audit-event-of-a-running-transaction-is-overtaken",
        SEALING,
        "return [_beyond(head), EVENTS.c.xid < oldest_running()]",
        "return [_beyond(head)]",
        LATE,
    ),
    Mutant(
        "audit-chain-goes-on-after-a-forged-seal",
        SEALING,
        '    if digest_of_seal(seal, keys.key(age)) != seal["digest"]:\n'
        '        raise BrokenChain(seal=seal["number"])\n',
        "",
        (f"{OF_SEALS}::test_nobody_seals_on_after_a_seal_that_the_app_forged",),
    ),
    Mutant(
        "audit-changed-anchor-is-believed",
        ANCHORS,
        "if expected is not None and hmac.compare_digest(expected, str(mac)):",
        "if expected is not None and mac:",
        (f"{TAMPERING}::test_an_anchor_that_was_changed_is_not_believed",),
    ),
    Mutant(
        "audit-given-up-anchor-still-counts",
        ANCHORS,
        "standing = [earlier for earlier in standing if earlier.seal <= made.seal]",
        "standing = [earlier for earlier in standing if earlier.seal >= made.seal]",
        (f"{TAMPERING}::test_after_a_restored_backup_the_given_up_anchors_count_no_more",),
    ),
    Mutant(
        "audit-mark-of-another-cluster-fits",
        MARKS,
        "if system != mark.system or not mark.horizon",
        "if not mark.horizon",
        STALE,
    ),
    Mutant(
        "audit-mark-does-not-count-removed-rows",
        MARKS,
        '(EVENTS.c.action == "DELETE", -1), else_=0)',
        "else_=0)",
        (f"{OF_MARKS}::test_rows_that_were_entered_and_removed_since_the_mark_leave_it_valid",),
    ),
)
