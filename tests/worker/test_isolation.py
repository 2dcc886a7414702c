"""The isolation layers of a system, and the handling of sources where one is missing."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cloud.restrictions import KINDS, ROOT
from thumbsmith.errors import NotIsolated, UsageError
from thumbsmith.worker import Workers, isolation
from thumbsmith.worker.isolation import LAYERS, Isolation, measure
from thumbsmith.worker.sandbox import FILTER, Step

from .processes import linux
from .sandbox import SANDBOX, capable

pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")

MEASURE = """
import json
from thumbsmith.worker.isolation import measure
found = measure()
print(json.dumps([sorted(found.refused), found.layers]))
"""

# What holds in a sandbox that refuses prctl(2) and seccomp(2): all that limits on resources give, and, where the kernel
# grants a user namespace, that no memory of the parent can be read.
WITHOUT_FILTER = {"environment", "files", "network", "writing", "cores", "cpu", "memory"}


def under(kind: str, *command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a command of this interpreter in a sandbox like that of Lambda."""
    words = [sys.executable, str(ROOT / "tests/cloud/restrictions.py"), kind, sys.executable, *command]
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT / "src"), **variables}
    done = subprocess.run(words, capture_output=True, text=True, timeout=300, env=environment, cwd="/tmp", check=False)
    if "Errno" in done.stderr and "restrictions" in done.stderr:
        pytest.skip(f"no such sandbox can be made here: {done.stderr.splitlines()[-1]}")
    return done


@linux
@pytest.mark.skipif(FILTER is None, reason="no filter of system calls is known for this machine")
def test_all_layers_hold_here():
    """On Linux every layer is active for a child of a worker, and no step is refused."""
    assert measure().refused == frozenset()
    with Workers(1) as workers:
        assert workers.layers() == dict.fromkeys(LAYERS, True)


@linux
@pytest.mark.parametrize("kind", KINDS)
def test_a_sandbox_that_refuses_or_kills_costs_only_those_layers(kind: str):
    """Where the kernel refuses prctl and seccomp, or kills the process that calls them, the other layers are active."""
    done = under(kind, "-c", MEASURE)
    assert done.returncode == 0, done.stderr
    refused, layers = json.loads(done.stdout)
    assert (
        {"parent_death", "no_new_rights", "filter"}
        <= set(refused)
        <= {
            "parent_death",
            "no_new_rights",
            "filter",
            "namespace",
        }
    )
    held = {name for name, is_active in layers.items() if is_active}
    assert held == WITHOUT_FILTER | ({"memory_of_others"} if "namespace" not in refused else set())


def test_a_step_that_ends_the_process_is_refused(monkeypatch: pytest.MonkeyPatch):
    """A step at which the system kills or stops the process, or fails, is refused; the others are granted."""

    def steps(*_: object) -> dict[str, Step]:
        def fail() -> None:
            raise PermissionError

        return {
            "first": lambda: None,
            "kills": lambda: os.kill(os.getpid(), signal.SIGKILL),
            "fails": fail,
            "hangs": lambda: time.sleep(600),
            "last": lambda: None,
        }

    monkeypatch.setattr(isolation, "steps", steps)
    monkeypatch.setattr(isolation, "LAYERS", {})
    assert measure(seconds=2.0) == Isolation(frozenset({"kills", "fails", "hangs"}), {})


def test_a_trial_that_the_system_ends_is_blocked(monkeypatch: pytest.MonkeyPatch):
    """A layer is active if the system kills the process that tries, and not if the trial never returns."""

    class Trial:
        def __init__(self, is_active: object) -> None:
            self.is_active = is_active

    tries = {
        "killed": Trial(lambda: os.kill(os.getpid(), signal.SIGSYS)),
        "open": Trial(lambda: False),
        "endless": Trial(lambda: time.sleep(600)),
        "blocked": Trial(lambda: True),
    }
    monkeypatch.setattr(isolation, "steps", lambda *_: {})
    monkeypatch.setattr(isolation, "LAYERS", tries)
    held = {"killed": True, "open": False, "endless": False, "blocked": True}
    assert measure(seconds=2.0).layers == held


def test_workers_report_active_layers():
    """A worker process has measured the layers: the same as here, except for the environment."""
    with Workers(1) as workers:
        assert workers.layers() == {**measure().layers, "environment": True}


def test_required_isolation_is_refused_where_a_layer_is_missing(monkeypatch: pytest.MonkeyPatch):
    """With THUMBSMITH_ISOLATION=required nothing is handled without a layer, and the message names it."""
    monkeypatch.setenv("THUMBSMITH_ISOLATION", "required")
    monkeypatch.setattr(
        "thumbsmith.worker.processes.Template.layers", lambda _: dict.fromkeys(LAYERS, True) | {"files": False}
    )
    workers = Workers(1)
    for ask in (workers.start, workers.layers):
        with pytest.raises(NotIsolated, match="does not block opening files: no picture is handled"):
            ask()
    with pytest.raises(NotIsolated), workers:
        pass


