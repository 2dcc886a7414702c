"""Requests to a deployed API, as AWS's tools send them: signed, with a wrong signature, or unsigned."""

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


class SignedApi:
    """The API of a deployed stack."""

    def __init__(self, deployed: Deployed) -> None:
        """Read the address from the stack's outputs."""
        self.deployed = deployed
        self.host = urlsplit(deployed.outputs["ApiUrl"]).hostname or ""

    def __call__(
        self, method: str, path: str, body: object = None, *, by: Credentials | None = OWNER, **headers: str
    ) -> httpx.Response:
        """Return the answer to a request. The emulator selects the API by its Host header, which does not resolve."""
        address = self.deployed.cloud.address + path
        content = json.dumps(body).encode() if body is not None else None
        all_headers = {"Host": self.host, **headers} | ({"Content-Type": "application/json"} if content else {})
        request = AWSRequest(method, address, data=content, headers=all_headers)
        if by:
            SigV4Auth(by, "execute-api", REGION).add_auth(request)
        return httpx.request(method, address, content=content, headers=dict(request.headers), timeout=60)

    def granted(self, name: str, size: int) -> dict[str, Any]:
        """Return a presigned upload for a JPEG of this name and size."""
        answer = self("POST", "/uploads", {"name": name, "type": "image/jpeg", "bytes": size})
        assert answer.status_code == 201, answer.text
        return answer.json()


def user(where: Cloud, name: str, action: str) -> Credentials:
    """Return the credentials of a new user who may perform this action only."""
    iam = where.client("iam")
    iam.create_user(UserName=name)
    statement = {"Effect": "Allow", "Action": action, "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_user_policy(UserName=name, PolicyName="only", PolicyDocument=policy)
    made = iam.create_access_key(UserName=name)["AccessKey"]
    return Credentials(made["AccessKeyId"], made["SecretAccessKey"])


def upload_status(upload: dict[str, Any], data: bytes, **headers: str) -> int:
    """Return the status of a presigned upload, with these headers changed."""
    given = upload["headers"] | {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.request(upload["method"], upload["url"], content=data, headers=given, timeout=60).status_code
