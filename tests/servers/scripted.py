"""A server that sends scripted responses, one after another, and records the requests."""

import contextlib
import threading
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True)
class Answer:
    """One response; the body and the connection are cut off after `cut` bytes. A header of None is left out."""

    status: int
    body: bytes = b""
    headers: dict[str, str | None] = field(default_factory=dict)
    cut: int | None = None


@dataclass(frozen=True)
class Asked:
    """One request; header names match in any case."""

    method: str
    path: str
    headers: Message


@dataclass
class Scripted:
    """The remaining responses; the last one is repeated."""

    address: str
    answers: deque[Answer] = field(default_factory=deque)
    asked: list[Asked] = field(default_factory=list)

    def script(self, *answers: Answer) -> None:
        """Send these responses from now on, and clear the recorded requests."""
        self.answers, self.asked = deque(answers), []


def error(status: int, code: str, message: str = "") -> Answer:
    """Return an error as S3 writes it."""
    return Answer(status, f"<Error><Code>{code}</Code><Message>{message}</Message></Error>".encode())


def part(data: bytes, span: str, etag: str = '"one"', cut: int | None = None) -> Answer:
    """Return the response to a GET of a range: "0-3/10"."""
    return Answer(206, data, {"ETag": etag, "Content-Range": f"bytes {span}"}, cut)


@contextlib.contextmanager
def scripted() -> Iterator[Scripted]:
    """Run the server on a free port of 127.0.0.1."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def handle_one_request(self) -> None:
            self.raw_requestline = self.rfile.readline(65537)
            if not self.raw_requestline or not self.parse_request():
                self.close_connection = True
                return
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            script.asked.append(Asked(self.command, self.path, self.headers))
            self.give(script.answers.popleft() if len(script.answers) > 1 else script.answers[0])

        def give(self, answer: Answer) -> None:
            self.send_response(answer.status)
            for name, value in ({"Content-Length": str(len(answer.body))} | answer.headers).items():
                if value is not None:
                    self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(answer.body[: answer.cut])
            self.close_connection = answer.cut is not None

        def handle(self) -> None:
            with contextlib.suppress(ConnectionError):  # the client closed the connection
                super().handle()

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        script = Scripted(f"http://127.0.0.1:{server.server_address[1]}")
        server.daemon_threads = True
        server.block_on_close = False
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield script
        finally:
            server.shutdown()
            thread.join()
