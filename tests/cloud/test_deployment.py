"""The application as it is deployed: bootstrap, deploy, pictures in, thumbnails out; with every role enforced."""

import json
from pathlib import Path
from urllib.parse import quote

import pytest
from botocore.credentials import Credentials

from tests.cloud.asked import Asked, sent, user
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
    """Return the application with an API, deployed with its defaults but for the recipe and the number of receives."""
    recipe = where.folder / "recipe.toml"
    recipe.write_text(RECIPE)
    return Deployed(where, where.deploy(max_receive_count=RECEIVES, api="iam", recipe=recipe))


@needs_corpus
def test_a_photograph_gets_its_thumbnails(deployed: Deployed, key: str):
    """A real photograph that is put gets exactly the renditions that the engine makes here, and the manifest last."""
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
    """Replaced, the source's thumbnails are replaced; deleted, they go, the manifest too."""
    deployed.manifest(key, deployed.put(key, picture("#102030")))
    first = deployed.made(key)
    deployed.manifest(key, deployed.put(key, picture("#a0b0c0")))
    second = deployed.made(key)
    assert first.keys() == second.keys()
    assert all(first[name] != second[name] for name in first)
    deployed.delete(key)
    eventually(lambda: not deployed.names(key))


def test_one_poison_among_ten_harms_itself_alone(deployed: Deployed, key: str):
    """Of ten at once, nine get thumbnails and the broken one a recorded reason; nothing is left in either queue."""
    keys = [f"{key}/{number}" for number in range(10)]
    etags = {
        each: deployed.put(each, picture(f"#{n:02x}0000") if n else b"\xff\xd8\xff") for n, each in enumerate(keys)
    }
    told = {each: deployed.manifest(each, etag) for each, etag in etags.items()}
    assert [told[each]["status"] for each in keys] == ["rejected"] + ["ok"] * 9
    assert told[keys[0]]["rejection"]["code"] in {"corrupt", "truncated"}
    eventually(lambda: deployed.waiting("Queue") == 0)


def test_a_duplicate_writes_nothing(deployed: Deployed, key: str):
    """An event that comes twice finds all fresh: nothing is written a second time."""
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
    """Spaces, plus, percent, accents and emoji in keys come through every encoding on the way, both ways."""
    mine = f"{key}/{name}"
    manifest = deployed.manifest(mine, deployed.put(mine, picture()))
    assert manifest["source"]["key"] == mine
    deployed.delete(mine)
    eventually(lambda: not deployed.names(mine))


def test_hard_pictures_come_out_right(deployed: Deployed):
    """The pictures of `thumbsmith conformance` are right in the deployed stack, found by its name, and go again."""
    told = [json.loads(line) for line in deployed.cloud.thumbsmith("conformance", "Thumbsmith", "--json").splitlines()]
    assert len(told) > 30
    assert [each for each in told if not each["right"]] == []


def test_what_keeps_failing_is_set_aside_after_so_many_receives(deployed: Deployed):
    """A message that nobody understands is in the dead letters after exactly the configured number of receives."""
    queue, dead = deployed.outputs["Queue"], deployed.outputs["DeadLetters"]
    told = deployed.sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["All"])["Attributes"]
    assert json.loads(told["RedrivePolicy"])["maxReceiveCount"] in {RECEIVES, str(RECEIVES)}
    assert int(told["VisibilityTimeout"]) == 360
    deployed.sqs.set_queue_attributes(QueueUrl=queue, Attributes={"VisibilityTimeout": "3"})
    try:
        sent = deployed.sqs.send_message(QueueUrl=queue, MessageBody="not an event")["MessageId"]
        eventually(lambda: deployed.waiting("DeadLetters"))
    finally:
        deployed.sqs.set_queue_attributes(QueueUrl=queue, Attributes={"VisibilityTimeout": "360"})
    received = deployed.sqs.receive_message(QueueUrl=dead, AttributeNames=["All"])["Messages"]
    assert [each["MessageId"] for each in received] == [sent]
    deployed.sqs.delete_message(QueueUrl=dead, ReceiptHandle=received[0]["ReceiptHandle"])
    assert sum(line.get("message") == sent for line in deployed.lines()) == RECEIVES


@pytest.mark.parametrize("name", ["photo.jpg", "a b/100%.jpg", "Été/naïve+1.jpg", "%2B&=.jpg"])
def test_the_api_takes_a_picture_and_shows_it(deployed: Deployed, key: str, name: str):
    """Leave to upload, the upload to the bucket itself, its event, the manifest, each format as wanted, and the end."""
    api, data = Asked(deployed), picture()
    granted = api.granted(f"{key}/{name}", len(data))
    path = quote(granted["key"])
    assert api("GET", f"/images/{path}").status_code == 404
    assert sent(granted["upload"], data) == 200
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
    """Another size, type or key, and the same once more, are refused by the bucket."""
    upload = Asked(deployed).granted(key, 3)["upload"]
    assert sent(upload, b"abcd") == 403
    assert sent(upload, b"abc", Content_Type="text/html") == 403
    assert sent({**upload, "url": upload["url"].replace(key, f"{key}x")}, b"abc") == 403
    assert sent(upload, b"abc") == 200
    assert sent(upload, b"xyz") == 412
    assert deployed.s3.get_object(Bucket=deployed.source, Key=key)["Body"].read() == b"abc"


def test_nobody_gets_in_without_credentials(deployed: Deployed, key: str):
    """Who was let in gets in; without a signature, with a wrong one, and not let in, it is 403, whatever is asked."""
    api, guest = Asked(deployed), user(deployed.cloud, "guest", "execute-api:Invoke")
    assert api("GET", "/images", by=guest).status_code == 200
    stranger = user(deployed.cloud, "stranger", "s3:ListAllMyBuckets")
    for by in (None, Credentials(guest.access_key, "not the secret"), stranger):
        for method, path in (("GET", "/images"), ("GET", f"/renditions/{key}/small"), ("DELETE", f"/images/{key}")):
            assert api(method, path, by=by).status_code == 403
        assert api("POST", "/uploads", {"name": key, "type": "image/jpeg", "bytes": 3}, by=by).status_code == 403


def test_a_stack_lives_and_goes(where: Cloud, key: str, tmp_path: Path):
    """Deployed, checked by its own command, redeployed with another recipe that then holds, and destroyed."""
    recipe = tmp_path / "recipe.toml"
    recipe.write_text("[variants.one]\nwidth = 40\n[variants.both]\nwidth = 20\n")
    settings = {"stack": "Second", "recipe": recipe}
    second = Deployed(where, where.deploy(**settings))
    told = where.thumbsmith("aws", "check", "Second", "--json", "--timeout", "60")
    steps = [json.loads(line) for line in told.splitlines()]
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
