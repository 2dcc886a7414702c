"""The real protocol, one key, every possible order of the effects of several workers: the end is correct.

A history has a letter for each change of the source: contents A and B (JPEG), P (PNG: a rendition of another name), X
(invalid), "-" deleted, "r" a new recipe, "s" the `sync` after it. Each case states a minimum number of states, so
that it cannot explore nothing. The only limits are the numbers of workers, deaths and duplicates.
"""

from typing import Any

import pytest

from tests.proof.explorer import Run, explore
from tests.proof.variants import digesting, first_delivery, first_delivery_last_first, last_first, real


def _run(history: str, at_least: int, **settings: Any) -> None:
    settings.setdefault("protocol", digesting if settings.get("digests") else real)
    result = explore(Run(history=history, **settings))
    print(f"{history} {settings}: {result.states:,} states, {result.at_rest} at rest")  # noqa: T201 - for pytest -rP
    assert not result.wrong, "\n".join([result.wrong, *result.trace])
    assert result.states >= at_least
    assert result.at_rest > len(history)


@pytest.mark.parametrize(
    ("history", "at_least"),
    [("A", 700), ("AB", 140_000), ("A-", 49_000), ("AA", 3_600), ("XA", 39_000), ("AX", 80_000), ("Ars", 25_000)],
)
def test_two_workers_a_death_and_a_duplicate(history: str, at_least: int):
    """At rest the destination is correct, and what counts as fresh is always correct, for each kind of change."""
    _run(history, at_least)


@pytest.mark.parametrize(("history", "at_least"), [("A-A", 180_000), ("ArBs", 150_000), ("Ar-s", 23_000)])
def test_longer_histories_with_a_death(history: str, at_least: int):
    """The same if a source is deleted and recreated, or changes while workers still have the old recipe."""
    _run(history, at_least, duplicates=0)


@pytest.mark.parametrize(("history", "at_least"), [("BA", 100_000), ("XA", 66_000), ("PA", 190_000), ("-A", 52_000)])
def test_there_and_back(history: str, at_least: int):
    """The same if A has thumbnails already, and returns with its earlier etag."""
    _run(history, at_least, made="A")


@pytest.mark.parametrize(
    ("made", "history", "at_least"), [("A", "BAB", 36_000), ("A", "XAX", 20_000), ("X", "AXA", 18_000)]
)
def test_there_and_back_twice(made: str, history: str, at_least: int):
    """The same for two contents in turn, without deaths and duplicates."""
    _run(history, at_least, made=made, crashes=0, duplicates=0)


@pytest.mark.parametrize(("history", "at_least"), [("AB", 32_000), ("AA", 27_000), ("A-A", 39_000)])
def test_etags_that_never_repeat(history: str, at_least: int):
    """The same in stores in which the same bytes get another etag each time, such as folders."""
    _run(history, at_least, duplicates=0, crashes=int(len(history) == 2), fresh_etags=True)


@pytest.mark.parametrize(("history", "at_least"), [("AB", 36_000), ("AA", 16_000), ("A-A", 48_000)])
def test_digests_of_sources(history: str, at_least: int):
    """The same if manifests contain the digests of their sources, as in folders."""
    _run(history, at_least, duplicates=0, crashes=int(len(history) == 2), fresh_etags=True, digests=True)


@pytest.mark.parametrize(
    ("made", "history", "at_least"),
    [
        ("A", "A", 200),
        ("X", "X", 200),
        ("A", "AA", 1_500),
        ("A", "AB", 15_000),
        ("A", "BA", 25_000),
        ("X", "XA", 15_000),
    ],
)
def test_new_etags_for_the_same_bytes(made: str, history: str, at_least: int):
    """The same if a source gets a new etag, as by a change of its mode, and is replaced before or after that."""
    _run(history, at_least, made=made, fresh_etags=True, digests=True, duplicates=int(len(history) == 1))


@pytest.mark.parametrize(("made", "history"), [("A", "A"), ("A", "AA"), ("P", "PP"), ("X", "X")])
def test_the_same_bytes_are_rendered_once(made: str, history: str):
    """If the same bytes get new etags and workers die at any effect, no rendition is written again."""
    result = explore(Run(protocol=digesting, history=history, made=made, fresh_etags=True, digests=True, duplicates=0))
    assert not result.wrong
    written = {name: count for _, world in result.worlds for name, count in world.writes if name != "manifest.json"}
    assert set(written.values()) <= {1}
    assert any(dict(world.writes)["manifest.json"] > 1 for _, world in result.worlds)


@pytest.mark.parametrize(
    ("history", "crashes", "at_least"),
    [("A", 1, 300), ("AB", 0, 37_000), ("A-", 0, 8_600), ("AX", 0, 17_000)],
)
def test_a_function_that_is_frozen(history: str, crashes: int, at_least: int):
    """The same if a function runs out of time at any effect, is frozen, and thaws at any later time."""
    _run(history, at_least, crashes=crashes, duplicates=0, freezes=1)


@pytest.mark.parametrize(
    ("history", "settings", "at_least"),
    [
        ("A", {}, 700),
        ("AB", {"duplicates": 0}, 12_000),
        ("A-", {"duplicates": 0}, 3_000),
        ("A", {"duplicates": 0, "freezes": 1}, 300),
        ("PA", {"made": "A", "crashes": 0}, 10_000),
        ("ArBs", {"crashes": 0, "duplicates": 0}, 12_000),
        ("AP", {"protocol": first_delivery_last_first, "counted": True, "side_by_side": True, "duplicates": 0}, 10_000),
    ],
)
def test_renditions_in_the_other_order(history: str, settings: dict[str, Any], at_least: int):
    """The same if the renditions, which are written at the same time, are stored in the other order."""
    _run(history, at_least, **{"protocol": last_first, **settings})


