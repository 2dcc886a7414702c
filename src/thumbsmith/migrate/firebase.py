"""The Firebase extension Resize Images: its parameters, as `extensions/storage-resize-images.env` has them.

https://github.com/firebase/extensions/blob/next/storage-resize-images/README.md
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

from thumbsmith.errors import UsageError
from thumbsmith.migrate.conversion import FORMATS, Conversion, shown, whole_number
from thumbsmith.migrate.sharp import resize_fields

# Parameters that say where the function runs: a recipe needs none of them.
_IGNORED: Final = frozenset({"LOCATION", "FUNCTION_MEMORY", "ALLOWED_EVENT_TYPES", "EVENTARC_CHANNEL", "LOG_LEVEL"})

_MEANINGS: Final = {
    "IMG_BUCKET": "name the bucket in the command",
    "RESIZED_IMAGES_PATH": "thumbnails get the key of their image and a name, such as a.jpg/200x200.webp",
    "CACHE_CONTROL_HEADER": "thumbnails have Cache-Control: public, max-age=60, and an ETag",
    "MAKE_PUBLIC": "who may read the thumbnails is a setting of the bucket",
    "FAILED_IMAGES_PATH": "a failed image stays where it is, and its manifest says why",
    "DO_BACKFILL": "sync makes the thumbnails of all images that exist",
    "REGENERATE_TOKEN": "thumbnails have no download tokens",
    "CONTENT_FILTER_LEVEL": "the content of images is not filtered",
    "CUSTOM_FILTER_PROMPT": "the content of images is not filtered",
    "PLACEHOLDER_IMAGE_PATH": "the content of images is not filtered",
}
# Values that switch a parameter off.
_OFF: Final = frozenset({"", "false", "off"})

# NAME=VALUE. A value in quotes may have several lines. A comment begins with a # after a space.
_ENTRY: Final = re.compile(
    r"""[ \t]*(?:export[ \t]+)?(?P<name>[A-Za-z_][\w./:-]*)[ \t]*=[ \t]*
    (?:"(?P<double>(?:\\.|[^"\\])*)"|'(?P<single>[^']*)'|(?P<plain>[^\n]*?))[ \t]*(?:(?<=[ \t])\#[^\n]*)?(?:\n|\Z)""",
    re.VERBOSE | re.DOTALL,
)
_NOTHING: Final = re.compile(r"[ \t]*(?:#[^\n]*)?(?:\n|\Z)")
_ESCAPED: Final = re.compile(r"\\(.)", re.DOTALL)
_SIZE: Final = re.compile(r"(\d{1,9})(?:x(\d{1,9}))?")


def convert(text: str, origin: str) -> Conversion:
    """Return the conversion of the parameters in a .env file. Raises UsageError if it has no sizes."""
    values = _read(text, origin)
    made = Conversion()
    fields: dict[str, Any] = {"formats": _formats(values.pop("IMAGE_TYPE", "false"), made)}
    quality = _quality(values.pop("OUTPUT_OPTIONS", ""), made)
    if quality:
        fields["quality"] = quality
    options = _json(values.pop("SHARP_OPTIONS", ""), "SHARP_OPTIONS", made)
    animated = options.pop("animated", None) is True
    if values.pop("IS_ANIMATED", "false").lower() == "true" or animated:
        fields["animation"] = "keep"
    fields |= resize_fields(options, "SHARP_OPTIONS", made, enlarge=False)
    for size in filter(None, (each.strip() for each in values.pop("IMG_SIZES", "").split(","))):
        found = _SIZE.fullmatch(size)
        if not found:
            raise UsageError(f"{origin}: IMG_SIZES: expected sizes such as 200x200, found {shown(size)}")
        made.add(size, {"width": int(found[1]), "height": int(found[2] or found[1]), **fields})
    made.include = _globs(values.pop("INCLUDE_PATH_LIST", ""))
    made.exclude = _globs(values.pop("EXCLUDE_PATH_LIST", ""))
    if values.pop("DELETE_ORIGINAL_FILE", "false") != "false":
        made.differs("DELETE_ORIGINAL_FILE: images are never deleted; the thumbnails of a deleted image are.")
    for name, value in values.items():
        if (
            value.lower() not in _OFF and name not in _IGNORED and "/" not in name
        ):  # names with a slash are of Firebase itself
            made.differs(f"{name}: {_MEANINGS.get(name, 'this has no counterpart')}.")
    made.differs("Thumbnails are not images of the bucket: use another bucket, or disjoint prefixes, for them.")
    return made


def _read(text: str, origin: str) -> dict[str, str]:
    """Return the values of a .env file by name. The last value of a name counts."""
    values: dict[str, str] = {}
    content = "\n".join(text.splitlines())
    at = 0
    while at < len(content):
        if nothing := _NOTHING.match(content, at):
            at = nothing.end()
            continue
        found = _ENTRY.match(content, at)
        if not found:
            number, line = content.count("\n", 0, at) + 1, content[at:].partition("\n")[0]
            raise UsageError(f"{origin}, line {number}: expected NAME=VALUE, found {shown(line.strip())}")
        if (quoted := found["double"]) is not None:
            value = _ESCAPED.sub(lambda match: "\n" if match[1] == "n" else match[1], quoted)
        else:
            value = found["plain"] if found["single"] is None else found["single"]
        values[found["name"].removeprefix("param:")] = value.strip()
        at = found.end()
    return values


def _formats(types: str, made: Conversion) -> list[str]:
    formats = []
    for each in (word.strip(" []\"'").lower() for word in types.split(",")):  # a list of JSON in newer versions
        if each in {"false", "original", ""}:
            formats.append("source")
        elif each in FORMATS:
            formats.append(FORMATS[each])
        else:
            made.differs(f"IMAGE_TYPE: {each} is not written. Such thumbnails are left out.")
    if "source" in formats:
        made.differs("IMAGE_TYPE: GIF, TIFF and other originals become PNG with transparency, else JPEG.")
    return list(dict.fromkeys(formats)) or ["source"]


def _quality(text: str, made: Conversion) -> dict[str, int]:
    quality: dict[str, int] = {}
    for name, options in _json(text, "OUTPUT_OPTIONS", made).items():
        if not isinstance(options, dict):
            made.differs(f"OUTPUT_OPTIONS: {name}: expected an object, found {shown(options)}.")
            continue
        for option, value in options.items():
            number = whole_number(value)
            if option == "quality" and number and name in FORMATS and name != "png":
                quality[FORMATS[name]] = min(number, 100)
            else:
                made.differs(f"OUTPUT_OPTIONS: {option} of {name} has no counterpart.")
    return quality


def _json(text: str, where: str, made: Conversion) -> dict[str, Any]:
    if not text.strip():
        return {}
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        made.differs(f"{where}: this is not a JSON object, and is ignored.")
        return {}
    return found


def _globs(paths: str) -> list[str]:
    """Return the globs for a list of folders. A path means all that is below it, at any depth."""
    return [f"{each.strip().strip('/')}/**" for each in paths.split(",") if each.strip().strip("/")]
