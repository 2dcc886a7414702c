"""Bombs and false claims: each is rejected with the right code at little cost, or does no harm."""

import sys
from collections.abc import Iterator

import pytest

from tests.containers.readers import CountingReader, judged
from tests.hostile.bombs import frame_bombs, memory_bombs, scan_bombs, text_bombs
from tests.hostile.foreign import SCRIPT, foreign, polyglots
from tests.hostile.headers import header_bombs, liars
from tests.hostile.samples import Sample
from tests.hostile.trials import ISOLATIONS, Bench, bench, calls, complaint
from thumbsmith import render
from thumbsmith.errors import Code, Rejected
from thumbsmith.image.containers.base import MAX_FRAMES
from thumbsmith.image.limits import check_limits, check_memory
from thumbsmith.image.probe import probe
from thumbsmith.reader import BytesReader
from thumbsmith.recipe import Limits, Recipe

# Function calls of the probe: for a header, for each scan, and for each frame.
HEADER_CALLS = 1_500
SCAN_CALLS = 60
FRAME_CALLS = 150

# CPU seconds of a child, from its fork to its end, on the measuring machine.
HEADER_SECONDS = 0.020
WALK_SECONDS = 0.050

BOMBS = (*header_bombs(), *scan_bombs())


@pytest.fixture(scope="module", params=ISOLATIONS)
def trial(request: pytest.FixtureRequest) -> Iterator[Bench]:
    """Give real workers of each kind."""
    with bench(isolation=request.param) as made:
        yield made


@pytest.fixture(scope="module")
def fresh() -> Iterator[Bench]:
    """Give real workers with a process for each source, whose memory is that of its source."""
    with bench() as made:
        yield made


@pytest.mark.parametrize("sample", BOMBS, ids=repr)
def test_a_bomb_is_refused_before_any_decoder(trial: Bench, sample: Sample):
    """A header bomb is rejected with its code, and is never decoded."""
    verdict = trial(sample.data)
    assert verdict.outcome in sample.codes
    assert not verdict.decoded


@pytest.mark.parametrize("sample", header_bombs(), ids=repr)
def test_a_header_bomb_is_refused_at_once(fresh: Bench, sample: Sample):
    """The rejection of a header bomb takes one small read, a few function calls, and 40 MiB."""
    assert calls(lambda: judged(sample.data)) <= HEADER_CALLS
    judged(reader := CountingReader(sample.data))
    assert (len(reader.reads), reader.cost) == (1, len(sample.data))
    assert fresh(sample.data).peak_memory < 40 << 20


@pytest.mark.parametrize("sample", scan_bombs(), ids=repr)
def test_a_scan_bomb_is_refused_at_once(sample: Sample):
    """Counting scans reads the file once, and takes a few function calls per scan, for any size of the image."""
    scans = int(sample.name.split("-")[1])
    assert calls(lambda: judged(sample.data)) <= HEADER_CALLS + SCAN_CALLS * scans
    judged(reader := CountingReader(sample.data))
    assert reader.cost <= len(sample.data) + 16
    assert len(reader.reads) <= 6


@pytest.mark.parametrize("sample", frame_bombs(), ids=repr)
def test_where_all_frames_are_wanted_a_frame_bomb_is_refused_at_once(sample: Sample):
    """Frames are counted up to MAX_FRAMES without decoding, with few function calls per frame."""
    assert calls(lambda: judged(sample.data)) <= HEADER_CALLS + FRAME_CALLS * MAX_FRAMES
    judged(reader := CountingReader(sample.data))
    assert reader.cost <= len(sample.data)
    header = probe(BytesReader(sample.data))
    if header.frames == 1:
        return  # it says itself that it is no animation
    with pytest.raises(Rejected) as refused:
        check_limits(header, Limits(max_pixels=2), frames=header.frames)
    assert refused.value.code in (Code.TOO_MANY_FRAMES, Code.TOO_MANY_PIXELS)


def test_the_first_of_many_frames_costs_little(trial: Bench):
    """The first of 50,000 frames takes about as many function calls as a single frame."""
    recipe = Recipe.default()
    decoding = {}
    for sample in frame_bombs():
        assert complaint(trial(sample.data), sample.expected) is None, sample
        looking = calls(lambda data=sample.data: judged(data))
        decoding[sample.name] = calls(lambda data=sample.data: render(data, recipe)) - looking
    assert max(decoding.values()) - decoding["apng-that-says-no-frames"] < MAX_FRAMES, decoding


