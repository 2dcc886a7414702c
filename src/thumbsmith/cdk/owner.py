"""What the owner of an imported bucket, topic or key has to add: CDK cannot change what the app does not make."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from aws_cdk import Annotations, CfnOutput, Stack
from aws_cdk import aws_iam as iam
from constructs import Construct


def ask_owner(scope: Construct, id: str, what: str, document: dict[str, Any]) -> None:
    """Warn at synthesis that something has to be added by hand, and output it as JSON under the construct's `id`."""
    Annotations.of(scope).add_warning_v2(
        f"@thumbsmith/{id}", f"{what} CDK cannot do it here: add the JSON of the stack's output {id} to what is there."
    )
    CfnOutput(scope, id, value=Stack.of(scope).to_json_string(document), description=what)


def ask_for_policy(scope: Construct, id: str, what: str, statements: Sequence[iam.PolicyStatement]) -> None:
    """Warn at synthesis that a resource's policy lacks these statements, and output them as a policy."""
    document = {"Version": "2012-10-17", "Statement": [each.to_statement_json() for each in statements]}
    ask_owner(scope, id, what, document)
