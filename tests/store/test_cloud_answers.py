"""What Google Cloud Storage and Azure answer, as their documentation has it, and the settings that lead to them."""

import pytest

from tests.servers.scripted import Answer, Scripted, error, part
from tests.store.contract import HEADERS
from thumbsmith.errors import Rejected, StoreError
from thumbsmith.store import Headers, Store, open_store
from thumbsmith.store.azure import VERSION
from thumbsmith.store.azure_account import AzureAccount
from thumbsmith.store.cloud import connection_pool
from thumbsmith.store.s3_connections import Request

KEY = "c2VjcmV0"  # "secret"


@pytest.fixture
def azure(script: Scripted, monkeypatch: pytest.MonkeyPatch) -> Store:
    """Return a container on the scripted server."""
    connection = f"AccountName=me;AccountKey={KEY};BlobEndpoint={script.address}/me"
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", connection)
    return open_store("az://photos/web")


@pytest.fixture
def google(script: Scripted, monkeypatch: pytest.MonkeyPatch) -> Store:
    """Return a bucket on the scripted server."""
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", script.address.removeprefix("http://"))
    monkeypatch.setenv("GS_ACCESS_KEY_ID", "GOOG1")
    monkeypatch.setenv("GS_SECRET_ACCESS_KEY", "secret")
    return open_store("gs://photos/web")


def _refused(code: str, status: int) -> Answer:
    """Return an error of Azure, whose code is in a header too."""
    body = f"<Error><Code>{code}</Code><Message>It failed.\nRequestId:1\nTime:now</Message></Error>"
    return Answer(status, body.encode(), {"x-ms-error-code": code})


def test_the_signature_of_azure_is_as_documented():
    """The text that is signed has the lines of the example in Azure's documentation, in its order.

    https://learn.microsoft.com/en-us/rest/api/storageservices/authorize-with-shared-key
    """
    account = AzureAccount("myaccount", "https://myaccount.blob.core.windows.net", b"key")
    headers = {"x-ms-date": "Fri, 26 Jun 2015 23:39:12 GMT", "x-ms-version": "2015-02-21"}
    query = {"comp": "metadata", "restype": "container", "timeout": "20"}
    request = Request(method="GET", host=account.host, path="/mycontainer", query="", headers=headers)
    assert account._text(request, headers, query) == (
        "GET\n\n\n\n\n\n\n\n\n\n\n\nx-ms-date:Fri, 26 Jun 2015 23:39:12 GMT\nx-ms-version:2015-02-21\n"
        "/myaccount/mycontainer\ncomp:metadata\nrestype:container\ntimeout:20"
    )


@pytest.mark.parametrize(
    ("settings", "endpoint"),
    [
        ({"AZURE_STORAGE_ACCOUNT": "photos1", "AZURE_STORAGE_KEY": KEY}, "https://photos1.blob.core.windows.net"),
        (
            {"AZURE_STORAGE_ACCOUNT": "photos1", "AZURE_STORAGE_ACCESS_KEY": KEY},
            "https://photos1.blob.core.windows.net",
        ),
        (
            {"AZURE_STORAGE_ACCOUNT": "photos1", "AZURE_STORAGE_SAS_TOKEN": "?sig=x"},
            "https://photos1.blob.core.windows.net",
        ),
        (
            {"AZURE_STORAGE_CONNECTION_STRING": f" AccountName=photos1 ; AccountKey={KEY}==;EndpointSuffix=core.cn;"},
            "https://photos1.blob.core.cn",
        ),
        (
            {"AZURE_STORAGE_CONNECTION_STRING": "BlobEndpoint=http://127.0.0.1:1/x/;SharedAccessSignature=sig=x"},
            "http://127.0.0.1:1/x",
        ),
    ],
)
def test_an_account_is_named_by_the_usual_variables(settings: dict[str, str], endpoint: str):
    """Name and key, name and token, or a connection string; the key is not shown where the account is."""
    text = settings.get("AZURE_STORAGE_CONNECTION_STRING", "").replace(f"{KEY}==", KEY)
    found = AzureAccount.of(settings | ({"AZURE_STORAGE_CONNECTION_STRING": text} if text else {}))
    assert found.endpoint == endpoint
    assert "secret" not in repr(found)
    assert "sig" not in repr(found)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({}, "az://: no credentials: set AZURE_STORAGE_ACCOUNT, and AZURE_STORAGE_KEY or AZURE_STORAGE_SAS_TOKEN"),
        ({"AZURE_STORAGE_ACCOUNT": "photos1"}, "no credentials"),
        ({"AZURE_STORAGE_KEY": KEY}, "no credentials"),
        ({"AZURE_STORAGE_CONNECTION_STRING": "nonsense"}, "no credentials"),
        ({"AZURE_STORAGE_ACCOUNT": "Photos!", "AZURE_STORAGE_KEY": KEY}, "'Photos!' is no name of a storage account"),
        (
            {"AZURE_STORAGE_ACCOUNT": "photos1", "AZURE_STORAGE_KEY": "a b"},
            "AZURE_STORAGE_KEY: expected a key in base64",
        ),
        (
            {"AZURE_STORAGE_CONNECTION_STRING": f"AccountName=a;AccountKey={KEY};BlobEndpoint=127.0.0.1"},
            "AZURE_STORAGE_CONNECTION_STRING: expected https://, found '127.0.0.1'",
        ),
    ],
)
def test_wrong_settings_for_azure_are_one_sentence(
    settings: dict[str, str], sentence: str, monkeypatch: pytest.MonkeyPatch
):
    """A store without a usable account is refused when it is opened, without the key in the message."""
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(StoreError) as caught:
        open_store("az://photos")
    assert sentence in str(caught.value)
    assert not caught.value.transient
    assert KEY not in str(caught.value)


