"""`thumbsmith init --from`: settings of other programs become recipes that `sync` accepts."""

import base64
import json
import tomllib
from pathlib import Path

import pytest

from tests.cli.command import Command
from tests.cli.conftest import thumbsmith
from thumbsmith.recipe import Recipe

__all__ = ["thumbsmith"]

FIREBASE = {
    "sizes": (
        """
# Resize Images
LOCATION=europe-west1
IMG_BUCKET=shop-photos
IMG_SIZES=200x200,400x300
IMAGE_TYPE=webp
DELETE_ORIGINAL_FILE=false
IS_ANIMATED=false
firebaseextensions.v1beta.function/memory=1024
""",
        {
            "200x200": {"width": 200, "height": 200, "formats": ["webp"]},
            "400x300": {"width": 400, "height": 300, "formats": ["webp"]},
        },
        ["IMG_BUCKET:"],
    ),
    "formats and quality": (
        """
IMG_SIZES="640x480"
IMAGE_TYPE=jpeg,avif,gif,false
OUTPUT_OPTIONS={"jpeg": {"quality": 60, "chromaSubsampling": "4:4:4"}, "avif": {"quality": 45}}
RESIZED_IMAGES_PATH=thumbs
CACHE_CONTROL_HEADER='max-age=86400'
MAKE_PUBLIC=true
DELETE_ORIGINAL_FILE=on_success
""",
        {
            "640x480": {
                "width": 640,
                "height": 480,
                "formats": ["jpeg", "avif", "source"],
                "quality": {"jpeg": 60, "avif": 45},
                "animation": "keep",
            }
        },
        ["gif is not written", "chromaSubsampling", "RESIZED_IMAGES_PATH", "MAKE_PUBLIC", "images are never deleted"],
    ),
    "crops in some folders": (
        """
export IMG_SIZES=150x150
IMAGE_TYPE=png
IS_ANIMATED=false
INCLUDE_PATH_LIST=/users/*/avatars,/shop
EXCLUDE_PATH_LIST=/shop/drafts
SHARP_OPTIONS={"fit": "cover", "position": "top", "background": {"r": 255, "g": 0, "b": 16}, "kernel": "cubic"}
CONTENT_FILTER_LEVEL=BLOCK_ONLY_HIGH
SOMETHING_NEW=yes
""",
        {
            "150x150": {
                "width": 150,
                "height": 150,
                "formats": ["png"],
                "fit": "cover",
                "gravity": "north",
                "background": "#ff0010",
            }
        },
        ["kernel", "CONTENT_FILTER_LEVEL", "SOMETHING_NEW: this has no counterpart"],
    ),
}

LAMBDA_IMAGE = {
    "three sizes": (
        {
            "bucket": "thumbs",
            "resizes": [
                {"size": 300, "directory": "./resized/small"},
                {"size": "450x>", "directory": "./resized/medium", "suffix": "_m", "orientation": True},
                {"size": "x900", "directory": "large", "acl": "public-read", "cacheControl": None},
            ],
        },
        {
            "small": {"width": 300, "enlarge": True, "formats": ["source"]},
            "medium": {"width": 450, "formats": ["source"]},
            "large": {"height": 900, "enlarge": True, "formats": ["source"]},
        },
        ["bucket:", "resizes 1: directory", "resizes 2: suffix", "resizes 3: acl", "always turned"],
    ),
    "crops and formats": (
        {
            "jpegOptimizer": "mozjpeg",
            "resizes": [
                {"size": "600x600^", "crop": "600x600", "gravity": "Center", "directory": "square", "quality": 82},
                {"size": "600x600^", "crop": "300x200", "gravity": "Static", "directory": "wide", "format": "png"},
                {"size": "200x100!", "suffix": "-flat", "format": "jpg", "background": "white"},
                {"size": "320x320^", "directory": "outside", "format": "gif", "background": "transparent"},
                {"size": "50%", "directory": "half"},
                {"size": "80x80", "crop": "40x40+5+5", "directory": "offset"},
            ],
        },
        {
            "square": {
                "width": 600,
                "height": 600,
                "fit": "cover",
                "enlarge": True,
                "gravity": "center",
                "formats": ["jpeg"],
                "quality": 82,
            },
            "wide": {"width": 300, "height": 200, "fit": "cover", "enlarge": True, "formats": ["png"]},
            "flat": {
                "width": 200,
                "height": 100,
                "fit": "fill",
                "enlarge": True,
                "formats": ["jpeg"],
                "background": "#ffffff",
            },
            "outside": {"width": 320, "height": 320, "fit": "outside", "enlarge": True, "formats": ["source"]},
            "offset": {"width": 80, "height": 80, "enlarge": True, "formats": ["source"]},
        },
        ["'50%'", "'40x40+5+5'", "gif is not written", "'transparent'", "'static'", "jpegOptimizer", "300 x 200"],
    ),
    "reduce and backup": (
        {
            "backup": {"directory": "./original"},
            "reduce": {"directory": "./reduced", "quality": 90, "prefix": "r-"},
            "resizes": [{"size": "128x128", "directory": "./a b/ä"}],
            "optimizers": {"pngquant": ["--speed=1"]},
        },
        {
            "thumbnail": {"width": 128, "height": 128, "enlarge": True, "formats": ["source"]},
            "reduced": {"width": 16383, "height": 16383, "formats": ["source"], "quality": 90},
        },
        ["backup: images are not copied", "optimizers", "reduce: prefix"],
    ),
}


