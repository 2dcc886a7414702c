"""Starting the interpreter that becomes a template. This module imports little: a program may run it first.

In an embedding host `sys.executable` is another program or empty, so the interpreter is searched for.
"""

from __future__ import annotations

import errno
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from typing import Final

from thumbsmith.environment import Setting, worker_environment
from thumbsmith.errors import WorkerError

# Without modules of the current folder or of the user, and without site: Popen passes the folders to import from.
# Not -I, which ignores PYTHONHOME as well.
INTERPRETER_FLAGS: Final = ("-s", "-P", "-S")

# What the interpreter runs: a template, or one frame (wire.py) with the error that prevents it. The imported modules
# live as long as the process, so garbage collection is off while they are imported.
BOOT_CODE: Final = """
import gc, sys
gc.disable()
sys.path[:] = sys.argv[1:] or sys.path
try:
    from thumbsmith.worker.template import main
except Exception as problem:
    import json, os
    frame = {"kind": "failed", "fields": {"detail": f"{type(problem).__name__}: {problem}"}, "blobs": []}
    header = json.dumps(frame).encode()
    os.write(0, len(header).to_bytes(4, "big") + header)
else:
    main()
"""

# What must be equal in two interpreters that load the same compiled modules: version, build flags, size of a pointer.
IDENTITY_CODE: Final = "import sys; print(sys.implementation.cache_tag, sys.abiflags, sys.maxsize)"

# Far more than an interpreter needs to start.
IDENTITY_TIMEOUT_SECONDS: Final = 60.0

# The folder that this package was imported from, without pathlib, which would load before the worker starts.
_MODULE: Final = os.path.abspath(__file__)  # noqa: PTH100 - as above
PACKAGE_ROOT: Final = os.path.dirname(os.path.dirname(os.path.dirname(_MODULE)))  # noqa: PTH120 - as above

# Interpreters found before, by the setting and `sys.executable`.
_interpreters: Final[dict[tuple[str | None, str | None], str]] = {}


class Launched:
    """A process that starts to become a template, and `control`, the socket to it."""

    def __init__(self) -> None:
        """Start it: without environment, files or terminal, in its own session. Raises WorkerError."""
        try:
            self.control, theirs = socket.socketpair()
            with theirs:
                try:
                    self.process = _start(theirs)
                except BaseException:
                    self.control.close()
                    raise
        except (OSError, MemoryError, RuntimeError) as problem:  # RuntimeError: this process is ending
            raise WorkerError(f"no worker process can be started: {problem or 'out of memory'}") from problem


def _start(control: socket.socket) -> subprocess.Popen[bytes]:
    """Start an interpreter that imports from the same folders as this one, without site and user configuration.

    The modules of a frozen program are inside its file, so its workers import those of their interpreter.
    """
    frozen = getattr(sys, "frozen", False)
    flags = [flag for flag in INTERPRETER_FLAGS if not (frozen and flag == "-S")]
    # Only workers import some of the modules: without cached bytecode they compile them at each start, 0.1 s.
    flags += ["-B"] if sys.dont_write_bytecode else []
    command = [interpreter(), *flags, "-c", BOOT_CODE, *(() if frozen else _import_path())]

    def started(*, new_session: bool) -> subprocess.Popen[bytes]:
        return subprocess.Popen(  # noqa: S603 - an interpreter like this one, and no input from outside
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
    """Return `sys.path` for a worker, with the folder of this package in place of the current folder.

    An empty entry means the current folder. The program may have changed it to one that others can write to.
    """
    entries = [entry for entry in sys.path if isinstance(entry, str)]
    path = [os.path.abspath(entry) if entry else PACKAGE_ROOT for entry in entries]  # noqa: PTH100 - pathlib loads slowly
    return path if PACKAGE_ROOT in path else [*path, PACKAGE_ROOT]


def interpreter() -> str:
    """Return the path of an interpreter like this one. Raises WorkerError where none is found, or the setting is wrong.

    THUMBSMITH_PYTHON comes first, then `sys.executable`, then the folders where this installation keeps its programs.
    Except for the setting, only files with the name of an interpreter are run: a frozen program would start itself.
    """
    setting = Setting.PYTHON.read()
    known = (setting, sys.executable)
    if known not in _interpreters:
        _interpreters[known] = _find_interpreter(setting)
    return _interpreters[known]


def _find_interpreter(setting: str | None) -> str:
    version = f"Python {sys.version_info.major}.{sys.version_info.minor}"
    if setting:
        if _is_compatible(setting):
            return setting
        raise WorkerError(f"{Setting.PYTHON} is {setting!r}, which is not an interpreter of {version} like this one")
    for path in _candidates():
        if _is_this_program(path) or _is_compatible(path):
            return path
    raise WorkerError(
        f"no interpreter was found that can run workers (sys.executable is {sys.executable!r}): "
        f"set {Setting.PYTHON} to the path of {version}"
    )


def _candidates() -> Iterator[str]:
    """Yield the paths of files with the names of interpreters, the most likely first."""
    for program in (sys.executable, getattr(sys, "_base_executable", None)):
        if program and _is_named_python(program):
            yield os.path.abspath(program)  # noqa: PTH100 - as above
    names = (f"python{sys.version_info.major}.{sys.version_info.minor}{sys.abiflags}", "python3", "python")
    for prefix in dict.fromkeys((sys.prefix, sys.exec_prefix, sys.base_prefix, sys.base_exec_prefix)):
        yield from (f"{prefix}/bin/{name}" for name in names)


def _is_named_python(path: str) -> bool:
    """Return whether a file has the name of a Python: python, python3.11, python3.13t, pypy and similar names."""
    name = os.path.basename(path).lower()  # noqa: PTH119 - as above
    rest = name.removeprefix("python").removeprefix("pypy")
    return rest != name and rest.rstrip("dmtu").replace(".", "").isdecimal() | (rest == "")


def _is_this_program(path: str) -> bool:
    """Return whether this process runs the file: proc(5), Linux only."""
    try:
        return os.path.samefile("/proc/self/exe", path)  # noqa: PTH121 - as above
    except OSError:
        return False


def _is_compatible(path: str) -> bool:
    """Run a program; return whether it is an interpreter of the same version and build."""
    try:
        done = subprocess.run(  # noqa: S603 - named in the environment, or an interpreter of this installation
            [path, *INTERPRETER_FLAGS, "-c", IDENTITY_CODE],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=worker_environment(),
            cwd="/",
            timeout=IDENTITY_TIMEOUT_SECONDS,
            check=False,
        )
    except (FileNotFoundError, NotADirectoryError, PermissionError, subprocess.SubprocessError):
        return False
    ours = f"{sys.implementation.cache_tag} {sys.abiflags} {sys.maxsize}"
    return done.stdout.decode(errors="replace").strip() == ours
