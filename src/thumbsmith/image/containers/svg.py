"""SVG: its size, and the same drawing without all that could lead outside of it.

SVG 2, https://www.w3.org/TR/SVG2/: 5.3 (size), 8.2 (viewBox), 2.7 (secure static mode, in which browsers show an SVG in
<img>). The XML is read by expat, which neither opens external entities nor expands internal ones without a limit.
"""

from __future__ import annotations

import binascii
import re
from base64 import b64decode
from dataclasses import dataclass, field
from typing import Final, NoReturn
from urllib.parse import unquote_to_bytes
from xml.parsers import expat
from xml.sax.saxutils import escape, quoteattr

from thumbsmith.errors import Code, Rejected
from thumbsmith.image.containers.base import Probe, ShortRead, Window

NAMESPACE: Final = "http://www.w3.org/2000/svg"
_XLINK: Final = "http://www.w3.org/1999/xlink"
_XML: Final = "http://www.w3.org/XML/1998/namespace"

# Separates namespace and name in expat's names.
_SEPARATOR: Final = " "

# More than any drawing of people has. Renderers descend by recursion.
MAX_ELEMENTS: Final = 200_000
MAX_DEPTH: Final = 200

# Elements after all references are followed: by `use`, and to masks, clips, patterns, markers and filters. A renderer
# draws what they contain each time. It does not do so with gradients.
_GRADIENTS: Final = frozenset({"linearGradient", "radialGradient"})
MAX_USED_ELEMENTS: Final = 1_000_000

# Characters of the drawing after its entities are replaced, for each byte of the file, and in addition.
_MAX_GROWTH: Final = 8
_MAX_ADDED: Final = 1 << 20

# Elements that a still picture does not need.
_DROPPED: Final = frozenset({"script", "foreignObject", "animate", "animateMotion", "animateTransform", "set"})

# A size in CSS pixels, 96 to the inch. Without a font, em is 16 pixels and ex is 8.
_UNITS: Final = {
    "": 1.0, "px": 1.0, "pt": 4 / 3, "pc": 16.0, "in": 96.0, "cm": 96 / 2.54, "mm": 96 / 25.4, "q": 96 / 101.6,
    "em": 16.0, "rem": 16.0, "ex": 8.0,
}  # fmt: skip
_LENGTH: Final = re.compile(r"\s*\+?(\d*\.?\d+(?:[eE][+-]?\d+)?)\s*([a-zA-Z]*)\s*")
_NUMBER: Final = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")

# The size of a drawing that does not say it: CSS 2.1, 10.3.2.
_DEFAULT_SIZE: Final = (300.0, 150.0)
_MAX_SIZE: Final = 1 << 31

_EMBEDDED: Final = re.compile(r"\s*data:image/(?:png|jpe?g|gif|webp)\s*(;[^,]*)?,", re.IGNORECASE)
_OUTSIDE: Final = re.compile(r"@import[^;]*;?|url\(\s*+[\"']?+\s*+(?!#|data:)[^)]*\)?", re.IGNORECASE)
_INSIDE: Final = re.compile(r"url\(\s*+[\"']?+\s*+#([^)\"'\s]*)", re.IGNORECASE)

# The three families that a renderer has fonts for. Names of all other families are replaced by one of them: else the
# fonts of the machine would decide how a drawing looks.
# Of the three only SANS has Greek, Cyrillic and Hebrew letters. A drawing with letters other than Latin uses it alone.
SANS, SERIF, MONOSPACE = "thumbsmith-sans", "thumbsmith-serif", "thumbsmith-monospace"
_FAMILY: Final = re.compile(r"(font-family\s*:\s*)([^;}!]*)", re.IGNORECASE)
_MONOSPACE_NAMES: Final = re.compile("mono|courier|consol|code|typewriter", re.IGNORECASE)
_SERIF_NAMES: Final = re.compile(
    r"(?<!sans-)(?<!sans )\bserif|times|georgia|garamond|roman|minion|palatino", re.IGNORECASE
)

