"""A file that arrives in pieces, whose request is canceled while a thread works for it."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pytest

from thumbsmith import Recipe
from thumbsmith.store import Headers
from thumbsmith.store.memory import MemoryStore
from thumbsmith.web.incoming import IncomingFile
from thumbsmith.web.library import ImageLibrary

DATA = b"picture" * 1000


@dataclass(frozen=True, slots=True)
class SlowStore(MemoryStore):
    """A store that waits before it takes an object, as a bucket far away does."""

    reached: threading.Event = field(default_factory=threading.Event)
    goes_on: threading.Event = field(default_factory=threading.Event)

    def put(self, key: str, data: bytes, headers: Headers) -> str:
        """Store the object when the test lets it."""
        self._wait()
        return super(SlowStore, self).put(key, bytes(data), headers)

    def head(self, key: str):
        """Answer when the test lets it."""
        self._wait()
        return super(SlowStore, self).head(key)

    def create(self, key: str, data: bytes, headers: Headers) -> bool:
        """Store the object when the test lets it."""
        self._wait()
        return super(SlowStore, self).create(key, bytes(data), headers)

    def _wait(self) -> None:
        self.reached.set()
        assert self.goes_on.wait(60)


@pytest.mark.parametrize("replace", [False, True])
def test_a_canceled_upload_stores_the_whole_file_or_nothing(replace: bool):
    """A request that ends while a thread stores its file never leaves a part of the file in the store."""
    store = SlowStore("slow")

    async def upload(library: ImageLibrary) -> None:
        async with IncomingFile(library, "a.jpg", "image/jpeg", 1 << 20) as file:
            await file.write(DATA)
            await file.commit(replace=replace)

    async def cancel() -> None:
        with ThreadPoolExecutor(4) as threads:
            library = ImageLibrary(store, MemoryStore("thumbs"), Recipe.default(), threads)
            task = asyncio.create_task(upload(library))
            assert await asyncio.to_thread(store.reached.wait, 60)
            task.cancel()
            await asyncio.wait([task], timeout=0.2)  # it would end here if it did not wait for the thread
            store.goes_on.set()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(cancel())
    found = store.open("a.jpg")
    assert found is None or found.data == DATA
