"""The API conforms to its own document, whatever is sent: tested by schemathesis, which knows only the document."""

from typing import Any

import pytest
import schemathesis
from flask import Flask
from hypothesis import HealthCheck, assume, given, settings
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import positive_data_acceptance

from backoffice.app.protection import limiter
from backoffice.people import tokens
from tests.addresses import records_called_x
from tests.depth import DEPTH, examples

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
def test_every_operation_answers_as_the_document_says(
    app: Flask, session: Any, monkeypatch: pytest.MonkeyPatch, mode: GenerationMode
) -> None:
    monkeypatch.setattr(limiter, "enabled", False)
    records_called_x()
    session.commit()
    document = schemathesis.openapi.from_wsgi("/api/openapi.json", app)
    operations: list[Any] = list(document.get_all_operations())
    assert len(operations) == sum(len(path) for path in document.raw_schema["paths"].values())
    for found in operations:
        try_out(session, found.ok(), mode)


def is_unsaid(value: Any) -> bool:
    """Whether no address can contain it: an empty list or object, which is invalid and would be left out."""
    inside = value.values() if isinstance(value, dict) else value
    return isinstance(value, dict | list) and all(map(is_unsaid, inside))


def try_out(session: Any, operation: Any, mode: GenerationMode) -> None:
    """What fits the document is accepted, what does not is refused, and every answer has a documented shape.

    Of a body that fits, no schema can say that its code is free and keeps the record's laws: 422 is an answer too.
    """
    said = operation.definition.raw.get("security", [{}])[0].get("token")
    [scope] = said or [f"{operation.path.split('/')[2]}:write"]
    token = tokens.create(session, name=operation.label, scope=scope, expires_at=None)
    session.commit()

    # A build tries the same each time; TEST_DEPTH looks further, at random.
    @settings(
        max_examples=examples(25), derandomize=DEPTH == 1, deadline=None, suppress_health_check=list(HealthCheck)
    )  # fmt: skip
    @given(case=operation.as_strategy(generation_mode=mode))
    def tried(case: schemathesis.Case[Any]) -> None:
        if mode is GenerationMode.POSITIVE and case.query:
            case.query.pop("after", None)  # only the API itself can make one
        assume(not any(map(is_unsaid, (case.query or {}).values())))
        case.call_and_validate(
            headers={"Authorization": f"Bearer {token.secret}"},
            excluded_checks=[] if case.method == "GET" else [positive_data_acceptance],
        )

    tried()
