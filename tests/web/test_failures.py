"""Failures of stores and clients: each gets a clear answer, and the server recovers."""

import os
import shutil
import time
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import httpx
import pytest
from PIL import Image

from tests.pictures import picture
from tests.web.serving import RECIPE, run_application, run_server, url
from thumbsmith import Recipe, open_store
from thumbsmith.bulk.scan import Scope
from thumbsmith.errors import UsageError
from thumbsmith.web import application, upload_grants
from thumbsmith.web.upload_grants import Tickets, Upload

LARGE = "[variants.large]\nwidth = 900\nformats = ['png']"


@pytest.fixture
def memory() -> Iterator[httpx.Client]:
    """Return a client of a server over stores in memory."""
    name = f"memory://web-{time.time_ns()}"
    scope = Scope(source=open_store(f"{name}-in"), destination=open_store(f"{name}-out"), recipe=Recipe.loads(LARGE))
    with run_application(scope) as address, httpx.Client(base_url=url(address), timeout=60) as client:
        yield client


def _upload(client: httpx.Client, name: str, data: bytes) -> httpx.Response:
    answer = client.post("/uploads", json={"name": name, "type": "image/png", "bytes": len(data)})
    upload = answer.json()["upload"]
    return client.put(upload["url"], content=data, headers=upload["headers"])


def test_the_application_works_over_any_store(memory: httpx.Client):
    """A store in memory accepts uploads, and serves a large thumbnail as a whole and in part."""
    file = BytesIO()
    Image.frombytes("RGB", (900, 600), os.urandom(900 * 600 * 3)).save(file, "PNG")
    assert _upload(memory, "noise.png", file.getvalue()).status_code == 201
    assert memory.get("/images/noise.png?wait=30").status_code == 200
    whole = memory.get("/renditions/noise.png/large").content
    assert len(whole) > 1_000_000
    part = memory.get("/renditions/noise.png/large", headers={"Range": "bytes=100-600000"})
    assert part.content == whole[100:600_001]


def test_a_key_that_is_too_long_for_thumbnails_is_rejected(tmp_path: Path):
    """A file that was put into the folder under such a key gets 422 with its code."""
    with run_server(tmp_path) as server:
        name = "/".join(["x" * 200] * 5) + "/" + "y" * 16
        (server.sources / name).parent.mkdir(parents=True)
        (server.sources / name).write_bytes(picture())
        answer = server.image(name)
        assert (answer.status_code, answer.json()["code"]) == (422, "key_too_long")


def test_a_store_that_does_not_answer_gives_503(tmp_path: Path):
    """If the bucket cannot be reached, the answer is 503 with Retry-After, as a problem."""
    scope = Scope(
        source=open_store("s3://nowhere/in"),
        destination=open_store(tmp_path / "out"),
        recipe=Recipe.default(),
    )
    with run_application(scope) as address, httpx.Client(base_url=url(address), timeout=120) as client:
        answer = client.get("/images/x.png")
    assert answer.status_code == 503
    assert answer.headers["retry-after"]
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_destination_that_is_a_file_gives_500(tmp_path: Path):
    """If the folder of the thumbnails is a file, every request that needs it gets 500 with a sentence."""
    (tmp_path / "thumbnails").write_text("a file")
    with run_server(tmp_path) as server:
        (server.sources / "x.png").write_bytes(picture())
        for path in ("/images/x.png?wait=5", "/renditions/x.png/small"):
            answer = server.client.get(path)
            assert answer.status_code == 500
            assert answer.json()["code"] == "store_failed"
            assert "Not a directory" in answer.json()["detail"]


def test_stores_that_overlap_are_refused(tmp_path: Path):
    """Thumbnails inside the source would become sources, so the application raises UsageError."""
    scope = Scope(source=open_store(tmp_path), destination=open_store(tmp_path / "in"), recipe=Recipe.default())
    with pytest.raises(UsageError, match="overlap"):
        application(scope)


