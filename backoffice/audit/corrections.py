"""Corrections are sealed with the trail: each statement that writes some leaves an event with their digests.

So an edited, deleted or inserted correction is named by whoever verifies the chain, for the event is sealed.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import Connection, text

from ..database.objects import DatabaseObject

NAME = "backoffice_seal_corrections"

_DIGEST = """left(encode(sha256(convert_to(jsonb_build_array(
c.id, c.figure, c.owner, c.key, c.before, c.after, c.cause, c.reason, c.actor, c.db_user, c.run_id,
to_char(c.at AT TIME ZONE 'UTC', 'YYYYMMDDHH24MISSUS'))::text, 'UTF8')), 'hex'), 32)"""
"""What an event keeps of a correction: it depends on no setting."""

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
"""Corrections of one event, where those that were there before are taken in."""


@dataclass(frozen=True)
class BadCorrection:
    """A correction that is not what the trail says of it, and the event that does."""

    id: int
    event: int | None
    kind: str


def sealing_object() -> DatabaseObject:
    """The trigger that puts the digests of new corrections into the trail."""
    event = _EVENT.format(rows="new_rows", which="")
    return DatabaseObject(
        NAME, f"\nBEGIN\n{event};\nRETURN NULL;\nEND", "corrections", ("insert",),
        new_rows="new_rows", settings=(("search_path", "pg_catalog, pg_temp"),),
    )  # fmt: skip


def adopt(connection: Connection) -> None:
    """Put into the trail what was written before corrections were sealed, as it stands now. As the owner."""
    listed = f"SELECT id FROM ({_RECORDED}) AS recorded"
    unreported = f"SELECT c.id FROM corrections c WHERE c.id NOT IN ({listed}) ORDER BY 1"
    ids = list(connection.scalars(text(unreported)))
    event = text(_EVENT.format(rows="corrections", which="WHERE c.id = ANY (:ids)"))
    for i in range(0, len(ids), AT_ONCE):
        connection.execute(event, {"ids": ids[i : i + AT_ONCE]})


def bad(connection: Connection) -> Iterator[BadCorrection]:
    """Corrections that were edited, deleted or put in, by their ids."""
    for row in connection.execute(text(_BAD)):
        yield BadCorrection(*row)
