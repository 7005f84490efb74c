"""What guards the core's own tables, and the triggers by which domains keep their facts in order.

Corrections stay as they were written, and only our processes write them.

Notes are taken by whoever made them, in the same transaction; those of other transactions only by our processes.
A save takes its own alone, and pays nothing: the condition of the trigger is not met.
"""

from collections.abc import Sequence

from sqlalchemy import Connection

from . import objects
from .models import PROOF
from .objects import DatabaseObject, differences, sync_objects

GROUP = "figure guards"

IS_OURS = "backoffice_is_ours"
"""The function that says whether the transaction has proved to be one of our processes'."""

_IS_OURS = f"""
BEGIN
  RETURN EXISTS (
    SELECT 1 FROM public.process_keys AS known WHERE known.token_hash =
      encode(sha256(convert_to(coalesce(current_setting('{PROOF}', true), ''), 'UTF8')), 'hex')
  );
END"""


def _refusal(sentence: str, hint: str) -> str:
    return f"RAISE EXCEPTION '{sentence}'\n    USING ERRCODE = 'insufficient_privilege', HINT = '{hint}';"


_HINT = "If this is one of Backoffice''s own processes, make its SECRET_KEY known with: backoffice db upgrade"

_WRITE = _refusal("Corrections are written by Backoffice''s own processes only.", _HINT)
_TAKE = _refusal(
    "Notes of other transactions are taken by Backoffice''s own processes only.", _HINT
)


def append_only(table: str, what: str) -> DatabaseObject:
    """The trigger that refuses every change of what stands in a table, whoever tries."""
    refusal = _refusal(
        f"{what} append-only: % is refused.", "What was wrong is mended by a further entry."
    ).replace("refused.'", "refused.', TG_OP")
    return DatabaseObject(
        f"backoffice_append_only_{table}", f"\nBEGIN\n  {refusal}\nEND", table,
        ("update", "delete", "truncate"), is_before=True,
    )  # fmt: skip


RENEW_STATISTICS = DatabaseObject(
    "renew_statistics",
    "\nBEGIN\n    EXECUTE format('ANALYZE public.%I', wanted);\nEND ",
    settings=(("search_path", "pg_catalog, pg_temp"),), takes="wanted text", answers="void",
)  # fmt: skip
"""Only a table's owner renews its statistics; this lets the app's role ask for that, and for no more."""


def guard_objects(of_domains: Sequence[DatabaseObject]) -> Sequence[DatabaseObject]:
    """Every guard of notes and corrections, and what domains keep of their facts."""
    return (*_own(), *of_domains)


def _own() -> Sequence[DatabaseObject]:
    ours = f"public.{IS_OURS}()"
    return (
        DatabaseObject(IS_OURS, _IS_OURS),
        RENEW_STATISTICS,
        append_only("corrections", "Corrections are"),
        DatabaseObject(
            "backoffice_guard_corrections",
            f"\nBEGIN\n  IF NOT {ours} THEN\n    {_WRITE}\n  END IF;\n  RETURN NULL;\nEND",
            "corrections", ("insert",), is_before=True,
        ),
        *(
            DatabaseObject(
                f"backoffice_guard_notes_{event}",
                f"\nBEGIN\n  IF NOT {ours} THEN\n    {_TAKE}\n  END IF;\n  RETURN {row};\nEND",
                "figure_notes", (event,), is_before=True, is_for_each_row=True,
                when="(old.xid <> pg_current_xact_id())",
            )
            for event, row in (("update", "NEW"), ("delete", "OLD"))
        ),
    )  # fmt: skip


def sync(connection: Connection, of_domains: Sequence[DatabaseObject]) -> list[str]:
    """Bring the guards in step with the code; names what it changed."""
    return sync_objects(connection, GROUP, guard_objects(of_domains))


def out_of_date(connection: Connection, of_domains: Sequence[DatabaseObject]) -> dict[str, str]:
    """Guards that are not as declared, each with what is wrong."""
    return differences(connection, GROUP, guard_objects(of_domains))


def tampered(connection: Connection, of_domains: Sequence[DatabaseObject]) -> dict[str, str]:
    """Guards that somebody has changed since they were installed, each with what is wrong."""
    return objects.tampered(connection, GROUP, guard_objects(of_domains))
