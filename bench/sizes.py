"""Duration, price and peak memory of the function on AWS with different amounts of memory.

    PYTHONPATH=. python bench/sizes.py [MEGABYTES...]

Lambda gives a function CPU time in proportion to its memory: a whole core at 1,769 MB. Here a control group does so.
Each request to S3 takes 30 ms more. A trickle is one photograph per invocation, a flood is ten. The sources are JPEGs
of 12 megapixels and 4 MB, each of which becomes three JPEGs. The duration is the minimum of the rounds, because other
programs run on the machine. Then large pictures follow, with the default recipe, for the peak of memory. Needs root.
"""

from __future__ import annotations

import io
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

from PIL import Image
from tests.cloud import local_app
from tests.cloud.bucket import BUCKET, SOURCES, THUMBNAILS, client
from tests.cloud.sandbox import HANDLER, Sandbox, sandbox
from tests.faults.proxy import Proxy, running
from tests.servers.processes import KEYS, ministack

from cost import RECIPE, message
from folder import photos
from thumbsmith.bulk.prices import PRICES
from thumbsmith.environment import LAMBDA_CORE_MEGABYTES

SIZES = (512, 832, 1024, 1280, LAMBDA_CORE_MEGABYTES)
ROUNDS = 8
LATENCY_SECONDS = 0.030
FLOOD = 10


class Slow(Proxy):
    """Delays each request."""

    def fault(self, method: str, path: str) -> str | None:
        """Wait; there is no fault."""
        time.sleep(LATENCY_SECONDS)
        return super().fault(method, path)


def main() -> None:
    """Print a line for each size."""
    sizes = [int(each) for each in sys.argv[1:]] or SIZES
    with tempfile.TemporaryDirectory(prefix="thumbsmith-sizes-") as name, ministack() as address:
        folder = Path(name)
        local_app.build(folder / "function.zip")
        with zipfile.ZipFile(folder / "function.zip") as archive:
            archive.extractall(folder / "code")
        s3 = client(address)
        s3.create_bucket(Bucket=BUCKET)
        for key, data in {"photo.jpg": jpeg(12), **dict(large())}.items():
            s3.put_object(Bucket=BUCKET, Key=SOURCES + key, Body=data)
        with running(Slow(address)) as proxy:
            for size in sizes:
                measure(size, folder, proxy.address, s3)


def measure(size: int, folder: Path, address: str, s3: object) -> None:
    """Print duration and price of both cases, and the peaks for large pictures."""
    where = {"AWS_ENDPOINT_URL": address, "AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "us-east-1", **KEYS}
    places = {"THUMBSMITH_SOURCE": f"s3://{BUCKET}/{SOURCES}"}
    places["THUMBSMITH_DESTINATION"] = f"s3://{BUCKET}/{THUMBNAILS}{size}/"
    cores, log = size / LAMBDA_CORE_MEGABYTES, folder / f"log{size}"
    with sandbox(
        folder / "code", HANDLER, size, where | places | {"THUMBSMITH_RECIPE": RECIPE}, log, cores=cores
    ) as function:
        invoke(function, s3, 1, "warm")
        trickle = min(invoke(function, s3, 1, f"one{number}") for number in range(ROUNDS))
        flood = min(invoke(function, s3, FLOOD, f"ten{number}") for number in range(ROUNDS // 2)) / FLOOD
        photo_peak = function.group.peak
    dollars = [seconds * size / 1024 * PRICES.gigabyte_second * 1e6 for seconds in (trickle, flood)]
    print(
        f"{size:5} MB  one: {1000 * trickle:4.0f} ms {dollars[0]:5.2f} $   ten: {1000 * flood:4.0f} ms an image"
        f" {dollars[1]:5.2f} $   peak {photo_peak / 1e6:4.0f} MB",
        flush=True,
    )
    for key, _ in large():
        with sandbox(folder / "code", HANDLER, size, where | places, log, cores=cores) as function:
            answer, took = function.invoke({"Records": [record(key)]})
            (image,) = answer["images"]
            said = f"{image['outcome']} {image['code'] or ''}"
            print(f"          {key:24} {said:22} {took:5.1f} s, peak {function.group.peak / 1e6:4.0f} MB", flush=True)
            assert function.starts == 1


def invoke(function: Sandbox, s3: object, count: int, name: str) -> float:
    """Return the seconds of an invocation with the reports of this many new photographs."""
    keys = [f"{name}-{each}.jpg" for each in range(count)]
    for key in keys:
        s3.copy_object(Bucket=BUCKET, Key=SOURCES + key, CopySource=f"{BUCKET}/{SOURCES}photo.jpg")
    function.invoke({"Records": [message(SOURCES + key, bucket=BUCKET) for key in keys]})
    return function.durations[-1] / 1000


def record(key: str) -> dict[str, object]:
    """Return the report of an object."""
    what = {"bucket": {"name": BUCKET}, "object": {"key": SOURCES + key}}
    return {"eventVersion": "2.1", "eventName": "ObjectCreated:Put", "s3": what}


def large() -> Iterator[tuple[str, bytes]]:
    """Yield name and content of pictures near the limits of the default recipe."""
    for name, megapixels, kind, options in (
        ("100 MP.png", 99.9, "png", {"compress_level": 1}),
        ("100 MP.jpg", 99.9, "jpeg", {"quality": 85}),
        ("60 MP progressive.jpg", 60, "jpeg", {"quality": 85, "progressive": True}),
        ("28 MP.webp", 28, "webp", {"method": 0}),
    ):
        yield name, encoded(megapixels, kind, **options)


def jpeg(megapixels: float) -> bytes:
    """Return a photograph of this size."""
    return encoded(megapixels, "jpeg", quality=90)


_ENCODED: dict[tuple[float, str], bytes] = {}


def encoded(megapixels: float, kind: str, **options: object) -> bytes:
    """Return a photograph of this size in a format."""
    if (megapixels, kind) not in _ENCODED:
        with Image.open(photos([""])[0]) as opened:
            photo = opened.convert("RGB")
        factor = (megapixels * 1e6 / (photo.width * photo.height)) ** 0.5
        out = io.BytesIO()
        photo.resize((int(photo.width * factor), int(photo.height * factor))).save(out, kind, **options)
        _ENCODED[megapixels, kind] = out.getvalue()
    return _ENCODED[megapixels, kind]


if __name__ == "__main__":
    main()
