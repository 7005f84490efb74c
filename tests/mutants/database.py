"""Careless changes of generated triggers, how they are compared, and of what the app's role may do."""

from .mutant import Mutant

OBJECTS, GRANTS = "backoffice/database/objects.py", "backoffice/database/grants.py"
SCOPE, OF_GRANTS = "tests/audit/test_scope.py", "tests/platform/test_grants.py"

MUTANTS: tuple[Mutant, ...] = (
    Mutant(
        "database-trigger-that-is-switched-off-counts-as-on",
        OBJECTS,
        "t.tgenabled IN ('O', 'A') AS is_enabled",
        "t.tgenabled IN ('O', 'A', 'D') AS is_enabled",
        (
            "tests/platform/test_guards.py::test_every_way_of_tampering_with_every_declared_trigger_is_named",
        ),
    ),
    Mutant(
        "database-trigger-of-a-removed-table-stays",
        OBJECTS,
        '    wrong |= dict.fromkeys(recorded.keys() - {o.name for o in objects}, "is no longer declared")\n',
        "",
        (f"{SCOPE}::test_a_table_that_is_no_longer_ours_loses_its_triggers",),
    ),
    Mutant(
        "database-function-runs-as-whoever-calls-it",
        OBJECTS,
        "LANGUAGE plpgsql SECURITY DEFINER\n",
        "LANGUAGE plpgsql SECURITY INVOKER\n",
        (f"{SCOPE}::test_the_functions_run_as_the_owner_with_a_pinned_search_path",),
    ),
    Mutant(
        "database-function-of-a-trigger-may-be-called",
        OBJECTS,
        'return f"""{create}REVOKE ALL ON FUNCTION {function} FROM PUBLIC;\n',
        'return f"""{create}\n',
        (f"{OF_GRANTS}::test_the_triggers_cannot_be_dropped_replaced_or_called_by_the_app",),
    ),
    Mutant(
        "database-append-only-table-may-be-emptied",
        OBJECTS,
        '("update", "delete", "truncate"), is_before=True',
        '("update", "delete"), is_before=True',
        (
            "tests/audit/test_append_only.py::test_fault_15_even_its_owner_is_refused_with_a_sentence",
        ),
    ),
    Mutant(
        "database-app-writes-events-of-the-trail",
        GRANTS,
        '"audit_events": READ,',
        '"audit_events": ("SELECT", "INSERT"),',
        (f"{OF_GRANTS}::test_the_app_may_not",),
    ),
    Mutant(
        "database-old-privileges-stay",
        GRANTS,
        '        f"REVOKE ALL ON ALL TABLES IN SCHEMA public FROM {quoted}",\n',
        "",
        (f"{OF_GRANTS}::test_a_privilege_that_the_list_does_not_name_is_taken_away",),
    ),
)
