"""`/uploads` on a real server: accepted and refused uploads."""

import hashlib
import json
from pathlib import Path

import pytest

from tests.pictures import picture
from tests.web.serving import RunningServer, run_server
from thumbsmith.web import WebSettings


def test_an_upload_gets_thumbnails(server: RunningServer):
    """The source is stored, and the manifest describes the thumbnails on disk, which are served."""
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


def test_a_used_name_gets_a_number(server: RunningServer):
    """An upload replaces an image only with `replace`."""
    first, second = server.upload("taken/x.png", picture("#000000")), server.upload("taken/x.png", picture("#ffffff"))
    assert (first, second) == ("taken/x.png", "taken/x-2.png")
    assert (server.sources / first).read_bytes() == picture("#000000")
    assert server.upload(first, picture("#ff0000"), replace=True) == first
    assert (server.sources / first).read_bytes() == picture("#ff0000")


def test_two_uploads_with_one_name_get_two_keys(server: RunningServer):
    """Two open uploads have different keys, and a file that appears in the meantime is not replaced (409)."""
    one, two = server.request_upload("race/x.png", 5).json(), server.request_upload("race/x.png", 5).json()
    assert one["key"] != two["key"]
    (server.sources / "race").mkdir(exist_ok=True)
    (server.sources / one["key"]).write_bytes(b"theirs")
    answer = server.client.put(one["upload"]["url"], content=b"ours!", headers=one["upload"]["headers"])
    assert answer.status_code == 409
    assert (server.sources / one["key"]).read_bytes() == b"theirs"


def test_an_upload_url_works_once(server: RunningServer):
    """A second upload by the same URL, and a guessed URL, get 404."""
    data = picture()
    upload = server.request_upload("once.png", len(data)).json()["upload"]
    assert server.client.put(upload["url"], content=data, headers=upload["headers"]).status_code == 201
    assert server.client.put(upload["url"], content=data, headers=upload["headers"]).status_code == 404
    assert server.client.put("/uploads/guessed", content=data, headers=upload["headers"]).status_code == 404


def test_an_upload_url_expires(tmp_path: Path):
    """After its time the URL gets 404, and no file is written."""
    with run_server(tmp_path, WebSettings(upload_seconds=0)) as server:
        upload = server.request_upload("late.png", 3).json()["upload"]
        assert server.client.put(upload["url"], content=b"abc", headers=upload["headers"]).status_code == 404
        assert list(server.sources.iterdir()) == []


@pytest.mark.parametrize(
    ("sent", "headers", "status"),
    [
        (b"abcd", {}, 413),
        (b"ab", {}, 400),
        (b"abc", {"Content-Type": "text/html"}, 415),
        (b"abc", {"Content-Type": "image/jxl"}, 415),
        ([b"ab", b"cd"], {}, 413),
        ([b"a", b"b"], {}, 400),
    ],
)
def test_an_upload_must_have_the_granted_size_and_type(server: RunningServer, sent, headers, status):
    """Another size or type is refused, also without Content-Length, and no file remains."""
    upload = server.request_upload("bound.png", 3).json()["upload"]
    content = iter(sent) if isinstance(sent, list) else sent
    answer = server.client.put(upload["url"], content=content, headers={**upload["headers"], **headers})
    assert answer.status_code == status
    assert not (server.sources / "bound.png").exists()
    assert not [each for each in server.sources.iterdir() if each.name.startswith(".thumbsmith-")]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"name": "x.jxl", "type": "image/jxl", "bytes": 3}, 415),
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
def test_an_invalid_request_for_an_upload_is_refused(server: RunningServer, body, status):
    """A wrong type, a wrong size, and an unexpected body get a problem."""
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
def test_a_body_that_is_not_json_is_refused(server: RunningServer, content, kind, status):
    """Another media type, invalid JSON, deep nesting and a large body are refused."""
    assert server.client.post("/uploads", content=content, headers={"Content-Type": kind}).status_code == status
