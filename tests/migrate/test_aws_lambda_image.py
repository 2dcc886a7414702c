"""`thumbsmith init --from aws-lambda-image`: its config.json."""

import json

import pytest

from tests.cli.command import Command
from tests.cli.conftest import thumbsmith
from tests.migrate.settings import ODD, converted, refused, synced, variants

__all__ = ["thumbsmith"]

KIND = "aws-lambda-image"
CASES = {
    "three sizes": (
        {
            "bucket": "thumbs",
            "resizes": [
                {"size": 300, "directory": "./resized/small"},
                {"size": "450x>", "directory": "./resized/medium", "suffix": "_m", "orientation": True},
                {"size": "x900", "directory": "large", "acl": "public-read", "cacheControl": None},
            ],
        },
        """
        small = { width = 300, enlarge = true, formats = ["source"] }
        medium = { width = 450, formats = ["source"] }
        large = { height = 900, enlarge = true, formats = ["source"] }
        """,
        ["bucket:", "resizes 1: directory", "resizes 2: suffix", "resizes 3: acl", "always turned"],
    ),
    "crops and formats": (
        {
            "jpegOptimizer": "mozjpeg",
            "resizes": [
                {"size": "600x600^", "crop": "600x600+0+0", "gravity": "Center", "directory": "square", "quality": 82},
                {"size": "600x600^", "crop": "300x200", "gravity": "Static", "directory": "wide", "format": "png"},
                {"size": "200x100!", "suffix": "-flat", "format": "jpg", "background": "white"},
                {"size": "320x320^", "directory": "outside", "format": "gif", "background": "transparent"},
                {"size": "50%", "directory": "half"},
                {"size": "80x80", "crop": "40x40+5+5", "directory": "offset"},
            ],
        },
        """
        outside = { width = 320, height = 320, fit = "outside", enlarge = true, formats = ["source"] }
        offset = { width = 80, height = 80, enlarge = true, formats = ["source"] }
        [square]
        width = 600
        height = 600
        fit = "cover"
        enlarge = true
        gravity = "center"
        formats = ["jpeg"]
        quality = 82
        [wide]
        width = 300
        height = 200
        fit = "cover"
        enlarge = true
        formats = ["png"]
        [flat]
        width = 200
        height = 100
        fit = "fill"
        enlarge = true
        formats = ["jpeg"]
        background = "#ffffff"
        """,
        ["'50%'", "'40x40+5+5'", "gif is not written", "'transparent'", "'static'", "jpegOptimizer", "300 x 200"],
    ),
    "reduce and backup": (
        {
            "backup": {"directory": "./original"},
            "reduce": {"directory": "./reduced", "quality": 90, "prefix": "r-"},
            "resizes": [{"size": "128x128", "directory": "./a b/ä"}],
            "optimizers": {"pngquant": ["--speed=1"]},
        },
        """
        thumbnail = { width = 128, height = 128, enlarge = true, formats = ["source"] }
        reduced = { width = 16383, height = 16383, formats = ["source"], quality = 90 }
        """,
        ["backup: images are not copied", "optimizers", "reduce: prefix"],
    ),
}

# Each option of the README, with a value. https://github.com/ysugimoto/aws-lambda-image#configuration-parameters
OPTIONS = {
    "bucket": "b",
    "jpegOptimizer": "jpegoptim",
    "acl": "private",
    "cacheControl": "max-age=1",
    "keepExtension": True,
    "backup": {"bucket": "b", "move": True},
    "reduce": {"quality": 5},
    "optimizers": {"gifsicle": []},
}
OPTIONS_OF_A_SIZE = {
    "format": "png",
    "crop": "5x5",
    "gravity": "North",
    "quality": 5,
    "jpegOptimizer": "jpegoptim",
    "orientation": True,
    "bucket": "b",
    "directory": "./d",
    "template": {"pattern": ":a", "output": ":a"},
    "prefix": "p-",
    "suffix": "-s",
    "acl": "private",
    "cacheControl": "x",
    "keepExtension": True,
    "background": "red",
    "anything": 1,
}


