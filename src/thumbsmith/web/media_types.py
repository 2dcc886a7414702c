"""The media types of uploads: which are accepted, and the type of a file whose sender does not know it."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Final

from thumbsmith.errors import Rejected
from thumbsmith.image.containers import signature
from thumbsmith.image.formats import SOURCE_FORMATS
from thumbsmith.web.http import Problem

# The formats that can be read: all but those of extras that are not installed here.
FORMATS: Final = tuple(
    each for each in SOURCE_FORMATS.values() if not each.extra or not each.package or find_spec(each.package)
)

# The names that browsers use for these formats.
MEDIA_TYPES: Final = tuple(sorted(kind for each in FORMATS for kind in each.media_types))

# The sender does not know the type: RFC 9110, section 8.3, and RFC 2046, section 4.5.1. The content decides.
UNKNOWN: Final = "application/octet-stream"

# Names that programs send although they are not registered. The content decides here too.
# https://www.iana.org/assignments/media-types/media-types.xhtml#image
_UNREGISTERED: Final = frozenset(
    f"image/{name}" for name in ("jpg", "pjpeg", "jfif", "x-png", "x-bmp", "x-ms-bmp", "x-webp", "tif", "x-tiff", "ico")
)

# What curl -d and --data-binary send unless told otherwise.
_FORM: Final = "application/x-www-form-urlencoded"

# The first bytes of a file, which show its format.
HEAD_BYTES: Final = signature.SIGNATURE_BYTES


def essence(header: str) -> str:
    """Return type and subtype of a Content-Type, in lower case and without parameters: RFC 9110, section 8.3.1."""
    return header.partition(";")[0].strip(" \t").lower()


def accepted_type(header: str, field: str) -> str:
    """Return the media type of an upload; UNKNOWN if the header is empty, says so, or has no registered name.

    Raises Problem (415) for a type that cannot be read. `field` is the name of the header or field, for its message.
    """
    kind = essence(header)
    if kind in {"", UNKNOWN} | _UNREGISTERED:
        return UNKNOWN
    if kind not in MEDIA_TYPES:
        hint = " With curl, use -T FILE instead of --data-binary." if kind == _FORM else ""
        raise Problem(415, f"{field}: expected one of {', '.join(MEDIA_TYPES)}.{hint}", code="unsupported_type")
    return kind


def type_of_content(head: bytes) -> str:
    """Return the media type by the first HEAD_BYTES of a file; UNKNOWN if several formats begin like this.

    Raises Problem (415) for a file that is no image.
    """
    try:
        found = signature.identify(head)
    except Rejected as rejected:
        raise Problem(415, f"The file: {rejected.detail}.", code="unsupported_type") from None
    if found not in FORMATS:
        what = f'the extra "{found.extra}"' if found.extra else f"the package {found.package}"
        raise Problem(415, f"The file: decoding {found.name} needs {what} on the server.", code="unsupported_type")
    is_alone = sum(each.matches(head) for each in SOURCE_FORMATS.values()) < 2
    return min(found.media_types) if is_alone else UNKNOWN
