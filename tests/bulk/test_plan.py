"""The summary of a plan: counts, bytes, time and price."""

import pytest

from tests.bulk.world import HEADERS, OpaqueStore, World
from thumbsmith.bulk.cost import ORPHAN, Totals, source_amount
from thumbsmith.cli.plan import print_plan
from thumbsmith.cli.wording import format_duration
from thumbsmith.errors import StoreError


class _OnS3(OpaqueStore):
    broken = "nothing"

    def open(self, key: str):
        if key.startswith(self.broken):
            raise StoreError("Input/output error", transient=True)
        return super().open(key)

    @property
    def url(self) -> str:
        return f"s3://{self.name}"


def _totals(world: World) -> Totals:
    totals = Totals()
    for status in world.plan():
        totals.add(status)
    return totals


def _world() -> World:
    """Return one source of 2 MB that is missing and one that is fresh, an orphan of 3 bytes and a foreign file."""
    world = World(source=_OnS3("photos"), destination=_OnS3("thumbs"))
    world.upload("fresh.jpg")
    world.converge("fresh.jpg")
    world.upload("missing.jpg", b"x" * 2_000_000)
    world.destination.put("gone.jpg/icon.webp", b"123", HEADERS)
    world.destination.put("mine.txt", b"1", HEADERS)
    return world


def test_work_is_counted():
    """Sources are counted by state, objects as orphaned or foreign, with the bytes to read and delete."""
    totals = _totals(_world())
    assert totals.sources == {"missing": 1, "stale": 0, "fresh": 1, "rejected": 0}
    assert (totals.to_make, totals.to_read, totals.failed) == (1, 2_000_000, 0)
    assert (totals.orphaned, totals.to_delete, totals.foreign) == (1, 3, 1)
    assert totals.amount == source_amount(2_000_000, new=True) + ORPHAN


def test_the_price_is_printed(capsys: pytest.CaptureFixture[str]):
    """With a store on S3 the last line of a plan contains the price of the requests."""
    assert print_plan(_world().scope(), as_json=False) == 0
    assert "less than $0.01 for requests to S3" in capsys.readouterr().out.splitlines()[-1]
    assert print_plan(_world().scope(), as_json=True) == 0
    assert '"dollars": 0.0' in capsys.readouterr().out.splitlines()[-1]


def test_a_failed_key_is_reported(capsys: pytest.CaptureFixture[str]):
    """A key that fails is printed with its reason, is in no other count, and makes the exit code 1."""
    world = _world()
    object.__setattr__(world.destination, "broken", "fresh.jpg/")
    assert print_plan(world.scope(), as_json=False) == 1
    assert "failed: 1\n  ! fresh.jpg: Input/output error\n" in capsys.readouterr().out
    assert print_plan(world.scope(), as_json=True) == 1
    shown = capsys.readouterr().out
    assert '{"event": "source", "key": "fresh.jpg", "state": "failed", "why": "Input/output error"}\n' in shown
    assert '"sources": 2, "missing": 1' in shown


@pytest.mark.parametrize(
    ("seconds", "printed"),
    [(0, "less than 1 s"), (89, "about 89 s"), (700, "about 11.7 min"), (70_000, "about 19.4 h")],
)
def test_durations_have_a_suitable_unit(seconds: float, printed: str):
    """Durations are printed in seconds, minutes or hours."""
    assert format_duration(seconds) == printed
