"""Predictions of memory are never exceeded."""

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from PIL.Image import Resampling

from tests.image.heic_films import REORDERED, film
from tests.image.heif_items import SIDE, grid, heif, irot, tile
from tests.image.pictures import saved, textured
from thumbsmith.errors import Code, Rejected
from thumbsmith.image.containers.base import Probe
from thumbsmith.image.limits import check_memory, predict_decode_bytes
from thumbsmith.image.probe import probe
from thumbsmith.reader import BytesReader
from thumbsmith.recipe import Format, Limits, Recipe, Variant

# The default recipe's renditions of one file, in a process that has loaded its decoder: the growth of its peak.
PEAK = """
import sys
from pathlib import Path
from thumbsmith.image import decode, decode_heic, pipeline
from thumbsmith.image.limits import check_memory
from thumbsmith.image.probe import probe
from thumbsmith.reader import BytesReader
from thumbsmith.recipe import Recipe
from thumbsmith.image.render import render
def peak():
    return next(int(line.split()[1]) for line in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in line)
small, data = (Path(name).read_bytes() for name in sys.argv[1:])
render(small, Recipe.default())
before = peak()
render(data, Recipe.default())
print((peak() - before) * 1024, check_memory(probe(BytesReader(data)), Recipe.default()))
"""


def made(mode: str, kind: str, side: int, **options) -> bytes:
    """Return a file of a square picture in this mode."""
    image = textured(side // 4, side // 4).resize((side, side), Resampling.NEAREST)
    if mode == "I;16":
        return saved(Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257), kind, **options)
    if mode in ("RGBA", "LA"):
        image.putalpha(Image.linear_gradient("L").resize(image.size))
    return saved(image.convert(mode), kind, **options)


@pytest.mark.skipif(sys.platform != "linux", reason="the peak of a process is read from Linux's /proc")
@pytest.mark.parametrize(
    ("mode", "kind", "options"),
    [
        ("RGB", "JPEG", {}),
        ("RGB", "JPEG", {"progressive": True}),
        ("RGB", "JPEG", {"progressive": True, "subsampling": "4:4:4"}),
        ("CMYK", "JPEG", {"progressive": True}),
        ("RGB", "PNG", {}),
        ("RGBA", "PNG", {}),
        ("LA", "PNG", {}),
        ("P", "PNG", {}),
        ("I;16", "PNG", {}),
        ("P", "GIF", {}),
        ("P", "GIF", {"transparency": 0}),
        ("RGB", "WEBP", {"method": 0}),
        ("RGBA", "WEBP", {"method": 0, "lossless": True, "quality": 0}),
        ("RGB", "TIFF", {}),
        ("RGB", "TIFF", {"compression": "tiff_lzw", "tiffinfo": {278: 2400}}),
        ("CMYK", "TIFF", {"compression": "tiff_lzw"}),
        ("RGB", "BMP", {}),
        ("RGB", "AVIF", {"speed": 10}),
        ("RGBA", "AVIF", {"speed": 10, "subsampling": "4:4:4"}),
        ("RGB", "PPM", {}),
        ("RGB", "JPEG2000", {"quality_mode": "rates", "quality_layers": [20]}),
        ("RGBA", "JPEG2000", {"tile_size": (512, 512)}),
    ],
)
def test_no_decoder_takes_more_than_predicted(tmp_path, mode, kind, options):
    """The peak of a new process is below the prediction, which is at most three times as high."""
    small, large = tmp_path / "small", tmp_path / "large"
    small.write_bytes(made(mode, kind, 64, **options))
    large.write_bytes(made(mode, kind, 2400, **options))
    command = [sys.executable, "-c", PEAK, str(small), str(large)]
    ran = subprocess.run(command, check=True, capture_output=True, text=True, env={"PYTHONPATH": ":".join(sys.path)})
    peak, predicted = map(int, ran.stdout.split())
    assert peak <= predicted <= 3 * peak