@pytest.mark.deep
def test_refusals_take_little_time(fresh: Bench):
    """A child takes at most 20 ms for a rejection by the header, 50 ms to count scans or frames, 2 s for long texts."""
    (single,) = (each for each in frame_bombs() if each.name.endswith("no-frames"))
    alone = _least(fresh, single, 0)
    limits = dict.fromkeys(header_bombs(), HEADER_SECONDS) | dict.fromkeys(scan_bombs(), WALK_SECONDS)
    limits |= dict.fromkeys(frame_bombs(), alone + WALK_SECONDS) | dict.fromkeys([*liars(), *text_bombs()], 2)
    took = {sample: _least(fresh, sample, seconds) for sample, seconds in limits.items()}
    sys.stdout.write(f"refused in CPU seconds: {sorted(took.values())}\n")
    assert {sample: seconds for sample, seconds in took.items() if seconds > limits[sample]} == {}


def _least(trial: Bench, sample: Sample, seconds: float) -> float:
    """Return the CPU seconds of the cheapest of eight runs, or of the first that takes at most `seconds`."""
    found = trial(sample.data).cpu_seconds
    for _ in range(7):
        if found <= seconds:
            break
        found = min(found, trial(sample.data).cpu_seconds)
    return found


@pytest.mark.parametrize("sample", [*liars(), *text_bombs()], ids=repr)
def test_lies_and_swollen_texts_end_well(trial: Bench, sample: Sample):
    """Contradictory files are rejected with their code. Texts of megabytes cost neither the picture nor memory."""
    verdict = trial(sample.data)
    assert complaint(verdict, sample.expected) is None
    assert not sample.codes or verdict.outcome in sample.codes
    assert verdict.peak_memory < 256 << 20


@pytest.mark.parametrize("name", ["tiff-tile-65536", "webp-frame-beyond-canvas", "apng-frame-beyond-canvas"])
def test_frames_and_tiles_are_judged_by_their_numbers(trial: Bench, name: str):
    """A file with false claims about a frame or a tile is never decoded."""
    chosen = [each for each in liars() if each.name == name or "grid" in each.name]
    assert [each for each in chosen if trial(each.data).decoded] == []


def test_legal_pictures_that_need_too_much_memory_are_refused(trial: Bench):
    """Kilobytes that uncompress to more than max_memory are rejected by the predicted memory."""
    for sample in memory_bombs():
        verdict = trial(sample.data)
        assert verdict.outcome in sample.codes, sample
        assert not verdict.decoded


@pytest.mark.parametrize("sample", foreign(), ids=repr)
def test_other_files_are_refused_by_name(trial: Bench, sample: Sample):
    """The rejection names the type of the file, for any file name."""
    verdict = trial(sample.data)
    assert verdict.outcome == Code.UNSUPPORTED_FORMAT
    assert verdict.detail.startswith(f"this is {sample.codes[0]}, not a supported image format")


@pytest.mark.parametrize("sample", polyglots(), ids=repr)
def test_what_is_a_picture_and_something_else_becomes_a_picture_only(trial: Bench, sample: Sample):
    """The thumbnail contains nothing of the page, the script or the archive."""
    verdict = trial(sample.data)
    assert complaint(verdict, sample.expected) is None
    for made in verdict.renditions:
        assert made.type == "image/webp"
        for part in (SCRIPT, b"<script", b"PK\x03\x04", b"%PDF", b"<?php", b"alert"):
            assert part not in made.data


def test_the_limits_of_a_recipe_are_what_counts():
    """With higher limits in the recipe the same images are made: no limit is hard-coded."""
    wide = Recipe(limits=Limits(max_side=1 << 40, max_scans=5000))
    for name, above_the_range in (("max_pixels", 1 << 70), ("max_memory", 1 << 80)):
        object.__setattr__(wide.limits, name, above_the_range)
    for sample in BOMBS:
        header = probe(BytesReader(sample.data))
        check_limits(header, wide.limits)
        check_memory(header, wide)
