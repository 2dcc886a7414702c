"""`thumbsmith serve` as a process."""

import contextlib
import importlib.abc
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import uvicorn

import thumbsmith as package
from tests.cli.command import Command
from tests.pictures import picture

MIB = 1 << 20


@dataclass(frozen=True)
class Process:
    """A running `thumbsmith serve`."""

    process: subprocess.Popen[str]
    client: httpx.Client

    def peak(self) -> int:
        """Return the peak of its memory in bytes (proc(5), VmHWM)."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) * 1024


@contextlib.contextmanager
def run_serve(
    folder: Path, *options: str, stores: tuple[str, ...] | None = None, **environment: str
) -> Iterator[Process]:
    """Run `thumbsmith serve` on a free port until the end of the block: over `stores`, or with `folder` as its root."""
    place = ("--root", str(folder)) if stores is None else stores
    command = [sys.executable, "-m", "thumbsmith", "serve", *place, "--port", "0", *options]
    process = subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, cwd=folder, env={**os.environ, "COLUMNS": "300", **environment}
    )
    try:
        line = process.stderr.readline()
        address = re.match(r"(http://\S+)/ ", line)
        assert address, line + process.stderr.read()
        with httpx.Client(base_url=address[1], timeout=60) as client:
            yield Process(process, client)
    finally:
        process.kill()
        process.wait(60)
        process.stderr.close()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_until_it_is_stopped(tmp_path: Path, number: signal.Signals):
    """It creates the folders, serves page and API, and exits with 130 and no output after a signal."""
    with run_serve(tmp_path) as running:
        assert "Thumbsmith" in running.client.get("/").text
        (tmp_path / "sources" / "x.png").write_bytes(picture())
        end = time.monotonic() + 60
        while running.client.get("/images/x.png?wait=10").status_code != 200:
            assert time.monotonic() < end
        assert (tmp_path / "thumbnails" / "x.png" / "small.webp").is_file()
        running.process.send_signal(number)
        assert running.process.wait(60) == 130
        assert running.process.stderr.read() == ""


def test_it_serves_existing_folders(tmp_path: Path):
    """SRC and DST may be any folders. --open runs the browser with the address, which contains the prefix."""
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "x.png").write_bytes(picture())
    browser = tmp_path / "browser"
    browser.write_text('#!/bin/sh\nprintf %s "$1" > "$0.opened.new"\nmv "$0.opened.new" "$0.opened"\n')
    browser.chmod(0o755)
    options = ("--open", "--root-path", "/media")
    with run_serve(tmp_path, *options, stores=("photos", "thumbs"), BROWSER=str(browser)) as running:
        assert running.client.get("/images/x.png?wait=60").status_code == 200
        assert (tmp_path / "thumbs" / "x.png" / "small.webp").is_file()
        assert not (tmp_path / "sources").exists()
        end = time.monotonic() + 60
        while not (opened := tmp_path / "browser.opened").exists():
            assert time.monotonic() < end
        assert opened.read_text() == f"{str(running.client.base_url).rstrip('/')}/"
        assert opened.read_text().endswith("/media/")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["photos"], "expected SRC and DST"),
        (["photos", "thumbs", "--root", "."], "--root: expected either this option or SRC and DST"),
        (["nothing", "thumbs"], "nothing: No such file"),
        (["photos", "photos/thumbs"], "overlap"),
        (["--root-path", "thumbs"], "expected a path such as /thumbs"),
    ],
)
def test_wrong_places_are_one_sentence(thumbsmith: Command, arguments: list[str], sentence: str):
    """One store, both forms at once, a missing source, an overlap and a prefix without a slash: exit code 2."""
    Path("photos").mkdir(exist_ok=True)
    ran = thumbsmith("serve", *arguments, "--port", "0")
    assert (ran.code, len(ran.err.splitlines())) == (2, 1), ran.err
    assert sentence in ran.err
    assert not Path("nothing").exists()


def test_a_large_upload_is_not_held_in_memory(tmp_path: Path):
    """An upload of 100 MiB increases the memory of the server by less than 25 MiB."""
    size = 100 * MIB
    with run_serve(tmp_path) as running:
        granted = running.client.post("/uploads", json={"name": "big.png", "type": "image/png", "bytes": size}).json()
        before = running.peak()
        content = (b"x" * MIB for _ in range(100))
        headers = {**granted["upload"]["headers"], "Content-Length": str(size)}
        assert running.client.put(granted["upload"]["url"], content=content, headers=headers).status_code == 201
        assert running.peak() - before < size / 4
        assert (tmp_path / "sources" / "big.png").stat().st_size == size
        assert running.client.get("/images/big.png?wait=60").status_code == 422


def test_a_restart_finishes_interrupted_work(tmp_path: Path):
    """If the server is killed while it makes thumbnails, the next start makes the rest."""
    with run_serve(tmp_path) as running:
        for number in range(20):
            (tmp_path / "sources" / f"{number}.png").write_bytes(picture(size=(500, 400), kind="png"))
        running.client.get("/images/0.png?wait=10")
        running.process.kill()
    with run_serve(tmp_path) as running:
        for number in range(20):
            assert running.client.get(f"/images/{number}.png?wait=60").status_code == 200


def test_a_token_allows_other_hosts(tmp_path: Path):
    """With a token and --allow-host, requests with the token are accepted and others get 401."""
    token = "0123456789abcdef-only-for-tests"
    with run_serve(tmp_path, "--allow-host", "thumbs.example", THUMBSMITH_TOKEN=token) as running:
        host = {"Host": "thumbs.example"}
        assert running.client.get("/images", headers=host).status_code == 401
        assert running.client.get("/images", headers={**host, "Authorization": f"Bearer {token}"}).status_code == 200


def test_a_public_address_needs_a_token(thumbsmith: Command):
    """Without a token, an address that other machines can reach is refused with exit code 2."""
    ran = thumbsmith("serve", "--host", "0.0.0.0", "--port", "0")
    assert ran.code == 2
    assert "THUMBSMITH_TOKEN" in ran.err


def test_a_short_token_is_refused(thumbsmith: Command, monkeypatch: pytest.MonkeyPatch):
    """The message names the minimum length."""
    monkeypatch.setenv("THUMBSMITH_TOKEN", "short")
    ran = thumbsmith("serve", "--port", "0")
    assert ran.code == 2
    assert ran.err == "thumbsmith: THUMBSMITH_TOKEN: expected at least 16 characters, found 5\n"
    monkeypatch.delenv("THUMBSMITH_TOKEN")
    ran = thumbsmith("serve", "--port", "0", "--root-path", "thumbs")
    assert ran.err.startswith("thumbsmith: --root-path: expected a path such as /thumbs")


def test_a_used_port_is_one_sentence(thumbsmith: Command, tmp_path: Path):
    """The command exits with 2 and names the reason in one line."""
    with run_serve(tmp_path) as running:
        ran = thumbsmith("serve", "--port", str(running.client.base_url.port))
    assert ran.code == 2
    assert "in use" in ran.err
    assert ran.err.count("\n") <= 1


@pytest.mark.parametrize(("started", "code"), [(True, 130), (False, 1)])
def test_the_exit_code_does_not_need_the_signal(
    thumbsmith: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, started: bool, code: int
):
    """If the event loop loses the signal, a server that had started exits with 130, and another with 1."""
    monkeypatch.setattr(uvicorn.Server, "run", lambda self, sockets: setattr(self, "started", started))
    before = signal.getsignal(signal.SIGTERM)
    assert thumbsmith("serve", "--root", str(tmp_path), "--port", "0").code == code
    signal.signal(signal.SIGTERM, before)


def test_a_root_that_is_a_file_is_one_sentence(thumbsmith: Command, tmp_path: Path):
    """The command exits with 2 and one sentence."""
    (tmp_path / "file").write_text("x")
    ran = thumbsmith("serve", "--root", str(tmp_path / "file"), "--port", "0")
    assert ran.code == 2
    assert "expected a folder" in ran.err


class _WithoutExtra(importlib.abc.MetaPathFinder):
    def find_spec(self, name: str, path: object, target: object = None) -> None:
        """Pretend that the packages of the extra are not installed."""
        if name.partition(".")[0] in {"starlette", "uvicorn", "httptools", "uvloop"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def test_a_missing_extra_is_named(thumbsmith: Command, monkeypatch: pytest.MonkeyPatch):
    """Without the packages of the extra, the command exits with 2 and says what to install."""
    monkeypatch.setattr(package, "web", package.web)  # the import below replaces it, and undo restores it
    for name in [each for each in sys.modules if each.startswith(("thumbsmith.web", "starlette", "uvicorn"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [_WithoutExtra(), *sys.meta_path])
    ran = thumbsmith("serve", "--port", "0")
    assert ran.code == 2
    assert ran.err.startswith('thumbsmith: thumbsmith serve needs the extra "web": run ')
    assert ran.err.count("\n") == 1
    monkeypatch.undo()


def test_a_root_below_a_missing_folder_is_refused(thumbsmith: Command):
    """It is taken for a typing error: exit code 2, one sentence, and no folder is created."""
    ran = thumbsmith("serve", "--root", "typo/shop", "--port", "0")
    assert (ran.code, len(ran.err.splitlines())) == (2, 1)
    assert "--root typo/shop: expected a folder, found none: create typo first" in ran.err
    assert not Path("typo").exists()


def test_missing_sources_are_reported_without_options_of_sync(tmp_path: Path):
    """If all sources are missing, no thumbnail is deleted and the message names no option of another command."""
    (tmp_path / "sources").mkdir()
    (tmp_path / "sources" / "x.png").write_bytes(picture())
    with run_serve(tmp_path) as running:
        assert running.client.get("/images/x.png?wait=60").status_code == 200
    (tmp_path / "sources" / "x.png").unlink()
    with run_serve(tmp_path) as running:
        line = running.process.stderr.readline()
    assert "no thumbnails are deleted" in line
    assert "--" not in line
    assert (tmp_path / "thumbnails" / "x.png" / "small.webp").is_file()
