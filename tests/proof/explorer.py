"""Every interleaving of a few workers over one key, and the first wrong state, if there is one."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sized
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cache
from typing import Any, Final, NamedTuple

from tests.proof.program import Event, Program, Protocol
from tests.proof.world import NEW, OLD, Destination, Moment, assessment, is_correct, perform
from thumbsmith.recipe import Recipe
from thumbsmith.recipe.names import MANIFEST
from thumbsmith.reconcile.effects import Delete, Put
from thumbsmith.reconcile.manifest import parse

HINT: Final = Event(0, exists=True)


class State(NamedTuple):
    """The whole state at one time. Destinations and states of workers are numbers.

    Messages, workers and late writes are sorted, because their order makes no difference.
    """

    moment: int
    destination: int
    queue: tuple[Event, ...]
    workers: tuple[int, ...]  # running
    late: tuple[
        int, ...
    ]  # dead workers whose last write the store may still apply; their messages are hidden until then
    frozen: tuple[int, ...]  # stopped during a write, after their messages were returned
    crashes: int
    duplicates: int
    freezes: int


class Answer(StrEnum):
    """How a function that runs out of time during a write returns its message, before it is frozen."""

    CUT = "the connection is closed first, and the message is hidden while the store may apply the write"
    OPEN = "the connection stays open, and the write is sent again after the thaw"
    AT_ONCE = "the connection is closed first, but others see the message at once"


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What is explored.

    `history` has a letter for each change of the source: a content (world.py), "-" for a deletion, "r" for a new
    recipe, "s" for the `sync` after it. `made` is an earlier content that already has thumbnails. `crashes` and
    `duplicates` are the maximum numbers of these, and `freezes` the number of frozen functions, which return their
    messages as `answer` says. `numbered` says whether messages have numbers; the real protocol uses only
    the key. `counted` says whether a message shows that it was delivered before. With `planned`, the
    message of the `sync` says whether its plan found nothing in the destination: then its first delivery is as that of
    a new source. With `side_by_side`, new workers may
    have the old recipe until the `sync`.
    """

    protocol: Protocol
    history: str
    made: str = ""
    workers: int = 2
    crashes: int = 1
    duplicates: int = 1
    freezes: int = 0
    answer: Answer = Answer.CUT
    fresh_etags: bool = False
    digests: bool = False
    numbered: bool = False
    counted: bool = False
    planned: bool = False
    side_by_side: bool = False
    merged: bool = True
    limit: int = 12_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """The numbers of states and of states at rest; and, if one is wrong, why, and the trace to it.

    `worlds` are all destinations, each with the number of changes of the source before it.
    """

    states: int
    at_rest: int
    worlds: frozenset[tuple[int, Destination]]
    wrong: str = ""
    trace: tuple[str, ...] = ()


def explore(run: Run) -> Result:
    """Explore breadth first, so that a trace is one of the shortest. Stop at the first wrong state."""
    return _Explorer(run).explore()


