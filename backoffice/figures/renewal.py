"""Computing figures that a database does not hold yet, or holds by an older definition.

A trigger notes what is written from now on; what was there before, nobody noted. So an upgrade
that brings a new figure, or another definition of one, computes it for the rows that are there.
"""

from collections.abc import Iterator
from hashlib import sha256

from sqlalchemy import Engine, delete, insert, select

from .healing import HealResult, heal
from .models import SchemaFingerprint
from .registry import Bundle, Registry
from .relations import BETWEEN
from .statements import suspects


def renew(engine: Engine, registry: Registry) -> Iterator[tuple[Bundle, HealResult]]:
    """Heal each bundle whose definition this database has not seen; remember it when that stands.

    An interrupted renewal starts over with the bundle at which it stopped.
    """
    group = f"{registry.name} computed"
    with engine.connect() as connection:
        known = dict(
            connection.execute(
                select(SchemaFingerprint.name, SchemaFingerprint.fingerprint).where(
                    SchemaFingerprint.group == group
                )
            ).all()
        )
    for bundle in registry.bundles:
        fingerprint = _fingerprint(engine, registry, bundle)
        if known.get(bundle.name) == fingerprint:
            continue
        result = heal(engine, registry, bundle.figures, cause="upgrade")
        yield bundle, result
        if result.failures:
            continue
        row = {"group": group, "name": bundle.name, "fingerprint": fingerprint, "drop_sql": ""}
        with engine.begin() as connection:
            connection.execute(delete(SchemaFingerprint).filter_by(group=group, name=bundle.name))
            connection.execute(insert(SchemaFingerprint).values(row))


def _fingerprint(engine: Engine, registry: Registry, bundle: Bundle) -> str:
    """A digest of the statement that asks whether the bundle's figures are right."""
    return sha256(suspects(registry, bundle, BETWEEN).text(engine).encode()).hexdigest()
