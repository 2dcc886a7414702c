"""The command line: one file a command, each thin over the same engine."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Callable

from thumbsmith.errors import NotIsolated, Stopped, StoreError, ThumbsmithError


def main() -> None:
    """Run the command that the arguments name and exit with its code.

    0: the destination agrees with the source. 1: something failed and may be tried again. 2: usage, recipe or refused.
    130: interrupted.
    """
    if sys.getfilesystemencoding() != "utf-8" and not sys.flags.utf8_mode:
        _run_again_in_utf8()
    from thumbsmith.cli.app import app  # noqa: PLC0415 - `import thumbsmith.cli` costs nothing until a command runs

    sys.exit(_run(app))


def _run_again_in_utf8() -> None:
    """Run this command in Python's UTF-8 mode instead: in another encoding, names of files would give wrong keys."""
    os.execv(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]])  # noqa: S606 - it is this very program


def _run(app: Callable[[], object]) -> int:
    """Run the command; return the exit code. Every error that the system reports becomes one sentence on stderr."""
    _open_standard_streams()
    _escape_unprintable()
    code = 0
    try:
        try:
            app()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(bool(end.code))
        sys.stdout.flush()
    except (KeyboardInterrupt, Stopped):
        code = 130
    except ThumbsmithError as error:
        again = error.transient or (isinstance(error, StoreError) and error.one_object)
        code = 1 if again and not isinstance(error, NotIsolated) else 2
        _tell(str(error))
    except BrokenPipeError:
        code = 1  # the reader has seen enough: there is nothing to say
    except OSError as error:
        code = 1
        where = error.filename or ("" if _can_print() else "standard output")
        _tell(": ".join(str(part) for part in (where, error.strerror or error) if part))
    except MemoryError:
        code = 1
        _tell("the system has not enough memory for this")
    _abandon_unwritable()
    return code


def _open_standard_streams() -> None:
    """Give the null device to each standard stream that is closed: else the next file opened would take its place."""
    for fd, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(fd)
        except OSError:
            null = os.open(os.devnull, os.O_RDWR)
            if null != fd:
                os.dup2(null, fd)
                os.close(null)
        if getattr(sys, name) is None:
            setattr(sys, name, open(fd, mode, encoding="utf-8", closefd=False))  # noqa: SIM115 - for good


def _escape_unprintable() -> None:
    """Have characters that the encoding of the output lacks escaped: they must not end the command."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _tell(sentence: str) -> None:
    from thumbsmith.cli.terminal import shown  # noqa: PLC0415 - only where something failed

    with contextlib.suppress(OSError):
        print(f"thumbsmith: {shown(sentence)}", file=sys.stderr, flush=True)  # noqa: T201 - errors become sentences here


def _can_print() -> bool:
    """Return whether standard output takes what is still to be written to it."""
    try:
        sys.stdout.flush()
    except OSError:
        return False
    return True


def _abandon_unwritable() -> None:
    """Send to the null device what a stream cannot write: the interpreter would report it again at its end."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
