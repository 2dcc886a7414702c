"""The JSON schema of a recipe, for editors: `python -m thumbsmith.recipe.schema > docs/thumbsmith.schema.json`."""

from __future__ import annotations

import json
import sys

from thumbsmith.recipe.tables import DOCUMENT


def schema_text() -> str:
    """Return the schema (JSON Schema draft 2020-12) as JSON text.

    It says what JSON Schema can say. Only the reader checks that a variant has a width or a height, that names differ
    by more than case, and that the classes of a glob are closed.
    """
    head = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "thumbsmith.toml",
        "description": "The recipe of Thumbsmith: which thumbnails to make of which images.",
    }
    return json.dumps({**head, **DOCUMENT.schema}, indent=2) + "\n"


if __name__ == "__main__":
    sys.stdout.write(schema_text())
