"""What all formats are checked with.

What a rendition may hold besides its picture where its variant asks for it: judged by its bytes, as all else is.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from typing import Final, Self

from thumbsmith.recipe.model import Animation, Color, Metadata, Variant


class OutputError(Exception):
    """A rendition is not the plain picture that it should be; says what it holds instead."""


# How many segments, chunks or units a plain file may have, and one with all frames: both, and one more for each
# _BYTES_A_PART.
_MOST: Final = 2_000
_MOST_MOVING: Final = 10_000
_BYTES_A_PART: Final = 2_048


def require_few(count: int, size: int, *, moves: bool) -> None:
    """Raise OutputError for more parts than a file of this many bytes has: walking over them takes time."""
    most = (_MOST_MOVING if moves else _MOST) + size // _BYTES_A_PART
    require(count <= most, f"it has more than {most} parts")


def number(data: bytes, layout: str, offset: int) -> int:
    """Return the one whole number at an offset, as `struct` writes it. Raises OutputError past the end."""
    if offset < 0 or offset + struct.calcsize(layout) > len(data):
        raise OutputError(f"it ends within its part at byte {offset}")
    found: int = struct.unpack_from(layout, data, offset)[0]
    return found


def require(holds: bool, otherwise: str) -> None:
    """Raise OutputError, saying what is wrong, unless something holds."""
    if not holds:
        raise OutputError(otherwise)


# Artist and Copyright (Exif 3.0, 4.6.5.4), and the types that words are written in: ASCII, UNDEFINED, BYTE.
_CREDITS: Final = frozenset({0x013B, 0x8298})
_WORDS: Final = frozenset({1, 2, 7})

# A packet with a creator, with rights, or with both, and nothing else (XMP part 1, C.2.5 and 8.3).
_PACKET: Final = re.compile(
    rb'<\?xpacket begin="\xef\xbb\xbf" id="W5M0MpCehiHzreSzNTczkc9d"\?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
    rb'<rdf:RDF xmlns:rdf="http://www\.w3\.org/1999/02/22-rdf-syntax-ns#">'
    rb'<rdf:Description rdf:about="" xmlns:dc="http://purl\.org/dc/elements/1\.1/">'
    rb"(?:<dc:creator><rdf:Seq><rdf:li>[^<]*</rdf:li></rdf:Seq></dc:creator>)?"
    rb'(?:<dc:rights><rdf:Alt><rdf:li xml:lang="x-default">[^<]*</rdf:li></rdf:Alt></dc:rights>)?'
    rb'</rdf:Description></rdf:RDF></x:xmpmeta><\?xpacket end="r"\?>'
)

# The keywords of a PNG's texts that say the same.
KEYWORDS: Final = frozenset({b"Author", b"Copyright"})
XMP_KEYWORD: Final = b"XML:com.adobe.xmp"


@dataclass(frozen=True, slots=True, kw_only=True)
class Extras:
    """What is allowed: a colour profile, the author's credit, further frames."""

    profile: bool = False
    credit: bool = False
    frames: bool = False

    @classmethod
    def of(cls, variant: Variant) -> Self:
        """Return what a variant asks for."""
        return cls(
            profile=variant.color is Color.KEEP,
            credit=variant.metadata is Metadata.COPYRIGHT,
            frames=variant.animation is Animation.KEEP,
        )

    @property
    def some(self) -> bool:
        """Return whether anything is allowed."""
        return self.profile or self.credit or self.frames

    def require_profile(self, data: bytes) -> None:
        """Raise OutputError unless a profile is allowed, and this is one, of its own length (ICC.1:2022, 7.2)."""
        whole = len(data) >= 128 and data[36:40] == b"acsp" and int.from_bytes(data[:4], "big") == len(data)
        require(self.profile and whole, f"it holds a colour profile of {len(data)} bytes")

    def require_exif(self, data: bytes) -> None:
        """Raise OutputError unless a credit is allowed, and this EXIF block holds nothing else."""
        require(self.credit and _is_credit(data), f"it holds EXIF of {len(data)} bytes")

    def require_packet(self, data: bytes) -> None:
        """Raise OutputError unless a credit is allowed, and this XMP packet holds nothing else."""
        require(self.credit and _PACKET.fullmatch(data) is not None, f"it holds XMP of {len(data)} bytes")

    def require_frames(self, what: object) -> None:
        """Raise OutputError unless further frames are allowed."""
        require(self.frames, f"it holds {what} of an animation")


def _is_credit(data: bytes) -> bool:
    """Return whether a TIFF block is one directory of credits, with room for their words and no more (TIFF 6.0)."""
    order = {b"MM\0*": ">", b"II*\0": "<"}.get(data[:4])
    try:
        start, count = struct.unpack_from(f"{order}IH", data, 4) if order else (0, 0)
        entries = [struct.unpack_from(f"{order}HHI", data, 10 + 12 * index) for index in range(min(count, 3))]
        (following,) = struct.unpack_from(f"{order}I", data, 10 + 12 * count) if order else (1,)
    except struct.error:
        return False
    plain = start == 8 and not following and all(tag in _CREDITS and kind in _WORDS for tag, kind, _ in entries)
    room = 14 + 12 * count + sum(length + length % 2 for _, _, length in entries if length > 4)
    return plain and 1 <= count <= len(_CREDITS) and len(data) <= room
