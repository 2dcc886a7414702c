"""aws-lambda-image: its config.json. Sizes are geometries of ImageMagick.

https://github.com/ysugimoto/aws-lambda-image/blob/master/README.md and
https://imagemagick.org/script/command-line-processing.php#geometry
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from thumbsmith.errors import UsageError
from thumbsmith.migrate.conversion import FORMATS, Conversion, json_object, shown, whole_number
from thumbsmith.recipe.model import GRAVITIES, MAX_RENDITION_SIDE

_GEOMETRY: Final = re.compile(r"(\d{1,9})?(?:x(\d{1,9})?)?([!^<>%@]*)")
_CROP: Final = re.compile(r"(\d{1,9})x(\d{1,9})((?:[+-]\d{1,9}){1,2})?!?")

_MEANINGS: Final = {
    "bucket": "name the bucket for thumbnails in the command",
    "directory": "thumbnails get the key of their image and the name of the variant, such as a.jpg/small.webp",
    "prefix": "thumbnails get the name of the variant",
    "suffix": "thumbnails get the name of the variant",
    "template": "thumbnails get the key of their image and the name of the variant",
    "acl": "who may read the thumbnails is a setting of the bucket",
    "cacheControl": "thumbnails have Cache-Control: public, max-age=60, and an ETag",
    "keepExtension": "the extension is that of the format",
    "backup": "images are not copied",
    "jpegOptimizer": "the encoder is fixed",
    "optimizers": "the encoders are fixed",
}
_CONVERTED: Final = frozenset({"size", "format", "crop", "gravity", "quality", "orientation", "background"})


def convert(text: str, origin: str) -> Conversion:
    """Return the conversion of a config.json. Raises UsageError if it is none."""
    config = json_object(text, origin)
    made = Conversion()
    _note(made, "", {name: value for name, value in config.items() if name not in {"resizes", "resize", "reduce"}})
    resizes = config.get("resizes", config.get("resize", []))
    if not isinstance(resizes, list) or not all(isinstance(each, dict) for each in resizes):
        raise UsageError(f"{origin}: resizes: expected a list of objects")
    for number, each in enumerate(resizes, 1):
        fields = _fields(each, f"resizes {number}", made)
        if fields:
            made.add(_name(each), fields)
    reduce = config.get("reduce")
    if reduce is not None and not isinstance(reduce, dict):
        raise UsageError(f"{origin}: reduce: expected an object, found {shown(reduce)}")
    if reduce is not None:
        sides = {"width": MAX_RENDITION_SIDE, "height": MAX_RENDITION_SIDE}
        made.add("reduced", sides | _look(reduce, "reduce", made))
        _note(made, "reduce", reduce)
    return made


def _fields(resize: Mapping[str, Any], where: str, made: Conversion) -> dict[str, Any]:
    """Return the fields of a variant; none, and a difference, if its size cannot be converted."""
    size = str(resize.get("size", ""))
    found = _GEOMETRY.fullmatch(size)
    width, height, flags = (found[1], found[2], found[3]) if found else (None, None, "%")
    if not (width or height) or set(flags) & set("%@<"):
        made.differs(f"{where}: the size {shown(size)} is not converted: expected a width or height, with ^, ! or >.")
        return {}
    fields: dict[str, Any] = {name: int(side) for name, side in (("width", width), ("height", height)) if side}
    if width and height and "!" in flags:
        fields["fit"] = "fill"
    elif width and height and "^" in flags:
        fields["fit"] = "outside"
    if ">" not in flags:
        fields["enlarge"] = True
    _crop(resize, where, fields, made)
    fields |= _look(resize, where, made)
    _note(made, where, resize)
    return fields


def _crop(resize: Mapping[str, Any], where: str, fields: dict[str, Any], made: Conversion) -> None:
    """Change the fields for a crop. It is that of `cover` if the picture was scaled to fill the box."""
    if "crop" not in resize:
        return
    found = _CROP.fullmatch(str(resize["crop"]))
    if not found or fields.get("fit") != "outside" or (found[3] or "").strip("+-0"):
        made.differs(
            f"{where}: the crop {shown(resize['crop'])} is not converted: only one to the size, without an offset."
        )
        return
    box = (int(found[1]), int(found[2]))
    if box != (fields["width"], fields["height"]):
        made.differs(f"{where}: the picture is scaled to fill {box[0]} x {box[1]}, so that it shows more of the image.")
    gravity = str(resize.get("gravity", "northwest")).lower()
    fields |= {"width": box[0], "height": box[1], "fit": "cover"}
    if gravity in GRAVITIES:
        fields["gravity"] = gravity
    else:
        made.differs(f"{where}: the gravity {shown(gravity)} has no counterpart: the center is kept.")


def _look(resize: Mapping[str, Any], where: str, made: Conversion) -> dict[str, Any]:
    """Return the fields for format, quality and background."""
    fields: dict[str, Any] = {}
    quality = whole_number(resize.get("quality"))
    name = str(resize.get("format") or ("jpg" if quality and where != "reduce" else "")).lower()
    if name and name not in FORMATS:
        made.differs(f"{where}: {name} is not written: the thumbnail has the format of its image instead.")
    fields["formats"] = [FORMATS.get(name, "source")]
    if quality:
        fields["quality"] = min(quality, 100)
    if "background" in resize and (color := made.color(resize["background"], where)):
        fields["background"] = color
    if "orientation" not in resize:
        made.differs("Thumbnails are always turned as the camera was held. Before, this needed `orientation`.")
    return fields


def _note(made: Conversion, where: str, options: Mapping[str, Any]) -> None:
    for name in options:
        if name not in _CONVERTED:
            at = f"{where}: " if where else ""
            made.differs(f"{at}{name}: {_MEANINGS.get(name, 'this has no counterpart')}.")


def _name(resize: Mapping[str, Any]) -> str:
    """Return a name for a variant: the last part of its directory, its suffix, or its size."""
    directory = str(resize.get("directory", "")).strip("./").rpartition("/")[2]
    return directory or str(resize.get("suffix", "")).strip("-_") or str(resize.get("size", ""))
