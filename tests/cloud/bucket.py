"""The bucket of a function in a sandbox, and the events for the function."""

from typing import Any
from urllib.parse import quote_plus

from botocore.session import get_session

from tests.servers.processes import KEYS

BUCKET = "sandbox"
SOURCES, THUMBNAILS = "photos/", "thumbs/"


def client(address: str) -> Any:
    """Return an S3 client."""
    keys = {"aws_access_key_id": KEYS["AWS_ACCESS_KEY_ID"], "aws_secret_access_key": KEYS["AWS_SECRET_ACCESS_KEY"]}
    return get_session().create_client("s3", region_name="us-east-1", endpoint_url=address, **keys)


def put(environment: dict[str, str], key: str, data: bytes) -> None:
    """Put an image."""
    client(environment["AWS_ENDPOINT_URL"]).put_object(Bucket=BUCKET, Key=f"{SOURCES}{key}", Body=data)


def made(environment: dict[str, str], key: str) -> dict[str, bytes]:
    """Return the thumbnails and the manifest of a key, by name."""
    s3, prefix = client(environment["AWS_ENDPOINT_URL"]), f"{THUMBNAILS}{key}/"
    listed = s3.list_objects_v2(Bucket=BUCKET, Prefix=prefix).get("Contents", [])
    return {
        each["Key"].removeprefix(prefix): s3.get_object(Bucket=BUCKET, Key=each["Key"])["Body"].read()
        for each in listed
    }


def event(key: str) -> dict[str, Any]:
    """Return an event about a key, for our function and for the one that it is compared with."""
    record = {"eventVersion": "2.1", "eventName": "ObjectCreated:Put"}
    record["s3"] = {"bucket": {"name": BUCKET}, "object": {"key": f"{SOURCES}{quote_plus(key, safe='/')}"}}
    return {"Records": [record], "bucket": BUCKET, "key": key}
