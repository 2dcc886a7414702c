"""A dashboard of the function, its queues, and its cost."""

from __future__ import annotations

from typing import Final

from aws_cdk import Duration, Token
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from thumbsmith.bulk.prices import PRICES
from thumbsmith.cdk.function import QueueFunction
from thumbsmith.cdk.machine import Machine
from thumbsmith.cdk.monitoring import FIVE_MINUTES, function_metric
from thumbsmith.environment import LAMBDA_DEFAULT_MEGABYTES, METRICS_NAMESPACE
from thumbsmith.recipe import Recipe
from thumbsmith.recipe.names import expected

OUTCOMES: Final = ("made", "fresh", "deleted", "absent", "rejected", "failed")
STAGES: Final = ("LookMilliseconds", "RenderMilliseconds", "StoreMilliseconds")
PERCENTILES: Final = ("p50", "p90", "p99")
DAY: Final = Duration.days(1)

# The width of a graph: three in a row of 24.
WIDTH: Final = 8

# Requests that read a photograph of up to 4 MiB and its manifest (docs/s3.md). A HEAD costs as much as a GET.
GETS_PER_IMAGE: Final = 3


def dashboard_of(
    scope: Construct, id: str, converging: QueueFunction, machine: Machine, recipe: Recipe
) -> cloudwatch.Dashboard:
    """Return a dashboard of the converging function and its queues."""
    function = converging.function
    waiting = {"events": converging.queue, "dead letters": converging.dead_letters}
    if converging.backfill:
        waiting |= {"backfill": converging.backfill.queue, "backfill, dead letters": converging.backfill.dead_letters}
    graphs: dict[str, list[cloudwatch.IMetric]] = {
        "Images, by outcome": [_images(function, each, FIVE_MINUTES) for each in OUTCOMES],
        "Rejections and failures, by code": [_by_code(function)],
        "Failed and rejected, share": [
            function_metric(function, name, "Average", name.lower()) for name in ("Failed", "Rejected")
        ],
        "Milliseconds from event to function": _percentiles(function, "QueueMilliseconds"),
        "Milliseconds an image": _percentiles(function, "TotalMilliseconds"),
        "Milliseconds of each stage, median": [function_metric(function, name, "p50", name) for name in STAGES],
        "Messages that wait": [_waiting(queue, label) for label, queue in waiting.items()],
        "Age of the oldest message, seconds": [_age(queue, label) for label, queue in waiting.items()],
        "Functions: running, failed, throttled": [
            function.metric("ConcurrentExecutions", period=FIVE_MINUTES, statistic="Maximum"),
            function.metric_errors(period=FIVE_MINUTES),
            function.metric_throttles(period=FIVE_MINUTES),
        ],
        "Bytes": [function_metric(function, name, "Sum", name) for name in ("BytesIn", "BytesOut")],
        "US dollars a day, about": [_dollars(converging, machine, recipe)],
    }
    page = cloudwatch.Dashboard(scope, id)
    widgets = [cloudwatch.GraphWidget(title=title, left=lines, width=WIDTH) for title, lines in graphs.items()]
    for start in range(0, len(widgets), 24 // WIDTH):
        page.add_widgets(*widgets[start : start + 24 // WIDTH])
    return page


def _images(function: lambda_.IFunction, outcome: str, period: Duration) -> cloudwatch.Metric:
    return function_metric(function, "Images", "Sum", outcome, {"Outcome": outcome}, period)


def _percentiles(function: lambda_.IFunction, name: str) -> list[cloudwatch.IMetric]:
    return [function_metric(function, name, each, each) for each in PERCENTILES]


def _waiting(queue: sqs.IQueue, label: str) -> cloudwatch.Metric:
    return queue.metric_approximate_number_of_messages_visible(period=FIVE_MINUTES, label=label)


def _age(queue: sqs.IQueue, label: str) -> cloudwatch.Metric:
    return queue.metric_approximate_age_of_oldest_message(period=FIVE_MINUTES, statistic="Maximum", label=label)


def _by_code(function: lambda_.IFunction) -> cloudwatch.MathExpression:
    """Return the number of images by each code that occurs."""
    wanted = f'{{{METRICS_NAMESPACE},Code,Function}} MetricName="Images" Function="{function.function_name}"'
    return cloudwatch.MathExpression(
        expression=f"SEARCH('{wanted}', 'Sum')", using_metrics={}, label="", period=FIVE_MINUTES
    )


def _dollars(converging: QueueFunction, machine: Machine, recipe: Recipe) -> cloudwatch.MathExpression:
    """Return the cost of a day by list prices: requests of made images, and what Lambda, SQS and the log count."""
    function, puts = converging.function, 1 + len(expected(recipe, "jpeg", alpha=False))
    an_image = (puts * PRICES.thousand_puts + GETS_PER_IMAGE * PRICES.thousand_gets) / 1000
    size = machine.memory_size
    gigabytes = (LAMBDA_DEFAULT_MEGABYTES if Token.is_unresolved(size) else size) / 1024
    counted = {
        "made": (_images(function, "made", DAY), an_image),
        "milliseconds": (
            function.metric_duration(period=DAY, statistic="Sum"),
            gigabytes * PRICES.gigabyte_second / 1000,
        ),
        "calls": (function.metric_invocations(period=DAY, statistic="Sum"), PRICES.million_invocations / 1e6),
        "messages": (
            converging.queue.metric_number_of_messages_sent(period=DAY, statistic="Sum"),
            PRICES.million_message_calls / 1e6,
        ),
        "logged": (
            cloudwatch.Metric(
                namespace="AWS/Logs",
                metric_name="IncomingBytes",
                dimensions_map={"LogGroupName": converging.log_group.log_group_name},
                statistic="Sum",
                period=DAY,
            ),
            PRICES.logged_gigabyte / 1e9,
        ),
    }
    return cloudwatch.MathExpression(
        expression=" + ".join(f"FILL({name}, 0) * {price:.4g}" for name, (_, price) in counted.items()),
        using_metrics={name: metric for name, (metric, _) in counted.items()},
        label="dollars",
        period=DAY,
    )
