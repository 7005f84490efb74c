"""What is cleared away by itself, and what is not."""

from datetime import timedelta
from typing import Any

from flask import Flask
from sqlalchemy import func, select

from backoffice.housekeeping import KEYS_ARE_KEPT, delete_old_idempotency_keys
from backoffice.people.models import IdempotencyKey
from tests.signing_in import someone


def test_the_key_of_a_form_is_forgotten_after_a_week(app: Flask, session: Any) -> None:
    assert timedelta(days=7) == KEYS_ARE_KEPT
    user_id = someone(app, "finance")
    for name, age in {
        "young": timedelta(days=6, hours=23),
        "old": timedelta(days=7, hours=1),
    }.items():
        session.add(
            IdempotencyKey(
                user_id=user_id, action="test", key=name, body_digest="",
                created_at=func.now() - age,
            )
        )  # fmt: skip
    session.commit()
    delete_old_idempotency_keys()
    assert session.scalars(select(IdempotencyKey.key)).all() == ["young"]
