"""What a file for AWS Serverless Image Handler asks for: requests as JSON, policies as JSON, or URLs.

A policy is how Dynamic Image Transformation names its edits from version 8 on.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

from thumbsmith.errors import UsageError
from thumbsmith.migrate.conversion import Conversion, shown, whole_number

_SIZE: Final = re.compile(r"/(\d{0,9})x(\d{0,9})(?=/)")
_CROP: Final = re.compile(r"/\d+x\d+:\d+x\d+/")
_FILTER: Final = re.compile(r"([a-z_]+)\(([^()]*)\)")


@dataclass(frozen=True, slots=True)
class ImageRequest:
    """The edits of one request, the format of its output if it is named, and widths that replace its own."""

    edits: dict[str, Any]
    output: object = None
    widths: tuple[int, ...] = field(default=())


def requests(text: str, origin: str, made: Conversion) -> Iterator[ImageRequest]:
    """Yield the requests in a file. Raises UsageError for one that is none."""
    stripped = text.strip()
    if stripped.startswith(("{", "[")):
        try:
            found = json.loads(stripped)
        except (ValueError, RecursionError) as error:
            raise UsageError(f"{origin}: expected JSON: {error}") from error
        for each in found if isinstance(found, list) else [found]:
            yield _request(each, origin, made)
        return
    for number, line in enumerate(stripped.splitlines(), 1):
        if line.strip() and not line.lstrip().startswith("#"):
            yield _of_url(line.strip(), f"{origin}, line {number}", made)


def _request(found: object, origin: str, made: Conversion) -> ImageRequest:
    match found:
        case {"edits": dict(edits), **rest}:
            for name in sorted(map(str, set(rest) - {"bucket", "key", "outputFormat"})):
                made.differs(f"{name} of a request has no counterpart.")
            return ImageRequest(edits, rest.get("outputFormat"))
        case {"key": _, **rest} if "edits" not in rest:
            return ImageRequest({}, rest.get("outputFormat"))
        case {"policyJSON": dict(policy)}:
            return _of_policy(policy, origin, made)
        case dict(policy) if {"transformations", "outputs"} & set(policy):
            return _of_policy(policy, origin, made)
        case {"ParameterKey": _} | {"Parameters": _}:
            raise UsageError(f"{origin}: expected requests or URLs of images, found parameters of the stack")
    raise UsageError(f"{origin}: expected a request with edits, found {shown(found)}")


def _of_policy(policy: Mapping[str, Any], origin: str, made: Conversion) -> ImageRequest:
    """Return the request that a policy makes of each image."""
    edits: dict[str, Any] = {}
    widths: list[int] = []
    for each in _objects(policy.get("transformations", []), "transformations", origin):
        name = str(each.get("transformation"))
        edits["toFormat" if name == "format" else name] = each.get("value")
        if each.get("condition") is not None:
            made.differs(f"{name}: the condition is not converted: all images are treated the same.")
    for each in _objects(policy.get("outputs", []), "outputs", origin):
        match each:
            case {"type": "quality", "value": [quality, *others]}:
                edits["quality"] = quality
                if others:
                    made.differs("quality: the quality does not depend on the density of the screen.")
            case {"type": "format", "value": "auto"}:
                edits["toFormat"] = "auto"
            case {"type": "format", "value": str(wanted)}:
                edits["toFormat"] = wanted
            case {"type": "autosize", "value": [*sizes]}:
                widths += filter(None, map(whole_number, sizes))
            case _:
                made.differs(f"outputs: {shown(each)} has no counterpart.")
    return ImageRequest(edits, widths=tuple(widths))


def _objects(found: object, name: str, origin: str) -> list[dict[str, Any]]:
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise UsageError(f"{origin}: {name}: expected a list of objects, found {shown(found)}")
    return found


def _of_url(url: str, origin: str, made: Conversion) -> ImageRequest:
    """Return the request in the URL of an image: the edits of its query over those of its path."""
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise UsageError(f"{origin}: expected a URL, found {shown(url)}") from error
    asked = _of_path(unquote(parts.path), origin, made)
    found = asked.edits.get("resize")
    resize = dict(found) if isinstance(found, dict) else {}
    edits = {**asked.edits, "resize": resize}
    for name, value in parse_qsl(parts.query):
        if name == "format":
            edits["toFormat"] = value
        elif name in {"width", "height", "fit"}:
            resize[name] = value
        elif name not in {"signature", "expires"}:
            edits[name] = value
    return ImageRequest(edits, asked.output)


def _of_path(path: str, origin: str, made: Conversion) -> ImageRequest:
    encoded = path.rpartition("/")[2]
    padded = encoded + "=" * (-len(encoded) % 4)
    try:
        found = json.loads(base64.b64decode(padded, altchars=b"-_" if set(encoded) & set("-_") else None))
    except (ValueError, RecursionError):
        return ImageRequest(_edits_of_thumbor(path, made))
    return _request(found, origin, made)


def _edits_of_thumbor(path: str, made: Conversion) -> dict[str, Any]:
    """Return the edits in a path such as /fit-in/300x400/filters:format(webp):quality(80)/a.jpg."""
    resize: dict[str, Any] = {}
    edits: dict[str, Any] = {"resize": resize}
    if size := _SIZE.search(path):
        resize |= {"width": size[1], "height": size[2]}
    if "/fit-in/" in path:
        resize["fit"] = "inside"
    if _CROP.search(path):
        made.differs("A crop by coordinates has no counterpart.")
    for name, value in _FILTER.findall(path[path.find("/filters:") :] if "/filters:" in path else ""):
        _add_filter(name, value, edits, resize)
    return edits


def _add_filter(name: str, value: str, edits: dict[str, Any], resize: dict[str, Any]) -> None:
    """Add the edits of one filter.

    https://docs.aws.amazon.com/solutions/latest/dynamic-image-transformation-for-amazon-cloudfront/use-supported-query-param-edits.html
    """
    match name:
        case "format":
            edits["toFormat"] = value
        case "autojpg":
            edits["toFormat"] = "jpeg"
        case "no_upscale":
            resize["withoutEnlargement"] = True
        case "stretch":
            resize.setdefault("fit", "fill")
        case "upscale":
            resize["fit"] = "inside"
        case "fill":
            resize |= {"fit": "contain", "background": value}
        case "background_color":
            edits["flatten"] = {"background": value}
        case "smart_crop":
            edits["smartCrop"] = True
        case "proportion" if (share := _share(value)) and whole_number(resize.get("width")):
            for side in ("width", "height"):
                resize[side] = round((whole_number(resize.get(side)) or 0) * share)
        case "equalize":
            edits["normalize"] = True
        case _:
            edits[name] = value or True


def _share(value: str) -> float | None:
    try:
        share = float(value)
    except ValueError:
        return None
    return share if 0 < share <= 1 else None
