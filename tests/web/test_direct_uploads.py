"""Uploads in one request: `PUT /images/{key}` and `POST /images`, also as curl sends them."""

import json
import os
import shutil
import socket
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import ClassVar

import httpx
import pytest

from tests.pictures import picture
from tests.web.serving import RunningServer, run_application, url
from thumbsmith import Recipe
from thumbsmith.bulk.scan import Scope
from thumbsmith.store import Headers
from thumbsmith.store.memory import MemoryStore
from thumbsmith.web import direct_uploads

JPEG = {"Content-Type": "image/jpeg"}


def _leftovers(server: RunningServer, name: str) -> list[Path]:
    """Return the files of an upload that was not completed."""
    return [each for each in server.sources.iterdir() if each.name.startswith((".thumbsmith-", name))]


def test_a_picture_is_stored_with_its_manifest(server: RunningServer):
    """With `wait` the answer is 201 with the manifest, as GET answers; without, it is 202. The file is unchanged."""
    data = picture("#224466")
    answer = server.client.put("/images/put/a%20b.jpg?wait=30", content=data, headers=JPEG)
    assert answer.status_code == 201
    assert answer.headers["location"] == "/images/put/a%20b.jpg"
    assert (server.sources / "put" / "a b.jpg").read_bytes() == data
    known = server.image("put/a b.jpg")
    assert (answer.json(), answer.headers["etag"]) == (known.json(), known.headers["etag"])
    later = server.client.put("/images/put/later.jpg", content=data, headers=JPEG)
    assert (later.status_code, later.json()["status"]) == (202, "making")
    assert later.headers["retry-after"]
    assert server.image("put/later.jpg", "?wait=30").status_code == 200


def test_a_taken_name_is_refused(server: RunningServer):
    """409 without `replace`, and the stored image stays; with it the new image replaces the old one."""
    old, new = picture("#000000"), picture("#ffffff")
    path = "/images/taken.jpg?wait=30"
    assert server.client.put(path, content=old, headers=JPEG).status_code == 201
    for content in (new, old):
        refused = server.client.put(path, content=content, headers=JPEG)
        assert (refused.status_code, refused.json()["code"]) == (409, "conflict")
        assert (server.sources / "taken.jpg").read_bytes() == old
    assert server.client.put(f"{path}&replace=false", content=new, headers=JPEG).status_code == 409
    replaced = server.client.put(f"{path}&replace=true", content=new, headers=JPEG)
    assert replaced.status_code == 201
    assert replaced.json()["placeholder"]["color"] == "#ffffff"
    assert (server.sources / "taken.jpg").read_bytes() == new


def test_a_rejected_picture_is_stored_and_explained(server: RunningServer):
    """A file that claims to be an image gets 422 with the rejection, as GET answers."""
    answer = server.client.put("/images/rejected.jpg?wait=30", content=b"no picture", headers=JPEG)
    assert (answer.status_code, answer.json()["code"]) == (422, "unsupported_format")
    assert answer.headers["location"] == "/images/rejected.jpg"
    assert server.image("rejected.jpg").status_code == 422


@pytest.mark.parametrize(
    ("kind", "content", "status"),
    [
        ("image/jpeg", None, 202),
        ("IMAGE/JPEG", None, 202),
        ("image/jpeg; charset=binary", None, 202),
        ('Image/Jpeg ;name="a;b.jpg" ; q=1', None, 202),
        ("image/jpeg;", None, 202),
        ("", None, 202),
        (None, None, 202),
        ("application/octet-stream", None, 202),
        ("Application/Octet-Stream; x=y", None, 202),
        ("image/jpg", None, 202),
        ("image/x-png", None, 202),
        ("image/jpg", b"plain words", 415),
        ("application/x-www-form-urlencoded", None, 415),
        ("application/octet-stream", b"\xff\x0a a JPEG XL picture", 415),
        ("", b"plain words", 415),
        (None, b"%!PS-Adobe-3.0\n", 415),
        ("application/octet-stream", b"x" * 1_900_000, 415),
        ("text/html", None, 415),
        ("image/jxl", None, 415),
        ("image", None, 415),
        ("image/jpeg, image/png", None, 415),
        ("image/jpegx", None, 415),
    ],
)
def test_the_media_type_is_that_of_http(server: RunningServer, kind, content, status):
    """Case and parameters do not matter (RFC 9110). If the type is missing or says nothing, the content decides."""
    name = f"type-{time.monotonic_ns()}.jpg"
    request = server.client.build_request("PUT", f"/images/{name}", content=content or picture())
    if kind is not None:
        request.headers["Content-Type"] = kind
    answer = server.client.send(request)
    assert answer.status_code == status, answer.text
    assert (server.sources / name).exists() == (status == 202)
    granted = server.request_upload(name, 10, kind or "")
    assert granted.status_code == (415 if status == 415 and content is None else 201)


