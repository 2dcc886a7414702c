"""The template: a process that imports what decoding needs and forks children, which handle sources. It reads none."""

from __future__ import annotations

import fcntl
import gc
import os
import select
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from pkgutil import iter_modules
from typing import Final, NoReturn, TypeAlias

from thumbsmith.worker.isolation import Isolation, measure
from thumbsmith.worker.wire import PREPARE, Channel, Frame, PeerClosed, describe_exception

# The parent is trusted, so this is only a limit that no recipe reaches.
MAX_RECIPE_BYTES: Final = 64 << 20


# What a child does: it handles the sources that come over the channel.
HandleSources: TypeAlias = Callable[[Channel], None]

# Makes it from the frame with the recipe. The field `shared` of the frame says whether a child handles many sources.
Prepare: TypeAlias = Callable[[Frame, Isolation], HandleSources]


def main() -> None:
    """Serve the parent that started this process, over the socket on file descriptor 0.

    The first message says which isolation layers are active. They are measured while this process is still small.
    """
    control = socket.socket(fileno=0)
    reset_signals()
    try:
        isolation = measure()
        Channel(control).send("ready", layers=dict(isolation.layers))
        prepare = load_engine()
    except PeerClosed:
        return
    except Exception as error:  # a broken installation, which only the parent can report
        Channel(control).send("failed", detail=describe_exception(error))
        return
    gc.freeze()  # a collection in a child would touch, and so copy, the pages that all children share
    gc.enable()
    serve(control, prepare, isolation)


def reset_signals() -> None:
    """Give every signal its default action, and block none: a host program may have changed both.

    Ignored signals stay ignored after exec(2), and blocked ones blocked. Without SIGCHLD the end of a child is not
    reported, and without SIGXCPU no child ends at its limit.
    """
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        with suppress(OSError, ValueError):  # some belong to the C library
            signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def load_engine() -> Prepare:
    """Import all that decoding and encoding import when they need it; return what prepares the children.

    A child can open no file, so a module that is not imported here is missing there. The packages of extras are large
    and seldom needed: they took a third of the time of a start. `prepare` loads those that the parent asks for.
    """
    from thumbsmith import image  # noqa: PLC0415 - as below
    from thumbsmith.image import containers, pillow  # noqa: PLC0415 - an error here is reported, one at the top is not

    sys.modules["PIL"] = pillow  # modules that import Pillow, such as pi_heif, get ours: it is loaded once
    from thumbsmith.image.encode import PLUGINS  # noqa: PLC0415 - as above
    from thumbsmith.image.formats import SOURCE_FORMATS  # noqa: PLC0415 - as above
    from thumbsmith.image.vips import prepare_for_fork  # noqa: PLC0415 - as above
    from thumbsmith.worker.child import prepare  # noqa: PLC0415 - as above

    ours = (each.name for part in (image, containers) for each in iter_modules(part.__path__, f"{part.__name__}."))
    for module in ours:
        import_module(module)
    decoders = (each.plugin[0] for each in SOURCE_FORMATS.values() if each.plugin)
    for module in (*decoders, *PLUGINS.values(), "ImageCms"):
        pillow.plugin(module)
    pillow.Image.preinit()  # loads the plugins that saving needs for any format
    prepare_for_fork()
    for each in SOURCE_FORMATS.values():
        if not each.extra:
            each.prepare_for_fork()
    return prepare


def serve(control: socket.socket, prepare: Prepare, isolation: Isolation) -> None:
    """Fork a child for every socket that the parent sends, one at a time; report how each ended.

    All children do what was last prepared. The process id of one that handles many sources is reported too. Returns
    when the parent has ended, after the running child was killed.
    """
    handle_sources: HandleSources = _end
    shared = False
    while True:
        mark, descriptors, _, _ = socket.recv_fds(control, 1, 1)
        if not mark:
            return
        template = os.getpid()
        try:
            if mark == PREPARE:
                order = Channel(control).receive(MAX_RECIPE_BYTES)
                handle_sources, shared = prepare(order, isolation), order.fields["shared"]
                continue
            job = socket.socket(fileno=descriptors[0])
            life, alive = os.pipe()  # the child has `alive` open until it ends
            child = os.fork()
        except (OSError, IndexError, MemoryError) as problem:  # no process or descriptor is left: none was received
            Channel(control).send("failed", detail=describe_exception(problem))
            return
        if child == 0:
            os.close(life)
            control.close()
            end_with_template(template, alive)
            _run_child(job, handle_sources)
        os.close(alive)
        job.close()
        if shared:
            Channel(control).send("forked", pid=child)
        ready, _, _ = select.select([control.fileno(), life], [], [])
        with suppress(OSError):  # where a sandbox refuses signals, the child ends with this process
            os.kill(child, signal.SIGKILL)  # it has ended, or it closed `alive` and runs on; or the parent has ended
        os.close(life)
        if control.fileno() in ready:  # the parent sends nothing now: readable means that it has ended
            return
        _, status, usage = os.wait4(child, 0)
        peak = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)  # getrusage(2): bytes on macOS, else KiB
        Channel(control).send("ended", status=status, cpu=usage.ru_utime + usage.ru_stime, peak=peak)


def end_with_template(template: int, alive: int) -> None:
    """Have the kernel kill this process when its template ends, and with it the other end of the pipe `alive`.

    The kernel sends a signal to the owner of a descriptor whose other end is closed: fcntl(2), F_SETOWN and F_SETSIG.
    Sandboxes that refuse prctl(2), and so PR_SET_PDEATHSIG, grant that. Where neither exists, as on macOS, a child ends
    at its next request for bytes, or by its limits.
    """
    if hasattr(fcntl, "F_SETSIG"):
        with suppress(OSError):
            fcntl.fcntl(alive, fcntl.F_SETOWN, os.getpid())
            fcntl.fcntl(alive, fcntl.F_SETSIG, signal.SIGKILL)
            fcntl.fcntl(alive, fcntl.F_SETFL, os.O_WRONLY | os.O_ASYNC)
    if os.getppid() != template:  # the template ended before the kernel was asked
        os._exit(1)


def _end(_channel: Channel) -> None:
    """End a child that was forked before the template had a recipe. The parent always sends one first."""


def _run_child(job: socket.socket, handle_sources: HandleSources) -> NoReturn:
    """Handle the sources of a socket in a process that was just forked, and end it in any case."""
    code = 1
    try:
        handle_sources(Channel(job))
        code = 0
    except (PeerClosed, SystemExit):
        code = 0  # the parent has closed the channel
    finally:
        os._exit(code)
