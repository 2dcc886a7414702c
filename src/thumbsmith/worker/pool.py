"""`Workers`: the worker processes of this process."""

from __future__ import annotations

import atexit
import os
import threading
from collections.abc import Collection, Mapping
from functools import cache
from time import monotonic
from typing import Final, Literal, Self

from thumbsmith.environment import isolation_required
from thumbsmith.errors import MissingDecoder, NotIsolated, UsageError, WorkerDied, WorkerError
from thumbsmith.image import check_output
from thumbsmith.image.limits import check_file_size
from thumbsmith.lifetime import Closing
from thumbsmith.reader import Image, RangeReader, opened
from thumbsmith.recipe import IsolationKind, Recipe
from thumbsmith.worker import usable_cores
from thumbsmith.worker.budget import Budget, default_memory_bytes
from thumbsmith.worker.isolation import LAYERS
from thumbsmith.worker.launch import Launched
from thumbsmith.worker.parent import UsedChildFailed, Work, render_in_child, wall_clock_limit
from thumbsmith.worker.processes import Template
from thumbsmith.worker.replies import RenderJob
from thumbsmith.worker.wire import PeerClosed, ProtocolError

# Fresh processes that may die over one source before it fails.
MAX_DEATHS: Final = 2


class Workers(Closing):
    """Up to `count` worker processes, started when they are first needed, for any number of threads.

    `count` is by default the number of cores that this process may use. `memory` is the bytes that may be predicted for
    all running sources together, by default half of the available memory. `ceiling` is the bytes that one worker may
    allocate, for a machine with less memory than the limits of a recipe allow. A source that needs more is rejected as
    over_memory.

    `isolation` is for recipes that do not set it. With "source", a process handles one source. With "shared", it
    handles many, one after the other, and all sources of one `Workers` belong to one owner: docs/security.md.

    If the environment variable THUMBSMITH_ISOLATION is `required`, no source is handled on a system that lacks an
    isolation layer, and a `with` block raises NotIsolated. The constructor raises UsageError if the variable or an
    argument has an invalid value.

        with Workers() as workers:
            work = workers.render("photo.jpg", Recipe.default())
        print([each.name for each in work.renditions])
    """

    def __init__(
        self,
        count: int | None = None,
        memory: int | None = None,
        ceiling: int | None = None,
        isolation: IsolationKind | Literal["source", "shared"] = IsolationKind.SOURCE,
    ) -> None:
        if isolation not in set(IsolationKind):
            raise UsageError(f'isolation: expected "source" or "shared", found {isolation!r}')
        for name, number in {"count": count, "memory": memory, "ceiling": ceiling}.items():
            if number is not None and (type(number) is not int or number < 1):
                raise UsageError(f"{name}: expected a whole number of 1 or more, or None, found {number!r}")
        self._slots = threading.BoundedSemaphore(count or usable_cores())
        self._budget = Budget(memory or default_memory_bytes())
        self._ceiling = ceiling
        self._isolation = IsolationKind(isolation)
        self._required = isolation_required()
        self._lock = threading.Lock()
        self._extras: frozenset[str] = frozenset()
        self._idle: list[Template] = []
        self._all: set[Template] = set()
        self._closed = False
        self._owner = os.getpid()

    def __enter__(self) -> Self:
        """Return these workers. Raises as `check_isolation` does."""
        self.check_isolation()
        return self

    def check_isolation(self) -> None:
        """Where THUMBSMITH_ISOLATION is `required`, start a worker now and check its layers.

        Raises NotIsolated, WorkerError; then these workers are closed.
        """
        if self._required:
            try:
                self.start()
            except WorkerError:
                self.close()
                raise

    def start(self, launched: Launched | None = None) -> None:
        """Start a worker process, so that the first source need not wait for it, and return at once.

        `launched` is one that the program started before it loaded this class. Raises WorkerError where none can be
        started, or these workers are closed; NotIsolated where isolation is required and a layer is missing; OSError
        where no descriptor is left to load the checks of its results.
        """
        self._release(self._add(launched))
        check_output.load()
        if self._required:
            self.layers()

    def layers(self) -> dict[str, bool]:
        """Return for each isolation layer (worker/isolation.py) whether it is active, as a worker process has measured.

        Raises WorkerError where no worker can be started or it does not answer, NotIsolated as `start` does.
        """
        template = self._acquire()
        try:
            return self._layers_of(template)
        finally:
            self._release(template)

    def _layers_of(self, template: Template) -> dict[str, bool]:
        try:
            found = dict.fromkeys(LAYERS, False) | template.layers()
        except (PeerClosed, ProtocolError, TimeoutError) as problem:
            template.busy = True  # so that it is not used again
            raise WorkerError("the worker process ended before it reported its isolation layers") from problem
        if self._required:
            require_layers(found)
        return found

    def render(
        self, image: Image, recipe: Recipe, wanted: Collection[str] | None = None, *, until: float | None = None
    ) -> Work:
        """Return the renditions named in `wanted` (`small.webp`), all for None, made in a process without rights.

        The image is its bytes, the path of a file, an open binary file, or a range reader, as for `thumbsmith.render`.
        A rejection or failure counts only if a fresh process reports it. Blocks while all workers are busy. A worker
        that is not done at `until`, by time.monotonic(), is stopped; by default it has far more time than the limits of
        a recipe allow. Raises Rejected where the source never gives a thumbnail; WorkerError where two fresh processes
        died over it, one hung, or these workers are closed; MissingDecoder; and what the reader raises.
        """
        with opened(image, recipe.limits.max_bytes) as reader:
            return self._render(reader, recipe, None if wanted is None else frozenset(wanted), until)

    def _render(self, reader: RangeReader, recipe: Recipe, wanted: frozenset[str] | None, until: float | None) -> Work:
        check_file_size(reader.size, recipe.limits)
        job = RenderJob(reader, recipe, wanted, self._ceiling)
        fresh, deaths = False, 0
        with self._slots:
            while True:
                try:
                    extras = self._extras  # another thread may add to them
                    return self._attempt(job, until, extras, fresh=fresh)
                except UsedChildFailed:
                    fresh = True
                except MissingDecoder as missing:
                    if missing.extra is None or missing.extra in extras:
                        raise
                    self._extras |= {missing.extra}  # a process loads it before it forks the next child
                except WorkerDied:
                    deaths += 1
                    if deaths == MAX_DEATHS:
                        raise

    def close(self) -> None:
        """Kill all workers, also busy ones: their callers get WorkerError. Does nothing in a fork. May be repeated."""
        if os.getpid() != self._owner:
            return
        with self._lock:
            self._closed = True
            for template in self._all:
                template.kill()
            while self._idle:
                self._discard(self._idle.pop())

    def _attempt(self, job: RenderJob, until: float | None, extras: frozenset[str], *, fresh: bool) -> Work:
        template = self._acquire()
        try:
            seconds = wall_clock_limit(job.recipe.limits)
            seconds = min(seconds, until - monotonic()) if until else seconds
            if self._required:
                self._layers_of(template)
            shared = (job.recipe.limits.isolation or self._isolation) is IsolationKind.SHARED
            return render_in_child(job, template, self._budget, seconds, shared=shared, fresh=fresh, extras=extras)
        finally:
            self._release(template)

    def _acquire(self) -> Template:
        with self._lock:
            if self._idle and not self._closed:
                return self._idle.pop()
        return self._add()

    def _add(self, launched: Launched | None = None) -> Template:
        with self._lock:
            if self._closed:
                raise WorkerError("the workers are closed")
            template = Template(launched)
            self._all.add(template)
            return template

    def _release(self, template: Template) -> None:
        """Keep a template for the next source, unless its child may still run."""
        with self._lock:
            if template.busy or self._closed:
                self._discard(template)
            else:
                self._idle.append(template)

    def _discard(self, template: Template) -> None:
        self._all.discard(template)
        template.discard()


def require_layers(layers: Mapping[str, bool]) -> None:
    """Raise NotIsolated where an isolation layer is not active."""
    missing = [layer.blocks for name, layer in LAYERS.items() if not layers.get(name)]
    if missing:
        what = ", ".join(missing)
        raise NotIsolated(
            f"THUMBSMITH_ISOLATION=required, and this system does not block {what}: no picture is handled"
            " (docs/security.md says what each layer does)"
        )


@cache
def _shared_workers() -> Workers:
    workers = Workers()
    atexit.register(workers.close)
    return workers


_shared_lock = threading.Lock()


def shared() -> Workers:
    """Return the workers that all of this process shares; they end with it. A fork of this process has its own."""
    with _shared_lock:
        return _shared_workers()


os.register_at_fork(after_in_child=_shared_workers.cache_clear)
