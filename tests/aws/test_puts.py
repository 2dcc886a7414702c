"""Renditions of one source are written at the same time; the manifest after all of them."""

import threading
from dataclasses import dataclass, field

import pytest

from tests.aws.scene import Scene, failed, notification, queued
from thumbsmith.errors import StoreError
from thumbsmith.store.base import Headers
from thumbsmith.store.memory import MemoryStore


@dataclass(frozen=True)
class Meeting(MemoryStore):
    """A store in which each write of a rendition waits for the other two."""

    barrier: threading.Barrier = field(default_factory=lambda: threading.Barrier(3))
    written: list[str] = field(default_factory=list)
    fails: frozenset[str] = frozenset()

    @property
    def puts_at_once(self) -> bool:
        """Return True, as a store on S3 does."""
        return True

    def put(self, key: str, data: bytes, headers: Headers) -> str:
        """Write the object once all renditions are being written."""
        if not key.endswith("manifest.json"):
            self.barrier.wait(timeout=60)
        if key in self.fails:
            raise StoreError("busy", transient=True)
        self.written.append(key)
        return super().put(key, data, headers)


@pytest.fixture
def uploaded(scene: Scene) -> Scene:
    """Return a scene with one source, whose recipe gives it three renditions."""
    scene.upload("a.jpg")
    return scene


def test_renditions_are_written_at_the_same_time(uploaded: Scene):
    """All three writes are in progress at once; the manifest is the last one."""
    uploaded.destination = store = Meeting("dst")
    assert failed(uploaded.call(queued(notification("a.jpg")))) == []
    assert uploaded.complete_keys() == {"a.jpg"}
    assert store.written[-1] == "a.jpg/manifest.json"
    assert len(store.written) == 4
    recorded = {each["key"]: each["etag"] for each in uploaded.manifest("a.jpg")["renditions"]}
    assert recorded == {key: store.head(key).etag for key in store.written[:-1]}


def test_after_a_failed_write_there_is_no_manifest(uploaded: Scene):
    """If one write fails, the others have ended when the message is returned, and nothing is committed."""
    uploaded.destination = store = Meeting("dst", fails=frozenset({"a.jpg/small.jpg"}))
    assert failed(uploaded.call(queued(notification("a.jpg")))) == ["m0"]
    assert sorted(store.written) == ["a.jpg/icon.webp", "a.jpg/small.webp"]
    assert not any(thread.name.startswith("thumbsmith-put") for thread in threading.enumerate())
