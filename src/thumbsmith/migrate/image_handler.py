"""AWS Serverless Image Handler (Dynamic Image Transformation for CloudFront): requests, as JSON or as URLs.

A file has one request as a JSON object, several in a JSON list, or one URL in each line: with the request in base64,
with filters as Thumbor has them, or with query parameters. Each different request becomes a variant.
https://docs.aws.amazon.com/solutions/latest/dynamic-image-transformation-for-amazon-cloudfront/
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

from thumbsmith.errors import UsageError
from thumbsmith.migrate.conversion import FORMATS, Conversion, whole_number
from thumbsmith.migrate.firebase import POSITIONS

_FITS: Final = frozenset({"cover", "contain", "fill", "inside", "outside"})
_THUMBOR_SIZE: Final = re.compile(r"/(\d*)x(\d*)(?=/)")
_THUMBOR_FILTER: Final = re.compile(r"([a-z_]+)\(([^()]*)\)")

# Edits that change nothing here, because it is always so.
_ALWAYS: Final = frozenset({"strip_exif", "strip_icc", "stripExif", "stripIcc", "autojpg"})


def convert(text: str, origin: str) -> Conversion:
    """Return the conversion of requests. Raises UsageError if there are none."""
    made = Conversion()
    for edits, output in _requests(text, origin, made):
        fields = _fields(edits, output, made)
        if fields:
            made.add(_name(fields), fields)
    made.differs("Every image gets every variant, before it is requested. Other sizes need `serve` with signed URLs.")
    return made


def _requests(text: str, origin: str, made: Conversion) -> Iterator[tuple[dict[str, Any], object]]:
    """Yield the edits and the output format of each request."""
    stripped = text.strip()
    if stripped.startswith(("{", "[")):
        try:
            found = json.loads(stripped)
        except (ValueError, RecursionError) as error:
            raise UsageError(f"{origin}: expected JSON: {error}") from error
        for each in found if isinstance(found, list) else [found]:
            yield _edits_of(each, origin)
        return
    for number, line in enumerate(stripped.splitlines(), 1):
        if line.strip() and not line.lstrip().startswith("#"):
            yield _edits_of_url(line.strip(), f"{origin}, line {number}", made)


def _edits_of(request: object, origin: str) -> tuple[dict[str, Any], object]:
    match request:
        case {"edits": dict(edits), **rest}:
            return edits, rest.get("outputFormat")
        case {"key": _, **rest}:
            return {}, rest.get("outputFormat")
    raise UsageError(f"{origin}: expected a request with edits, found {json.dumps(request)[:60]}")


def _edits_of_url(url: str, origin: str, made: Conversion) -> tuple[dict[str, Any], object]:
    """Return the edits in the URL of an image: of its query over those of its path."""
    parts = urlsplit(url)
    edits, output = _edits_of_path(unquote(parts.path), origin, made)
    resize = edits.setdefault("resize", {})
    for name, value in parse_qsl(parts.query):
        if name == "format":
            edits["toFormat"] = value
        elif name in {"width", "height", "fit"}:
            resize[name] = value
        elif name not in {"signature", "expires"}:
            edits[name] = value
    return edits, output


def _edits_of_path(path: str, origin: str, made: Conversion) -> tuple[dict[str, Any], object]:
    encoded = path.rpartition("/")[2]
    try:
        padded = encoded + "=" * (-len(encoded) % 4)
        request = json.loads(base64.b64decode(padded, altchars=b"-_" if set(encoded) & set("-_") else None))
    except (ValueError, RecursionError):
        return _edits_of_thumbor(path, made), None
    return _edits_of(request, origin)


def _edits_of_thumbor(path: str, made: Conversion) -> dict[str, Any]:
    """Return the edits in a path such as /fit-in/300x400/filters:format(webp):quality(80)/a.jpg."""
    resize: dict[str, Any] = {}
    edits: dict[str, Any] = {"resize": resize}
    if size := _THUMBOR_SIZE.search(path):
        resize |= {"width": size[1], "height": size[2]}
    if "/fit-in/" in path:
        resize["fit"] = "inside"
    for name, value in _THUMBOR_FILTER.findall(path[path.find("/filters:") :] if "/filters:" in path else ""):
        match name:
            case "format":
                edits["toFormat"] = value
            case "quality":
                edits["quality"] = value
            case "no_upscale":
                resize["withoutEnlargement"] = True
            case "stretch":
                resize["fit"] = "fill"
            case "upscale":
                resize["fit"] = "inside"
            case "fill" | "background_color":
                resize["background"] = value
                resize["fit"] = "contain" if name == "fill" else resize.get("fit", "cover")
            case _:
                edits[name] = value or True
    if re.search(r"/\d+x\d+:\d+x\d+/", path):
        made.differs("A crop by coordinates has no counterpart.")
    return edits


def _fields(edits: Mapping[str, Any], output: object, made: Conversion) -> dict[str, Any]:
    """Return the fields of a variant; none, and a difference, for a request without a size."""
    resize = edits.get("resize")
    resize = resize if isinstance(resize, dict) else {}
    fields: dict[str, Any] = {
        name: side for name in ("width", "height") if (side := whole_number(resize.get(name))) is not None
    }
    if not fields:
        made.differs("A request without width and height is not converted: a variant has a size.")
        return {}
    fit = resize.get("fit", "cover")
    if len(fields) == 2 and fit in _FITS and fit != "inside":
        fields["fit"] = fit
    if resize.get("withoutEnlargement") is not True:
        fields["enlarge"] = True
    if resize.get("position") in POSITIONS:
        fields["gravity"] = POSITIONS[resize["position"]]
    if "background" in resize and (color := made.color(resize["background"], "resize")):
        fields["background"] = color
    for name in sorted(set(resize) - {"width", "height", "fit", "withoutEnlargement", "position", "background"}):
        made.differs(f"resize.{name} has no counterpart.")
    return fields | _look(edits, output, made)


def _look(edits: Mapping[str, Any], output: object, made: Conversion) -> dict[str, Any]:
    """Return the fields for format, quality and the other edits."""
    fields: dict[str, Any] = {}
    wanted = str(edits.get("toFormat") or output or "").lower()
    if wanted and wanted not in FORMATS:
        made.differs(f"{wanted} is not written: the thumbnail has the format of its image instead.")
    fields["formats"] = [FORMATS.get(wanted, "source")]
    for name, value in edits.items():
        number = whole_number(value.get("quality")) if isinstance(value, dict) else whole_number(value)
        if name in FORMATS and isinstance(value, dict):
            if (
                number
                and name != "png"
                and wanted in {name, "", *(k for k, v in FORMATS.items() if v == FORMATS[name])}
            ):
                fields["quality"] = min(number, 100)
            for option in sorted(set(value) - {"quality"}):
                made.differs(f"{name}.{option} has no counterpart.")
        elif name == "quality" and number:
            fields["quality"] = min(number, 100)
        elif name == "smartCrop" and value:
            fields["gravity"] = "auto"
            made.differs("smartCrop: the crop keeps the most important part, which may not be a face.")
        elif name == "animated" and value not in {False, "false"}:
            fields["animation"] = "keep"
        elif name == "sharpen" and value:
            fields["sharpen"] = 1
            made.differs("sharpen: its parameters are not converted: 1 is much for a thumbnail.")
        elif name == "rotate" and value in {None, "", True}:
            continue  # by the orientation of the camera, as always
        elif name not in {"resize", "toFormat", "animated", *_ALWAYS} and value not in {False, "false"}:
            made.differs(f"{name} has no counterpart.")
    return fields


def _name(fields: Mapping[str, Any]) -> str:
    size = f"{fields.get('width', '')}x{fields.get('height', '')}".strip("x")
    fit = fields.get("fit")
    return f"{size}-{fit}" if fit else size
