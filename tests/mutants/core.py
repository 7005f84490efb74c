"""Careless changes of the core: declaring, computing, keeping, verifying and showing figures."""

from .mutant import Mutant

STATEMENTS = "tests/figures/test_statements.py"

MUTANTS: tuple[Mutant, ...] = (
    Mutant(
        "figures-owners-locked-in-any-order",
        "backoffice/figures/computing/statements.py",
        "select(key).order_by(key).with_for_update(key_share=True)",
        "select(key).with_for_update(key_share=True)",
        (f"{STATEMENTS}::test_owners_and_rows_are_locked_in_id_order",),
    ),
    Mutant(
        "figures-rows-locked-in-any-order",
        "backoffice/figures/computing/statements.py",
        "select(key).order_by(key).with_for_update(read=True)",
        "select(key).with_for_update(read=True)",
        (f"{STATEMENTS}::test_owners_and_rows_are_locked_in_id_order",),
    ),
    Mutant(
        "figures-owners-not-locked",
        "backoffice/figures/computing/statements.py",
        ".order_by(key).with_for_update(key_share=True)",
        ".order_by(key)",
        (f"{STATEMENTS}::test_a_lock_that_is_not_had_in_time_is_an_error_of_sqlalchemy",),
    ),
    Mutant(
        "figures-linked-source-is-not-locked",
        "backoffice/figures/keeping/locking.py",
        "lock_rows(far.table).run(connection, ids=sorted(ids))",
        "pass",
        (
            "tests/figures/test_races.py::test_who_links_a_source_to_an_owner_waits_for_who_changes_that_source",
        ),
    ),
    Mutant(
        "figures-owner-of-a-row-is-not-checked-again-after-the-wait",
        "backoffice/figures/keeping/recomputing.py",
        "return [] if figure.owner is figure.primary_key else [figure.owner == rows.c.owner]",
        "return []",
        (
            "tests/figures/test_settling.py::test_a_row_that_changes_hands_between_two_owners_of_a_correction_keeps_its_new_amount",
        ),
    ),
)

RULES = "backoffice/figures/declaring/rules.py"
REFUSED = ("tests/figures/test_refused_declarations.py::test_what_could_not_be_kept_is_refused",)
"""A declaration for each rule, with the sentence that refuses it."""

_RULES = {
    "owner-may-be-missing": ("if figure.owner.nullable:", "if False:"),
    "key-of-two-columns": ("if len(keys) != 1 or not isinstance", "if not isinstance"),
    "hidden-literal-column": (
        "isinstance(part, TextClause) or _is_literal(part)",
        "isinstance(part, TextClause)",
    ),
    "value-that-moves-by-itself": ("if name in _MOVING:", "if not name and name in _MOVING:"),
    "other-table-in-an-expression": (
        "for table in _tables(definition) - {figure.table}:",
        "for table in _tables(definition) - _tables(definition):",
    ),
    "total-over-another-table": ("if any(_tables(w) - {part.child} for w in wholes):", "if False:"),
    "select-reads-past-its-arguments": (
        "for table in figure.reads.keys() - set(figure.models):",
        "for table in set(figure.models) - set(figure.models):",
    ),
    "select-without-a-column": (
        "if c.key not in selected):",
        "if c.key not in selected and c.key in selected):",
    ),
    "owner-joined-with-itself": (
        "_times_read(figure, figure.owner_table) > 1",
        "_times_read(figure, figure.owner_table) > 9",
    ),
    "led-by-a-foreign-column": (
        "if all(k.column is not next(iter(table.primary_key)) for k in col.foreign_keys):",
        "if False:",
    ),
}

MUTANTS += tuple(
    Mutant(f"figures-not-refused-{name}", RULES, before, after, REFUSED)
    for name, (before, after) in _RULES.items()
)

MUTANTS += (
    Mutant(
        "figures-not-refused-hidden-text",
        RULES,
        "isinstance(part, TextClause) or _is_literal(part)",
        "_is_literal(part)",
        (
            "tests/figures/test_registry.py::test_raw_text_in_a_select_is_refused_because_it_hides_what_it_reads",
        ),
    ),
)
