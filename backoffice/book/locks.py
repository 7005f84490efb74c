"""Locked days in PostgreSQL: every write of a dated row holds a shared advisory lock on the days until COMMIT.

Locking or opening days takes the exclusive lock: it waits for such writers, and later writers wait for it.
"""

from sqlalchemy import Connection, func, select
from sqlalchemy.orm import Session

from ..base.refusals import DAYS_LOCKED
from ..database.objects import DatabaseObject

AROUND = (("search_path", "pg_catalog, pg_temp"),)
DAYS = "the days of the book"
"""The name of the lock: shared for writes of dated rows, exclusive for locking or opening days."""

HOLD = f"PERFORM pg_advisory_xact_lock_shared(hashtext('{DAYS}'));"
HOLD_ALONE = f"PERFORM pg_advisory_xact_lock(hashtext('{DAYS}'));"
LAST_DAY = "SELECT greatest(locked_until, closed_until) FROM public.book"


def refusing(condition: str) -> str:
    """The statements that raise an error if the condition holds; `last` is the last locked day."""
    return f"""{HOLD}
  last := ({LAST_DAY});
  IF {condition} THEN
    RAISE EXCEPTION 'The days up to % are locked.', last
      USING ERRCODE = 'check_violation', CONSTRAINT = '{DAYS_LOCKED}', DETAIL = last::text;
  END IF;"""


def locks(table: str, day: str) -> DatabaseObject:
    """The trigger that refuses inserts, updates and deletes on locked days in that table, whichever program writes."""
    body = f"""
DECLARE
  last date;
BEGIN
  {refusing(f"TG_OP <> 'INSERT' AND OLD.{day} <= last OR TG_OP <> 'DELETE' AND NEW.{day} <= last")}
  RETURN CASE WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END;
END """
    return DatabaseObject(
        f"backoffice_{table}_locked", body, table, ("insert", "update", "delete"), is_before=True,
        is_for_each_row=True, settings=AROUND,
    )  # fmt: skip


def hold_alone(session: Session | Connection) -> None:
    """Wait for all writers of dated rows, and block new ones until COMMIT."""
    session.execute(select(func.pg_advisory_xact_lock(func.hashtext(DAYS))))