def test_three_workers():
    """The same with three workers for three messages."""
    _run("A-", 90_000, workers=3, crashes=0)


@pytest.mark.deep
@pytest.mark.parametrize(
    ("history", "settings", "at_least"),
    [
        ("ABA", {}, 6_000_000),
        ("AB", {"duplicates": 0, "freezes": 1}, 250_000),
        ("A-A", {"crashes": 0, "duplicates": 0, "freezes": 1}, 590_000),
        ("A-A", {}, 1_600_000),
        ("AXA", {}, 2_800_000),
        ("ABrs", {"duplicates": 0}, 120_000),
        ("ABAB", {"crashes": 0, "duplicates": 0}, 600_000),
        ("BAB", {"made": "A", "duplicates": 0}, 400_000),
        ("BABA", {"made": "A", "crashes": 0, "duplicates": 0}, 370_000),
        ("AB", {"fresh_etags": True}, 1_200_000),
        ("A-A", {"fresh_etags": True, "duplicates": 0}, 1_000_000),
        ("AXA", {"fresh_etags": True, "duplicates": 0}, 2_600_000),
        ("AB", {"workers": 3, "crashes": 0}, 340_000),
        ("A-", {"workers": 3}, 500_000),
        ("BA", {"workers": 3, "crashes": 0, "made": "A"}, 260_000),
    ],
)
def test_large_cases(history: str, settings: dict[str, int], at_least: int):
    """The same for longer histories and more workers."""
    _run(history, at_least, **settings)


@pytest.mark.parametrize("history", ["A", "AB", "A-"])
def test_merging_states_loses_none(history: str):
    """A worker's next effects depend only on its variables: without merging, the same worlds are reached."""
    settings = {"crashes": 0, "duplicates": 1 if history == "A" else 0}
    merged = explore(Run(protocol=real, history=history, **settings))
    apart = explore(Run(protocol=real, history=history, merged=False, **settings))
    assert merged.worlds == apart.worlds
    assert merged.states < apart.states


FIRST = {"protocol": first_delivery, "counted": True, "side_by_side": True}


@pytest.mark.parametrize(
    ("history", "settings", "at_least"),
    [
        ("A", {}, 700),
        ("AP", {"duplicates": 0}, 11_000),
        ("A-", {}, 40_000),
        ("AX", {"duplicates": 0}, 3_500),
        ("P", {"made": "A"}, 900),
        ("PA", {"made": "A", "duplicates": 0}, 13_000),
        ("X", {"made": "A"}, 600),
        ("A-P", {"crashes": 0, "duplicates": 0}, 18_000),
        ("A-", {"crashes": 0, "duplicates": 0, "freezes": 1}, 8_000),
        ("ArBs", {"crashes": 0, "duplicates": 0}, 15_000),
        ("rA-s", {"duplicates": 0}, 40_000),
        ("rPs-", {"made": "A", "crashes": 0, "duplicates": 0}, 10_000),
    ],
)
def test_first_deliveries_do_not_list(history: str, settings: dict[str, Any], at_least: int):
    """The same for a function that lists after a redelivery, also with the old and the new recipe side by side."""
    _run(history, at_least, **FIRST, **settings)


@pytest.mark.parametrize(
    ("history", "settings", "at_least"),
    [
        ("As", {"duplicates": 0}, 900),
        ("sAP", {"crashes": 0, "duplicates": 0}, 25_000),
        ("AsP", {"crashes": 0, "duplicates": 0}, 14_000),
        ("As-", {"crashes": 0, "duplicates": 0}, 9_000),
        ("rAs", {"duplicates": 0}, 1_400),
        ("Ars", {"duplicates": 0}, 1_500),
        ("As", {"crashes": 0, "duplicates": 0, "freezes": 1}, 2_300),
    ],
)
def test_a_backfill_lists_where_its_plan_found_something(history: str, settings: dict[str, Any], at_least: int):
    """The same for a backfill whose message says that its plan found nothing made of the source."""
    _run(history, at_least, planned=True, **FIRST, **settings)


@pytest.mark.deep
@pytest.mark.parametrize(
    ("history", "settings", "at_least"),
    [
        ("AsP", {"duplicates": 0}, 190_000),
        ("As-", {"duplicates": 0}, 92_000),
        ("As", {"crashes": 2}, 18_000),
        ("ArsP", {"duplicates": 0}, 190_000),
        ("rAsP", {"duplicates": 0}, 190_000),
        ("As", {"workers": 3}, 15_000),
        ("AssP", {"crashes": 0, "duplicates": 0}, 50_000),
    ],
)
def test_backfills_in_large_cases(history: str, settings: dict[str, Any], at_least: int):
    """The same for longer histories, more deaths and more workers."""
    _run(history, at_least, planned=True, **FIRST, **settings)


@pytest.mark.deep
@pytest.mark.parametrize(
    ("history", "settings", "at_least"),
    [
        ("APA", {"duplicates": 0}, 150_000),
        ("A-P", {"duplicates": 0}, 250_000),
        ("AP", {}, 50_000),
        ("AXP", {"duplicates": 0}, 100_000),
        ("AP", {"workers": 3, "crashes": 0}, 50_000),
        ("AP", {"crashes": 2, "duplicates": 0}, 50_000),
        ("AP", {"duplicates": 0, "freezes": 1}, 50_000),
        ("ArBs", {"duplicates": 0}, 100_000),
        ("rPs-", {"made": "A", "duplicates": 0}, 50_000),
    ],
)
def test_first_deliveries_in_large_cases(history: str, settings: dict[str, Any], at_least: int):
    """The same for longer histories, more deaths and more workers."""
    _run(history, at_least, **FIRST, **settings)
