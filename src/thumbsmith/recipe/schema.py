"""The tables of a `thumbsmith.toml`, and their JSON schema for editors.

`python -m thumbsmith.recipe.schema > docs/thumbsmith.schema.json` writes the schema.
"""

from __future__ import annotations

import json
import sys
from typing import Any, Final

from thumbsmith.recipe.fields import FieldPath, Kind, Option, Table, mismatch, no_two_alike, table_of
from thumbsmith.recipe.model import MAX_VARIANTS, VARIANT_NAME, Limits, Variant
from thumbsmith.recipe.selection import Selection


def _variants(found: Any, path: FieldPath) -> dict[str, dict[str, Any]]:
    if not isinstance(found, dict):
        raise mismatch(path, VARIANTS.expected, found)
    if not 1 <= len(found) <= MAX_VARIANTS:
        raise mismatch(path, VARIANTS.expected, len(found))
    for name in found:
        VARIANT_NAME.read(name, (*path, name))
    no_two_alike(found, path)
    return {name: VARIANT.read(fields, (*path, name)) for name, fields in found.items()}


LIMITS: Final = table_of(Limits)
SELECTION: Final = table_of(Selection)
VARIANT: Final = table_of(Variant)
VARIANTS: Final = Kind(
    f"1 to {MAX_VARIANTS} tables",
    {
        "type": "object",
        "patternProperties": {VARIANT_NAME.schema["pattern"]: VARIANT.schema},
        "additionalProperties": False,
        "minProperties": 1,
        "maxProperties": MAX_VARIANTS,
    },
    _variants,
)
DOCUMENT: Final = Table(
    {
        "limits": Option(LIMITS, "Limits for one source. A source above a limit is rejected."),
        "source": Option(SELECTION, "Which keys are sources."),
        "defaults": Option(VARIANT, "Fields for all variants. A variant overrides them."),
        "variants": Option(
            VARIANTS, "The thumbnails to make, each with a name. Without this table: icon, small and large."
        ),
    }
)


def schema_text() -> str:
    """Return the schema (JSON Schema draft 2020-12) as JSON text.

    JSON Schema cannot express four rules: a variant has a width or a height, names differ by more than case, all
    variants show the same page, and the classes of a glob are closed.
    """
    head = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "thumbsmith.toml",
        "description": "The recipe of Thumbsmith: which thumbnails to make of which images.",
    }
    return json.dumps({**head, **DOCUMENT.schema}, indent=2) + "\n"


if __name__ == "__main__":
    sys.stdout.write(schema_text())