def _encoded(request: object) -> str:
    return base64.b64encode(json.dumps(request).encode()).decode().rstrip("=")


REQUEST = {
    "bucket": "b",
    "key": "a.jpg",
    "edits": {
        "resize": {"width": 300, "height": 200, "fit": "contain", "background": {"r": 0, "g": 0, "b": 0, "alpha": 1}}
    },
    "outputFormat": "webp",
}
IMAGE_HANDLER = {
    "a request": (
        json.dumps({**REQUEST, "edits": {**REQUEST["edits"], "webp": {"quality": 70, "effort": 6}, "grayscale": True}}),  # type: ignore[dict-item]
        {
            "300x200-contain": {
                "width": 300,
                "height": 200,
                "fit": "contain",
                "enlarge": True,
                "background": "#000000",
                "formats": ["webp"],
                "quality": 70,
            }
        },
        ["webp.effort", "grayscale has no counterpart", "Other sizes need"],
    ),
    "several requests": (
        json.dumps(
            [
                REQUEST,
                REQUEST,
                {"edits": {"resize": {"width": 100, "height": 100, "withoutEnlargement": True}, "smartCrop": True}},
                {"edits": {"resize": {"height": 80, "kernel": "nearest"}, "toFormat": "heif", "rotate": None}},
                {"bucket": "b", "key": "whole.jpg"},
            ]
        ),
        {
            "300x200-contain": {
                "width": 300,
                "height": 200,
                "fit": "contain",
                "enlarge": True,
                "background": "#000000",
                "formats": ["webp"],
            },
            "100x100-cover": {"width": 100, "height": 100, "fit": "cover", "formats": ["source"], "gravity": "auto"},
            "80": {"height": 80, "enlarge": True, "formats": ["source"]},
        },
        ["may not be a face", "heif is not written", "resize.kernel", "without width and height"],
    ),
    "URLs": (
        f"""
# of our site
https://d1.example/{_encoded(REQUEST)}
https://d1.example/fit-in/400x300/filters:format(avif):quality(50):no_upscale():strip_exif():blur(3)/photos/a.jpg
https://d1.example/0x250/filters:rotate(90)/a.jpg
https://d1.example/a.jpg?width=120&height=90&fit=inside&format=png&signature=abc&flip=true
https://d1.example/10x10:90x90/64x64/filters:fill(ffffff)/a.jpg
""",
        {
            "300x200-contain": {
                "width": 300,
                "height": 200,
                "fit": "contain",
                "enlarge": True,
                "background": "#000000",
                "formats": ["webp"],
            },
            "400x300": {"width": 400, "height": 300, "formats": ["avif"], "quality": 50},
            "250": {"height": 250, "enlarge": True, "formats": ["source"]},
            "120x90": {"width": 120, "height": 90, "enlarge": True, "formats": ["png"]},
            "64x64-contain": {
                "width": 64,
                "height": 64,
                "fit": "contain",
                "enlarge": True,
                "background": "#ffffff",
                "formats": ["source"],
            },
        },
        ["blur has no", "rotate has no", "flip has no", "crop by coordinates"],
    ),
}
CASES = [
    *(pytest.param("firebase", *case, id=f"firebase {name}") for name, case in FIREBASE.items()),
    *(
        pytest.param("aws-lambda-image", json.dumps(text), *case, id=f"aws-lambda-image {name}")
        for name, (text, *case) in LAMBDA_IMAGE.items()
    ),
    *(pytest.param("serverless-image-handler", *case, id=f"handler {name}") for name, case in IMAGE_HANDLER.items()),
]


