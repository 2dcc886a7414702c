"""Workers in programs that are no plain Python: embedded, frozen, with other signals, with few descriptors left."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from thumbsmith.reader import BytesReader
from thumbsmith.worker import Workers

from ..pictures import picture
from .pictures import SMALL
from .processes import Watch, linux

ROOT = Path(__file__).parents[2]


@pytest.fixture
def watch() -> Watch:
    """Give the processes that a test starts."""
    return Watch()


# Makes a thumbnail by a worker, in a program that first runs the code of a test; tells what came of it.
HOST = """
import os, sys
{first}
from io import BytesIO
from PIL import Image
from thumbsmith.errors import ThumbsmithError
from thumbsmith.reader import BytesReader
from thumbsmith.recipe import Recipe
from thumbsmith.worker import Workers
file = BytesIO()
Image.new("RGB", (60, 40), "red").save(file, "PNG")
recipe = Recipe.loads("[variants.a]\\nwidth = 6")
with Workers(1) as workers:
    try:
        {then}
        made = workers.render(BytesReader(file.getvalue()), recipe)
        print("made", *[each.name for each in made.renditions])
    except ThumbsmithError as problem:
        print(type(problem).__name__, problem)
"""


def _told(first: str, then: str = "pass", *, python: str = sys.executable, **environment: str) -> str:
    """Return the last line that such a program prints."""
    code = HOST.format(first=first, then=then)
    env = {"PATH": os.environ["PATH"], **environment}
    done = subprocess.run([python, "-c", code], env=env, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize(
    "executable",
    ["'/usr/sbin/httpd'", "'/usr/bin/true'", "'/nonexistent/python3'", "''", "None", "'python'"],
)
def test_a_host_whose_executable_is_no_interpreter(executable: str):
    """`sys.executable` of uWSGI, mod_wsgi and other embedding programs is not run; the real interpreter is found."""
    assert _told(f"sys.executable = sys._base_executable = {executable}") == "made a.webp"


def test_another_interpreter_is_not_taken(tmp_path: Path):
    """A file that is called python and is another version is skipped."""
    other = tmp_path / "python3"
    other.write_text("#!/bin/sh\necho cpython-27 0\n")
    other.chmod(0o755)
    assert _told(f"sys.executable = {str(other)!r}") == "made a.webp"


LOST = "sys.frozen = True; sys.executable = '/opt/app/photos'; sys._base_executable = None\n" + "\n".join(
    f"sys.{name} = '/opt/app'" for name in ("prefix", "exec_prefix", "base_prefix", "base_exec_prefix")
)


def test_a_frozen_host_learns_what_to_set():
    """A program without an interpreter is never started again for a worker: one sentence names the setting."""
    told = _told(LOST)
    assert told.startswith("WorkerError no interpreter was found that can run workers (sys.executable is '/opt/app/")
    assert f"set THUMBSMITH_PYTHON to the path of Python 3.{sys.version_info.minor}" in told
    assert _told(LOST, THUMBSMITH_PYTHON=sys.executable) == "made a.webp"


def test_a_setting_that_is_no_interpreter_is_an_error():
    """THUMBSMITH_PYTHON is checked, and an unusable value is an error."""
    for wrong in ("/nonexistent/python", "/bin/true", "/"):
        told = _told("", THUMBSMITH_PYTHON=wrong)
        assert told.startswith(f"WorkerError THUMBSMITH_PYTHON is '{wrong}', which is not an interpreter"), told


def test_modules_are_not_looked_for_in_the_current_folder(tmp_path: Path):
    """A program that was started with -c and changed to a folder of uploads runs no code from there."""
    (tmp_path / "pi_heif.py").write_text("import os; os._exit(9)")
    (tmp_path / "PIL.py").write_text("import os; os._exit(9)")
    assert _told("", f"os.chdir({str(tmp_path)!r})") == "made a.webp"


def test_a_broken_installation_is_reported(tmp_path: Path):
    """Where a worker cannot import a module, the message says so, and not that a process was killed."""
    shutil.copytree(ROOT / "src" / "thumbsmith", tmp_path / "thumbsmith", ignore=shutil.ignore_patterns("__pycache__"))
    for source in ("worker/template.py", "worker/child.py"):
        (tmp_path / "thumbsmith" / source).write_text("import no_such_module")
        told = _told(f"sys.path.insert(0, {str(tmp_path)!r})")
        assert told.startswith("WorkerError the worker process could not start: ModuleNotFoundError"), told


@pytest.mark.parametrize(
    "first",
    [
        "import signal; signal.signal(signal.SIGCHLD, signal.SIG_IGN)",
        "import signal; [signal.signal(n, signal.SIG_IGN) for n in (signal.SIGPIPE, signal.SIGXCPU, signal.SIGTERM)]",
        "import signal; signal.pthread_sigmask(signal.SIG_SETMASK, signal.valid_signals())",
        "import os; os.umask(0o777)",
        "import os; [os.close(n) for n in (0, 2)]",
        "import gc; gc.disable()",
        "import warnings; warnings.simplefilter('error')",
        "import multiprocessing; multiprocessing.current_process()._config['daemon'] = True",
    ],
)
def test_a_host_with_other_settings(first: str):
    """A worker does not inherit ignored or blocked signals, closed standard streams, or similar settings."""
    assert _told(first) == "made a.webp"


@linux
def test_no_signal_is_ignored_or_blocked_in_a_worker(watch: Watch):
    """A worker handles signals that the host ignores or blocks: SIGCHLD and SIGXCPU report the end of a child."""
    numbers = (signal.SIGCHLD, signal.SIGXCPU, signal.SIGTERM)
    before = {number: signal.signal(number, signal.SIG_IGN) for number in numbers}
    masked = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    try:
        with Workers(1) as workers:
            workers.render(BytesReader(picture()), SMALL)
            status = Path(f"/proc/{watch.templates()[0]}/status").read_text()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, masked)
        for number, handler in before.items():
            signal.signal(number, handler)
    masks = dict(line.split(":\t") for line in status.splitlines() if line.startswith(("SigIgn", "SigBlk")))
    assert len(masks) == 2
    ours = sum(1 << number - 1 for number in numbers)
    assert not any(int(mask, 16) & ours for mask in masks.values()), masks


@pytest.mark.parametrize("left", range(6))
def test_few_descriptors_are_a_sentence(left: int):
    """With 0 to 5 descriptors left the result is a thumbnail or one WorkerError, and no other exception."""
    first = "import resource, PIL.PngImagePlugin, thumbsmith.worker.pool, thumbsmith.image.render"
    held = (
        f"resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64)); held = [os.open('/dev/null', 0) for _ in range(3)]\n"
        f"        try:\n            while True: held.append(os.dup(0))\n        except OSError: pass\n"
        f"        [os.close(held.pop()) for _ in range({left})]"
    )
    told = _told(first, held)
    assert told == "made a.webp" or told.startswith("WorkerError no worker process can be"), told
    assert left or told != "made a.webp"


@linux
@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another user, to whom limits apply")
@pytest.mark.parametrize("processes", [0, 1, 2])
def test_few_processes_are_a_sentence(processes: int):
    """A user who may start no process, or none for the child, gets one WorkerError."""
    first = "import resource, PIL.PngImagePlugin, thumbsmith.worker.pool, thumbsmith.image.render"
    user = 40_000 + os.getpid() % 10_000
    limit = (
        f"resource.setrlimit(resource.RLIMIT_NPROC, ({processes}, {processes})); os.setgroups([]); "
        f"os.setresgid({user}, {user}, {user}); os.setresuid({user}, {user}, {user})"
    )
    told = _told(first, limit)
    assert told.startswith("WorkerError "), told
    assert "\n" not in told