_OTHER_LETTERS: Final = re.compile("[\u0370-\u1dff\u2c00-\ufaff]")
_OTHER_FONTS: Final = re.compile(f"{SERIF}|{MONOSPACE}")

_BLOCK_BYTES: Final = 1 << 16


@dataclass(frozen=True, slots=True)
class Drawing:
    """A drawing: its size in CSS pixels, its viewBox, and its text without references to the outside.

    `body` is the XML after the attributes of the root, `attributes` are those other than its size. `pixels` counts the
    pixels of all embedded pictures.
    """

    width: float
    height: float
    view_box: tuple[float, float, float, float] | None
    attributes: str
    body: str
    pixels: int
    has_text: bool

    @property
    def size(self) -> tuple[int, int]:
        """Return the size in whole pixels, as browsers do."""
        return max(1, int(self.width + 0.5)), max(1, int(self.height + 0.5))

    def scaled(self, width: int, height: int) -> str:
        """Return an SVG that draws all of it on this number of pixels."""
        box = self.view_box or (0.0, 0.0, self.width, self.height)
        stretch = "" if self.view_box else ' preserveAspectRatio="none"'
        view = " ".join(f"{each:.10g}" for each in box)
        return f'<svg width="{width}" height="{height}" viewBox="{view}"{stretch}{self.attributes}{self.body}'


def read(data: Window) -> Probe:
    """Return what an SVG says. It is read to its end: its size is in front, and what it refers to anywhere.

    Raises Rejected (unsupported_format for other XML, corrupt), ShortRead.
    """
    found = read_drawing(data)
    width, height = found.size
    return Probe(
        format="svg",
        bytes=data.size,
        width=width,
        height=height,
        channels=4,
        alpha=True,
        levels=_MAX_SIZE.bit_length(),
        piece=found.pixels,
    )


def read_drawing(data: Window) -> Drawing:
    """Return a drawing. Raises as `read`."""
    reading = _Reading(data.size * _MAX_GROWTH + _MAX_ADDED)
    offset = 0
    while offset < data.size:
        block = data.read(offset, min(_BLOCK_BYTES, data.size - offset))
        offset += len(block)
        reading.feed(block, last=offset == data.size)
    return reading.drawing()