@pytest.mark.parametrize(("kind", "text", "variants", "differences"), CASES)
def test_settings_become_a_recipe(
    thumbsmith: Command, kind: str, text: str, variants: dict[str, object], differences: list[str]
):
    """The recipe has these variants, `sync` accepts it, and each difference is in it and printed."""
    Path("settings").write_text(text)
    ran = thumbsmith("init", "--from", kind, "settings")
    assert ran.code == 0, ran.err
    written = Path("thumbsmith.toml").read_text()
    assert tomllib.loads(written)["variants"] == variants
    assert {each.name for each in Recipe.loads(written).variants} == set(variants)
    joined = written.replace("\n#   ", " ")
    for each in differences:
        assert each in ran.out
        assert each in joined
    assert thumbsmith("sync", "photos", "thumbs").code == 0


def test_folders_become_globs(thumbsmith: Command):
    """The folders of Firebase are selected by globs."""
    Path("settings").write_text(FIREBASE["crops in some folders"][0])
    assert thumbsmith("init", "--from", "firebase", "settings").code == 0
    selection = tomllib.loads(Path("thumbsmith.toml").read_text())["source"]
    assert selection == {"include": ["users/*/avatars/**", "shop/**"], "exclude": ["shop/drafts/**"]}


@pytest.mark.parametrize(
    ("kind", "text", "sentence"),
    [
        ("firebase", "no parameters", "settings, line 1: expected NAME=VALUE"),
        ("firebase", "IMG_SIZES=big", "expected sizes such as 200x200, found 'big'"),
        ("firebase", "IMG_SIZES=", "expected at least one size"),
        ("firebase", "IMG_SIZES=99999x1", "this cannot be a recipe"),
        ("aws-lambda-image", "{", "expected JSON"),
        ("aws-lambda-image", "[]", "expected a JSON object, found list"),
        ("aws-lambda-image", '{"resizes": {}}', "resizes: expected a list of objects"),
        ("aws-lambda-image", '{"resizes": [{"size": "10%"}]}', "expected at least one size"),
        ("serverless-image-handler", "{]", "expected JSON"),
        ("serverless-image-handler", "[1]", "expected a request with edits, found 1"),
        ("serverless-image-handler", "", "expected at least one size"),
        ("imgproxy", "", "expected firebase, aws-lambda-image or serverless-image-handler"),
    ],
)
def test_what_cannot_be_converted_is_one_sentence(thumbsmith: Command, kind: str, text: str, sentence: str):
    """Unusable settings are one sentence and exit code 2; no file is written."""
    Path("settings").write_text(text)
    ran = thumbsmith("init", "--from", kind, "settings")
    assert ran.code == 2
    assert sentence in ran.err
    assert not Path("thumbsmith.toml").exists()


def test_a_missing_or_binary_file_is_one_sentence(thumbsmith: Command):
    """A file that cannot be read is named, with the reason."""
    assert "absent: expected a readable file" in thumbsmith("init", "--from", "firebase", "absent").err
    Path("binary").write_bytes(b"\xff\xfe\x00")
    assert "binary: expected a readable file: it is not text" in thumbsmith("init", "--from", "firebase", "binary").err


def test_odd_options_are_listed(thumbsmith: Command):
    """Options that are no JSON, or of an unexpected type, are listed and ignored."""
    Path("settings").write_text('IMG_SIZES=10x10\nOUTPUT_OPTIONS={\nSHARP_OPTIONS={"background": "no color"}\n')
    ran = thumbsmith("init", "--from", "firebase", "settings")
    assert ran.code == 0
    assert "OUTPUT_OPTIONS: this is not a JSON object" in ran.out
    assert "SHARP_OPTIONS: the background 'no color' is not converted" in ran.out
