"""The secrets under which the trail is sealed: whoever lacks them cannot make a seal that holds.

A secret is never used itself; each purpose has a key of its own, derived from it. So AUDIT_KEY may be
a SECRET_KEY that was in use before, and a seal's key says nothing about what signs cookies.
"""

import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any


@dataclass(frozen=True, repr=False)
class Key:
    """One secret. `name` tells it from others, and tells nothing about it."""

    secret: bytes

    @cached_property
    def name(self) -> str:
        """What seals and anchors call the key that they were made with."""
        return self._derived("name").hex()[:16]

    @cached_property
    def of_events(self) -> bytes:
        """For the digests of single events."""
        return self._derived("events")

    @cached_property
    def of_seals(self) -> bytes:
        """For the digests of seals."""
        return self._derived("seals")

    @cached_property
    def of_anchors(self) -> bytes:
        """For the digests of anchors."""
        return self._derived("anchors")

    def _derived(self, purpose: str) -> bytes:
        return hmac.digest(self.secret, f"backoffice audit {purpose}".encode(), "sha256")


class Keyring:
    """The secrets of a deployment, the newest first: it seals, the others only verify."""

    def __init__(self, secrets: Sequence[str]) -> None:
        """Raises ValueError without any secret."""
        self._keys = [Key(secret.encode()) for secret in secrets]
        if not self._keys:
            raise ValueError("Without a secret nothing can be sealed.")

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> "Keyring":
        """Those of the app's settings."""
        return cls(settings["AUDIT_KEY"])

    @property
    def newest(self) -> Key:
        """The key that seals."""
        return self._keys[0]

    def age_of(self, name: str) -> int | None:
        """How many keys are newer than the one of that name; None of one that is not ours."""
        return next((age for age, key in enumerate(self._keys) if key.name == name), None)

    def key(self, age: int) -> Key:
        """The key that so many are newer than."""
        return self._keys[age]
