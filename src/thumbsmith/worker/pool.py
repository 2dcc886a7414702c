"""The worker processes of this process."""

from __future__ import annotations

import atexit
import os
import threading
from collections.abc import Collection, Mapping
from functools import cache
from time import monotonic
from typing import Self

from thumbsmith.environment import isolation_required
from thumbsmith.errors import NotIsolated, WorkerDied, WorkerError
from thumbsmith.image import check_output
from thumbsmith.image.check_output import Extras
from thumbsmith.image.limits import check_file_size
from thumbsmith.lifetime import Closing
from thumbsmith.reader import RangeReader
from thumbsmith.recipe import Recipe
from thumbsmith.worker.answers import Order
from thumbsmith.worker.budget import Budget, default_total
from thumbsmith.worker.isolation import LAYERS
from thumbsmith.worker.launch import Launched
from thumbsmith.worker.parent import Template, Work, attempt, patience
from thumbsmith.worker.wire import Closed, Garbled


class Workers(Closing):
    """Up to `count` worker processes, started when they are first needed, for use from any number of threads.

    `count` is by default the number of cores that this process may use; `memory` the bytes that may be predicted for
    all sources in work together, by default half of what there is. `ceiling` is the bytes that one worker's process may
    take beyond what it starts with, for a machine that has less to spare than a recipe's limits allow; what takes more
    is rejected as over_memory.

    Where the environment variable THUMBSMITH_ISOLATION is `required`, no source is handled on a system that lacks a
    layer of isolation; a `with` block does not begin there. Making `Workers` raises UsageError where that variable has
    an unknown value.
    """

    def __init__(self, count: int | None = None, memory: int | None = None, ceiling: int | None = None) -> None:
        self._slots = threading.BoundedSemaphore(count or usable_cores())
        self._budget = Budget(memory or default_total())
        self._ceiling = ceiling
        self._required = isolation_required()
        self._lock = threading.Lock()
        self._idle: list[Template] = []
        self._all: set[Template] = set()
        self._closed = False
        self._owner = os.getpid()

    def __enter__(self) -> Self:
        """Return itself. Raises as `check_isolation` does."""
        self.check_isolation()
        return self

    def check_isolation(self) -> None:
        """Where THUMBSMITH_ISOLATION is `required`, start a worker now, and see.

        Raises NotIsolated, WorkerError; then these workers are closed.
        """
        if self._required:
            try:
                self.start()
            except WorkerError:
                self.close()
                raise

    def start(self, launched: Launched | None = None) -> None:
        """Start a worker process ahead, so that the first source need not wait for it, and return at once.

        A program that has launched one before it loaded this class has it taken in. Raises WorkerError where none can
        be started, or these workers are closed; NotIsolated where isolation is required and a layer is missing.
        """
        self._put_back(self._take_in(launched))
        if self._required:
            self.layers()

    def layers(self) -> dict[str, bool]:
        """Return of each layer of isolation (worker/isolation.py) whether it holds here, as a worker process has tried.

        Raises WorkerError where none can be started or it does not answer, NotIsolated as `start` does.
        """
        template = self._take()
        try:
            return self._layers_of(template)
        finally:
            self._put_back(template)

    def _layers_of(self, template: Template) -> dict[str, bool]:
        try:
            found = dict.fromkeys(LAYERS, False) | template.layers()
        except (Closed, Garbled, TimeoutError) as problem:
            template.busy = True  # so that it is not used again
            raise WorkerError("the worker process ended before it could say how it is isolated") from problem
        if self._required:
            refuse_missing(found)
        return found

    def render(
        self, reader: RangeReader, recipe: Recipe, wanted: Collection[str] | None = None, *, until: float | None = None
    ) -> Work:
        """Return the renditions named in `wanted` (`small.webp`), all for None, made in a process without power.

        Blocks while all workers are busy. A worker that is not done at `until`, by time.monotonic(), is taken for one
        that hung; by default it has far more time than a recipe's limits allow. Raises Rejected where the source never
        gives a thumbnail; WorkerError where two fresh processes in turn died over it, one hung, or these workers are
        closed; MissingDecoder; and whatever the reader raises.
        """
        check_file_size(reader.size, recipe.limits)
        order = Order(reader, recipe, None if wanted is None else frozenset(wanted), self._ceiling)
        with self._slots:
            try:
                return self._attempt(order, until)
            except WorkerDied:
                return self._attempt(order, until)

    def close(self) -> None:
        """Kill all workers, busy ones too: their callers get WorkerError. Safe to repeat, and to call in a fork."""
        if os.getpid() != self._owner:
            return
        with self._lock:
            self._closed = True
            for template in self._all:
                template.kill()
            while self._idle:
                self._discard(self._idle.pop())

    def _attempt(self, order: Order, until: float | None) -> Work:
        template = self._take()
        try:
            seconds = patience(order.recipe.limits)
            seconds = min(seconds, until - monotonic()) if until else seconds
            if self._required:
                self._layers_of(template)
            return _checked(attempt(order, template, self._budget, seconds), order.recipe)
        finally:
            self._put_back(template)

    def _take(self) -> Template:
        with self._lock:
            if self._idle and not self._closed:
                return self._idle.pop()
        return self._take_in()

    def _take_in(self, launched: Launched | None = None) -> Template:
        with self._lock:
            if self._closed:
                raise WorkerError("the workers are closed")
            template = Template(launched)
            self._all.add(template)
            return template

    def _put_back(self, template: Template) -> None:
        """Keep a template for the next source, unless its child may still be there."""
        with self._lock:
            if template.busy or self._closed:
                self._discard(template)
            else:
                self._idle.append(template)

    def _discard(self, template: Template) -> None:
        self._all.discard(template)
        template.discard()


def _checked(work: Work, recipe: Recipe) -> Work:
    """Return what was made; raise WorkerError where a rendition is not a plain picture, which is never to be stored."""
    asked = {each.name: Extras.of(each) for each in recipe.variants}
    for made in work.renditions:
        try:
            check_output.check(made, asked[made.variant])
        except check_output.OutputError as error:
            raise WorkerError(f"the worker process made a {made.name} that is not to be stored: {error}") from error
    return work


def refuse_missing(layers: Mapping[str, bool]) -> None:
    """Raise NotIsolated where a layer of isolation does not hold."""
    missing = [layer.blocks for name, layer in LAYERS.items() if not layers.get(name)]
    if missing:
        what = ", ".join(missing)
        raise NotIsolated(
            f"THUMBSMITH_ISOLATION=required, and this system does not block {what}: no picture is handled"
            " (docs/security.md says what each layer does)"
        )


def usable_cores() -> int:
    """Return the number of cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@cache
def _started() -> Workers:
    workers = Workers()
    atexit.register(workers.close)
    return workers


_starting = threading.Lock()


def shared() -> Workers:
    """Return the workers that all of this process shares; they end with it. A fork of this process has its own."""
    with _starting:
        return _started()


os.register_at_fork(after_in_child=_started.cache_clear)
