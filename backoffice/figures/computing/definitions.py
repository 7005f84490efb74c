"""The definitions by which a database keeps its figures, and which of them it has computed.

During a rolling upgrade, processes of both versions are at work. `db upgrade` records, with the triggers, the
definitions by which figures are kept from then on; every note records the definition by which it was written. So a
save of an older process leaves the notes that it would recompute differently to a newer one, and drains its others as
usual; before the upgrade the same holds the other way round. A process with other definitions neither verifies nor
heals.

A trigger notes only what is written after it is installed. So a figure that is new, has another definition, or lacked
its trigger is computed by the upgrade for the existing rows.
"""

import re
from collections.abc import Iterable
from functools import cache
from hashlib import sha256

from sqlalchemy import ColumnElement, Connection, delete, func, insert, select
from sqlalchemy.dialects.postgresql import insert as upsert

from ...database.objects import SchemaFingerprint
from ..errors import AnotherDefinition
from ..models import noted_bundle
from .registry import Bundle, Registry
from .relations import BETWEEN
from .statements import DIALECT, suspects

CHANGING = 0x0F16DEF
"""Key of the advisory lock that an upgrade holds while it changes definitions, and that a heal holds shared."""


_TOTAL = re.compile(r"\btotal_\d+\b")
"""The name of a sum: numbered over all declarations, so that new ones change the numbers."""


@cache
def digest(registry: Registry, bundle: Bundle) -> str:
    """A digest of the statement that compares the bundle's figures with the facts."""
    sql = suspects(registry, bundle, BETWEEN).text(DIALECT)
    return sha256(numbered(sql).encode()).hexdigest()


def numbered(sql: str) -> str:
    """The SQL with its sums renumbered in order of appearance, independent of this process's other declarations."""
    places: dict[str, int] = {}
    return _TOTAL.sub(lambda m: f"total_{places.setdefault(m[0], len(places))}", sql)


@cache
def digests(registry: Registry) -> dict[str, str]:
    """This process's definition of each bundle, by its name."""
    return {bundle.name: digest(registry, bundle) for bundle in registry.bundles}


def sync(connection: Connection, registry: Registry) -> None:
    """Make this process's definitions those by which the database keeps its figures. Runs as the database owner."""
    present, known = digests(registry), _recorded(connection, _kept(registry))
    if known == present:
        return
    connection.execute(select(func.pg_advisory_xact_lock(CHANGING)))
    group = _kept(registry)
    connection.execute(delete(SchemaFingerprint).where(SchemaFingerprint.group == group))
    rows = [
        {"group": group, "name": name, "fingerprint": definition, "drop_sql": ""}
        for name, definition in present.items()
    ]
    connection.execute(insert(SchemaFingerprint), rows)


def hold(connection: Connection) -> None:
    """Prevent changes of the definitions until this transaction ends."""
    connection.execute(select(func.pg_advisory_xact_lock_shared(CHANGING)))


def differing(connection: Connection, registry: Registry) -> frozenset[str]:
    """The bundles that the database keeps by another definition than this process's, or by none."""
    known = _recorded(connection, _kept(registry))
    return frozenset(name for name, mine in digests(registry).items() if known.get(name) != mine)


def require(connection: Connection, registry: Registry, bundles: Iterable[Bundle]) -> None:
    """Raises AnotherDefinition where the database keeps any of these by another definition."""
    if others := differing(connection, registry).intersection(bundle.name for bundle in bundles):
        raise another(registry, others)


def another(registry: Registry, names: Iterable[str]) -> AnotherDefinition:
    """The error that names the figures of these bundles."""
    others = frozenset(names)
    return AnotherDefinition(
        f.name for b in registry.bundles if b.name in others for f in b.figures
    )


def is_kept_by_ours(registry: Registry) -> ColumnElement[bool]:
    """Whether a note is of a bundle that the database keeps by this process's definition."""
    kept = select(SchemaFingerprint.name).where(
        SchemaFingerprint.group == _kept(registry),
        SchemaFingerprint.fingerprint.in_(list(digests(registry).values())),
    )
    return noted_bundle.in_(kept)


def uncomputed(connection: Connection, registry: Registry) -> list[Bundle]:
    """The bundles, in order, whose figures the database has not computed by their present definition."""
    known = _recorded(connection, _computed(registry))
    return [b for b in registry.bundles if known.get(b.name) != digest(registry, b)]


def record_computed(connection: Connection, registry: Registry, bundle: Bundle) -> None:
    """Record that the bundle's figures are computed by its present definition."""
    values = {"fingerprint": digest(registry, bundle), "drop_sql": ""}
    row = upsert(SchemaFingerprint).values(group=_computed(registry), name=bundle.name, **values)
    key = [SchemaFingerprint.group, SchemaFingerprint.name]
    connection.execute(row.on_conflict_do_update(index_elements=key, set_=values))


def forget(connection: Connection, registry: Registry, names: Iterable[str]) -> None:
    """Make the next renewal compute these bundles; also delete the records of those no longer declared."""
    computed = delete(SchemaFingerprint).where(SchemaFingerprint.group == _computed(registry))
    name = SchemaFingerprint.name
    connection.execute(computed.where(name.in_(list(names)) | name.not_in(registry.bundle_names)))


def _recorded(connection: Connection, group: str) -> dict[str, str]:
    rows = select(SchemaFingerprint.name, SchemaFingerprint.fingerprint)
    return dict(connection.execute(rows.where(SchemaFingerprint.group == group)).all())


def _computed(registry: Registry) -> str:
    return f"{registry.name} computed"


def _kept(registry: Registry) -> str:
    return f"{registry.name} defined"