@pytest.mark.parametrize("name", CASES)
def test_a_configuration_becomes_a_recipe(thumbsmith: Command, name: str):
    """The recipe has these variants, and each difference is named."""
    config, expected, differences = CASES[name]
    found = synced(thumbsmith, KIND, json.dumps(config))
    assert found.variants == variants(expected)
    assert [words for words in differences if not found.says(words)] == []


@pytest.mark.parametrize("name", OPTIONS)
def test_each_option_is_converted_or_listed(thumbsmith: Command, name: str):
    """Each option changes the recipe, or is named among the differences."""
    plain = converted(thumbsmith, KIND, json.dumps({"resizes": [{"size": 10}]}))
    found = converted(thumbsmith, KIND, json.dumps({"resizes": [{"size": 10}], name: OPTIONS[name]}))
    assert found.variants != plain.variants or found.says(f"{name}:")


@pytest.mark.parametrize("name", OPTIONS_OF_A_SIZE)
def test_each_option_of_a_size_is_converted_or_listed(thumbsmith: Command, name: str):
    """The same for the options of one size."""
    plain = converted(thumbsmith, KIND, json.dumps({"resizes": [{"size": "9x9^", "crop": "9x9"}]}))
    size = {"size": "9x9^", "crop": "9x9", name: OPTIONS_OF_A_SIZE[name]}
    found = converted(thumbsmith, KIND, json.dumps({"resizes": [size]}))
    assert found.variants != plain.variants or found.differences != plain.differences


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"{", "settings: expected JSON"),
        (b"", "settings: expected JSON"),
        (b'{\n  // sizes\n  "resizes": []\n}', "expected JSON: Expecting property name"),
        (b'{"resizes": [{"size": 10},]}', "expected JSON"),
        (b"[" * 100_000, "expected JSON"),
        (b"[]", "expected a JSON object, found list"),
        (b'{"resizes": {}}', "resizes: expected a list of objects"),
        (b'{"resizes": [5]}', "resizes: expected a list of objects"),
        (b'{"reduce": true, "resizes": []}', "reduce: expected an object, found True"),
        (b'{"resizes": [{"size": "10%"}]}', "expected at least one size"),
        (b'{"resizes": [{}]}', "expected at least one size"),
        (b'{"resizes": [{"size": {"a": 1}}, {"size": null}, {"size": "x"}]}', "expected at least one size"),
        (b'{"resizes": [{"size": "%s"}]}' % (b"9" * 5000), "expected at least one size"),
        (b'{"resizes": [{"size": "0x0"}]}', "this cannot be a recipe"),
        (b'{"resizes": [{"size": 10, "a": %s}]}' % (b"9" * 5000), "expected JSON"),
        ('{"resizes": []}'.encode("utf-16"), "it is not text in UTF-8"),
    ],
)
def test_what_cannot_be_converted_is_one_sentence(thumbsmith: Command, content: bytes, sentence: str):
    """Unusable settings are one short sentence, and no file is written."""
    found = refused(thumbsmith, KIND, content)
    assert sentence in found
    assert len(found) < 300


@pytest.mark.parametrize("name", OPTIONS_OF_A_SIZE)
def test_a_value_of_another_type_is_no_crash(thumbsmith: Command, name: str):
    """An option with an unexpected value is listed or ignored; the rest is converted."""
    for odd in ODD:
        size = {"size": "9x9^", "crop": "9x9", name: odd}
        assert converted(thumbsmith, KIND, json.dumps({"resizes": [size]})).variants


def test_odd_names_of_options_are_shown_as_one_line(thumbsmith: Command):
    """A name with line breaks or control characters cannot break the recipe, whose comments have it."""
    size = {"size": 9, "a\nb\x00\x7f = 1\u2028": 1, "n" * 5000: 1}
    found = converted(thumbsmith, KIND, json.dumps({"resizes": [size]}))
    assert found.says("a b\\x00\\x7f = 1 : this has no counterpart")
    assert max(map(len, found.differences)) < 310
