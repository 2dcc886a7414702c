"""The deployed application: bootstrap, deploy, sources in, thumbnails out; the emulator checks all permissions."""

import json
from pathlib import Path
from urllib.parse import quote

import pytest
from botocore.credentials import Credentials

from tests.cloud.api_client import SignedApi, upload_status, user
from tests.cloud.deployed import Deployed
from tests.cloud.emulator import Cloud, eventually
from tests.corpus import needs_corpus, photos
from tests.pictures import picture
from tests.servers.fixtures import needs_servers
from thumbsmith import Recipe, render

pytestmark = needs_servers

RECEIVES = 2
RECIPE = """
[variants.icon]
width = 64
height = 64
fit = "cover"

[variants.small]
width = 256
height = 256
formats = ["webp", "jpeg"]
"""
NAMES = ("a b.jpg", "a+b.jpg", "100%.jpg", "%2B.jpg", "Été/naïve 1.jpg", "🐈 cat.jpg", "a&b=c.jpg")


@pytest.fixture(scope="module")
def deployed(where: Cloud) -> Deployed:
    """Return the application with an API, with defaults except for the recipe and the number of receives."""
    recipe = where.folder / "recipe.toml"
    recipe.write_text(RECIPE)
    return Deployed(where, where.deploy(max_receive_count=RECEIVES, api="iam", recipe=recipe))


@needs_corpus
def test_a_photograph_gets_its_thumbnails(deployed: Deployed, key: str):
    """A photograph gets the same renditions as rendered here, and a manifest."""
    photo = photos()[0].read_bytes()
    manifest = deployed.manifest(key, deployed.put(key, photo))
    expected = {f"{each.variant}.{each.format.extension}": each.data for each in render(photo, Recipe.loads(RECIPE))}
    found = deployed.made(key)
    del found["manifest.json"]
    assert found == expected
    assert manifest["status"] == "ok"
    assert {each["key"] for each in manifest["renditions"]} == {f"{key}/{name}" for name in expected}
    head = deployed.s3.head_object(Bucket=deployed.destination, Key=f"{key}/small.webp")
    assert (head["ContentType"], head["CacheControl"]) == ("image/webp", "public, max-age=60")


def test_thumbnails_follow_their_source(deployed: Deployed, key: str):
    """Thumbnails are replaced with their source, and deleted with it."""
    deployed.manifest(key, deployed.put(key, picture("#102030")))
    first = deployed.made(key)
    deployed.manifest(key, deployed.put(key, picture("#a0b0c0")))
    second = deployed.made(key)
    assert first.keys() == second.keys()
    assert all(first[name] != second[name] for name in first)
    deployed.delete(key)
    eventually(lambda: not deployed.names(key))


def test_one_bad_source_among_ten(deployed: Deployed, key: str):
    """Of ten sources, nine get thumbnails and one a rejection; both queues are empty afterwards."""
    keys = [f"{key}/{number}" for number in range(10)]
    etags = {
        each: deployed.put(each, picture(f"#{n:02x}0000") if n else b"\xff\xd8\xff") for n, each in enumerate(keys)
    }
    manifests = {each: deployed.manifest(each, etag) for each, etag in etags.items()}
    assert [manifests[each]["status"] for each in keys] == ["rejected"] + ["ok"] * 9
    assert manifests[keys[0]]["rejection"]["code"] in {"corrupt", "truncated"}
    eventually(lambda: deployed.waiting("Queue") == 0)


def test_a_duplicate_writes_nothing(deployed: Deployed, key: str):
    """A repeated event finds everything fresh, and writes nothing."""
    deployed.manifest(key, deployed.put(key, picture("#123456")))
    eventually(lambda: deployed.outcomes(key) == [("made", 3)])
    record = {"eventVersion": "2.1", "eventSource": "aws:s3", "eventName": "ObjectCreated:Put"}
    record["s3"] = {"bucket": {"name": deployed.source}, "object": {"key": key}}
    for _ in range(2):
        deployed.sqs.send_message(QueueUrl=deployed.outputs["Queue"], MessageBody=json.dumps({"Records": [record]}))
    eventually(lambda: deployed.waiting("Queue") == 0 and len(deployed.outcomes(key)) > 1)
    assert set(deployed.outcomes(key)[1:]) == {("fresh", 0)}


@pytest.mark.parametrize("name", NAMES)
def test_every_key_is_taken_as_it_is(deployed: Deployed, key: str, name: str):
    """Spaces, plus, percent, accents and emoji in keys survive every encoding."""
    mine = f"{key}/{name}"
    manifest = deployed.manifest(mine, deployed.put(mine, picture()))
    assert manifest["source"]["key"] == mine
    deployed.delete(mine)
    eventually(lambda: not deployed.names(mine))


def test_conformance_of_the_stack(deployed: Deployed):
    """`thumbsmith conformance` passes on the deployed stack, and deletes its pictures."""
    output = deployed.cloud.thumbsmith("conformance", "Thumbsmith", "--json")
    cases = [json.loads(line) for line in output.splitlines()]
    assert len(cases) > 30
    assert [each for each in cases if not each["right"]] == []


