"""Our processes prove themselves to the database: what only they may do is refused to whoever has but its password.

The token is derived from SECRET_KEY, for this purpose alone; `db upgrade` stores its digest in a table that only
the owner reads. A transaction says the token where it needs it, as a parameter, and for that long.
"""

import hmac
from hashlib import sha256
from weakref import WeakKeyDictionary

from sqlalchemy import Connection, Engine, Text, bindparam, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Mapped, mapped_column

from ..base import Base, Id, Moment, table_of
from .objects import DatabaseObject

PROOF = "backoffice.proof"
"""The setting by which a transaction of one of our processes proves that it is one; see `prove`."""

IS_OURS = "backoffice_is_ours"
"""The function that says whether the transaction has proved to be one of our processes'."""

_IS_OURS = f"""
BEGIN
  RETURN EXISTS (
    SELECT 1 FROM public.process_keys AS known WHERE known.token_hash =
      encode(sha256(convert_to(coalesce(current_setting('{PROOF}', true), ''), 'UTF8')), 'hex')
  );
END"""


class ProcessKey(Base):
    """The digest of a key by which our processes prove themselves; only the owner reads it."""

    __tablename__ = "process_keys"

    id: Mapped[Id]
    token_hash: Mapped[str] = mapped_column(Text, unique=True)
    registered_at: Mapped[Moment]


KEYS = table_of(ProcessKey)

KEY_CHECK = DatabaseObject(IS_OURS, _IS_OURS)
"""The function, which runs as the owner and so may read the keys."""

_say = select(func.set_config(PROOF, bindparam("token", type_=Text), True))

_tokens: WeakKeyDictionary[Engine, str] = WeakKeyDictionary()
_first: list[str] = []


def set_secret(engine: Engine, secret: str) -> None:
    """Derive from the deployment's secret the token that connections of `engine` prove themselves by.

    An engine for which none is set says that of the first.
    """
    _tokens[engine] = hmac.new(secret.encode(), b"backoffice database process", sha256).hexdigest()
    _first.append(_tokens[engine])


def token(connection: Connection) -> str:
    """What a transaction on this connection says to prove itself."""
    return _tokens.get(connection.engine) or (_first[0] if _first else "")


def prove(connection: Connection) -> None:
    """Say, until the transaction ends, that it is one of ours."""
    connection.execute(_say, {"token": token(connection)})


def register(connection: Connection) -> None:
    """Let this process's key be known from now on, beside those that are known. As the owner."""
    digest = sha256(token(connection).encode()).hexdigest()
    connection.execute(
        insert(KEYS)
        .values(token_hash=digest)
        .on_conflict_do_nothing(index_elements=[KEYS.c.token_hash])
    )


def is_known(connection: Connection) -> bool:
    """Whether the database knows this process's key."""
    with connection.begin_nested():
        prove(connection)
        return bool(connection.scalar(select(func.backoffice_is_ours())))
