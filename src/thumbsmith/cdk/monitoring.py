"""Alarms, a dashboard, and their metrics. docs/runbook.md describes what to do about each alarm."""

from __future__ import annotations

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

NAMESPACE: Final = "Thumbsmith"
FIVE_MINUTES: Final = Duration.minutes(5)

# With a larger share of rejected sources, in percent, users probably upload files that are no images.
MAX_REJECTED_PERCENT: Final = 20


class Alarms(Construct):
    """One alarm for each kind of failure: `alarms`, by name. All publish to `topic`."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        queue: sqs.IQueue,
        dead_letters: sqs.IQueue,
        function: lambda_.IFunction,
        topic: sns.ITopic,
        max_age: Duration,
    ) -> None:
        super().__init__(scope, id)
        self.topic = topic
        allow_alarms(self, topic)
        self.alarms: dict[str, cloudwatch.Alarm] = {}
        oldest = queue.metric_approximate_age_of_oldest_message(period=FIVE_MINUTES, statistic="Maximum")
        left = dead_letters.metric_approximate_number_of_messages_visible(period=FIVE_MINUTES, statistic="Maximum")
        self._alarm("DeadLetters", left, 0, "Events failed at every try: thumbnails of these keys may be out of date.")
        self._alarm("OldestEvent", oldest, max_age.to_seconds(), "Events wait: thumbnails are late.")
        self._alarm("Errors", function.metric_errors(period=FIVE_MINUTES), 0, "Calls of the function failed.")
        self._alarm(
            "Throttles", function.metric_throttles(period=FIVE_MINUTES), 0, "Lambda could not start a function."
        )
        self._alarm("Rejected", rejected_percent(function), MAX_REJECTED_PERCENT, "Many sources are rejected.", 3)

    def _alarm(self, name: str, metric: cloudwatch.IMetric, above: float, why: str, periods: int = 1) -> None:
        alarm = cloudwatch.Alarm(
            self,
            name,
            metric=metric,
            threshold=above,
            comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD,
            evaluation_periods=periods,
            treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
            alarm_description=f"{why} See docs/runbook.md.",
        )
        alarm.add_alarm_action(actions.SnsAction(self.topic))
        alarm.add_ok_action(actions.SnsAction(self.topic))
        self.alarms[name] = alarm


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
    """Return the share of rejected images in percent, 0 for fewer than a hundred images in five minutes."""
    images = {word: outcome(function, word) for word in ("made", "rejected")}
    return cloudwatch.MathExpression(
        expression="IF(made + rejected >= 100, 100 * rejected / (made + rejected), 0)",
        using_metrics=dict(images),
        label="rejected, percent",
        period=FIVE_MINUTES,
    )


def outcome(function: lambda_.IFunction, word: str) -> cloudwatch.Metric:
    """Return the number of images with this outcome."""
    return _metric(function, "Images", "Sum", {"Outcome": word}, word)


def stage(function: lambda_.IFunction, name: str) -> cloudwatch.Metric:
    """Return the median time of a stage of one image, in milliseconds."""
    return _metric(function, name, "p50", {}, name)


def volume(function: lambda_.IFunction, name: str) -> cloudwatch.Metric:
    """Return the bytes read or written."""
    return _metric(function, name, "Sum", {}, name)


def _metric(
    function: lambda_.IFunction, name: str, statistic: str, further: dict[str, str], label: str
) -> cloudwatch.Metric:
    return cloudwatch.Metric(
        namespace=NAMESPACE,
        metric_name=name,
        dimensions_map={"Function": function.function_name, **further},
        statistic=statistic,
        period=FIVE_MINUTES,
        label=label,
    )


OUTCOMES: Final = ("made", "fresh", "deleted", "absent", "rejected", "failed")
STAGES: Final = ("LookMilliseconds", "RenderMilliseconds", "StoreMilliseconds", "TotalMilliseconds")


def dashboard_of(scope: Construct, id: str, converging: QueueFunction) -> cloudwatch.Dashboard:
    """Return a dashboard of the converging function and its queues."""
    function, queue, dead_letters = converging.function, converging.queue, converging.dead_letters
    graphs = {
        "Images, by outcome": [outcome(function, word) for word in OUTCOMES],
        "Events: waiting, and dead": [
            queue.metric_approximate_number_of_messages_visible(period=FIVE_MINUTES),
            dead_letters.metric_approximate_number_of_messages_visible(period=FIVE_MINUTES),
        ],
        "Age of the oldest event, seconds": [
            queue.metric_approximate_age_of_oldest_message(period=FIVE_MINUTES, statistic="Maximum")
        ],
        "Milliseconds an image, median": [stage(function, name) for name in STAGES],
        "Bytes": [volume(function, name) for name in ("BytesIn", "BytesOut")],
        "Functions: running, failed, throttled": [
            function.metric("ConcurrentExecutions", period=FIVE_MINUTES, statistic="Maximum"),
            function.metric_errors(period=FIVE_MINUTES),
            function.metric_throttles(period=FIVE_MINUTES),
        ],
    }
    page = cloudwatch.Dashboard(scope, id)
    widgets = [cloudwatch.GraphWidget(title=title, left=lines, width=8) for title, lines in graphs.items()]
    page.add_widgets(*widgets[:3])
    page.add_widgets(*widgets[3:])
    return page
