"""`thumbsmith cost`: the cost of many photographs, by line."""

from pathlib import Path

import pytest

from tests.cli.command import Command


def test_a_million_photographs(thumbsmith: Command):
    """The lines add up; a million manifests and three thumbnails each are four million PUTs."""
    ran = thumbsmith("cost", "--images", "1e6", "--megapixels", "12", "--json")
    (told,) = ran.events
    assert ran.code == 0
    assert told["dollars"] == pytest.approx(sum(told["lines"].values()), abs=0.001)
    assert told["lines"]["S3 PUT"] == pytest.approx(4_000_000 * 0.005 / 1000)
    assert 20 < told["dollars"] < told["trickle"]["dollars"] < 45
    assert told["trickle"]["dollars"] == pytest.approx(sum(told["trickle"]["lines"].values()), abs=0.001)
    assert {"Lambda", "SQS", "logs"} <= told["lines"].keys()


def test_it_grows_with_what_is_made(thumbsmith: Command, tmp_path: Path):
    """Larger photographs, more variants and slower formats cost more; a measured time is used unchanged."""
    recipe = tmp_path / "more.toml"
    recipe.write_text('[variants.a]\nwidth = 2000\nformats = ["avif", "webp", "jpeg"]\n')

    def dollars(*words: str) -> float:
        (told,) = thumbsmith("cost", "--images", "1000", "--json", *words).events
        return told["dollars"]

    usual = dollars()
    assert dollars("--megapixels", "50") > usual
    assert dollars("--megabytes", "20") > usual
    assert dollars("--recipe", str(recipe)) > usual
    assert dollars("--via", "batch") > dollars("--via", "here") > dollars("--via", "queue")  # the last lists nothing
    assert dollars("--storage") > usual
    slow, slower = (dollars("--milliseconds", each) for each in ("1000", "2000"))
    assert slower - slow == pytest.approx(1000 * 1769 / 1024 * 0.0000133334, abs=0.001)


def test_people_see_a_table(thumbsmith: Command):
    """The table has a line for each cost, the total, and the time."""
    out = thumbsmith("cost", "--images", "1000000").out.splitlines()
    assert out[-2].startswith("total ")
    assert out[-1].startswith("about ")
    assert out[0].split() == ["flood", "trickle"]
    assert out[1].split() == ["S3", "PUT", "20.00", "$", "20.00", "$"]
    assert len({len(line) for line in out[1:-1]}) == 1


def test_a_backfill_has_one_price(thumbsmith: Command):
    """There is no trickle in a backfill: the command sends full batches."""
    ran = thumbsmith("cost", "--images", "1000000", "--via", "queue", "--json")
    assert "trickle" not in ran.events[0]
    assert thumbsmith("cost", "--images", "1000000", "--via", "queue").out.startswith("S3 PUT")


def test_latency_and_prices_are_yours(thumbsmith: Command, tmp_path: Path):
    """A slower S3 makes a trickle dearer; a file of prices replaces list prices."""
    (usual,) = thumbsmith("cost", "--images", "1e6", "--json").events
    (slow,) = thumbsmith("cost", "--images", "1e6", "--latency", "100", "--json").events
    assert slow["trickle"]["lines"]["Lambda"] > 2 * usual["trickle"]["lines"]["Lambda"]
    file = tmp_path / "prices.toml"
    file.write_text("thousand_puts = 0.01\n")
    (dear,) = thumbsmith("cost", "--images", "1e6", "--prices", str(file), "--json").events
    assert dear["lines"]["S3 PUT"] == pytest.approx(40)
    refused = thumbsmith("cost", "--images", "1e6", "--prices", str(tmp_path / "none.toml"))
    assert (refused.code, refused.err.count("\n")) == (2, 1)


@pytest.mark.parametrize("words", [["--images", "many"], ["--images", "-1"], ["--images", "1", "--via", "pigeon"]])
def test_what_is_no_number_is_refused(thumbsmith: Command, words: list[str]):
    """One sentence states what was expected and found; exit code 2."""
    ran = thumbsmith("cost", *words)
    assert ran.code == 2
    assert ran.err.count("\n") == 1
    assert "expected" in ran.err
