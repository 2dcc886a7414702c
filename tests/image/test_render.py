"""`render`: from bytes and a recipe to renditions."""

import subprocess
import sys
import weakref
from dataclasses import replace

import pytest
from PIL import Image

from tests.image.pictures import difference, pixels, recipe, saved, textured
from thumbsmith.errors import Code, Rejected
from thumbsmith.image import pipeline
from thumbsmith.image.pipeline import Job, check_source, make_renditions
from thumbsmith.image.render import render
from thumbsmith.reader import BytesReader
from thumbsmith.recipe import Fit, Format, Limits, Recipe, Variant
from thumbsmith.recipe.model import Animation
from thumbsmith.recipe.names import rendition_name

ALL = Recipe(
    variants=(
        Variant(name="icon", width=48, height=48, fit=Fit.COVER, formats=(Format.PNG, Format.AVIF)),
        Variant(name="large", width=400, height=400, formats=(Format.WEBP, Format.JPEG)),
        Variant(name="small", width=150, height=150, formats=tuple(Format)),
        Variant(name="boxed", width=200, height=200, fit=Fit.CONTAIN, formats=("source",)),
    )
)
JPEG = saved(textured(1200, 800), "JPEG", quality=90)
PNG = saved(textured(1200, 800).convert("RGBA"), "PNG")


def named(data: bytes, wanted: frozenset[str] | None) -> tuple[dict[str, bytes], str]:
    """Return renditions by name, and the mean color."""
    job = make_renditions(check_source(Job(reader=BytesReader(data), recipe=ALL, names=wanted)))
    return {rendition_name(each.variant, each.format): each.data for each in job.renditions}, job.color


def test_renditions_are_in_the_order_of_the_recipe():
    """Renditions are in the order of the recipe; `source` means the format of the source."""
    made = [(each.variant, each.format.value) for each in render(JPEG, ALL)]
    assert made == [
        ("icon", "png"),
        ("icon", "avif"),
        ("large", "webp"),
        ("large", "jpeg"),
        *(("small", kind.value) for kind in Format),
        ("boxed", "jpeg"),
    ]


@pytest.mark.parametrize("data", [JPEG, PNG], ids=["JPEG", "PNG"])
def test_a_rendition_does_not_depend_on_others(data):
    """A rendition and the color are the same alone as together with all others."""
    everything, color = named(data, None)
    for name, content in everything.items():
        assert named(data, frozenset({name})) == ({name: content}, color)


def test_no_names_cost_no_decoding():
    """No names, or unknown names, cost no decoding: the source is not read after its header."""
    for names in (frozenset(), frozenset({"other.webp"})):
        checked = check_source(Job(reader=BytesReader(JPEG), recipe=ALL, names=names))
        job = make_renditions(replace(checked, reader=BytesReader(b"")))
        assert (job.renditions, job.color) == ((), "")


def test_bytes_are_the_same_in_every_process():
    """The same source and recipe give the same bytes in every process."""
    script = (
        "import hashlib; from tests.image.test_render import ALL, JPEG; from thumbsmith import render\n"
        "print(hashlib.sha256(b''.join(each.data for each in render(JPEG, ALL))).hexdigest())"
    )
    runs = {
        subprocess.run(
            [sys.executable, "-c", script], check=True, capture_output=True, env={"PYTHONPATH": ":".join(sys.path)}
        ).stdout
        for _ in range(2)
    }
    assert len(runs) == 1


def test_the_color_is_the_mean():
    """The color is the mean, weighted by alpha."""
    image = textured(64, 64)
    image.paste((255, 0, 0), (0, 0, 64, 32))
    image.paste((0, 0, 255), (0, 32, 64, 64))
    assert named(saved(image, "PNG"), None)[1] in {"#800080", "#7f0080", "#80007f", "#7f007f"}
    image.putalpha(255)
    image.paste((0, 255, 0, 0), (0, 32, 64, 64))
    assert named(saved(image, "PNG"), None)[1].startswith("#ff0")


@pytest.mark.parametrize(
    ("data", "limits", "code"),
    [
        (b"", Limits(), Code.EMPTY),
        (b"hello", Limits(), Code.UNSUPPORTED_FORMAT),
        (JPEG, Limits(max_bytes=1000), Code.TOO_MANY_BYTES),
        (JPEG, Limits(max_pixels=1000), Code.TOO_MANY_PIXELS),
        (PNG, Limits(max_memory=1_000_000), Code.OVER_MEMORY),
    ],
)
def test_limits_are_checked(data, limits, code):
    """A source beyond a limit is rejected with the code of that limit."""
    with pytest.raises(Rejected) as refused:
        render(data, Recipe(limits=limits))
    assert refused.value.code == code


@pytest.mark.parametrize("kind", Format)
def test_metadata_is_removed(kind):
    """EXIF, XMP, comments and profiles are removed."""
    secret = b"51.4778 N, 0.0015 W"
    source = textured(100, 80)
    exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x0e\x01\x02\0\x14\0\0\0\x1a\0\0\0\0\0\0\0" + secret + b"\0"
    data = saved(source, "JPEG", exif=exif, comment=secret, xmp=secret)
    assert data.count(secret) == 3
    (rendition,) = render(data, recipe(formats=(kind,)))
    assert secret not in rendition.data
    assert not {"exif", "xmp", "icc_profile", "comment", "dpi"} & pixels(rendition).info.keys()


def test_quality_has_an_effect():
    """A lower quality gives fewer bytes, and a picture that is less similar."""
    for kind in (Format.JPEG, Format.WEBP, Format.AVIF):
        low, high = (
            Recipe.loads(f'[variants.v]\nwidth = 200\nformats = ["{kind}"]\nquality = {quality}') for quality in (5, 95)
        )
        (poor,), (good,) = render(JPEG, low), render(JPEG, high)
        assert len(poor.data) < len(good.data)
        truth = textured(1200, 800).resize((200, 133))
        assert difference(pixels(poor), truth) > difference(pixels(good), truth)


def test_the_decoded_source_is_freed_before_an_animation(monkeypatch: pytest.MonkeyPatch):
    """When the first frame of an animation is decoded, the decoded source is no longer in memory."""
    decode, frames = pipeline.decode, pipeline.frames
    sources: list[weakref.ref] = []
    freed: list[bool] = []

    def watched_decode(*arguments, **options):
        decoded = decode(*arguments, **options)
        sources.append(weakref.ref(decoded.image))
        return decoded

    def watched_frames(*arguments):
        freed.append(sources[0]() is None)
        yield from frames(*arguments)

    monkeypatch.setattr(pipeline, "decode", watched_decode)
    monkeypatch.setattr(pipeline, "frames", watched_frames)
    colors = [Image.new("RGB", (90, 60), color) for color in ("red", "blue")]
    data = saved(colors[0], "GIF", save_all=True, append_images=colors[1:])
    still = Variant(name="still", width=40)
    moving = Variant(name="moving", width=50, animation=Animation.KEEP)
    assert [each.name for each in render(data, Recipe(variants=(still, moving)))] == ["still.webp", "moving.webp"]
    assert freed == [True]


def test_importing_render_loads_no_image_library():
    """Importing the module loads no image library."""
    script = "import sys, thumbsmith.image.render; sys.exit('PIL' in sys.modules)"
    subprocess.run([sys.executable, "-c", script], check=True, env={"PYTHONPATH": ":".join(sys.path)})
