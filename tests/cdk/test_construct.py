"""The template of ThumbnailGenerator."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from aws_cdk import Duration, Stack, Tags
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sns as sns
from aws_cdk.assertions import Match, Template

from tests.cdk.conftest import inline
from thumbsmith import Recipe
from thumbsmith.bulk.cost import LOG_BYTES_PER_IMAGE, LOG_BYTES_PER_INVOCATION, MILLION, Model, source_amount
from thumbsmith.cdk import IsolatedNetwork, ThumbnailGenerator, Trigger
from thumbsmith.dispatch.converger import KeyJob, KeyResult
from thumbsmith.dispatch.telemetry import Telemetry
from thumbsmith.environment import FIRST_DELIVERY_SECONDS, METRICS_NAMESPACE
from thumbsmith.image.containers.base import Probe
from thumbsmith.reconcile.protocol import Outcome
from thumbsmith.worker import Work

Generate = Callable[..., ThumbnailGenerator]
Render = Callable[[], Template]


def resources(template: Template, kind: str, path: str = "") -> list[dict[str, Any]]:
    """Return the properties of all resources of a kind whose logical id contains `path`."""
    found = template.find_resources(kind)
    return [found[name].get("Properties", {}) for name in sorted(found) if path in name]


def statements(template: Template, path: str) -> dict[str, dict[str, Any]]:
    """Return the statements of a role's inline policy by Sid."""
    (role,) = resources(template, "AWS::IAM::Role", path)
    (policy,) = role["Policies"]
    return {each["Sid"]: each for each in policy["PolicyDocument"]["Statement"]}


def test_defaults_are_those_documented(generate: Generate, template: Render):
    """Defaults: Python 3.13, arm64, one whole processor, ten messages a call, no reserved concurrency."""
    generate()
    (function,) = resources(template(), "AWS::Lambda::Function", "ThumbnailsConverge")
    assert function["Runtime"] == "python3.13"
    assert function["Architectures"] == ["arm64"]
    assert (function["MemorySize"], function["Timeout"]) == (1024, 60)
    assert function["Handler"] == "thumbsmith.aws.handler.handler"
    assert "ReservedConcurrentExecutions" not in function
    assert "TracingConfig" not in function
    (mapping,) = resources(template(), "AWS::Lambda::EventSourceMapping")
    assert mapping["BatchSize"] == 10
    assert mapping["ScalingConfig"] == {"MaximumConcurrency": 100}
    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    (group,) = resources(template(), "AWS::Logs::LogGroup")
    assert group["RetentionInDays"] == 30


def test_the_environment_says_where_and_whose(generate: Generate, template: Render):
    """The function has both addresses, each with the account that owns the bucket."""
    generate(source_prefix="in/", destination_prefix="out/")
    (function,) = resources(template(), "AWS::Lambda::Function", "ThumbnailsConverge")
    variables = function["Environment"]["Variables"]
    assert set(variables) == {"THUMBSMITH_SOURCE", "THUMBSMITH_DESTINATION"}
    parts = variables["THUMBSMITH_SOURCE"]["Fn::Join"][1]
    assert parts[0] == "s3://"
    assert parts[2:] == ["/in/?owner=", {"Ref": "AWS::AccountId"}]


@pytest.mark.parametrize("timeout", [10, 60, 900])
def test_events_wait_as_long_as_lambda_asks(generate: Generate, template: Render, timeout: int):
    """The visibility timeout is six timeouts, or a share of ten minutes; both queues keep messages for 14 days."""
    generate(timeout=Duration.seconds(timeout), max_receive_count=7)
    events, dead = resources(template(), "AWS::SQS::Queue", "Events") + resources(
        template(), "AWS::SQS::Queue", "DeadLetters"
    )
    assert events["VisibilityTimeout"] == max(6 * timeout, 86)
    assert events["RedrivePolicy"]["maxReceiveCount"] == 7
    for queue in (events, dead):
        assert queue["SqsManagedSseEnabled"] is True
        assert queue["MessageRetentionPeriod"] == 14 * 24 * 3600
        assert queue["MaximumMessageSize"] >= 256 * 1024