@pytest.mark.parametrize("settings", [{}, {"GS_ACCESS_KEY_ID": "x"}, {"GS_SECRET_ACCESS_KEY": "x"}])
def test_google_needs_a_key(settings: dict[str, str], monkeypatch: pytest.MonkeyPatch):
    """Without an HMAC key the store is refused when it is opened."""
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(StoreError, match="set GS_ACCESS_KEY_ID and GS_SECRET_ACCESS_KEY") as caught:
        open_store("gs://photos")
    assert not caught.value.transient


@pytest.mark.parametrize("address", ["gs://", "az://", "gs://a b", "az:///x", "gs://a?owner=123456789012"])
def test_an_address_without_a_bucket_is_refused(address: str):
    """The name of the bucket or container is checked before anything is sent."""
    with pytest.raises(StoreError, match=f"expected {address[:5]} and a (bucket|container)'s name"):
        open_store(address)


def test_a_proxy_that_is_no_http_proxy_is_refused(monkeypatch: pytest.MonkeyPatch):
    """Requests go through the proxy of the environment, or are not sent."""
    monkeypatch.setenv("https_proxy", "socks5://user:secret@127.0.0.1:1")
    with pytest.raises(StoreError, match="expected http://HOST:PORT, found socks5") as caught:
        connection_pool("https://example.com")
    assert "secret" not in str(caught.value)
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:1")
    assert connection_pool("https://example.com")._proxy is not None
    monkeypatch.setenv("no_proxy", "example.com")
    assert connection_pool("https://example.com")._proxy is None


def test_deleting_a_missing_object_is_no_failure(google: Store, azure: Store, script: Scripted):
    """Google and Azure answer 404 where S3 answers 204."""
    script.script(error(404, "NoSuchKey"))
    google.delete("a.jpg")
    script.script(_refused("BlobNotFound", 404))
    azure.delete("a.jpg")
    script.script(error(404, "NoSuchBucket"))
    with pytest.raises(StoreError, match="there is no such bucket"):
        google.delete("a.jpg")


def test_google_gets_only_what_it_knows(google: Store, script: Scripted):
    """A request has no checksum of S3, and no header of Google's own beside those of S3, which Google refuses."""
    script.script(Answer(200, headers={"ETag": '"x"'}))
    assert google.put("a.jpg", b"abc", HEADERS) == "x"
    (asked,) = script.asked
    assert (asked.method, asked.path) == ("PUT", "/photos/web/a.jpg")
    assert not [name for name in asked.headers if name.startswith(("x-goog-", "x-amz-checksum"))]
    assert "/auto/s3/aws4_request" in asked.headers["authorization"]
    assert google.presigned_put("a.jpg", "image/jpeg", 3, replace=True, seconds=60) is None


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        ("AccessDenied", "access denied: grant the service account the role Storage Object User (403 AccessDenied)"),
        ("SignatureDoesNotMatch", "the signature does not match: check GS_SECRET_ACCESS_KEY"),
        ("InvalidSecurity", "the HMAC key is unknown: check GS_ACCESS_KEY_ID"),
        ("UserProjectAccountProblem", "access denied: grant the service account"),
    ],
)
def test_a_refusal_of_google_names_its_own_settings(google: Store, script: Scripted, code: str, sentence: str):
    """A refusal says what to do at Google, is not transient, and names no variable of AWS."""
    script.script(error(403, code))
    with pytest.raises(StoreError) as caught:
        google.put("a.jpg", b"", HEADERS)
    assert str(caught.value).startswith(f"gs://photos/web/a.jpg: {sentence}")
    assert not caught.value.transient
    assert "AWS" not in str(caught.value)


