"""What a child may say, checked: it has handled hostile bytes, and may be theirs by now."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields
from typing import Final, TypeAlias

from thumbsmith.errors import Code, MissingDecoder, Rejected, WorkerError
from thumbsmith.image.containers.base import Probe
from thumbsmith.image.formats import SOURCE_FORMATS
from thumbsmith.image.geometry import decoded_frames, is_animated_as, plan
from thumbsmith.image.limits import check_limits
from thumbsmith.reader import RangeReader
from thumbsmith.recipe import Format, Limits, Recipe, Variant
from thumbsmith.recipe.model import Color
from thumbsmith.recipe.names import Rendition, expected
from thumbsmith.worker.wire import LARGEST, Frame, Garbled

# Of a sentence that a child says, this many characters are kept.
MAX_SENTENCE: Final = 500
MAX_NOTES: Final = 10

# Bytes of a rendition besides its pixels: tables, and author and copyright notice; what each frame begins with; and the
# longest color profile that a JPEG can hold (ICC.1:2022, B.4), of those that are kept.
OVERHEAD: Final = 64 << 10
FRAME_BYTES: Final = 1 << 10
LARGEST_PROFILE: Final = 255 << 16

PROBE_FIELDS: Final = {each.name: {"str": str, "int": int, "bool": bool}[str(each.type)] for each in fields(Probe)}
MAX_NUMBER: Final = 1 << 62
COLOR: Final = re.compile(r"#[0-9a-f]{6}")
THUMBHASH: Final = re.compile(r"[A-Za-z0-9+/]{8,40}={0,2}")


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
    """It is done: the header's facts, the renditions, the picture's colour and ThumbHash, and what was ignored."""

    probe: Probe
    renditions: tuple[Rendition, ...]
    color: str | None
    thumbhash: str | None = None
    notes: tuple[str, ...] = ()


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
        case "made", {"probe": probe, "renditions": list(pictures), "notes": list(notes), **rest}:
            facts = _probe(probe, order)
            made = _renditions(pictures, frame.blobs, facts, order)
            color, placeholder = _text(rest.get("color"), COLOR), _text(rest.get("thumbhash"), THUMBHASH)
            return Made(facts, made, color, placeholder, _notes(notes))
        case "rejected", {"code": str(code), "detail": str(detail)} if code in set(Code):
            raise Rejected(Code(code), _sentence(detail))
        case "missing", {"detail": str(detail)}:
            raise MissingDecoder(_sentence(detail))
        case "failed", {"detail": str(detail)}:
            raise WorkerError(_sentence(detail))
    raise Garbled(f"{_sentence(frame.word)!r} with {len(frame.fields)} fields")


def check_sizes(said: Frame, lengths: Sequence[int], order: Order) -> None:
    """Raise Garbled where a child announces more bytes than what it made can take: before any of them is received."""
    most: list[int] = []
    if said.word == "made":
        facts = _probe(said.fields.get("probe"), order)
        most = [_most_bytes(facts, variant, kind, order.recipe.limits) for variant, kind in _due(facts, order).values()]
    if len(lengths) != len(most):
        raise Garbled(f"{len(lengths)} blobs, instead of {len(most)}")
    for length, bound in zip(lengths, most, strict=True):
        if length > bound:
            raise Garbled(f"{length} bytes for a picture that takes at most {bound}")


def _most_bytes(facts: Probe, variant: Variant, kind: Format, limits: Limits) -> int:
    """Return more bytes than any of our encoders writes for a variant: those of its pixels and a quarter.

    Measured on noise in quality 100, bytes a pixel: JPEG 2.2; with alpha WebP 3.8, AVIF 3.4, PNG 4.1.
    """
    width, height = plan(facts.size, variant).canvas
    frames = min(facts.frames, limits.max_frames) if is_animated_as(facts, variant, kind) else 1
    profile = LARGEST_PROFILE if variant.color is Color.KEEP else 0
    return frames * (5 * width * height + FRAME_BYTES) + OVERHEAD + profile


def _due(facts: Probe, order: Order) -> dict[str, tuple[Variant, Format]]:
    """Return the renditions that were ordered, by name, in the recipe's order."""
    names = expected(order.recipe, facts.format, alpha=facts.alpha)
    return {name: made for name, made in names.items() if order.wanted is None or name in order.wanted}


def _probe(said: object, order: Order) -> Probe:
    if not isinstance(said, dict) or said.keys() != PROBE_FIELDS.keys():
        raise Garbled("a probe with other fields")
    for name, kind in PROBE_FIELDS.items():
        if type(said[name]) is not kind or (kind is int and not 0 <= said[name] <= MAX_NUMBER):
            raise Garbled(f"a probe with another kind of {name}")
    probe = Probe(**said)
    right = probe.format in SOURCE_FORMATS and probe.bytes == order.reader.size and probe.orientation in range(1, 9)
    if not (right and probe.width and probe.height and probe.frames):
        raise Garbled("a probe that cannot be")
    try:
        check_limits(probe, order.recipe.limits, frames=decoded_frames(probe, order.recipe))
    except Rejected as rejected:
        raise Garbled(f"renditions of a source that is to be rejected: {rejected.detail}") from None
    return probe


def _renditions(pictures: list[object], blobs: Collection[bytes], probe: Probe, order: Order) -> tuple[Rendition, ...]:
    """Return the renditions, which are those that were ordered, no more and no fewer, in the recipe's order."""
    due = _due(probe, order)
    if not len(due) == len(pictures) == len(blobs):
        raise Garbled(f"{len(pictures)} renditions in {len(blobs)} blobs, instead of {len(due)}")
    made = []
    for (name, (variant, kind)), picture, data in zip(due.items(), pictures, blobs, strict=True):
        width, height = plan(probe.size, variant).canvas
        if picture != {"name": name, "width": width, "height": height} or not data:
            raise Garbled(f"another rendition than {name} of {width}x{height}")
        made.append(
            Rendition(
                variant=variant.name,
                format=kind,
                type=kind.media_type,
                width=width,
                height=height,
                data=data,
                density=variant.density,
            )
        )
    return tuple(made)


def _text(said: object, pattern: re.Pattern[str]) -> str | None:
    if said is None or (isinstance(said, str) and pattern.fullmatch(said)):
        return said
    raise Garbled("a colour or ThumbHash that is none")


def _notes(said: list[object]) -> tuple[str, ...]:
    if len(said) > MAX_NOTES or not all(isinstance(note, str) for note in said):
        raise Garbled("notes that are none")
    return tuple(_sentence(str(note)) for note in said)


def _number(said: object, least: int, most: int) -> int:
    if type(said) is not int or not least <= said <= most:
        raise Garbled(f"no whole number from {least} to {most}")
    return said


def _sentence(said: str) -> str:
    """Return a text that is safe to show and to store: printable, and not too long."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in said[:MAX_SENTENCE])
