"""The ready app with four changes for the emulator: architecture, TLS, one additional action, and one alarm.

The functions run on this machine's Python and architecture, with Lambda's own runtime client: the file `bootstrap`
starts the code of a provided runtime. The statements that deny requests without TLS never apply. The emulator checks
an action that AWS does not have, and has no alarms on expressions.
"""

import atexit
import platform
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import cast

from aws_cdk import App, Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sqs as sqs

from tests.cloud.sandbox import RUNTIME
from thumbsmith.cdk import ThumbnailAudit, packaging
from thumbsmith.cdk.app import ThumbsmithStack, settings_of
from thumbsmith.cdk.machine import ARCHITECTURES

ARCHITECTURE = {"x86_64": "x86_64", "aarch64": "arm64"}[platform.machine()]
BOOTSTRAP = f"""#!/bin/sh
PYTHONPATH="$LAMBDA_TASK_ROOT" exec {RUNTIME} -m awslambdaric "$_HANDLER"
"""


def build(target: Path, contents: packaging.Contents = packaging.CONVERGING) -> None:
    """Write the zip with the code of a kind of function."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    files = {"bootstrap": BOOTSTRAP}
    packaging.build(target, python=version, architecture=ARCHITECTURE, contents=contents, files=files)


@cache
def code() -> Path:
    """Return the folder with the zips of both functions. They are built once, at the same time, and deleted at exit."""
    folder = tempfile.TemporaryDirectory(prefix="thumbsmith-code-")
    atexit.register(folder.cleanup)
    kinds = (packaging.CONVERGING, packaging.API)
    with ThreadPoolExecutor(len(kinds)) as threads:
        list(threads.map(lambda contents: build(Path(folder.name, f"{contents.name}.zip"), contents), kinds))
    return Path(folder.name)


def main() -> None:
    """Synthesize the app with the code in the folder from the context."""
    app = App()
    folder = Path(app.node.get_context("code"))
    machine = {"runtime": lambda_.Runtime.PROVIDED_AL2023, "architecture": ARCHITECTURES[ARCHITECTURE]}
    function, api = (
        {"code": lambda_.Code.from_asset(str(folder / f"{each.name}.zip")), **machine}
        for each in (packaging.CONVERGING, packaging.API)
    )
    stack = ThumbsmithStack(app, settings_of(app.node), function_props=function, api_props=api)
    let_in_without_tls(stack)
    let_in_batches(stack)
    leave_out_expressions(stack)
    app.synth()


def let_in_batches(stack: ThumbsmithStack) -> None:
    """Allow the audit an action of the emulator. On AWS, SendMessage also covers batches."""
    for audit in (each for each in stack.node.find_all() if isinstance(each, ThumbnailAudit)):
        queue = stack.generator.backfill.queue.queue_arn
        audit.role.add_to_policy(iam.PolicyStatement(actions=["sqs:SendMessageBatch"], resources=[queue]))


def leave_out_expressions(stack: Stack) -> list[str]:
    """Remove the alarms on expressions (metric math); return their names."""
    alarms = [each for each in stack.node.find_all() if isinstance(each, cloudwatch.Alarm)]
    refused = [each for each in alarms if cast("cloudwatch.CfnAlarm", each.node.default_child).metrics is not None]
    for each in refused:
        each.node.try_remove_child("Resource")
        sys.stderr.write(f"without the alarm {each.node.id}: the emulator has no alarms on expressions\n")
    return [each.node.id for each in refused]


def let_in_without_tls(stack: Stack) -> None:
    """Make the first statement of each policy, about TLS, apply only to a user that does not exist."""
    for construct in stack.node.find_all():
        if isinstance(construct, s3.CfnBucketPolicy | sqs.CfnQueuePolicy | sns.CfnTopicPolicy):
            construct.add_override(
                "Properties.PolicyDocument.Statement.0.Condition.StringEquals", {"aws:userid": "nobody"}
            )


if __name__ == "__main__":
    main()