@pytest.mark.parametrize(
    ("status", "code", "transient", "sentence"),
    [
        (403, "AuthenticationFailed", False, "the signature does not match, or the token has expired"),
        (403, "AuthorizationPermissionMismatch", False, "access denied: check the key, or the token"),
        (404, "ContainerNotFound", False, "there is no such container"),
        (400, "InvalidUri", False, "400 InvalidUri: It failed."),
        (409, "ContainerBeingDeleted", True, "409 ContainerBeingDeleted: It failed."),
        (500, "OperationTimedOut", True, "500 OperationTimedOut: It failed."),
        (503, "ServerBusy", True, "503 ServerBusy: It failed."),
    ],
)
def test_a_refusal_of_azure_is_one_sentence(
    azure: Store, script: Scripted, status: int, code: str, transient: bool, sentence: str
):
    """The status decides whether a retry may help, and the message is one line."""
    script.script(_refused(code, status))
    with pytest.raises(StoreError) as caught:
        azure.put("a.jpg", b"", HEADERS)
    assert str(caught.value).startswith(f"az://photos/web/a.jpg: {sentence}")
    assert "\n" not in str(caught.value)
    assert caught.value.transient is transient


def test_an_archived_blob_is_rejected(azure: Store, script: Scripted):
    """A blob in the archive tier can be read after it is restored."""
    script.script(_refused("BlobArchived", 409))
    with pytest.raises(Rejected, match="archived"):
        azure.open("a.jpg")


def test_tags_of_a_blob_opt_out(azure: Store, script: Scripted):
    """The tags of a blob are read where it says that it has some."""
    tags = b"<Tags><TagSet><Tag><Key>thumbs</Key><Value>off</Value></Tag></TagSet></Tags>"
    script.script(part(b"abc", "0-2/3"), Answer(200, tags))
    script.answers[0].headers["x-ms-tag-count"] = "1"
    found = azure.open("a.jpg")
    assert found is not None
    assert found.info.opted_out
    assert [asked.path for asked in script.asked] == ["/me/photos/web/a.jpg", "/me/photos/web/a.jpg?comp=tags"]
    assert {asked.headers["x-ms-version"] for asked in script.asked} == {VERSION}


def _page(*names: str, marker: str = "") -> Answer:
    blobs = "".join(
        f"<Blob>{name}<Properties><Etag>0x1</Etag><Content-Length>3</Content-Length></Properties></Blob>"
        for name in names
    )
    body = f"<EnumerationResults><Blobs>{blobs}</Blobs><NextMarker>{marker}</NextMarker></EnumerationResults>"
    return Answer(200, body.encode())


def test_a_listing_of_azure_is_decoded(azure: Store, script: Scripted):
    """Names that XML cannot hold are encoded, pages follow their marker, and directories are left out."""
    directory = _page("<Name>web/d</Name>").body.replace(b"</Etag>", b"</Etag><ResourceType>directory</ResourceType>")
    script.script(
        _page("<Name>web/a%20b</Name>", '<Name Encoded="true">web/%EF%BF%BF%20b</Name>', marker="m 1"),
        Answer(200, directory),
    )
    assert [info.key for info in azure.list()] == ["a%20b", "\uffff b"]
    assert "marker=m%201" in script.asked[1].path


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html/>",
        b"<ListBucketResult/>",
        b"<EnumerationResults><Blobs><Blob/></Blobs></EnumerationResults>",
        _page("<Name>web/x</Name>").body.replace(b">3<", b">x<"),
    ],
)
def test_another_document_is_no_empty_listing(azure: Store, script: Scripted, body: bytes):
    """Any other answer is an error: all thumbnails of an empty source are deleted."""
    script.script(Answer(200, body))
    with pytest.raises(StoreError, match="an invalid answer"):
        list(azure.list())


def test_metadata_that_no_header_can_hold_is_refused(azure: Store, script: Scripted):
    """A value that is not ASCII is a permanent error, and nothing is sent."""
    with pytest.raises(StoreError, match="Non ascii") as caught:
        azure.put("a", b"", Headers(content_type="é"))
    assert not caught.value.transient
    assert script.asked == []
