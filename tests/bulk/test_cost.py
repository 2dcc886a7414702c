"""The cost model, compared with the requests that are really made."""

import io
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from tests.aws.scene import Context, queued, record
from tests.pictures import picture
from tests.servers.fixtures import needs_servers
from thumbsmith import Recipe, open_store
from thumbsmith.bulk.cost import (
    LOG_BYTES_PER_IMAGE,
    LOG_BYTES_PER_INVOCATION,
    NOTHING,
    ORPHAN,
    Amount,
    Model,
    plan_bill,
    source_amount,
)
from thumbsmith.bulk.prices import PRICES, Prices
from thumbsmith.dispatch.converger import Converger
from thumbsmith.dispatch.invocation import handle
from thumbsmith.dispatch.settings import FunctionSettings
from thumbsmith.errors import UsageError
from thumbsmith.recipe.model import Format
from thumbsmith.reconcile.converge import converge
from thumbsmith.store import Headers
from thumbsmith.store.s3_direct import DirectTransport
from thumbsmith.worker import Workers

NAMES = {"put_object": "PUT", "list_objects_v2": "LIST", "get_object": "GET", "head_object": "HEAD"}
HEADERS = Headers(content_type="image/jpeg")


@pytest.fixture
def requests(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Count the requests to S3, by the names on the bill."""
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
    prices = {"PUT": PRICES.thousand_puts, "LIST": PRICES.thousand_lists}
    prices |= {"GET": PRICES.thousand_gets, "HEAD": PRICES.thousand_heads}
    return sum(prices[name] / 1000 * count for name, count in counts.items() if name in prices)


@needs_servers
def test_the_estimate_matches_the_requests(ministack: str, requests: Counter[str]):
    """An estimate from sizes alone is within 15 % of the requests of a run in which one source in ten is invalid.

    LIST and HEAD are exact; GET and the sum in dollars are within 15 %.
    """
    chance = random.Random(5)
    data = [_photograph(chance, width) for width in (400, 900, 1600, 2400)] * 4
    data += [picture("#123456"), b"no picture"] * 2
    store, thumbs = open_store(f"{ministack}/in"), open_store(f"{ministack}/out")
    for number, content in enumerate(data):
        store.put(f"{number}.jpg", content, HEADERS)
    model = Model.between(Recipe.default(), store.url, thumbs.url)
    amount = sum((source_amount(info.size, new=True) for info in store.list()), NOTHING)
    requests.clear()
    with Workers(1) as workers:
        for number in range(len(data)):
            converge(f"{number}.jpg", store, thumbs, Recipe.default(), renderer=workers)
    estimated = model.bill(amount).total
    assert estimated == pytest.approx(_dollars(requests), rel=0.15)
    expected = model.requests(amount)
    assert (requests["LIST"], requests["HEAD"]) == (expected["LIST"], expected["HEAD"])
    assert requests["GET"] == pytest.approx(expected["GET"], rel=0.15)


def test_amounts_add_up():
    """The bill of two amounts is the sum of their bills: it is linear."""
    model = Model(recipe=Recipe.default(), way="queue", milliseconds=900)
    one, other = source_amount(4_000_000, new=True) * 7, source_amount(90_000, new=True) * 3 + ORPHAN * 5
    assert model.bill(one + other).total == pytest.approx(model.bill(one).total + model.bill(other).total)
    assert model.bill(NOTHING).total == 0
    assert (one + other).sources == 10


@pytest.mark.parametrize(
    ("size", "reads", "first"),
    [(0, 1, 0), (128 << 10, 1, 0), ((128 << 10) + 1, 2, 1), (4_000_000, 2, 1), (40e6, 11, 1)],
)
def test_a_source_is_read_in_large_blocks(size: float, reads: int, first: int):
    """The amount has as many GETs as the worker's reader makes: two for a photograph of 4 MB.

    A function that gets the first message about a new source needs no GET for its header alone.
    """
    old, new = source_amount(size, new=False), source_amount(size, new=True)
    assert old == Amount(sources=1, bytes=size, reads=reads)
    assert new == replace(old, new=1, header_reads=first)
    model = Model(recipe=Recipe.default(), way="queue")
    assert [model.requests(each)["GET"] for each in (old, new)] == [reads + 1, reads - first + 1]
    batch = replace(model, way="batch")  # a task does not say whether it is repeated
    assert batch.requests(old) == batch.requests(new) == model.requests(old)


def test_folders_cost_nothing():
    """Requests to a folder cost nothing, and rendering on this machine needs no function."""
    model = Model.between(Recipe.default(), "./photos", "s3://thumbs/")
    assert model.requests(source_amount(1, new=True))["HEAD"] == 0
    assert model.requests(source_amount(1, new=True))["PUT"] == 4
    assert Model.between(Recipe.default(), "./photos", "./thumbs").bill(source_amount(1, new=True)).total == 0
    assert "Lambda" not in model.bill(source_amount(1, new=True)).lines


def test_an_orphan_takes_the_documented_requests():
    """The requests of docs/s3.md: HEAD and GET of the source twice; GET and LIST of the thumbnails."""
    recipe = Recipe.default()
    assert Model(recipe=recipe).requests(ORPHAN) == {"PUT": 0, "LIST": 1, "GET": 3, "HEAD": 2}
    assert Model(recipe=recipe, writes=False).requests(ORPHAN) == {"PUT": 0, "LIST": 0, "GET": 2, "HEAD": 2}
    assert Model(recipe=recipe, reads=False).requests(ORPHAN) == {"PUT": 0, "LIST": 1, "GET": 1, "HEAD": 0}


@needs_servers
def test_an_orphan_takes_the_estimated_requests(ministack: str, requests: Counter[str]):
    """Deleting the thumbnails of a deleted source takes exactly the estimated requests, for any pair of stores."""
    recipe = Recipe.default()
    on_s3, in_memory = f"{ministack}/gone", "memory://gone"
    for source_url, thumbs_url in [
        (on_s3, f"{ministack}/thumbs"),
        (on_s3, in_memory),
        (in_memory, f"{ministack}/more"),
    ]:
        key, store, thumbs = "a.jpg", open_store(source_url), open_store(thumbs_url)
        for name in ("manifest.json", "small.webp"):
            thumbs.put(f"{key}/{name}", b"{}", HEADERS)
        requests.clear()
        assert converge(key, store, thumbs, recipe).status == "deleted"
        expected = Model.between(recipe, source_url, thumbs_url).requests(ORPHAN)
        assert {name: requests[name] for name in expected} == expected


@pytest.mark.parametrize(("milliseconds", "seconds"), [(1, (0.001 + 7 * 0.03) / 4), (135, 0.135), (10_000, 10)])
def test_a_function_works_while_it_waits(milliseconds: float, seconds: float):
    """Four threads share a core: waiting for nine requests counts a quarter, until the core is always busy.

    Three of them are made at the same time.
    """
    model = Model(recipe=Recipe.default(), way="queue", milliseconds=milliseconds, megabytes=1769)
    assert sum(model.requests(source_amount(1, new=False)).values()) == 9
    assert model.function_seconds(source_amount(1, new=False)) == pytest.approx(seconds)


def test_an_upload_takes_the_documented_requests():
    """A photograph of 4 MB is four PUTs and three requests of the price of a GET; nothing is listed."""
    model = Model(recipe=Recipe.default(), way="uploads")
    assert model.requests(source_amount(4_000_000, new=True)) == {"PUT": 4, "LIST": 0, "GET": 2, "HEAD": 1}
    assert model.requests(ORPHAN) == {"PUT": 0, "LIST": 1, "GET": 3, "HEAD": 2}


def test_in_a_trickle_an_image_waits_for_each_request():
    """One upload at a time waits five times 30 ms beside its CPU time, and pays for all calls alone.

    Its seven requests are five in a row, since three renditions are written at the same time.
    """
    flood = Model(recipe=Recipe.default(), way="uploads", milliseconds=100, megabytes=1769)
    trickle = replace(flood, trickle=True)
    one = source_amount(4_000_000, new=True)
    assert trickle.function_seconds(one) == pytest.approx(0.1 + 5 * 0.03)
    assert replace(trickle, request_seconds=0.1).function_seconds(one) == pytest.approx(0.6)
    assert flood.function_seconds(one) == pytest.approx(0.1)
    lines = trickle.bill(one * 1e6).lines
    assert lines["SQS"] == pytest.approx(3 * 0.40)
    assert lines["Lambda invocations"] == pytest.approx(0.20)


def test_a_function_has_the_share_of_a_core_that_its_memory_buys():
    """Half the memory takes twice the CPU time; the waiting stays the same. Two cores work at once."""
    trickle = Model(recipe=Recipe.default(), way="uploads", milliseconds=100, trickle=True)
    half, one = replace(trickle, megabytes=1769 // 2), source_amount(4_000_000, new=True)
    assert half.function_seconds(one) == pytest.approx(0.2 + 0.15, rel=0.01)
    flood = replace(trickle, trickle=False, megabytes=2 * 1769)
    assert flood.function_seconds(one) == pytest.approx(0.05)


def test_each_event_is_a_message_and_a_backfill_sends_ten():
    """S3 sends a message for each event; a backfill sends ten at once. Functions receive and delete ten at once."""
    million = source_amount(1, new=True) * 1e6
    lines = Model(recipe=Recipe.default(), way="uploads").bill(million).lines
    assert lines["SQS"] == pytest.approx(1_200_000 * 0.40 / 1e6)
    lines = Model(recipe=Recipe.default(), way="queue").bill(million).lines
    assert lines["SQS"] == pytest.approx(300_000 * 0.40 / 1e6)
    assert lines["Lambda invocations"] == pytest.approx(100_000 * 0.20 / 1e6)
    assert lines["logs"] == pytest.approx((LOG_BYTES_PER_IMAGE + LOG_BYTES_PER_INVOCATION / 10) / 1000 * 0.50)


def test_a_task_of_a_job_is_an_invocation():
    """S3 Batch Operations gives a function one task at a time, so that it waits as in a trickle."""
    million = source_amount(4_000_000, new=True) * 1e6
    job = Model(recipe=Recipe.default(), way="batch", milliseconds=100, megabytes=1769)
    assert job.bill(million).lines["Lambda invocations"] == pytest.approx(0.20)
    assert job.function_seconds(source_amount(4_000_000, new=True)) == pytest.approx(0.1 + 8 * 0.03)


def test_prices_of_a_file_replace_list_prices(tmp_path: Path):
    """A file names the prices that differ; the others are list prices."""
    file = tmp_path / "prices.toml"
    file.write_text("thousand_puts = 0.0054\ngigabyte_second = 0\n")
    prices = Prices.load(file)
    assert (prices.thousand_puts, prices.gigabyte_second) == (0.0054, 0)
    assert prices.thousand_gets == PRICES.thousand_gets
    bill = Model(recipe=Recipe.default(), way="uploads", prices=prices).bill(source_amount(1, new=True) * 1e6)
    assert bill.lines["S3 PUT"] == pytest.approx(21.60)
    assert bill.lines["Lambda"] == 0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("thousand_pust = 1", "unknown price 'thousand_pust'; expected thousand_puts,"),
        ("batch_job = '1'", "batch_job: expected a price in US dollars, found '1'"),
        ("batch_job = -1", "batch_job: expected a price"),
        ("batch_job = nan", "batch_job: expected a price"),
        ("batch_job = true", "batch_job: expected a price"),
        ("batch_job", "expected prices in TOML"),
        (b"\xff", "expected prices in TOML"),
        (None, "cannot read the prices: No such file"),
    ],
)
def test_a_file_that_has_no_prices_is_refused(tmp_path: Path, text: str | bytes | None, said: str):
    """One sentence names the file and the mistake."""
    file = tmp_path / "prices.toml"
    if text is not None:
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(UsageError, match=r"prices\.toml'") as raised:
        Prices.load(file)
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_gigabyte_second_is_one_of_1024_megabytes():
    """A million images of one CPU second each are 1769/1024 million gigabyte-seconds, for any memory up to a core's."""
    for megabytes in (884.5, 1769):
        model = Model(recipe=Recipe.default(), way="queue", milliseconds=1000, megabytes=megabytes)
        dollars = model.bill(source_amount(1, new=True) * 1e6).lines["Lambda"]
        assert dollars == pytest.approx(1e6 * 1769 / 1024 * PRICES.gigabyte_second)


def test_time_is_shared():
    """Twice as many at once take half the time, here and on functions; an orphan takes less than a source."""
    for way in ("here", "queue", "batch"):
        model = Model(recipe=Recipe.default(), way=way)
        one = source_amount(4e6, new=True)
        assert model.seconds(one, 2) == model.seconds(one, 1) / 2 > model.seconds(ORPHAN, 2)


def test_a_job_has_a_price():
    """A job costs $0.25, and a dollar for a million tasks; no job costs nothing."""
    model = Model(recipe=Recipe.default(), way="batch")
    assert model.bill(source_amount(1, new=True) * 1e6).lines["S3 Batch Operations"] == pytest.approx(1.25)
    assert model.bill(NOTHING).lines["S3 Batch Operations"] == 0


def test_a_plan_costs_its_listings():
    """A plan needs a LIST for a thousand objects, and a GET for each manifest that it reads."""
    assert plan_bill(5e6, 1e6).total == pytest.approx(0.025 + 0.4)


def test_rendition_megapixels_follow_the_recipe():
    """For a photograph of 6 megapixels, 3 by 2, each format has the pixels of its renditions."""
    recipe = Recipe.loads('[variants.a]\nwidth = 300\nformats = ["jpeg", "avif"]\n')
    pixels = Model(recipe=recipe, megapixels=6).rendition_megapixels()
    assert pixels[Format.JPEG] == pixels[Format.AVIF] == pytest.approx(0.06)
    assert pixels[Format.WEBP] == 0


@needs_servers
def test_an_upload_takes_the_estimated_requests(ministack: str, requests: Counter[str]):
    """A new photograph, and one that replaces it, take exactly 4 PUTs and 3 requests of the price of a GET.

    A redelivered message takes one LIST, one HEAD and one GET more.
    """
    store, thumbs = open_store(f"{ministack}/uploads"), open_store(f"{ministack}/made")
    bucket, chance = ministack.removeprefix("s3://"), random.Random(3)
    settings = FunctionSettings(source=store, destination=thumbs, recipe=Recipe.default())
    body = {"Records": [record("uploads/a.jpg", bucket=bucket)]}
    with Workers(1) as workers:
        for receives in (1, 1, 2):
            data = _photograph(chance, 1600)
            assert len(data) > 128 << 10  # more than the first read
            store.put("a.jpg", data, HEADERS)
            requests.clear()
            answer = handle(queued(body, receives=receives), Context(), Converger(settings, workers))
            assert answer == {"batchItemFailures": []}
            model = Model(recipe=Recipe.default(), way="uploads")
            assert {name: requests[name] for name in ("PUT", "LIST", "GET", "HEAD")} == model.requests(
                source_amount(len(data), new=receives == 1)
            )
            assert requests.keys() <= {"PUT", "LIST", "GET", "HEAD"}
