"""The function by which the trail is let state what a row holds: a person has looked at it and accepted it.

Whoever may write a table may let the trail state what one of its rows holds, and nothing else: the values are read
from the row here. `before` is what the trail has said, of the same columns.
"""

from ..figures.objects import DatabaseObject

_ACCEPT = """
DECLARE
  place regclass := format('public.%I', of_table)::regclass;
  present jsonb;
  event bigint;
BEGIN
  IF NOT has_table_privilege(session_user, place, 'UPDATE') THEN
    RAISE EXCEPTION 'Only whoever may change % may state what it holds.', of_table
      USING ERRCODE = 'insufficient_privilege';
  END IF;
  IF NOT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = place
                 AND tgname = format('backoffice_audit_%s_insert', of_table)) THEN
    RAISE EXCEPTION 'The audit trail does not tell of %.', of_table USING ERRCODE = 'undefined_object';
  END IF;
  EXECUTE format(
    'SELECT (SELECT jsonb_object_agg(key, value) FROM jsonb_each(to_jsonb(r)) WHERE key = ANY ($2))'
    ' FROM %s r WHERE r.id = $1', place
  ) INTO present USING of_row, columns;
  INSERT INTO public.audit_events (table_name, row_id, action, before, after)
  VALUES (
    of_table, of_row::text,
    CASE WHEN present IS NULL THEN 'DELETE' WHEN before IS NULL THEN 'INSERT' ELSE 'UPDATE' END,
    before, present
  ) RETURNING id INTO event;
  RETURN event;
END """

ACCEPT = DatabaseObject(
    "audit_accept", _ACCEPT,
    settings=(("search_path", "pg_catalog, pg_temp"), ("TimeZone", "UTC")),
    takes="of_table text, of_row bigint, columns text[], before jsonb", answers="bigint",
)  # fmt: skip
