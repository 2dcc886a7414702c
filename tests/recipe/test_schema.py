"""The JSON schema for editors accepts and refuses what the reader does."""

import json
import tomllib
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given

from tests.recipe.documents import documents, toml
from tests.recipe.mistakes import MISTAKES, Mistake
from tests.recipe.sample import SAMPLE
from thumbsmith.recipe.schema import schema_text

FILE = Path(__file__).parents[2] / "docs" / "thumbsmith.schema.json"
VALIDATOR = jsonschema.Draft202012Validator(json.loads(schema_text()))


def test_the_published_schema_is_current():
    """The file in docs/ is current: `python -m thumbsmith.recipe.schema` writes it."""
    assert FILE.read_text() == schema_text()


def test_the_schema_is_a_schema():
    """The schema is valid JSON Schema, draft 2020-12."""
    jsonschema.Draft202012Validator.check_schema(json.loads(schema_text()))


@given(documents)
def test_the_schema_takes_what_the_reader_takes(document: dict):
    """Every valid recipe is valid by the schema."""
    VALIDATOR.validate(tomllib.loads(toml(document)))
    VALIDATOR.validate(tomllib.loads(SAMPLE))


@pytest.mark.parametrize(
    "mistake", [each for each in MISTAKES if each.schema_tells], ids=lambda each: each.sentence[:50]
)
def test_the_schema_finds_the_mistakes(mistake: Mistake):
    """The schema refuses every mistake that JSON Schema can express."""
    assert not VALIDATOR.is_valid(tomllib.loads(mistake.toml))
