"""`/uploads` on a real server: how an image comes in, and what is refused."""

import hashlib
import json
from pathlib import Path

import pytest

from tests.pictures import picture
from tests.web.serving import Served, served
from thumbsmith.web import WebSettings


def test_an_upload_becomes_thumbnails(server: Served):
    """What is uploaded lies in sources; its manifest says what lies in thumbnails; each rendition is served."""
    data = picture("#336699")
    key = server.upload("way/one.png", data)
    assert (server.sources / key).read_bytes() == data
    manifest = server.image(key).json()
    assert manifest["status"] == "ok"
    assert manifest["source"]["key"] == key
    assert {each["key"] for each in manifest["renditions"]} == {
        f"{key}/{name}" for name in ("small.webp", "small.jpg", "small.avif", "icon.webp")
    }
    for each in manifest["renditions"]:
        assert hashlib.sha256((server.thumbnails / each["key"]).read_bytes()).hexdigest() == each["sha256"]
        answer = server.client.get(f"/renditions/{each['key']}")
        assert answer.headers["content-type"] == each["type"]
        assert hashlib.sha256(answer.content).hexdigest() == each["sha256"]


def test_a_name_that_is_taken_gets_a_number(server: Served):
    """Nothing is replaced unless that is asked for."""
    first, second = server.upload("taken/x.png", picture("#000000")), server.upload("taken/x.png", picture("#ffffff"))
    assert (first, second) == ("taken/x.png", "taken/x-2.png")
    assert (server.sources / first).read_bytes() == picture("#000000")
    assert server.upload(first, picture("#ff0000"), replace=True) == first
    assert (server.sources / first).read_bytes() == picture("#ff0000")


def test_two_uploads_under_one_name_at_once_end_apart(server: Served):
    """Leave that is given twice is given for two keys, and a file that came meanwhile is not replaced."""
    one, two = server.grant("race/x.png", 5).json(), server.grant("race/x.png", 5).json()
    assert one["key"] != two["key"]
    (server.sources / "race").mkdir(exist_ok=True)
    (server.sources / one["key"]).write_bytes(b"theirs")
    answer = server.client.put(one["upload"]["url"], content=b"ours!", headers=one["upload"]["headers"])
    assert answer.status_code == 409
    assert (server.sources / one["key"]).read_bytes() == b"theirs"


def test_an_upload_url_works_once(server: Served):
    """Replay is refused."""
    data = picture()
    upload = server.grant("once.png", len(data)).json()["upload"]
    assert server.client.put(upload["url"], content=data, headers=upload["headers"]).status_code == 201
    assert server.client.put(upload["url"], content=data, headers=upload["headers"]).status_code == 404
    assert server.client.put("/uploads/guessed", content=data, headers=upload["headers"]).status_code == 404


def test_an_upload_url_runs_out(tmp_path: Path):
    """After its time it is refused, and nothing is written."""
    with served(tmp_path, WebSettings(upload_seconds=0)) as server:
        upload = server.grant("late.png", 3).json()["upload"]
        assert server.client.put(upload["url"], content=b"abc", headers=upload["headers"]).status_code == 404
        assert list(server.sources.iterdir()) == []


@pytest.mark.parametrize(
    ("sent", "headers", "status"),
    [
        (b"abcd", {}, 413),
        (b"ab", {}, 400),
        (b"abc", {"Content-Type": "text/html"}, 415),
        (b"abc", {"Content-Type": "image/svg+xml"}, 415),
        ([b"ab", b"cd"], {}, 413),
        ([b"a", b"b"], {}, 400),
    ],
)
def test_an_upload_is_what_was_asked_for(server: Served, sent, headers, status):
    """Another size or type than granted is refused, also where the size is told by the end only; nothing is left."""
    upload = server.grant("bound.png", 3).json()["upload"]
    content = iter(sent) if isinstance(sent, list) else sent
    answer = server.client.put(upload["url"], content=content, headers={**upload["headers"], **headers})
    assert answer.status_code == status
    assert not (server.sources / "bound.png").exists()
    assert not [each for each in server.sources.iterdir() if each.name.startswith(".thumbsmith-")]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"name": "x.svg", "type": "image/svg+xml", "bytes": 3}, 415),
        ({"name": "x.html", "type": "text/html", "bytes": 3}, 415),
        ({"name": "x.png", "type": "image/png", "bytes": 2_000_001}, 413),
        ({"name": "x.png", "type": "image/png", "bytes": 0}, 400),
        ({"name": "x.png", "type": "image/png", "bytes": True}, 400),
        ({"name": "x.png", "type": "image/png", "bytes": "3"}, 400),
        ({"name": 1, "type": "image/png", "bytes": 3}, 400),
        ({"name": "x.png", "bytes": 3}, 400),
        ({"name": "x.png", "type": "image/png", "bytes": 3, "more": 1}, 400),
        ({"name": "\ud800.png", "type": "image/png", "bytes": 3}, 400),
        ([], 400),
        (None, 400),
    ],
)
def test_what_cannot_be_uploaded_is_refused_before_a_byte_is_sent(server: Served, body, status):
    """Wrong type, oversize, and bodies that are not what is expected, each with a problem."""
    answer = server.client.post(
        "/uploads", content=json.dumps(body).encode(), headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == status
    assert answer.json()["detail"]


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"{}", "text/plain", 415),
        (b"{}", "application/x-www-form-urlencoded", 415),
        (b"{", "application/json", 400),
        (b"\xff", "application/json", 400),
        (b"[" * 100_000, "application/json", 400),
        (b'"' + b"x" * (300 << 10) + b'"', "application/json", 413),
    ],
)
def test_a_body_that_is_no_json_is_refused(server: Served, content, kind, status):
    """Also one that is nested without end, or too large."""
    assert server.client.post("/uploads", content=content, headers={"Content-Type": kind}).status_code == status
