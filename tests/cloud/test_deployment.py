"""The application as it is deployed: bootstrap, deploy, pictures in, thumbnails out; with every role enforced."""

import json
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cloud.emulator import Cloud, cloud, eventually
from tests.corpus import needs_corpus, photos
from tests.pictures import picture
from tests.servers.fixtures import needs_servers
from thumbsmith import Recipe, render

pytestmark = needs_servers

RECEIVES = 2
NAMES = ("a b.jpg", "a+b.jpg", "100%.jpg", "%2B.jpg", "Été/naïve 1.jpg", "🐈 cat.jpg", "a&b=c.jpg")


class Deployed:
    """A deployed stack, and what is done to it from outside."""

    def __init__(self, where: Cloud, outputs: dict[str, str]) -> None:
        """Look at the stack with these outputs."""
        self.cloud, self.outputs = where, outputs
        self.s3, self.sqs = where.client("s3"), where.client("sqs")
        self.source, self.destination = outputs["SourceBucket"], outputs["DestinationBucket"]

    def put(self, key: str, data: bytes) -> str:
        """Put an image; return its etag."""
        return self.s3.put_object(Bucket=self.source, Key=key, Body=data)["ETag"]

    def delete(self, key: str) -> None:
        """Delete an image."""
        self.s3.delete_object(Bucket=self.source, Key=key)

    def names(self, key: str) -> set[str]:
        """Return the names that there are in the destination directly under the key."""
        listed = self.s3.list_objects_v2(Bucket=self.destination, Prefix=f"{key}/", Delimiter="/").get("Contents", [])
        return {each["Key"][len(key) + 1 :] for each in listed}

    def made(self, key: str) -> dict[str, bytes]:
        """Return what there is in the destination directly under the key, by name."""
        return {name: self.read(f"{key}/{name}") for name in self.names(key)}

    def read(self, key: str) -> bytes:
        """Return an object of the destination."""
        return self.s3.get_object(Bucket=self.destination, Key=key)["Body"].read()

    def manifest(self, key: str, etag: str) -> dict[str, Any]:
        """Return the manifest of this version of the key, once there is one."""

        def look() -> dict[str, Any] | None:
            there = "manifest.json" in self.names(key)
            manifest = json.loads(self.read(f"{key}/manifest.json")) if there else None
            return manifest if manifest and manifest["source"]["etag"].strip('"') == etag.strip('"') else None

        return eventually(look)

    def waiting(self, queue: str) -> int:
        """Return how many messages a queue holds, in hand or not."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        told = self.sqs.get_queue_attributes(QueueUrl=self.outputs[queue], AttributeNames=names)["Attributes"]
        return sum(int(told[name]) for name in names)

    def lines(self) -> list[dict[str, Any]]:
        """Return what the function logged, each line as what it says."""
        function = self.cloud.client("lambda").get_function_configuration(FunctionName=self.outputs["Function"])
        logged = self.cloud.client("logs").filter_log_events(logGroupName=function["LoggingConfig"]["LogGroup"])
        return [json.loads(each["message"]) for each in logged["events"] if each["message"][:1] == "{"]

    def outcomes(self, key: str) -> list[tuple[str, int]]:
        """Return what became of the key, each time: the outcome, and how many renditions were written."""
        return [(line["outcome"], line["written"]) for line in self.lines() if line.get("key") == key]


@pytest.fixture(scope="module")
def where(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """Return a cloud in which things can be deployed."""
    with cloud(tmp_path_factory.mktemp("cloud")) as made:
        made.bootstrap()
        yield made


@pytest.fixture(scope="module")
def deployed(where: Cloud) -> Deployed:
    """Return the application, deployed with its defaults but for the number of receives."""
    return Deployed(where, where.deploy(max_receive_count=RECEIVES))


@pytest.fixture
def key() -> str:
    """Return a key that no other test uses."""
    return f"photos/{secrets.token_hex(6)}.jpg"


@needs_corpus
def test_a_photograph_gets_its_thumbnails(deployed: Deployed, key: str):
    """A real photograph that is put gets exactly the renditions that the engine makes here, and the manifest last."""
    photo = photos()[0].read_bytes()
    manifest = deployed.manifest(key, deployed.put(key, photo))
    expected = {f"{each.variant}.{each.format}": each.data for each in render(photo, Recipe.default())}
    found = deployed.made(key)
    del found["manifest.json"]
    assert found == expected
    assert manifest["status"] == "ok"
    assert {each["key"] for each in manifest["renditions"]} == {f"{key}/{name}" for name in expected}
    head = deployed.s3.head_object(Bucket=deployed.destination, Key=f"{key}/small.webp")
    assert (head["ContentType"], head["CacheControl"]) == ("image/webp", "public, max-age=60")


def test_thumbnails_follow_their_source(deployed: Deployed, key: str):
    """Replaced, the source's thumbnails are replaced; deleted, they go, the manifest too."""
    deployed.manifest(key, deployed.put(key, picture("#102030")))
    first = deployed.made(key)
    deployed.manifest(key, deployed.put(key, picture("#a0b0c0")))
    second = deployed.made(key)
    assert first.keys() == second.keys()
    assert all(first[name] != second[name] for name in first)
    deployed.delete(key)
    eventually(lambda: not deployed.names(key))


