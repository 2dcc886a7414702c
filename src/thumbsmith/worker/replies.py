"""The replies of a child, checked: a child has decoded hostile bytes and may be under their control."""

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
from thumbsmith.worker.wire import MAX_BLOCK_BYTES, Frame, ProtocolError

# What a child may say that a missing package belongs to. Its answer becomes part of a command that people run.
EXTRAS: Final = frozenset(each.extra for each in SOURCE_FORMATS.values())

MAX_SENTENCE_CHARS: Final = 500
MAX_NOTES: Final = 10

# Bytes of a rendition in addition to its pixels: tables, author and copyright notice, the header of each frame, and the
# longest color profile that a JPEG can hold (ICC.1:2022, B.4), if profiles are kept.
MAX_METADATA_BYTES: Final = 64 << 10
FRAME_HEADER_BYTES: Final = 1 << 10
MAX_PROFILE_BYTES: Final = 255 << 16

PROBE_FIELDS: Final = {each.name: {"str": str, "int": int, "bool": bool}[str(each.type)] for each in fields(Probe)}
MAX_NUMBER: Final = 1 << 62
COLOR: Final = re.compile(r"#[0-9a-f]{6}")
THUMBHASH: Final = re.compile(r"[A-Za-z0-9+/]{8,40}={0,2}")


@dataclass(frozen=True, slots=True)
class RenderJob:
    """One source, and the names of the renditions to make of it, None for all.

    `ceiling` is the bytes of memory that the child may take, None for what the limits of the recipe allow.
    """

    reader: RangeReader
    recipe: Recipe
    wanted: frozenset[str] | None
    ceiling: int | None = None


@dataclass(frozen=True, slots=True)
class ReadRequest:
    """The child requests bytes of the source."""

    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class MemoryRequest:
    """The child has checked the header, and predicts that decoding takes `memory` bytes."""

    memory: int


@dataclass(frozen=True, slots=True)
class RenderResult:
    """The child is done. `notes` are sentences on what it ignored in the source."""

    probe: Probe
    renditions: tuple[Rendition, ...]
    color: str | None
    thumbhash: str | None = None
    notes: tuple[str, ...] = ()


Reply: TypeAlias = ReadRequest | MemoryRequest | RenderResult


def parse_reply(frame: Frame, job: RenderJob) -> Reply:
    """Return the reply of a child, every value checked.

    Raises Rejected, MissingDecoder or WorkerError where the child reports one, and ProtocolError for a reply that no
    child sends that runs our code.
    """
    match frame.kind, frame.fields:
        case "read", {"offset": offset, "length": length}:
            offset = _number(offset, 0, job.reader.size - 1)
            return ReadRequest(offset, _number(length, 1, min(MAX_BLOCK_BYTES, job.reader.size - offset)))
        case "admit", {"memory": memory}:
            return MemoryRequest(_number(memory, 0, job.recipe.limits.max_memory))
        case "made", {"probe": probe, "renditions": list(renditions), "notes": list(notes), **rest}:
            facts = _probe(probe, job)
            made = _renditions(renditions, frame.blobs, facts, job)
            color, thumbhash = _text(rest.get("color"), COLOR), _text(rest.get("thumbhash"), THUMBHASH)
            return RenderResult(facts, made, color, thumbhash, _notes(notes))
        case "rejected", {"code": str(code), "detail": str(detail)} if code in set(Code):
            raise Rejected(Code(code), _sentence(detail))
        case "missing", {"detail": str(detail), "extra": extra} if extra in EXTRAS:
            raise MissingDecoder(_sentence(detail), extra)
        case "failed", {"detail": str(detail)}:
            raise WorkerError(_sentence(detail))
    raise ProtocolError(f"{_sentence(frame.kind)!r} with {len(frame.fields)} fields")


