"""The book of tests/drift: three orders, two of which a user wrote past every trigger."""

from tests.drift.conftest import orders, wrong

__all__ = ["orders", "wrong"]
