"""What a sync would take."""

import pytest

from tests.bulk.unpainted import HEADERS, OpaqueStore, World
from thumbsmith.bulk.cost import GONE, source
from thumbsmith.bulk.status import Totals
from thumbsmith.cli.plan import print_plan
from thumbsmith.cli.terminal import format_duration
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
    for standing in world.plan():
        totals.add(standing)
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


def test_what_is_to_be_made_and_deleted_is_counted():
    """Sources count by state, objects by what is wrong with them, with the bytes to be read and deleted."""
    totals = _totals(_world())
    assert totals.sources == {"missing": 1, "stale": 0, "fresh": 1, "rejected": 0}
    assert (totals.to_make, totals.to_read, totals.failed) == (1, 2_000_000, 0)
    assert (totals.orphaned, totals.to_delete, totals.foreign) == (1, 3, 1)
    assert totals.amount == source(2_000_000) + GONE


def test_people_are_told_the_price(capsys: pytest.CaptureFixture[str]):
    """With a store on S3 the last line of a plan says what the requests cost."""
    assert print_plan(_world().scope(), as_json=False) == 0
    assert "$0.00 for requests to S3" in capsys.readouterr().out.splitlines()[-1]
    assert print_plan(_world().scope(), as_json=True) == 0
    assert '"dollars": 0.0' in capsys.readouterr().out.splitlines()[-1]


def test_what_cannot_be_found_out_is_told(capsys: pytest.CaptureFixture[str]):
    """A key that fails is told with its reason, is in no count, and makes the exit code 1."""
    world = _world()
    object.__setattr__(world.destination, "broken", "fresh.jpg/")
    assert print_plan(world.scope(), as_json=False) == 1
    assert "failed: 1\n  fresh.jpg: Input/output error\n" in capsys.readouterr().out
    assert print_plan(world.scope(), as_json=True) == 1
    shown = capsys.readouterr().out
    assert '{"event": "source", "key": "fresh.jpg", "state": "failed", "why": "Input/output error"}\n' in shown
    assert '"sources": 2, "missing": 1' in shown


@pytest.mark.parametrize(("amount", "said"), [(0, "0 s"), (89, "89 s"), (700, "11.7 min"), (70_000, "19.4 h")])
def test_long_times_are_said_in_their_unit(amount: float, said: str):
    """Seconds, minutes or hours, as people would say."""
    assert format_duration(amount) == said