def test_a_failing_message_becomes_a_dead_letter(deployed: Deployed):
    """An unreadable message is a dead letter after exactly the configured number of receives."""
    queue, dead = deployed.outputs["Queue"], deployed.outputs["DeadLetters"]
    output = deployed.sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["All"])["Attributes"]
    assert json.loads(output["RedrivePolicy"])["maxReceiveCount"] in {RECEIVES, str(RECEIVES)}
    assert int(output["VisibilityTimeout"]) == 360
    deployed.sqs.set_queue_attributes(QueueUrl=queue, Attributes={"VisibilityTimeout": "3"})
    try:
        upload_status = deployed.sqs.send_message(QueueUrl=queue, MessageBody="not an event")["MessageId"]
        eventually(lambda: deployed.waiting("DeadLetters"))
    finally:
        deployed.sqs.set_queue_attributes(QueueUrl=queue, Attributes={"VisibilityTimeout": "360"})
    received = deployed.sqs.receive_message(QueueUrl=dead, AttributeNames=["All"])["Messages"]
    assert [each["MessageId"] for each in received] == [upload_status]
    deployed.sqs.delete_message(QueueUrl=dead, ReceiptHandle=received[0]["ReceiptHandle"])
    assert sum(line.get("message") == upload_status for line in deployed.lines()) == RECEIVES


@pytest.mark.parametrize("name", ["photo.jpg", "a b/100%.jpg", "Été/naïve+1.jpg", "%2B&=.jpg"])
def test_the_api_from_upload_to_deletion(deployed: Deployed, key: str, name: str):
    """The API grants an upload, the bucket takes it, and the API serves every format until deletion."""
    api, data = SignedApi(deployed), picture()
    granted = api.granted(f"{key}/{name}", len(data))
    path = quote(granted["key"])
    assert api("GET", f"/images/{path}").status_code == 404
    assert upload_status(granted["upload"], data) == 200
    manifest = api("GET", f"/images/{path}?wait=20")
    assert (manifest.status_code, manifest.json()["source"]["key"]) == (200, f"{key}/{name}")
    assert api("GET", f"/images/{quote(granted['key'], safe='')}").json() == manifest.json()
    for kind, name_of_file in (("image/webp", "small.webp"), ("image/jpeg", "small.jpg")):
        answer = api("GET", f"/renditions/{path}/small", Accept=kind)
        assert (answer.status_code, answer.headers["content-type"]) == (200, kind)
        assert answer.content == deployed.read(f"{key}/{name}/{name_of_file}")
    etag = answer.headers["etag"]
    assert api("GET", f"/renditions/{path}/small.jpg", **{"If-None-Match": etag}).status_code == 304
    assert api("GET", f"/renditions/{path}/small.jpg", Range="bytes=0-9").content == answer.content[:10]
    listed = api("GET", f"/images?prefix={quote(key)}").json()["images"]
    assert [each["key"] for each in listed] == [f"{key}/{name}"]
    assert api("DELETE", f"/images/{path}").status_code == 204
    eventually(lambda: not deployed.names(f"{key}/{name}"))
    assert api("GET", f"/images/{path}").status_code == 404


def test_an_upload_is_what_was_granted(deployed: Deployed, key: str):
    """The bucket refuses an upload with another size, type or key, and a second one."""
    upload = SignedApi(deployed).granted(key, 3)["upload"]
    assert upload_status(upload, b"abcd") == 403
    assert upload_status(upload, b"abc", Content_Type="text/html") == 403
    assert upload_status({**upload, "url": upload["url"].replace(key, f"{key}x")}, b"abc") == 403
    assert upload_status(upload, b"abc") == 200
    assert upload_status(upload, b"xyz") == 412
    assert deployed.s3.get_object(Bucket=deployed.source, Key=key)["Body"].read() == b"abc"


def test_the_api_needs_credentials(deployed: Deployed, key: str):
    """Only an allowed user with a valid signature gets in; all others get 403 on every route."""
    api, guest = SignedApi(deployed), user(deployed.cloud, "guest", "execute-api:Invoke")
    assert api("GET", "/images", by=guest).status_code == 200
    stranger = user(deployed.cloud, "stranger", "s3:ListAllMyBuckets")
    for by in (None, Credentials(guest.access_key, "not the secret"), stranger):
        for method, path in (("GET", "/images"), ("GET", f"/renditions/{key}/small"), ("DELETE", f"/images/{key}")):
            assert api(method, path, by=by).status_code == 403
        assert api("POST", "/uploads", {"name": key, "type": "image/jpeg", "bytes": 3}, by=by).status_code == 403


def test_the_life_of_a_stack(where: Cloud, key: str, tmp_path: Path):
    """A stack is deployed, checked, updated with another recipe, and destroyed."""
    recipe = tmp_path / "recipe.toml"
    recipe.write_text("[variants.one]\nwidth = 40\n[variants.both]\nwidth = 20\n")
    settings = {"stack": "Second", "recipe": recipe}
    second = Deployed(where, where.deploy(**settings))
    output = where.thumbsmith("aws", "check", "Second", "--json", "--timeout", "60")
    steps = [json.loads(line) for line in output.splitlines()]
    assert [each["step"] for each in steps] == ["put", "made", "verified", "deleted", "gone", "isolation"]
    assert steps[-1]["open"] == []  # by the function's log; the emulator runs it on this machine
    second.manifest(key, second.put(key, picture("#111111")))
    assert second.names(key) == {"one.webp", "both.webp", "manifest.json"}
    recipe.write_text("[variants.both]\nwidth = 20\n[variants.other]\nwidth = 30\n")
    where.deploy(**settings)
    second.manifest(key, second.put(key, picture("#222222")))
    assert second.names(key) == {"both.webp", "other.webp", "manifest.json"}
    second.delete(key)
    eventually(lambda: not second.names(key))
    where.destroy(**settings)
    stacks = where.client("cloudformation").list_stacks(StackStatusFilter=["CREATE_COMPLETE", "UPDATE_COMPLETE"])
    assert "Second" not in {each["StackName"] for each in stacks["StackSummaries"]}
    assert second.source not in {each["Name"] for each in second.s3.list_buckets()["Buckets"]}
