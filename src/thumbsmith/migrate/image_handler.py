"""AWS Serverless Image Handler (Dynamic Image Transformation for CloudFront): each request becomes a variant.

https://docs.aws.amazon.com/solutions/latest/dynamic-image-transformation-for-amazon-cloudfront/
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from thumbsmith.migrate.conversion import FORMATS, Conversion, shown, whole_number
from thumbsmith.migrate.image_requests import ImageRequest, requests
from thumbsmith.migrate.sharp import resize_fields

# Edits that change nothing here, because it is always so.
_ALWAYS: Final = frozenset({"strip_exif", "strip_icc", "stripExif", "stripIcc"})

# Values with which an edit asks for nothing.
_OFF: Final = (None, False, "false", "0", "")

# What is made where the format depends on the browser: the API sends the one that the browser prefers.
_AUTO_FORMATS: Final = ("webp", "jpeg")


def convert(text: str, origin: str) -> Conversion:
    """Return the conversion of requests. Raises UsageError if there are none."""
    made = Conversion()
    for request in requests(text, origin, made):
        for fields in _variants(request, made):
            made.add(_name(fields), fields)
    made.differs("Every image gets every variant, before it is requested. Other sizes need `serve` with signed URLs.")
    return made


def _variants(request: ImageRequest, made: Conversion) -> Iterator[dict[str, Any]]:
    """Yield the fields of each variant; none, and a difference, for a request without a size."""
    found = request.edits.get("resize")
    resize: dict[str, Any] = found if isinstance(found, dict) else {}
    if found is not None and not isinstance(found, dict):
        made.differs(f"resize = {shown(found)} is not converted.")
    sizes = [{"width": width} for width in request.widths] or [
        {name: side for name in ("width", "height") if (side := whole_number(resize.get(name))) is not None}
    ]
    if not any(sizes):
        made.differs("A request without width and height is not converted: a variant has a size.")
        return
    look = resize_fields(resize, "resize", made, enlarge=True) | _look(request, made)
    for size in sizes:
        fields = {**size, **look}
        fit = fields.pop("fit", "cover")
        if len(size) == 2 and fit != "inside":
            fields["fit"] = fit
        yield fields


def _look(request: ImageRequest, made: Conversion) -> dict[str, Any]:
    """Return the fields for format, quality and the other edits."""
    edits = request.edits
    wanted = str(edits.get("toFormat") or request.output or "").lower()
    fields: dict[str, Any] = {"formats": _formats(wanted, made)}
    for name, value in edits.items():
        match name:
            case "resize" | "toFormat":
                continue
            case "quality" if number := whole_number(value):
                fields["quality"] = min(number, 100)
            case "rotate" if value in (None, "", True, "null"):
                continue  # by the orientation of the camera, as always
            case _ if name in FORMATS and isinstance(value, dict):
                fields |= _format_options(name, value, wanted, made)
            case _ if name in _ALWAYS or value in _OFF:
                continue
            case "smartCrop":
                fields["gravity"] = "auto"
                made.differs("smartCrop: the crop keeps the most important part, which may not be a face.")
            case "animated":
                fields["animation"] = "keep"
            case "sharpen":
                fields["sharpen"] = 1
                made.differs("sharpen: its parameters are not converted: 1 is much for a thumbnail.")
            case "flatten":
                color = made.color(value.get("background") if isinstance(value, dict) else value, "flatten")
                fields |= {"background": color} if color else {}
            case _:
                made.differs(f"{name} has no counterpart.")
    return fields


def _formats(wanted: str, made: Conversion) -> list[str]:
    if wanted == "auto":
        made.differs("The format does not depend on the browser: WebP and JPEG are made, and the API chooses.")
        return list(_AUTO_FORMATS)
    if wanted and wanted not in FORMATS:
        made.differs(f"{shown(wanted)} is not written: the thumbnail has the format of its image instead.")
    return [FORMATS.get(wanted, "source")]


def _format_options(name: str, options: Mapping[str, Any], wanted: str, made: Conversion) -> dict[str, Any]:
    """Return the quality that is set for a format, if the output has this format."""
    for option in sorted(set(options) - {"quality"}):
        made.differs(f"{name}.{option} has no counterpart.")
    number = whole_number(options.get("quality"))
    is_used = not wanted or FORMATS.get(wanted) == FORMATS[name]
    if number and is_used and name != "png":
        return {"quality": min(number, 100)}
    if "quality" in options:
        made.differs(f"{name}.quality is not used: it is for another format, or no number.")
    return {}


def _name(fields: Mapping[str, Any]) -> str:
    size = f"{fields.get('width', '')}x{fields.get('height', '')}".strip("x")
    fit = fields.get("fit")
    return f"{size}-{fit}" if fit else size
