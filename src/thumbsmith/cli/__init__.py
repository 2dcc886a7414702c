"""The command line: one module for each command, each a thin layer over the engine."""

from __future__ import annotations

import contextlib
import gc
import io
import os
import sys

from thumbsmith import __version__
from thumbsmith.errors import NotIsolated, Stopped, StoreError, ThumbsmithError

# These command lines are answered without click, whose import takes three quarters of the time.
VERSION_OPTIONS = (["--version"], ["-V"])


def main() -> None:
    """Run the command that the arguments name, and exit with its code.

    0: the destination agrees with the source. 1: something failed and may be tried again. 2: wrong usage or recipe, or
    refused. 130: interrupted.
    """
    if sys.getfilesystemencoding() != "utf-8" and not sys.flags.utf8_mode:
        _restart_in_utf8_mode()
    gc.disable()  # until the modules of the command are loaded
    _open_standard_streams()
    _escape_unencodable()
    from thumbsmith.cli.workers import early_worker  # noqa: PLC0415 - keeps `import thumbsmith.cli` cheap

    try:
        with early_worker(sys.argv[1:]):
            code = _run()
    finally:
        gc.enable()
    sys.exit(code)


def _restart_in_utf8_mode() -> None:
    """Run this command again in Python's UTF-8 mode. In another encoding, file names would give wrong keys."""
    os.execv(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]])  # noqa: S606 - this same program


def _run() -> int:
    """Run the command; return the exit code. Each error of the system becomes one sentence on stderr."""
    code = 0
    try:
        if sys.argv[1:] in VERSION_OPTIONS:
            sys.stdout.write(f"thumbsmith {__version__}\n")
        else:
            code = _invoke()
        sys.stdout.flush()
    except (KeyboardInterrupt, Stopped):
        code = 130
    except ThumbsmithError as error:
        code = _exit_code(error)
        _print_error(str(error))
    except BrokenPipeError:
        code = 1  # the reader closed the pipe and expects no message
    except OSError as error:
        code = 1
        where = error.filename or ("" if _can_print() else "standard output")
        _print_error(": ".join(str(part) for part in (where, error.strerror or error) if part))
    except MemoryError:
        code = 1
        _print_error("the system has not enough memory for this")
    _discard_unwritable()
    return code


def _invoke() -> int:
    """Run the command that the arguments name, or answer a shell that completes one; return the exit code."""
    import click  # noqa: PLC0415 - a worker process starts before it is loaded

    from thumbsmith.cli.app import app  # noqa: PLC0415 - as above
    from thumbsmith.environment import COMPLETION_VARIABLE, color_setting, completion_request  # noqa: PLC0415 - as above

    request = completion_request()
    if request:
        from click.shell_completion import shell_complete  # noqa: PLC0415 - only shells need it

        return shell_complete(app, {}, "thumbsmith", COMPLETION_VARIABLE, request)
    try:
        with app.make_context("thumbsmith", sys.argv[1:], color=color_setting()) as context:
            return int(app.invoke(context) or 0)
    except click.exceptions.Exit as end:
        return end.exit_code
    except click.Abort:
        return 130
    except click.UsageError as error:
        from thumbsmith.cli.mistakes import print_usage_error  # noqa: PLC0415 - only needed after a mistake

        print_usage_error(error)
        return error.exit_code


def _exit_code(error: ThumbsmithError) -> int:
    """Return 1 if a retry may help, or if the error is about one object only; else 2."""
    one_object = isinstance(error, StoreError) and error.one_object
    return 1 if (error.transient or one_object) and not isinstance(error, NotIsolated) else 2


def _open_standard_streams() -> None:
    """Connect each closed standard stream to the null device. Else the next file opened would take its descriptor."""
    for fd, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(fd)
        except OSError:
            null = os.open(os.devnull, os.O_RDWR)
            if null != fd:
                os.dup2(null, fd)
                os.close(null)
        if getattr(sys, name) is None:
            setattr(sys, name, open(fd, mode, encoding="utf-8", closefd=False))  # noqa: SIM115 - stays open


def _escape_unencodable() -> None:
    """Escape characters that the encoding of the output does not have, instead of failing on them."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _print_error(sentence: str) -> None:
    from thumbsmith.cli.wording import printable  # noqa: PLC0415 - only needed after a failure

    with contextlib.suppress(OSError):
        print(f"thumbsmith: {printable(sentence)}", file=sys.stderr, flush=True)  # noqa: T201 - the one error message


def _can_print() -> bool:
    """Return whether standard output accepts its remaining data."""
    try:
        sys.stdout.flush()
    except OSError:
        return False
    return True


def _discard_unwritable() -> None:
    """Send unwritable data of the streams to the null device. Else the interpreter would report it again at exit."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
