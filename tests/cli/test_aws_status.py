"""`thumbsmith aws status` against a stack on the emulator."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.cli.command import Command
from tests.servers.fixtures import needs_servers
from thumbsmith.backfill.clients import client

ALARM = {
    "MetricName": "Errors",
    "Namespace": "AWS/Lambda",
    "Statistic": "Sum",
    "Period": 300,
    "Threshold": 0,
    "EvaluationPeriods": 1,
    "ComparisonOperator": "GreaterThanThreshold",
}
TEMPLATE: dict[str, Any] = {
    "Resources": {
        "Events": {"Type": "AWS::SQS::Queue"},
        "Dead": {"Type": "AWS::SQS::Queue"},
        "Alarm": {
            "Type": "AWS::CloudWatch::Alarm",
            "Properties": {"AlarmName": {"Fn::Sub": "${AWS::StackName}-Failed"}, **ALARM},
        },
    },
    "Outputs": {
        "Queue": {"Value": {"Ref": "Events"}},
        "DeadLetters": {"Value": {"Ref": "Dead"}},
        "Function": {"Value": {"Ref": "AWS::StackName"}},
    },
}

pytestmark = needs_servers


@pytest.fixture
def stack(ministack: str, request: pytest.FixtureRequest) -> Iterator[str]:
    """Return the name of a stack with two queues, an alarm and the outputs of the ready app."""
    formation, name = client("cloudformation"), "Status" + "".join(filter(str.isalnum, request.node.name))
    formation.create_stack(StackName=name, TemplateBody=json.dumps(TEMPLATE))
    formation.get_waiter("stack_create_complete").wait(StackName=name, WaiterConfig={"Delay": 1})
    yield name
    formation.delete_stack(StackName=name)


def test_a_healthy_stack(thumbsmith: Command, stack: str):
    """Without images and messages, each line says so, and the exit code is 0."""
    ran = thumbsmith("aws", "status", stack)
    lines = ran.out.splitlines()
    assert (ran.code, ran.err) == (0, "")
    assert lines[0].startswith("alarms   0 of 1 on")
    assert "queue    events: 0 waiting, 0 in progress" in lines
    assert "queue    dead letters: 0 waiting, 0 in progress" in lines
    assert "images   in 24 hours: none" in lines


def test_what_needs_action(thumbsmith: Command, stack: str):
    """An alarm that is on, dead letters, outcomes, codes and times are shown; the exit code is 1."""
    formation, cloudwatch = client("cloudformation"), client("cloudwatch")
    (found,) = formation.describe_stacks(StackName=stack)["Stacks"]
    outputs = {each["OutputKey"]: each["OutputValue"] for each in found["Outputs"]}
    client("sqs").send_message(QueueUrl=outputs["DeadLetters"], MessageBody="{}")
    cloudwatch.set_alarm_state(AlarmName=f"{stack}-Failed", StateValue="ALARM", StateReason="a test")
    function = [{"Name": "Function", "Value": stack}]
    for kind, word, number in (("Outcome", "made", 1200), ("Outcome", "rejected", 3), ("Code", "corrupt", 3)):
        counted = {"MetricName": "Images", "Dimensions": [*function, {"Name": kind, "Value": word}], "Value": number}
        cloudwatch.put_metric_data(Namespace="Thumbsmith", MetricData=[counted])
    took = {"MetricName": "TotalMilliseconds", "Dimensions": function, "Value": 210.0}
    cloudwatch.put_metric_data(Namespace="Thumbsmith", MetricData=[took])
    ran = thumbsmith("aws", "status", stack)
    assert ran.code == 1
    assert "alarms   1 of 1 on" in ran.out
    assert f"         {stack}-Failed, since " in ran.out
    assert "queue    dead letters: 1 waiting" in ran.out
    assert "images   in 24 hours: 1,200 made, 3 rejected" in ran.out
    assert "by code: 3 corrupt" in ran.out
    (told,) = thumbsmith("aws", "status", stack, "--json").events
    assert told["alarms"] == {f"{stack}-Failed": "ALARM"}
    assert told["images"] == {"made": 1200, "rejected": 3}
    assert told["queues"]["dead letters"] == {"waiting": 1, "in_hand": 0}
    assert told["problems"] == []


def test_a_part_that_cannot_be_read(thumbsmith: Command, stack: str):
    """A deleted queue is a line that names it; the other parts are shown, and the exit code is 1."""
    (found,) = client("cloudformation").describe_stacks(StackName=stack)["Stacks"]
    outputs = {each["OutputKey"]: each["OutputValue"] for each in found["Outputs"]}
    client("sqs").delete_queue(QueueUrl=outputs["DeadLetters"])
    ran = thumbsmith("aws", "status", stack)
    assert ran.code == 1
    assert "unknown  " in ran.out
    assert "images   in 24 hours" in ran.out


def test_a_stack_that_does_not_exist(thumbsmith: Command, ministack: str):
    """One sentence names the stack; exit code 2."""
    ran = thumbsmith("aws", "status", "Nowhere")
    assert (ran.code, ran.err.count("\n")) == (2, 1)
    assert ran.err.startswith("thumbsmith: stack Nowhere: ")
