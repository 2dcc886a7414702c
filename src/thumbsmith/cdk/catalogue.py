"""Facts out: what a manifest says, for those who want to be told of it or to ask a table.

All of it is derived from the manifests themselves as they are written, so that a converging function which dies after
its commit loses nothing of it, and needs no further permission.
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
from thumbsmith.cdk.network import Place
from thumbsmith.cdk.parts import OF_A_RULE, acknowledge, dead_letters

HANDLER: Final = "thumbsmith.aws.catalogue.handler"
KINDS: Final = ("Object Created", "Object Deleted")


def manifest_rule(scope: Construct, id: str, destination: Place, target: events.IRuleTarget) -> events.Rule:
    """Return a rule for the destination's manifests: each is the last that is written of its source, and removed."""
    keys = {"key": [{"wildcard": f"{destination.prefix}*/manifest.json"}]}
    return notifications.rule(scope, id, destination.bucket, KINDS, keys, target)


class Announcements(Construct):
    """`topic`: a message whenever a manifest was written or removed; by e-mail too where an address is given.

    What EventBridge cannot hand to the topic goes to `dead_letters`.
    """

    def __init__(self, scope: Construct, id: str, *, destination: Place, email: str | None) -> None:
        super().__init__(scope, id)
        self.topic = topic(self, "Topic", email)
        self.dead_letters = dead_letters(self, "DeadLetters")
        acknowledge(self.dead_letters, {"SQS3": OF_A_RULE})
        target = targets.SnsTopic(self.topic, dead_letter_queue=self.dead_letters)
        self.rule = manifest_rule(self, "Rule", destination, target)


class Catalogue(Construct):
    """`table`: one item a source, under its `key`, with all that its manifest says."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        destination: Place,
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
            removal_policy=RemovalPolicy.DESTROY,  # the manifests are what is to be kept: it is derived from them
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
            environment={"THUMBSMITH_DESTINATION": destination.url, "THUMBSMITH_CATALOGUE": self.table.table_name},
            statements=[*permissions.read_manifests(destination), write],
            props=props,
        )
        target = targets.SqsQueue(self.writer.queue, dead_letter_queue=self.writer.dead_letters)
        self.rule = manifest_rule(self, "Rule", destination, target)


def topic(scope: Construct, id: str, email: str | None) -> sns.Topic:
    """Return a topic that is reached by TLS alone, with a subscription by e-mail where an address is given."""
    made = sns.Topic(scope, id, enforce_ssl=True)
    if email:
        made.add_subscription(subscriptions.EmailSubscription(email))
    return made
