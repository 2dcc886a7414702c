"""The OpenAPI document is correct: schemathesis sends valid and invalid requests by it."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
)

from tests.web.serving import RunningServer, run_server, url
from thumbsmith.web import WebSettings
from thumbsmith.web.openapi import document

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    negative_data_rejection,
]
# These accept any text or bytes, so there are no invalid requests.
WITHOUT_INVALID_REQUESTS = {
    "PUT /uploads/{ticket}",
    "DELETE /images/{key}",
    "GET /renditions/{key}/{variant}",
    "HEAD /renditions/{key}/{variant}",
    "GET /recipe",
    "GET /formats",
    "GET /metrics",
    "GET /health",
}
MODES = (schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """Return a server with all operations."""
    with run_server(tmp_path_factory.mktemp("schema"), WebSettings(signing_secret="a secret to sign with")) as running:
        yield running


def _call_all_operations(server: RunningServer, examples: int) -> int:
    """Call every operation in both modes, half of the time for an existing image. Return the number of calls."""
    keys = [server.upload("schema/known.png"), server.upload("schema/bad.png", b"not an image")]
    calls = 0

    def call(case: schemathesis.Case) -> None:
        nonlocal calls
        calls += 1
        if calls % 2 and "key" in (case.path_parameters or {}) and case.method != "DELETE":
            case.path_parameters["key"] = keys[calls % 3 % 2]
        case.call_and_validate(base_url=url(server.address), checks=CHECKS)

    for each in schemathesis.openapi.from_dict(document()).get_all_operations():
        operation = each.ok()
        for mode in MODES:
            if mode is MODES[1] and operation.label in WITHOUT_INVALID_REQUESTS:
                continue
            cases: Any = operation.as_strategy(generation_mode=mode)
            quiet = settings(
                max_examples=examples,
                phases=[Phase.generate],
                deadline=None,
                database=None,
                suppress_health_check=list(HealthCheck),
            )
            quiet(given(case=cases)(call))()
    return calls


def test_the_server_agrees_with_its_document(server: RunningServer):
    """Hundreds of calls get only documented statuses, types and contents, and no invalid request is accepted."""
    assert _call_all_operations(server, 25) > 250


@pytest.mark.deep
def test_thousands_of_calls_find_no_fault(server: RunningServer):
    """The same is true for at least 5,000 calls."""
    assert _call_all_operations(server, 400) >= 5_000


def test_the_document_is_served(server: RunningServer):
    """GET /openapi.json answers with the document."""
    assert server.client.get("/openapi.json").json() == json.loads(json.dumps(document()))
