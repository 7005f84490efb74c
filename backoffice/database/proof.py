"""The app's processes authenticate to the database: what only they may do needs more than its password.

The token is derived from SECRET_KEY, for this purpose alone; `db upgrade` stores its digest in a table that only
the owner reads. A transaction passes the token only where it is needed, as a parameter, until its end.
"""

import hmac
from hashlib import sha256
from weakref import WeakKeyDictionary

from sqlalchemy import ColumnElement, Connection, Engine, Text, bindparam, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Mapped, mapped_column

from ..base import Base, Id, Moment, table_of
from .objects import DatabaseObject

PROOF = "backoffice.proof"
"""The setting that holds the token of the transaction; see `prove`."""

IS_OURS = "backoffice_is_ours"
"""The name of the function that returns whether the transaction belongs to one of this app's processes."""

_IS_OURS = f"""
BEGIN
  RETURN EXISTS (
    SELECT 1 FROM public.process_keys AS known WHERE known.token_hash =
      encode(sha256(convert_to(coalesce(current_setting('{PROOF}', true), ''), 'UTF8')), 'hex')
  );
END"""


class ProcessKey(Base):
    """The digest of a key by which the app's processes authenticate; only the owner reads it."""

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
    """Derive from the deployment's secret the token that connections of `engine` authenticate with.

    An engine without one uses the token of the first engine.
    """
    _tokens[engine] = hmac.new(secret.encode(), b"backoffice database process", sha256).hexdigest()
    _first.append(_tokens[engine])


def token(connection: Connection) -> str:
    """The token that a transaction on this connection authenticates with."""
    return _tokens.get(connection.engine) or (_first[0] if _first else "")


def prove(connection: Connection) -> None:
    """Authenticate the transaction as one of this app's, until it ends."""
    connection.execute(_say, {"token": token(connection)})


def proven() -> ColumnElement[bool]:
    """A condition that authenticates the transaction within a statement; its parameter `token` is `token(…)`."""
    said = select(func.set_config(PROOF, bindparam("token", type_=Text), True))
    return said.scalar_subquery().is_not(None)


def register(connection: Connection) -> None:
    """Register this process's key, beside those that are registered. Requires the owner's connection."""
    digest = sha256(token(connection).encode()).hexdigest()
    connection.execute(
        insert(KEYS)
        .values(token_hash=digest)
        .on_conflict_do_nothing(index_elements=[KEYS.c.token_hash])
    )


def is_known(connection: Connection) -> bool:
    """Whether this process's key is registered in the database."""
    with connection.begin_nested():
        prove(connection)
        return bool(connection.scalar(select(func.backoffice_is_ours())))
