"""What the output checks of all formats share: errors, bounds, and the content that a variant may add.

Output checks do not trust the process that encoded a file. They parse it without the code of the decoders.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from typing import Final, Self

from thumbsmith.recipe.model import Animation, Color, Metadata, Variant


class OutputError(Exception):
    """An encoded rendition has unexpected content. The message says which."""


def require(condition: bool, otherwise: str) -> None:
    """Raise OutputError with the message `otherwise` unless the condition is true."""
    if not condition:
        raise OutputError(otherwise)


def read_number(data: bytes, layout: str, offset: int) -> int:
    """Return the integer at an offset; `layout` is a format string of `struct`. Raises OutputError at the end."""
    if offset < 0 or offset + struct.calcsize(layout) > len(data):
        raise OutputError(f"it ends within its part at byte {offset}")
    found: int = struct.unpack_from(layout, data, offset)[0]
    return found


# Segments, chunks or units of a file without and with frames; large files may have one more per BYTES_PER_PART.
_MAX_PARTS: Final = 2_000
_MAX_PARTS_ANIMATED: Final = 10_000
_BYTES_PER_PART: Final = 2_048


def require_few_parts(count: int, size: int, *, animated: bool) -> None:
    """Raise OutputError if a file of `size` bytes has too many parts: walking over them takes time."""
    maximum = (_MAX_PARTS_ANIMATED if animated else _MAX_PARTS) + size // _BYTES_PER_PART
    require(count <= maximum, f"it has more than {maximum} parts")


# The keywords of the text chunks of a PNG that contain a credit.
CREDIT_KEYWORDS: Final = frozenset({b"Author", b"Copyright"})
XMP_KEYWORD: Final = b"XML:com.adobe.xmp"

# An XMP packet with a creator, with rights, or with both, and nothing else (XMP part 1, C.2.5 and 8.3).
_CREDIT_PACKET: Final = re.compile(
    rb'<\?xpacket begin="\xef\xbb\xbf" id="W5M0MpCehiHzreSzNTczkc9d"\?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
    rb'<rdf:RDF xmlns:rdf="http://www\.w3\.org/1999/02/22-rdf-syntax-ns#">'
    rb'<rdf:Description rdf:about="" xmlns:dc="http://purl\.org/dc/elements/1\.1/">'
    rb"(?:<dc:creator><rdf:Seq><rdf:li>[^<]*</rdf:li></rdf:Seq></dc:creator>)?"
    rb'(?:<dc:rights><rdf:Alt><rdf:li xml:lang="x-default">[^<]*</rdf:li></rdf:Alt></dc:rights>)?'
    rb'</rdf:Description></rdf:RDF></x:xmpmeta><\?xpacket end="r"\?>'
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Extras:
    """What a variant allows in addition to the picture: a color profile, the author's credit, further frames."""

    profile: bool = False
    credit: bool = False
    frames: bool = False

    @classmethod
    def of(cls, variant: Variant) -> Self:
        """Return what a variant allows."""
        return cls(
            profile=variant.color is Color.KEEP,
            credit=variant.metadata is Metadata.COPYRIGHT,
            frames=variant.animation is Animation.KEEP,
        )

    @property
    def any(self) -> bool:
        """Return whether anything is allowed."""
        return self.profile or self.credit or self.frames

    def require_profile(self, data: bytes) -> None:
        """Raise OutputError unless a profile is allowed, and `data` is one of its own length (ICC.1:2022, 7.2)."""
        whole = len(data) >= 128 and data[36:40] == b"acsp" and int.from_bytes(data[:4], "big") == len(data)
        require(self.profile and whole, f"it contains a color profile of {len(data)} bytes")

    def require_exif(self, data: bytes) -> None:
        """Raise OutputError unless a credit is allowed, and this EXIF block contains nothing else."""
        require(self.credit and _is_credit(data), f"it contains EXIF of {len(data)} bytes")

    def require_packet(self, data: bytes) -> None:
        """Raise OutputError unless a credit is allowed, and this XMP packet contains nothing else."""
        require(self.credit and _CREDIT_PACKET.fullmatch(data) is not None, f"it contains XMP of {len(data)} bytes")

    def require_frames(self, part: object) -> None:
        """Raise OutputError unless further frames are allowed."""
        require(self.frames, f"it contains {part} of an animation")


# Artist and Copyright (Exif 3.0, 4.6.5.4), and the field types of text: ASCII, UNDEFINED, BYTE.
_CREDIT_TAGS: Final = frozenset({0x013B, 0x8298})
_TEXT_TYPES: Final = frozenset({1, 2, 7})


def _is_credit(data: bytes) -> bool:
    """Return whether a TIFF block is one directory of credits, with space for their text and no more (TIFF 6.0)."""
    order = {b"MM\0*": ">", b"II*\0": "<"}.get(data[:4])
    try:
        start, count = struct.unpack_from(f"{order}IH", data, 4) if order else (0, 0)
        entries = [struct.unpack_from(f"{order}HHI", data, 10 + 12 * index) for index in range(min(count, 3))]
        (next_directory,) = struct.unpack_from(f"{order}I", data, 10 + 12 * count) if order else (1,)
    except struct.error:
        return False
    plain = all(tag in _CREDIT_TAGS and kind in _TEXT_TYPES for tag, kind, _ in entries)
    space = 14 + 12 * count + sum(length + length % 2 for _, _, length in entries if length > 4)
    return start == 8 and not next_directory and plain and 1 <= count <= len(_CREDIT_TAGS) and len(data) <= space
