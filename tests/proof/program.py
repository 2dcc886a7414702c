"""A protocol as a table of states, got from the generator itself.

A generator cannot be copied, so a state of a worker is a list of replies, from which it is replayed. Two lists are one
state when they leave the generator in the same place with the same values in all local variables, also of the
generators that it delegates to: what it does from there on is the same. (Where a loop stands is no local variable; but
no two turns of a loop of ours have the same value in the loop's variable.)
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from types import GeneratorType
from typing import Any, NamedTuple, TypeAlias

from tests.proof.world import Advance
from thumbsmith.recipe import Recipe
from thumbsmith.reconcile.effects import Outcome, Request


class Event(NamedTuple):
    """What a message says: the number of the change, and whether the object was there after it."""

    number: int
    exists: bool


Asked: TypeAlias = Request | Advance
Protocol: TypeAlias = Callable[[Event, Recipe], Generator[Asked, Any, Outcome]]


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """A state of a worker: what it asks next, or, with `asks` None, that it is done and may acknowledge."""

    number: int
    event: Event
    recipe: Recipe
    replies: tuple[object, ...]
    asks: Asked | None
    told: str  # for people: the number of the event, and what it asks


class Program:
    """All states of a worker under one protocol that were reached so far. With `merged` False no two are one."""

    def __init__(self, protocol: Protocol, *, merged: bool = True) -> None:
        self._protocol = protocol
        self._merged = merged
        self._nodes: dict[object, Node] = {}
        self.nodes: list[Node] = []  # by number
        self._next: dict[tuple[Node, object], Node] = {}

    def begin(self, event: Event, recipe: Recipe) -> Node:
        """Return the state of a worker that has just taken a message."""
        return self._node(event, recipe, (None,))

    def after(self, node: Node, reply: object) -> Node:
        """Return the state that a reply leads to."""
        step = (node, frozen(reply))
        if step not in self._next:
            self._next[step] = self._node(node.event, node.recipe, (*node.replies, reply))
        return self._next[step]

    def _node(self, event: Event, recipe: Recipe, replies: tuple[object, ...]) -> Node:
        running = self._protocol(event, recipe)
        asks: Asked | None = None
        try:
            for reply in replies:
                asks = running.send(reply)
        except StopIteration:
            asks = None
        state = (event, recipe, frozen(running) if self._merged else frozen(replies))
        if state not in self._nodes:
            self.nodes.append(Node(len(self.nodes), event, recipe, replies, asks, f"{event.number}: {_told(asks)}"))
            self._nodes[state] = self.nodes[-1]
        node = self._nodes[state]
        if node.asks != asks:
            raise AssertionError(f"taken for one state: {node.asks} and {asks}")
        return node


def _told(asks: Asked | None) -> str:
    return " ".join([type(asks).__name__, getattr(asks, "name", "")]).strip() if asks else "acknowledges"


def frozen(value: Any) -> object:
    """Return a hashable stand-in that is equal exactly for equal values; of a generator, its place and variables."""
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