@pytest.mark.parametrize(
    ("query", "content", "status"),
    [
        ("", b"", 400),
        ("", b"x" * 2_000_001, 413),
        ("", [b"x" * 1_000_000] * 3, 413),
        ("?wait=x", b"x", 400),
        ("?replace=yes", b"x", 400),
    ],
)
def test_an_invalid_upload_is_refused(server: RunningServer, query, content, status):
    """An empty body, one that is too large, with or without its length, and an invalid query leave nothing."""
    body = iter(content) if isinstance(content, list) else content
    answer = server.client.put(f"/images/bound.jpg{query}", content=body, headers=JPEG)
    assert answer.status_code == status
    assert answer.json()["detail"]
    assert not _leftovers(server, "bound")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Content-Range": "bytes 10-20/21"}, 400),
        ({"Content-Encoding": "gzip"}, 415),
        ({"Content-Encoding": "Identity"}, 202),
    ],
)
def test_a_part_of_a_file_is_refused(server: RunningServer, headers: dict[str, str], status: int):
    """A resumed upload (`curl -C`) would replace the file by its end, and a coded body is not the file."""
    path = f"/images/part-{status}.jpg"
    answer = server.client.put(path, content=picture(), headers={**JPEG, **headers})
    assert answer.status_code == status
    assert (server.sources / f"part-{status}.jpg").exists() == (status == 202)


@pytest.mark.parametrize("path", ["..%2Fx.jpg", ".hidden.jpg", "a/.b/c.jpg", "%2Fabs.jpg", "a%00b.jpg", "a%2F"])
def test_an_invalid_name_is_refused(server: RunningServer, path: str):
    """Names outside the folder, of hidden files and of folders get 422."""
    answer = server.client.put(f"/images/{path}", content=picture(), headers=JPEG)
    assert (answer.status_code, answer.json()["code"]) == (422, "unsupported_key")
    assert not (server.folder / "x.jpg").exists()


