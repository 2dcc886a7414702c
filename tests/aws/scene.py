"""A function between two stores, the events that Lambda calls it with, and payloads of the services in front of it."""

import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote_plus

import pytest

from tests.pictures import picture
from tests.reconcile.scene import HEADERS, RECIPE
from thumbsmith import Recipe
from thumbsmith.dispatch.converger import Converger, DeadlineRenderer
from thumbsmith.dispatch.invocation import handle
from thumbsmith.dispatch.settings import FunctionSettings
from thumbsmith.store import Store
from thumbsmith.store.memory import MemoryStore


@dataclass(frozen=True)
class Context:
    """The parts of Lambda's context that are used, with a constant time left."""

    milliseconds: int = 60_000
    function_name: str = "thumbnails"
    aws_request_id: str = "request-1"

    def get_remaining_time_in_millis(self) -> int:
        """Return the milliseconds left."""
        return self.milliseconds


@dataclass
class Scene:
    """A function whose source is the bucket `src` and whose destination is `dst`."""

    renderer: DeadlineRenderer
    recipe: Recipe = field(default_factory=lambda: Recipe.loads(RECIPE))
    source: Store = field(default_factory=lambda: MemoryStore("src"))
    destination: Store = field(default_factory=lambda: MemoryStore("dst"))
    threads: int = 2

    def upload(self, *keys: str, data: bytes | None = None) -> None:
        """Put sources, each with a different picture."""
        for key in keys:
            color = f"#{hash(key) & 0xFFFFFF:06x}"
            self.source.put(key, picture(color) if data is None else data, HEADERS)

    def call(self, event: object, context: Context = Context()) -> dict[str, Any]:
        """Return the function's answer to an event."""
        settings = FunctionSettings(source=self.source, destination=self.destination, recipe=self.recipe)
        return handle(event, context, Converger(settings, self.renderer, self.threads))

    def complete_keys(self) -> set[str]:
        """Return the keys of all sources with exactly the renditions of the recipe and a manifest."""
        names = {"icon.webp", "small.webp", "small.jpg", "manifest.json"}
        found: dict[str, set[str]] = {}
        for info in self.destination.list():
            key, _, name = info.key.rpartition("/")
            found.setdefault(key, set()).add(name)
        return {key for key, made in found.items() if made == names}

    def manifest(self, key: str) -> dict[str, Any]:
        """Return the manifest of a key."""
        reader = self.destination.open(f"{key}/manifest.json")
        assert reader is not None, key
        return json.loads(reader.read(0, reader.size))


# One second before the time at which `queued` messages are sent.
CREATED = "2023-11-14T22:13:19.000Z"


def record(
    key: str, name: str = "ObjectCreated:Put", bucket: str = "src", created: str | None = CREATED
) -> dict[str, Any]:
    """Return an S3 record about a key."""
    what = {"bucket": {"name": bucket}, "object": {"key": quote_plus(key, safe="/")}}
    time = {"eventTime": created} if created else {}
    return {"eventVersion": "2.1", "eventSource": "aws:s3", "eventName": name, "s3": what, **time}


def notification(*keys: str) -> dict[str, Any]:
    """Return an S3 notification that these keys were created."""
    return {"Records": [record(key) for key in keys]}


def eventbridge_event(key: str, kind: str = "Object Created", bucket: str = "src") -> dict[str, Any]:
    """Return an EventBridge event about a key."""
    return {
        "version": "0",
        "source": "aws.s3",
        "detail-type": kind,
        "time": CREATED,
        "detail": {"bucket": {"name": bucket}, "object": {"key": key}},
    }


def queued(*bodies: object, sent: int = 1_700_000_000_000, receives: int = 1) -> dict[str, Any]:
    """Return a batch of messages `m0`, `m1` ... with these bodies: text, or a value to encode as JSON."""
    return {
        "Records": [
            {
                "messageId": f"m{number}",
                "body": body if isinstance(body, str) else json.dumps(body),
                "attributes": {"SentTimestamp": str(sent), "ApproximateReceiveCount": str(receives)},
                "eventSource": "aws:sqs",
            }
            for number, body in enumerate(bodies)
        ]
    }


def sns_message(message: object) -> dict[str, Any]:
    """Return the body that SNS puts into a queue."""
    return {"Type": "Notification", "MessageId": "n", "Message": json.dumps(message)}


def failed(answer: dict[str, Any]) -> list[str]:
    """Return the messages to deliver again; check that the answer contains nothing else."""
    assert answer.keys() == {"batchItemFailures"}
    assert all(each.keys() == {"itemIdentifier"} for each in answer["batchItemFailures"])
    return [each["itemIdentifier"] for each in answer["batchItemFailures"]]


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """Return the printed lines, each decoded from JSON."""
    return [json.loads(line) for line in capsys.readouterr().out.split("\n") if line]


def image_lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """Return the printed lines about images, each decoded from JSON."""
    return [line for line in lines(capsys) if line["event"] == "image"]
