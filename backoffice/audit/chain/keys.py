"""The secrets under which the trail is sealed; without them no valid seal can be made.

A secret is never used directly; each purpose has its own derived key. So AUDIT_KEY may be a former SECRET_KEY, and a
seal's key reveals nothing about the key that signs cookies.
"""

import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any


@dataclass(frozen=True, repr=False)
class Key:
    """One secret. `name` identifies it and reveals nothing about it."""

    secret: bytes

    @cached_property
    def name(self) -> str:
        """The identifier of the key, as recorded in seals and anchors."""
        return self._derived("name").hex()[:16]

    @cached_property
    def of_events(self) -> bytes:
        """The key for the digests of single events."""
        return self._derived("events")

    @cached_property
    def of_seals(self) -> bytes:
        """The key for the digests of seals."""
        return self._derived("seals")

    @cached_property
    def of_anchors(self) -> bytes:
        """The key for the digests of anchors."""
        return self._derived("anchors")

    def _derived(self, purpose: str) -> bytes:
        return hmac.digest(self.secret, f"backoffice audit {purpose}".encode(), "sha256")


class Keyring:
    """The secrets of a deployment, newest first: the newest seals, the others only verify."""

    def __init__(self, secrets: Sequence[str]) -> None:
        """Raises ValueError without any secret."""
        self._keys = [Key(secret.encode()) for secret in secrets]
        if not self._keys:
            raise ValueError("Without a secret nothing can be sealed.")

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> "Keyring":
        """The keyring of the app's settings."""
        return cls(settings["AUDIT_KEY"])

    @property
    def newest(self) -> Key:
        """The key that seals."""
        return self._keys[0]

    def age_of(self, name: str) -> int | None:
        """How many keys are newer than the one of that name; None for an unknown key."""
        return next((age for age, key in enumerate(self._keys) if key.name == name), None)

    def key(self, age: int) -> Key:
        """The key of that age: 0 is the newest."""
        return self._keys[age]