def test_one_poison_among_ten_harms_itself_alone(deployed: Deployed, key: str):
    """Of ten at once, nine get thumbnails and the broken one a recorded reason; nothing is left in either queue."""
    keys = [f"{key}/{number}" for number in range(10)]
    etags = {
        each: deployed.put(each, picture(f"#{n:02x}0000") if n else b"\xff\xd8\xff") for n, each in enumerate(keys)
    }
    told = {each: deployed.manifest(each, etag) for each, etag in etags.items()}
    assert [told[each]["status"] for each in keys] == ["rejected"] + ["ok"] * 9
    assert told[keys[0]]["rejection"]["code"] in {"corrupt", "truncated"}
    eventually(lambda: deployed.waiting("Queue") == 0)


def test_a_duplicate_writes_nothing(deployed: Deployed, key: str):
    """An event that comes twice finds all fresh: nothing is written a second time."""
    deployed.manifest(key, deployed.put(key, picture("#123456")))
    eventually(lambda: deployed.outcomes(key) == [("made", 3)])
    record = {"eventVersion": "2.1", "eventSource": "aws:s3", "eventName": "ObjectCreated:Put"}
    record["s3"] = {"bucket": {"name": deployed.source}, "object": {"key": key}}
    for _ in range(2):
        deployed.sqs.send_message(QueueUrl=deployed.outputs["Queue"], MessageBody=json.dumps({"Records": [record]}))
    eventually(lambda: deployed.waiting("Queue") == 0 and len(deployed.outcomes(key)) > 1)
    assert set(deployed.outcomes(key)[1:]) == {("fresh", 0)}


@pytest.mark.parametrize("name", NAMES)
def test_every_key_is_taken_as_it_is(deployed: Deployed, key: str, name: str):
    """Spaces, plus, percent, accents and emoji in keys come through every encoding on the way, both ways."""
    mine = f"{key}/{name}"
    manifest = deployed.manifest(mine, deployed.put(mine, picture()))
    assert manifest["source"]["key"] == mine
    deployed.delete(mine)
    eventually(lambda: not deployed.names(mine))


def test_what_keeps_failing_is_set_aside_after_so_many_receives(deployed: Deployed):
    """A message that nobody understands is in the dead letters after exactly the configured number of receives."""
    queue, dead = deployed.outputs["Queue"], deployed.outputs["DeadLetters"]
    told = deployed.sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["All"])["Attributes"]
    assert json.loads(told["RedrivePolicy"])["maxReceiveCount"] in {RECEIVES, str(RECEIVES)}
    assert int(told["VisibilityTimeout"]) == 360
    deployed.sqs.set_queue_attributes(QueueUrl=queue, Attributes={"VisibilityTimeout": "3"})
    try:
        sent = deployed.sqs.send_message(QueueUrl=queue, MessageBody="not an event")["MessageId"]
        eventually(lambda: deployed.waiting("DeadLetters"))
    finally:
        deployed.sqs.set_queue_attributes(QueueUrl=queue, Attributes={"VisibilityTimeout": "360"})
    received = deployed.sqs.receive_message(QueueUrl=dead, AttributeNames=["All"])["Messages"]
    assert [each["MessageId"] for each in received] == [sent]
    deployed.sqs.delete_message(QueueUrl=dead, ReceiptHandle=received[0]["ReceiptHandle"])
    assert sum(line.get("message") == sent for line in deployed.lines()) == RECEIVES


def test_a_stack_lives_and_goes(where: Cloud, key: str, tmp_path: Path):
    """Deployed, checked by its own command, redeployed with another recipe that then holds, and destroyed."""
    recipe = tmp_path / "recipe.toml"
    recipe.write_text("[variants.one]\nwidth = 40\n[variants.both]\nwidth = 20\n")
    settings = {"stack": "Second", "recipe": recipe}
    second = Deployed(where, where.deploy(**settings))
    told = where.thumbsmith("check", "Second", "--json", "--timeout", "60")
    assert [json.loads(line)["step"] for line in told.splitlines()] == ["put", "made", "verified", "deleted", "gone"]
    second.manifest(key, second.put(key, picture("#111111")))
    assert second.names(key) == {"one.webp", "both.webp", "manifest.json"}
    recipe.write_text("[variants.both]\nwidth = 20\n[variants.other]\nwidth = 30\n")
    where.deploy(**settings)
    second.manifest(key, second.put(key, picture("#222222")))
    assert second.names(key) == {"both.webp", "other.webp", "manifest.json"}
    second.delete(key)
    eventually(lambda: not second.names(key))
    where.destroy(**settings)
    stacks = where.client("cloudformation").list_stacks(StackStatusFilter=["CREATE_COMPLETE", "UPDATE_COMPLETE"])
    assert "Second" not in {each["StackName"] for each in stacks["StackSummaries"]}
    assert second.source not in {each["Name"] for each in second.s3.list_buckets()["Buckets"]}
