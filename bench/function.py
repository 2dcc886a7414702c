"""The overhead of the function on AWS: a call with one message, compared with rendering only.

The picture is small, and the stores are in memory. So the difference is parsing, protocol, threads and log. Both run in
turn, so that other load of the machine affects them equally.
"""

import io
import json
import os
import statistics
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter, process_time

from PIL import Image

from thumbsmith import Recipe, open_store
from thumbsmith.dispatch.converger import Converger
from thumbsmith.dispatch.invocation import handle
from thumbsmith.dispatch.settings import FunctionSettings
from thumbsmith.reader import BytesReader
from thumbsmith.store import Headers
from thumbsmith.worker import Workers

ROUNDS = 300


@dataclass(frozen=True)
class Context:
    """The parts of Lambda's context that are used."""

    function_name: str = "thumbnails"
    aws_request_id: str = "request"

    def get_remaining_time_in_millis(self) -> int:
        """Return the time left."""
        return 60_000


def message(key: str) -> dict:
    """Return a call from a queue with an S3 event."""
    what = {"bucket": {"name": "source"}, "object": {"key": key}}
    record = {"eventVersion": "2.1", "eventSource": "aws:s3", "eventName": "ObjectCreated:Put", "s3": what}
    body = json.dumps({"Records": [record]})
    return {"Records": [{"messageId": "m", "eventSource": "aws:sqs", "body": body}]}


def main() -> None:
    """Measure, and print one line of JSON: median milliseconds; `cpu` is of this process only."""
    stream = io.BytesIO()
    Image.new("RGB", (64, 48), "#c04020").save(stream, "jpeg")
    picture, recipe = stream.getvalue(), Recipe.default()
    source, destination = open_store("memory://source"), open_store("memory://destination")
    moments = []
    with Workers(count=1) as workers, Path(os.devnull).open("w") as nowhere:
        converger = Converger(FunctionSettings(source=source, destination=destination, recipe=recipe), workers)
        for number in range(ROUNDS):
            source.put(f"{number}.jpg", picture, Headers(content_type="image/jpeg"))
            event = message(f"{number}.jpg")
            before = perf_counter(), process_time()
            with redirect_stdout(nowhere):
                handle(event, Context(), converger)
            between = perf_counter(), process_time()
            workers.render(BytesReader(picture), recipe)
            moments.append((before, between, (perf_counter(), process_time())))
    assert len(list(destination.list())) == 4 * ROUNDS
    took = {
        "call": [b[0] - a[0] for a, b, _ in moments],
        "render": [c[0] - b[0] for _, b, c in moments],
        "overhead": [2 * b[0] - a[0] - c[0] for a, b, c in moments],
        "overhead_cpu": [2 * b[1] - a[1] - c[1] for a, b, c in moments],
    }
    print(json.dumps({name: round(1000 * statistics.median(seconds), 2) for name, seconds in took.items()}))


if __name__ == "__main__":
    main()
