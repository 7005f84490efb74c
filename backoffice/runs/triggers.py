"""Approvals in PostgreSQL: what was requested cannot change while it waits, and only another user approves exactly it.

The trail records both: who requested the run, who approved it, and the digest of what it changes. Whoever has only the
app's password can neither approve nor request in the name of a user: the transaction must prove that it belongs to
one of the app's processes.
"""

from ..database.objects import DatabaseObject, refusal
from ..database.proof import IS_OURS

DIGEST = "backoffice_run_digest"
"""The name of the function that returns the digest of what a run of a scope changes."""

FOR_A_USER = ("user:", "token:")
"""The beginnings of actors that stand for a user; commands and schedules are the operator."""
_FOR_A_USER = f"^({'|'.join(FOR_A_USER)})"

_AROUND = (("TimeZone", "UTC"), ("search_path", "pg_catalog, pg_temp"))

_DIGEST = """
DECLARE
  items text := '';
BEGIN
  IF scope ? 'run' THEN
    SELECT coalesce(string_agg(concat_ws('|', id, subject, owner, key, before, after), E'\\n' ORDER BY id), '')
    INTO items FROM public.run_items
    WHERE run_id = (scope ->> 'run')::bigint AND outcome = 'found';
  END IF;
  RETURN encode(sha256(convert_to(scope::text || items, 'UTF8')), 'hex');
END """

_EVENT = """INSERT INTO public.audit_events (table_name, row_id, action, actor, before, after)
  VALUES ('runs', NEW.id::text, '{action}', {actor}, {before}, {after});"""

_REQUESTED = f"""
BEGIN
  IF NEW.approved_by <> '' THEN
    {refusal("A new run is not approved yet.", "Another user approves it on its page.")}
  END IF;
  IF NEW.requested_by ~ '{_FOR_A_USER}' AND NOT public.{IS_OURS}() THEN
    {
    refusal("Only the app requests a run for a user.", "Request it on the screen, or by a command.")
}
  END IF;
  IF NEW.status = 'awaiting approval' THEN
    NEW.digest := public.{DIGEST}(NEW.scope);
    {
    _EVENT.format(
        action="INSERT",
        actor="NEW.requested_by",
        before="NULL",
        after="jsonb_build_object('kind', NEW.kind, 'requested_by', NEW.requested_by, 'digest', NEW.digest)",
    )
}
  END IF;
  RETURN NEW;
END """

_APPROVED = f"""
BEGIN
  IF (NEW.kind, NEW.scope, NEW.requested_by, NEW.digest, NEW.dry_run, NEW.follows)
      IS DISTINCT FROM (OLD.kind, OLD.scope, OLD.requested_by, OLD.digest, OLD.dry_run, OLD.follows) THEN
    {refusal("A run that needs approval is not changed.", "Cancel it and request another.")}
  END IF;
  IF NEW.approved_by = OLD.approved_by AND NEW.approved_at IS NOT DISTINCT FROM OLD.approved_at
      AND (NEW.status IN (OLD.status, 'cancelled') OR OLD.approved_by <> '') THEN
    RETURN NEW;
  END IF;
  IF NOT public.{IS_OURS}() THEN
    {refusal("Only the app approves a run.", "Another user approves it on its page.")}
  END IF;
  IF OLD.status <> 'awaiting approval' OR NEW.approved_by IN ('', OLD.requested_by) THEN
    {
    refusal(
        "A run is approved once, by another user than the one who requested it.",
        "Sign in as another user.",
    )
}
  END IF;
  IF OLD.digest <> '' AND OLD.digest <> public.{DIGEST}(OLD.scope) THEN
    {
    refusal("What was requested has changed since then.", "Cancel the run and make a new dry run.")
}
  END IF;
  {
    _EVENT.format(
        action="UPDATE",
        actor="NEW.approved_by",
        before="jsonb_build_object('approved_by', '')",
        after="jsonb_build_object('approved_by', NEW.approved_by, 'requested_by', NEW.requested_by, "
        "'digest', NEW.digest)",
    )
}
  RETURN NEW;
END """

TRIGGERS = (
    DatabaseObject(DIGEST, _DIGEST, takes="scope jsonb", answers="text", settings=_AROUND),
    DatabaseObject(
        "backoffice_runs_requested", _REQUESTED, "runs", ("insert",), is_before=True, is_for_each_row=True,
        when="((new.status = 'awaiting approval'::text) OR (new.approved_by <> ''::text) OR "
        f"(new.requested_by ~ '{_FOR_A_USER}'::text))",
        settings=_AROUND,
    ),
    DatabaseObject(
        "backoffice_runs_approved", _APPROVED, "runs", ("update",), is_before=True, is_for_each_row=True,
        when="((old.status = 'awaiting approval'::text) OR (old.digest <> ''::text) OR "
        "(new.approved_by <> old.approved_by))",
        settings=_AROUND,
    ),
)  # fmt: skip
"""What approvals need in the database. None of these triggers needs the actor or a drain."""
