"""Alarms and their metrics. docs/runbook.md describes what to do about each alarm."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from aws_cdk import Duration, Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from thumbsmith.cdk.function import QueueFunction
from thumbsmith.cdk.parts import require_policy
from thumbsmith.environment import METRICS_NAMESPACE

FIVE_MINUTES: Final = Duration.minutes(5)

# With a larger share of rejected sources, in percent, users probably upload files that are no images.
MAX_REJECTED_PERCENT: Final = 20

# A share of a few images says nothing about the files that users upload.
MIN_IMAGES: Final = 100

# With a larger share of failed images, S3 or a permission is the cause, and no single image. A failed image is tried
# again after minutes, so that one image alone counts in one period only.
MAX_FAILED_SHARE: Final = 0.05


class Alarms(Construct):
    """One alarm for each kind of failure: `alarms`, by name. All publish to `topic`.

    Other constructs add their own alarms with `add`.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        converging: QueueFunction,
        topic: sns.ITopic,
        max_age: Duration,
    ) -> None:
        super().__init__(scope, id)
        self.topic = topic
        allow_alarms(self, topic)
        self.alarms: dict[str, cloudwatch.Alarm] = {}
        function = converging.function
        oldest = converging.queue.metric_approximate_age_of_oldest_message(period=FIVE_MINUTES, statistic="Maximum")
        self.add_dead_letters(self, "DeadLetters", converging.dead_letters)
        self.add(self, "OldestEvent", oldest, max_age.to_seconds(), "Events wait: thumbnails are late.")
        self.add(self, "Errors", function.metric_errors(period=FIVE_MINUTES), 0, "Calls of the function failed.")
        throttles = function.metric_throttles(period=FIVE_MINUTES)
        self.add(self, "Throttles", throttles, 0, "Lambda could not start a function.")
        failed = function_metric(function, "Failed", "Average")
        self.add(self, "Failed", failed, MAX_FAILED_SHARE, "Many images fail: they are tried again.", periods=3, of=2)
        rejected = rejected_percent(function)
        self.add(self, "Rejected", rejected, MAX_REJECTED_PERCENT, "Many sources are rejected.", periods=3)

    def add_dead_letters(self, scope: Construct, name: str, queue: sqs.IQueue) -> None:
        """Add an alarm for any message in a dead-letter queue."""
        left = queue.metric_approximate_number_of_messages_visible(period=FIVE_MINUTES, statistic="Maximum")
        self.add(scope, name, left, 0, "Messages failed at every try: what they announce may be out of date.")

    def add(
        self,
        scope: Construct,
        name: str,
        metric: cloudwatch.IMetric,
        above: float,
        why: str,
        *,
        periods: int = 1,
        of: int | None = None,
    ) -> None:
        """Add an alarm in `scope`: the metric is above a value in each of the last periods, or in `of` of them."""
        alarm = cloudwatch.Alarm(
            scope,
            name,
            metric=metric,
            threshold=above,
            comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD,
            evaluation_periods=periods,
            datapoints_to_alarm=of,
            treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
            alarm_description=f"{why} See docs/runbook.md, {name}.",
        )
        alarm.add_alarm_action(actions.SnsAction(self.topic))
        alarm.add_ok_action(actions.SnsAction(self.topic))
        self.alarms[name if name not in self.alarms else alarm.node.path] = alarm


def allow_alarms(scope: Construct, topic: sns.ITopic) -> None:
    """Allow CloudWatch, for alarms of this account, to publish to the topic and to use its key.

    The policy of a topic replaces the default policy, which would allow alarms. For an imported topic or key there is a
    warning, and an output with the statement to add.
    https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/Notify_Users_Alarm_Changes.html
    """
    account = Stack.of(scope).account
    alarms = iam.ServicePrincipal("cloudwatch.amazonaws.com")
    this_account = {"StringEquals": {"aws:SourceAccount": account}}
    publish = iam.PolicyStatement(
        sid="LetAlarmsPublish",
        principals=[alarms],
        actions=["sns:Publish"],
        resources=[topic.topic_arn],
        conditions=this_account,
    )
    if not topic.add_to_resource_policy(publish).statement_added:
        what = "The policy of the imported alarm_topic must let CloudWatch publish. Else alarms reach no one."
        require_policy(scope, "AlarmTopicPolicy", what, [publish])
    key: kms.IKey | None = getattr(topic, "master_key", None)
    if key is None:
        return
    use = iam.PolicyStatement(
        sid="LetAlarmsUseKey",
        principals=[alarms],
        actions=["kms:Decrypt", "kms:GenerateDataKey*"],
        resources=["*"],
        conditions=this_account,
    )
    if not key.add_to_resource_policy(use).statement_added:
        what = "The policy of the imported key of alarm_topic must let CloudWatch use it. Else alarms reach no one."
        require_policy(scope, "AlarmTopicKeyPolicy", what, [use])


def rejected_percent(function: lambda_.IFunction) -> cloudwatch.MathExpression:
    """Return the share of rejected images in percent, 0 for fewer than a hundred images in five minutes.

    Both statistics are of one metric, which every image has: otherwise the alarm had no value while one of them is
    missing.
    """
    statistics = {"share": "Average", "images": "SampleCount"}
    return cloudwatch.MathExpression(
        expression=f"IF(images >= {MIN_IMAGES}, 100 * share, 0)",
        using_metrics={name: function_metric(function, "Rejected", each) for name, each in statistics.items()},
        label="rejected, percent",
        period=FIVE_MINUTES,
    )


def function_metric(
    function: lambda_.IFunction,
    name: str,
    statistic: str,
    label: str | None = None,
    further: Mapping[str, str] | None = None,
    period: Duration = FIVE_MINUTES,
) -> cloudwatch.Metric:
    """Return a metric that the function writes (dispatch/telemetry.py), with `further` dimensions."""
    return cloudwatch.Metric(
        namespace=METRICS_NAMESPACE,
        metric_name=name,
        dimensions_map={"Function": function.function_name, **(further or {})},
        statistic=statistic,
        period=period,
        label=label,
    )
