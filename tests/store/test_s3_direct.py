"""Requests without botocore: their addresses, signatures and connections."""

import select
import ssl
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from tests.servers.scripted import Answer, Scripted, error
from tests.store.contract import HEADERS
from thumbsmith.environment import has_aws_files
from thumbsmith.errors import StoreError
from thumbsmith.store import open_store
from thumbsmith.store.s3_botocore import BotocoreTransport
from thumbsmith.store.s3_common import S3Endpoint, direct_endpoint
from thumbsmith.store.s3_connections import ConnectionPool, Request, SigningKeys, sign_request
from thumbsmith.store.s3_direct import DirectTransport, query

HERE = Answer(200, headers={"ETag": '"e"'})
NOW = 1_700_000_000.0
SETTINGS = {"AWS_ACCESS_KEY_ID": "AKID", "AWS_SECRET_ACCESS_KEY": "secret"}
TEXT = st.text(min_size=1, max_size=40)
HEADER = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1)


class Whole(S3SigV4Auth):
    """The signature of botocore for S3, always over the content."""

    def _should_sha256_sign_payload(self, request: AWSRequest) -> bool:
        return True


def botocores(request: Request, keys: SigningKeys, region: str) -> str:
    """Return the signature that botocore makes for a request."""
    url = f"http://{request.host}{request.path}" + (f"?{request.query}" if request.query else "")
    theirs = AWSRequest(request.method, url, dict(request.headers), request.body)
    Whole(Credentials(keys.access_key, keys.secret_key, keys.token), "s3", region).add_auth(theirs)
    return str(theirs.headers["Authorization"])


@given(
    key=TEXT,
    prefix=TEXT,
    value=HEADER,
    body=st.binary(max_size=100),
    token=st.none() | HEADER,
    operation=st.sampled_from(["put_object", "list_objects_v2"]),
)
def test_signatures_are_botocores(
    key: str, prefix: str, value: str, body: bytes, token: str | None, operation: str
) -> None:
    """For any key, query, header, content and token the signature equals that of botocore."""
    try:
        host, path = S3Endpoint("eu-west-2", "http://127.0.0.1:9").host_and_path("bucket", key)
        asked = query(operation, {"Prefix": prefix, "ContinuationToken": value})
    except UnicodeEncodeError:  # a key that is no UTF-8 is never asked for
        return
    request = Request(
        method="PUT",
        host=host,
        path=path,
        query=asked,
        headers={"x-amz-meta-name": value, "content-type": "image/webp", "range": "bytes=0-1"},
        body=body,
    )
    keys = SigningKeys("AKID", "secret", token)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("botocore.auth.get_current_datetime", _now)
        expected = botocores(request, keys, "eu-west-2")
    assert sign_request(request, keys, "eu-west-2", NOW)["authorization"] == expected


def _now(*_: object, **__: object) -> Any:
    return datetime.fromtimestamp(NOW, UTC)


def test_no_secret_is_shown() -> None:
    """Neither the secret nor the token is in the text that a debugger or a traceback shows."""
    assert "hush" not in repr(SigningKeys("AKID", "hush", "hush"))


