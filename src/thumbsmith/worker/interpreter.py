"""Which Python interpreter runs a worker: in an embedding host `sys.executable` is another program, or nothing."""

from __future__ import annotations

import os
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