@dataclass
class _Reading:
    """Writes a drawing again while it is read."""

    room: int
    parts: list[str] = field(default_factory=list)
    root: dict[str, str] | None = None
    depth: int = 0
    dropped: int = 0  # the depth of a dropped element that is open; 0 for none
    elements: int = 0
    pixels: int = 0
    has_text: bool = False
    has_other_letters: bool = False
    open_ids: list[str] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)  # id -> elements in it
    uses: dict[str, list[str]] = field(default_factory=dict)  # id -> ids that it refers to
    gradients: set[str] = field(default_factory=set)  # ids
    used: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.parser = expat.ParserCreate(namespace_separator=_SEPARATOR)
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._text

    def feed(self, block: bytes, *, last: bool) -> None:
        """Read a part of the file. Raises Rejected, ShortRead if it ends before its last element does."""
        try:
            self.parser.Parse(block, last)
        except expat.ExpatError as error:
            at_end = error.code in _UNFINISHED and last
            if at_end and (self.root is not None or self.depth == 0):
                raise ShortRead from error
            raise Rejected(Code.CORRUPT, f"the XML of the SVG is broken: {expat.ErrorString(error.code)}") from error

    def drawing(self) -> Drawing:
        """Return what was read."""
        attributes = self.root
        if attributes is None:
            raise ShortRead
        if self._used_elements() > MAX_USED_ELEMENTS:
            raise Rejected(Code.CORRUPT, f"the SVG has more than {MAX_USED_ELEMENTS} elements after references")
        box = _view_box(attributes.pop("viewBox", ""))
        width, height = _size(attributes.pop("width", ""), attributes.pop("height", ""), box)
        attributes.setdefault("font-family", SERIF)  # the default of browsers
        others = "".join(f" {name}={quoteattr(value)}" for name, value in attributes.items())
        body = "".join(self.parts)
        if self.has_other_letters:
            others, body = _OTHER_FONTS.sub(SANS, others), _OTHER_FONTS.sub(SANS, body)
        spaces = f' xmlns="{NAMESPACE}" xmlns:xlink="{_XLINK}"'
        return Drawing(width, height, box, spaces + others, ">" + body, self.pixels, self.has_text)

    def _start(self, name: str, found: dict[str, str]) -> None:
        self.depth += 1
        self.elements += 1
        if self.depth > MAX_DEPTH or self.elements > MAX_ELEMENTS:
            limit = f"{MAX_ELEMENTS} elements, or {MAX_DEPTH} within each other"
            raise Rejected(Code.CORRUPT, f"the SVG has more than {limit}")
        space, _, local = name.rpartition(_SEPARATOR)
        if self.root is None:
            if (space, local) != (NAMESPACE, "svg"):
                _refuse(local, space)
            self.root = self._attributes(local, found)
            self.open_ids.append(found.get("id", ""))
            return
        self.open_ids.append(found.get("id", ""))
        if self.dropped or space != NAMESPACE or local in _DROPPED:
            self.dropped = self.dropped or self.depth
            return
        for each in {each for each in self.open_ids if each}:
            self.counts[each] = self.counts.get(each, 0) + 1
        attributes = self._attributes(local, found)
        if local in _GRADIENTS:
            self.gradients.add(found.get("id", ""))
        self._count_references(local, attributes)
        self.has_text = self.has_text or local == "text"
        written = "".join(f" {key}={quoteattr(value)}" for key, value in attributes.items())
        self._write(f"<{local}{written}>")

    def _end(self, name: str) -> None:
        self.open_ids.pop()
        if not self.dropped:
            self._write(f"</{name.rpartition(_SEPARATOR)[2]}>")
        elif self.dropped == self.depth:
            self.dropped = 0
        self.depth -= 1

    def _text(self, text: str) -> None:
        if not self.dropped and self.root is not None:
            self.has_other_letters = self.has_other_letters or _OTHER_LETTERS.search(text) is not None
            self._write(escape(_without_outside(text)))

    def _write(self, text: str) -> None:
        self.room -= len(text)
        if self.room < 0:
            raise Rejected(Code.CORRUPT, "the entities of the SVG expand to many times its size")
        self.parts.append(text)

    def _attributes(self, element: str, found: dict[str, str]) -> dict[str, str]:
        """Return the attributes to keep: none that runs code, is of another namespace, or refers to the outside."""
        kept: dict[str, str] = {}
        for name, value in found.items():
            space, _, local = name.rpartition(_SEPARATOR)
            if local == "href" and space in ("", _XLINK):
                if self._is_inside(element, value):
                    kept["xlink:href"] = value.strip()
            elif space == _XML and local in ("space", "lang"):
                kept[f"xml:{local}"] = value
            elif not space and not local.lower().startswith("on"):
                kept[local] = _family(value) if local == "font-family" else _without_outside(value)
        return kept

    def _is_inside(self, element: str, target: str) -> bool:
        """Return whether a reference stays in the file: to an element, or a picture that the file contains."""
        if target.strip().startswith("#"):
            return True
        match = _EMBEDDED.match(target)
        if match is None or element not in ("image", "feImage"):
            return False
        self.pixels += _embedded_pixels(target[match.end() :], "base64" in (match[1] or "").lower())
        return True

    def _count_references(self, element: str, attributes: dict[str, str]) -> None:
        targets = [target for value in attributes.values() if "(" in value for target in _INSIDE.findall(value)]
        if element == "use":
            targets.append(attributes.get("xlink:href", "").lstrip("#"))
        self.used += targets
        for each in {each for each in self.open_ids if each} if targets else ():
            self.uses.setdefault(each, []).extend(targets)

    def _used_elements(self) -> int:
        """Return the number of elements after all references are followed. Raises Rejected for a circle."""
        totals: dict[str, int] = {}
        visiting: set[str] = set()

        def total(name: str, depth: int = 0) -> int:
            if name in totals or name in self.gradients:
                return totals.get(name, 0)
            if name in visiting or depth > MAX_DEPTH:
                raise Rejected(Code.CORRUPT, "elements of the SVG refer to each other in a circle")
            visiting.add(name)
            count = self.counts.get(name, 0) + sum(total(each, depth + 1) for each in self.uses.get(name, ()))
            visiting.discard(name)
            totals[name] = min(count, MAX_USED_ELEMENTS + 1)
            return totals[name]

        return self.elements + sum(total(each) for each in self.used)


