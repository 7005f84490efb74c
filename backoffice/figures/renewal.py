"""Computing figures that a database does not hold yet, or holds by an older definition.

A trigger notes what is written from now on; what was there before, nobody noted. So an upgrade
that brings a new figure, another definition of one, or a trigger that was not there, computes it
for the rows that are there.
"""

from collections.abc import Iterable, Iterator

from sqlalchemy import Connection, Engine, delete, select
from sqlalchemy.dialects.postgresql import insert

from ..database.objects import SchemaFingerprint
from ..database.proof import prove
from .definitions import digest
from .healing import HealResult, heal
from .models import FigureNote, noted_bundle
from .registry import Bundle, Registry


def renew(engine: Engine, registry: Registry) -> Iterator[tuple[Bundle, HealResult]]:
    """Heal each bundle whose definition this database has not seen; remember it when that stands.

    An interrupted renewal starts over with the bundle at which it stopped.
    """
    group = _group(registry)
    with engine.begin() as connection:
        prove(connection)
        unknown = noted_bundle.not_in(registry.bundle_names)
        connection.execute(delete(FigureNote).where(unknown))
        known = dict(
            connection.execute(
                select(SchemaFingerprint.name, SchemaFingerprint.fingerprint).where(
                    SchemaFingerprint.group == group
                )
            ).all()
        )
    for bundle in registry.bundles:
        fingerprint = digest(registry, bundle)
        if known.get(bundle.name) == fingerprint:
            continue
        result = heal(engine, registry, bundle.figures, cause="upgrade")
        yield bundle, result
        if not result.failures:
            _remember(engine, group, bundle, fingerprint)


def forget(connection: Connection, registry: Registry, names: Iterable[str]) -> None:
    """Let the next renewal compute these bundles; those that are no longer declared are forgotten too."""
    computed = delete(SchemaFingerprint).where(SchemaFingerprint.group == _group(registry))
    name = SchemaFingerprint.name
    connection.execute(computed.where(name.in_(list(names)) | name.not_in(registry.bundle_names)))


def _remember(engine: Engine, group: str, bundle: Bundle, fingerprint: str) -> None:
    row = {"group": group, "name": bundle.name, "fingerprint": fingerprint, "drop_sql": ""}
    statement = insert(SchemaFingerprint).values(row)
    key = [SchemaFingerprint.group, SchemaFingerprint.name]
    with engine.begin() as connection:
        connection.execute(
            statement.on_conflict_do_update(index_elements=key, set_={"fingerprint": fingerprint})
        )


def _group(registry: Registry) -> str:
    return f"{registry.name} computed"
