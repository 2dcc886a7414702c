"""With and without the native decoder, sources are rejected with the same codes, and thumbnails are equal."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from PIL import Image

from tests.corpus import hostile, needs_corpus, photos
from tests.hostile.mutants import DAMAGE
from tests.image.pictures import recipe, saved
from tests.image.test_damage import Failing
from tests.native.building import needs_decoder
from tests.native.samples import noisy, odd_samples
from thumbsmith.errors import Rejected, StoreError
from thumbsmith.image import eighth
from thumbsmith.image.pipeline import Job, check_source, make_renditions
from thumbsmith.reader import BytesReader
from thumbsmith.recipe import Recipe

pytestmark = needs_decoder

SMALL = recipe(width=8, height=8)
SIZE = (400, 300)  # at an eighth, just large enough for the picture of the ThumbHash


def outcome(data: bytes, wanted: Recipe = SMALL, *, confined: bool) -> Any:
    """Return the code of a rejection, or all that is made of a source."""
    try:
        job = make_renditions(check_source(Job(reader=BytesReader(data), recipe=wanted, confined=confined)))
    except Rejected as rejected:
        return str(rejected.code)
    return [each.data for each in job.renditions], job.color, job.thumbhash, job.notes


def compared(files: Iterable[bytes]) -> Counter[str]:
    """Return the number of files by outcome. Fails if the outcome depends on the decoder."""
    outcomes: Counter[str] = Counter()
    for number, data in enumerate(files):
        found, expected = (outcome(data, confined=confined) for confined in (True, False))
        assert found == expected, f"file {number} of {len(data)} bytes"
        outcomes[found if isinstance(found, str) else "made"] += 1
    return outcomes


def seeds() -> list[bytes]:
    """Return small files of several kinds, large enough for an eighth."""
    options: list[dict[str, Any]] = [
        {},
        {"subsampling": "4:4:4", "quality": 95},
        {"subsampling": "4:2:2", "optimize": True},
        {"restart_marker_rows": 1},
        {"restart_marker_blocks": 3, "quality": 30},
        {"progressive": True},
        {"progressive": True, "restart_marker_rows": 2},
    ]
    files = [saved(noisy(*SIZE, "RGB"), "JPEG", **each) for each in options]
    files += [saved(noisy(*SIZE, mode), "JPEG") for mode in ("L", "CMYK")]
    blank = Image.new("RGB", SIZE, (128, 128, 128))
    return [
        *files,
        saved(blank, "JPEG"),
        saved(blank, "JPEG", optimize=True),
        *(data for _, data in odd_samples(20, size=SIZE)),
    ]


def mutants(seed: int, count: int) -> Iterator[bytes]:
    """Yield damaged files, always the same for a seed."""
    chance, files = Random(seed), seeds()
    for _ in range(count):
        data = bytearray(chance.choice(files))
        for _ in range(chance.choice((1, 1, 2, 4))):
            chance.choice(DAMAGE)(data, chance, files)
        yield bytes(data)


def test_mutants_have_the_same_outcome():
    """Thousands of damaged files have the same outcome, and the same thumbnails byte by byte."""
    outcomes = compared(mutants(1, 1_000))
    assert outcomes["made"] > 100
    assert outcomes["truncated"] > 100
    assert outcomes["corrupt"] > 50


@pytest.mark.deep
def test_many_mutants_have_the_same_outcome():
    """The same is true for many more of them."""
    assert compared(mutants(2, 20_000)).total() == 20_000


def test_cut_files_have_the_same_outcome():
    """So have files that are cut at any place, with what may follow there."""
    ends = (b"", b"\xff\xd9", bytes(30), bytes(30) + b"\xff\xd9", b"\xff" * 30)
    files = (data[:place] + end for data in seeds()[:6] for place in range(700, len(data), 2_999) for end in ends)
    assert compared(files)["truncated"] > 20


def hostile_jpegs() -> list[bytes]:
    """Return all JPEGs among the hostile files."""
    return [data for path, _ in hostile() if (data := path.read_bytes()).startswith(b"\xff\xd8")]


@needs_corpus
def test_a_slice_of_the_hostile_files_has_the_same_outcome():
    """So has every sixth JPEG among the hostile files."""
    assert compared(hostile_jpegs()[::6]).total() > 20


@needs_corpus
@pytest.mark.deep
def test_all_hostile_files_have_the_same_outcome():
    """So has each of them."""
    assert compared(hostile_jpegs()).total() > 100


@needs_corpus
def test_photographs_give_the_same_thumbnails():
    """A thumbnail of 256 pixels, with gravity "auto" too, is the same, and so are color and ThumbHash."""
    crop = 'width = 200\nheight = 200\nfit = "cover"\ngravity = "auto"\n'
    wanted = Recipe.loads(f"[variants.a]\nwidth = 256\n[variants.b]\n{crop}")
    for path in [each for each in photos() if each.suffix == ".jpg"][::3]:
        data = path.read_bytes()
        assert outcome(data, wanted, confined=True) == outcome(data, wanted, confined=False), path.name


def test_an_error_of_the_store_is_no_damage():
    """Where the store fails while the file is read, its error is raised unchanged."""
    data = saved(noisy(1360, 1040, "RGB"), "JPEG", quality=95)
    failure = StoreError("no answer", transient=True)
    job = Job(reader=Failing(data, len(data) // 2, failure), recipe=SMALL, confined=True)
    with pytest.raises(StoreError) as raised:
        make_renditions(check_source(job))
    assert raised.value is failure


def test_it_is_used_only_where_it_may_be(monkeypatch: pytest.MonkeyPatch):
    """It decodes in a confined process and at an eighth, and nowhere else: in `render`, or for larger thumbnails."""
    calls: list[tuple[int, int]] = []
    decode = eighth.decode

    def counted(data: bytes, size: tuple[int, int], channels: int) -> eighth.Decoded | None:
        calls.append(size)
        return decode(data, size, channels)

    monkeypatch.setattr(eighth, "decode", counted)
    data = saved(noisy(*SIZE, "RGB"), "JPEG")
    outcome(data, confined=False)
    outcome(data, replace(SMALL, variants=recipe(width=50, height=50).variants), confined=True)
    assert not calls
    outcome(data, confined=True)
    assert calls == [SIZE]
