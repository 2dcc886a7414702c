"""How a worker of queues is doing: its metrics and its health, over HTTP."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import AF_INET, AF_INET6
from threading import Lock, Thread
from typing import Final

from thumbsmith.dispatch.converger import KeyResult
from thumbsmith.dispatch.metrics import MEDIA_TYPE, Metrics, metric_lines
from thumbsmith.errors import StoreError
from thumbsmith.lifetime import Closing

# A client that sends or reads nothing for this time is disconnected.
CLIENT_SECONDS: Final = 10.0


@dataclass(slots=True)
class WorkStatus:
    """What a worker has done, and whether its queues answer. May be used by several threads."""

    queues: Sequence[str]
    metrics: Metrics = field(default_factory=Metrics)
    _deleted: int = 0
    _returned: int = 0
    _answers: dict[str, str] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def received(self, queue: str, error: StoreError | None) -> None:
        """Note that a queue answered, or its error."""
        with self._lock:
            self._answers[queue] = str(error) if error else ""

    def handled(self, results: Sequence[KeyResult], deleted: int, returned: int) -> None:
        """Count the results of some messages, the messages that are done, and those that are delivered again."""
        for result in results:
            self.metrics.count(result)
            if result.render_seconds is not None:
                self.metrics.count_render(result.render_seconds)
        with self._lock:
            self._deleted += deleted
            self._returned += returned

    def health(self) -> tuple[bool, str]:
        """Return whether the last request to each queue succeeded, and a line for each queue."""
        with self._lock:
            answers = {queue: self._answers.get(queue, "no answer yet") for queue in self.queues}
        lines = (f"{queue}: {problem or 'ok'}" for queue, problem in answers.items())
        return not any(answers.values()), "\n".join(lines) + "\n"

    def text(self) -> str:
        """Return the metrics in the text format of Prometheus."""
        with self._lock:
            deleted, returned = self._deleted, self._returned
        lines = [
            *self.metrics.lines(),
            *metric_lines("messages_done_total", "counter", "Messages that were deleted from a queue.", deleted),
            *metric_lines("messages_returned_total", "counter", "Messages that are delivered again.", returned),
        ]
        return "\n".join(lines) + "\n"


class StatusServer(Closing):
    """Serves `/health` and `/metrics` of a worker at an address until it is closed. Raises OSError as `bind` does."""

    def __init__(self, host: str, port: int, status: WorkStatus) -> None:
        class Handler(_Handler):
            shown = status

        class Server(ThreadingHTTPServer):
            address_family = AF_INET6 if ":" in host else AF_INET
            daemon_threads = True

        self._server = Server((host, port), Handler)
        self._thread = Thread(target=self._server.serve_forever, name="status", daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """Return the port: the chosen one where it was 0."""
        return int(self._server.server_address[1])

    def close(self) -> None:
        """Stop, without waiting for clients."""
        self._server.shutdown()
        self._server.socket.close()


class _Handler(BaseHTTPRequestHandler):
    timeout = CLIENT_SECONDS
    shown: WorkStatus

    def do_GET(self) -> None:
        """Answer with the metrics, or with the health: 503 if a queue does not answer."""
        if self.path == "/metrics":
            self._answer(200, MEDIA_TYPE, self.shown.text())
        elif self.path == "/health":
            is_well, text = self.shown.health()
            self._answer(200 if is_well else 503, "text/plain; charset=utf-8", text)
        else:
            self._answer(404, "text/plain; charset=utf-8", "expected /health or /metrics\n")

    def _answer(self, status: int, kind: str, text: str) -> None:
        content = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name in http.server
        """Print nothing: standard output is for the lines of images."""