@pytest.mark.skipif(sys.platform != "linux", reason="the peak of a process is read from Linux's /proc")
@pytest.mark.parametrize("turn", [0, 1])
def test_a_heic_of_tiles_takes_no_more_than_predicted(tmp_path, turn):
    """Tiles are averaged one by one: the peak stays below half of the whole picture, rotated or not."""
    small, large = tmp_path / "small", tmp_path / "large"
    small.write_bytes(heif([tile().having(irot(turn))]))
    whole = grid(104, 72, 104 * SIDE, 72 * SIDE).having(irot(turn))
    large.write_bytes(heif([whole, *map(tile, range(12))], [(b"dimg", 1, [2 + each % 12 for each in range(104 * 72)])]))
    command = [sys.executable, "-c", PEAK, str(small), str(large)]
    ran = subprocess.run(command, check=True, capture_output=True, text=True, env={"PYTHONPATH": ":".join(sys.path)})
    peak, predicted = map(int, ran.stdout.split())
    assert peak <= predicted < 5 * 104 * 72 * SIDE * SIDE


KEEP = '[defaults]\nanimation = "keep"\n[variants.small]\nwidth = 256\nheight = 256\n'


@pytest.mark.skipif(sys.platform != "linux", reason="the peak of a process is read from Linux's /proc")
def test_a_heic_sequence_takes_no_more_than_predicted(tmp_path):
    """The pictures that the decoder keeps for others are predicted, for colors and alpha."""
    small, large = tmp_path / "small", tmp_path / "large"
    for path, side in ((small, 64), (large, 640)):
        scenes = [textured(side // 8, side // 8).rotate(90 * turn).resize((side, side)) for turn in range(4)]
        for scene in scenes:
            scene.putalpha(Image.linear_gradient("L").resize(scene.size))
        path.write_bytes(film([scene.convert("RGBA") for scene in scenes], [100] * 4, references=REORDERED))
    command = [
        sys.executable,
        "-c",
        PEAK.replace("Recipe.default()", f"Recipe.loads({KEEP!r})"),
        str(small),
        str(large),
    ]
    ran = subprocess.run(command, check=True, capture_output=True, text=True, env={"PYTHONPATH": ":".join(sys.path)})
    peak, predicted = map(int, ran.stdout.split())
    assert peak <= predicted <= 6 * peak


@pytest.mark.parametrize(
    "kind", ["png", "gif", "webp", "tiff", "bmp", "avif", "heic", "jpeg", "jp2", "psd", "ico", "pnm", "qoi"]
)
def test_a_header_of_gigabytes_is_rejected(kind):
    """A few bytes that expand to gigabytes are over_memory before they are decoded."""
    bomb = Probe(format=kind, bytes=41, width=20_000, height=17_000, progressive=True, subsampled=False)
    with pytest.raises(Rejected) as refused:
        check_memory(bomb, Recipe.default())
    assert refused.value.code == Code.OVER_MEMORY


def test_a_baseline_jpeg_is_cheap_for_thumbnails():
    """210 megapixels are decoded at an eighth for thumbnails, and rejected at full size."""
    large = Probe(format="jpeg", bytes=50_000_000, width=17_500, height=12_000)
    assert check_memory(large, Recipe.default()) < 100 << 20
    with pytest.raises(Rejected):
        check_memory(large, Recipe(variants=(Variant(name="v", width=16_000, formats=(Format.JPEG,)),)))


def test_enlarged_pictures_count():
    """One pixel that is enlarged to hundreds of megapixels counts as these."""
    recipe = Recipe(variants=(Variant(name="v", width=16_000, height=16_000, enlarge=True),))
    with pytest.raises(Rejected):
        check_memory(Probe(format="png", bytes=70, width=1, height=1), recipe)
    assert check_memory(Probe(format="png", bytes=70, width=1, height=1), Recipe.default()) < 16 << 20


def test_max_memory_is_the_limit():
    """A limit of exactly the prediction passes; one byte less does not."""
    found = probe(BytesReader(made("RGB", "PNG", 400)))
    needed = check_memory(found, Recipe.default())
    assert check_memory(found, Recipe(limits=Limits(max_memory=needed))) == needed
    with pytest.raises(Rejected):
        check_memory(found, Recipe(limits=Limits(max_memory=needed - 1)))


def test_several_scans_need_coefficients():
    """Every JPEG with several scans needs its coefficients in memory, progressive or not."""
    one = Probe(format="jpeg", bytes=1, width=1000, height=1000)
    many = Probe(format="jpeg", bytes=1, width=1000, height=1000, scans=3)
    assert predict_decode_bytes(many, 8) - predict_decode_bytes(one, 8) == 4_000_000
