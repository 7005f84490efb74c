"""Our processes prove themselves to the database: what only they may do is refused to whoever has but its password.

The token is derived from SECRET_KEY, for this purpose alone; `db upgrade` stores its digest in a table that only
the owner reads. A transaction says the token where it needs it, as a parameter, and for that long.
"""

import hmac
from hashlib import sha256
from weakref import WeakKeyDictionary

from sqlalchemy import Connection, Engine, Text, bindparam, func, select
from sqlalchemy.dialects.postgresql import insert

from ..base import table_of
from .models import PROOF, ProcessKey
from .statements import Statement

KEYS = table_of(ProcessKey)

_say = Statement(select(func.set_config(PROOF, bindparam("token", type_=Text), True)))

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
    _say.run(connection, token=token(connection))


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
