"""How PostgreSQL keeps the days that are locked: whoever writes something dated holds them as they are until COMMIT.

Whoever locks or opens days waits for those who write, and those who come meanwhile wait for that.
"""

from sqlalchemy import Connection, func, select
from sqlalchemy.orm import Session

from ..base.refusals import DAYS_LOCKED
from ..database.objects import DatabaseObject

AROUND = (("search_path", "pg_catalog, pg_temp"),)
DAYS = "the days of the book"
"""The name of the lock: shared by whoever writes something dated, alone with whoever locks or opens days."""

HOLD = f"PERFORM pg_advisory_xact_lock_shared(hashtext('{DAYS}'));"
HOLD_ALONE = f"PERFORM pg_advisory_xact_lock(hashtext('{DAYS}'));"
LAST_DAY = "SELECT greatest(locked_until, closed_until) FROM public.book"


def refusing(condition: str) -> str:
    """The statements that refuse where the condition holds of `last`, the last day that is locked."""
    return f"""{HOLD}
  last := ({LAST_DAY});
  IF {condition} THEN
    RAISE EXCEPTION 'The days up to % are locked.', last
      USING ERRCODE = 'check_violation', CONSTRAINT = '{DAYS_LOCKED}', DETAIL = last::text;
  END IF;"""


def locks(table: str, day: str) -> DatabaseObject:
    """Nothing of a locked day comes, goes or changes in that table, whoever writes."""
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
    """Wait for whoever writes something dated, and let nobody else until COMMIT."""
    session.execute(select(func.pg_advisory_xact_lock(func.hashtext(DAYS))))
