"""The template: a process that has imported everything and forks a child for every source. It reads no source."""

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
from typing import NoReturn, TypeAlias

from thumbsmith.worker.isolation import Isolation, measure
from thumbsmith.worker.wire import Channel, PeerClosed, describe_exception

# What a child does with its source, which comes over the channel. The number is the process id of its template.
HandleSource: TypeAlias = Callable[[Channel, Isolation, int], None]


def main() -> None:
    """Serve the parent that started this process, over the socket on file descriptor 0.

    The first message says which isolation layers are active. They are measured while this process is still small.
    """
    control = socket.socket(fileno=0)
    reset_signals()
    try:
        isolation = measure()
        Channel(control).send("ready", layers=dict(isolation.layers))
        handle_source = load_engine()
    except PeerClosed:
        return
    except Exception as error:  # a broken installation, which only the parent can report
        Channel(control).send("failed", detail=describe_exception(error))
        return
    gc.freeze()  # a collection in a child would touch, and so copy, the pages that all children share
    gc.enable()
    serve(control, handle_source, isolation)


def reset_signals() -> None:
    """Give every signal its default action, and block none: a host program may have changed both.

    Ignored signals stay ignored after exec(2), and blocked ones blocked. Without SIGCHLD the end of a child is not
    reported, and without SIGXCPU no child ends at its limit.
    """
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        with suppress(OSError, ValueError):  # some belong to the C library
            signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def load_engine() -> HandleSource:
    """Import all that decoding and encoding import when they need it; return what a child does.

    A child can open no file, so a module that is not imported here is missing there.
    """
    from thumbsmith import image  # noqa: PLC0415 - as below
    from thumbsmith.image import containers, pillow  # noqa: PLC0415 - an error here is reported, one at the top is not
    from thumbsmith.image.encode import PLUGINS  # noqa: PLC0415 - as above
    from thumbsmith.image.formats import SOURCE_FORMATS  # noqa: PLC0415 - as above
    from thumbsmith.image.vips import prepare_for_fork  # noqa: PLC0415 - as above
    from thumbsmith.worker.child import handle_source  # noqa: PLC0415 - as above

    ours = (each.name for part in (image, containers) for each in iter_modules(part.__path__, f"{part.__name__}."))
    sys.modules["PIL"] = pillow  # pi_heif, which imports Pillow, gets ours: it is loaded once
    for module in ours:
        import_module(module)
    decoders = (each.plugin[0] for each in SOURCE_FORMATS.values() if each.plugin)
    for module in (*decoders, *PLUGINS.values(), "ImageCms"):
        pillow.plugin(module)
    pillow.Image.preinit()  # loads the plugins that saving needs for any format
    prepare_for_fork()
    with suppress(ImportError):
        import_module("pi_heif").options.DECODE_THREADS = 1  # a worker uses one core
    return handle_source


def serve(control: socket.socket, handle_source: HandleSource, isolation: Isolation) -> None:
    """Fork a child for every socket that the parent sends, one at a time; report how each ended.

    Returns when the parent has ended, after the running child was killed.
    """
    while True:
        mark, descriptors, _, _ = socket.recv_fds(control, 1, 1)
        if not mark:
            return
        template = os.getpid()
        try:
            job = socket.socket(fileno=descriptors[0])
            life, alive = os.pipe()  # the child has `alive` open until it ends
            child = os.fork()
        except (OSError, IndexError) as problem:  # no process or descriptor is left, and so none was received
            Channel(control).send("failed", detail=describe_exception(problem))
            return
        if child == 0:
            os.close(life)
            control.close()
            end_with_template(template, alive)
            _run_child(template, job, handle_source, isolation)
        os.close(alive)
        job.close()
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


def _run_child(template: int, job: socket.socket, handle_source: HandleSource, isolation: Isolation) -> NoReturn:
    """Do one job in a process that was just forked, and end it in any case."""
    code = 1
    try:
        handle_source(Channel(job), isolation, template)
        code = 0
    except (PeerClosed, SystemExit):
        code = 0  # the parent has closed the channel
    finally:
        os._exit(code)
