"""The model of costs, against what is really asked for."""

import io
import random
from collections import Counter
from collections.abc import Callable

import pytest
from PIL import Image

from tests.pictures import picture
from tests.servers.fixtures import needs_servers
from thumbsmith import Recipe, open_store
from thumbsmith.bulk.cost import GONE, NOTHING, PRICES, Amount, Model, planning, source
from thumbsmith.recipe.model import Format
from thumbsmith.reconcile.converge import converge
from thumbsmith.store import Headers
from thumbsmith.store.s3_direct import DirectTransport
from thumbsmith.worker import Workers

NAMES = {"put_object": "PUT", "list_objects_v2": "LIST", "get_object": "GET", "head_object": "HEAD"}
HEADERS = Headers(content_type="image/jpeg")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Count what S3 is asked for, by the bill's names."""
    counts: Counter[str] = Counter()
    send: Callable = DirectTransport.send

    def counting(self, operation, subject, parameters):
        counts[NAMES.get(operation, operation)] += 1
        return send(self, operation, subject, parameters)

    monkeypatch.setattr(DirectTransport, "send", counting)
    return counts


def _photograph(chance: random.Random, width: int) -> bytes:
    out = io.BytesIO()
    noise = Image.effect_noise((width, width * 2 // 3), chance.uniform(20, 60)).convert("RGB")
    noise.save(out, "jpeg", quality=90)
    return out.getvalue()


def _dollars(counts: Counter[str]) -> float:
    prices = {"PUT": PRICES.put, "LIST": PRICES.list, "GET": PRICES.get, "HEAD": PRICES.head}
    return sum(prices[name] * count for name, count in counts.items() if name in prices)


@needs_servers
def test_the_estimate_is_what_was_asked_for(ministack: str, asked: Counter[str]):
    """An estimate from sizes alone is within 15 % of the requests of a run, of which one in ten is no picture.

    Line by line for what is always the same; in dollars for all of it.
    """
    chance = random.Random(5)
    data = [_photograph(chance, width) for width in (400, 900, 1600, 2400)] * 4
    data += [picture("#123456"), b"no picture"] * 2
    store, thumbs = open_store(f"{ministack}/in"), open_store(f"{ministack}/out")
    for number, content in enumerate(data):
        store.put(f"{number}.jpg", content, HEADERS)
    model = Model.between(Recipe.default(), store.url, thumbs.url)
    amount = sum((source(info.size) for info in store.list()), NOTHING)
    asked.clear()
    with Workers(1) as workers:
        for number in range(len(data)):
            converge(f"{number}.jpg", store, thumbs, Recipe.default(), renderer=workers)
    estimated = model.bill(amount).total
    assert estimated == pytest.approx(_dollars(asked), rel=0.15)
    expected = model.requests(amount)
    assert (asked["LIST"], asked["HEAD"]) == (expected["LIST"], expected["HEAD"])
    assert asked["GET"] == pytest.approx(expected["GET"], rel=0.15)


def test_amounts_add_up():
    """The bill of two amounts is the sum of their bills: it is linear."""
    model = Model(recipe=Recipe.default(), way="queue", milliseconds=900)
    one, other = source(4_000_000) * 7, source(90_000) * 3 + GONE * 5
    assert model.bill(one + other).total == pytest.approx(model.bill(one).total + model.bill(other).total)
    assert model.bill(NOTHING).total == 0
    assert (one + other).sources == 10


@pytest.mark.parametrize(("size", "reads"), [(0, 1), (128 << 10, 1), ((128 << 10) + 1, 2), (4_000_000, 2), (40e6, 11)])
def test_a_source_is_read_in_large_blocks(size: float, reads: int):
    """As many GETs as the worker's reader makes: of a photograph of 4 MB, two."""
    assert source(size) == Amount(sources=1, bytes=size, reads=reads)


def test_folders_cost_nothing():
    """With a folder on one side only the other side's requests cost; making here takes no function."""
    model = Model.between(Recipe.default(), "./photos", "s3://thumbs/")
    assert model.requests(source(1))["HEAD"] == 0
    assert model.requests(source(1))["PUT"] == 4
    assert Model.between(Recipe.default(), "./photos", "./thumbs").bill(source(1)).total == 0
    assert "Lambda" not in model.bill(source(1)).lines


def test_a_key_that_is_gone_takes_the_requests_of_the_table():
    """Those that docs/s3.md lists: two looks at the source, a HEAD and a GET each; a GET and a LIST of thumbnails."""
    recipe = Recipe.default()
    assert Model(recipe=recipe).requests(GONE) == {"PUT": 0, "LIST": 1, "GET": 3, "HEAD": 2}
    assert Model(recipe=recipe, writes=False).requests(GONE) == {"PUT": 0, "LIST": 0, "GET": 2, "HEAD": 2}
    assert Model(recipe=recipe, reads=False).requests(GONE) == {"PUT": 0, "LIST": 1, "GET": 1, "HEAD": 0}


@needs_servers
def test_a_key_that_is_gone_takes_what_was_estimated(ministack: str, asked: Counter[str]):
    """Removing the thumbnails of a source on S3 takes exactly the estimated requests, wherever the other store is."""
    recipe = Recipe.default()
    on_s3, in_memory = f"{ministack}/gone", "memory://gone"
    for source_url, thumbs_url in [(on_s3, f"{on_s3}/thumbs"), (on_s3, in_memory), (in_memory, f"{on_s3}/more")]:
        key, store, thumbs = "a.jpg", open_store(source_url), open_store(thumbs_url)
        for name in ("manifest.json", "small.webp"):
            thumbs.put(f"{key}/{name}", b"{}", HEADERS)
        asked.clear()
        assert converge(key, store, thumbs, recipe).status == "deleted"
        expected = Model.between(recipe, source_url, thumbs_url).requests(GONE)
        assert {name: asked[name] for name in expected} == expected


@pytest.mark.parametrize(("milliseconds", "seconds"), [(1, (0.001 + 9 * 0.015) / 2), (135, 0.135), (10_000, 10)])
def test_a_function_works_while_it_waits(milliseconds: float, seconds: float):
    """Two threads share a core: nine requests are half as long as for one, until the core is busy all the time."""
    model = Model(recipe=Recipe.default(), way="queue", milliseconds=milliseconds)
    assert sum(model.requests(source(1)).values()) == 9
    assert model.function_seconds(source(1)) == pytest.approx(seconds)


def test_a_queue_costs_three_calls_for_ten_messages():
    """A million messages are sent, received and deleted ten at a time; each batch of ten is one invocation."""
    lines = Model(recipe=Recipe.default(), way="queue").bill(source(1) * 1e6).lines
    assert lines["SQS"] == pytest.approx(300_000 * 0.40 / 1e6)
    assert lines["Lambda invocations"] == pytest.approx(100_000 * 0.20 / 1e6)
    assert lines["logs"] == pytest.approx(1.4 * 0.50)  # 1,400 bytes an image


def test_a_gigabyte_second_is_one_of_1024_megabytes():
    """A million images of one second each in 1,024 MB are a million of what Lambda is paid by."""
    model = Model(recipe=Recipe.default(), way="queue", milliseconds=1000, megabytes=1024)
    assert model.bill(source(1) * 1e6).lines["Lambda"] == pytest.approx(1e6 * PRICES.gigabyte_second)


def test_time_is_shared():
    """Twice as many at once take half the time, here and on functions; what is gone takes next to none."""
    for way in ("here", "queue", "batch"):
        model = Model(recipe=Recipe.default(), way=way)
        assert model.seconds(source(4e6), 2) == model.seconds(source(4e6), 1) / 2 > model.seconds(GONE, 2)


def test_a_job_costs_by_itself():
    """A job is $0.25, and a dollar for a million tasks; no job is nothing."""
    model = Model(recipe=Recipe.default(), way="batch")
    assert model.bill(source(1) * 1e6).lines["S3 Batch Operations"] == pytest.approx(1.25)
    assert model.bill(NOTHING).lines["S3 Batch Operations"] == 0


def test_a_plan_costs_its_listings():
    """A thousand objects a LIST, a GET for each manifest that is read."""
    assert planning(5e6, 1e6).total == pytest.approx(0.025 + 0.4)


def test_pixels_are_those_of_the_recipe():
    """A photograph of 6 megapixels, 3 by 2, gets what the recipe's boxes leave of it."""
    recipe = Recipe.loads('[variants.a]\nwidth = 300\nformats = ["jpeg", "avif"]\n')
    pixels = Model(recipe=recipe, megapixels=6).pixels()
    assert pixels[Format.JPEG] == pixels[Format.AVIF] == pytest.approx(0.06)
    assert pixels[Format.WEBP] == 0
