"""Passwords: the rules they must meet, and their argon2 hashes."""

from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from ..base import N_
from ..base.refusals import Refusal

SHORTEST = 10
LONGEST = 200
"""The longest password allowed, because hashing time grows with length."""

# fmt: off
_TOO_COMMON = frozenset({
    "1234567890", "12345678910", "123456789012", "0123456789", "1111111111", "0000000000",
    "abcdefghij", "qwertyuiop", "asdfghjkl;", "1q2w3e4r5t", "q1w2e3r4t5", "1qaz2wsx3edc",
    "qazwsxedcrfv", "password12", "password123", "password1234", "password12345", "passw0rd123",
    "p@ssw0rd123", "p@ssword123", "administrator", "administrator1", "admin12345", "admin123456",
    "welcome123", "welcome1234", "letmein123", "iloveyou12", "iloveyou123", "changeme123",
    "changeme1234", "finance123", "finance1234", "backoffice", "backoffice1", "backoffice123",
    "qwerty12345", "qwerty123456", "monkey12345", "dragon12345", "sunshine123", "princess123",
    "football123", "baseball123", "superman123", "trustno1234", "rahasia123", "rahasia1234",
    "indonesia123", "indonesia45", "merdeka1945", "sayang12345", "bismillah123", "jakarta123",
})
# fmt: on
"""Passwords of allowed length that attackers try first."""

# OWASP's first choice for argon2id: 19 MiB, 2 passes, 1 lane. Many people may sign in at once.
_hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)


class PasswordTooShort(Refusal):
    """Fewer characters than `SHORTEST`."""

    sentence = N_("Choose a password of at least %(shortest)s characters.")


class PasswordTooLong(Refusal):
    """More characters than `LONGEST`."""

    sentence = N_("Choose a password of at most %(longest)s characters.")


class PasswordTooCommon(Refusal):
    """One of the passwords that attackers try first."""

    sentence = N_("This password is among the first that anybody would guess. Choose another one.")


def check_is_good_enough(password: str, *, about: tuple[str, ...] = ()) -> None:
    """Raise a Refusal unless `password` is acceptable for the user described by the words of `about`."""
    if len(password) < SHORTEST:
        raise PasswordTooShort(shortest=SHORTEST)
    if len(password) > LONGEST:
        raise PasswordTooLong(longest=LONGEST)
    plain = password.casefold()
    if plain in _TOO_COMMON or plain in {word.casefold() for word in about} or len(set(plain)) < 4:
        raise PasswordTooCommon()


def hashed(password: str) -> str:
    """The argon2id hash of `password`."""
    return _hasher.hash(password)


def matches(password_hash: str, password: str) -> bool:
    """Whether `password` matches `password_hash`.

    Takes equally long without a hash, so that the time does not reveal whether an address is registered.
    """
    if len(password) > LONGEST:
        return False
    try:
        _hasher.verify(password_hash or _unassigned(), password)
    except (VerificationError, InvalidHashError):
        return False
    return bool(password_hash)


def is_outdated(password_hash: str) -> bool:
    """Whether the hash was made with other parameters than the current ones."""
    return _hasher.check_needs_rehash(password_hash)


@cache
def _unassigned() -> str:
    return _hasher.hash("nobody has this password")
