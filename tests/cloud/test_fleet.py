"""A backfill of a full bucket by deployed functions, with uploads meanwhile and killed commands."""

import contextlib
import json
import random
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from tests.aws.test_batch_operations import results
from tests.cloud.deployed import Deployed
from tests.cloud.emulator import Cloud, cloud, eventually
from tests.pictures import picture
from tests.servers.fixtures import needs_servers

pytestmark = needs_servers

KILLS = 10
# A function that gets too little time on a busy machine gives a message back. It must not give up before it has time.
ATTEMPTS = 100
NAMES = 4  # the default recipe's thumbnails and the manifest


@dataclass
class Fleet:
    """A stack with a backfill, over a bucket that was filled before it was deployed."""

    deployed: Deployed
    keys: frozenset[str]

    @property
    def caches(self) -> Path:
        """Return the folder in which the commands record what they sent."""
        return self.deployed.cloud.folder / "caches"

    @property
    def command(self) -> list[str]:
        """Return the backfill command."""
        outputs, stores = self.deployed.outputs, (f"s3://{self.deployed.source}", f"s3://{self.deployed.destination}")
        words = ["sync", *stores, "--via", outputs["Backfill"], "--json"]
        return [sys.executable, "-m", "thumbsmith", *words]

    def start(self, *options: str) -> subprocess.Popen[str]:
        """Start the command."""
        where = self.deployed.cloud
        return subprocess.Popen(
            [*self.command, *options],
            cwd=where.folder,
            env=where.environment | {"XDG_CACHE_HOME": str(self.caches)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *options: str, seconds: float = 900) -> tuple[int, dict[str, Any]]:
        """Run the command to its end; return its exit code and its last line."""
        with self.start(*options) as driver:
            out, err = driver.communicate(timeout=seconds)
        assert out, err
        return driver.returncode, json.loads(out.splitlines()[-1])

    def kill(self, after: float, *options: str) -> int:
        """Start the command and kill it after this many seconds; return its exit code."""
        with self.start(*options) as driver:
            with contextlib.suppress(subprocess.TimeoutExpired):
                driver.communicate(timeout=after)
            driver.kill()
            driver.communicate()
        return driver.returncode

    def made(self) -> set[str]:
        """Return the keys with all renditions of the recipe."""
        found: Counter[str] = Counter()
        pages = self.deployed.s3.get_paginator("list_objects_v2").paginate(Bucket=self.deployed.destination)
        for page in pages:
            found.update(each["Key"].rpartition("/")[0] for each in page.get("Contents", ()))
        return {key for key, names in found.items() if names == NAMES}

    def outcomes(self) -> list[tuple[str, str]]:
        """Return key and outcome of each log line about an image."""
        return [(each["key"], each["outcome"]) for each in self.deployed.lines() if each["event"] == "image"]

    def clear(self) -> None:
        """Delete all thumbnails and manifests, and what commands recorded: a key may be sent only three times."""
        shutil.rmtree(self.caches, ignore_errors=True)
        for page in self.deployed.s3.get_paginator("list_objects_v2").paginate(Bucket=self.deployed.destination):
            keys = [{"Key": each["Key"]} for each in page.get("Contents", ())]
            if keys:
                self.deployed.s3.delete_objects(Bucket=self.deployed.destination, Delete={"Objects": keys})

    def rest(self) -> None:
        """Wait until both queues are empty."""
        eventually(lambda: not self.deployed.waiting("Queue") and not self.deployed.waiting("Backfill"), 300)

    def latency(self, times: int) -> float:
        """Return the median seconds from the upload of a picture to its manifest."""
        seconds = []
        for _ in range(times):
            key = f"live/{secrets.token_hex(6)}.jpg"
            data = picture(f"#{secrets.token_hex(3)}")
            started = time.monotonic()
            self.deployed.put(key, data)
            eventually(lambda key=key: "manifest.json" in self.deployed.names(key), 120, every=0.01)
            seconds.append(time.monotonic() - started)
        return median(seconds)


def fill(where: Cloud, count: int) -> tuple[str, str, frozenset[str]]:
    """Make two buckets, one with this number of pictures; return their names and the keys."""
    s3, mark = where.client("s3"), secrets.token_hex(4)
    source, destination = f"before-{mark}", f"thumbs-{mark}"
    for bucket in (source, destination):
        s3.create_bucket(Bucket=bucket)

    def put(number: int) -> str:
        key = f"{number % 10}/ä +{number:06}.jpg"
        s3.put_object(Bucket=source, Key=key, Body=picture(f"#{number:06x}"))
        return key

    with ThreadPoolExecutor(4) as pool:
        return source, destination, frozenset(pool.map(put, range(count)))


@contextlib.contextmanager
def fleet(folder: Path, count: int, **settings: object) -> Iterator[Fleet]:
    """Run a cloud with a stack over this number of pictures."""
    with cloud(folder) as where:
        where.bootstrap()
        source, destination, keys = fill(where, count)
        given = {
            "audit_repair": "true",
            "backfill_max_concurrency": 2,
            "batch": "true",
            "max_receive_count": ATTEMPTS,
        } | settings
        yield Fleet(Deployed(where, where.deploy(source=source, destination=destination, **given)), keys)


def made_times(fleet: Fleet) -> Counter[str]:
    """Return how often a function made each of the keys."""
    return Counter(key for key, outcome in fleet.outcomes() if outcome == "made" and key in fleet.keys)


def survives(fleet: Fleet, rate: int, longest: float) -> Counter[str]:
    """Kill ten commands at random times, then run one to its end; return how often each key was made."""
    fleet.rest()
    fleet.clear()
    before = made_times(fleet)
    chance = random.Random(len(fleet.keys))
    killed = [fleet.kill(chance.uniform(1.0, longest), "--rate", str(rate)) for _ in range(KILLS)]
    assert killed.count(-signal.SIGKILL) >= KILLS // 2, killed
    code, summary = fleet.run(seconds=7200)
    assert (code, summary["failed"]) == (0, 0), summary
    assert fleet.keys <= fleet.made()
    times = made_times(fleet) - before
    assert set(times) == fleet.keys
    return times


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """Return a stack over 500 pictures."""
    with fleet(tmp_path_factory.mktemp("fleet"), 500) as made:
        yield made


def test_a_budget_is_kept(small: Fleet):
    """--max-usd limits the cost by the model within 1 %, and the rest remains for the next run."""
    small.rest()
    small.clear()
    _, whole = small.run("--dry-run")
    half = whole["dollars"] / 2
    code, summary = small.run("--max-usd", f"{half:.6f}", "--no-wait")
    assert code == 1
    assert half * 0.99 <= summary["dollars"] <= half
    assert summary["sent"] + summary["in_flight"] < 500


def test_killed_commands_lose_nothing(small: Fleet):
    """After ten killed commands and a complete one, all 500 pictures have thumbnails.

    How many are made twice depends on the load of the machine: the deep run limits their share.
    """
    survives(small, rate=100, longest=3.0)


def test_uploads_are_served_meanwhile(small: Fleet):
    """During a backfill an upload gets its thumbnails, and the backfill completes."""
    small.rest()
    small.clear()
    with small.start() as driver:
        small.latency(3)
        out, err = driver.communicate(timeout=600)
    assert driver.returncode == 0, out + err
    assert small.keys <= small.made()


def test_the_function_runs_batch_operations_tasks(small: Fleet):
    """The deployed function runs tasks of a job: fresh keys stay, missing thumbnails are made."""
    keys = [f"job/{secrets.token_hex(4)} +{number}.jpg" for number in range(3)]
    for key in keys:
        small.deployed.manifest(key, small.deployed.put(key, picture()))
    small.deployed.s3.delete_object(Bucket=small.deployed.destination, Key=f"{keys[0]}/small.webp")
    small.deployed.delete(keys[1])
    eventually(lambda: not small.deployed.names(keys[1]))
    tasks = [
        {"taskId": f"t{n}", "s3Key": key.replace("+", "%2B").replace(" ", "+"), "s3Bucket": small.deployed.source}
        for n, key in enumerate(keys)
    ]
    job = {"invocationSchemaVersion": "2.0", "invocationId": "i", "job": {"id": "j"}, "tasks": tasks}
    answer = small.deployed.cloud.client("lambda").invoke(
        FunctionName=small.deployed.outputs["Function"], Payload=json.dumps(job).encode()
    )
    output = sorted(results(json.loads(answer["Payload"].read())))
    assert output == [("t0", "Succeeded", "made"), ("t1", "Succeeded", "absent"), ("t2", "Succeeded", "fresh")]


def test_the_audit_repairs_missing_thumbnails(small: Fleet):
    """With its own role the audit finds a missing thumbnail, and sends its key to the backfill."""
    functions = small.deployed.cloud.client("lambda")
    (name,) = [
        each["FunctionName"] for each in functions.list_functions()["Functions"] if "Audit" in each["FunctionName"]
    ]
    small.rest()
    assert small.run()[0] == 0
    lost = f"{min(small.keys)}/icon.webp"
    small.deployed.s3.delete_object(Bucket=small.deployed.destination, Key=lost)
    answer = functions.invoke(FunctionName=name, Payload=b'{"prefix": ""}')
    output = json.loads(answer["Payload"].read())
    assert {each: output[each] for each in ("Stale", "Missing", "Orphaned", "Unknown", "Repairs", "Unfinished")} == {
        "Stale": 1,
        "Missing": 0,
        "Orphaned": 0,
        "Unknown": 0,
        "Repairs": 1,
        "Unfinished": 0,
    }
    eventually(lambda: "icon.webp" in small.deployed.names(min(small.keys)))


def test_dead_letters_are_redriven(small: Fleet):
    """Dead letters are explained and sent back to their queue; unreadable ones stay."""
    sqs, outputs = small.deployed.sqs, small.deployed.outputs
    message = json.dumps({"thumbsmith": 1, "bucket": small.deployed.source, "keys": [min(small.keys)]})
    sqs.send_message(QueueUrl=outputs["BackfillDeadLetters"], MessageBody=message)
    sqs.send_message(QueueUrl=outputs["BackfillDeadLetters"], MessageBody="not an event")
    words = ["redrive", outputs["BackfillDeadLetters"], f"s3://{small.deployed.source}"]
    words += [f"s3://{small.deployed.destination}", "--to", outputs["Backfill"], "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "thumbsmith", *words],
        check=False,
        cwd=small.deployed.cloud.folder,
        env=small.deployed.cloud.environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    output = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 1, done.stderr
    assert output[-1] == {"event": "summary", "messages": 2, "sent": 1, "unreadable": 1}
    assert {each["outcome"] for each in output[:-1]} == {"sent", "unreadable"}
    eventually(lambda: small.deployed.waiting("Backfill") == 0)
    assert small.deployed.waiting("BackfillDeadLetters") == 1


@pytest.mark.deep
def test_twenty_thousand(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """With 20,000 pictures and killed commands, at most 1 % are made twice, and uploads take at most twice as long."""
    with fleet(tmp_path, 20_000) as large:
        large.latency(3)
        idle = large.latency(25)
        with large.start("--no-wait", "--max-usd", "0.1") as driver:
            driver.communicate(timeout=600)
        busy = large.latency(25)
        working = large.deployed.waiting("Backfill")
        with capsys.disabled():
            sys.stdout.write(f"\nuploads: {idle:.3f} s idle, {busy:.3f} s while {working} messages waited\n")
        times = survives(large, rate=1_000, longest=20.0)
        assert sum(times.values()) - len(large.keys) <= len(large.keys) / 100, times.most_common(3)
        assert working
        assert busy <= 2 * idle