@pytest.mark.parametrize(
    ("bucket", "key", "url"),
    [
        ("photos", "a/b.jpg", "photos.s3.eu-west-2.amazonaws.com/a/b.jpg"),
        ("photos", "/../a//./b", "photos.s3.eu-west-2.amazonaws.com//../a//./b"),
        ("photos", "é +%2F?#\n~", "photos.s3.eu-west-2.amazonaws.com/%C3%A9%20%2B%252F%3F%23%0A~"),
        ("photos", None, "photos.s3.eu-west-2.amazonaws.com/"),
        ("my.photos", "a", "s3.eu-west-2.amazonaws.com/my.photos/a"),
        ("Photos", None, "s3.eu-west-2.amazonaws.com/Photos"),
    ],
)
def test_addresses_at_aws(bucket: str, key: str | None, url: str) -> None:
    """The host name contains the bucket where a certificate allows it, and the path contains the key, encoded once."""
    endpoint = S3Endpoint("eu-west-2")
    assert "".join(endpoint.host_and_path(bucket, key)) == url
    assert (endpoint.url, endpoint.secure) == ("https://s3.eu-west-2.amazonaws.com", True)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, S3Endpoint("eu-west-2")),
        (
            {"AWS_SESSION_TOKEN": "t", "AWS_LAMBDA_FUNCTION_NAME": "f", "AWS_XRAY_DAEMON_ADDRESS": "d"},
            S3Endpoint("eu-west-2"),
        ),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:9000/"}, S3Endpoint("eu-west-2", "http://127.0.0.1:9000")),
        ({"AWS_ENDPOINT_URL": "https://minio.example"}, S3Endpoint("eu-west-2", "https://minio.example")),
        ({"AWS_ENDPOINT_URL_DYNAMODB": "http://127.0.0.1:1"}, S3Endpoint("eu-west-2")),
        ({"AWS_ENDPOINT_URL_S3": "http://127.0.0.1:1"}, None),
        ({"AWS_ENDPOINT_URL": "https://minio.example/under"}, None),
        ({"AWS_ENDPOINT_URL": "https://s3.eu-west-2.amazonaws.com"}, None),
        ({"AWS_ENDPOINT_URL": "http://[::1"}, None),
        ({"AWS_ENDPOINT_URL": "nowhere"}, None),
        ({"AWS_PROFILE": "work"}, None),
        ({"AWS_USE_FIPS_ENDPOINT": "true"}, None),
        ({"AWS_CA_BUNDLE": "/etc/ssl/own.pem"}, S3Endpoint("eu-west-2", None, "/etc/ssl/own.pem")),
        (
            {"AWS_ENDPOINT_URL": "https://minio.example", "AWS_CA_BUNDLE": "/own.pem"},
            S3Endpoint("eu-west-2", "https://minio.example", "/own.pem"),
        ),
        ({"https_proxy": "http://proxy:3128"}, None),
        ({"AWS_SECRET_ACCESS_KEY": "secret\n"}, None),
        ({"AWS_SECRET_ACCESS_KEY": ""}, None),
    ],
)
def test_what_the_environment_says(settings: dict[str, str], expected: S3Endpoint | None) -> None:
    """Botocore sends requests if a setting could change the address, or credentials are missing."""
    assert direct_endpoint("bucket", "eu-west-2", SETTINGS | settings) == expected


@pytest.mark.parametrize(
    ("bucket", "region"),
    [("bucket", None), ("bucket", "cn-north-1"), ("bucket", "us-gov-west-1"), ("bucket--use1-az4--x-s3", "us-east-1")],
)
def test_addresses_that_botocore_must_find(bucket: str, region: str | None) -> None:
    """Other partitions of AWS have other addresses, and directory buckets another protocol."""
    assert direct_endpoint(bucket, region, SETTINGS) is None


