"""The configuration of a function and its queue: defaults, plain values, and the limits of AWS."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from aws_cdk import Duration
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs

from thumbsmith.cdk import props
from thumbsmith.environment import LAMBDA_DEFAULT_MEGABYTES
from thumbsmith.errors import UsageError

# https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
MEMORY_MB_RANGE: Final = (128, 10_240)
MAX_TIMEOUT_SECONDS: Final = 900

# https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-parameters.html
BATCH_SIZE_RANGE: Final = (1, 10_000)
MAX_BATCH_SIZE_WITHOUT_WINDOW: Final = 10
BATCHING_WINDOW_SECONDS_RANGE: Final = (0, 300)
CONCURRENCY_RANGE: Final = (2, 1_000)

# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SetQueueAttributes.html
RECEIVE_COUNT_RANGE: Final = (1, 1_000)

# The oldest version of Python that this package supports.
MIN_PYTHON: Final = (3, 11)

ARCHITECTURES: Final = {"arm64": lambda_.Architecture.ARM_64, "x86_64": lambda_.Architecture.X86_64}
TRACING: Final = {
    "active": lambda_.Tracing.ACTIVE,
    "pass_through": lambda_.Tracing.PASS_THROUGH,
    "disabled": lambda_.Tracing.DISABLED,
}
RETENTION: Final = {each.name.lower(): each for each in logs.RetentionDays}

# https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html
RETENTION_BY_DAYS: Final = dict(
    zip(
        (1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653),
        logs.RetentionDays,
        strict=False,  # the last one is INFINITE
    )
)

# Props of aws_lambda.Function that also change the queue, the role or the code of the function.
SHARED_FUNCTION_PROPS: Final = ("runtime", "architecture", "memory_size", "timeout", "tracing", "vpc")


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """The configuration of a function and of the queue that feeds it. These are the only defaults.

    `memory_size` is in MB.
    """

    runtime: lambda_.Runtime = lambda_.Runtime.PYTHON_3_13
    architecture: lambda_.Architecture = lambda_.Architecture.ARM_64
    memory_size: int = LAMBDA_DEFAULT_MEGABYTES
    timeout: Duration = field(default_factory=lambda: Duration.seconds(60))
    batch_size: int = 10
    batching_window: Duration = field(default_factory=lambda: Duration.seconds(0))
    max_concurrency: int = 100
    max_receive_count: int = 5
    log_retention: logs.RetentionDays = logs.RetentionDays.ONE_MONTH
    tracing: lambda_.Tracing = lambda_.Tracing.DISABLED
    vpc: ec2.IVpc | None = None


def machine_of(**values: Any) -> Machine:
    """Return the machine. Each value is CDK's type or a plain one; None selects the default.

    Raises UsageError for a value outside the limits of AWS.
    """
    machine = Machine(**_checked(values))
    if machine.batch_size > MAX_BATCH_SIZE_WITHOUT_WINDOW and machine.batching_window.to_seconds() < 1:
        raise UsageError(
            f"batch_size: expected at most {MAX_BATCH_SIZE_WITHOUT_WINDOW} without a batching_window of a second or"
            f" more, found {machine.batch_size}"
        )
    python_of(machine.runtime)
    return machine


def overridden(machine: Machine, function_props: dict[str, Any]) -> Machine:
    """Return the machine with the values of `function_props`; remove these props from `function_props`.

    Raises UsageError for a value outside the limits of AWS, and for a second network.
    """
    values: dict[str, Any] = {
        name: function_props.pop(name) for name in SHARED_FUNCTION_PROPS if name in function_props
    }
    if machine.vpc is not None and values.get("vpc") not in (None, machine.vpc):
        raise UsageError("function_props: expected no other vpc than the prop vpc names")
    return replace(machine, **_checked(values))


def runtime_of(name: str, found: Any) -> lambda_.Runtime:
    """Return the runtime: CDK's, or that of a text such as "python3.13" or "3.13". Raises UsageError otherwise."""
    if isinstance(found, lambda_.Runtime):
        return found
    version = found.lower().removeprefix("python") if isinstance(found, str) else ""
    known = getattr(lambda_.Runtime, f"PYTHON_{version.replace('.', '_')}", None)
    if not isinstance(known, lambda_.Runtime):
        raise UsageError(f"{name}: expected a version of Python that Lambda runs, such as 3.13, found {found!r}")
    return known


def python_of(runtime: lambda_.Runtime) -> str:
    """Return the version of Python, such as "3.13". Raises UsageError if this package does not run on the runtime."""
    version = runtime.name.removeprefix("python")
    if version == runtime.name or tuple(map(int, version.split("."))) < MIN_PYTHON:
        raise UsageError(f"runtime: expected one of Python 3.11 or later, found {runtime.name}")
    return version


def _checked(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _CHECKS[name](name, value) for name, value in values.items() if value is not None}


def _architecture(name: str, found: Any) -> lambda_.Architecture:
    architecture = props.choice(name, found, lambda_.Architecture, ARCHITECTURES)
    return props.choice(name, architecture.name, lambda_.Architecture, ARCHITECTURES)  # refuses custom ones


def _retention(name: str, found: Any) -> logs.RetentionDays:
    if isinstance(found, int) and not isinstance(found, bool):
        if found not in RETENTION_BY_DAYS:
            raise UsageError(
                f"{name}: expected a number of days that CloudWatch knows, such as 30 or 90, found {found}"
            )
        return RETENTION_BY_DAYS[found]
    if isinstance(found, str) and found.lower() not in RETENTION:
        raise UsageError(f"{name}: expected a word such as one_month, or a number of days, found {found!r}")
    return props.choice(name, found, logs.RetentionDays, RETENTION)


def _tracing(name: str, found: Any) -> lambda_.Tracing:
    if isinstance(found, bool):
        return lambda_.Tracing.ACTIVE if found else lambda_.Tracing.DISABLED
    return props.choice(name, found, lambda_.Tracing, TRACING)


_CHECKS: Final[dict[str, Any]] = {
    "runtime": runtime_of,
    "architecture": _architecture,
    "memory_size": lambda name, found: props.integer(name, found, *MEMORY_MB_RANGE),
    "timeout": lambda name, found: props.duration(name, found, 1, MAX_TIMEOUT_SECONDS),
    "batch_size": lambda name, found: props.integer(name, found, *BATCH_SIZE_RANGE),
    "batching_window": lambda name, found: props.duration(name, found, *BATCHING_WINDOW_SECONDS_RANGE),
    "max_concurrency": lambda name, found: props.integer(name, found, *CONCURRENCY_RANGE),
    "max_receive_count": lambda name, found: props.integer(name, found, *RECEIVE_COUNT_RANGE),
    "log_retention": _retention,
    "tracing": _tracing,
    "vpc": lambda name, found: props.resource(name, found, "vpc_id", "a network, such as an ec2.Vpc"),
}
