"""Hostile and damaged HEIC sequences, with their frames kept: each ends in thumbnails or a code, at little cost."""

from collections import Counter
from collections.abc import Iterator
from contextlib import suppress

import pytest

from tests.hostile.films import good_films, lying_films
from tests.hostile.mutants import mutants
from tests.hostile.samples import Sample
from tests.hostile.trials import MAX_CPU_SECONDS, MAX_MEMORY, Bench, bench, complaint
from thumbsmith.errors import Rejected
from thumbsmith.image.limits import check_limits, check_memory
from thumbsmith.image.probe import probe
from thumbsmith.reader import BytesReader
from thumbsmith.recipe import Recipe

RECIPE = Recipe.loads(
    '[defaults]\nanimation = "keep"\n[variants.a]\nwidth = 32\nheight = 32\nformats = ["webp", "jpeg"]'
)


@pytest.fixture(scope="module")
def trial() -> Iterator[Bench]:
    """Give real workers."""
    with bench(RECIPE) as made:
        yield made


@pytest.mark.parametrize("sample", lying_films(), ids=repr)
def test_a_lying_film_is_rejected(trial: Bench, sample: Sample):
    """It is rejected with the right code, for 10 CPU seconds and 768 MiB at most."""
    verdict = trial(sample.data)
    wrong = complaint(verdict, sample.expected)
    assert wrong is None, wrong
    assert verdict.outcome == "thumbnail" or verdict.outcome in sample.codes
    assert verdict.cpu_seconds < MAX_CPU_SECONDS
    assert verdict.peak_memory < MAX_MEMORY


def test_good_films_keep_their_frames_in_a_confined_process(trial: Bench):
    """All frames are decoded by a process that can open no file."""
    for data in good_films():
        verdict = trial(data)
        assert verdict.outcome == "thumbnail"
        assert b"ANIM" in verdict.renditions[0].data


def _survived(trial: Bench, seed: int, count: int) -> Counter[str]:
    outcomes: Counter[str] = Counter()
    for number, data in enumerate(mutants(seed, count, good_films())):
        verdict = trial(data)
        wrong = complaint(verdict, "either")
        assert wrong is None, f"mutant {number} of seed {seed}: {wrong}"
        outcomes[verdict.outcome] += 1
    return outcomes


def test_damaged_films_end_well(trial: Bench):
    """Mutants end in thumbnails and in rejections of several codes."""
    outcomes = _survived(trial, 11, 300)
    assert outcomes["thumbnail"] > 10
    assert outcomes["corrupt"] > 50
    assert outcomes["truncated"] > 10


@pytest.mark.deep
@pytest.mark.parametrize("seed", range(200, 210))
def test_twenty_thousand_damaged_films_end_well(trial: Bench, seed: int):
    """The same is true for ten times two thousand mutants of other seeds."""
    assert sum(_survived(trial, seed, 2000).values()) == 2000


def test_the_probe_survives_damaged_films():
    """Five thousand mutants give a Probe or a Rejected, and no other exception in this process."""
    for data in mutants(13, 5_000, good_films()):
        with suppress(Rejected):
            header = probe(BytesReader(data))
            check_limits(header, RECIPE.limits, frames=header.frames)
            check_memory(header, RECIPE)
