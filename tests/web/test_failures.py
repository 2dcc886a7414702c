"""What fails, and what others take away: told as it is, and made right once it can be."""

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
from tests.web.serving import RECIPE, served, serving, url
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
    with serving(scope) as address, httpx.Client(base_url=url(address), timeout=60) as client:
        yield client


def _send(client: httpx.Client, name: str, data: bytes) -> httpx.Response:
    granted = client.post("/uploads", json={"name": name, "type": "image/png", "bytes": len(data)}).json()
    return client.put(granted["upload"]["url"], content=data, headers=granted["upload"]["headers"])


def test_any_store_will_do(memory: httpx.Client):
    """Memory takes uploads too, and gives a picture that is sent in pieces, whole and in part."""
    file = BytesIO()
    Image.frombytes("RGB", (900, 600), os.urandom(900 * 600 * 3)).save(file, "PNG")
    assert _send(memory, "noise.png", file.getvalue()).status_code == 201
    assert memory.get("/images/noise.png?wait=30").status_code == 200
    whole = memory.get("/renditions/noise.png/large").content
    assert len(whole) > 1_000_000
    part = memory.get("/renditions/noise.png/large", headers={"Range": "bytes=100-600000"})
    assert part.content == whole[100:600_001]


def test_a_key_that_leaves_no_room_for_thumbnails_is_told(memory: httpx.Client, tmp_path: Path):
    """422 with its code, for a file that others put there: no manifest can be written for it."""
    with served(tmp_path) as server:
        name = "/".join(["x" * 200] * 5) + "/" + "y" * 16
        (server.sources / name).parent.mkdir(parents=True)
        (server.sources / name).write_bytes(picture())
        answer = server.image(name)
        assert (answer.status_code, answer.json()["code"]) == (422, "key_too_long")


def test_a_store_that_does_not_answer_is_told(tmp_path: Path):
    """503 with when to come back, where nothing listens; nothing of it is a surprise to the server."""
    scope = Scope(
        source=open_store("s3://nowhere/in"),
        destination=open_store(tmp_path / "out"),
        recipe=Recipe.default(),
    )
    with serving(scope) as address, httpx.Client(base_url=url(address), timeout=120) as client:
        answer = client.get("/images/x.png")
    assert answer.status_code == 503
    assert answer.headers["retry-after"]
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_destination_that_cannot_be_is_told(tmp_path: Path):
    """A file where the folder of thumbnails should be: 500 with a sentence, in every place that needs it."""
    (tmp_path / "thumbnails").write_text("a file")
    with served(tmp_path) as server:
        (server.sources / "x.png").write_bytes(picture())
        for path in ("/images/x.png?wait=5", "/renditions/x.png/small"):
            answer = server.client.get(path)
            assert answer.status_code == 500
            assert answer.json()["code"] == "store_failed"
            assert "Not a directory" in answer.json()["detail"]


def test_stores_that_overlap_are_refused(tmp_path: Path):
    """What is made would be taken for a source."""
    scope = Scope(source=open_store(tmp_path), destination=open_store(tmp_path / "in"), recipe=Recipe.default())
    with pytest.raises(UsageError, match="overlap"):
        application(scope)


def test_sources_that_are_gone_at_the_start_wipe_nothing(tmp_path: Path):
    """An empty folder of sources, as when a disk is not mounted: thumbnails stay; what is there is served on."""
    with served(tmp_path) as server:
        for number in range(3):
            server.upload(f"{number}.png")
    shutil.rmtree(tmp_path / "sources")
    with served(tmp_path) as server:
        server.upload("new.png")
        assert server.client.get("/renditions/0.png/small").status_code == 200
        assert (server.thumbnails / "2.png" / "small.webp").is_file()


def test_a_folder_that_comes_back_is_followed_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Sources that are taken away and put back while the server runs are watched as before."""
    monkeypatch.setattr("thumbsmith.web.background._MISSING_FOLDER_SECONDS", 0.2)
    with served(tmp_path) as server:
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
    """409, also where the upload may replace."""
    with served(tmp_path, recipe=RECIPE) as server:
        server.upload("file.png")
        for more in ({}, {"replace": True}):
            granted = server.grant("file.png/inside.png", 3, **more).json()
            upload = granted["upload"]
            assert server.client.put(upload["url"], content=b"abc", headers=upload["headers"]).status_code == 409


def test_an_upload_that_breaks_off_leaves_nothing(tmp_path: Path):
    """A client that goes away in the middle leaves no file, temporary or other."""
    with served(tmp_path) as server:
        upload = server.grant("broken.png", 1_500_000).json()["upload"]

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


def test_uploads_that_are_not_made_are_forgotten(monkeypatch: pytest.MonkeyPatch):
    """The oldest is taken back for a new one; what ran out holds its name no longer."""
    monkeypatch.setattr(upload_grants, "_MAX_OPEN_TICKETS", 2)
    tickets, now = Tickets(), time.time()
    first, second, third = (
        tickets.issue(Upload(key=key, type="image/png", bytes=1, replace=False, expires=now + 60))
        for key in ("a", "a", "b")
    )
    assert tickets.use(first) is None
    assert tickets.has_key("a")
    assert tickets.use(second).key == "a"
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
def test_a_preview_is_of_what_is_there(tmp_path: Path, body: dict[str, str], status: int):
    """No such image, variant or recipe, and a rejected image, are refused each in its way; limits are the server's."""
    with served(tmp_path) as server:
        (server.sources / "there.png").write_bytes(picture())
        (server.sources / "bad.png").write_bytes(b"bad")
        assert server.client.post("/previews", json=body).status_code == status