def test_missing_sources_at_the_start_delete_no_thumbnails(tmp_path: Path):
    """With an empty source folder, as of an unmounted disk, all thumbnails stay and are served."""
    with run_server(tmp_path) as server:
        for number in range(3):
            server.upload(f"{number}.png")
    shutil.rmtree(tmp_path / "sources")
    with run_server(tmp_path) as server:
        server.upload("new.png")
        assert server.client.get("/renditions/0.png/small").status_code == 200
        assert (server.thumbnails / "2.png" / "small.webp").is_file()


def test_a_folder_that_returns_is_watched_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """If the source folder is moved away and back while the server runs, new files get thumbnails."""
    monkeypatch.setattr("thumbsmith.web.background._MISSING_FOLDER_SECONDS", 0.2)
    with run_server(tmp_path) as server:
        server.upload("before.png")
        server.sources.rename(tmp_path / "away")
        time.sleep(2)
        (tmp_path / "away").rename(server.sources)
        (server.sources / "after.png").write_bytes(picture("#123456"))
        end = time.monotonic() + 60
        while not (server.thumbnails / "after.png" / "manifest.json").exists():
            assert time.monotonic() < end
            time.sleep(0.1)


def test_a_file_in_the_way_of_a_folder_is_a_conflict(tmp_path: Path):
    """An upload below a file gets 409, also if it may replace images."""
    with run_server(tmp_path, recipe=RECIPE) as server:
        server.upload("file.png")
        for more in ({}, {"replace": True}):
            upload = server.request_upload("file.png/inside.png", 3, **more).json()["upload"]
            assert server.client.put(upload["url"], content=b"abc", headers=upload["headers"]).status_code == 409


def test_an_interrupted_upload_leaves_no_file(tmp_path: Path):
    """A client that disconnects during an upload leaves neither a source nor a temporary file."""
    with run_server(tmp_path) as server:
        upload = server.request_upload("broken.png", 1_500_000).json()["upload"]

        def pieces() -> Iterator[bytes]:
            yield b"x" * 1_200_000
            raise ConnectionError

        with pytest.raises(ConnectionError):
            server.client.put(
                upload["url"], content=pieces(), headers={**upload["headers"], "Content-Length": "1500000"}
            )
        end = time.monotonic() + 30
        while list(server.sources.iterdir()):
            assert time.monotonic() < end
            time.sleep(0.05)


def test_unused_tickets_are_dropped(monkeypatch: pytest.MonkeyPatch):
    """The oldest ticket is dropped for a new one, and an expired ticket no longer reserves its key."""
    monkeypatch.setattr(upload_grants, "_MAX_OPEN_TICKETS", 2)
    tickets, now = Tickets(), time.time()
    first, second, third = (
        tickets.issue(Upload(key=key, type="image/png", bytes=1, replace=False, expires=now + 60))
        for key in ("a", "a", "b")
    )
    assert not tickets.reserve(first)
    assert tickets.has_key("a")
    assert tickets.reserve(second)
    assert not tickets.reserve(second)
    tickets.give_back(second)
    assert tickets.reserve(second)
    assert tickets.has_key("a")
    tickets.finish(second)
    assert not tickets.has_key("a")
    assert tickets.find(third).key == "b"
    late = Tickets()
    late.issue(Upload(key="late", type="image/png", bytes=1, replace=False, expires=now - 1))
    assert not late.has_key("late")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"toml": "[variants.x]\nwidth = 9", "variant": "x", "key": "none.png"}, 404),
        ({"toml": "[variants.x]\nwidth = 9", "variant": "y", "key": "there.png"}, 404),
        ({"toml": "nonsense", "variant": "x", "key": "there.png"}, 400),
        ({"toml": "[variants.x]\nwidth = 9", "variant": "x", "key": "bad.png"}, 422),
        ({"toml": "[variants.x]\nwidth = 9", "variant": "x", "key": "there.png"}, 200),
    ],
)
def test_a_preview_needs_an_image_and_a_valid_recipe(tmp_path: Path, body: dict[str, str], status: int):
    """A missing image or variant gets 404, an invalid recipe 400, and a rejected image 422."""
    with run_server(tmp_path) as server:
        (server.sources / "there.png").write_bytes(picture())
        (server.sources / "bad.png").write_bytes(b"bad")
        assert server.client.post("/previews", json=body).status_code == status
