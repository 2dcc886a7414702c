"""The process that is forked for every source: it has imported everything, and has seen no picture."""

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
from thumbsmith.worker.wire import Channel, Closed, told

# What a child does with the one source that comes over its channel: on a system that isolates so far, for a template
# with this process id.
Work: TypeAlias = Callable[[Channel, Isolation, int], None]


def main() -> None:
    """Serve the parent that started this process, over the socket on file descriptor 0.

    The first frame says how far this system isolates children. It is measured while this process is still small.
    """
    control = socket.socket(fileno=0)
    forget_signals()
    try:
        isolation = measure()
        Channel(control).send("ready", layers=dict(isolation.layers))
        work = prepare()
    except Closed:
        return
    except Exception as mistake:  # an installation that is broken: nobody but the parent can say so
        Channel(control).send("failed", detail=told(mistake))
        return
    gc.freeze()  # so that no collection in a child touches, and thereby copies, what all of them share
    gc.enable()
    serve(control, work, isolation)


def forget_signals() -> None:
    """Give every signal its default meaning, and block none: a host program may have passed on others.

    Ignored signals stay ignored after exec(2), and blocked ones blocked: without SIGCHLD no child's end is known, and
    without SIGXCPU none ends at its limit.
    """
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        with suppress(OSError, ValueError):  # some are the C library's own
            signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def prepare() -> Work:
    """Import all that decoding and encoding would import when they need it; return what a child does.

    A child can open no file any more, so what is not imported here is missing there.
    """
    from thumbsmith import image  # noqa: PLC0415 - as below
    from thumbsmith.image import containers, pillow  # noqa: PLC0415 - an error here is reported, one above is not
    from thumbsmith.image.encode import PLUGINS  # noqa: PLC0415 - as above
    from thumbsmith.image.formats import SOURCE_FORMATS  # noqa: PLC0415 - as above
    from thumbsmith.image.vips import prepare_for_fork  # noqa: PLC0415 - as above
    from thumbsmith.worker.child import work  # noqa: PLC0415 - as above

    ours = (each.name for part in (image, containers) for each in iter_modules(part.__path__, f"{part.__name__}."))
    sys.modules["PIL"] = pillow  # what else imports Pillow here, pi_heif, gets ours: it is loaded once
    for module in ours:
        import_module(module)
    decoders = (each.plugin[0] for each in SOURCE_FORMATS.values() if each.plugin)
    for module in (*decoders, *PLUGINS.values(), "ImageCms"):
        pillow.plugin(module)
    pillow.Image.preinit()  # what saving imports, whatever the format
    prepare_for_fork()
    with suppress(ImportError):
        import_module("pi_heif").options.DECODE_THREADS = 1  # a picture is one core's work: others have theirs
    return work


def serve(control: socket.socket, work: Work, isolation: Isolation) -> None:
    """Fork a child that does `work` for every socket that the parent hands over, one at a time; tell how each ended.

    Returns when the parent is gone: a child that works then is killed before.
    """
    while True:
        mark, descriptors, _, _ = socket.recv_fds(control, 1, 1)
        if not mark:
            return
        template = os.getpid()
        try:
            job = socket.socket(fileno=descriptors[0])
            life, alive = os.pipe()  # a child holds `alive` for as long as it lives
            child = os.fork()
        except (OSError, IndexError) as problem:  # no process or descriptor is left, or the job's got lost for that
            Channel(control).send("failed", detail=told(problem))
            return
        if child == 0:
            os.close(life)
            control.close()
            end_with(template, alive)
            _live(template, job, work, isolation)
        os.close(alive)
        job.close()
        ready, _, _ = select.select([control.fileno(), life], [], [])
        with suppress(OSError):  # where no signal may be sent, the end of this process ends the child
            os.kill(child, signal.SIGKILL)  # it has ended, or has closed `alive` and goes on; or its parent is gone
        os.close(life)
        if control.fileno() in ready:  # the parent says nothing meanwhile: if it can be heard, it is gone
            return
        _, status, usage = os.wait4(child, 0)
        peak = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)  # getrusage(2): bytes there, else KiB
        Channel(control).send("ended", status=status, cpu=usage.ru_utime + usage.ru_stime, peak=peak)


def end_with(template: int, alive: int) -> None:
    """Have the kernel kill this process when its template ends, and with it the other end of the pipe `alive`.

    The kernel sends a signal to the owner of a descriptor whose other end is closed: fcntl(2), F_SETOWN and F_SETSIG.
    That is granted where a sandbox refuses prctl(2) and so PR_SET_PDEATHSIG. Where neither is, as on macOS, a child
    ends when it next asks for bytes, or by its limits.
    """
    if hasattr(fcntl, "F_SETSIG"):
        with suppress(OSError):
            fcntl.fcntl(alive, fcntl.F_SETOWN, os.getpid())
            fcntl.fcntl(alive, fcntl.F_SETSIG, signal.SIGKILL)
            fcntl.fcntl(alive, fcntl.F_SETFL, os.O_WRONLY | os.O_ASYNC)
    if os.getppid() != template:  # it ended before the kernel knew
        os._exit(1)


def _live(template: int, job: socket.socket, work: Work, isolation: Isolation) -> NoReturn:
    """Do one job in a process that was just forked, and end it whatever happens."""
    code = 1
    try:
        work(Channel(job), isolation, template)
        code = 0
    except (Closed, SystemExit):
        code = 0  # nobody listens any more
    finally:
        os._exit(code)
