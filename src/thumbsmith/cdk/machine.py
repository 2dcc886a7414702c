"""What a function runs on and how it is fed, checked against the limits of AWS."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

from aws_cdk import Duration
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs

from thumbsmith.cdk import props
from thumbsmith.errors import UsageError

# https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
MEMORY: Final = (128, 10_240)
LONGEST: Final = 900

# https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-parameters.html
BATCH: Final = (1, 10_000)
BATCH_WITHOUT_WINDOW: Final = 10
WINDOW: Final = (0, 300)
CONCURRENCY: Final = (2, 1_000)

# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SetQueueAttributes.html
RECEIVES: Final = (1, 1_000)

# The first version of Python that this package supports.
OLDEST_PYTHON: Final = (3, 11)

ARCHITECTURES: Final = {"arm64": lambda_.Architecture.ARM_64, "x86_64": lambda_.Architecture.X86_64}
TRACING: Final = {
    "active": lambda_.Tracing.ACTIVE,
    "pass_through": lambda_.Tracing.PASS_THROUGH,
    "disabled": lambda_.Tracing.DISABLED,
}
RETENTION: Final = {each.name.lower(): each for each in logs.RetentionDays}

# https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html
DAYS: Final = dict(
    zip(
        (1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653),
        logs.RetentionDays,
        strict=False,  # the last one is for ever
    )
)

# Props of aws_lambda.Function that decide on more than the function: on its queue, its role or its code.
OVERRIDES: Final = ("runtime", "architecture", "memory_size", "timeout", "tracing", "vpc")


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What a function runs on, and how it is fed. 1,769 MB are one whole processor.

    https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html
    """

    runtime: lambda_.Runtime
    architecture: lambda_.Architecture
    memory_size: int
    timeout: Duration
    batch_size: int
    batching_window: Duration
    max_concurrency: int
    max_receive_count: int
    log_retention: logs.RetentionDays
    tracing: lambda_.Tracing
    vpc: ec2.IVpc | None


def machine_of(**given: Any) -> Machine:
    """Return the machine, each value as CDK's type or as a plain one. Raises UsageError outside of AWS's limits."""
    checked: dict[str, Any] = {name: CHECKS[name](name, value) for name, value in given.items()}
    made = Machine(**checked)
    if made.batch_size > BATCH_WITHOUT_WINDOW and made.batching_window.to_seconds() < 1:
        raise UsageError(
            f"batch_size: expected at most {BATCH_WITHOUT_WINDOW} without a batching_window of a second or more,"
            f" found {made.batch_size}"
        )
    return made


def overridden(machine: Machine, function_props: dict[str, Any]) -> Machine:
    """Return the machine as `function_props` change it; take these props out of there.

    Raises UsageError outside of AWS's limits, and for a second network.
    """
    found = {name: function_props.pop(name) for name in OVERRIDES if name in function_props}
    if machine.vpc is not None and found.get("vpc") not in (None, machine.vpc):
        raise UsageError("function_props: expected no other vpc than the prop vpc names")
    return replace(machine, **{name: CHECKS[name](name, value) for name, value in found.items() if value is not None})


def runtime_of(name: str, found: Any) -> lambda_.Runtime:
    """Return the runtime of a text as "python3.13" or "3.13", or of CDK's. Raises UsageError for any other."""
    if isinstance(found, lambda_.Runtime):
        return found
    version = found.lower().removeprefix("python") if isinstance(found, str) else ""
    known = getattr(lambda_.Runtime, f"PYTHON_{version.replace('.', '_')}", None)
    if not isinstance(known, lambda_.Runtime):
        raise UsageError(f"{name}: expected a version of Python that Lambda runs, as 3.13, found {found!r}")
    return known


def python_of(runtime: lambda_.Runtime) -> str:
    """Return the version of Python, as 3.13. Raises UsageError where this package does not run on the runtime."""
    version = runtime.name.removeprefix("python")
    if version == runtime.name or tuple(map(int, version.split("."))) < OLDEST_PYTHON:
        raise UsageError(f"runtime: expected one of Python 3.11 or later, found {runtime.name}")
    return version


def _architecture(name: str, found: Any) -> lambda_.Architecture:
    made = props.choice(name, found, lambda_.Architecture, ARCHITECTURES)
    return props.choice(name, made.name, lambda_.Architecture, ARCHITECTURES)  # one that CDK does not know either


def _retention(name: str, found: Any) -> logs.RetentionDays:
    if isinstance(found, int) and not isinstance(found, bool):
        if found not in DAYS:
            raise UsageError(f"{name}: expected a number of days that CloudWatch knows, as 30 or 90, found {found}")
        return DAYS[found]
    if isinstance(found, str) and found.lower() not in RETENTION:
        raise UsageError(f"{name}: expected a word as one_month, or a number of days, found {found!r}")
    return props.choice(name, found, logs.RetentionDays, RETENTION)


def _tracing(name: str, found: Any) -> lambda_.Tracing:
    if isinstance(found, bool):
        return lambda_.Tracing.ACTIVE if found else lambda_.Tracing.DISABLED
    return props.choice(name, found, lambda_.Tracing, TRACING)


CHECKS: Final[dict[str, Any]] = {
    "runtime": runtime_of,
    "architecture": _architecture,
    "memory_size": lambda name, found: props.whole(name, found, *MEMORY),
    "timeout": lambda name, found: props.duration(name, found, 1, LONGEST),
    "batch_size": lambda name, found: props.whole(name, found, *BATCH),
    "batching_window": lambda name, found: props.duration(name, found, *WINDOW),
    "max_concurrency": lambda name, found: props.whole(name, found, *CONCURRENCY),
    "max_receive_count": lambda name, found: props.whole(name, found, *RECEIVES),
    "log_retention": _retention,
    "tracing": _tracing,
    "vpc": lambda name, found: found and props.resource(name, found, "vpc_id", "a network, as an ec2.Vpc"),
}