@linux
@pytest.mark.parametrize("kind", KINDS)
def test_a_command_refuses_where_isolation_is_required(kind: str, tmp_path: Path):
    """In a sandbox without the filter `sync` names what is missing and makes nothing: exit code 2."""
    code = (
        "import os, sys; os.mkdir('/tmp/photos'); sys.argv = ['thumbsmith', 'sync', '/tmp/photos', '/tmp/thumbs'];"
        "from thumbsmith.cli import main; main()"
    )
    done = under(kind, "-c", code, THUMBSMITH_ISOLATION="required")
    assert done.returncode == 2
    assert "does not block starting programs" in done.stderr
    assert under(kind, "-c", code).returncode == 0


def test_an_unknown_value_is_one_sentence(monkeypatch: pytest.MonkeyPatch):
    """An unknown value is refused."""
    monkeypatch.setenv("THUMBSMITH_ISOLATION", "require")
    with pytest.raises(UsageError, match="THUMBSMITH_ISOLATION: expected 'required' or nothing, found 'require'"):
        Workers(1)


MAKE = """
import json, sys
from pathlib import Path
from thumbsmith import Recipe, render
from thumbsmith.reader import BytesReader
from thumbsmith.worker import Workers
data = Path(sys.argv[1]).read_bytes()
recipe = Recipe.default()
with Workers(1) as workers:
    same = [workers.render(BytesReader(data), recipe).renditions == render(data, recipe) for _ in range(2)]
    open_ones = [name for name, holds in workers.layers().items() if not holds]
    (template,) = workers._all
print(json.dumps([same, open_ones, Path(f"/proc/{template.pid}").exists()]))
"""

BY_FILTER = {"programs", "processes", "signals", "names"}
# A process that gave up its capabilities cannot read the memory of one that has some: root is protected by that alone.
WITHOUT_CAPABILITIES = set() if capable() else {"memory_of_others"}
BY_LIMITS = {"files", "network", "writing", "cores", "cpu", "memory"}


@linux
@pytest.mark.skipif(FILTER is None, reason="no filter of system calls is known for this machine")
@pytest.mark.parametrize(
    ("action", "calls", "missing"),
    [
        ("refuse", "seccomp", BY_FILTER),
        ("lack", "prctl,seccomp", BY_FILTER),
        ("refuse", "prctl,seccomp,unshare", BY_FILTER | WITHOUT_CAPABILITIES),
        ("refuse", "prctl,seccomp,unshare,capabilities", BY_FILTER | {"memory_of_others"}),
        ("kill", "prctl,seccomp,unshare,capabilities", BY_FILTER | {"memory_of_others"}),
        ("kill", "prctl,seccomp,unshare,process_vm_readv,ptrace", BY_FILTER),
        ("refuse", "prlimit64", BY_LIMITS - {"files", "network"}),
        ("refuse", "prlimit64,prctl,seccomp", BY_FILTER | BY_LIMITS),
        ("refuse", "setsid,kill", set()),
        ("lack", "setsid,kill,prctl,seccomp", BY_FILTER - {"signals"}),
    ],
)
def test_pictures_are_made_whatever_a_sandbox_refuses(action: str, calls: str, missing: set[str]):
    """Two sources give the same thumbnails as elsewhere, and exactly these layers are reported as missing.

    The filter alone blocks files and connections too, and CPU time and memory have no limit then.
    """
    picture = ROOT / "src/thumbsmith/samples/chelsea.jpg"
    command = [sys.executable, SANDBOX, action, calls, sys.executable, "-c", MAKE, str(picture)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    same, open_ones, is_left = json.loads(done.stdout)
    assert same == [True, True]
    assert not is_left
    assert set(open_ones) == missing


def test_a_layer_that_cannot_be_tried_is_not_active(monkeypatch: pytest.MonkeyPatch):
    """Only a signal means that the system does not allow the trial; an exception in our code does not."""

    class Trial:
        def __init__(self, is_active: object) -> None:
            self.is_active = is_active

    def fail() -> bool:
        raise PermissionError

    def mistake() -> bool:
        raise KeyError

    monkeypatch.setattr(isolation, "steps", lambda *_: {})
    monkeypatch.setattr(
        isolation, "LAYERS", {"fails": Trial(fail), "mistaken": Trial(mistake), "last": Trial(lambda: True)}
    )
    assert measure().layers == {"fails": False, "mistaken": False, "last": True}
