"""How one component of a key is spelled as a name on disk in the mapped view of a folder: text only, no file.

A component has up to three spellings, each of which says by itself what it stands for:

- plain: the component as it is, but for what cannot stand (percent-encoded, as few characters as possible);
- strict: nothing but lower-case ASCII letters, digits, "_", "-" and "." stands as it is, and the first byte never does:
  for where the plain name is taken by something that differs only in case or Unicode form, or is no folder;
- shortened: the component's beginning and the SHA-256 of all of it, for what is too long for a name. It is the one
  spelling that cannot be turned back: the folder of that name keeps the component in a file.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from functools import lru_cache
from typing import Final

from thumbsmith.keys import MANIFEST

# NAME_MAX of ext4, XFS, btrfs and tmpfs, in bytes; APFS holds as many or more.
MAX_NAME_BYTES: Final = 255

# Every name that begins so, however it is cased, is the store's own and is no object.
PRIVATE: Final = ".thumbsmith-"

# The empty component has no byte to encode. "%" is no name that anything else is spelled as: a single "%" is encoded.
EMPTY: Final = "%"

# Thirty characters take at most 180 bytes, encoded or not; "%~" and the digest take 66.
_SHORTENED_LENGTH: Final = 30

_ESCAPE: Final = re.compile(rb"%([0-9A-Fa-f]{2})")
_UNSPEAKABLE: Final = re.compile(r"%(?=[0-9A-Fa-f]{2}|~)|[\x00-\x1f\x7f-\x9f\\]")
_SHORTENED: Final = re.compile(r"%~[0-9a-f]{64}\Z")
_ENCODED: Final = tuple(f"%{byte:02X}" for byte in range(256))
_STRICT: Final = tuple(
    chr(byte) if byte in b"abcdefghijklmnopqrstuvwxyz0123456789_-." else _ENCODED[byte] for byte in range(256)
)


@lru_cache(maxsize=1024)
def spellings(component: str) -> tuple[str, ...]:
    """Return the names under which a folder for this component may lie, the best first: each at most 255 bytes."""
    names = dict.fromkeys((plain(component), strict(component)))
    return (*(name for name in names if len(name.encode()) <= MAX_NAME_BYTES), shortened(component))


def plain(component: str) -> str:
    """Return the component with as little percent-encoded as can be.

    Encoded are: control characters (also those above U+007F), the backslash, a "%" that would read as an encoding, "."
    and "..", and a "." of a name that would be private or the manifest's: these however they are cased, for the sake of
    file systems that ignore case. A name like a rendition's, as every second source has one (`cat.jpg`), stays as it is
    unless it is taken: folders and files that want the same name are kept apart where they meet.
    """
    if component in {"", "%", ".", ".."}:
        return strict(component)
    name = _UNSPEAKABLE.sub(lambda found: _encoded(found[0].encode()), component)
    if is_private(component):
        return "%2E" + name[1:]
    return name.replace(".", "%2E") if fold(component) == MANIFEST else name


def strict(component: str) -> str:
    """Return the component with everything percent-encoded that has a case or a Unicode form, and its first byte."""
    content = component.encode()
    return _encoded(content[:1]) + "".join(map(_STRICT.__getitem__, content[1:])) or EMPTY


def shortened(component: str) -> str:
    """Return a name of at most 246 bytes that begins like the component and ends in a digest of all of it."""
    return f"{plain(component[:_SHORTENED_LENGTH])}%~{hashlib.sha256(component.encode()).hexdigest()}"


def is_private(name: str) -> bool:
    """Return whether the name is the store's own, or could be taken for such a one."""
    return fold(name).startswith(PRIVATE)


def is_shortened(name: str) -> bool:
    """Return whether the name is of the shortened kind, which no plain or strict spelling ever looks like."""
    return _SHORTENED.search(name) is not None


def component_of(name: str) -> str | None:
    """Return the component of which `name` is the plain or the strict spelling, or None where it is neither."""
    if name == EMPTY:
        return ""
    encoded = name.encode(errors="surrogateescape")
    try:
        component = _ESCAPE.sub(lambda found: bytes((int(found[1], 16),)), encoded).decode()
    except UnicodeDecodeError:
        return None
    return component if name == plain(component) or name == strict(component) else None


def fold(name: str) -> str:
    """Return what two names have in common that some file system takes for the same one.

    This is canonical caseless matching, Unicode's definition D145: it is at least as broad as what APFS, HFS+, NTFS and
    ext4's casefold do.
    """
    if name.isascii():
        return name.lower()
    return unicodedata.normalize("NFD", unicodedata.normalize("NFD", name).casefold())


def namesake(name: str) -> str | None:
    """Return another name that folds to the same as `name`, or None where there is no simple one.

    It tells whether a folder ignores case or Unicode form: there, the namesake leads to the same entry.
    """
    swapped = name.encode(errors="surrogateescape").swapcase().decode(errors="surrogateescape")
    others = (swapped, unicodedata.normalize("NFD", name), unicodedata.normalize("NFC", name))
    return next((other for other in others if other != name), None)


def _encoded(content: bytes) -> str:
    return "".join(map(_ENCODED.__getitem__, content))
