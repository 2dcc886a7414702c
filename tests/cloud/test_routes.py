"""EventBridge, prefixes, catalogue and announcements in a deployed stack; and the need for each permission."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.cloud.deployed import Deployed
from tests.cloud.emulator import Cloud, eventually
from tests.pictures import picture
from tests.servers.fixtures import needs_servers

pytestmark = [needs_servers, pytest.mark.deep]

SETTINGS = {
    "trigger": "eventbridge",
    "source_prefix": "été/",
    "destination_prefix": "out/",
    "catalogue": "true",
    "announce": "true",
}


@pytest.fixture(scope="module")
def deployed(where: Cloud) -> Deployed:
    """Return the application with EventBridge events, prefixes, a catalogue and announcements."""
    return Deployed(where, where.deploy(**SETTINGS))


def test_events_come_by_eventbridge(deployed: Deployed, key: str):
    """With EventBridge, any key gets its thumbnails, and loses them with its source."""
    name = f"{key}/a+b %20 é.jpg"
    deployed.put(f"été/{name}", picture())
    eventually(lambda: "manifest.json" in deployed.names(f"out/{name}"))
    assert json.loads(deployed.read(f"out/{name}/manifest.json"))["source"]["key"] == name
    deployed.delete(f"été/{name}")
    eventually(lambda: not deployed.names(f"out/{name}"))


def test_keys_outside_the_prefix_are_ignored(deployed: Deployed, key: str):
    """A picture outside the prefix gets no thumbnails."""
    deployed.put(key, picture())
    deployed.put(f"été/{key}", picture())
    eventually(lambda: "manifest.json" in deployed.names(f"out/{key}"))
    assert [each for each in deployed.outcomes(key) if each[0] == "made"] == [("made", 3)]


def test_the_catalogue_equals_the_manifests(deployed: Deployed, key: str):
    """There is one item for each source, equal to its manifest, as long as the manifest exists."""
    table, dynamodb = deployed.outputs["Catalogue"], deployed.cloud.client("dynamodb")

    def item() -> dict[str, Any] | None:
        return dynamodb.get_item(TableName=table, Key={"key": {"S": key}}).get("Item")

    deployed.put(f"été/{key}", picture())
    found = eventually(item)
    manifest = json.loads(deployed.read(f"out/{key}/manifest.json"))
    assert found["status"] == {"S": "ok"}
    assert found["source"]["M"]["etag"] == {"S": manifest["source"]["etag"]}
    assert len(found["renditions"]["L"]) == len(manifest["renditions"]) == 3
    deployed.delete(f"été/{key}")
    eventually(lambda: item() is None)


def test_subscribers_receive_manifest_events(deployed: Deployed, key: str):
    """A queue that subscribes to the topic receives events about manifests only."""
    sns, sqs = deployed.cloud.client("sns"), deployed.sqs
    (topic,) = [each["TopicArn"] for each in sns.list_topics()["Topics"] if "Announcements" in each["TopicArn"]]
    queue = sqs.create_queue(QueueName="subscriber")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    allow = {"Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"}, "Action": "sqs:SendMessage"}
    policy = {"Version": "2012-10-17", "Statement": [allow | {"Resource": arn}]}
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": json.dumps(policy)})
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    deployed.put(f"été/{key}", picture())
    heard: list[str] = []

    def listen() -> bool:
        bodies = [each["Body"] for each in sqs.receive_message(QueueUrl=queue).get("Messages", [])]
        heard.extend(json.loads(json.loads(body)["Message"])["detail"]["object"]["key"] for body in bodies)
        return f"out/{key}/manifest.json" in heard

    eventually(listen)
    assert all(each.endswith("/manifest.json") for each in heard)


class Role:
    """The role of the function, from which statements can be removed."""

    def __init__(self, deployed: Deployed) -> None:
        """Read the role of the deployed function."""
        self.deployed, self.iam = deployed, deployed.cloud.client("iam")
        function = deployed.cloud.client("lambda").get_function_configuration(FunctionName=deployed.outputs["Function"])
        self.arn, self.group = function["Role"], function["LoggingConfig"]["LogGroup"]
        self.name = self.arn.rpartition("/")[2]
        self.policy = self.iam.get_role_policy(RoleName=self.name, PolicyName="Thumbsmith")["PolicyDocument"]

    def write(self, statements: list[dict[str, Any]]) -> None:
        """Set the statements of the role's policy."""
        document = json.dumps(self.policy | {"Statement": statements})
        self.iam.put_role_policy(RoleName=self.name, PolicyName="Thumbsmith", PolicyDocument=document)

    def may(self, action: str, resource: str) -> bool:
        """Return whether IAM's simulator allows this action."""
        (result,) = self.iam.simulate_principal_policy(
            PolicySourceArn=self.arn, ActionNames=[action], ResourceArns=[resource]
        )["EvaluationResults"]
        return result["EvalDecision"] == "allowed"

    def works(self, key: str) -> bool:
        """Return whether a direct call of the function converges this key."""
        record = {"eventVersion": "2.1", "eventName": "ObjectCreated:Put"}
        record["s3"] = {"bucket": {"name": self.deployed.source}, "object": {"key": f"%C3%A9t%C3%A9/{key}"}}
        answer = self.deployed.cloud.client("lambda").invoke(
            FunctionName=self.deployed.outputs["Function"], Payload=json.dumps({"Records": [record]}).encode()
        )
        return "FunctionError" not in answer


@pytest.fixture(scope="module")
def role(deployed: Deployed) -> Role:
    """Return the function's role."""
    return Role(deployed)


def _purposes(role: Role, key: str) -> dict[str, Callable[[], bool]]:
    """Return for each statement a check that fails without it."""
    queue = f"arn:aws:sqs:us-east-1:000000000000:{role.deployed.outputs['Queue'].rpartition('/')[2]}"
    stream = f"arn:aws:logs:us-east-1:000000000000:log-group:{role.group}:log-stream:one"
    return {
        "ReadSource": lambda: role.works(key),
        # For a missing object without permission to list, AWS answers 403, and the emulator 404.
        "TellAbsentSource": lambda: role.may("s3:ListBucket", f"arn:aws:s3:::{role.deployed.source}"),
        "KeepDestination": lambda: role.works(key),
        "ListDestination": lambda: role.works(key),
        "ReceiveEvents": lambda: role.may("sqs:ReceiveMessage", queue),
        "WriteLogs": lambda: role.may("logs:PutLogEvents", stream),
    }


def test_every_permission_is_needed(role: Role, key: str):
    """Without any one statement of the role something fails; with all of them everything works."""
    role.deployed.put(f"été/{key}", picture())
    eventually(lambda: "manifest.json" in role.deployed.names(f"out/{key}"))
    purposes, statements = _purposes(role, key), role.policy["Statement"]
    assert {each["Sid"] for each in statements} == set(purposes)
    for sid, works in purposes.items():
        assert works(), sid
        role.write([each for each in statements if each["Sid"] != sid])
        try:
            assert not works(), sid
        finally:
            role.write(statements)
        assert works(), sid
