"""A protocol as a table of states, which is derived from the generator.

A generator cannot be copied, so a state of a worker is a list of results, from which it is replayed. Two lists are one
state if they leave the generator at the same place with the same values in all local variables, including those of
generators that it delegates to: its further actions are the same. (The position of a loop is no local variable, but
no two rounds of a loop here have the same value in the loop's variable.)
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from types import GeneratorType
from typing import Any, NamedTuple, TypeAlias

from tests.proof.world import Advance
from thumbsmith.recipe import Recipe
from thumbsmith.reconcile.effects import Effect, PutAll
from thumbsmith.reconcile.protocol import Outcome


class Event(NamedTuple):
    """A message: the number of the change, whether the object existed after it, and whether it was delivered before."""

    number: int
    exists: bool
    redelivered: bool = False


AnyEffect: TypeAlias = Effect | Advance
Protocol: TypeAlias = Callable[[Event, Recipe], Generator[AnyEffect, Any, Outcome]]


def one_at_a_time(
    protocol: Generator[Effect, Any, Outcome], *, last_first: bool = False
) -> Generator[AnyEffect, Any, Outcome]:
    """Yield the effects of a protocol, and each of the writes that may happen at the same time alone.

    A store applies such writes in some order. If a worker dies or is frozen meanwhile, those that are applied are the
    first ones of some order. Here a source has two renditions: there are two orders.
    """
    result: object = None
    while True:
        try:
            effect = protocol.send(result)
        except StopIteration as end:
            outcome: Outcome = end.value
            return outcome
        if not isinstance(effect, PutAll):
            result = yield effect
            continue
        etags: dict[str, str] = {}
        for put in reversed(effect.puts) if last_first else effect.puts:
            etags[put.name] = yield put
        result = [etags[put.name] for put in effect.puts]


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """A state of a worker: its next effect; or, if `asks` is None, that it is done and may acknowledge."""

    number: int
    event: Event
    recipe: Recipe
    results: tuple[object, ...]
    asks: AnyEffect | None
    description: str  # for people: the number of the event, and the effect


class Program:
    """All reached states of a worker with one protocol. With `merged` False, equal states are not merged."""

    def __init__(self, protocol: Protocol, *, merged: bool = True) -> None:
        self._protocol = protocol
        self._merged = merged
        self._nodes: dict[object, Node] = {}
        self.nodes: list[Node] = []  # by number
        self._next: dict[tuple[Node, object], Node] = {}

    def begin(self, event: Event, recipe: Recipe) -> Node:
        """Return the state of a worker that has just received a message."""
        return self._node(event, recipe, (None,))

    def after(self, node: Node, result: object) -> Node:
        """Return the state after this result."""
        step = (node, frozen(result))
        if step not in self._next:
            self._next[step] = self._node(node.event, node.recipe, (*node.results, result))
        return self._next[step]

    def _node(self, event: Event, recipe: Recipe, results: tuple[object, ...]) -> Node:
        running = self._protocol(event, recipe)
        asks: AnyEffect | None = None
        try:
            for result in results:
                asks = running.send(result)
        except StopIteration:
            asks = None
        state = (event, recipe, frozen(running) if self._merged else frozen(results))
        if state not in self._nodes:
            self.nodes.append(Node(len(self.nodes), event, recipe, results, asks, f"{event.number}: {_describe(asks)}"))
            self._nodes[state] = self.nodes[-1]
        node = self._nodes[state]
        if node.asks != asks:
            raise AssertionError(f"merged into one state: {node.asks} and {asks}")
        return node


def _describe(asks: AnyEffect | None) -> str:
    return " ".join([type(asks).__name__, getattr(asks, "name", "")]).strip() if asks else "acknowledges"


def frozen(value: Any) -> object:
    """Return a hashable object that is equal exactly for equal values; for a generator, its position and variables."""
    if isinstance(value, GeneratorType):
        frame = value.gi_frame
        return frame and (frame.f_code, frame.f_lasti, frozen(frame.f_locals), frozen(value.gi_yieldfrom))
    if isinstance(value, Mapping):
        return tuple((name, frozen(found)) for name, found in value.items())
    if isinstance(value, tuple | list):
        return tuple(map(frozen, value))
    if isinstance(value, set):
        return frozenset(value)
    if is_dataclass(value):
        return value if _hashes(value) else (type(value), *(frozen(getattr(value, f.name)) for f in fields(value)))
    return value


def _hashes(value: object) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True
