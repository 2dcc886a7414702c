"""From s3:// to a store: addresses, settings, and stores that share objects."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from botocore.awsrequest import AWSPreparedRequest

from tests.servers.scripted import Answer, Scripted, error
from tests.store.contract import HEADERS
from thumbsmith.errors import StoreError
from thumbsmith.store import open_store

HERE = Answer(200, b"<ListBucketResult/>", {"ETag": '"e"'})


@pytest.mark.parametrize(
    ("address", "prefix", "url"),
    [
        ("s3://bucket", "", "s3://bucket"),
        ("S3://bucket/", "", "s3://bucket"),
        ("s3://bucket/photos", "photos/", "s3://bucket/photos/"),
        ("s3://bucket/photos/", "photos/", "s3://bucket/photos/"),
        ("s3://bucket//", "/", "s3://bucket//"),
        ("s3://bucket/a//", "a//", "s3://bucket/a//"),
        ("s3://bucket/./../a%20b #?x\n", "./../a%20b #?x\n/", "s3://bucket/./../a%20b #?x\n/"),
        ("s3://bucket?owner=123456789012", "", "s3://bucket?owner=123456789012"),
        ("s3://bucket/photos?owner=123456789012", "photos/", "s3://bucket/photos/?owner=123456789012"),
        ("s3://bucket/photos?payer=requester", "photos/", "s3://bucket/photos/?payer=requester"),
        (
            "s3://bucket/p?owner=123456789012&payer=requester",
            "p/",
            "s3://bucket/p/?owner=123456789012&payer=requester",
        ),
        ("s3://bucket/photos?payer=me", "photos?payer=me/", None),
        ("s3://bucket/photos?owner=123456789012/", "photos?owner=123456789012/", None),
        ("s3://bucket/photos?owner=1234", "photos?owner=1234/", None),
    ],
)
def test_addresses(address: str, prefix: str, url: str | None) -> None:
    """A prefix always ends in a slash; the address of a store opens the same store."""
    store = open_store(address)
    assert (store.bucket, store.prefix) == ("bucket", prefix)
    assert store.url == (url or address if address.endswith("/") else url or address + "/")
    assert open_store(store.url) == store


def test_one_client_for_the_same_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client is created once, and again where the environment has changed."""
    first = open_store("s3://one").client
    assert open_store("s3://two/prefix").client is first
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another")
    assert open_store("s3://one").client is not first


def test_overlapping_buckets(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Stores overlap in one bucket where one prefix begins with the other, as whole components."""
    together = [("b", "b"), ("b", "b/x"), ("b/x", "b/x/y"), ("b/x", "b/x/"), ("b?owner=123456789012", "b/x")]
    apart = [("b", "c"), ("b/x", "c/x"), ("b/x", "b/y"), ("b/x", "b/xy"), ("b/x", "b/X"), ("b/x", "b//x")]
    for pairs, expected in ((together, True), (apart, False)):
        for one, other in pairs:
            assert open_store(f"s3://{one}").overlaps(open_store(f"s3://{other}")) is expected
            assert open_store(f"s3://{other}").overlaps(open_store(f"s3://{one}").as_destination()) is expected
    first = open_store("s3://b")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:2")
    assert not first.overlaps(open_store("s3://b"))
    assert not first.overlaps(open_store(tmp_path))
    assert not open_store("memory://b").overlaps(first)


def test_regions(way: str, script: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests are signed for AWS_REGION, else AWS_DEFAULT_REGION; at an endpoint the path begins with the bucket."""
    script.script(HERE)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-2")
    open_store("s3://bucket/a").check_reachable()
    monkeypatch.delenv("AWS_REGION")
    open_store("s3://bucket/a").check_reachable()
    for asked in script.asked:
        path, _, query = asked.path.partition("?")
        assert path == "/bucket"
        assert set(query.split("&")) == {"list-type=2", "prefix=a%2F", "max-keys=1", "encoding-type=url"}
    assert ["us-east-1" in asked.headers["Authorization"] for asked in script.asked] == [True, False]
    assert ["eu-west-2" in asked.headers["Authorization"] for asked in script.asked] == [False, True]


class Stopped(Exception):
    """Raised instead of sending a request."""


def test_addresses_at_aws(monkeypatch: pytest.MonkeyPatch) -> None:
    """Botocore too sends requests to AWS with TLS, to the host name of the bucket, with the key unchanged."""

    def stop(request: AWSPreparedRequest, **_: object) -> None:
        raise Stopped(request.url)

    monkeypatch.delenv("AWS_ENDPOINT_URL")
    monkeypatch.setenv("AWS_RETRY_MODE", "standard")
    for region, host in (("eu-west-2", "bucket.s3.eu-west-2.amazonaws.com"), ("", "bucket.s3.amazonaws.com")):
        monkeypatch.setenv("AWS_REGION", region)
        store = open_store("s3://bucket")
        store.client.transport.s3.meta.events.register_first("before-send.s3", stop)
        for key, path in (("a/b.jpg", "a/b.jpg"), ("/../a//b", "/../a//b"), ("é +%2F?#", "%C3%A9%20%2B%252F%3F%23")):
            with pytest.raises(Stopped, match=re.escape(f"https://{host}/{path}") + "$"):
                store.head(key)


def test_credentials_in_the_environment_are_used(script: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    """The metadata address of machines at AWS is used for credentials only where the environment has none."""
    monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", script.address)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "false")
    monkeypatch.setenv("AWS_METADATA_SERVICE_NUM_ATTEMPTS", "1")
    script.script(HERE)
    open_store("s3://bucket").check_reachable()
    open_store("s3://bucket").put("a", b"", HEADERS)
    assert [asked.path.partition("?")[0] for asked in script.asked] == ["/bucket", "/bucket/a"]
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    script.script(error(404, "NotFound"))
    with pytest.raises(StoreError, match="no AWS credentials: set AWS_ACCESS_KEY_ID"):
        open_store("s3://bucket").check_reachable()
    assert "/latest/api/token" in {asked.path for asked in script.asked}


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("AWS_ENDPOINT_URL", "nowhere", "AWS configuration: Invalid endpoint: nowhere"),
        ("AWS_PROFILE", "unknown", r"AWS configuration: The config profile \(unknown\) could not be found"),
    ],
)
def test_settings_that_cannot_be_used(monkeypatch: pytest.MonkeyPatch, name: str, value: str, sentence: str) -> None:
    """Invalid settings are reported at once, and are not transient."""
    monkeypatch.setenv(name, value)
    with pytest.raises(StoreError, match=sentence) as raised:
        open_store("s3://bucket")
    assert raised.value.transient is False


@pytest.mark.parametrize("address", ["folder", "s3://bucket"])
def test_nothing_is_loaded_before_it_is_needed(address: str) -> None:
    """A program that works with folders, or has all settings in the environment, does not load botocore."""
    code = (
        "import sys; from thumbsmith.store import open_store; store = open_store(sys.argv[1]);"
        "store.overlaps(store); sys.exit('botocore' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code, address], check=False).returncode == 0
