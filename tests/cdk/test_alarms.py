"""Every alarm can start and end, has a section in the runbook, and reads metrics that exist."""

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

import pytest
from aws_cdk import Stack
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_s3 as s3
from aws_cdk.assertions import Template
from aws_cdk.aws_apigatewayv2_authorizers import HttpIamAuthorizer

from tests.cdk.conftest import inline
from thumbsmith.aws import audit
from thumbsmith.bulk.cost import Totals
from thumbsmith.cdk import ThumbnailApi, ThumbnailAudit, ThumbnailGenerator, ThumbnailTask
from thumbsmith.environment import METRICS_NAMESPACE

RUNBOOK = (Path(__file__).parents[2] / "docs" / "runbook.md").read_text()

# Values of a metric in each of the last periods.
Periods = Sequence[Sequence[float]]
IMAGES = 200

# What each metric has in an incident, one list of values for each period; and when all is well.
INCIDENTS: dict[str, Periods] = {
    "DeadLetters": [[1, 1, 1]],
    "BackfillDeadLetters": [[1]],
    "CatalogueDeadLetters": [[2]],
    "AnnouncementDeadLetters": [[1]],
    "LargeDeadLetters": [[1]],
    "OldestEvent": [[10, 901]],
    "Errors": [[0, 1]],
    "Throttles": [[3]],
    "Failed": [[1], [], [1, 0]],  # with two images only, and a period without any
    "Rejected": [[1] * IMAGES] * 3,  # all of them
    "Drift": [[0, 4]],
    "Unfinished": [[0, 1]],
    "AuditErrors": [[1]],
    "ApiErrors": [[1], [], [1]],
}
QUIET: dict[str, Periods] = {
    "OldestEvent": [[10, 900]],
    "Failed": [[1, 0, 0], [0] * 20, [0]],  # one image that failed once
    "Rejected": [[1, 0, 0]] * 3,  # a third of three images
    "ApiErrors": [[1], [0], [0]],
}


@pytest.fixture
def watched(stack: Stack) -> tuple[ThumbnailGenerator, Template]:
    """Return a generator with alarms, and the template with all that can have one."""
    buckets = {name: s3.Bucket(stack, name.title()) for name in ("source", "destination")}
    given: dict[str, Any] = {"backfill": True, "catalogue": True, "announce": True, "alarms": True, "dashboard": True}
    generator = ThumbnailGenerator(stack, "Thumbnails", **buckets, **given, function_props={"code": inline()})
    ThumbnailAudit(stack, "Audit", generator=generator)
    ThumbnailApi(stack, "Api", thumbnails=generator, authorizer=HttpIamAuthorizer(), function_props={"code": inline()})
    image = ecs.ContainerImage.from_registry("example")
    ThumbnailTask(stack, "Task", generator=generator, image=image, vpc=ec2.Vpc(stack, "Vpc"))
    return generator, Template.from_stack(stack)


def alarms_of(generator: ThumbnailGenerator, template: Template) -> dict[str, dict[str, Any]]:
    """Return the properties of each alarm by its name."""
    assert generator.alarms is not None
    found = template.find_resources("AWS::CloudWatch::Alarm")
    named = {
        name: found[Stack.of(generator).get_logical_id(alarm.node.default_child)]["Properties"]  # type: ignore[arg-type]
        for name, alarm in generator.alarms.alarms.items()
    }
    assert len(named) == len([each for each in found.values() if "runbook" in each["Properties"]["AlarmDescription"]])
    return named


def starts(alarm: dict[str, Any], periods: Periods) -> bool:
    """Return whether an alarm is on after these periods, by CloudWatch's rules; a period without values is no alarm."""
    assert (alarm["ComparisonOperator"], alarm["TreatMissingData"]) == ("GreaterThanThreshold", "notBreaching")
    number = alarm["EvaluationPeriods"]
    assert number == len(periods)
    above = sum(bool(values) and value(alarm, values) > alarm["Threshold"] for values in periods)
    return above >= alarm.get("DatapointsToAlarm", number)


def value(alarm: dict[str, Any], values: Sequence[float]) -> float:
    """Return what an alarm compares, of the values in one period."""
    statistics: dict[str, Callable[[Sequence[float]], float]] = {
        "Average": mean,
        "Maximum": max,
        "SampleCount": len,
        "Sum": sum,
    }
    if "Statistic" in alarm:
        return statistics[alarm["Statistic"]](values)
    names = {each["Id"]: each["MetricStat"] for each in alarm["Metrics"] if "MetricStat" in each}
    assert len({json.dumps(each["Metric"], sort_keys=True) for each in names.values()}) == 1, "one may be missing"
    (expression,) = [each["Expression"] for each in alarm["Metrics"] if "Expression" in each]
    known = {name: statistics[each["Stat"]](values) for name, each in names.items()}
    return eval(expression.replace("IF(", "choose("), {"choose": lambda a, b, c: b if a else c, **known})


def test_each_alarm_starts_and_ends(watched: tuple[ThumbnailGenerator, Template]):
    """In an incident each alarm starts; it does not start for a healthy stack, nor without values."""
    alarms = alarms_of(*watched)
    assert alarms.keys() == INCIDENTS.keys()
    for name, alarm in alarms.items():
        number = alarm["EvaluationPeriods"]
        assert starts(alarm, INCIDENTS[name]), name
        assert not starts(alarm, QUIET.get(name, [[0, 0]] * number)), name
        assert not starts(alarm, [[]] * number), name


def test_each_alarm_has_a_section_in_the_runbook(watched: tuple[ThumbnailGenerator, Template]):
    """The section has the name of the alarm, which the message of the alarm says, and what to do."""
    sections = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", RUNBOOK, re.MULTILINE | re.DOTALL))
    for name, alarm in alarms_of(*watched).items():
        assert alarm["AlarmDescription"].endswith(f"See docs/runbook.md, {name}.")
        assert {"**Meaning**", "**Check**", "**Action**"} <= set(re.findall(r"\*\*\w+\*\*", sections[name])), name


def test_our_metrics_exist(watched: tuple[ThumbnailGenerator, Template]):
    """Each metric of an alarm in our namespace is one that a function writes."""
    written = {name for name, _ in audit.metrics(Totals(), 0, complete=True)} | {"Failed", "Rejected"}
    for alarm in alarms_of(*watched).values():
        stats = [each["MetricStat"] for each in alarm.get("Metrics", []) if "MetricStat" in each]
        found = [alarm] if "MetricName" in alarm else [each["Metric"] for each in stats]
        assert {each["MetricName"] for each in found if each["Namespace"] == METRICS_NAMESPACE} <= written
