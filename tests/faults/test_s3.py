"""A sync over a faulty network has the same result as over a good one."""

import threading
import time
from pathlib import Path

import pytest

from tests.faults.proxy import Proxy, running
from tests.pictures import picture
from tests.servers.fixtures import fresh_bucket, needs_servers
from thumbsmith.bulk.scan import Scope
from thumbsmith.cli.arguments import STORE_TIMEOUT_SECONDS
from thumbsmith.cli.sync import run
from thumbsmith.recipe import Recipe
from thumbsmith.store import Store, open_store

pytestmark = [needs_servers, pytest.mark.usefixtures("way")]

RECIPE = Recipe.loads("[variants.small]\nwidth = 16\nformats = ['webp', 'jpeg']")


def _photos(folder: Path, count: int) -> Path:
    (folder / "photos").mkdir()
    for number in range(count):
        (folder / "photos" / f"{number:04}.jpg").write_bytes(picture(f"#{number * 2621:06x}", (90, 60)))
    return folder / "photos"


def _sync(source: Store, destination: Store) -> int:
    return run(Scope(source=source, destination=destination, recipe=RECIPE), jobs=2, yes=True)


def _content(store: Store, key: str) -> bytes:
    reader = store.open(key)
    assert reader is not None
    return reader.read(0, reader.size)


def _renditions(store: Store) -> dict[str, bytes]:
    return {info.key: _content(store, info.key) for info in store.list() if not info.key.endswith(".json")}


class Run:
    """The same sync directly to the server, and through a proxy."""

    def __init__(self, address: str, monkeypatch: pytest.MonkeyPatch, photos: Path) -> None:
        self.address, self.patch, self.photos = address, monkeypatch, open_store(photos)
        self.calm, self.rough = (fresh_bucket(address, monkeypatch) for _ in range(2))

    def needed(self) -> int:
        """Return the number of requests of a sync without faults."""
        with running(Proxy(self.address)) as proxy:
            self.patch.setenv("AWS_ENDPOINT_URL", proxy.address)
            assert _sync(self.photos, open_store(self.calm)) == 0
            return proxy.requests

    def over(self, proxy: Proxy) -> int:
        """Sync through the proxy; return the exit code."""
        self.patch.setenv("AWS_ENDPOINT_URL", proxy.address)
        return _sync(self.photos, open_store(self.rough, outage_seconds=STORE_TIMEOUT_SECONDS))

    def results(self) -> tuple[dict[str, bytes], dict[str, bytes]]:
        """Return all renditions of both syncs."""
        self.patch.setenv("AWS_ENDPOINT_URL", self.address)
        return _renditions(open_store(self.rough)), _renditions(open_store(self.calm))


def _with_faults(scene: Run, share: float) -> None:
    needed = scene.needed()
    with running(Proxy(scene.address, share)) as proxy:
        assert scene.over(proxy) == 0
        requests, faults = proxy.requests, proxy.faults
    rough, calm = scene.results()
    assert rough == calm
    assert faults.total() > needed * share / 2
    assert requests <= 1.3 * needed


def _with_an_outage(scene: Run, seconds: float) -> float:
    """Return how many seconds after the outage the first request was forwarded."""
    scene.needed()
    back: list[float] = []
    with running(Proxy(scene.address)) as proxy:

        def cut_off() -> None:
            while proxy.requests < 20:
                time.sleep(0.005)
            proxy.out.set()
            time.sleep(seconds)
            proxy.out.clear()
            back.append(time.monotonic())

        thread = threading.Thread(target=cut_off)
        thread.start()
        assert scene.over(proxy) == 0
        thread.join()
        resumed = proxy.resumed
    rough, calm = scene.results()
    assert rough == calm
    return resumed - back[0]


def test_a_twentieth_of_all_requests_failing_changes_nothing(
    ministack_address: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    """With faults in 5 % of the requests (errors, silence, resets, lost responses), a sync needs at most 30 % more."""
    _with_faults(Run(ministack_address, monkeypatch, _photos(tmp_path, 40)), share=0.05)


def test_an_outage_loses_nothing(ministack_address: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """A sync waits for a server that is unreachable for some seconds; in the end nothing failed."""
    _with_an_outage(Run(ministack_address, monkeypatch, _photos(tmp_path, 40)), seconds=6)


def test_a_denied_source_is_reported_and_done_later(
    ministack_address: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    """A 403 for one source's thumbnails fails that source with a sentence; once allowed, it is rendered."""
    scene = Run(ministack_address, monkeypatch, _photos(tmp_path, 5))
    scene.needed()
    with running(Proxy(ministack_address)) as proxy:
        proxy.denied = "0003.jpg/small"
        assert scene.over(proxy) == 1
        (failed,) = [line for line in capfd.readouterr().err.splitlines() if line.startswith("failed")]
        assert failed.startswith("failed 0003.jpg: s3://")
        assert "access denied: grant s3:PutObject" in failed
        proxy.denied = None
        assert scene.over(proxy) == 0
    rough, calm = scene.results()
    assert rough == calm


@pytest.mark.deep
def test_many_faults_change_nothing(ministack_address: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """The same with 1,000 photographs."""
    _with_faults(Run(ministack_address, monkeypatch, _photos(tmp_path, 1000)), share=0.05)


@pytest.mark.deep
def test_an_outage_of_a_minute_loses_nothing(ministack_address: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """A sync waits for a server that is unreachable for 60 seconds, and continues within 5 seconds of its return."""
    assert _with_an_outage(Run(ministack_address, monkeypatch, _photos(tmp_path, 200)), seconds=60) < 5
