"""`thumbsmith init --from serverless-image-handler`: requests, policies and URLs."""

import base64
import json

import pytest

from tests.cli.command import Command
from tests.cli.conftest import thumbsmith
from tests.migrate.settings import ODD, converted, refused, synced, variants

__all__ = ["thumbsmith"]

KIND = "serverless-image-handler"
BLACK = {"r": 0, "g": 0, "b": 0, "alpha": 1}
RESIZE = {"width": 300, "height": 200, "fit": "contain", "background": BLACK}
REQUEST = {"bucket": "b", "key": "a.jpg", "edits": {"resize": RESIZE}, "outputFormat": "webp"}
CONTAINED = """
[300x200-contain]
width = 300
height = 200
fit = "contain"
enlarge = true
background = "#000000"
formats = ["webp"]
"""


def _encoded(request: object) -> str:
    return base64.b64encode(json.dumps(request).encode()).decode().rstrip("=")


def _edited(**edits: object) -> str:
    """Return a request for 10 x 10 pixels with these edits."""
    return json.dumps({"edits": {"resize": {"width": 10, "height": 10}, **edits}})


POLICY = {
    "policyName": "cards",
    "policyJSON": {
        "transformations": [
            {"transformation": "resize", "value": {"width": 400, "fit": "inside", "withoutEnlargement": True}},
            {"transformation": "flatten", "value": [255, 255, 255, 1]},
            {"transformation": "smartCrop", "value": True, "condition": {"field": "w", "value": 1}},
        ],
        "outputs": [
            {"type": "quality", "value": [70, [1, 2, 50]]},
            {"type": "format", "value": "auto"},
            {"type": "autosize", "value": [200, 800]},
        ],
    },
}
CASES = {
    "a request": (
        json.dumps({**REQUEST, "edits": {"resize": RESIZE, "webp": {"quality": 70, "effort": 6}, "grayscale": True}}),
        CONTAINED + "quality = 70",
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
        """
        100x100-cover = { width = 100, height = 100, fit = "cover", formats = ["source"], gravity = "auto" }
        80 = { height = 80, enlarge = true, formats = ["source"] }
        """
        + CONTAINED,
        ["may not be a face", "'heif' is not written", "resize: kernel", "without width and height"],
    ),
    "URLs": (
        f"""
# of our site
https://d1.example/{_encoded(REQUEST)}
https://d1.example/fit-in/400x300/filters:format(avif):quality(50):no_upscale():strip_exif():blur(3)/photos/a.jpg
https://d1.example/0x250/filters:rotate(90):autojpg()/a.jpg
https://d1.example/a.jpg?width=120&height=90&fit=inside&format=png&signature=abc&flip=true
https://d1.example/10x10:90x90/64x64/filters:fill(ffffff)/a.jpg
https://d1.example/200x100/filters:proportion(0.5):stretch():background_color(navy):equalize()/a.jpg
""",
        """
        400x300 = { width = 400, height = 300, formats = ["avif"], quality = 50 }
        250 = { height = 250, enlarge = true, formats = ["jpeg"] }
        120x90 = { width = 120, height = 90, enlarge = true, formats = ["png"] }
        [64x64-contain]
        width = 64
        height = 64
        fit = "contain"
        enlarge = true
        background = "#ffffff"
        formats = ["source"]
        [100x50-fill]
        width = 100
        height = 50
        fit = "fill"
        enlarge = true
        background = "#000080"
        formats = ["source"]
        """
        + CONTAINED,
        ["blur has no", "rotate has no", "flip has no", "crop by coordinates", "normalize has no"],
    ),
    "a policy": (
        json.dumps(POLICY),
        """
        [200]
        width = 200
        background = "#ffffff"
        formats = ["webp", "jpeg"]
        quality = 70
        gravity = "auto"
        [800]
        width = 800
        background = "#ffffff"
        formats = ["webp", "jpeg"]
        quality = 70
        gravity = "auto"
        """,
        ["smartCrop: the condition", "density of the screen", "does not depend on the browser"],
    ),
}

# Each edit of the documentation and of a policy, with a value.
# https://docs.aws.amazon.com/solutions/latest/dynamic-image-transformation-for-amazon-cloudfront/
EDITS = {
    "animated": True,
    "blur": 5,
    "composite": [],
    "contentModeration": True,
    "convolve": {"width": 3, "height": 3, "kernel": [1] * 9},
    "crop": {"left": 0, "top": 0, "width": 5, "height": 5},
    "extract": [0, 0, 5, 5],
    "flatten": {"background": "white"},
    "flip": True,
    "flop": True,
    "gamma": 2.2,
    "grayscale": True,
    "greyscale": True,
    "median": 3,
    "negate": True,
    "normalise": True,
    "normalize": True,
    "overlayWith": {"bucket": "b", "key": "logo.png", "alpha": 0, "options": {"left": "5p"}},
    "rotate": 90,
    "roundCrop": {"rx": 5, "ry": 5},
    "sharpen": {"sigma": 2},
    "smartCrop": {"faceIndex": 1, "padding": 5},
    "threshold": 5,
    "tint": {"r": 1, "g": 1, "b": 1},
    "toFormat": "webp",
    "trim": True,
    "watermark": ["https://a.example/logo.png", [1, 1, None, 0.5, None]],
    "jpeg": {"quality": 5},
    "png": {"compressionLevel": 9},
    "quality": 5,
    "anything": {"a": 1},
}
RESIZE_OPTIONS = {
    "fit": "fill",
    "position": "north",
    "background": "white",
    "withoutEnlargement": True,
    "withoutReduction": True,
    "kernel": "cubic",
    "ratio": 0.5,
    "fastShrinkOnLoad": False,
    "anything": 1,
}


