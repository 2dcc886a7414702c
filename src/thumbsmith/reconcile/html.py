"""The thumbnails of one source as a `<picture>` element, from its manifest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from urllib.parse import quote

from thumbsmith.errors import UsageError
from thumbsmith.recipe.model import MOST_SUPPORTED_FIRST, SMALLEST_FIRST, Format
from thumbsmith.reconcile.manifest import Manifest, RenditionRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Which renditions the element contains: all densities of `variant`, or, if it is None, all that are not cropped.

    `base` is the URL of the destination. `sizes` is the attribute of that name; "" means the largest width. `alt` is
    the alternative text.
    """

    base: str = ""
    variant: str | None = None
    sizes: str = ""
    alt: str = ""


def picture(manifest: Manifest, choice: Choice) -> str:
    """Return the element, with one line for each part. All text in it is escaped.

    Raises UsageError if the source was rejected, or if it has no rendition of this choice.
    """
    formats = _formats(manifest, choice)
    # A browser uses the first format that it supports, and the fallback if it supports no other:
    # https://html.spec.whatwg.org/multipage/embedded-content.html, "the source element"
    fallback = next(kind for kind in MOST_SUPPORTED_FIRST if kind in formats)
    first = [kind for kind in SMALLEST_FIRST if kind in formats and (kind, fallback) != (Format.PNG, Format.JPEG)]
    lines = [
        f"  <source{_attributes(type=kind.media_type, **_candidates(formats[kind], choice))}>"
        for kind in first
        if kind is not fallback
    ]
    return "\n".join(["<picture>", *lines, f"  <img{_image(manifest, formats[fallback], choice)}>", "</picture>"])


def address(rendition: RenditionRecord, base: str) -> str:
    """Return the URL of a rendition. It changes with the content.

    Without a base it is relative; "./" before a key with a leading slash keeps it from naming the root or another host.
    """
    before = f"{base.rstrip('/')}/" if base else "./" if rendition.key.startswith("/") else ""
    return f"{before}{quote(rendition.key, safe='/')}?v={rendition.sha256[:8]}"


def _formats(manifest: Manifest, choice: Choice) -> dict[Format, Sequence[RenditionRecord]]:
    """Return the renditions for each format, sorted by width, each width once."""
    if manifest.rejection:
        raise UsageError(f"{manifest.source.key} was rejected, {manifest.rejection.code}: {manifest.rejection.detail}")
    formats: dict[Format, dict[int, RenditionRecord]] = {}
    for each in manifest.renditions:
        if each.format not in SMALLEST_FIRST:
            continue  # in a manifest that Thumbsmith did not write
        if each.variant == choice.variant if choice.variant else manifest.shows_whole_picture(each):
            formats.setdefault(Format(each.format), {}).setdefault(each.width, each)
    if not formats:
        found = ", ".join(dict.fromkeys(each.variant for each in manifest.renditions)) or "none"
        expected = choice.variant or "one that shows the whole picture, or --variant NAME"
        raise UsageError(f"{manifest.source.key}: expected the variant {expected}, found {found}")
    return {kind: [by_width[width] for width in sorted(by_width)] for kind, by_width in formats.items()}


def _candidates(renditions: Sequence[RenditionRecord], choice: Choice) -> Mapping[str, str]:
    """Return `srcset`, and for widths `sizes`: without it, a browser assumes the width of the window."""
    if choice.variant:
        return {"srcset": ", ".join(f"{address(each, choice.base)} {each.dpr:g}x" for each in renditions)}
    widest = renditions[-1].width
    return {
        "srcset": ", ".join(f"{address(each, choice.base)} {each.width}w" for each in renditions),
        "sizes": choice.sizes or f"(max-width: {widest}px) 100vw, {widest}px",
    }


def _image(manifest: Manifest, renditions: Sequence[RenditionRecord], choice: Choice) -> str:
    """Return the attributes of the image: its size, so that the page does not move, and the placeholder."""
    default = renditions[0] if choice.variant else renditions[-1]
    color = "" if manifest.source.alpha else f"; background-color: {manifest.color}"
    placeholder = {"data-thumbhash": manifest.thumbhash} if manifest.thumbhash else {}
    return _attributes(
        src=address(default, choice.base),
        **_candidates(renditions, choice),
        width=str(default.width),
        height=str(default.height),
        alt=choice.alt,
        loading="lazy",
        decoding="async",
        style=f"max-width: 100%; height: auto{color}",
        **placeholder,
    )


def _attributes(**values: str) -> str:
    return "".join(f' {name}="{escape(value)}"' for name, value in values.items())
