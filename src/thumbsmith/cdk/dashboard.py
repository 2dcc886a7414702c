"""One page to look at: what comes in, what comes out, how long it takes, what went wrong."""

from __future__ import annotations

from aws_cdk import aws_cloudwatch as cloudwatch
from constructs import Construct

from thumbsmith.cdk.alarms import FIVE_MINUTES, outcome, stage, volume
from thumbsmith.cdk.function import QueueFunction

OUTCOMES = ("made", "fresh", "deleted", "absent", "rejected", "failed")
STAGES = ("LookMilliseconds", "RenderMilliseconds", "StoreMilliseconds", "TotalMilliseconds")


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