def test_s3_tells_of_every_change_under_the_prefix(generate: Generate, template: Render):
    """S3 reports creation, removal, expiry and tags, with one filter for the prefix only."""
    generate(source_prefix="in/")
    (notifications,) = resources(template(), "Custom::S3BucketNotifications")
    rules = notifications["NotificationConfiguration"]["QueueConfigurations"]
    assert sorted(event for rule in rules for event in rule["Events"]) == [
        "s3:LifecycleExpiration:*",
        "s3:ObjectCreated:*",
        "s3:ObjectRemoved:*",
        "s3:ObjectRestore:Completed",
        "s3:ObjectTagging:*",
    ]
    only = {"Key": {"FilterRules": [{"Name": "prefix", "Value": "in/"}]}}
    assert [rule["Filter"] for rule in rules] == [only] * 5


def test_only_that_bucket_of_that_account_may_send(generate: Generate, template: Render):
    """The queue accepts messages only from this bucket of this account, and only with TLS."""
    generate()
    (policy,) = resources(template(), "AWS::SQS::QueuePolicy", "Events")
    tls, send = policy["PolicyDocument"]["Statement"]
    assert (tls["Effect"], tls["Action"]) == ("Deny", "sqs:*")
    assert tls["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert (send["Action"], send["Principal"]) == ("sqs:SendMessage", {"Service": "s3.amazonaws.com"})
    assert send["Condition"]["StringEquals"] == {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}
    assert list(send["Condition"]["ArnEquals"]) == ["aws:SourceArn"]


def test_eventbridge_tells_of_the_same_changes(generate: Generate, template: Render):
    """With EVENTBRIDGE one rule sends the same changes below the same prefix, and S3 itself sends none."""
    made = generate(trigger=Trigger.EVENTBRIDGE, source_prefix="é/")
    (rule,) = resources(template(), "AWS::Events::Rule")
    tagged = ["Object Tags Added", "Object Tags Deleted"]
    kinds = ["Object Created", "Object Deleted", *tagged, "Object Restore Completed"]
    assert rule["EventPattern"]["detail-type"] == kinds
    assert rule["EventPattern"]["detail"]["object"] == {"key": [{"prefix": "é/"}]}
    (notifications,) = resources(template(), "Custom::S3BucketNotifications")
    assert notifications["NotificationConfiguration"] == {"EventBridgeConfiguration": {}}
    assert made.rule is not None


def test_the_role_may_do_this_and_nothing_else(generate: Generate, template: Render):
    """Each statement names its resources: objects under the prefixes, both buckets, the queue, the log group."""
    generate(source_prefix="in/", destination_prefix="out/")
    found = statements(template(), "ThumbnailsConverge")
    assert {sid: each["Action"] for sid, each in found.items()} == {
        "ReadSource": ["s3:GetObject", "s3:GetObjectTagging"],
        "TellAbsentSource": "s3:ListBucket",
        "KeepDestination": ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"],
        "ListDestination": "s3:ListBucket",
        "ReceiveEvents": ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"],
        "WriteLogs": ["logs:CreateLogStream", "logs:PutLogEvents"],
    }
    assert found["ReadSource"]["Resource"]["Fn::Join"][1][1] == "/in/*"
    assert found["KeepDestination"]["Resource"]["Fn::Join"][1][1] == "/out/*"
    assert all(each["Resource"] != "*" for each in found.values())
    assert not resources(template(), "AWS::IAM::Policy", "ThumbnailsConverge")
    (role,) = resources(template(), "AWS::IAM::Role", "ThumbnailsConverge")
    assert "ManagedPolicyArns" not in role


def test_keys_are_used_through_s3_alone(stack: Stack, generate: Generate, template: Render):
    """With KMS keys, the role may use them through S3 only."""
    buckets = {
        name: s3.Bucket(stack, name, encryption_key=kms.Key(stack, f"{name}Key")) for name in ("source", "destination")
    }
    generate(**buckets)
    found = statements(template(), "ThumbnailsConverge")
    assert found["DecryptSource"]["Action"] == "kms:Decrypt"
    assert found["EncryptDestination"]["Action"] == ["kms:GenerateDataKey", "kms:Decrypt"]
    for sid in ("DecryptSource", "EncryptDestination"):
        via = found[sid]["Condition"]["StringEquals"]["kms:ViaService"]
        assert via == {"Fn::Join": ["", ["s3.", {"Ref": "AWS::Region"}, ".amazonaws.com"]]}


def test_existing_buckets_are_left_as_they_are(stack: Stack, generate: Generate, template: Render):
    """Imported buckets are not created, and their existing notifications are kept."""
    generate(
        source=s3.Bucket.from_bucket_name(stack, "Mine", "photos"),
        destination=s3.Bucket.from_bucket_name(stack, "Thumbs", "thumbs"),
    )
    template().resource_count_is("AWS::S3::Bucket", 0)
    (notifications,) = resources(template(), "Custom::S3BucketNotifications")
    assert notifications["BucketName"] == "photos"
    assert notifications["Managed"] is False


def test_one_bucket_may_hold_both(stack: Stack, generate: Generate, template: Render):
    """Source and destination may be two prefixes of one bucket; only the source sends events."""
    bucket = s3.Bucket(stack, "Both")
    generate(source=bucket, destination=bucket, source_prefix="in/", destination_prefix="out/")
    (notifications,) = resources(template(), "Custom::S3BucketNotifications")
    rules = notifications["NotificationConfiguration"]["QueueConfigurations"]
    assert {rule["Filter"]["Key"]["FilterRules"][0]["Value"] for rule in rules} == {"in/"}


def test_a_small_recipe_travels_in_the_environment(generate: Generate, template: Render):
    """A recipe of up to 2 KB is an environment variable, so a change uploads no code."""
    toml = "[variants.tiny]\nwidth = 32\n"
    generate(recipe=toml)
    (function,) = resources(template(), "AWS::Lambda::Function", "ThumbnailsConverge")
    assert function["Environment"]["Variables"]["THUMBSMITH_RECIPE"] == toml


def test_whatever_a_function_can_be_told_can_be_told(generate: Generate, template: Render):
    """function_props win over all props of the construct."""
    props = {"code": inline(), "memory_size": 3008, "description": "ours", "handler": "mine.handler"}
    generate(function_props=props, memory_size=512)
    (function,) = resources(template(), "AWS::Lambda::Function", "ThumbnailsConverge")
    assert (function["MemorySize"], function["Description"], function["Handler"]) == (3008, "ours", "mine.handler")


def test_every_part_is_an_attribute(generate: Generate):
    """All parts are attributes: queue, function, role, logs, alarms, table, topic, dashboard."""
    made = generate(alarms=True, dashboard=True, catalogue=True, announce=True)
    parts = (made.queue, made.dead_letters, made.function, made.role, made.log_group, made.event_source)
    assert all(part.node.path.startswith("Test/Thumbnails/") for part in parts)
    assert made.alarms is not None
    assert set(made.alarms.alarms) >= {"DeadLetters", "OldestEvent", "Errors", "Throttles", "Failed", "Rejected"}
    assert made.catalogue is not None
    assert made.announcements is not None
    assert made.dashboard is not None


def test_what_was_not_asked_for_is_not_made(generate: Generate, template: Render):
    """By default there are no alarms, dashboard, table, topic, network or second function."""
    generate()
    absent = ("CloudWatch::Alarm", "CloudWatch::Dashboard", "DynamoDB::Table", "SNS::Topic", "EC2::VPC", "Events::Rule")
    for kind in absent:
        template().resource_count_is(f"AWS::{kind}", 0)
    template().resource_count_is("AWS::Lambda::Function", 2)  # ours, and CDK's for notifications


def test_tags_reach_every_part(stack: Stack, generate: Generate, template: Render):
    """A tag on the construct reaches its queues, function, role and logs; it tags itself with its path."""
    Tags.of(generate()).add("team", "pictures")
    for kind in ("AWS::SQS::Queue", "AWS::Lambda::Function", "AWS::IAM::Role", "AWS::Logs::LogGroup"):
        for each in resources(template(), kind, "Thumbnails"):
            tags = {tag["Key"]: tag["Value"] for tag in each["Tags"]}
            assert tags == {"team": "pictures", "thumbsmith": "Test/Thumbnails"}


def test_facts_come_from_manifests(generate: Generate, template: Render):
    """Catalogue and announcements follow the manifests below the prefix, through EventBridge."""
    generate(destination_prefix="web/", catalogue=True, announce_email="a@example.com")
    rules = resources(template(), "AWS::Events::Rule")
    assert len(rules) == 2
    for rule in rules:
        assert rule["EventPattern"]["detail"]["object"] == {"key": [{"wildcard": "web/*/manifest.json"}]}
    template().has_resource_properties("AWS::SNS::Subscription", {"Protocol": "email", "Endpoint": "a@example.com"})
    (table,) = resources(template(), "AWS::DynamoDB::Table")
    assert table["KeySchema"] == [{"AttributeName": "key", "KeyType": "HASH"}]
    may = statements(template(), "CatalogueWriterRole")
    assert may["WriteCatalogue"]["Action"] == ["dynamodb:PutItem", "dynamodb:DeleteItem"]
    assert may["ReadManifests"]["Resource"]["Fn::Join"][1][1] == "/web/*/manifest.json"
    assert "WriteCatalogue" not in statements(template(), "ThumbnailsConverge")


def test_alarms_tell_one_topic(stack: Stack, generate: Generate, template: Render):
    """Each alarm notifies the topic given when it starts and ends; missing data is no alarm."""
    topic = sns.Topic(stack, "Mine")
    generate(alarm_topic=topic, max_age=Duration.minutes(1))
    alarms = resources(template(), "AWS::CloudWatch::Alarm")
    assert len(alarms) == 6
    for alarm in alarms:
        assert alarm["AlarmActions"] == alarm["OKActions"] == [stack.resolve(topic.topic_arn)]
        assert alarm["TreatMissingData"] == "notBreaching"
        assert "docs/runbook.md" in alarm["AlarmDescription"]
    assert 60 in [alarm["Threshold"] for alarm in alarms]


def _written(capsys: pytest.CaptureFixture[str]) -> set[str]:
    """Return the names of the metrics that a function writes for an image."""
    work = Work(
        probe=Probe(format="jpeg", bytes=1, width=1, height=1),
        renditions=(),
        color="#000000",
        cpu_seconds=1,
        peak_memory=1,
    )
    times = {"before_seconds": 1.0, "render_seconds": 1.0, "after_seconds": 1.0, "total_seconds": 3.0}
    result = KeyResult(job=KeyJob("a.jpg", sent=1.0), outcome=Outcome(status="made"), work=work, **times)
    capsys.readouterr()
    Telemetry("f", "r").images([result])
    directives = json.loads(capsys.readouterr().out)["_aws"]["CloudWatchMetrics"]
    return {each["Name"] for directive in directives for each in directive["Metrics"]}


def test_the_dashboard_shows_metrics_that_exist(
    generate: Generate, template: Render, capsys: pytest.CaptureFixture[str]
):
    """Each metric of ours on the dashboard is one that the function writes."""
    generate(dashboard=True, backfill=True)
    (page,) = resources(template(), "AWS::CloudWatch::Dashboard")
    body = "".join(part if isinstance(part, str) else "x" for part in page["DashboardBody"]["Fn::Join"][1])
    lines = [line for widget in json.loads(body)["widgets"] for line in widget["properties"]["metrics"]]
    ours = {line[1] for line in lines if line[0] == METRICS_NAMESPACE}
    assert ours >= {"Images", "Failed", "Rejected", "QueueMilliseconds", "TotalMilliseconds"}
    assert ours <= _written(capsys)
    assert all(statistic in body for statistic in ("p50", "p90", "p99", "SEARCH", "US dollars a day"))


def test_the_dollars_on_the_dashboard_are_those_of_the_model(generate: Generate, template: Render):
    """A day with a million made photographs costs what the model says, apart from SQS's calls to receive."""
    generate(dashboard=True)
    (page,) = resources(template(), "AWS::CloudWatch::Dashboard")
    body = "".join(part if isinstance(part, str) else "x" for part in page["DashboardBody"]["Fn::Join"][1])
    (expression,) = [each for each in re.findall(r'"expression":"([^"]*)"', body) if "made" in each]
    model, million = Model(recipe=Recipe.default(), way="uploads"), source_amount(4_000_000, new=True) * MILLION
    logged = LOG_BYTES_PER_IMAGE + LOG_BYTES_PER_INVOCATION / 10
    day = {
        "made": 1e6,
        "milliseconds": model.function_seconds(million) * 1000,
        "calls": 1e5,
        "messages": 1e6,
        "logged": 1e6 * logged,
    }
    dollars = eval(expression.replace("FILL(", "fill("), {"fill": lambda value, _: value, **day})
    assert dollars == pytest.approx(model.bill(million).total, rel=0.005)


def test_an_isolated_network_reaches_the_buckets_alone(stack: Stack, generate: Generate, template: Render):
    """It has no internet access, free endpoints whose policies name the buckets, and the function."""
    source, destination = s3.Bucket(stack, "In"), s3.Bucket(stack, "Out")
    network = IsolatedNetwork(stack, "Network", buckets=[source, destination], dynamodb=True)
    generate(source=source, destination=destination, vpc=network.vpc, catalogue=True)
    for absent in ("InternetGateway", "NatGateway"):
        template().resource_count_is(f"AWS::EC2::{absent}", 0)
    endpoints = resources(template(), "AWS::EC2::VPCEndpoint")
    assert [each["VpcEndpointType"] for each in endpoints] == ["Gateway", "Gateway"]
    template().has_resource_properties(
        "AWS::EC2::VPCEndpoint",
        {
            "PolicyDocument": {
                "Statement": Match.array_with(
                    [
                        Match.object_like(
                            {
                                "Action": "s3:ListBucket",
                                "Resource": stack.resolve([b.bucket_arn for b in (source, destination)]),
                            }
                        )
                    ]
                )
            }
        },
    )
    functions = resources(template(), "AWS::Lambda::Function", "Thumbnails")
    assert len(functions) == 2
    assert all(each["VpcConfig"]["SubnetIds"] for each in functions)
    assert "JoinNetwork" in statements(template(), "ThumbnailsConverge")


def test_a_network_of_ones_own_will_do(stack: Stack, generate: Generate, template: Render):
    """In a network without isolated subnets, the function uses the private ones."""
    generate(vpc=ec2.Vpc(stack, "Mine"))
    (function,) = resources(template(), "AWS::Lambda::Function", "ThumbnailsConverge")
    subnets = [each["Ref"] for each in function["VpcConfig"]["SubnetIds"]]
    assert subnets
    assert all("Private" in each for each in subnets)


def test_other_machines_can_be_asked_for(generate: Generate, template: Render):
    """Version of Python, architecture, tracing and batch size can be changed."""
    generate(
        runtime=lambda_.Runtime.PYTHON_3_12,
        architecture=lambda_.Architecture.X86_64,
        tracing=lambda_.Tracing.ACTIVE,
        batch_size=1,
        max_concurrency=2,
    )
    (function,) = resources(template(), "AWS::Lambda::Function", "ThumbnailsConverge")
    assert (function["Runtime"], function["Architectures"]) == ("python3.12", ["x86_64"])
    assert function["TracingConfig"] == {"Mode": "Active"}
    (mapping,) = resources(template(), "AWS::Lambda::EventSourceMapping")
    assert (mapping["BatchSize"], mapping["ScalingConfig"]) == (1, {"MaximumConcurrency": 2})


def test_further_variables_are_added(generate: Generate, template: Render):
    """`environment` in function_props is added to the variables of the construct."""
    given = {"OTEL_SERVICE_NAME": "thumbs", "THUMBSMITH_ISOLATION": "required"}
    generate(function_props={"code": inline(), "environment": given}, recipe="[variants.a]\nwidth = 9\n")
    (function,) = resources(template(), "AWS::Lambda::Function", "ThumbnailsConverge")
    variables = function["Environment"]["Variables"]
    assert given.items() <= variables.items()
    assert {"THUMBSMITH_SOURCE", "THUMBSMITH_DESTINATION", "THUMBSMITH_RECIPE"} <= variables.keys()


def test_props_that_others_depend_on_reach_them(stack: Stack, generate: Generate, template: Render):
    """A timeout, an architecture or a network in function_props also changes the queue, the role and the writer."""
    props = {
        "code": inline(),
        "timeout": 120,
        "architecture": "x86_64",
        "vpc": ec2.Vpc(stack, "Mine"),
        "layers": [lambda_.LayerVersion.from_layer_version_arn(stack, "L", "arn:aws:lambda:eu-west-1:1:layer:x:1")],
    }
    generate(function_props=props, catalogue=True, batching_window=5)
    (events,) = resources(template(), "AWS::SQS::Queue", "ConvergeQueueEvents")
    assert events["VisibilityTimeout"] == 6 * 120 + 5
    functions = resources(template(), "AWS::Lambda::Function", "Thumbnails")
    assert len(functions) == 2
    for each in functions:
        assert (each["Timeout"], each["Architectures"]) == (120, ["x86_64"])
        assert each["Layers"] == ["arn:aws:lambda:eu-west-1:1:layer:x:1"]
        assert each["VpcConfig"]["SubnetIds"]
    assert "JoinNetwork" in statements(template(), "ThumbnailsConverge")
    assert list(props) == ["code", "timeout", "architecture", "vpc", "layers"]  # the caller's own is left as it is


def test_a_log_group_of_ones_own_is_the_one_allowed(stack: Stack, generate: Generate, template: Render):
    """With a log_group in function_props, the role may write to it only, and no other is created."""
    generate(function_props={"code": inline(), "log_group": logs.LogGroup(stack, "Mine")})
    (name,) = template().find_resources("AWS::Logs::LogGroup")
    assert name.startswith("Mine")
    allowed = statements(template(), "ThumbnailsConverge")["WriteLogs"]["Resource"]
    assert allowed["Fn::Join"][1][0]["Fn::GetAtt"][0] == name


def test_a_batch_may_wait(generate: Generate, template: Render):
    """More than ten messages a call need a batching window, which is added to the visibility timeout."""
    generate(batch_size=1000, batching_window=20)
    (mapping,) = resources(template(), "AWS::Lambda::EventSourceMapping")
    assert (mapping["BatchSize"], mapping["MaximumBatchingWindowInSeconds"]) == (1000, 20)
    (events,) = resources(template(), "AWS::SQS::Queue", "Events")
    assert events["VisibilityTimeout"] == 380


def test_the_code_may_not_use_the_networks_interfaces(stack: Stack, generate: Generate, template: Render):
    """In a VPC, the function's own code is denied what Lambda may do with network interfaces."""
    generate(vpc=ec2.Vpc(stack, "Mine"))
    (policy,) = resources(template(), "AWS::IAM::Policy", "LeaveNetwork")
    (deny,) = policy["PolicyDocument"]["Statement"]
    assert (deny["Effect"], deny["Resource"]) == ("Deny", "*")
    assert set(statements(template(), "ThumbnailsConverge")["JoinNetwork"]["Action"]) < set(deny["Action"])
    (arn,) = deny["Condition"]["ArnEquals"]["lambda:SourceFunctionArn"]
    assert arn["Fn::GetAtt"][0] in template().find_resources("AWS::Lambda::Function")


def test_a_topic_and_an_address_may_both_be_given(stack: Stack, generate: Generate, template: Render):
    """An address for alarms is subscribed to the topic given."""
    generate(alarm_topic=sns.Topic(stack, "Mine"), alarm_email="a@example.com")
    template().resource_count_is("AWS::SNS::Topic", 1)
    template().has_resource_properties("AWS::SNS::Subscription", {"Protocol": "email", "Endpoint": "a@example.com"})


def test_no_log_of_a_network_stays_for_ever(stack: Stack, template: Render):
    """Logs of rejected packets are kept for a month, and deleted with the stack."""
    IsolatedNetwork(stack, "Network", buckets=[s3.Bucket(stack, "In")], sqs=True)
    (group,) = template().find_resources("AWS::Logs::LogGroup").values()
    assert (group["Properties"]["RetentionInDays"], group["DeletionPolicy"]) == (30, "Delete")
    (endpoint,) = [
        each for each in resources(template(), "AWS::EC2::VPCEndpoint") if each["VpcEndpointType"] == "Interface"
    ]
    assert endpoint["PolicyDocument"]["Statement"][0]["Action"] == "sqs:SendMessage"


@pytest.mark.parametrize(("timeout", "receives"), [(1, 1), (1, 5), (10, 3), (60, 1), (60, 5), (900, 1)])
def test_a_message_is_old_when_it_is_dead(generate: Generate, template: Render, timeout: int, receives: int):
    """A function lists again for messages older than ten minutes: none reaches the dead letters earlier."""
    generate(timeout=timeout, max_receive_count=receives)
    (queue,) = [each for each in resources(template(), "AWS::SQS::Queue") if "RedrivePolicy" in each]
    assert queue["RedrivePolicy"]["maxReceiveCount"] == receives
    assert queue["VisibilityTimeout"] * receives >= FIRST_DELIVERY_SECONDS == 600
    assert queue["VisibilityTimeout"] >= 6 * timeout
