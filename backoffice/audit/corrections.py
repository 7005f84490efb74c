"""Corrections are sealed with the trail: each statement that writes some adds an event with their digests.

So verifying the chain names an edited, deleted or inserted correction, because the event is sealed.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import Connection, text

from ..database.objects import DatabaseObject

NAME = "backoffice_seal_corrections"

_DIGEST = """left(encode(sha256(convert_to(jsonb_build_array(
c.id, c.figure, c.owner, c.key, c.before, c.after, c.cause, c.reason, c.actor, c.db_user, c.run_id,
to_char(c.at AT TIME ZONE 'UTC', 'YYYYMMDDHH24MISSUS'))::text, 'UTF8')), 'hex'), 32)"""
"""The digest of a correction in an event: it depends on no setting."""

_EVENT = f"""INSERT INTO public.audit_events (table_name, row_id, action, after)
SELECT 'corrections', concat_ws('–', min(c.id), nullif(max(c.id), min(c.id))), 'INSERT',
jsonb_build_object('digests', jsonb_object_agg(c.id::text, {_DIGEST}))
FROM {{rows}} c {{which}} HAVING count(*) > 0"""

_RECORDED = """
SELECT (recorded.key)::bigint AS id, recorded.value AS digest, e.id AS event
FROM audit_events e, jsonb_each_text(e.after -> 'digests') AS recorded
WHERE e.table_name = 'corrections'
"""

_BAD = f"""
WITH recorded AS ({_RECORDED})
SELECT coalesce(recorded.id, c.id) AS id, recorded.event,
  CASE WHEN c.id IS NULL THEN 'correction removed' WHEN recorded.id IS NULL THEN 'correction added'
    ELSE 'correction changed' END AS kind
FROM recorded FULL JOIN corrections c ON c.id = recorded.id
WHERE c.id IS NULL OR recorded.id IS NULL OR recorded.digest <> {_DIGEST}
ORDER BY 1
"""

AT_ONCE = 1_000
"""Corrections per event when the existing ones are adopted."""


@dataclass(frozen=True)
class BadCorrection:
    """A correction that differs from its event, with that event."""

    id: int
    event: int | None
    kind: str


def sealing_object() -> DatabaseObject:
    """The trigger that adds the digests of new corrections to the trail."""
    event = _EVENT.format(rows="new_rows", which="")
    return DatabaseObject(
        NAME, f"\nBEGIN\n{event};\nRETURN NULL;\nEND", "corrections", ("insert",),
        new_rows="new_rows", settings=(("search_path", "pg_catalog, pg_temp"),),
    )  # fmt: skip


def adopt(connection: Connection) -> None:
    """Add the corrections written before sealing began to the trail, as they are now. Runs as the owner role."""
    listed = f"SELECT id FROM ({_RECORDED}) AS recorded"
    unreported = f"SELECT c.id FROM corrections c WHERE c.id NOT IN ({listed}) ORDER BY 1"
    ids = list(connection.scalars(text(unreported)))
    event = text(_EVENT.format(rows="corrections", which="WHERE c.id = ANY (:ids)"))
    for i in range(0, len(ids), AT_ONCE):
        connection.execute(event, {"ids": ids[i : i + AT_ONCE]})


def bad(connection: Connection) -> Iterator[BadCorrection]:
    """Corrections that were edited, deleted or inserted, by id."""
    for row in connection.execute(text(_BAD)):
        yield BadCorrection(*row)