def check_blob_sizes(frame: Frame, lengths: Sequence[int], job: RenderJob) -> None:
    """Raise ProtocolError where a child announces more bytes than its renditions can take, before any is received."""
    limits: list[int] = []
    if frame.kind == "made":
        facts = _probe(frame.fields.get("probe"), job)
        ordered = _ordered_renditions(facts, job).values()
        limits = [_max_bytes(facts, variant, kind, job.recipe.limits) for variant, kind in ordered]
    if len(lengths) != len(limits):
        raise ProtocolError(f"{len(lengths)} blobs, instead of {len(limits)}")
    for length, limit in zip(lengths, limits, strict=True):
        if length > limit:
            raise ProtocolError(f"{length} bytes for a picture that takes at most {limit}")


def _max_bytes(facts: Probe, variant: Variant, kind: Format, limits: Limits) -> int:
    """Return more bytes than any of our encoders writes for a variant: 5 for each pixel.

    Measured on noise in quality 100, bytes a pixel: JPEG 2.2; with alpha WebP 3.8, AVIF 3.4, PNG 4.1.
    """
    width, height = plan(facts.size, variant).canvas
    frames = min(facts.frames, limits.max_frames) if is_animated_as(facts, variant, kind) else 1
    profile = MAX_PROFILE_BYTES if variant.color is Color.KEEP else 0
    return frames * (5 * width * height + FRAME_HEADER_BYTES) + MAX_METADATA_BYTES + profile


def _ordered_renditions(facts: Probe, job: RenderJob) -> dict[str, tuple[Variant, Format]]:
    """Return the renditions of the job, by name, in the order of the recipe."""
    names = expected(job.recipe, facts.format, alpha=facts.alpha)
    return {name: made for name, made in names.items() if job.wanted is None or name in job.wanted}


def _probe(value: object, job: RenderJob) -> Probe:
    if not isinstance(value, dict) or value.keys() != PROBE_FIELDS.keys():
        raise ProtocolError("a probe with other fields")
    for name, kind in PROBE_FIELDS.items():
        if type(value[name]) is not kind or (kind is int and not 0 <= value[name] <= MAX_NUMBER):
            raise ProtocolError(f"a probe with another kind of {name}")
    probe = Probe(**value)
    plausible = probe.format in SOURCE_FORMATS and probe.bytes == job.reader.size and probe.orientation in range(1, 9)
    if not (plausible and probe.width and probe.height and probe.frames):
        raise ProtocolError("a probe that cannot be")
    try:
        check_limits(probe, job.recipe.limits, frames=decoded_frames(probe, job.recipe))
    except Rejected as rejected:
        raise ProtocolError(f"renditions of a source that must be rejected: {rejected.detail}") from None
    return probe


def _renditions(values: list[object], blobs: Collection[bytes], probe: Probe, job: RenderJob) -> tuple[Rendition, ...]:
    """Return the renditions, which must be exactly those of the job, in the order of the recipe."""
    ordered = _ordered_renditions(probe, job)
    if not len(ordered) == len(values) == len(blobs):
        raise ProtocolError(f"{len(values)} renditions in {len(blobs)} blobs, instead of {len(ordered)}")
    made = []
    for (name, (variant, kind)), value, data in zip(ordered.items(), values, blobs, strict=True):
        width, height = plan(probe.size, variant).canvas
        if value != {"name": name, "width": width, "height": height} or not data:
            raise ProtocolError(f"another rendition than {name} of {width}x{height}")
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


def _text(value: object, pattern: re.Pattern[str]) -> str | None:
    if value is None or (isinstance(value, str) and pattern.fullmatch(value)):
        return value
    raise ProtocolError("an invalid color or ThumbHash")


def _notes(values: list[object]) -> tuple[str, ...]:
    if len(values) > MAX_NOTES or not all(isinstance(note, str) for note in values):
        raise ProtocolError("invalid notes")
    return tuple(_sentence(str(note)) for note in values)


def _number(value: object, least: int, most: int) -> int:
    if type(value) is not int or not least <= value <= most:
        raise ProtocolError(f"no whole number from {least} to {most}")
    return value


def _sentence(text: str) -> str:
    """Return a text that is safe to show and to store: printable, and not too long."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text[:MAX_SENTENCE_CHARS])