# Errors of expat for a document that ends too early.
_UNFINISHED: Final = tuple(
    expat.errors.codes[message]
    for message in (
        expat.errors.XML_ERROR_NO_ELEMENTS,
        expat.errors.XML_ERROR_UNCLOSED_TOKEN,
        expat.errors.XML_ERROR_PARTIAL_CHAR,
        expat.errors.XML_ERROR_UNCLOSED_CDATA_SECTION,
        expat.errors.XML_ERROR_INVALID_TOKEN,
    )
)


def _refuse(name: str, space: str) -> NoReturn:
    if name == "svg":
        what = f"SVG whose namespace is not {NAMESPACE}" if not space else "SVG of another namespace"
        raise Rejected(Code.UNSUPPORTED_FORMAT, f"this is {what}: browsers do not show it")
    raise Rejected(Code.UNSUPPORTED_FORMAT, "this is XML, not a supported image format")


def _embedded_pixels(text: str, is_base64: bool) -> int:
    """Return the number of pixels of an embedded picture. Raises Rejected, as for the file of such a picture."""
    from thumbsmith.image.probe import probe  # noqa: PLC0415 - it imports the header readers, and so this module
    from thumbsmith.reader import BytesReader  # noqa: PLC0415 - as above

    raw = unquote_to_bytes(text)
    try:
        found = probe(BytesReader(b64decode(raw) if is_base64 else raw))
    except binascii.Error as error:
        raise Rejected(Code.CORRUPT, "a picture in the SVG is broken") from error
    if found.format not in ("png", "jpeg", "gif", "webp"):
        raise Rejected(Code.UNSUPPORTED_FORMAT, f"the SVG contains a picture in {found.format}, which is not supported")
    return found.width * found.height


def _without_outside(style: str) -> str:
    """Return styles without references to the outside, and with families that a renderer has."""
    if "(" in style or "@" in style:
        style = _OUTSIDE.sub("none", style)
    return _FAMILY.sub(lambda match: match[1] + _family(match[2]), style) if "font-family" in style.lower() else style


def _family(names: str) -> str:
    if _MONOSPACE_NAMES.search(names):
        return MONOSPACE
    return SERIF if _SERIF_NAMES.search(names) else SANS


def _length(text: str) -> float | None:
    """Return a length in CSS pixels, None for one that is missing, relative, invalid or not positive."""
    match = _LENGTH.fullmatch(text)
    factor = _UNITS.get(match[2].lower()) if match else None
    if match is None or factor is None:
        return None
    value = float(match[1]) * factor
    return min(value, float(_MAX_SIZE)) if value > 0 else None


def _view_box(text: str) -> tuple[float, float, float, float] | None:
    numbers = [float(each) for each in _NUMBER.findall(text)]
    if len(numbers) != 4 or numbers[2] <= 0 or numbers[3] <= 0 or any(abs(each) > _MAX_SIZE for each in numbers):
        return None
    left, top, width, height = numbers
    return left, top, width, height


def _size(width: str, height: str, box: tuple[float, float, float, float] | None) -> tuple[float, float]:
    """Return the size: as the drawing says; one side from the other and the shape of the viewBox; or the viewBox."""
    across, down = _length(width), _length(height)
    if across and down:
        return across, down
    if box is None:
        return across or _DEFAULT_SIZE[0], down or _DEFAULT_SIZE[1]
    ratio = box[2] / box[3]
    if across:
        return across, across / ratio
    return (down * ratio, down) if down else (box[2], box[3])
