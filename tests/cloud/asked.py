"""A deployed API, asked as AWS's tools ask it: each request signed, or signed wrongly, or not at all."""

import json
from typing import Any
from urllib.parse import urlsplit

import httpx
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.cloud.deployed import Deployed
from tests.cloud.emulator import REGION, Cloud
from tests.servers.processes import KEYS

OWNER = Credentials(KEYS["AWS_ACCESS_KEY_ID"], KEYS["AWS_SECRET_ACCESS_KEY"])


class Asked:
    """The API of a deployed stack."""

    def __init__(self, deployed: Deployed) -> None:
        """Look at the stack."""
        self.deployed = deployed
        self.host = urlsplit(deployed.outputs["ApiUrl"]).hostname or ""

    def __call__(
        self, method: str, path: str, body: object = None, *, by: Credentials | None = OWNER, **headers: str
    ) -> httpx.Response:
        """Return the answer to a request; the emulator tells APIs by their names, which do not resolve."""
        address = self.deployed.cloud.address + path
        content = json.dumps(body).encode() if body is not None else None
        sent = {"Host": self.host, **headers} | ({"Content-Type": "application/json"} if content else {})
        request = AWSRequest(method, address, data=content, headers=sent)
        if by:
            SigV4Auth(by, "execute-api", REGION).add_auth(request)
        return httpx.request(method, address, content=content, headers=dict(request.headers), timeout=60)

    def granted(self, name: str, size: int) -> dict[str, Any]:
        """Return the leave to upload a JPEG of this name and size."""
        answer = self("POST", "/uploads", {"name": name, "type": "image/jpeg", "bytes": size})
        assert answer.status_code == 201, answer.text
        return answer.json()


def user(where: Cloud, name: str, action: str) -> Credentials:
    """Return the credentials of a new user who may do this, and nothing else."""
    iam = where.client("iam")
    iam.create_user(UserName=name)
    statement = {"Effect": "Allow", "Action": action, "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_user_policy(UserName=name, PolicyName="only", PolicyDocument=policy)
    made = iam.create_access_key(UserName=name)["AccessKey"]
    return Credentials(made["AccessKeyId"], made["SecretAccessKey"])


def sent(upload: dict[str, Any], data: bytes, **headers: str) -> int:
    """Return the status of an upload that is made as it was granted, but for what is said here."""
    given = upload["headers"] | {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.request(upload["method"], upload["url"], content=data, headers=given, timeout=60).status_code
