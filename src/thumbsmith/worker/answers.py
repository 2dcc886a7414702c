"""What a child may say, checked: it has handled hostile bytes, and may be theirs by now."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, fields
from typing import Final, TypeAlias

from thumbsmith.errors import Code, MissingDecoder, Rejected, WorkerError
from thumbsmith.keys import expected
from thumbsmith.probe.types import Probe
from thumbsmith.reader import RangeReader
from thumbsmith.recipe import Format, Recipe, Variant
from thumbsmith.recipe.values import MAX_RENDITION_SIDE
from thumbsmith.rendition import Rendition
from thumbsmith.worker.source import LARGEST
from thumbsmith.worker.wire import Frame, Garbled

# Of a sentence that a child says, this many characters are kept.
MAX_SENTENCE: Final = 500

SOURCE_FORMATS: Final = frozenset({"jpeg", "png", "gif", "webp", "tiff", "bmp", "avif", "heic"})
PROBE_FIELDS: Final = {each.name: {"str": str, "int": int, "bool": bool}[str(each.type)] for each in fields(Probe)}
MAX_NUMBER: Final = 1 << 62
COLOR: Final = re.compile(r"#[0-9a-f]{6}")


@dataclass(frozen=True, slots=True)
class Order:
    """One source, and what is to be made of it: the renditions named in `wanted`, all for None.

    `ceiling` is the bytes of memory that its process may take, None for what the recipe's limits allow.
    """

    reader: RangeReader
    recipe: Recipe
    wanted: frozenset[str] | None
    ceiling: int | None = None


@dataclass(frozen=True, slots=True)
class Read:
    """It asks for bytes of the source."""

    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class Admit:
    """It has judged the header, and asks to decode, which is predicted to take `memory` bytes."""

    memory: int


@dataclass(frozen=True, slots=True)
class Made:
    """It is done: the header's facts, the renditions, and the picture's colour."""

    probe: Probe
    renditions: tuple[Rendition, ...]
    color: str | None


Answer: TypeAlias = Read | Admit | Made


def understand(frame: Frame, order: Order) -> Answer:
    """Return what a child says about an order, every value checked.

    Raises Rejected, MissingDecoder or WorkerError where it says that, Garbled where it says what no child of ours says.
    """
    match frame.word, frame.fields:
        case "read", {"offset": offset, "length": length}:
            offset = _number(offset, 0, order.reader.size - 1)
            return Read(offset, _number(length, 1, min(LARGEST, order.reader.size - offset)))
        case "admit", {"memory": memory}:
            return Admit(_number(memory, 0, order.recipe.limits.max_memory))
        case "made", {"probe": probe, "renditions": list(pictures), "color": color}:
            facts = _probe(probe, order.reader.size)
            return Made(facts, _renditions(pictures, frame.blobs, facts, order), _color(color))
        case "rejected", {"code": str(code), "detail": str(detail)} if code in set(Code):
            raise Rejected(Code(code), _sentence(detail))
        case "missing", {"detail": str(detail)}:
            raise MissingDecoder(_sentence(detail))
        case "failed", {"detail": str(detail)}:
            raise WorkerError(_sentence(detail))
    raise Garbled(f"{_sentence(frame.word)!r} with {len(frame.fields)} fields")


def _probe(said: object, size: int) -> Probe:
    if not isinstance(said, dict) or said.keys() != PROBE_FIELDS.keys():
        raise Garbled("a probe with other fields")
    for name, kind in PROBE_FIELDS.items():
        if type(said[name]) is not kind or (kind is int and not 0 <= said[name] <= MAX_NUMBER):
            raise Garbled(f"a probe with another kind of {name}")
    probe = Probe(**said)
    if probe.format not in SOURCE_FORMATS or probe.bytes != size or probe.orientation not in range(1, 9):
        raise Garbled("a probe that cannot be")
    return probe


def _renditions(pictures: list[object], blobs: Collection[bytes], probe: Probe, order: Order) -> tuple[Rendition, ...]:
    """Return the renditions, which are those that were ordered, no more and no fewer, in the recipe's order."""
    names = expected(order.recipe, probe.format, alpha=probe.alpha)
    due = [name for name in names if order.wanted is None or name in order.wanted]
    if not len(due) == len(pictures) == len(blobs):
        raise Garbled(f"{len(pictures)} renditions in {len(blobs)} blobs, instead of {len(due)}")
    said = zip(due, pictures, blobs, strict=True)
    return tuple(_rendition(name, *names[name], picture, data) for name, picture, data in said)


def _rendition(name: str, variant: Variant, kind: Format, said: object, data: bytes) -> Rendition:
    match said:
        case {"name": said_name, "width": width, "height": height} if said_name == name and data:
            return Rendition(
                variant=variant.name,
                format=kind,
                type=kind.media_type,
                width=_number(width, 1, MAX_RENDITION_SIDE),
                height=_number(height, 1, MAX_RENDITION_SIDE),
                data=data,
            )
    raise Garbled(f"another rendition than {name}")


def _color(said: object) -> str | None:
    if said is None or (isinstance(said, str) and COLOR.fullmatch(said)):
        return said
    raise Garbled("a colour that is none")


def _number(said: object, least: int, most: int) -> int:
    if type(said) is not int or not least <= said <= most:
        raise Garbled(f"no whole number from {least} to {most}")
    return said


def _sentence(said: str) -> str:
    """Return a text that is safe to show and to store: printable, and not too long."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in said[:MAX_SENTENCE])
