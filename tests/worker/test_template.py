"""A template forks, waits, and reports. It runs as a plain script here, and as in production in test_processes.py."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from thumbsmith.worker.wire import Channel, Frame, PeerClosed

from ..pictures import picture
from .pictures import SMALL
from .processes import alive, eventually, linux
from .sandbox import SANDBOX


@contextmanager
def template(code: str) -> Iterator[socket.socket]:
    """Give the control socket of a process with this code; it must end by itself when the socket is closed."""
    ours, theirs = socket.socketpair()
    with theirs:
        process = subprocess.Popen([sys.executable, "-c", code], stdin=theirs.fileno(), start_new_session=True)
    with ours:
        yield ours
    assert process.wait(120) == 0


@contextmanager
def job(control: socket.socket) -> Iterator[Channel]:
    """Give the channel to a new child."""
    ours, theirs = socket.socketpair()
    with theirs:
        socket.send_fds(control, [b"+"], [theirs.fileno()])
    with ours:
        yield Channel(ours, 300)


def _prepare(control: socket.socket, *, shared: bool = False) -> None:
    """Have the template prepared for SMALL."""
    control.sendall(b"=")
    Channel(control).send("prepare", SMALL.to_json().encode(), ceiling=None, shared=shared, extras=[])


def _ending(control: socket.socket) -> Frame:
    """Return the next frame of the template, without the first one of all, about isolation."""
    frame = Channel(control, 300).receive(0)
    return Channel(control, 300).receive(0) if frame.kind == "ready" else frame


OURS = "from thumbsmith.worker.template import main; main()"

SERVING = """
import os, socket
from thumbsmith.worker.isolation import Isolation
from thumbsmith.worker.template import serve
from thumbsmith.worker.wire import PeerClosed

seen = []
ends = {"return": None, "closed": PeerClosed(), "exit": SystemExit(), "mistake": KeyError()}

def work(channel):
    word = channel.receive(0).kind
    seen.append(word)
    channel.send(" ".join(seen))
    if word == "crash":
        os.abort()
    if ends[word]:
        raise ends[word]

serve(socket.socket(fileno=0), lambda order, isolation: work, Isolation(frozenset(), {}))
"""


def test_a_source_goes_through_a_template():
    """It forks a child that makes the thumbnails, and reports how the child ended and what it used."""
    data = picture()
    with template(OURS) as control:
        _prepare(control)
        with job(control) as channel:
            channel.send("make", data, size=len(data), wanted=None, granted=0)
            assert channel.receive(0).kind == "admit"
            channel.send("go")
            assert channel.receive(1 << 20).kind == "made"
        ending = _ending(control)
        assert (ending.kind, ending.fields["status"]) == ("ended", 0)
        assert 0 < ending.fields["cpu"] < 20
        assert 5 << 20 < ending.fields["peak"] < 500 << 20


def test_granted_memory_is_not_requested():
    """A child that may decode with more memory than it predicts sends its thumbnails first."""
    data = picture()
    with template(OURS) as control:
        _prepare(control)
        with job(control) as channel:
            channel.send("make", data, size=len(data), wanted=None, granted=64 << 20)
            assert channel.receive(1 << 20).kind == "made"


def test_an_error_at_start_is_reported():
    """Where a module cannot be imported, the parent learns which."""
    with template("import sys; sys.modules['PIL'] = None; " + OURS) as control:
        told = _ending(control)
    assert told.kind == "failed"
    assert "PIL" in told.fields["detail"]


def test_every_source_has_a_process_of_its_own():
    """Memory of one child is not in the next; a child ends well when it is done, or its channel is closed."""
    endings = []
    with template(SERVING) as control:
        _prepare(control)
        for word in ("return", "closed", "exit", "mistake", "crash"):
            with job(control) as channel:
                channel.send(word)
                assert channel.receive(0).kind == word
                endings.append(os.waitstatus_to_exitcode(_ending(control).fields["status"]))
    assert endings == [0, 0, 0, 1, -signal.SIGABRT]


def test_a_child_ends_with_its_channel():
    """The channel is closed when the child ends."""
    with template(SERVING) as control:
        _prepare(control)
        with job(control) as channel:
            channel.send("return")
            channel.receive(0)
            with pytest.raises(PeerClosed):
                channel.receive(0)
            _ending(control)


REHEARSAL = """
import io, sys
from thumbsmith.recipe import Recipe
from thumbsmith.worker.template import load_engine
recipe = Recipe.loads('[variants.a]\\nwidth=20\\nheight=10\\nfit="contain"\\nformats=["jpeg", "png", "webp", "avif"]')
load_engine()
from PIL import Image
from thumbsmith.image.render import render
before = set(sys.modules)
for kind in ("jpeg", "png", "gif", "webp", "tiff", "bmp", "avif"):
    for mode in ("L", "RGB", "RGBA", "P", "CMYK", "I;16"):
        stream = io.BytesIO()
        try:
            Image.new(mode, (40, 30)).save(stream, kind)
        except (OSError, ValueError):
            continue
        render(stream.getvalue(), recipe)
