"""Which Python interpreter runs a worker: in an embedding host `sys.executable` is another program, or nothing.

Starting the interpreter that becomes a template. A program may do it first: little is loaded for it.
"""

from __future__ import annotations

import errno
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from typing import Final

from thumbsmith.environment import PYTHON, python_setting, worker_environment
from thumbsmith.errors import WorkerError

# What must be equal in two interpreters that load the same compiled modules: version, build flags, size of a pointer.
IDENTITY: Final = "import sys; print(sys.implementation.cache_tag, sys.abiflags, sys.maxsize)"

# Without modules of the current folder or of the user, and without site: Popen gets the folders to import from.
# Not -I, which ignores PYTHONHOME as well.
FLAGS: Final = ("-s", "-P", "-S")

# Far more than an interpreter takes to start.
SECONDS: Final = 60.0

# Found before, by what it was found from.
_found: Final[dict[tuple[str | None, str | None], str]] = {}


def interpreter() -> str:
    """Return the path of an interpreter like this one. Raises WorkerError where there is none, or the setting is wrong.

    THUMBSMITH_PYTHON comes first, then `sys.executable`, then the places where this installation keeps its programs.
    Nothing but the setting is run that is not named as interpreters are: a frozen program would start itself again.
    """
    setting = python_setting()
    known = (setting, sys.executable)
    if known not in _found:
        _found[known] = _searched(setting)
    return _found[known]


def _searched(setting: str | None) -> str:
    version = f"Python {sys.version_info.major}.{sys.version_info.minor}"
    if setting:
        if _is_alike(setting):
            return setting
        raise WorkerError(f"{PYTHON} is {setting!r}, which is not an interpreter of {version} like this one")
    for path in _candidates():
        if _is_running(path) or _is_alike(path):
            return path
    raise WorkerError(
        f"no interpreter was found that can run workers (sys.executable is {sys.executable!r}): "
        f"set {PYTHON} to the path of {version}"
    )


def _candidates() -> Iterator[str]:
    """Yield the paths of files that are named as interpreters, the likeliest first."""
    for told in (sys.executable, getattr(sys, "_base_executable", None)):
        if told and _is_named_python(told):
            yield os.path.abspath(told)  # noqa: PTH100 - pathlib is loaded in the meantime
    names = (f"python{sys.version_info.major}.{sys.version_info.minor}{sys.abiflags}", "python3", "python")
    for prefix in dict.fromkeys((sys.prefix, sys.exec_prefix, sys.base_prefix, sys.base_exec_prefix)):
        yield from (f"{prefix}/bin/{name}" for name in names)


def _is_named_python(path: str) -> bool:
    """Return whether a file is called python, python3.11, python3.13t or the like, or pypy."""
    name = os.path.basename(path).lower()  # noqa: PTH119 - as above
    rest = name.removeprefix("python").removeprefix("pypy")
    return rest != name and rest.rstrip("dmtu").replace(".", "").isdecimal() | (rest == "")


def _is_running(path: str) -> bool:
    """Return whether a file is the program of this very process: proc(5), Linux only."""
    try:
        return os.path.samefile("/proc/self/exe", path)  # noqa: PTH121 - as above
    except OSError:
        return False


def _is_alike(path: str) -> bool:
    """Return whether a program is an interpreter of the same version and build: it is run once, and tells."""
    try:
        done = subprocess.run(  # noqa: S603 - named in the environment, or an interpreter of this installation
            [path, *FLAGS, "-c", IDENTITY],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=worker_environment(),
            cwd="/",
            timeout=SECONDS,
            check=False,
        )
    except (FileNotFoundError, NotADirectoryError, PermissionError, subprocess.SubprocessError):
        return False
    ours = f"{sys.implementation.cache_tag} {sys.abiflags} {sys.maxsize}"
    return done.stdout.decode(errors="replace").strip() == ours


# What it runs: a template, or one frame (wire.py) that tells why there is none. Garbage is not collected among what it
# imports: all of it stays.
BOOT: Final = """
import gc, sys
gc.disable()
sys.path[:] = sys.argv[1:] or sys.path
try:
    from thumbsmith.worker.template import main
except Exception as problem:
    import json, os
    told = {"word": "failed", "fields": {"detail": f"{type(problem).__name__}: {problem}"}, "blobs": []}
    header = json.dumps(told).encode()
    os.write(0, len(header).to_bytes(4, "big") + header)
else:
    main()
"""

# The folder that this package was imported from.
HOME: Final = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))  # noqa: PTH100, PTH120


class Launched:
    """A process that is on its way to being a template, and `control`, the socket to it."""

    def __init__(self) -> None:
        """Start it: without environment, files or terminal, in a session of its own. Raises WorkerError."""
        try:
            self.control, theirs = socket.socketpair()
            with theirs:
                try:
                    self.process = _start(theirs)
                except BaseException:
                    self.control.close()
                    raise
        except (OSError, MemoryError, RuntimeError) as problem:  # the last: this process is ending
            raise WorkerError(f"no worker process can be started: {problem or 'out of memory'}") from problem


def _start(control: socket.socket) -> subprocess.Popen[bytes]:
    """Start an interpreter that imports from where this one does, and reads neither site nor user configuration.

    The modules of a frozen program are within its own file: its workers have those of the interpreter that was named.
    """
    frozen = getattr(sys, "frozen", False)
    flags = [flag for flag in FLAGS if not (frozen and flag == "-S")]
    # Some of its modules nobody else imports: who never keeps their bytecode compiles them at each start, 0.1 s.
    flags += ["-B"] if sys.dont_write_bytecode else []
    command = [interpreter(), *flags, "-c", BOOT, *(() if frozen else _import_path())]

    def started(*, new_session: bool) -> subprocess.Popen[bytes]:
        return subprocess.Popen(  # noqa: S603 - an interpreter like this one, and nothing from outside
            command,
            stdin=control.fileno(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=worker_environment(),
            cwd="/",
            start_new_session=new_session,
        )

    try:
        return started(new_session=True)
    except OSError as problem:
        if problem.errno not in (errno.EPERM, errno.ENOSYS):
            raise
        return started(new_session=False)  # a sandbox may refuse setsid(2): then Ctrl-C reaches workers too


def _import_path() -> list[str]:
    """Return where a worker imports from: `sys.path`, with the folder of this package in place of the current folder.

    An empty entry means the current folder, which the program may have changed to one that others write to.
    """
    entries = [entry for entry in sys.path if isinstance(entry, str)]
    path = [os.path.abspath(entry) if entry else HOME for entry in entries]  # noqa: PTH100 - pathlib is loaded later
    return path if HOME in path else [*path, HOME]
