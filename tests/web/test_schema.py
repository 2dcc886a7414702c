"""The OpenAPI document is true: schemathesis asks what it allows, and what it does not."""

import json
from collections.abc import Iterator
from pathlib import Path
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

from tests.web.serving import Served, served, url
from thumbsmith.web import WebSettings
from thumbsmith.web.openapi import document, reference

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    negative_data_rejection,
]
# What these take is text or bytes of any kind: nothing is of another.
UNMISTAKABLE = {
    "PUT /uploads/{ticket}",
    "DELETE /images/{key}",
    "GET /renditions/{key}/{variant}",
    "HEAD /renditions/{key}/{variant}",
    "GET /recipe",
    "GET /health",
}
MODES = (schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Return a server that has every operation there is."""
    with served(tmp_path_factory.mktemp("schema"), WebSettings(signing_secret="a secret to sign with")) as running:
        yield running


def _ask_everything(server: Served, examples: int) -> int:
    """Ask every operation in both modes, half of the time about an image that is there; return the number of calls."""
    keys = [server.upload("schema/known.png"), server.upload("schema/bad.png", b"no picture")]
    calls = 0

    def ask(case: schemathesis.Case) -> None:
        nonlocal calls
        calls += 1
        if calls % 2 and "key" in (case.path_parameters or {}) and case.method != "DELETE":
            case.path_parameters["key"] = keys[calls % 3 % 2]
        case.call_and_validate(base_url=url(server.address), checks=CHECKS)

    for each in schemathesis.openapi.from_dict(document()).get_all_operations():
        operation = each.ok()
        for mode in MODES:
            if mode is MODES[1] and operation.label in UNMISTAKABLE:
                continue
            cases: Any = operation.as_strategy(generation_mode=mode)
            quiet = settings(
                max_examples=examples,
                phases=[Phase.generate],
                deadline=None,
                database=None,
                suppress_health_check=list(HealthCheck),
            )
            quiet(given(case=cases)(ask))()
    return calls


def test_the_server_does_what_its_document_says(server: Served):
    """Some hundred calls: no 5xx, only statuses, types and contents that are documented, nothing invalid accepted."""
    assert _ask_everything(server, 25) > 250


@pytest.mark.deep
def test_thousands_of_calls_find_no_fault(server: Served):
    """The same in at least 5,000 calls."""
    assert _ask_everything(server, 400) >= 5_000


def test_the_document_is_served(server: Served):
    """GET /openapi.json is the document."""
    assert server.client.get("/openapi.json").json() == json.loads(json.dumps(document()))


def test_the_reference_in_docs_is_current():
    """docs/api.md is what the document makes of it."""
    page = (Path(__file__).parents[2] / "docs" / "api.md").read_text()
    assert page.endswith(reference())
