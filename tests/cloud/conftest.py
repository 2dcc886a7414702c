"""Fixtures for the cloud tests: a cloud, unique keys, and the code and environment of a function in a sandbox."""

import os
import secrets
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.cloud.bucket import BUCKET, SOURCES, THUMBNAILS, client
from tests.servers.processes import KEYS

if TYPE_CHECKING:
    from tests.cloud.emulator import Cloud

# The variable for a folder with code that was built elsewhere, for a machine without CDK and registries.
CODE = "THUMBSMITH_FUNCTION_CODE"


@pytest.fixture(scope="module")
def where(tmp_path_factory: pytest.TempPathFactory) -> Iterator["Cloud"]:
    """Return a cloud, ready for deployments."""
    from tests.cloud.emulator import cloud  # noqa: PLC0415 - loads CDK

    with cloud(tmp_path_factory.mktemp("cloud")) as made:
        made.bootstrap()
        yield made


@pytest.fixture
def key() -> str:
    """Return a key that no other test uses."""
    return f"photos/{secrets.token_hex(6)}.jpg"


@pytest.fixture(scope="session")
def code(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder with the function's code, unpacked from the deployed zip."""
    if CODE in os.environ:
        return Path(os.environ[CODE])
    from tests.cloud import local_app  # noqa: PLC0415 - loads CDK
    from thumbsmith.cdk import packaging  # noqa: PLC0415 - likewise

    folder = tmp_path_factory.mktemp("function") / "code"
    with zipfile.ZipFile(local_app.code() / f"{packaging.CONVERGING.name}.zip") as archive:
        archive.extractall(folder)
    return folder


@pytest.fixture(scope="session")
def environment(ministack_address: str) -> dict[str, str]:
    """Return the variables of a function in a sandbox, and make its bucket."""
    where = {"AWS_ENDPOINT_URL": ministack_address, "AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "us-east-1"}
    client(ministack_address).create_bucket(Bucket=BUCKET)
    places = {"THUMBSMITH_SOURCE": f"s3://{BUCKET}/{SOURCES}", "THUMBSMITH_DESTINATION": f"s3://{BUCKET}/{THUMBNAILS}"}
    return {**KEYS, **where, **places}
