"""Thousands of keys at once: events in any order, some twice, some late; workers in turns, some of which die.

All code except the renderer is what users run: stores in memory, and the driver of `converge`, which performs the
protocol one effect at a time. One seed determines all events, so that a failure can be repeated.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Collection, Generator, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from tests.proof.events import REPEAT
from tests.proof.program import AnyEffect, one_at_a_time
from tests.proof.sharded import Sharded
from tests.reconcile.scene import HEADERS, content
from thumbsmith.errors import Code, Rejected
from thumbsmith.image.containers.base import Probe
from thumbsmith.reader import RangeReader
from thumbsmith.recipe import Recipe
from thumbsmith.recipe.names import Rendition, expected
from thumbsmith.reconcile.converge import Renderer, StoreDriver
from thumbsmith.reconcile.manifest import parse
from thumbsmith.reconcile.protocol import Options, Outcome, steps
from thumbsmith.store.base import ObjectInfo
from thumbsmith.store.memory import MemoryObject
from thumbsmith.worker import Work

RECIPE: Final = Recipe.loads("[variants.icon]\nwidth = 8\n[variants.small]\nwidth = 16\nformats = ['webp', 'source']\n")
WORKERS: Final = 12
BACKLOG: Final = (
    40  # changes wait while this many messages wait: else all changes of a key would precede its first message
)
PACES: Final = (1, 1, 1, 1, 0.01)


class Cheap:
    """A renderer whose renditions are digests. A source that begins with "png" is a PNG, one with "bad" is invalid."""

    def render(self, reader: RangeReader, recipe: Recipe, wanted: Collection[str] | None = None) -> Work:
        """Return the renditions. Raises Rejected."""
        data = reader.read(0, reader.size)
        if data.startswith(b"bad"):
            raise Rejected(Code.CORRUPT, "invalid")
        form = "png" if data.startswith(b"png") else "jpeg"
        made = (
            Rendition(
                variant=variant.name,
                format=kind,
                type=kind.media_type,
                width=6,
                height=4,
                data=hashlib.sha256(data + name.encode()).digest(),
            )
            for name, (variant, kind) in expected(recipe, form, alpha=False).items()
            if wanted is None or name in wanted
        )
        probe = Probe(format=form, bytes=reader.size, width=60, height=40)
        return Work(probe=probe, renditions=tuple(made), color="#000000", cpu_seconds=0, peak_memory=0)


@dataclass(slots=True, eq=False)
class Worker:
    """A worker with one message: its protocol, and the result of the last effect, which it has not received yet.

    `pace` is the weight of the worker when the next one is chosen.
    """

    key: str
    protocol: Generator[AnyEffect, Any, Outcome]
    pace: float
    result: object = None


@dataclass(slots=True)
class Simulation:
    """One run over both stores. `deaths` is the probability that a worker dies at an effect."""

    chance: random.Random
    changes: list[tuple[str, bytes | None]]  # the next one is last; None is a deletion
    renderer: Renderer
    deaths: float = 0.01
    source: Sharded = field(default_factory=lambda: Sharded("source"))
    destination: Sharded = field(default_factory=lambda: Sharded("destination"))
    queue: list[tuple[str, bool]] = field(default_factory=list)  # a key, and whether its message was delivered before
    trusts_first_deliveries: bool = False
    workers: list[Worker] = field(default_factory=list)
    died: int = 0
    shared: int = 0  # messages that were received while another worker had the same key

    def run(self) -> None:
        """Run until there is no change, message or worker left."""
        while self.changes or self.queue or self.workers:
            if self.changes and len(self.queue) < BACKLOG and self.chance.random() < 0.2:
                self._change(*self.changes.pop())
            elif self.queue and len(self.workers) < WORKERS:
                self._take()
            elif self.workers:
                paces = [worker.pace for worker in self.workers]
                self._move(*self.chance.choices(self.workers, paces))

    def _change(self, key: str, data: bytes | None) -> None:
        self.queue.append((key, False))
        if data is None:
            self.source.delete(key)
        elif data is not REPEAT:
            self.source.put(key, data, HEADERS)

    def _take(self) -> None:
        place = self.chance.randrange(len(self.queue))
        self.queue[place], self.queue[-1] = self.queue[-1], self.queue[place]
        key, redelivered = self.queue.pop()
        options = Options(first_delivery=self.trusts_first_deliveries and not redelivered)
        self.shared += any(worker.key == key for worker in self.workers)
        self.workers.append(Worker(key, self._begun(key, options), self.chance.choice(PACES)))

    def _begun(self, key: str, options: Options) -> Generator[AnyEffect, Any, Outcome]:
        """Return a protocol that writes renditions in one of two orders."""
        return one_at_a_time(steps(key, RECIPE, options), last_first=self.chance.random() < 0.5)

    def _move(self, worker: Worker) -> None:
        """Let a worker receive its result and perform its next effect; or die before or after it."""
        dies, done = self.chance.random() < self.deaths, self.chance.random() < 0.5
        driver = StoreDriver(worker.key, self.source, self.destination, RECIPE, self.renderer)
        try:
            effect = worker.protocol.send(worker.result)
        except StopIteration:
            self.workers.remove(worker)
            return
        if not dies or done:
            worker.result = driver.perform(effect)
        if dies:
            self.workers.remove(worker)
            self.queue.append((worker.key, True))
            self.died += 1

    def differences(self) -> dict[str, list[str]]:
        """Return the keys of objects that are missing, stale or orphaned, computed from the sources alone."""
        return compare(self.source, self.destination, self.renderer)


def compare(source: Sharded, destination: Sharded, renderer: Renderer) -> dict[str, list[str]]:
    """Return the keys that are missing, stale and orphaned, computed from the sources alone."""
    expected = {key: data for info in source.list() for key, data in _expected(source, destination, info, renderer)}
    actual = {info.key: content(destination, info.key) for info in destination.list()}
    return {
        "missing": sorted(expected.keys() - actual.keys()),
        "stale": sorted(key for key, data in expected.items() if actual.get(key, data) != data),
        "orphaned": sorted(actual.keys() - expected.keys()),
    }


def _expected(
    source: Sharded, destination: Sharded, info: ObjectInfo, renderer: Renderer
) -> Iterator[tuple[str, bytes]]:
    """Yield the required objects of one source. A manifest is correct if its content is."""
    reader, record = source.open(info.key), destination.open(f"{info.key}/manifest.json")
    assert reader is not None
    try:
        work = renderer.render(reader, RECIPE)
    except Rejected as rejected:
        renditions, code = {}, str(rejected.code)
    else:
        names = expected(RECIPE, work.probe.format, alpha=work.probe.alpha)
        renditions, code = {name: each.data for name, each in zip(names, work.renditions, strict=True)}, ""
    yield from ((f"{info.key}/{name}", data) for name, data in renditions.items())
    digests = {name: hashlib.sha256(data).hexdigest() for name, data in renditions.items()}
    is_correct = record is not None and _facts(record) == (info.key, info.etag, RECIPE.fingerprint, code, digests)
    yield f"{info.key}/manifest.json", record.data if record and is_correct else b"another manifest"


def _facts(record: MemoryObject) -> tuple[object, ...] | None:
    manifest = parse(record.data)
    if manifest is None:
        return None
    code = manifest.rejection.code if manifest.rejection else ""
    digests = {each.name: each.sha256 for each in manifest.renditions}
    return manifest.source.key, manifest.source.etag, manifest.recipe, code, digests
