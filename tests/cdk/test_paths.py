"""Each connection from one service to another is allowed by the policy of its target, in the template."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from aws_cdk import Stack
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sns as sns
from aws_cdk.assertions import Annotations, Match, Template
from aws_cdk.aws_apigatewayv2_authorizers import HttpIamAuthorizer

from tests.cdk.conftest import inline
from thumbsmith.cdk import ThumbnailApi, ThumbnailAudit, ThumbnailDelivery, ThumbnailGenerator, ThumbnailTask
from thumbsmith.cdk.monitoring import allow_alarms

Generate = Callable[..., ThumbnailGenerator]
Resources = dict[str, dict[str, Any]]

ACCOUNT = {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}

# Whose targets are named by ARN, and who sends to them.
SENDERS = {
    "AWS::CloudWatch::Alarm": "cloudwatch.amazonaws.com",
    "AWS::Events::Rule": "events.amazonaws.com",
    "Custom::S3BucketNotifications": "s3.amazonaws.com",
    "AWS::SNS::Subscription": "sns.amazonaws.com",
}
# Alarms start it by the role that AWS makes for it: it has no policy.
# https://docs.aws.amazon.com/autoscaling/application/userguide/application-auto-scaling-service-linked-roles.html
SCALING = "AWS::ApplicationAutoScaling::ScalingPolicy"

# The policy of each kind of target: its type, the property that names the target, and the action that is needed.
POLICIES = {
    "AWS::SNS::Topic": ("AWS::SNS::TopicPolicy", "Topics", "sns:Publish"),
    "AWS::SQS::Queue": ("AWS::SQS::QueuePolicy", "Queues", "sqs:SendMessage"),
}


def _name(arn: Any) -> str | None:
    """Return the logical id in an ARN of the template."""
    match arn:
        case {"Ref": str(name)} | {"Fn::GetAtt": [str(name), "Arn" | "TopicArn"]}:
            return name
    return None


def _arns(kind: str, properties: dict[str, Any]) -> list[Any]:
    """Return the ARNs that a resource sends to."""
    match kind:
        case "AWS::CloudWatch::Alarm":
            names = ("AlarmActions", "OKActions", "InsufficientDataActions")
            return [arn for name in names for arn in properties.get(name, [])]
        case "AWS::Events::Rule":
            dead = [each["DeadLetterConfig"]["Arn"] for each in properties["Targets"] if "DeadLetterConfig" in each]
            return [each["Arn"] for each in properties["Targets"]] + dead
        case "Custom::S3BucketNotifications":
            found = properties["NotificationConfiguration"]
            return [each["QueueArn"] for each in found.get("QueueConfigurations", [])]
    return [properties["Endpoint"]] if properties["Protocol"] == "sqs" else []


def _allowing(resources: Resources, target: str, service: str) -> Iterator[dict[str, Any]]:
    """Yield the statements of a topic's or queue's policy that let a service send to it."""
    kind, member, action = POLICIES[resources[target]["Type"]]
    for each in resources.values():
        if each["Type"] != kind or target not in map(_name, each["Properties"][member]):
            continue
        for statement in each["Properties"]["PolicyDocument"]["Statement"]:
            actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
            to_it = statement["Effect"] == "Allow" and statement.get("Principal") == {"Service": service}
            if to_it and action in actions and _name(statement["Resource"]) == target:
                yield statement


def broken(template: Template) -> tuple[list[str], set[str]]:
    """Return the connections that are not allowed, and the kinds of connections that were checked."""
    resources: Resources = template.to_json()["Resources"]
    wrong: list[str] = []
    seen: set[str] = set()
    for name, each in resources.items():
        if each["Type"] not in SENDERS:
            continue
        service = SENDERS[each["Type"]]
        for arn in _arns(each["Type"], each["Properties"]):
            target = _name(arn)
            if target in resources and resources[target]["Type"] == SCALING:
                continue
            if target is None or resources[target]["Type"] not in {*POLICIES, "AWS::Lambda::Function"}:
                wrong.append(f"{name} sends to what the walk does not know: {json.dumps(arn)}")
                continue
            seen.add(f"{each['Type']} -> {resources[target]['Type']}")
            if resources[target]["Type"] == "AWS::Lambda::Function":
                wrong += [] if _may_invoke(resources, target, service) else [f"{name} may not invoke {target}"]
                continue
            if not any(_allowing(resources, target, service)):
                wrong.append(f"{name} may not send to {target}")
            key = resources[target].get("Properties", {}).get("KmsMasterKeyId")
            if key is not None and not _may_use(resources, _name(key), service):
                wrong.append(f"{name} may not use the key of {target}")
    return wrong, seen


def _may_invoke(resources: Resources, function: str, service: str) -> bool:
    permissions = [each["Properties"] for each in resources.values() if each["Type"] == "AWS::Lambda::Permission"]
    return any(_name(each["FunctionName"]) == function and each["Principal"] == service for each in permissions)


def _may_use(resources: Resources, key: str | None, service: str) -> bool:
    statements = resources[key]["Properties"]["KeyPolicy"]["Statement"] if key in resources else []
    return any(
        each["Principal"] == {"Service": service} and {"kms:Decrypt", "kms:GenerateDataKey*"} <= set(each["Action"])
        for each in statements
    )


@pytest.fixture
def everything(stack: Stack, generate: Generate) -> Callable[..., ThumbnailGenerator]:
    """Return a function that creates all constructs with all options."""

    def made(**props: Any) -> ThumbnailGenerator:
        given = {"backfill": True, "batch": True, "catalogue": True, "announce_email": "a@example.com", "alarms": True}
        generator = generate(**(given | props))
        ThumbnailAudit(stack, "Audit", generator=generator, repair=True)
        ThumbnailApi(
            stack, "Api", thumbnails=generator, authorizer=HttpIamAuthorizer(), function_props={"code": inline()}
        )
        ThumbnailDelivery(stack, "Delivery", thumbnails=generator)
        image = ecs.ContainerImage.from_registry("example.com/thumbsmith:1")
        ThumbnailTask(stack, "Task", generator=generator, image=image, vpc=ec2.Vpc(stack, "Vpc", max_azs=2))
        return generator

    return made


@pytest.mark.parametrize("trigger", ["s3", "eventbridge"])
def test_every_way_is_allowed(stack: Stack, everything: Generate, trigger: str):
    """Alarms, rules, dead letters, buckets and subscriptions may send to their targets."""
    everything(trigger=trigger)
    wrong, seen = broken(Template.from_stack(stack))
    assert wrong == []
    by = {"s3": "Custom::S3BucketNotifications", "eventbridge": "AWS::Events::Rule"}[trigger]
    assert {
        "AWS::CloudWatch::Alarm -> AWS::SNS::Topic",
        "AWS::Events::Rule -> AWS::SNS::Topic",
        "AWS::Events::Rule -> AWS::SQS::Queue",
        "AWS::Events::Rule -> AWS::Lambda::Function",
        f"{by} -> AWS::SQS::Queue",
    } <= seen


def test_the_walk_sees_what_is_missing(stack: Stack, everything: Generate):
    """Without its statement, each queue and topic is reported as a broken connection."""
    everything(trigger="eventbridge")
    whole = Template.from_stack(stack).to_json()
    for each in whole["Resources"].values():
        if each["Type"] in {"AWS::SNS::TopicPolicy", "AWS::SQS::QueuePolicy"}:
            statements = each["Properties"]["PolicyDocument"]["Statement"]
            each["Properties"]["PolicyDocument"]["Statement"] = [
                statement for statement in statements if statement["Effect"] == "Deny"
            ]
    wrong, seen = broken(Template.from_json(whole))
    assert len(wrong) > 5
    assert len(seen) > 2


def test_alarms_of_this_account_alone_may_publish(stack: Stack, generate: Generate):
    """The policy of the topic lets CloudWatch publish for this account, with TLS only."""
    generate(alarm_email="a@example.com")
    resources = Template.from_stack(stack).to_json()["Resources"]
    (topic,) = [name for name, each in resources.items() if each["Type"] == "AWS::SNS::Topic"]
    (statement,) = _allowing(resources, topic, "cloudwatch.amazonaws.com")
    assert statement["Condition"] == {"StringEquals": ACCOUNT}


@pytest.mark.parametrize("encrypted", [False, True])
@pytest.mark.parametrize("strict", [False, True])
def test_a_topic_of_the_app_lets_alarms_publish(stack: Stack, generate: Generate, *, encrypted: bool, strict: bool):
    """A topic of the app gets the statement, with or without its own policy, and so does its key."""
    key = kms.Key(stack, "Key") if encrypted else None
    generate(alarm_topic=sns.Topic(stack, "Mine", master_key=key, enforce_ssl=strict))
    wrong, seen = broken(Template.from_stack(stack))
    assert wrong == []
    assert "AWS::CloudWatch::Alarm -> AWS::SNS::Topic" in seen
    Annotations.from_stack(stack).has_no_warning("*", Match.any_value())


def test_the_owner_of_an_imported_topic_is_asked(stack: Stack, generate: Generate):
    """An imported topic gives a warning, and an output with the policy to add."""
    arn = "arn:aws:sns:eu-central-1:123456789012:mine"
    generate(alarm_topic=sns.Topic.from_topic_arn(stack, "Mine", arn))
    Annotations.from_stack(stack).has_warning("*", Match.string_like_regexp("alarm_topic.*CloudWatch publish.*output"))
    (output,) = Template.from_stack(stack).find_outputs("*").values()
    policy = joined(output["Value"])
    assert policy["Statement"] == [
        {
            "Sid": "LetAlarmsPublish",
            "Effect": "Allow",
            "Principal": {"Service": "cloudwatch.amazonaws.com"},
            "Action": "sns:Publish",
            "Resource": arn,
            "Condition": {"StringEquals": {"aws:SourceAccount": "AWS::AccountId"}},
        }
    ]


def test_the_owner_of_an_imported_key_is_asked(stack: Stack):
    """A topic with an imported key gives a warning, and an output for the policy of the key."""
    key = kms.Key.from_key_arn(stack, "Key", "arn:aws:kms:eu-central-1:123456789012:key/1")
    allow_alarms(stack, sns.Topic(stack, "Mine", master_key=key))
    Annotations.from_stack(stack).has_warning("*", Match.string_like_regexp("imported key.*AlarmTopicKeyPolicy"))
    (output,) = Template.from_stack(stack).find_outputs("*").values()
    assert joined(output["Value"])["Statement"][0]["Action"] == ["kms:Decrypt", "kms:GenerateDataKey*"]


def test_no_event_of_a_rule_is_lost(stack: Stack, everything: Generate):
    """Each queue and topic that EventBridge sends to has dead letters; an audit runs again the next night."""
    everything(trigger="eventbridge")
    rules = Template.from_stack(stack).find_resources("AWS::Events::Rule")
    targets = [each for rule in rules.values() for each in rule["Properties"]["Targets"]]
    without = [each for each in targets if "DeadLetterConfig" not in each]
    assert len(targets) == 4
    assert [json.loads(each["Input"]) for each in without] == [{"prefix": ""}]


def test_the_buckets_of_the_app_ask_nobody(stack: Stack, everything: Generate):
    """If the app creates all resources, there is no warning and nothing to add by hand."""
    everything()
    Annotations.from_stack(stack).has_no_warning("*", Match.string_like_regexp("by hand|imported"))
    assert not {"BucketPolicy", "SourceCors"} & set(Template.from_stack(stack).find_outputs("*"))


def joined(value: Any) -> dict[str, Any]:
    """Return the JSON of an output, with names instead of values that only deployment knows."""
    parts = value["Fn::Join"][1] if isinstance(value, dict) else [value]
    return json.loads("".join(each if isinstance(each, str) else _reference(each) for each in parts))


def _reference(each: dict[str, Any]) -> str:
    return str(each.get("Ref") or ".".join(each["Fn::GetAtt"]))


def test_the_owner_of_an_imported_destination_is_asked(stack: Stack, generate: Generate):
    """Delivery of an imported bucket gives a warning, and outputs with the policies of bucket and key."""
    key = kms.Key.from_key_arn(stack, "Key", "arn:aws:kms:eu-central-1:123456789012:key/1")
    mine = s3.Bucket.from_bucket_attributes(stack, "Mine", bucket_name="thumbs", encryption_key=key)
    ThumbnailDelivery(stack, "Delivery", thumbnails=generate(destination=mine, destination_prefix="out/"))
    for word in ("imported destination bucket", "imported key"):
        Annotations.from_stack(stack).has_warning("/Test/Delivery", Match.string_like_regexp(word))
    outputs = Template.from_stack(stack).find_outputs("*")
    bucket, decrypt = (
        joined(next(each["Value"] for name, each in outputs.items() if name.startswith(start)))["Statement"][0]
        for start in ("DeliveryBucketPolicy", "DeliveryKeyPolicy")
    )
    assert bucket["Principal"] == decrypt["Principal"] == {"Service": "cloudfront.amazonaws.com"}
    assert (bucket["Action"], bucket["Effect"]) == ("s3:GetObject", "Allow")
    assert bucket["Resource"].endswith(":s3:::thumbs/out/*")
    assert "distribution/" in bucket["Condition"]["StringEquals"]["AWS:SourceArn"]
    assert (decrypt["Action"], decrypt["Resource"]) == ("kms:Decrypt", "*")


def test_a_key_of_the_app_lets_cloudfront_decrypt(stack: Stack, generate: Generate):
    """The key of a new bucket lets the account's distributions decrypt; the template has no cycle."""
    mine = s3.Bucket(stack, "Mine", encryption_key=kms.Key(stack, "Key"))
    ThumbnailDelivery(stack, "Delivery", thumbnails=generate(destination=mine))
    (key,) = Template.from_stack(stack).find_resources("AWS::KMS::Key").values()
    (use,) = [each for each in key["Properties"]["KeyPolicy"]["Statement"] if each.get("Sid")]
    assert (use["Principal"], use["Action"]) == ({"Service": "cloudfront.amazonaws.com"}, "kms:Decrypt")
    assert list(use["Condition"]) == ["ArnLike"]


def test_the_owner_of_an_imported_source_is_asked(stack: Stack, generate: Generate):
    """An API for pages with an imported bucket gives a warning, and an output with the CORS rules."""
    mine = s3.Bucket.from_bucket_name(stack, "Mine", "photos")
    ThumbnailApi(
        stack,
        "Api",
        thumbnails=generate(source=mine),
        authorizer=HttpIamAuthorizer(),
        allow_origins=["https://shop.example"],
        function_props={"code": inline()},
    )
    Annotations.from_stack(stack).has_warning("/Test/Api", Match.string_like_regexp("CORS.*output SourceCors"))
    (rules,) = [
        each["Value"]
        for name, each in Template.from_stack(stack).find_outputs("*").items()
        if name.startswith("ApiSourceCors")
    ]
    assert json.loads(rules) == {
        "CORSRules": [
            {
                "AllowedMethods": ["PUT"],
                "AllowedOrigins": ["https://shop.example"],
                "AllowedHeaders": ["content-type", "if-none-match", "x-amz-expected-bucket-owner"],
                "MaxAgeSeconds": 600,
            }
        ]
    }
