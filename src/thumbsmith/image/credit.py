"""Who made a picture and whose it is: read from a source's EXIF, XMP or IPTC, and written to a rendition.

Nothing else of the metadata is looked at or passed on. Which field is which: Guidelines for Handling Image Metadata
2.0, 5.1 and 5.2 (Metadata Working Group).

Author and rights of an XMP packet (ISO 16684-1), read with a parser that knows no entities.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from html import escape
from typing import Any, Final
from xml.parsers import expat

from thumbsmith.image import pillow
from thumbsmith.image.containers.base import Probe
from thumbsmith.image.opening import open_image
from thumbsmith.image.pillow import Image
from thumbsmith.image.stream import SourceStream
from thumbsmith.reader import RangeReader
from thumbsmith.recipe.model import Format

# Exif 3.0, 4.6.5.4; IPTC IIM 4.2, record 2.
ARTIST: Final = 0x013B
COPYRIGHT: Final = 0x8298
BY_LINE: Final = (2, 80)
COPYRIGHT_NOTICE: Final = (2, 116)
TIFF_XMP: Final = 700

# Of an author or a notice this many characters are kept.
MAX_CREDIT_CHARACTERS: Final = 1000

PACKET: Final = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
    '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/">{}</rdf:Description>'
    '</rdf:RDF></x:xmpmeta><?xpacket end="r"?>'
)
CREATOR: Final = "<dc:creator><rdf:Seq><rdf:li>{}</rdf:li></rdf:Seq></dc:creator>"
RIGHTS: Final = '<dc:rights><rdf:Alt><rdf:li xml:lang="x-default">{}</rdf:li></rdf:Alt></dc:rights>'


@dataclass(frozen=True, slots=True)
class Credit:
    """Author and copyright notice, each empty where it is unknown."""

    author: str = ""
    copyright: str = ""


NO_CREDIT: Final = Credit()


def read_credit(reader: RangeReader, probe: Probe) -> Credit:
    """Return the source's author and copyright: each from EXIF, else XMP, else IPTC.

    Metadata that is damaged counts as none: it never costs a picture. Raises what the reader raises.
    """
    stream = SourceStream(reader)
    try:
        found = list(_found(open_image(stream, probe)))
    except Exception:  # a decoder may raise anything
        if stream.failure:
            raise stream.failure from None
        return NO_CREDIT
    author = next((each.author for each in found if each.author), "")
    return Credit(author, next((each.copyright for each in found if each.copyright), ""))


def credit_options(found: Credit, kind: Format) -> dict[str, Any]:
    """Return the options by which Pillow writes a credit: as EXIF and XMP; into a PNG as its own keywords too."""
    if found == NO_CREDIT:
        return {}
    exif = Image.Exif()
    for tag, words in ((ARTIST, found.author), (COPYRIGHT, found.copyright)):
        if words:
            exif[tag] = words.encode()  # bytes: what is no ASCII goes as UTF-8, which readers expect
    packet = _packet(found)
    if kind is Format.PNG:
        return {"exif": exif, "pnginfo": _keywords(found, packet)}
    return {"exif": exif, "xmp": packet.encode()}


def _found(image: Image.Image) -> Iterator[Credit]:
    """Yield what each kind of metadata says, the most trusted first."""
    for each in (_from_exif, _from_xmp, _from_iptc):
        try:
            author, notice = each(image)
        except (ValueError, TypeError, SyntaxError, KeyError, LookupError, OSError, AttributeError):
            continue
        yield Credit(_clean(author), _clean(notice))


def _from_exif(image: Image.Image) -> tuple[object, object]:
    exif = Image.Exif()
    if "exif" in image.info:
        exif.load(image.info["exif"])
    elif image.format == "TIFF":
        exif = image.getexif()
    return exif.get(ARTIST), exif.get(COPYRIGHT)


def _from_xmp(image: Image.Image) -> tuple[object, object]:
    packet = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp") or b""
    if not packet and image.format == "TIFF":
        packet = image.getexif().get(TIFF_XMP, b"")
    return creator_and_rights(packet.encode() if isinstance(packet, str) else bytes(packet))


def _from_iptc(image: Image.Image) -> tuple[object, object]:
    if image.format not in ("JPEG", "MPO", "TIFF"):
        return None, None
    records = pillow.plugin("IptcImagePlugin").getiptcinfo(image) or {}
    return records.get(BY_LINE), records.get(COPYRIGHT_NOTICE)


def _clean(found: object) -> str:
    """Return text of whatever metadata holds: in one line, of several authors all."""
    match found:
        case list() | tuple():
            text = ", ".join(filter(None, map(_clean, found)))
        case bytes():
            text = _decoded(found)
        case str():
            text = _decoded(found.encode("latin-1")) if _is_latin(found) else found  # Pillow reads ASCII fields so
        case _:
            return ""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())[:MAX_CREDIT_CHARACTERS]


def _is_latin(text: str) -> bool:
    return all(letter <= "\xff" for letter in text)


def _decoded(text: bytes) -> str:
    try:
        return text.decode()
    except UnicodeDecodeError:
        return text.decode("latin-1")


def _packet(found: Credit) -> str:
    author = CREATOR.format(escape(found.author, quote=False)) if found.author else ""
    return PACKET.format(author + (RIGHTS.format(escape(found.copyright, quote=False)) if found.copyright else ""))


def _keywords(found: Credit, packet: str) -> Any:
    """Return the text chunks of a PNG (PNG 3rd edition, 11.3.3.1), and XMP's (XMP part 3, 1.1.5)."""
    info = pillow.plugin("PngImagePlugin").PngInfo()
    for keyword, words in (("Author", found.author), ("Copyright", found.copyright), ("XML:com.adobe.xmp", packet)):
        if words:
            info.add_itxt(keyword, words)
    return info


