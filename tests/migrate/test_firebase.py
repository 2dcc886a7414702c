"""`thumbsmith init --from firebase`: parameters of the extension Resize Images."""

import json

import pytest

from tests.cli.command import Command
from tests.cli.conftest import thumbsmith
from tests.migrate.settings import converted, refused, synced, variants

__all__ = ["thumbsmith"]

SHOP = """
# Resize Images
LOCATION=europe-west1
IMG_BUCKET=shop-photos
IMG_SIZES=200x200,400x300
IMAGE_TYPE=webp
DELETE_ORIGINAL_FILE=false
MAKE_PUBLIC=false
IS_ANIMATED=false
firebaseextensions.v1beta.function/memory=1024
"""
MANY_FORMATS = """
IMG_SIZES="640x480"
IMAGE_TYPE=jpeg,avif,gif,false
OUTPUT_OPTIONS={"jpeg": {"quality": 60, "chromaSubsampling": "4:4:4"}, "avif": {"quality": 45}, "webp": 5}
RESIZED_IMAGES_PATH=thumbs
CACHE_CONTROL_HEADER='max-age=86400'
MAKE_PUBLIC=true
IS_ANIMATED=true
DELETE_ORIGINAL_FILE=on_success
"""
CROPS = """
export IMG_SIZES=150x150
IMAGE_TYPE=png
IS_ANIMATED=false
INCLUDE_PATH_LIST=/users/*/avatars,/shop
EXCLUDE_PATH_LIST=/shop/drafts
SHARP_OPTIONS={"fit": "cover", "position": "top", "background": {"r": 255, "g": 0, "b": 16}, "kernel": "cubic"}
CONTENT_FILTER_LEVEL=BLOCK_ONLY_HIGH
SOMETHING_NEW=yes
"""
CASES = {
    SHOP: (
        """
        [200x200]
        width = 200
        height = 200
        formats = ["webp"]
        [400x300]
        width = 400
        height = 300
        formats = ["webp"]
        """,
        ["IMG_BUCKET:", "Thumbnails are not images of the bucket"],
    ),
    MANY_FORMATS: (
        """
        [640x480]
        width = 640
        height = 480
        formats = ["jpeg", "avif", "source"]
        quality = { jpeg = 60, avif = 45 }
        animation = "keep"
        """,
        [
            "gif is not written",
            "chromaSubsampling",
            "webp: expected an object, found 5",
            "MAKE_PUBLIC",
            "never deleted",
        ],
    ),
    CROPS: (
        """
        [150x150]
        width = 150
        height = 150
        formats = ["png"]
        fit = "cover"
        gravity = "north"
        background = "#ff0010"
        """,
        ["kernel", "CONTENT_FILTER_LEVEL", "SOMETHING_NEW: this has no counterpart"],
    ),
}

# Each parameter of the extension, with another value than the one that changes nothing.
# https://github.com/firebase/extensions/blob/next/storage-resize-images/extension.yaml
PARAMETERS = {
    "IMG_BUCKET": "photos",
    "DELETE_ORIGINAL_FILE": "true",
    "MAKE_PUBLIC": "true",
    "RESIZED_IMAGES_PATH": "thumbs",
    "INCLUDE_PATH_LIST": "/a",
    "EXCLUDE_PATH_LIST": "/b",
    "FAILED_IMAGES_PATH": "failed",
    "CACHE_CONTROL_HEADER": "max-age=1",
    "IMAGE_TYPE": "webp,tiff",
    "OUTPUT_OPTIONS": '{"jpeg": {"quality": 5}}',
    "SHARP_OPTIONS": '{"fit": "fill"}',
    "IS_ANIMATED": "true",
    "DO_BACKFILL": "true",
    "REGENERATE_TOKEN": "true",
    "CONTENT_FILTER_LEVEL": "BLOCK_LOW_AND_ABOVE",
    "CUSTOM_FILTER_PROMPT": "is it a cat?",
    "PLACEHOLDER_IMAGE_PATH": "no.png",
}
# They say where and how the function runs.
IGNORED = {"LOCATION": "us-central1", "FUNCTION_MEMORY": "2048", "EVENTARC_CHANNEL": "x"}


@pytest.mark.parametrize("text", CASES, ids=["shop", "many formats", "crops"])
def test_parameters_become_a_recipe(thumbsmith: Command, text: str):
    """The recipe has these variants, and each difference is named."""
    expected, differences = CASES[text]
    found = synced(thumbsmith, "firebase", text)
    assert found.variants == variants(expected)
    assert [words for words in differences if not found.says(words)] == []


def test_parameters_that_are_off_are_not_listed(thumbsmith: Command):
    """A parameter with a value that changes nothing is no difference."""
    assert not converted(thumbsmith, "firebase", SHOP).says("MAKE_PUBLIC")


def test_folders_become_globs(thumbsmith: Command):
    """The folders of Firebase are selected by globs."""
    found = converted(thumbsmith, "firebase", CROPS)
    assert found.selection == {"include": ["users/*/avatars/**", "shop/**"], "exclude": ["shop/drafts/**"]}


@pytest.mark.parametrize("name", PARAMETERS)
def test_each_parameter_is_converted_or_listed(thumbsmith: Command, name: str):
    """Each parameter of the extension changes the recipe, or is named among the differences."""
    plain = converted(thumbsmith, "firebase", "IMG_SIZES=10x10")
    found = converted(thumbsmith, "firebase", f"IMG_SIZES=10x10\n{name}={PARAMETERS[name]}\n")
    changed = (found.variants, found.selection) != (plain.variants, plain.selection)
    assert changed or found.says(f"{name}:")


