"""The API conforms to its own document, whatever is sent: tested by schemathesis, which knows only the document."""

from typing import Any

import pytest
import schemathesis
from flask import Flask
from hypothesis import HealthCheck, assume, given, settings
from hypothesis.strategies import booleans
from schemathesis.config import (
    GenerationConfig,
    ProjectConfig,
    ProjectsConfig,
    SchemathesisConfig,
)
from schemathesis.core.parameters import ParameterLocation
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import positive_data_acceptance

from backoffice.app.protection import limiter
from backoffice.people import tokens
from tests.addresses import records_called_x
from tests.depth import DEPTH, examples

pytestmark = pytest.mark.slow

CONFIG = SchemathesisConfig(
    projects=ProjectsConfig(
        default=ProjectConfig(generation=GenerationConfig(with_security_parameters=False))
    )
)
"""Whoever has no token is refused before anything else is read; the check of authentication sends without one."""


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
def test_every_operation_answers_as_the_document_says(
    app: Flask, session: Any, monkeypatch: pytest.MonkeyPatch, mode: GenerationMode
) -> None:
    monkeypatch.setattr(limiter, "enabled", False)
    records_called_x()
    session.commit()
    document = schemathesis.openapi.from_wsgi("/api/openapi.json", app, config=CONFIG)
    operations: list[Any] = list(document.get_all_operations())
    assert len(operations) == sum(len(path) for path in document.raw_schema["paths"].values())
    for found in operations:
        operation = found.ok()
        if mode is GenerationMode.POSITIVE or can_be_wrong(operation):
            try_out(session, operation, mode)


def can_be_wrong(operation: Any) -> bool:
    """Whether any request to this address does not fit the document, in which every text is a record's name."""
    raw = operation.definition.raw
    names = [p for p in raw["parameters"] if (p["in"], p["schema"]) == ("path", {"type": "string"})]
    return "requestBody" in raw or raw["parameters"] != names


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
        max_examples=examples(8), derandomize=DEPTH == 1, deadline=None, suppress_health_check=list(HealthCheck)
    )  # fmt: skip
    @given(case=operation.as_strategy(generation_mode=mode), is_stored=booleans())
    def tried(case: schemathesis.Case[Any], is_stored: bool) -> None:
        if mode is GenerationMode.POSITIVE and case.query:
            case.query.pop("after", None)  # only the API itself can make one
        if is_stored:
            name_the_stored(case)
        assume(not any(map(is_unsaid, (case.query or {}).values())))
        case.call_and_validate(
            headers={"Authorization": f"Bearer {token.secret}"},
            excluded_checks=[] if case.method == "GET" else [positive_data_acceptance],
        )

    tried()


def name_the_stored(case: schemathesis.Case[Any]) -> None:
    """Let the case read or change the record x as it was entered, wherever it does not break the document there."""
    fits = {
        place: part.mode is GenerationMode.POSITIVE for place, part in case.meta.components.items()
    }
    if fits.get(ParameterLocation.PATH):
        names = {n: "x" if isinstance(v, str) else v for n, v in case.path_parameters.items()}
        case.path_parameters = names
    if fits.get(ParameterLocation.HEADER) and "If-Match" in case.headers:
        case.headers["If-Match"] = '"1"'
