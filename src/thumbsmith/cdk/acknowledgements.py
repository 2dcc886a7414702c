"""What cdk-nag's rules for AWS Solutions find here on purpose, each with its reason."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from aws_cdk import Acknowledgment, Stack, Validations
from aws_cdk import aws_iam as iam
from constructs import IConstruct

RUNTIME: Final = "The version of Python is a prop, and its default one that has been in Lambda for long."
ACCESS_LOGS: Final = "Who wants a log of every access names a bucket for it, or turns on CloudTrail's data events."
CDKS_OWN: Final = "CDK's own function, by which it tells a bucket what to notify: its role is not ours to write."
PUBLIC: Final = "Everybody may look at thumbnails where that was said."
EVERYWHERE: Final = "Thumbnails are for everybody; who wants them kept from some countries says so by a prop."
FIREWALL: Final = "Nothing but files can be asked for; who wants a firewall before them names it by a prop."
EDGE_TLS: Final = "Without a domain's certificate CloudFront's own holds, of which it alone sets the versions of TLS."
WILDCARDS: Final = (
    "Any key may come, so permissions on objects end in '*' behind their prefix, and those on logs behind their group;"
    " AWS scopes no action on network interfaces, and none on traces, to what is known beforehand."
)
OF_A_RULE: Final = "It is the queue for failed messages itself, of a rule of EventBridge."
BASIC: Final = "IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole]"
EVERYTHING: Final = "IAM5[Resource::*]"


def acknowledge(construct: IConstruct, reasons: dict[str, str]) -> None:
    """Acknowledge rules of AWS Solutions, named as L1 is, for the construct and all in it."""
    rules = [Acknowledgment(id=f"AwsSolutions::AwsSolutions-{rule}", reason=reason) for rule, reason in reasons.items()]
    Validations.of(construct).acknowledge(*rules)


def acknowledge_wildcards(construct: IConstruct, statements: Iterable[iam.PolicyStatement]) -> None:
    """Acknowledge exactly those wildcards that the statements hold, and the traces' one."""
    stack = Stack.of(construct)
    resources = {_text(stack.resolve(each)) for statement in statements for each in statement.resources}
    rules = [EVERYTHING, *(f"IAM5[Resource::{each}]" for each in sorted(resources) if each.endswith(("*", ".json")))]
    acknowledge(construct, dict.fromkeys(rules, WILDCARDS))


def acknowledge_cdks_own(stack: Stack) -> None:
    """Acknowledge what is found in the function by which CDK sets the notifications of buckets."""
    for child in stack.node.children:
        if child.node.id.startswith("BucketNotificationsHandler"):
            acknowledge(child, {BASIC: CDKS_OWN, EVERYTHING: CDKS_OWN})


def _text(value: Any) -> str:
    """Return a value of a template as cdk-nag spells it: <LogicalId.Attribute> for what deployment will know."""
    match value:
        case {"Fn::Join": ["", parts]}:
            return "".join(map(_text, parts))
        case {"Fn::GetAtt": [name, attribute]}:
            return f"<{name}.{attribute}>"
        case {"Ref": name}:
            return f"<{name}>"
    return str(value)
