"""By which definitions a database keeps its figures, and which of them it has computed.

While versions follow each other, processes of both are at work. `db upgrade` says, with the triggers, by which
definitions figures are kept from then on; every note says by which it was written. So a save of an older process
leaves the notes that it would settle otherwise to a newer one, and settles its others as ever; the same holds the
other way round before the upgrade. Whoever has other definitions neither verifies nor heals.

A trigger notes what is written from now on; what was there before, nobody noted. So a figure that is new, or has
another definition, or whose trigger was not there, is computed by the upgrade for the rows that are there.
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
"""Key of the advisory lock that an upgrade holds while it changes definitions, and whoever heals holds shared."""


_TOTAL = re.compile(r"\btotal_\d+\b")
"""What a sum is called: numbered over all declarations, of which others may be new."""


@cache
def digest(registry: Registry, bundle: Bundle) -> str:
    """A digest of the statement that asks whether the bundle's figures are right, down to the facts."""
    sql = suspects(registry, bundle, BETWEEN).text(DIALECT)
    return sha256(numbered(sql).encode()).hexdigest()


def numbered(sql: str) -> str:
    """The SQL with its sums numbered as they come, whatever else this process declares."""
    places: dict[str, int] = {}
    return _TOTAL.sub(lambda m: f"total_{places.setdefault(m[0], len(places))}", sql)


@cache
def digests(registry: Registry) -> dict[str, str]:
    """This process's definition of each bundle, by its name."""
    return {bundle.name: digest(registry, bundle) for bundle in registry.bundles}


def sync(connection: Connection, registry: Registry) -> None:
    """From now on the database keeps its figures by this process's definitions. As the owner."""
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
    """Let nobody change definitions until this transaction ends."""
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
    """The refusal that names the figures of these bundles."""
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


COMPUTED, PROVED = "computed", "proved"
"""What is remembered of a definition: that its figures were computed by it, that it was tried on rows of this book."""


def without(connection: Connection, registry: Registry, done: str) -> list[Bundle]:
    """The bundles of whose present definition that (COMPUTED, PROVED) is not remembered, in order."""
    known = _recorded(connection, f"{registry.name} {done}")
    return [b for b in registry.bundles if known.get(b.name) != digest(registry, b)]


def remember(connection: Connection, registry: Registry, bundle: Bundle, done: str) -> None:
    """That (COMPUTED, PROVED) is so of the bundle's present definition."""
    values = {"fingerprint": digest(registry, bundle), "drop_sql": ""}
    group = f"{registry.name} {done}"
    row = upsert(SchemaFingerprint).values(group=group, name=bundle.name, **values)
    key = [SchemaFingerprint.group, SchemaFingerprint.name]
    connection.execute(row.on_conflict_do_update(index_elements=key, set_=values))


def forget(connection: Connection, registry: Registry, names: Iterable[str]) -> None:
    """Let the next renewal compute these bundles; those that are no longer declared are forgotten too."""
    group = f"{registry.name} {COMPUTED}"
    computed = delete(SchemaFingerprint).where(SchemaFingerprint.group == group)
    name = SchemaFingerprint.name
    connection.execute(computed.where(name.in_(list(names)) | name.not_in(registry.bundle_names)))


def _recorded(connection: Connection, group: str) -> dict[str, str]:
    rows = select(SchemaFingerprint.name, SchemaFingerprint.fingerprint)
    return dict(connection.execute(rows.where(SchemaFingerprint.group == group)).all())


def _kept(registry: Registry) -> str:
    return f"{registry.name} defined"
