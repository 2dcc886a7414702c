"""Events for thousands of sources, and the order of their messages."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import count
from typing import Final

REPEAT: Final = b"the message is repeated without a change"


def timeline(chance: random.Random, keys: int, contents: Iterator[bytes]) -> list[tuple[str, bytes | None]]:
    """Return four events for each key on average, the next one last.

    25 % create, 20 % overwrite, 10 % delete and recreate, 30 % repeat a message. The rest writes the same content again
    or deletes the source. The events of a key are close together, so that several workers work on it at once. A
    message may be repeated at any later time.
    """
    events: list[tuple[float, str, bytes | None]] = []
    for number in range(keys):
        key, time = f"{number}.jpg", chance.random()
        for data in _life(chance, contents):
            events.append((time, key, data))
            time += chance.random() * 20 / keys
        repeats = chance.choice((0, 1, 1, 2, 2))
        events.extend((time + chance.random() ** 4, key, REPEAT) for _ in range(repeats))
    return [(key, data) for _, key, data in sorted(events, key=lambda event: -event[0])]


def _life(chance: random.Random, contents: Iterator[bytes]) -> Iterator[bytes | None]:
    """Yield the contents of one source, one after another; None for a deletion."""
    had = [next(contents)]
    yield had[-1]
    happens = [
        what for what, odds in (("new", 0.6), ("back", 0.2), ("recreate", 0.2), ("again", 0.5)) if _is(chance, odds)
    ]
    chance.shuffle(happens)
    for what in happens:
        if what == "recreate":
            yield None
        if what == "new":
            had.append(next(contents))
        if what == "back":
            had.append(had[-2] if len(had) > 1 else next(contents))
        yield had[-1]
    if _is(chance, 0.1):
        yield None


def _is(chance: random.Random, odds: float) -> bool:
    return chance.random() < odds


def cheap_contents(chance: random.Random) -> Iterator[bytes]:
    """Yield different contents without end: most of them JPEG, some PNG, some invalid."""
    for number in count():
        yield f"{chance.choice(('jpg', 'jpg', 'jpg', 'png', 'bad'))} {number}".encode()