class _Explorer:
    def __init__(self, run: Run) -> None:
        self.run = run
        self.program = Program(run.protocol, merged=run.merged)
        self.moments = _moments(run)
        self.destinations: list[Destination] = []
        self.numbers: dict[Destination, int] = {}
        self.effects: dict[tuple[int, int, int], tuple[int, int]] = {}
        self.judged: dict[tuple[int, int], tuple[bool, bool]] = {}

    def explore(self) -> Result:
        start = State(0, self.before(), (), (), (), (), 0, 0, 0)
        came_from: dict[State, State | None] = {start: None}
        todo, at_rest = deque([start]), 0
        while todo:
            state = todo.popleft()
            resting = not (state.queue or state.workers or state.late or state.frozen)
            at_rest += resting
            wrong = self.wrong(state, resting=resting)
            if wrong:
                return self.result(came_from, at_rest, wrong, self.trace(came_from, state))
            for _, after in self.actions(state):
                if after not in came_from:
                    came_from[after] = state
                    todo.append(after)
            if len(came_from) > self.run.limit:
                raise AssertionError(f"more than {self.run.limit} states")
        return self.result(came_from, at_rest)

    def before(self) -> int:
        """Return the first destination: the result of one worker alone."""
        destination = self.number(Destination(fresh_etags=self.run.fresh_etags, digests=self.run.digests))
        worker = self.program.begin(HINT, OLD).number
        while self.program.nodes[worker].asks:
            destination, worker = self.effect(worker, State(0, destination, (), (), (), (), 0, 0, 0))
        return destination

    def result(self, states: Sized, at_rest: int, wrong: str = "", trace: tuple[str, ...] = ()) -> Result:
        """Return the result."""
        worlds = frozenset((moment, self.destinations[destination]) for moment, destination in self.judged)
        return Result(states=len(states), at_rest=at_rest, worlds=worlds, wrong=wrong, trace=trace)

    def wrong(self, state: State, *, resting: bool) -> str:
        """Return what is wrong now: what counts as fresh must be correct, and at rest everything must be."""
        pair = (state.moment, state.destination)
        if pair not in self.judged:
            moment, destination = self.moments[state.moment], self.destinations[state.destination]
            self.judged[pair] = is_correct(destination, moment), _is_wrongly_fresh(destination, moment)
        correct, misleads = self.judged[pair]
        if misleads:
            return "an examination finds fresh what is not"
        return "at rest and wrong" if resting and not correct and self.moments[state.moment].settled else ""

    def actions(self, state: State) -> Iterator[tuple[str, State]]:
        """Yield every possible next action, with the state after it."""
        yield from self.changes(state)
        yield from self.deliveries(state)
        for place, worker in enumerate(state.workers):
            yield from self.moves(state, worker, _without(state.workers, place))
        for place, worker in enumerate(state.late):
            queue, late = _with(state.queue, self.again(worker)), _without(state.late, place)
            landed, _ = self.effect(worker, state)
            yield "a late write is applied", state._replace(destination=landed, queue=queue, late=late)
            yield "a late write is lost", state._replace(queue=queue, late=late)
        for place, worker in enumerate(state.frozen):
            frozen = _without(state.frozen, place)
            if self.run.answer is not Answer.CUT:  # else nothing can be sent: the connection is closed
                landed, _ = self.effect(worker, state)
                yield "a frozen worker's write is applied", state._replace(destination=landed, frozen=frozen)
            yield "a frozen worker thaws, and writes nothing", state._replace(frozen=frozen)

    def changes(self, state: State) -> Iterator[tuple[str, State]]:
        """Yield the next change of the history. `sync` waits until no worker has an older recipe."""
        number = state.moment
        if number == len(self.run.history):
            return
        letter, moment = self.run.history[number], self.moments[number + 1]
        busy = (self.program.nodes[worker].recipe for worker in (*state.workers, *state.late))
        if letter == "s" and any(recipe != moment.recipe for recipe in busy):
            return
        event = Event(number + 1, exists=bool(moment.content)) if self.run.numbered else HINT
        if letter == "s" and self.run.counted:  # the message says whether the plan found something made of the source
            is_untouched = self.run.planned and not self.destinations[state.destination].objects
            event = event._replace(redelivered=not is_untouched)
        queue = state.queue if letter == "r" else _with(state.queue, event)
        yield f"change {letter}", state._replace(moment=number + 1, queue=queue)

    def deliveries(self, state: State) -> Iterator[tuple[str, State]]:
        """Yield every message that may be received or duplicated."""
        for event in dict.fromkeys(state.queue):
            queue = _without(state.queue, state.queue.index(event))
            if len(state.workers) < self.run.workers:
                for recipe in self.recipes(state.moment):
                    node = self.program.begin(event, recipe)
                    yield f"take {event.number}", state._replace(queue=queue, workers=_with(state.workers, node.number))
            if state.duplicates < self.run.duplicates:
                again = _with(state.queue, event)
                yield f"double {event.number}", state._replace(queue=again, duplicates=state.duplicates + 1)

    def recipes(self, moment: int) -> tuple[Recipe, ...]:
        """Return the recipes that a worker may have that starts at this moment."""
        now = self.moments[moment]
        return (OLD, now.recipe) if self.run.side_by_side and not now.settled else (now.recipe,)

    def again(self, worker: int) -> Event:
        """Return the message of a worker that did not acknowledge it."""
        event = self.program.nodes[worker].event
        return event._replace(redelivered=self.run.counted)

    def moves(self, state: State, worker: int, others: tuple[int, ...]) -> Iterator[tuple[str, State]]:
        """Yield the possible actions of a worker, including its death."""
        node = self.program.nodes[worker]
        if node.asks is None:
            yield node.description, state._replace(workers=others)
        else:
            destination, after = self.effect(worker, state)
            workers = _with(others, after)
            yield node.description, state._replace(destination=destination, workers=workers)
        if state.crashes < self.run.crashes:
            crashed = state._replace(workers=others, crashes=state.crashes + 1)
            yield f"{node.event.number}: dies", crashed._replace(queue=_with(state.queue, self.again(worker)))
            if isinstance(node.asks, Put | Delete):
                yield f"{node.event.number}: dies, still writing", crashed._replace(late=_with(state.late, worker))
        if state.freezes < self.run.freezes:
            yield from self.freezings(state._replace(workers=others, freezes=state.freezes + 1), worker)

    def freezings(self, state: State, worker: int) -> Iterator[tuple[str, State]]:
        """Yield how a worker that runs out of time returns its message; then it is frozen until any later time."""
        node, frozen = self.program.nodes[worker], _with(state.frozen, worker)
        back = state._replace(queue=_with(state.queue, self.again(worker)))
        if not isinstance(node.asks, Put | Delete):
            yield f"{node.event.number}: freezes", back
            return
        yield f"{node.event.number}: freezes, writing", back._replace(frozen=frozen)
        if self.run.answer is Answer.CUT:  # the store may apply the write while the message is hidden
            yield f"{node.event.number}: freezes, written", state._replace(late=_with(state.late, worker))

    def effect(self, worker: int, state: State) -> tuple[int, int]:
        """Return the destination and the worker after its next effect."""
        case = (worker, state.destination, state.moment)
        if case not in self.effects:
            node, moment = self.program.nodes[worker], self.moments[state.moment]
            assert node.asks is not None
            after, result = perform(node.asks, self.destinations[state.destination], moment, node.recipe)
            self.effects[case] = self.number(after), self.program.after(node, result).number
        return self.effects[case]

    def number(self, destination: Destination) -> int:
        """Return the number of a destination."""
        number = self.numbers.setdefault(destination, len(self.destinations))
        if number == len(self.destinations):
            self.destinations.append(destination)
        return number

    def trace(self, came_from: dict[State, State | None], end: State) -> tuple[str, ...]:
        """Return the actions from the start to this state."""
        actions: list[str] = []
        state, before = end, came_from[end]
        while before is not None:
            action = next(action for action, after in self.actions(before) if after == state)
            actions.append(f"{action:40} {self._shown(state)}")
            state, before = before, came_from[before]
        return tuple(reversed(actions))

    def _shown(self, state: State) -> str:
        objects = self.destinations[state.destination].objects
        stored = ", ".join(
            f"{each.name}={each.data.decode().split()[0]}" for each in objects if "json" not in each.name
        )
        record = next((each.data for each in objects if "json" in each.name), None)
        return f"source {self.moments[state.moment].content}; {stored}; {_recorded(record)}"


