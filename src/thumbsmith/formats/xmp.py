"""Author and rights of an XMP packet (ISO 16684-1), read with a parser that knows no entities."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from xml.parsers import expat

DC: Final = "http://purl.org/dc/elements/1.1/ "
RDF: Final = "http://www.w3.org/1999/02/22-rdf-syntax-ns# "
CREATOR: Final = f"{DC}creator"
RIGHTS: Final = f"{DC}rights"

# A packet that is longer is not read: the longest that fits into a JPEG's segment has 64 KiB.
LONGEST: Final = 1 << 20


def creator_and_rights(packet: bytes) -> tuple[list[str], list[str]]:
    """Return the authors and the notice; of a notice in several languages the first.

    Raises ValueError for a packet that is damaged, or has a document type, which none may have.
    """
    if not packet or len(packet) > LONGEST:
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
    return reading.values[CREATOR], reading.values[RIGHTS][:1]


class _Reading:
    """What was read so far: the items of the two properties, which may also be attributes or plain text."""

    def __init__(self) -> None:
        self.values: dict[str, list[str]] = {CREATOR: [], RIGHTS: []}
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