@pytest.mark.parametrize("name", IGNORED)
def test_where_the_function_runs_does_not_matter(thumbsmith: Command, name: str):
    """Parameters of the function itself change nothing, and are no difference."""
    plain = converted(thumbsmith, "firebase", "IMG_SIZES=10x10")
    assert converted(thumbsmith, "firebase", f"IMG_SIZES=10x10\n{name}={IGNORED[name]}\n") == plain


@pytest.mark.parametrize(
    ("options", "fields"),
    [
        ({"fit": "contain"}, 'fit = "contain"\nbackground = "#000000"'),  # sharp fills with black, a recipe with white
        ({"fit": "contain", "background": "teal"}, 'fit = "contain"\nbackground = "#008080"'),
        ({"background": "rgba(1, 2, 3, 1.0)"}, 'background = "#010203"'),
        ({"background": [255, 255, 0]}, 'background = "#ffff00"'),
        ({"background": "#abcf"}, 'background = "#abc"'),
        ({"background": {"r": 0, "g": 0, "b": 0, "alpha": 0}}, ""),
        ({"withoutEnlargement": False}, "enlarge = true"),
        ({"withoutEnlargement": True}, ""),
        ({"position": 1}, 'gravity = "north"'),
        ({"position": "attention"}, 'gravity = "auto"'),
        ({"position": ["a"], "fit": {"a": 1}, "withoutEnlargement": "yes"}, ""),
        ({"animated": True}, 'animation = "keep"'),
    ],
)
def test_options_of_sharp(thumbsmith: Command, options: dict[str, object], fields: str):
    """Options of sharp become fields; a value of another type, or that a recipe cannot have, is listed."""
    found = converted(thumbsmith, "firebase", f"IMG_SIZES=10x10\nSHARP_OPTIONS={json.dumps(options)}\n")
    plain = {"width": 10, "height": 10, "formats": ["source"]}
    assert found.variants == {"10x10": plain | variants(fields)}
    if not fields and options != {"withoutEnlargement": True}:
        assert all(found.says(name) for name in options)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("IMG_SIZES=200x100 # small", "200x100"),
        ('IMG_SIZES="200x100" # small', "200x100"),
        ("  IMG_SIZES = '200x100'  ", "200x100"),
        ("export IMG_SIZES=200x100", "200x100"),
        ("param:IMG_SIZES=200x100", "200x100"),
        ("\ufeffIMG_SIZES=200x100\r\n\r\n#IMG_SIZES=1x1\r\n", "200x100"),
        ("IMG_SIZES=1x1\nIMG_SIZES=200x100", "200x100"),
        ("IMG_SIZES=200", "200"),
        ('OUTPUT_OPTIONS="{\n \\"jpeg\\": {\\"quality\\": 5}\n}"\nIMG_SIZES=200x100', "200x100"),
        ('IMAGE_TYPE=["webp","jpeg"]\nIMG_SIZES=200x100', "200x100"),
    ],
)
def test_how_a_file_may_be_written(thumbsmith: Command, text: str, expected: str):
    """Comments, quotes, several lines in quotes, and the byte order mark are understood."""
    found = converted(thumbsmith, "firebase", text)
    assert list(found.variants) == [expected]
    assert not [sentence for sentence in found.differences if sentence.startswith(("OUTPUT_OPTIONS", '["'))]


def test_a_file_without_is_animated_is_of_an_old_version(thumbsmith: Command):
    """Versions before the parameter made no animations."""
    assert "animation" not in converted(thumbsmith, "firebase", "IMG_SIZES=1x1").variants["1x1"]


def test_options_that_are_no_object_are_listed(thumbsmith: Command):
    """Options that are no JSON are listed and ignored."""
    found = converted(thumbsmith, "firebase", "IMG_SIZES=10x10\nOUTPUT_OPTIONS={\nSHARP_OPTIONS=[1]\n")
    assert found.says("OUTPUT_OPTIONS: this is not a JSON object")
    assert found.says("SHARP_OPTIONS: this is not a JSON object")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"no parameters", "settings, line 1: expected NAME=VALUE, found 'no parameters'"),
        (b"A=1\n\nIMG_SIZES", "settings, line 3: expected NAME=VALUE"),
        (b"IMG_SIZES=big", "settings: IMG_SIZES: expected sizes such as 200x200, found 'big'"),
        (b"IMG_SIZES=-1x5", "expected sizes such as 200x200"),
        (b"IMG_SIZES=", "expected at least one size"),
        (b"", "expected at least one size"),
        (b"IMG_SIZES=99999x1", "this cannot be a recipe"),
        (b"IMG_SIZES=" + b"9" * 5000 + b"x1", "expected sizes such as 200x200, found '999"),
        (b"IMG_SIZES=" + b",".join(b"%dx1" % number for number in range(1, 60)), "this cannot be a recipe"),
        (b"\xff\xfe\x00", "expected a readable file: it is not text in UTF-8"),
        ("IMG_SIZES=10x10".encode("utf-16"), "expected a readable file: it is not text in UTF-8"),
        (b'{"IMG_SIZES": "10x10"}', "expected NAME=VALUE"),
    ],
)
def test_what_cannot_be_converted_is_one_sentence(thumbsmith: Command, content: bytes, sentence: str):
    """Unusable parameters are one short sentence, and no file is written."""
    found = refused(thumbsmith, "firebase", content)
    assert sentence in found
    assert len(found) < 300
