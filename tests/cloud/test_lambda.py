"""The function's real zip in a sandbox like Lambda's, of every kind, frozen between invocations."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.aws.scene import queued
from tests.cloud.bucket import event, made, put
from tests.cloud.restrictions import KINDS
from tests.cloud.sandbox import HANDLER, Sandbox, sandbox, why_no_sandbox
from tests.faults.proxy import Proxy, running
from tests.pictures import picture
from tests.servers.fixtures import needs_servers
from tests.worker.test_isolation import WITHOUT_FILTER
from thumbsmith import Recipe, render

REASON = why_no_sandbox()
pytestmark = [needs_servers, pytest.mark.skipif(bool(REASON), reason=str(REASON))]

MEGABYTES = 1769
GOOD = {
    "a.jpg": picture("#204060"),
    "b.png": picture("#20406080", kind="png"),
    "c.webp": picture("#406020", kind="webp", lossless=True),
    "d.gif": picture("#602040", kind="gif"),
    "e.avif": picture("#c0a080", kind="avif"),
    "Été 1+2.jpg": picture("#112233"),
    "large.jpg": picture("#abcdef", (1600, 1200)),
}
BAD = {"cut.jpg": (picture("#223344", (600, 400))[:700], {"corrupt", "truncated"}), "empty.jpg": (b"", {"empty"})}


@pytest.fixture(params=KINDS)
def function(
    request: pytest.FixtureRequest, code: Path, environment: dict[str, str], tmp_path: Path
) -> Iterator[Sandbox]:
    """Give the function in a sandbox of each kind, with an empty destination."""
    with sandbox(code, HANDLER, MEGABYTES, scoped(environment, tmp_path), tmp_path / "log", request.param) as started:
        yield started


def scoped(environment: dict[str, str], folder: Path) -> dict[str, str]:
    """Return the variables of a function with a destination of its own."""
    return environment | {"THUMBSMITH_DESTINATION": environment["THUMBSMITH_DESTINATION"] + f"{folder.name}/"}


def test_a_batch_of_nine_is_right(function: Sandbox, environment: dict[str, str], tmp_path: Path):
    """Of nine messages, seven make the same thumbnails as rendered here, and two record rejections."""
    for key, data in (GOOD | {key: data for key, (data, _) in BAD.items()}).items():
        put(environment, key, data)
    answer, _ = function.invoke(queued(*(event(key) for key in [*GOOD, *BAD])))
    assert answer == {"batchItemFailures": []}
    for key, data in GOOD.items():
        found = made(environment, f"{tmp_path.name}/{key}")
        assert json.loads(found.pop("manifest.json"))["status"] == "ok"
        expected = render(data, Recipe.default())
        assert found == {f"{each.variant}.{each.format.extension}": each.data for each in expected}, key
    for key, (_, codes) in BAD.items():
        found = made(environment, f"{tmp_path.name}/{key}")
        assert json.loads(found.pop("manifest.json"))["rejection"]["code"] in codes
        assert found == {}
    assert function.starts == 1
    (line,) = [line for line in function.log.read_text().splitlines() if '"event": "isolation"' in line]
    fields = json.loads(line)
    assert set(fields["layers"]) >= WITHOUT_FILTER
    assert {"programs", "processes", "signals", "names"} <= set(fields["open"])


def test_required_isolation_fails_the_invocation(code: Path, environment: dict[str, str], tmp_path: Path):
    """With THUMBSMITH_ISOLATION=required the function makes nothing here, and names the missing layer."""
    variables = scoped(environment, tmp_path) | {"THUMBSMITH_ISOLATION": "required"}
    put(environment, "required.jpg", picture("#123456"))
    with sandbox(code, HANDLER, MEGABYTES, variables, tmp_path / "log", "refuses") as function:
        answer, _ = function.invoke(queued(event("required.jpg")))
    assert answer["errorType"] == "NotIsolated"  # an invocation that fails: its messages become visible again
    assert "does not block starting programs" in answer["errorMessage"]
    assert made(environment, f"{tmp_path.name}/required.jpg") == {}


def test_a_frozen_function_continues(code: Path, environment: dict[str, str], tmp_path: Path):
    """After a freeze, with all connections closed by S3, the same processes handle the next event."""
    with running(Proxy(environment["AWS_ENDPOINT_URL"])) as proxy:
        variables = scoped(environment, tmp_path) | {"AWS_ENDPOINT_URL": proxy.address}
        with sandbox(code, HANDLER, MEGABYTES, variables, tmp_path / "log") as function:
            processes: list[list[int]] = []
            for number, key in enumerate(("first.jpg", "second.jpg", "third.jpg")):
                put(environment, key, picture(f"#{number}01020"))
                assert proxy.connections or not number  # some are persistent, and will be closed
                proxy.drop()
                answer, _ = function.invoke(queued(event(key)))
                assert answer == {"batchItemFailures": []}
                assert "manifest.json" in made(environment, f"{tmp_path.name}/{key}")
                processes.append(function.processes)
            assert processes[0] == processes[1] == processes[2]
            assert function.starts == 1
