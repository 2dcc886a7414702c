"""Author and copyright notice: read from a source's EXIF, XMP or IPTC, and written to a rendition.

No other metadata is read or passed on. Which field is which: Guidelines for Handling Image Metadata 2.0, 5.1 and 5.2
(Metadata Working Group). XMP is ISO 16684-1; its parser expands no entities.
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

# Longer values are cut.
MAX_CREDIT_CHARACTERS: Final = 1000

PACKET: Final = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
    '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/">{}</rdf:Description>'
    '</rdf:RDF></x:xmpmeta><?xpacket end="r"?>'
)
CREATOR: Final = "<dc:creator><rdf:Seq><rdf:li>{}</rdf:li></rdf:Seq></dc:creator>"
RIGHTS: Final = '<dc:rights><rdf:Alt><rdf:li xml:lang="x-default">{}</rdf:li></rdf:Alt></dc:rights>'

# Names as the parser gives them: namespace, space, local name.
DC: Final = "http://purl.org/dc/elements/1.1/ "
RDF: Final = "http://www.w3.org/1999/02/22-rdf-syntax-ns# "
CREATOR_NAME: Final = f"{DC}creator"
RIGHTS_NAME: Final = f"{DC}rights"

# Longer packets are ignored. The longest that fits into a segment of a JPEG has 64 KiB.
MAX_PACKET_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Credit:
    """Author and copyright notice. Each is empty if it is unknown."""

    author: str = ""
    copyright: str = ""


NO_CREDIT: Final = Credit()


def read_credit(reader: RangeReader, probe: Probe) -> Credit:
    """Return the source's author and copyright notice: each from EXIF, else XMP, else IPTC.

    Damaged metadata is ignored: it never causes a rejection. Raises what the reader raises.
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
    """Return Pillow's options to write a credit: as EXIF and XMP, and in a PNG also as its own keywords."""
    if found == NO_CREDIT:
        return {}
    exif = Image.Exif()
    for tag, words in ((ARTIST, found.author), (COPYRIGHT, found.copyright)):
        if words:
            exif[tag] = words.encode()  # bytes: readers expect UTF-8 for characters beyond ASCII
    packet = _packet(found)
    if kind is Format.PNG:
        return {"exif": exif, "pnginfo": _keywords(found, packet)}
    return {"exif": exif, "xmp": packet.encode()}


def _found(image: Image.Image) -> Iterator[Credit]:
    """Yield the credit of each kind of metadata, the most trusted first."""
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
    """Return a value of the metadata as one line of text. Several authors are joined."""
    match found:
        case list() | tuple():
            text = ", ".join(filter(None, map(_clean, found)))
        case bytes():
            text = _decoded(found)
        case str():
            text = _decoded(found.encode("latin-1")) if _is_latin(found) else found  # as Pillow reads ASCII fields
        case _:
            return ""
    printable = "".join(character if character.isprintable() else " " for character in text)
    return " ".join(printable.split())[:MAX_CREDIT_CHARACTERS]


def _is_latin(text: str) -> bool:
    return all(character <= "\xff" for character in text)


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


def creator_and_rights(packet: bytes) -> tuple[list[str], list[str]]:
    """Return the authors and the notice of an XMP packet. Of several languages, the first one counts.

    Raises ValueError for a packet that is damaged, or has a document type, which is not allowed.
    """
    if not packet or len(packet) > MAX_PACKET_BYTES:
        return [], []
    handler = _CreditHandler()
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartElementHandler = handler.start
    parser.EndElementHandler = handler.end
    parser.CharacterDataHandler = handler.text
    parser.StartDoctypeDeclHandler = _refuse_document_type
    try:
        parser.Parse(packet.rstrip(b"\0 \r\n\t"), True)
    except expat.ExpatError as error:
        raise ValueError(str(error)) from error
    return handler.values[CREATOR_NAME], handler.values[RIGHTS_NAME][:1]


class _CreditHandler:
    """Collects the values of two properties, which may be items of a list, attributes or plain text."""

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


def _refuse_document_type(*_: object) -> None:
    raise ValueError("the packet has a document type")
