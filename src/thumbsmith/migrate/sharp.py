"""The options of sharp's `resize`, which other programs pass on.

https://sharp.pixelplumbing.com/api-resize
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from thumbsmith.migrate.conversion import Conversion, shown

FITS: Final = ("cover", "contain", "fill", "inside", "outside")

# Positions and strategies of sharp, by name and by number, and the gravity that is the same.
POSITIONS: Final[Mapping[object, str]] = {
    "top": "north",
    "right top": "northeast",
    "right": "east",
    "right bottom": "southeast",
    "bottom": "south",
    "left bottom": "southwest",
    "left": "west",
    "left top": "northwest",
    "centre": "center",
    "entropy": "auto",
    "attention": "auto",
    16: "auto",
    17: "auto",
} | {
    key: name
    for number, name in enumerate(
        ("center", "north", "east", "south", "west", "northeast", "southeast", "southwest", "northwest")
    )
    for key in (number, name)
}

# The color with which sharp fills the rest of the box for `contain`.
DEFAULT_BACKGROUND: Final = "#000000"


def resize_fields(given: Mapping[str, Any], where: str, made: Conversion, *, enlarge: bool) -> dict[str, Any]:
    """Return the fields for these options, without width and height. Notes those that are not converted.

    `enlarge` is whether the program enlarges small images where the options do not say it.
    """
    fields: dict[str, Any] = {}
    for name, value in given.items():
        converted = _field(name, value, where, made)
        if converted is not None:
            fields |= converted
    if fields.pop("enlarge", enlarge):
        fields["enlarge"] = True
    if fields.get("fit") == "contain":
        fields.setdefault("background", DEFAULT_BACKGROUND)
    return fields


def _field(name: str, value: object, where: str, made: Conversion) -> dict[str, Any] | None:
    match name, value:
        case "width" | "height", _:
            return None
        case "fit", str() if value in FITS:
            return {"fit": value}
        case "position", str() | int() if value in POSITIONS:
            return {"gravity": POSITIONS[value]}
        case "withoutEnlargement", bool():
            return {"enlarge": not value}
        case "background", _:
            color = made.color(value, where)
            return {"background": color} if color else None
        case (("fit" | "position" | "withoutEnlargement"), _):
            made.differs(f"{where}: {name} = {shown(value)} is not converted.")
        case _:
            made.differs(f"{where}: {name} has no counterpart.")
    return None