DC: Final = "http://purl.org/dc/elements/1.1/ "
RDF: Final = "http://www.w3.org/1999/02/22-rdf-syntax-ns# "
CREATOR_NAME: Final = f"{DC}creator"
RIGHTS_NAME: Final = f"{DC}rights"

# A packet that is longer is not read: the longest that fits into a JPEG's segment has 64 KiB.
MAX_PACKET_BYTES: Final = 1 << 20


def creator_and_rights(packet: bytes) -> tuple[list[str], list[str]]:
    """Return the authors and the notice; of a notice in several languages the first.

    Raises ValueError for a packet that is damaged, or has a document type, which none may have.
    """
    if not packet or len(packet) > MAX_PACKET_BYTES:
        return [], []
    reading = _Reading()
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartElementHandler = reading.start
    parser.EndElementHandler = reading.end
    parser.CharacterDataHandler = reading.text
    parser.StartDoctypeDeclHandler = _refuse
    try:
        parser.Parse(packet.rstrip(b"\0 \r\n\t"), True)
    except expat.ExpatError as error:
        raise ValueError(str(error)) from error
    return reading.values[CREATOR_NAME], reading.values[RIGHTS_NAME][:1]


class _Reading:
    """What was read so far: the items of the two properties, which may also be attributes or plain text."""

    def __init__(self) -> None:
        self.values: dict[str, list[str]] = {CREATOR_NAME: [], RIGHTS_NAME: []}
        self._property = ""
        self._words: list[str] = []

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        for each in self.values.keys() & attributes.keys():
            self.values[each].append(attributes[each])
        if name in self.values:
            self._property = name
        self._words.clear()

    def text(self, words: str) -> None:
        if self._property:
            self._words.append(words)

    def end(self, name: str) -> None:
        if self._property and name in (f"{RDF}li", self._property) and (words := "".join(self._words).strip()):
            self.values[self._property].append(words)
        self._words.clear()
        if name == self._property:
            self._property = ""


def _refuse(*_: object) -> None:
    raise ValueError("a document type")
