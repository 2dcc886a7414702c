"""Traces: each image is a subsegment with its stages, sent to a daemon that may not be there."""

import json
import socket
from collections.abc import Iterator

import pytest

from tests.aws.scene import Scene, failed, notification, queued

SAMPLED = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"


@pytest.fixture
def daemon(monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """Listen where the function sends its traces."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listening:
        listening.bind(("127.0.0.1", 0))
        listening.settimeout(10)
        monkeypatch.setenv("AWS_XRAY_DAEMON_ADDRESS", f"127.0.0.1:{listening.getsockname()[1]}")
        yield listening


def test_each_image_is_in_the_trace(scene: Scene, daemon: socket.socket, monkeypatch: pytest.MonkeyPatch):
    """A picture and a rejected file are two subsegments of the invocation's segment, with their stages in order."""
    monkeypatch.setenv("_X_AMZN_TRACE_ID", SAMPLED)
    scene.upload("a.jpg")
    scene.upload("bad.jpg", data=b"no picture")
    assert failed(scene.call(queued(notification("a.jpg"), notification("bad.jpg")))) == []
    found = {}
    for _ in range(2):
        header, document = daemon.recv(65_536).split(b"\n")
        assert json.loads(header) == {"format": "json", "version": 1}
        segment = json.loads(document)
        found[segment["metadata"]["thumbsmith"]["key"]] = segment
    assert {key: each["annotations"]["outcome"] for key, each in found.items()} == {
        "a.jpg": "made",
        "bad.jpg": "rejected",
    }
    made = found["a.jpg"]
    assert (made["trace_id"], made["parent_id"]) == ("1-5759e988-bd862e3fe1be46a994272793", "53995c3f42cd8ad8")
    assert [each["name"] for each in made["subsegments"]] == ["look", "render", "store"]
    times = [made["start_time"], *(each["end_time"] for each in made["subsegments"])]
    assert times == sorted(times)
    assert times[-1] == pytest.approx(made["end_time"], abs=0.05)
    assert made["fault"] is False


@pytest.mark.parametrize("header", ["", SAMPLED.replace("=1;", "=0;").replace("Sampled=1", "Sampled=0"), "nonsense"])
def test_what_is_not_sampled_is_not_sent(
    scene: Scene, daemon: socket.socket, monkeypatch: pytest.MonkeyPatch, header: str
):
    """Without a trace, or for one that is not sampled, nothing is sent."""
    monkeypatch.setenv("_X_AMZN_TRACE_ID", header)
    scene.upload("a.jpg")
    scene.call(queued(notification("a.jpg")))
    daemon.setblocking(False)
    with pytest.raises(BlockingIOError):
        daemon.recv(65_536)


@pytest.mark.parametrize("address", ["", "127.0.0.1:1", "nowhere", "256.0.0.1:2000", "127.0.0.1:99999"])
def test_a_trace_that_cannot_be_sent_breaks_nothing(scene: Scene, monkeypatch: pytest.MonkeyPatch, address: str):
    """Without a daemon, or with an address that is wrong, the picture is made."""
    monkeypatch.setenv("_X_AMZN_TRACE_ID", SAMPLED)
    monkeypatch.setenv("AWS_XRAY_DAEMON_ADDRESS", address)
    scene.upload("a.jpg")
    assert failed(scene.call(queued(notification("a.jpg")))) == []
    assert scene.complete_keys() == {"a.jpg"}
