"""`thumbsmith aws status STACK`: alarms, queues, images and times of a deployment on one screen."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import click

from thumbsmith.backfill.clients import QueueDepth, client, open_queue, stack_outputs, translate_aws_errors
from thumbsmith.cli.arguments import json_option
from thumbsmith.cli.command import command
from thumbsmith.cli.terminal import emit
from thumbsmith.environment import METRICS_NAMESPACE
from thumbsmith.errors import StoreError

# The time that counts and percentiles cover.
HOURS: Final = 24

# Queues by the name of the stack's output, and what the screen calls them. Messages in dead letters need action.
QUEUES: Final = {
    "Queue": "events",
    "DeadLetters": "dead letters",
    "Backfill": "backfill",
    "BackfillDeadLetters": "dead letters of the backfill",
}
TIMES: Final = {"TotalMilliseconds": "an image", "QueueMilliseconds": "from event to function"}
PERCENTILES: Final = ("p50", "p90", "p99")


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """An alarm of the stack. `state` is OK, ALARM or INSUFFICIENT_DATA, since the time `since` in ISO 8601."""

    name: str
    state: str
    since: str


@dataclass(slots=True, kw_only=True)
class Status:
    """What is known of a deployment. `problems` are sentences about parts that could not be read."""

    stack: str
    alarms: list[Alarm] = field(default_factory=list)
    queues: dict[str, QueueDepth] = field(default_factory=dict)
    outcomes: dict[str, int] = field(default_factory=dict)
    codes: dict[str, int] = field(default_factory=dict)
    times: dict[str, dict[str, float]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    @property
    def needs_action(self) -> bool:
        """Return whether an alarm is on, a message is in a dead-letter queue, or a part could not be read."""
        dead = any(depth.total for name, depth in self.queues.items() if name.startswith("dead letters"))
        return dead or bool(self.problems) or any(alarm.state == "ALARM" for alarm in self.alarms)


@command()
@click.argument("stack", metavar="STACK", help="The name of the stack: Thumbsmith, unless you changed it.")
@json_option
def status(stack: str, as_json: bool) -> int:
    """Show alarms, queues, images and times of a deployment.

    The exit code is 1 if an alarm is on, or if messages are in a dead-letter queue.

    Examples:
      thumbsmith aws status Thumbsmith
    """
    found = status_of(stack)
    if as_json:
        emit(
            "status",
            stack=stack,
            alarms={alarm.name: alarm.state for alarm in found.alarms},
            queues={name: {"waiting": it.waiting, "in_hand": it.in_flight} for name, it in found.queues.items()},
            images=found.outcomes,
            codes=found.codes,
            milliseconds=found.times,
            problems=found.problems,
        )
    else:
        for line in lines_of(found):
            click.echo(line)
    return 1 if found.needs_action else 0


def status_of(stack: str) -> Status:
    """Return the status of a stack. A part that cannot be read is a problem, and the others are read.

    Raises StoreError, not transient, if there is no such stack.
    """
    outputs = stack_outputs(stack)
    found = Status(stack=stack)
    for read in (_read_alarms, _read_queues, _read_images):
        try:
            read(found, outputs)
        except StoreError as problem:
            found.problems.append(str(problem))
    return found


def _read_alarms(found: Status, outputs: Mapping[str, str]) -> None:  # noqa: ARG001 - one signature for all
    with translate_aws_errors("the alarms of the stack"):
        pages = client("cloudformation").get_paginator("list_stack_resources").paginate(StackName=found.stack)
        resources = [each for page in pages for each in page["StackResourceSummaries"]]
        names = [each["PhysicalResourceId"] for each in resources if each["ResourceType"] == "AWS::CloudWatch::Alarm"]
        if not names:
            return
        pages = client("cloudwatch").get_paginator("describe_alarms").paginate(AlarmNames=names)
        for each in (alarm for page in pages for alarm in page["MetricAlarms"]):
            since = each["StateUpdatedTimestamp"].astimezone(UTC).isoformat(timespec="minutes")
            found.alarms.append(Alarm(name=each["AlarmName"], state=each["StateValue"], since=since))


def _read_queues(found: Status, outputs: Mapping[str, str]) -> None:
    for output, name in QUEUES.items():
        if output in outputs:
            found.queues[name] = open_queue(outputs[output]).depth()


def _read_images(found: Status, outputs: Mapping[str, str]) -> None:
    function = outputs.get("Function")
    if function is None:
        raise StoreError("the stack has no output Function: it is not one of thumbsmith aws deploy", transient=False)
    cloudwatch = client("cloudwatch")
    with translate_aws_errors("the metrics of the function"):
        dimensions = [{"Name": "Function", "Value": function}]
        pages = cloudwatch.get_paginator("list_metrics").paginate(
            Namespace=METRICS_NAMESPACE, MetricName="Images", Dimensions=dimensions
        )
        known = [each["Dimensions"] for page in pages for each in page["Metrics"]]
        for kind, counts in (("Outcome", found.outcomes), ("Code", found.codes)):
            for each in known:
                values = {one["Name"]: one["Value"] for one in each}
                if kind in values:
                    total = sum(point["Sum"] for point in _points(cloudwatch, "Images", each, Statistics=["Sum"]))
                    counts[values[kind]] = int(total)
        for name in TIMES:
            points = list(_points(cloudwatch, name, dimensions, ExtendedStatistics=list(PERCENTILES)))
            if points:
                found.times[name] = dict(points[-1]["ExtendedStatistics"])


def _points(
    cloudwatch: Any, name: str, dimensions: list[dict[str, str]], **statistics: Any
) -> Iterator[dict[str, Any]]:
    """Yield the values of a metric in the last hours: one, since it is a single period."""
    end = datetime.fromtimestamp(time.time() // 60 * 60 + 60, UTC)
    answer = cloudwatch.get_metric_statistics(
        Namespace=METRICS_NAMESPACE,
        MetricName=name,
        Dimensions=dimensions,
        StartTime=end - timedelta(hours=HOURS),
        EndTime=end,
        Period=HOURS * 3600,
        **statistics,
    )
    yield from answer["Datapoints"]


def lines_of(found: Status) -> Iterator[str]:
    """Yield the lines of the screen."""
    on = [alarm for alarm in found.alarms if alarm.state == "ALARM"]
    unknown = sum(alarm.state == "INSUFFICIENT_DATA" for alarm in found.alarms)
    if not found.alarms:
        yield "alarms   none exist: deploy with -c alarms=true"
    else:
        yield f"alarms   {len(on)} of {len(found.alarms)} on" + (f", {unknown} without data yet" if unknown else "")
    for alarm in on:
        yield f"         {alarm.name}, since {alarm.since} (docs/runbook.md)"
    for name, depth in found.queues.items():
        yield f"queue    {name}: {depth.waiting:,} waiting, {depth.in_flight:,} in progress"
    words = ", ".join(f"{count:,} {word}" for word, count in sorted(found.outcomes.items()) if count)
    yield f"images   in {HOURS} hours: {words or 'none'}"
    codes = ", ".join(f"{count:,} {code}" for code, count in sorted(found.codes.items()) if count)
    if codes:
        yield f"         by code: {codes}"
    for name, label in TIMES.items():
        if name in found.times:
            values = ", ".join(f"{each} {found.times[name].get(each, 0):,.0f} ms" for each in PERCENTILES)
            yield f"time     {label}: {values}"
    for problem in found.problems:
        yield f"unknown  {problem}"