@pytest.mark.parametrize("method", ["PUT", "ticket", "POST"])
def test_an_interrupted_upload_can_be_repeated(server: RunningServer, method: str):
    """If the connection breaks, nothing is stored, and the same request succeeds afterwards."""
    data, name = picture(), f"broken-{method}.jpg"
    body, kind, path, verb = data, "image/jpeg", f"/images/{name}", "PUT"
    if method == "ticket":
        path = server.request_upload(name, len(data), "image/jpeg").json()["upload"]["url"]
    if method == "POST":
        part = f'--b\r\nContent-Disposition: form-data; name="f"; filename="{name}"\r\nContent-Type: image/jpeg\r\n\r\n'
        body, kind, path, verb = (
            part.encode() + data + b"\r\n--b--\r\n",
            "multipart/form-data; boundary=b",
            "/images",
            "POST",
        )
    head = f"{verb} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
    with socket.create_connection(server.address, timeout=30) as connection:
        connection.sendall(head.encode() + body[: len(body) // 2])
        time.sleep(0.2)
    end = time.monotonic() + 30
    while _leftovers(server, name):
        assert time.monotonic() < end
    while True:  # the server may still be closing the first request
        answer = server.client.request(verb, path, content=body, headers={"Content-Type": kind})
        if answer.status_code != 404:
            break
        assert time.monotonic() < end
    assert answer.status_code in {201, 202}, answer.text
    assert (server.sources / name).read_bytes() == data


def _form(*files: tuple[str, bytes, str]) -> list[tuple[str, tuple[str, bytes, str]]]:
    return [("file", each) for each in files]


def test_a_form_with_one_file_is_answered_as_a_put(server: RunningServer):
    """201 with the manifest, 409 for a taken name, 422 for a rejected file; the file name is the key."""
    data = picture("#123456")
    answer = server.client.post("/images?wait=30", files=_form(("one é.jpg", data, "image/jpeg")))
    assert (answer.status_code, answer.json()["source"]["key"]) == (201, "one é.jpg")
    assert (server.sources / "one é.jpg").read_bytes() == data
    again = server.client.post("/images?wait=30", files=_form(("one é.jpg", data, "image/jpeg")))
    assert again.status_code == 409
    bad = server.client.post("/images?wait=30", files=_form(("words.jpg", b"words", "image/jpeg")))
    assert bad.status_code == 422
    assert server.client.post("/images", files=_form(("two.jpg", data, ""))).status_code == 202


def test_each_file_of_a_form_has_its_result(server: RunningServer):
    """Fifty files with a broken, a large, a taken, a twin and an unknown one: 207, and every other one is made."""
    server.upload("many/taken.jpg")
    good = [(f"{number:02}.jpg", picture(f"#0000{number:02}"), "image/jpeg") for number in range(45)]
    others = [
        ("broken.jpg", b"broken", "image/jpeg", 422),
        ("large.jpg", b"\xff\xd8\xff" + os.urandom(2_000_000), "image/jpeg", 413),
        ("taken.jpg", picture(), "image/jpeg", 409),
        ("00.jpg", picture("#ffffff"), "image/jpeg", 409),
        ("words.txt", b"words", "text/plain", 415),
    ]
    files = [*good[:20], *(each[:3] for each in others), *good[20:]]
    answer = server.client.post("/images?wait=60&prefix=many/", files=_form(*files))
    assert answer.status_code == 207
    found = [(each["key"], each["status"]) for each in answer.json()["images"]]
    expected = [(f"many/{name}", 201) for name, _, _ in good]
    expected[20:20] = [(f"many/{each[0]}", each[3]) for each in others]
    assert found == expected
    for each in answer.json()["images"]:
        assert each["manifest" if each["status"] == 201 else "problem"]["status"] in {"ok", each["status"]}
    for name, data, _ in good:
        assert (server.sources / "many" / name).read_bytes() == data
    made = server.client.post("/images?wait=60&prefix=more/", files=_form(*good[:3]))
    assert (made.status_code, [each["status"] for each in made.json()["images"]]) == (201, [201] * 3)


@pytest.mark.parametrize(
    ("kind", "body", "status"),
    [
        ("multipart/form-data; boundary=b", b"--b--\r\n", 400),
        ("multipart/form-data; boundary=b", b"not a form", 400),
        (
            "multipart/form-data; boundary=b",
            b'--b\r\nContent-Disposition: form-data; name="f"\r\n\r\nx\r\n--b--\r\n',
            400,
        ),
        (
            "multipart/form-data; boundary=b",
            b'--b\r\nContent-Disposition: form-data; name="f"; filename="\xff"\r\n\r\nx\r\n--b--',
            400,
        ),
        ("multipart/form-data; boundary=b", b'--b\r\nContent-Disposition: form-data; filename="x.jpg"\r\n\r\nx', 400),
        ("multipart/form-data; boundary=b", b"--b\r\n" + b"X: y\r\n" * 500 + b"\r\nx\r\n--b--\r\n", 400),
        ("multipart/form-data", b"--b--\r\n", 415),
        ("image/jpeg", b"--b--\r\n", 415),
        ("", b"--b--\r\n", 415),
    ],
)
def test_a_damaged_form_is_refused(server: RunningServer, kind: str, body: bytes, status: int):
    """A form without files or boundary, one that breaks off, and anything else get a problem."""
    answer = server.client.post("/images", content=body, headers={"Content-Type": kind})
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert not _leftovers(server, "x.jpg")


def test_the_number_of_files_is_limited(server: RunningServer, monkeypatch: pytest.MonkeyPatch):
    """413 after the last file that is accepted; the problem names what was stored."""
    monkeypatch.setattr(direct_uploads, "MAX_FILES", 2)
    files = [(f"{number}.jpg", picture(), "image/jpeg") for number in range(3)]
    answer = server.client.post("/images?prefix=limit/", files=_form(*files))
    assert (answer.status_code, answer.json()["stored"]) == (413, ["limit/0.jpg", "limit/1.jpg"])


class _SlowStore(MemoryStore):
    """A store that waits with every object until the test lets it go on."""

    go_on = threading.Event()
    stored: ClassVar[list[str]] = []

    def create(self, key: str, data: bytes, headers: Headers) -> bool:
        """Store the object when the test allows it."""
        self.stored.append(key)
        self.go_on.wait(60)
        return super().create(key, data, headers)


def test_uploads_to_a_bucket_are_limited(monkeypatch: pytest.MonkeyPatch):
    """A store without files gets few uploads at once, since each is in memory: the others wait or get 503.

    Two uploads with one name at the same time are not both stored.
    """
    monkeypatch.setattr(direct_uploads, "MAX_BUFFERED_UPLOADS", 2)
    monkeypatch.setattr(direct_uploads, "_QUEUE_SECONDS", 0.2)
    source = _SlowStore("sources")
    scope = Scope(source=source, destination=MemoryStore("thumbnails"), recipe=Recipe.default())
    with run_application(scope) as address, ThreadPoolExecutor(4) as threads:
        root = url(address)

        def put(name: str) -> int:
            return httpx.put(f"{root}/images/{name}", content=picture(), timeout=60).status_code

        first = [threads.submit(put, name) for name in ("a.jpg", "b.jpg")]
        end = time.monotonic() + 60
        while len(source.stored) < 2:
            assert time.monotonic() < end
            time.sleep(0.01)
        assert put("c.jpg") == 503
        assert put("a.jpg") == 409
        source.go_on.set()
        assert [each.result(60) for each in first] == [202, 202]
        assert put("d.jpg") == 202


@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl")
def test_curl_uploads(server: RunningServer, tmp_path: Path):
    """The commands of the documentation work: -T sends a file, -F one or several."""
    for name in ("a.jpg", "b c.jpg"):
        (tmp_path / name).write_bytes(picture())
    root = url(server.address)

    def curl(*arguments: str) -> tuple[int, dict]:
        command = ["curl", "-sS", "-w", "\n%{http_code}", *arguments]
        ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
        body, _, status = ran.stdout.rpartition("\n")
        return int(status), json.loads(body)

    status, manifest = curl("-T", "a.jpg", f"{root}/images/curl/?wait=30".replace("?wait", "a.jpg?wait"))
    assert (status, manifest["source"]["key"]) == (201, "curl/a.jpg")
    status, manifest = curl("-T", "a.jpg", f"{root}/images/curl2/")
    assert (status, manifest["key"]) == (202, "curl2/a.jpg")
    status, manifest = curl("-F", "file=@b c.jpg", f"{root}/images?wait=30&prefix=curl/")
    assert (status, manifest["source"]["key"]) == (201, "curl/b c.jpg")
    status, answer = curl("-F", "x=@a.jpg", "-F", "y=@b c.jpg", f"{root}/images?wait=30&prefix=both/")
    assert (status, [each["key"] for each in answer["images"]]) == (201, ["both/a.jpg", "both/b c.jpg"])
    status, problem = curl("-F", "file=a.jpg", f"{root}/images")
    assert (status, "@" in problem["detail"]) == (400, True)
