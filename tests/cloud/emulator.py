"""A cloud on this machine: an emulator of AWS, and the commands that deploy to it."""

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from botocore.client import BaseClient
from botocore.session import get_session

from tests.cloud import local_app
from tests.servers import processes

T = TypeVar("T")

ROOT = Path(__file__).parents[2]
ACCOUNT, REGION = "000000000000", "us-east-1"
APP = f"{sys.executable} -m tests.cloud.local_app"
SECONDS_A_COMMAND = 300


@dataclass(frozen=True)
class Cloud:
    """One emulator. Commands run in `folder`, and write their files there."""

    address: str
    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        """Return the environment of a program that uses the emulator, and cannot reach AWS."""
        ours = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        return (
            ours
            | processes.KEYS
            | {
                "AWS_ENDPOINT_URL": self.address,
                "AWS_REGION": REGION,
                "AWS_DEFAULT_REGION": REGION,
                "AWS_CONFIG_FILE": os.devnull,
                "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
                "AWS_EC2_METADATA_DISABLED": "true",
                "CDK_HOME": str(self.folder / "cdk"),  # the cache of access keys and their accounts
                "PYTHONPATH": str(ROOT),
            }
        )

    def thumbsmith(self, *arguments: str) -> str:
        """Run `thumbsmith ARGUMENTS`; return its output. Raises AssertionError if it fails."""
        command = [sys.executable, "-m", "thumbsmith", *arguments]
        done = subprocess.run(
            command,
            check=False,
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=SECONDS_A_COMMAND,
        )
        assert done.returncode == 0, f"{command} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def bootstrap(self) -> None:
        """Prepare the account for deployments. Meanwhile the code of the functions is built, which takes as long."""
        with ThreadPoolExecutor(1) as threads:
            building = threads.submit(local_app.code)
            self.thumbsmith("aws", "bootstrap", f"aws://{ACCOUNT}/{REGION}")
            building.result()

    def deploy(self, **settings: object) -> dict[str, str]:
        """Deploy the app with these settings, or update it; return the stack's outputs."""
        outputs = self.folder / "outputs.json"
        self.thumbsmith("aws", "deploy", *self.app(settings), "--require-approval", "never", "-O", str(outputs))
        return json.loads(outputs.read_text())[str(settings.get("stack", "Thumbsmith"))]

    def destroy(self, **settings: object) -> None:
        """Destroy the stack with these settings."""
        self.thumbsmith("aws", "destroy", *self.app(settings), "--force")

    def app(self, settings: dict[str, Any]) -> list[str]:
        """Return the arguments for the local app with these settings."""
        context = {"code": local_app.code(), "cli_credentials": "true", "keep": "false", **settings}
        return ["--app", APP, *(word for name, value in context.items() for word in ("-c", f"{name}={value}"))]

    def client(self, service: str, **credentials: str) -> BaseClient:
        """Return a client of a service, with the account owner's credentials or these."""
        given = credentials or {
            "aws_access_key_id": processes.KEYS["AWS_ACCESS_KEY_ID"],
            "aws_secret_access_key": processes.SECRET,
        }
        return get_session().create_client(service, region_name=REGION, endpoint_url=self.address, **given)


@contextlib.contextmanager
def cloud(folder: Path) -> Iterator[Cloud]:
    """Run an emulator until the end of the block."""
    with processes.ministack(as_cloud=True) as address:
        yield Cloud(address, folder)


def eventually(look: Callable[[], T], seconds: float = 180, every: float = 0.1) -> T:
    """Call `look` every `every` seconds until it returns a true value; return that.

    Raises AssertionError after `seconds`.
    """
    end = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < end, f"not within {seconds} seconds"
        time.sleep(every)
    return found
