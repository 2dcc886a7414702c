"""Each restriction of the sandbox holds for the code of a function that runs in it."""

import errno
import signal
from typing import Any

import pytest

from tests.cloud.restrictions import CONFINING, GROUP, KINDS, OPEN_FILES, USER
from tests.cloud.sandbox import sandbox, why_no_sandbox
from tests.servers.fixtures import needs_servers

REASON = why_no_sandbox()
pytestmark = [needs_servers, pytest.mark.skipif(bool(REASON), reason=str(REASON))]

PR_SET_NAME = 15
PROBE = """
import ctypes, mmap, os, platform, resource

LIBC = ctypes.CDLL(None, use_errno=True)
SECCOMP = {"x86_64": 317, "aarch64": 277}[platform.machine()]
FOREIGN = bytes([0xB8, 20, 0, 0, 0, 0xCD, 0x80, 0xC3])  # x86: getpid as a 32-bit program calls it, and return

def handler(event, context):
    return {
        "user": [os.getuid(), os.getgid(), os.getgroups()],
        "files": list(resource.getrlimit(resource.RLIMIT_NOFILE)),
        "shared memory": os.path.exists("/dev/shm"),
        "written": {folder: written(folder) for folder in event["folders"]},
        "prctl": {option: ended(lambda: LIBC.prctl(option, 1, 0, 0, 0)) for option in event["options"]},
        "seccomp": ended(lambda: LIBC.syscall(SECCOMP, 0, 0, None)),
        "foreign": ended(foreign) if platform.machine() == "x86_64" else None,
    }

def written(folder):
    path = f"{folder}/probe"
    try:
        open(path, "w").close()
    except OSError as error:
        return error.errno
    os.remove(path)
    return 0

def ended(call):
    child = os.fork()
    if child == 0:
        os._exit(ctypes.get_errno() if call() != 0 else 0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

def foreign():
    memory = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    memory.write(FOREIGN)
    ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(memory)))()
    return 0
"""


@pytest.fixture(scope="module", params=KINDS)
def probed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return what a function finds in a sandbox of each kind."""
    folder = tmp_path_factory.mktemp("probe") / "code"
    folder.mkdir()
    (folder / "probe.py").write_text(PROBE)
    event = {"folders": ["/", "/tmp", "/dev", str(folder)], "options": [PR_SET_NAME, *CONFINING]}
    log = folder.parent / "log"
    with sandbox(folder, "probe.handler", 512, {}, log, kind=request.param) as running:
        found = running.invoke(event)[0]
        return found | {"kind": request.param, "code": str(folder), "log": log.read_text()}


def test_calls_that_confine_a_process_fail_or_kill(probed: dict[str, Any]):
    """Calls with which a process confines itself fail with EPERM or end the process; other prctl calls fail."""
    expected = errno.EPERM if probed["kind"] == "refuses" else -signal.SIGSYS
    assert probed["prctl"] == {str(PR_SET_NAME): errno.EPERM} | dict.fromkeys(map(str, CONFINING), expected)
    assert probed["seccomp"] == expected


def test_calls_of_another_architecture_kill(probed: dict[str, Any]):
    """A 32-bit call on x86-64 ends the process: through the filter, or because the kernel does not have it."""
    assert probed["foreign"] in {None, -signal.SIGSYS, -signal.SIGSEGV}


def test_the_user_has_no_privileges(probed: dict[str, Any]):
    """The function's user is not root, and has no other group."""
    if "restrictions: " in probed["log"]:
        assert probed["user"][0] != 0
    else:
        assert probed["user"] == [USER, GROUP, []]


def test_open_files_are_limited(probed: dict[str, Any]):
    """The function can open as many files as on Lambda, and cannot raise the limit."""
    assert probed["files"] == [OPEN_FILES, OPEN_FILES]


def test_only_the_temporary_folder_is_writable(probed: dict[str, Any]):
    """The root, /dev and the function's own code are read-only; /tmp is writable; there is no /dev/shm."""
    if "restrictions: " in probed["log"]:
        pytest.skip(probed["log"].partition("restrictions: ")[2].partition("\n")[0])
    assert probed["written"] == {"/": errno.EROFS, "/tmp": 0, "/dev": errno.EROFS, probed["code"]: errno.EROFS}
    assert not probed["shared memory"]
