"""Manifests and renditions a second from `thumbsmith serve`, with and without two uploads a second.

The load comes from this process over loopback, on persistent connections. The server runs in another process.
"""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from importlib.resources import files
from json import dumps, loads
from pathlib import Path

SECONDS = 10.0
CONNECTIONS = 16
UPLOADS_A_SECOND = 2
PHOTO = Path(str(files("thumbsmith") / "samples" / "rocket.jpg")).read_bytes()


def main() -> None:
    """Print a line for each kind of request, with and without uploads. The first is the cost of HTTP alone."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "thumbsmith", "serve", "--root", folder, "--port", "0"]
        with subprocess.Popen(
            command, stderr=subprocess.PIPE, text=True, env={**os.environ, "COLUMNS": "300"}
        ) as server:
            try:
                address = re.match(r"(http://\S+)/ ", server.stderr.readline())[1]
                upload(address, "photo.jpg")
                urllib.request.urlopen(f"{address}/images/photo.jpg?wait=60").close()
                for path in ("/health", "/images/photo.jpg", "/renditions/photo.jpg/small"):
                    measure(address, server.pid, path, uploads=False)
                    measure(address, server.pid, path, uploads=True)
            finally:
                server.kill()


def upload(address: str, name: str) -> None:
    """Upload the photograph."""
    body = dumps({"name": name, "type": "image/jpeg", "bytes": len(PHOTO)}).encode()
    request = urllib.request.Request(f"{address}/uploads", body, {"Content-Type": "application/json"})
    granted = loads(urllib.request.urlopen(request).read())["upload"]
    request = urllib.request.Request(address + granted["url"], PHOTO, granted["headers"], method="PUT")
    urllib.request.urlopen(request).close()


def measure(address: str, pid: int, path: str, *, uploads: bool) -> None:
    """Send requests for SECONDS; print requests a second and the percentiles of their time."""
    stop = threading.Event()
    uploader = threading.Thread(target=keep_uploading, args=(address, stop))
    if uploads:
        uploader.start()
    before = cpu_seconds(pid)
    took = sorted(asyncio.run(load(address, path)))
    cpu = (cpu_seconds(pid) - before) / len(took) * 1e6
    stop.set()
    if uploads:
        uploader.join()
    p50, p99, most = (took[int(len(took) * share)] * 1000 for share in (0.5, 0.99, 0.9999))
    words = f"{UPLOADS_A_SECOND} uploads/s" if uploads else "no uploads"
    spread = f"p50 {p50:5.1f} ms  p99 {p99:5.1f} ms  max {most:5.1f} ms"
    print(f"{path:27} {words:12} {len(took) / SECONDS:7,.0f}/s   {spread}   {cpu:4.0f} us of CPU each")


def cpu_seconds(pid: int) -> float:
    """Return the CPU time of the server without its workers (proc(5))."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def keep_uploading(address: str, stop: threading.Event) -> None:
    """Upload at a fixed rate."""
    number, started = 0, time.monotonic()
    while not stop.wait(max(0.0, started + number / UPLOADS_A_SECOND - time.monotonic())):
        upload(address, f"load/{time.time_ns()}.jpg")
        number += 1


async def load(address: str, path: str) -> list[float]:
    """Return the seconds of each request."""
    host, port = address.removeprefix("http://").split(":")
    request = f"GET {path} HTTP/1.1\r\nHost: {host}\r\nAccept: image/webp\r\n\r\n".encode()
    until = time.perf_counter() + SECONDS
    took = await asyncio.gather(*(ask(host, int(port), request, until) for _ in range(CONNECTIONS)))
    return [seconds for each in took for seconds in each]


async def ask(host: str, port: int, request: bytes, until: float) -> list[float]:
    """Send requests on one connection, one after another."""
    reader, writer = await asyncio.open_connection(host, port)
    took = []
    while (now := time.perf_counter()) < until:
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200 "):
            raise RuntimeError(head)
        await reader.readexactly(int(re.search(rb"content-length: (\d+)", head, re.IGNORECASE)[1]))
        took.append(time.perf_counter() - now)
    writer.close()
    return took


if __name__ == "__main__":
    main()