@pytest.mark.parametrize("name", CASES)
def test_requests_become_a_recipe(thumbsmith: Command, name: str):
    """The recipe has these variants, and each difference is named."""
    text, expected, differences = CASES[name]
    found = synced(thumbsmith, KIND, text)
    assert found.variants == variants(expected)
    assert [words for words in differences if not found.says(words)] == []


@pytest.mark.parametrize("name", EDITS)
def test_each_edit_is_converted_or_listed(thumbsmith: Command, name: str):
    """Each edit changes the recipe, or is named among the differences; so it is as a transformation of a policy."""
    plain = converted(thumbsmith, KIND, _edited())
    size = {"transformation": "resize", "value": {"width": 10, "height": 10}}
    policy = {"transformations": [size, {"transformation": name, "value": EDITS[name]}]}
    for text in (_edited(**{name: EDITS[name]}), json.dumps(policy)):
        found = converted(thumbsmith, KIND, text)
        assert found.variants != plain.variants or found.says(name)


@pytest.mark.parametrize("name", RESIZE_OPTIONS)
def test_each_option_of_resize_is_converted_or_listed(thumbsmith: Command, name: str):
    """The same for the options of resize."""
    plain = converted(thumbsmith, KIND, _edited())
    found = converted(thumbsmith, KIND, _edited(resize={"width": 10, "height": 10, name: RESIZE_OPTIONS[name]}))
    assert found.variants != plain.variants or found.says(f"resize: {name}")


@pytest.mark.parametrize(
    "edit", [{"rotate": None}, {"rotate": ""}, {"stripExif": True}, {"flip": False}, {"flop": "0"}]
)
def test_an_edit_that_changes_nothing_is_not_listed(thumbsmith: Command, edit: dict[str, object]):
    """Edits that are off, or that are always so here, are no difference."""
    assert converted(thumbsmith, KIND, _edited(**edit)) == converted(thumbsmith, KIND, _edited())


def test_a_quality_of_another_format_is_listed(thumbsmith: Command):
    """The quality of a format that is not written is not used."""
    found = converted(thumbsmith, KIND, _edited(toFormat="webp", jpeg={"quality": 5}, avif={"quality": "best"}))
    assert "quality" not in found.variants["10x10-cover"]
    assert found.says("jpeg.quality is not used")
    assert found.says("avif.quality is not used")


@pytest.mark.parametrize("name", [*EDITS, "resize"])
def test_a_value_of_another_type_is_no_crash(thumbsmith: Command, name: str):
    """An edit with an unexpected value is listed or ignored; other requests are converted."""
    for odd in ODD:
        texts = [{"edits": {name: odd}}, {"edits": {"resize": {"width": 5}, name: odd}}, json.loads(_edited())]
        assert "10x10-cover" in converted(thumbsmith, KIND, json.dumps(texts)).variants


@pytest.mark.parametrize("name", [*RESIZE_OPTIONS, "width", "height"])
def test_an_option_of_resize_of_another_type_is_no_crash(thumbsmith: Command, name: str):
    """The same for the options of resize."""
    for odd in ODD:
        texts = [{"edits": {"resize": {"width": 5, name: odd}}}, json.loads(_edited())]
        assert "10x10-cover" in converted(thumbsmith, KIND, json.dumps(texts)).variants


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"{]", "settings: expected JSON"),
        (b'{"edits": {}, // all\n}', "settings: expected JSON"),
        (b"[" * 100_000, "settings: expected JSON"),
        (b"[1]", "expected a request with edits, found 1"),
        (b'{"edits": 5}', "expected a request with edits, found {'edits': 5}"),
        (b'{"key": "a.jpg", "edits": []}', "expected a request with edits"),
        (b'[{"ParameterKey": "AutoWebP", "ParameterValue": "Yes"}]', "found parameters of the stack"),
        (b'{"Parameters": {"SourceBuckets": "b"}}', "found parameters of the stack"),
        (b'{"transformations": {"resize": 1}}', "transformations: expected a list of objects"),
        (b'{"policyJSON": {"outputs": [1]}}', "outputs: expected a list of objects"),
        (b'{"outputs": [{"type": "format", "value": "webp"}]}', "expected at least one size"),
        (b"", "expected at least one size"),
        (b"# nothing\n", "expected at least one size"),
        (b"https://[::1/a.jpg", "settings, line 1: expected a URL"),
        (b"https://a.example/20000x5/a.jpg", "this cannot be a recipe"),
        (b"https://a.example/" + b"9" * 5000 + b"x1/a.jpg", "expected at least one size"),
        (b"\x00\xff", "it is not text in UTF-8"),
        (b"https://a.example/" + base64.b64encode(b"[1]"), "settings, line 1: expected a request with edits"),
    ],
)
def test_what_cannot_be_converted_is_one_sentence(thumbsmith: Command, content: bytes, sentence: str):
    """Unusable requests are one short sentence, and no file is written."""
    found = refused(thumbsmith, KIND, content)
    assert sentence in found
    assert len(found) < 300


def test_another_program_or_no_file_is_one_sentence(thumbsmith: Command):
    """An unknown kind, and a file that does not exist, are named."""
    ran = thumbsmith("init", "--from", "imgproxy", "settings")
    assert ran.code == 2
    assert "expected firebase, aws-lambda-image or serverless-image-handler" in ran.err
    assert "absent: expected a readable file" in thumbsmith("init", "--from", KIND, "absent").err