print(sorted(set(sys.modules) - before))
"""


def test_nothing_is_left_to_import():
    """A child cannot import: after `load_engine` no picture of any format imports a module."""
    done = subprocess.run([sys.executable, "-c", REHEARSAL], capture_output=True, text=True, timeout=300, check=True)
    assert done.stdout.strip() == "[]"


ORPHAN = """
import os, signal, sys, time
from thumbsmith.worker.template import end_with_template
life, alive = os.pipe()
template = os.getpid()
if os.fork() == 0:
    os.close(life)
    end_with_template(template, alive)
    print(os.getpid(), flush=True)
    signal.signal(signal.SIGIO, signal.SIG_IGN)
    time.sleep(600)
os.close(alive)
time.sleep(600)
"""


@linux
@pytest.mark.parametrize("sandbox", [[], [sys.executable, SANDBOX, "refuse", "prctl,seccomp"]], ids=["", "sandbox"])
def test_a_child_ends_with_its_template(sandbox: list[str]):
    """The kernel ends it even if it is busy, also where the sandbox refuses prctl(2)."""
    with subprocess.Popen([*sandbox, sys.executable, "-c", ORPHAN], stdout=subprocess.PIPE, text=True) as template:
        assert template.stdout is not None
        child = int(template.stdout.readline())
        assert alive(child)
        template.kill()
        assert eventually(lambda: not alive(child))


@linux
def test_a_child_whose_template_is_gone_already_ends():
    """Where the template ended before the kernel was asked, the child ends by itself."""
    code = (
        "import os; from thumbsmith.worker.template import end_with_template;"
        "end_with_template(os.getppid() + 1, os.pipe()[1])"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=60, check=False).returncode == 1


HIDING = """
import os, socket, time
from thumbsmith.worker.isolation import Isolation
from thumbsmith.worker.template import serve

def work(channel):
    channel.send("hidden")
    for descriptor in range(3, 50):  # its end of the pipe that tells of its life, too
        if os.path.exists(f"/proc/self/fd/{descriptor}") and descriptor != channel._end.fileno():
            os.close(descriptor)
    time.sleep(600)

serve(socket.socket(fileno=0), lambda order, isolation: work, Isolation(frozenset(), {}))
"""


@linux
def test_a_child_that_pretends_to_have_ended_is_ended():
    """A child that closes the pipe that reports its end is killed, so that its template never blocks."""
    with template(HIDING) as control:
        _prepare(control)
        with job(control) as channel:
            assert channel.receive(0).kind == "hidden"
            assert os.waitstatus_to_exitcode(_ending(control).fields["status"]) == -signal.SIGKILL


def test_a_child_without_a_recipe_handles_nothing():
    """A template that was not prepared forks a child that ends at once."""
    with template(OURS) as control, job(control) as channel:
        with pytest.raises(PeerClosed):
            channel.receive(0)
        assert _ending(control).fields["status"] == 0


def test_a_shared_child_handles_many_sources():
    """One child answers for one source after the other, until its channel is closed; its process id comes first."""
    data = picture()
    with template(OURS) as control:
        _prepare(control, shared=True)
        with job(control) as channel:
            forked = _ending(control)
            for _ in range(3):
                channel.send("make", data, size=len(data), wanted=None, granted=0)
                assert channel.receive(0).kind == "admit"
                channel.send("go")
                assert channel.receive(1 << 20).kind == "made"
        assert (forked.kind, alive(forked.fields["pid"])) == ("forked", True)
        assert _ending(control).fields["status"] == 0
