"""How one component of a key is written as a file name in a destination folder. Text only, no files.

A component has up to three candidate names. Each of them identifies the component by itself:

- plain: the component itself, with percent-encoding for what cannot be in a name, as few characters as possible;
- strict: only lower-case ASCII letters, digits, "_", "-" and "." stay as they are, and the first byte never does. For
  a folder in which the plain name is taken by one that differs only in case or Unicode form, or by a file;
- shortened: the beginning of the component and the SHA-256 of all of it, for a component that is too long for a name.
  It cannot be decoded: the folder with this name keeps the component in a file.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from functools import lru_cache
from typing import Final

from thumbsmith.recipe.names import MANIFEST

# NAME_MAX of ext4, XFS, btrfs and tmpfs, in bytes; APFS allows as many or more.
MAX_NAME_BYTES: Final = 255

# Every name with this prefix, in any case, belongs to the store and is no object.
PRIVATE_PREFIX: Final = ".thumbsmith-"

# The empty component has no byte to encode. No other component has the name "%": a single "%" is encoded.
EMPTY_NAME: Final = "%"

# Thirty characters take at most 180 bytes, encoded or not; "%~" and the digest take 66.
_SHORTENED_CHARS: Final = 30

# A name that is its own component: nothing in it is ever encoded. Most names are like this.
_SIMPLE: Final = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_. @+=~,()-]{0,254}")

_ESCAPE: Final = re.compile(rb"%([0-9A-Fa-f]{2})")
_UNUSABLE: Final = re.compile(r"%(?=[0-9A-Fa-f]{2}|~)|[\x00-\x1f\x7f-\x9f\\]")
_SHORTENED: Final = re.compile(r"%~[0-9a-f]{64}\Z")
_ENCODED: Final = tuple(f"%{byte:02X}" for byte in range(256))
_STRICT: Final = tuple(
    chr(byte) if byte in b"abcdefghijklmnopqrstuvwxyz0123456789_-." else _ENCODED[byte] for byte in range(256)
)


@lru_cache(maxsize=1024)
def candidate_names(component: str) -> tuple[str, ...]:
    """Return the names that a folder for this component may have, the best first: each at most 255 bytes."""
    names = dict.fromkeys((plain_name(component), strict_name(component)))
    return (*(name for name in names if len(name.encode()) <= MAX_NAME_BYTES), shortened_name(component))


def plain_name(component: str) -> str:
    """Return the component with as little percent-encoding as possible.

    Encoded are: control characters (also those above U+007F), the backslash, a "%" that looks like an encoding, "." and
    "..", and a "." in a private name or in that of the manifest, in any case: some file systems ignore case. A name
    like that of a rendition, as every second source has one (`cat.jpg`), is not encoded. Where a folder and a file need
    the same name, the folder gets another candidate name.
    """
    if component in {"", "%", ".", ".."}:
        return strict_name(component)
    name = _UNUSABLE.sub(lambda found: _encoded(found[0].encode()), component)
    if is_private(component):
        return "%2E" + name[1:]
    return name.replace(".", "%2E") if casefolded(component) == MANIFEST else name


def strict_name(component: str) -> str:
    """Return the component with percent-encoding for all that has a case or a Unicode form, and for its first byte."""
    content = component.encode()
    return _encoded(content[:1]) + "".join(map(_STRICT.__getitem__, content[1:])) or EMPTY_NAME


def shortened_name(component: str) -> str:
    """Return a name of at most 246 bytes: the beginning of the component and the digest of all of it."""
    return f"{plain_name(component[:_SHORTENED_CHARS])}%~{hashlib.sha256(component.encode()).hexdigest()}"


def is_simple(name: str) -> bool:
    """Return whether this is the plain name of the component that is equal to it. False if that is not obvious."""
    return _SIMPLE.fullmatch(name) is not None and name.lower() != MANIFEST


def is_private(name: str) -> bool:
    """Return whether the name belongs to the store, in any case: some file systems ignore case."""
    return name.startswith(PRIVATE_PREFIX[0]) and casefolded(name).startswith(PRIVATE_PREFIX)


def is_shortened(name: str) -> bool:
    """Return whether the name is a shortened one. No plain or strict name looks like one."""
    return _SHORTENED.search(name) is not None


def decode_component(name: str) -> str | None:
    """Return the component whose plain or strict name this is, or None."""
    if name == EMPTY_NAME:
        return ""
    if is_simple(name):
        return name
    encoded = name.encode(errors="surrogateescape")
    try:
        component = _ESCAPE.sub(lambda found: bytes((int(found[1], 16),)), encoded).decode()
    except UnicodeDecodeError:
        return None
    return component if name == plain_name(component) or name == strict_name(component) else None


def casefolded(name: str) -> str:
    """Return a text that is equal for two names if any file system takes them for the same one.

    This is canonical caseless matching, definition D145 of Unicode. It matches at least the names that APFS, HFS+, NTFS
    and casefold of ext4 match.
    """
    if name.isascii():
        return name.lower()
    return unicodedata.normalize("NFD", unicodedata.normalize("NFD", name).casefold())


def case_variant(name: str) -> str | None:
    """Return another name with the same `casefolded` text, or None where there is no simple one.

    Where it leads to the same entry, the folder ignores case or Unicode form.
    """
    swapped = name.encode(errors="surrogateescape").swapcase().decode(errors="surrogateescape")
    others = (swapped, unicodedata.normalize("NFD", name), unicodedata.normalize("NFC", name))
    return next((other for other in others if other != name), None)


def _encoded(content: bytes) -> str:
    return "".join(map(_ENCODED.__getitem__, content))
