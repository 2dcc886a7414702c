"""Planning and sending keys to a queue: messages a second, and memory of this process. No function handles them.

    PYTHONPATH=. python bench/fleet.py [SOURCES] [--emulator]

Listings are generated, and the destination is empty. Messages go to a server in another process that only answers like
SQS, so that only our own work is measured. With --emulator they go to the emulator of the tests; its own limit is then
measured with clients that only send. This needs `make .venv/servers`.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from botocore.session import get_session
from tests.servers.processes import KEYS, ministack

from listed import RECIPE, Listed
from plan import peak_bytes
from thumbsmith.backfill.clients import Queue, open_queue
from thumbsmith.backfill.send import KeySender, SendLimits, amount_of
from thumbsmith.backfill.sent_log import SentLog
from thumbsmith.bulk.cost import Model
from thumbsmith.bulk.scan import Scope, scan
from thumbsmith.bulk.sync import classify
from thumbsmith.events import backfill_message
from thumbsmith.store.memory import MemoryStore

SOURCES = 1_000_000
CLIENTS = 4


@dataclass
class Sink(BaseHTTPRequestHandler):
    """Answers SendMessageBatch and GetQueueAttributes, and stores nothing."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def __init__(self, *given: object) -> None:
        BaseHTTPRequestHandler.__init__(self, *given)

    def do_POST(self) -> None:
        """Answer one call."""
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        taken = [
            {"Id": each["Id"], "MessageId": each["Id"], "MD5OfMessageBody": _md5(each["MessageBody"])}
            for each in request.get("Entries", ())
        ]
        answer = json.dumps({"Successful": taken, "Attributes": {}}).encode()
        self.send_response_only(200)
        self.send_header("Content-Type", "application/x-amz-json-1.0")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        """Print nothing."""


def serve() -> None:
    """Run the sink: print its port, and answer until the process is killed."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Sink)
    print(server.server_address[1], flush=True)
    server.serve_forever()


@contextlib.contextmanager
def sink() -> Iterator[str]:
    """Run the sink in another process; give its address."""
    command = [sys.executable, __file__, "--sink"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
        finally:
            process.kill()


def measure(address: str, sources: int, queue: Queue) -> dict[str, float]:
    """Plan and send in this process; return time and memory."""
    scope = Scope(source=Listed(sources, thumbs=False), destination=MemoryStore("thumbs"), recipe=RECIPE)
    model, started = Model(recipe=RECIPE, way="queue"), time.perf_counter()
    with (
        tempfile.TemporaryDirectory() as folder,
        SentLog(Path(folder, "sent"), RECIPE.fingerprint) as ledger,
        scan(scope) as found,
    ):
        for _ in classify(found, stop=never):
            pass
        amount = amount_of(found.join)
        planned = time.perf_counter()
        limits = SendLimits(max_usd=model.bill(amount).total + 1)
        sending = KeySender(queue, lambda pending: backfill_message("photos", pending.key), ledger, model, limits)
        for _ in sending.run(found.join, never):
            pass
    ended = time.perf_counter()
    if sending.sent.keys != sources:
        raise SystemExit(f"expected {sources} keys to be sent, found {sending.sent.keys} at {address}")
    return {
        "keys": sources,
        "planning_seconds": round(planned - started, 1),
        "sending_seconds": round(ended - planned, 1),
        "messages_a_second": round(sources / (ended - planned)),
        "peak_megabytes": round(peak_bytes() / (1 << 20)),
    }


def limit(queue: Queue, batches: int = 2_000) -> float:
    """Return the messages a second that the server accepts from clients that only send."""
    bodies = [backfill_message("photos", f"{number:06}/IMG_{number:08}.jpg") for number in range(10)]
    with ThreadPoolExecutor(CLIENTS) as pool:
        started = time.perf_counter()
        list(pool.map(lambda _: queue.send(bodies), range(batches)))
        return 10 * batches / (time.perf_counter() - started)


def never() -> bool:
    """Return False: do not stop."""
    return False


def main() -> None:
    """Measure each size in another process."""
    if "--sink" in sys.argv:
        return serve()
    if "--one" in sys.argv:
        address, sources = sys.argv[2], int(sys.argv[3])
        queue = open_queue(sys.argv[4])
        print(json.dumps(measure(address, sources, queue)))
        if address != "sink":
            print(json.dumps({"limit_messages_a_second": round(limit(queue))}))
        return None
    numbers = [int(float(word)) for word in sys.argv[1:] if not word.startswith("-")]
    emulated = "--emulator" in sys.argv
    with ministack() if emulated else sink() as address:
        environment = {
            **KEYS,
            "AWS_ENDPOINT_URL": address,
            "AWS_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "PYTHONPATH": ".",
        }
        url = f"{address}/000000000000/bench"
        if emulated:
            keys = {"aws_access_key_id": "test", "aws_secret_access_key": KEYS["AWS_SECRET_ACCESS_KEY"]}
            sqs = get_session().create_client("sqs", region_name="us-east-1", endpoint_url=address, **keys)
            url = sqs.create_queue(QueueName="bench")["QueueUrl"]
        for sources in numbers or [SOURCES]:
            command = [sys.executable, __file__, "--one", "emulator" if emulated else "sink", str(sources), url]
            subprocess.run(command, check=True, env=environment)
    return None


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


if __name__ == "__main__":
    main()