def _moments(run: Run) -> tuple[Moment, ...]:
    moments = [Moment(run.made or None, run.made, OLD)]
    for number, letter in enumerate(run.history, start=1):
        content, etag, recipe = moments[-1].content, moments[-1].etag, moments[-1].recipe
        if letter == "r":
            moments.append(Moment(content, etag, NEW, settled=False))
        elif letter == "s":
            moments.append(Moment(content, etag, recipe))
        else:
            etag = f"{letter}{number}" if run.fresh_etags else letter
            moments.append(Moment(None if letter == "-" else letter, etag, recipe, settled=moments[-1].settled))
    return tuple(moments)


def _is_wrongly_fresh(destination: Destination, moment: Moment) -> bool:
    """Return whether an examination finds nothing to render, though more is wrong than it reports.

    It reports obsolete renditions, and a manifest with an earlier etag of the same source.
    """
    found = assessment(destination, moment)
    if found is None or not found.settled:
        return False
    for name in found.obsolete:
        destination = destination.without(name)
    if found.touched:
        manifest = destination.get(MANIFEST)
        recorded = parse(manifest.data) if manifest else None
        moment = replace(moment, etag=recorded.source.etag) if recorded else moment
    return not is_correct(destination, moment)


def _recorded(data: bytes | None) -> str:
    manifest = parse(data) if data else None
    return f"manifest of {manifest.source.etag}" if manifest else "no manifest"


@cache
def _with(values: tuple[Any, ...], value: Any) -> tuple[Any, ...]:
    return tuple(sorted([*values, value]))


@cache
def _without(values: tuple[Any, ...], place: int) -> tuple[Any, ...]:
    return values[:place] + values[place + 1 :]
