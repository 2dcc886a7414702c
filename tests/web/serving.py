"""Servers for tests: the application on a real socket, in a thread."""

import contextlib
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import httpx

from tests.pictures import picture
from thumbsmith import Recipe, open_store
from thumbsmith.bulk.scan import Scope
from thumbsmith.web import WebSettings, application
from thumbsmith.web.events import Sending
from thumbsmith.web.server import create_server, listen

RECIPE = """
[limits]
max_bytes = 2000000

[variants.small]
width = 30
formats = ["webp", "jpeg", "avif"]

[variants.icon]
width = 8
height = 8
fit = "cover"
"""


@dataclass(frozen=True)
class RunningServer:
    """A running server over two folders, with a client."""

    client: httpx.Client
    address: tuple[str, int]
    folder: Path

    @property
    def sources(self) -> Path:
        """Return the folder of the sources."""
        return self.folder / "sources"

    @property
    def thumbnails(self) -> Path:
        """Return the folder of the thumbnails."""
        return self.folder / "thumbnails"

    def request_upload(self, name: str, size: int, kind: str = "image/png", **more: object) -> httpx.Response:
        """Return the answer to a request for an upload."""
        return self.client.post("/uploads", json={"name": name, "type": kind, "bytes": size, **more})

    def upload(self, name: str, data: bytes | None = None, **more: object) -> str:
        """Upload an image, wait for its thumbnails or its rejection, and return its key."""
        content = picture() if data is None else data
        granted = self.request_upload(name, len(content), **more)
        assert granted.status_code == 201, granted.text
        upload = granted.json()["upload"]
        sent = self.client.request(upload["method"], upload["url"], content=content, headers=upload["headers"])
        assert sent.status_code == 201, sent.text
        key = granted.json()["key"]
        assert self.image(key, "?wait=30").status_code in {200, 422}
        return key

    def image(self, key: str, query: str = "") -> httpx.Response:
        """Return the answer with the status of an image."""
        return self.client.get(f"/images/{quote(key, safe='')}{query}")

    def wait_for_status(self, key: str, *statuses: int) -> httpx.Response:
        """Wait until the answer has one of these HTTP statuses, and return it."""
        end = time.monotonic() + 60
        while (answer := self.image(key, "?wait=5")).status_code not in statuses:
            assert time.monotonic() < end, (answer.status_code, answer.text)
            time.sleep(0.05)
        return answer


@contextlib.contextmanager
def run_server(
    folder: Path,
    settings: WebSettings | None = None,
    recipe: str = RECIPE,
    jobs: int = 2,
    port: int = 0,
) -> Iterator[RunningServer]:
    """Run the application over FOLDER/sources and FOLDER/thumbnails on a port of 127.0.0.1; 0 is a free one."""
    (folder / "sources").mkdir(parents=True, exist_ok=True)
    scope = Scope(
        source=open_store(folder / "sources"),
        destination=open_store(folder / "thumbnails"),
        recipe=Recipe.loads(recipe),
    )
    with (
        run_application(scope, settings, jobs, port) as address,
        httpx.Client(base_url=url(address), timeout=60) as client,
    ):
        yield RunningServer(client, address, folder)


@contextlib.contextmanager
def run_application(
    scope: Scope,
    settings: WebSettings | None = None,
    jobs: int = 2,
    port: int = 0,
    events_to: Sending | None = None,
) -> Iterator[tuple[str, int]]:
    """Run the application over any stores, and return its address."""
    running = create_server(application(scope, settings, jobs=jobs, events_to=events_to))
    with listen("127.0.0.1", port) as listener:
        thread = threading.Thread(target=running.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            end = time.monotonic() + 30
            while not running.started:
                assert thread.is_alive()
                assert time.monotonic() < end
                time.sleep(0.01)
            yield listener.getsockname()
        finally:
            running.should_exit = True
            thread.join(60)


def url(address: tuple[str, int]) -> str:
    """Return the address as a URL."""
    return f"http://{address[0]}:{address[1]}"
