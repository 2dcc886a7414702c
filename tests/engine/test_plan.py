"""What a sync would take."""

from dataclasses import replace

import pytest

from tests.engine.unpainted import HEADERS, OpaqueStore, World
from thumbsmith.cli.plan import duration, print_plan
from thumbsmith.errors import StoreError
from thumbsmith.plan import Totals, dollars, seconds


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


def test_more_jobs_take_less_time():
    """The time grows with sources and bytes and is shared among jobs; nothing to do takes none."""
    totals = _totals(_world())
    assert seconds(totals, jobs=2) == seconds(totals, jobs=1) / 2 > 0
    assert seconds(replace(totals, to_read=4_000_000), jobs=1) > seconds(totals, jobs=1)
    assert seconds(Totals(), jobs=1) == 0


def test_requests_to_s3_cost():
    """A source to be made from S3 to S3 with three renditions: 2 HEAD, 2 GET, 1 LIST, 4 PUT; folders cost nothing."""
    world = _world()
    totals = _totals(world)
    assert dollars(totals, world.scope()) == pytest.approx((2 * 0.0004 + 2 * 0.0004 + 0.005 + 4 * 0.005) / 1000)
    world.source = OpaqueStore("folder")
    assert dollars(totals, world.scope()) == pytest.approx((0.0004 + 0.005 + 4 * 0.005) / 1000)
    world.destination = OpaqueStore("another")
    assert dollars(totals, world.scope()) is None


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
    assert '"sources": 1, "missing": 1' in shown


@pytest.mark.parametrize(("amount", "said"), [(0, "0 s"), (89, "89 s"), (700, "11.7 min"), (70_000, "19.4 h")])
def test_long_times_are_said_in_their_unit(amount: float, said: str):
    """Seconds, minutes or hours, as people would say."""
    assert duration(amount) == said
