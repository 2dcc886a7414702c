"""The cost of a million photographs of 12 megapixels on AWS: the cost model with CPU time measured here.

    PYTHONPATH=. python bench/cost.py [ROUNDS]

The function runs with Lambda's own runtime client. Each photograph becomes three JPEGs (256, 800 and 1600 pixels) and
a manifest. Prices are those of us-east-1, without a free tier. Needs `make .venv/servers .venv/runtime`, and permission
to limit memory. The model's weakest assumption: a core of this machine is as fast as one of Lambda's (arm64).
"""

from __future__ import annotations

import io
import json
import sys
import tempfile
import zipfile
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import botocore.session
from PIL import Image
from tests.cloud import local_app
from tests.cloud.sandbox import sandbox
from tests.servers.processes import KEYS, ministack

from folder import photos
from thumbsmith import Recipe
from thumbsmith.bulk.cost import FLOOD_BATCH, MILLION, Model, source_amount
from thumbsmith.environment import LAMBDA_CORE_MEGABYTES

ROUNDS = 4
RECIPE = "".join(f'[variants.w{n}]\nwidth = {n}\nheight = {n}\nformats = ["jpeg"]\n' for n in (256, 800, 1600))


def main() -> None:
    """Measure, and print the bill."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    cpu = measured(rounds)
    model = Model(recipe=Recipe.loads(RECIPE), way="uploads", milliseconds=1000 * cpu)
    assumed, trickle = replace(model, milliseconds=None), replace(model, trickle=True)
    each, million = source_amount(4_000_000, new=True), source_amount(4_000_000, new=True) * MILLION
    print(f"measured: {1000 * cpu:.0f} ms of CPU time an image, all processes (mean of {rounds * FLOOD_BATCH});")
    print(f"without a measurement the model takes {1000 * assumed.cpu_seconds(each):.0f} ms")
    print(f"  {'':<28} {'flood':>9} {'trickle':>9}")
    flood, alone = model.bill(million), trickle.bill(million)
    for name, dollars in flood.lines.items():
        print(f"  {name:<28} {dollars:7.2f} $ {alone.lines[name]:7.2f} $")
    print(f"  {'a million':<28} {flood.total:7.2f} $ {alone.total:7.2f} $")


def measured(rounds: int) -> float:
    """Return the seconds of CPU time for one image in a warm function that gets full batches of new sources."""
    source = Image.open(photos(sys.argv[:1])[0]).convert("RGB").resize((4243, 2828))
    data = io.BytesIO()
    source.save(data, "jpeg", quality=90)
    with tempfile.TemporaryDirectory(prefix="thumbsmith-cost-") as name, ministack() as address:
        folder = Path(name)
        local_app.build(folder / "function.zip")
        with zipfile.ZipFile(folder / "function.zip") as archive:
            archive.extractall(folder / "code")
        where = {"AWS_ENDPOINT_URL": address, "AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "us-east-1", **KEYS}
        places = {"THUMBSMITH_SOURCE": "s3://cost/in/", "THUMBSMITH_DESTINATION": "s3://cost/out/"}
        environment = {**where, **places, "THUMBSMITH_RECIPE": RECIPE}
        keys = {"aws_access_key_id": "test", "aws_secret_access_key": KEYS["AWS_SECRET_ACCESS_KEY"]}
        s3 = botocore.session.Session().create_client("s3", region_name="us-east-1", endpoint_url=address, **keys)
        s3.create_bucket(Bucket="cost")
        with sandbox(
            folder / "code", "thumbsmith.aws.handler.handler", LAMBDA_CORE_MEGABYTES, environment, folder / "log"
        ) as running:
            begun = 0.0
            for number in range(rounds + 1):
                keys_of_batch = [f"in/{number}-{each}.jpg" for each in range(FLOOD_BATCH)]
                for key in keys_of_batch:
                    s3.put_object(Bucket="cost", Key=key, Body=data.getvalue())
                running.invoke({"Records": [message(key) for key in keys_of_batch]})
                begun = begun or running.group.cpu_seconds  # without the first invocation, which starts it
            return (running.group.cpu_seconds - begun) / rounds / FLOOD_BATCH


def message(key: str, bucket: str = "cost") -> dict[str, Any]:
    """Return the first delivery of the message in which S3 reports a new object."""
    now = datetime.now(UTC)
    record = {"eventVersion": "2.1", "eventName": "ObjectCreated:Put", "eventTime": now.isoformat()}
    record["s3"] = {"bucket": {"name": bucket}, "object": {"key": key}}
    attributes = {"SentTimestamp": str(int(1000 * now.timestamp())), "ApproximateReceiveCount": "1"}
    body = json.dumps({"Records": [record]})
    return {"messageId": key, "body": body, "attributes": attributes, "eventSource": "aws:sqs"}


if __name__ == "__main__":
    main()
