"""Announcements of manifests in a topic, and a table with the facts of all manifests.

Both follow the manifests in the destination. So nothing is lost if a function dies after it wrote a manifest, and that
function needs no further permissions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from aws_cdk import RemovalPolicy
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from constructs import Construct

from thumbsmith.cdk import notifications, permissions
from thumbsmith.cdk.function import QueueFunction
from thumbsmith.cdk.machine import Machine
from thumbsmith.cdk.network import Location
from thumbsmith.cdk.parts import RULE_QUEUE, acknowledge, dead_letters
from thumbsmith.environment import Setting

HANDLER: Final = "thumbsmith.aws.catalogue.handler"
EVENT_TYPES: Final = ("Object Created", "Object Deleted")


def manifest_rule(scope: Construct, id: str, destination: Location, target: events.IRuleTarget) -> events.Rule:
    """Return a rule for the manifests of the destination. A manifest is the last object written for its source."""
    keys = {"key": [{"wildcard": f"{destination.prefix}*/manifest.json"}]}
    return notifications.rule(scope, id, destination.bucket, EVENT_TYPES, keys, target)


class Announcements(Construct):
    """`topic`: gets a message for each manifest that is written or deleted. An `email` address is subscribed to it.

    Messages that EventBridge cannot deliver to the topic are in `dead_letters`.
    """

    def __init__(self, scope: Construct, id: str, *, destination: Location, email: str | None) -> None:
        super().__init__(scope, id)
        self.topic = topic(self, "Topic", email)
        self.dead_letters = dead_letters(self, "DeadLetters")
        acknowledge(self.dead_letters, {"SQS3": RULE_QUEUE})
        target = targets.SnsTopic(self.topic, dead_letter_queue=self.dead_letters)
        self.rule = manifest_rule(self, "Rule", destination, target)


class Catalogue(Construct):
    """`table`: one item for each source, by its `key`, with the content of its manifest."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        destination: Location,
        machine: Machine,
        props: Mapping[str, Any],
    ) -> None:
        super().__init__(scope, id)
        self.table = dynamodb.Table(
            self,
            "Table",
            partition_key=dynamodb.Attribute(name="key", type=dynamodb.AttributeType.STRING),
            billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST,
            point_in_time_recovery_specification=dynamodb.PointInTimeRecoverySpecification(
                point_in_time_recovery_enabled=True
            ),
            removal_policy=RemovalPolicy.DESTROY,  # it can be built again from the manifests
        )
        write = iam.PolicyStatement(
            sid="WriteCatalogue",
            actions=["dynamodb:PutItem", "dynamodb:DeleteItem"],
            resources=[self.table.table_arn],
        )
        self.writer = QueueFunction(
            self,
            "Writer",
            machine=machine,
            handler=HANDLER,
            environment={Setting.DESTINATION: destination.url, Setting.CATALOGUE: self.table.table_name},
            statements=[*permissions.read_manifests(destination), write],
            props=props,
        )
        target = targets.SqsQueue(self.writer.queue, dead_letter_queue=self.writer.dead_letters)
        self.rule = manifest_rule(self, "Rule", destination, target)


def topic(scope: Construct, id: str, email: str | None) -> sns.Topic:
    """Return a topic, TLS only. An `email` address is subscribed to it."""
    created = sns.Topic(scope, id, enforce_ssl=True)
    if email:
        created.add_subscription(subscriptions.EmailSubscription(email))
    return created
