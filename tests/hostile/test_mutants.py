"""Thousands of damaged files: each ends in a thumbnail or a rejection, and the parent process is not affected."""

from collections import Counter
from collections.abc import Sequence
from contextlib import suppress

import pytest

from tests.hostile.mutants import mutants, new_kinds
from tests.hostile.trials import ISOLATIONS, Kind, bench, complaint
from thumbsmith.errors import Rejected
from thumbsmith.image.limits import check_limits, check_memory
from thumbsmith.image.probe import probe
from thumbsmith.reader import BytesReader
from thumbsmith.recipe import Recipe

RECIPE = Recipe.loads('[variants.a]\nwidth = 32\nheight = 32\nformats = ["jpeg"]')


def _survived(seed: int, count: int, isolation: Kind = "source", files: Sequence[bytes] = ()) -> Counter[str]:
    """Return the number of mutants by outcome, through real workers. Fail for any other outcome."""
    outcomes: Counter[str] = Counter()
    with bench(RECIPE, isolation=isolation) as trial:
        for number, data in enumerate(mutants(seed, count, files)):
            verdict = trial(data)
            wrong = complaint(verdict, "either")
            assert wrong is None, f"mutant {number} of seed {seed}: {wrong}"
            outcomes[verdict.outcome] += 1
    return outcomes


# Three with a process for each source, two with processes for many.
@pytest.mark.parametrize(("seed", "isolation"), [*zip(range(5), [*ISOLATIONS, *ISOLATIONS, "source"], strict=True)])
def test_a_thousand_mutants_end_well(seed: int, isolation: Kind):
    """Mutants end in thumbnails and in rejections of several codes, through real workers of both kinds."""
    outcomes = _survived(seed, 1000, isolation)
    assert outcomes["thumbnail"] > 50
    assert outcomes["corrupt"] > 50
    assert outcomes["truncated"] > 20


def test_mutants_of_new_kinds_end_well():
    """The same is true for 300 mutants of documents, drawings, raw photographs and the simple kinds."""
    assert _survived(8, 300, "shared", new_kinds())["thumbnail"] > 20


@pytest.mark.deep
@pytest.mark.parametrize("seed", range(200, 220))
def test_twenty_thousand_mutants_of_new_kinds_end_well(seed: int):
    """The same is true for twenty times a thousand of them."""
    assert sum(_survived(seed, 1000, ISOLATIONS[seed % 2], new_kinds()).values()) == 1000


@pytest.mark.deep
@pytest.mark.parametrize("seed", range(100, 150))
def test_a_hundred_thousand_mutants_end_well(seed: int):
    """The same is true for fifty times two thousand mutants of other seeds, of which each kind has half."""
    assert sum(_survived(seed, 2000, ISOLATIONS[seed % 2]).values()) == 2000


def test_mutants_have_the_same_outcome_with_both_kinds():
    """A process that has handled other sources gives no other code or thumbnail count than a fresh one."""
    assert _survived(99, 200, "shared") == _survived(99, 200, "source")


def test_the_probe_survives_what_it_is_given():
    """Fifty thousand mutants give a Probe or a Rejected, and no other exception in this process."""
    for data in mutants(7, 50_000):
        with suppress(Rejected):
            header = probe(BytesReader(data))
            check_limits(header, RECIPE.limits)
            check_memory(header, RECIPE)


def test_the_same_seed_gives_the_same_mutants():
    """A mutant can be made again from its seed."""
    assert list(mutants(3, 20)) == list(mutants(3, 20))
    assert list(mutants(3, 20)) != list(mutants(4, 20))