def test_settings_in_files_select_botocore(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Botocore reads a file of settings; an empty or missing one changes nothing."""
    assert isinstance(open_store("s3://bucket").client.transport, DirectTransport)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        with monkeypatch.context() as patch:
            patch.setenv(name, str(tmp_path / name))
            assert not has_aws_files()
            (tmp_path / name).write_text("[default]\nregion = eu-west-3\n")
            assert isinstance(open_store("s3://bucket").client.transport, BotocoreTransport)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("AWS_CONFIG_FILE")
    (tmp_path / ".aws").mkdir()
    assert not has_aws_files()
    (tmp_path / ".aws" / "config").write_text("[default]\n")
    assert has_aws_files()


def test_a_bucket_in_another_region_is_found(script: Scripted) -> None:
    """AWS reports the region of a bucket: the request is sent there, and later ones at once."""
    moved = Answer(400, error(400, "AuthorizationHeaderMalformed").body, {"x-amz-bucket-region": "eu-west-3"})
    script.script(moved, HERE)
    store = open_store("s3://elsewhere")
    for _ in range(2):
        store.put("a.jpg", b"x", HEADERS)
    assert [_region(asked.headers["Authorization"]) for asked in script.asked] == [
        "us-east-1",
        "eu-west-3",
        "eu-west-3",
    ]


def test_no_answer_leads_anywhere_but_to_a_region(script: Scripted) -> None:
    """A value that is no name of a region becomes no part of an address."""
    script.script(Answer(301, error(301, "PermanentRedirect").body, {"x-amz-bucket-region": "evil.example/"}))
    with pytest.raises(StoreError, match="the bucket is in another region: set AWS_REGION to it"):
        open_store("s3://bucket").check_reachable()
    assert len(script.asked) == 1


def _region(authorization: str) -> str:
    return authorization.split("/")[2]


def test_a_session_token_goes_with_every_request(script: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    """Temporary credentials are sent with their token."""
    monkeypatch.setenv("AWS_SESSION_TOKEN", "lent")
    script.script(HERE)
    open_store("s3://bucket").head("a")
    assert script.asked[0].headers["X-Amz-Security-Token"] == "lent"
    assert "x-amz-security-token" in script.asked[0].headers["Authorization"]


def test_metadata_and_tags_are_returned(way: str, script: Scripted) -> None:
    """Both transports return metadata and the number of tags of HEAD and GET under the same names."""
    told = {"ETag": '"e"', "x-amz-meta-Thumbs": "off", "x-amz-tagging-count": "2", "Content-Range": "bytes 0-0/1"}
    script.script(Answer(200, b"x", told))
    client = open_store("s3://bucket").client
    for operation in ("head_object", "get_object"):
        answer = client.request(operation, "s3://bucket/a", Bucket="bucket", Key="a")
        assert (answer["Metadata"], answer["TagCount"]) == ({"thumbs": "off"}, 2)
        if "Body" in answer:
            answer["Body"].close()


def test_connections_are_kept(script: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    """One connection serves one request after the other; one that the server closed is not used again."""
    made = []
    new = ConnectionPool._new
    monkeypatch.setattr(ConnectionPool, "_new", lambda pool, *how: made.append(new(pool, *how)) or made[-1])
    monkeypatch.setenv("AWS_SESSION_TOKEN", "a client of this test's own")
    store = open_store("s3://bucket")
    script.script(Answer(200, b"", {"ETag": '"e"'}))
    for _ in range(5):
        store.put("a", b"x", HEADERS)
        store.open("a")
    assert len(made) == 1
    script.script(Answer(200, b"", {"ETag": '"e"'}, cut=0))
    store.put("a", b"x", HEADERS)
    assert select.select([made[-1].sock], [], [], 60)[0]  # the end has arrived
    assert store.put("a", b"x", HEADERS) == "e"
    assert len(script.asked) == 2


@pytest.mark.parametrize(
    "answer",
    [
        Answer(200, b"<html/>"),
        Answer(200, b"<ListBucketResult><Contents><Key>a</Key></Contents></ListBucketResult>"),
        Answer(200, b"<ListBucketResult/>", {"x-amz-tagging-count": "many"}),
    ],
)
def test_invalid_pages(script: Scripted, monkeypatch: pytest.MonkeyPatch, answer: Answer) -> None:
    """A document that is no page of a listing is never taken for an empty one."""
    monkeypatch.setattr("random.uniform", lambda shortest, longest: shortest)
    script.script(answer)
    with pytest.raises(StoreError, match="an invalid answer") as raised:
        list(open_store("s3://bucket").list())
    assert raised.value.transient is True


def test_default_authorities() -> None:
    """Certificates are checked against the authorities of botocore."""
    context = ConnectionPool(secure=True)._tls
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert any("Amazon" in str(authority["subject"]) for authority in context.get_ca_certs())


def test_authorities_can_be_set(tmp_path: Path) -> None:
    """With a file of authorities certificates are checked against these, and no others."""
    usual = ConnectionPool(secure=True)._tls.get_ca_certs(binary_form=True)[0]
    own = tmp_path / "own.pem"
    own.write_text(ssl.DER_cert_to_PEM_cert(usual))
    context = ConnectionPool(secure=True, authorities=str(own))._tls
    assert context.get_ca_certs(binary_form=True) == [usual]
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_missing_authorities(
    script: Scripted, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: str | None
) -> None:
    """Where the file of authorities is missing or empty, no request is made, and the error names the file."""
    own = tmp_path / "own.pem"
    if content:
        own.write_text(content)
    monkeypatch.setattr("random.uniform", lambda shortest, longest: shortest)
    monkeypatch.setenv("AWS_ENDPOINT_URL", script.address.replace("http:", "https:"))
    monkeypatch.setenv("AWS_CA_BUNDLE", str(own))
    with pytest.raises(StoreError, match=rf"AWS_CA_BUNDLE={own}: "):
        open_store("s3://bucket").check_reachable()
    assert script.asked == []


def test_a_certificate_that_is_not_trusted(script: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    """With https:// no request is sent to a server without a valid certificate."""
    monkeypatch.setattr("random.uniform", lambda shortest, longest: shortest)
    monkeypatch.setenv("AWS_ENDPOINT_URL", script.address.replace("http:", "https:"))
    script.script(HERE)
    with pytest.raises(StoreError, match=r"Could not connect to https://127\.0\.0\.1:\d+: "):
        open_store("s3://bucket").check_reachable()
    assert script.asked == []
