"""Fixtures: a bucket on each server, and an environment in which no other server can be reached."""

import base64
import os
import secrets
from collections.abc import Iterator
from functools import cache
from typing import Any

import botocore.session
import pytest

from tests.servers import processes
from tests.servers.scripted import Scripted, scripted
from thumbsmith.environment import CLOUD_PREFIXES
from thumbsmith.store.azure import VERSION
from thumbsmith.store.azure_account import AzureAccount
from thumbsmith.store.cloud import connection_pool
from thumbsmith.store.s3_connections import Request

needs_servers = pytest.mark.skipif(
    not (processes.PROGRAMS / "weed").exists(), reason="no S3 servers to test against: run `make .venv/servers`"
)


needs_azurite = pytest.mark.skipif(
    not processes.AZURITE.exists(), reason="no server of Azure to test against: run `make .venv/azurite`"
)


@pytest.fixture(scope="session", autouse=True)
def aws_environment() -> Iterator[None]:
    """Remove all settings of clouds: no test can reach an account, or use its credentials."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(("AWS_", *CLOUD_PREFIXES))]:
            patch.delenv(name)
        for name, value in processes.KEYS.items():
            patch.setenv(name, value)
        patch.setenv("AWS_REGION", "us-east-1")
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        patch.setenv("AWS_CONFIG_FILE", os.devnull)
        patch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
        patch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")  # where nothing listens: each test names its own server
        yield


@pytest.fixture(scope="session")
def ministack_address() -> Iterator[str]:
    """Return the address of a ministack that runs for the session."""
    with processes.ministack() as address:
        yield address


@pytest.fixture(scope="session")
def seaweedfs_address() -> Iterator[str]:
    """Return the address of a SeaweedFS that runs for the session."""
    with processes.seaweedfs() as address:
        yield address


@pytest.fixture(scope="session")
def azurite_connection() -> Iterator[str]:
    """Return the connection string of an account on an Azurite that runs for the session."""
    name, key = "testaccount", base64.b64encode(secrets.token_bytes(64)).decode()
    with processes.azurite(name, key) as address:
        protocol = "DefaultEndpointsProtocol=http"
        yield f"{protocol};AccountName={name};AccountKey={key};BlobEndpoint={address}"


@pytest.fixture
def azurite(azurite_connection: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return az:// and a new container on Azurite, at AZURE_STORAGE_CONNECTION_STRING."""
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", azurite_connection)
    name = f"test-{secrets.token_hex(6)}"
    account = AzureAccount.of({"AZURE_STORAGE_CONNECTION_STRING": azurite_connection})
    asked = Request(
        method="PUT", host=account.host, path=f"{account.path}/{name}", query="", headers={"x-ms-version": VERSION}
    )
    request, headers = account.authorize(asked, {"restype": "container"})
    answer = connection_pool(account.endpoint).send(request, {**headers, "host": request.host})
    assert answer.status == 201, answer.read()
    answer.close()
    return f"az://{name}"


@pytest.fixture
def gcs(seaweedfs: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return gs:// and a new bucket on SeaweedFS, which checks signatures as Google Cloud Storage does."""
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", os.environ["AWS_ENDPOINT_URL"])
    monkeypatch.setenv("GS_ACCESS_KEY_ID", processes.KEYS["AWS_ACCESS_KEY_ID"])
    monkeypatch.setenv("GS_SECRET_ACCESS_KEY", processes.KEYS["AWS_SECRET_ACCESS_KEY"])
    return seaweedfs.replace("s3://", "gs://")


@pytest.fixture
def ministack(ministack_address: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return s3:// and a new bucket on ministack, at AWS_ENDPOINT_URL."""
    return fresh_bucket(ministack_address, monkeypatch)


@pytest.fixture
def seaweedfs(seaweedfs_address: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return s3:// and a new bucket on SeaweedFS, at AWS_ENDPOINT_URL."""
    return fresh_bucket(seaweedfs_address, monkeypatch)


@pytest.fixture(params=["ministack", "seaweedfs"])
def either_server(request: pytest.FixtureRequest) -> str:
    """Return s3:// and a new bucket, on each server."""
    return request.getfixturevalue(request.param)


def fresh_bucket(address: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Create a bucket at this address, set AWS_ENDPOINT_URL to it, and return s3:// and its name."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", address)
    name = f"test-{secrets.token_hex(6)}"
    administrator().create_bucket(Bucket=name)
    return f"s3://{name}"


def administrator() -> Any:
    """Return a client of botocore at AWS_ENDPOINT_URL, for operations that stores do not have."""
    return _client(os.environ["AWS_ENDPOINT_URL"])


@cache
def _client(address: str) -> Any:
    """Return the client for an address. It is created once, as each takes a tenth of a second."""
    return botocore.session.Session().create_client("s3", region_name="us-east-1", endpoint_url=address)


@pytest.fixture(params=["direct", "botocore"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run a test with each transport: a setting that only botocore understands selects the second."""
    if request.param == "botocore":
        monkeypatch.setenv("AWS_RETRY_MODE", "standard")
    return str(request.param)


@pytest.fixture(scope="session")
def scripted_server() -> Iterator[Scripted]:
    """Return a server that runs for the session and sends scripted responses."""
    with scripted() as server:
        yield server


@pytest.fixture
def script(scripted_server: Scripted, monkeypatch: pytest.MonkeyPatch) -> Scripted:
    """Return a server at AWS_ENDPOINT_URL that sends the responses of a test."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", scripted_server.address)
    scripted_server.script()
    return scripted_server
