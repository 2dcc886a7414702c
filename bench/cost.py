"""What a million photographs of 12 megapixels cost on AWS: a model, fed with CPU time that is measured here.

    PYTHONPATH=. python bench/cost.py [ROUNDS]

The function runs by Lambda's own runtime client; each photograph becomes three JPEGs (256, 800 and 1600 pixels) and a
manifest. Prices are those of us-east-1, without a free tier. Needs `make .venv/servers .venv/runtime`, and a right to
limit memory. A core of this machine stands for one of Lambda's (arm64): the model's weakest assumption.
"""

from __future__ import annotations

import io
import sys
import tempfile
import zipfile
from pathlib import Path

import botocore.session
from PIL import Image
from tests.cloud import local_app
from tests.cloud.sandbox import sandbox
from tests.servers.processes import KEYS, ministack

from folder import photos

ROUNDS = 15
MILLION = 1_000_000
MEGABYTES = 1769
BATCH = 10
THREADS = 2  # while one waits for S3, the other has a picture in the worker
RECIPE = "".join(f'[variants.w{n}]\nwidth = {n}\nheight = {n}\nformats = ["jpeg"]\n' for n in (256, 800, 1600))

# What S3 is asked for a new source, as docs/s3.md counts it; a photograph of 4 MB is read in four parts.
REQUESTS = {"PUT": 4, "LIST": 1, "HEAD": 2, "GET": 5}
SECONDS_A_REQUEST = 0.015

# Dollars: https://aws.amazon.com/s3/pricing, /lambda/pricing, /sqs/pricing, /cloudwatch/pricing
A_REQUEST = {"PUT": 0.005 / 1000, "LIST": 0.005 / 1000, "HEAD": 0.0004 / 1000, "GET": 0.0004 / 1000}
A_GIGABYTE_SECOND = 0.0000133334
AN_INVOCATION = 0.20 / MILLION
A_MESSAGE_CALL = 0.40 / MILLION
A_LOGGED_GIGABYTE = 0.50
LINE_BYTES = 1400


def main() -> None:
    """Measure, and print the bill."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    cpu = measured(rounds)
    network = SECONDS_A_REQUEST * sum(REQUESTS.values())
    seconds = max(cpu, (cpu + network) / THREADS)
    bill = {f"S3 {name}, {number} each": MILLION * number * A_REQUEST[name] for name, number in REQUESTS.items()}
    bill[f"Lambda, {seconds:.3f} s each"] = MILLION * seconds * MEGABYTES / 1024 * A_GIGABYTE_SECOND
    bill["Lambda, invocations"] = MILLION / BATCH * AN_INVOCATION
    bill["SQS"] = MILLION * (1 + 2 / BATCH) * A_MESSAGE_CALL
    bill["logs and metrics"] = MILLION * LINE_BYTES / 1e9 * A_LOGGED_GIGABYTE
    print(f"measured: {1000 * cpu:.0f} ms of CPU time an image, all of the function's processes (mean of {rounds})")
    for name, dollars in bill.items():
        print(f"  {name:<28} {dollars:7.2f} $")
    print(f"  {'a million':<28} {sum(bill.values()):7.2f} $")


def measured(rounds: int) -> float:
    """Return the seconds of CPU time that an image takes in a warm function."""
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
            folder / "code", "thumbsmith.aws.handler.handler", MEGABYTES, environment, folder / "log"
        ) as running:
            begun = 0.0
            for number in range(rounds + 1):
                s3.put_object(Bucket="cost", Key=f"in/{number}.jpg", Body=data.getvalue())
                record = {"eventVersion": "2.1", "eventName": "ObjectCreated:Put"}
                record["s3"] = {"bucket": {"name": "cost"}, "object": {"key": f"in/{number}.jpg"}}
                running.invoke({"Records": [record]})
                begun = begun or running.group.cpu_seconds  # the first has started it
            return (running.group.cpu_seconds - begun) / rounds


if __name__ == "__main__":
    main()
