"""Compares all sources with all thumbnails on a schedule. What differs is a metric and, with `repair`, repaired."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from aws_cdk import Duration, Size
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from constructs import Construct

from thumbsmith.cdk import permissions
from thumbsmith.cdk import props as checks
from thumbsmith.cdk.function import LoggedFunction
from thumbsmith.cdk.generator import ThumbnailGenerator, of_the_code
from thumbsmith.cdk.machine import MEMORY
from thumbsmith.cdk.monitoring import NAMESPACE
from thumbsmith.errors import UsageError

HANDLER: Final = "thumbsmith.aws.audit.handler"

# The longest that a function may run: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
LONGEST: Final = Duration.minutes(15)

# Targets of one rule: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-quota.html
TARGETS: Final = 5


class ThumbnailAudit(Construct):
    """Looks at all of a generator's sources on a schedule: `function`, `rules`, `role`, `log_group`."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        generator: ThumbnailGenerator,
        schedule: events.Schedule | str | None = None,
        prefixes: Sequence[str] = ("",),
        repair: bool = False,
        memory_size: int = 512,
        disk: Size | None = None,
    ) -> None:
        """Make all parts. `schedule` is by default 03:00 UTC each night; a text is as "rate(7 days)".

        Each of `prefixes`, of keys within the source, is an invocation of its own, in 15 minutes and with so much disk
        (2 GiB) for its listings: 150 bytes an object. With `repair` what should not be is sent to the generator's
        backfill. Raises UsageError where it has none, for no prefixes, and for a value that cannot work.
        """
        super().__init__(scope, id)
        checks.one_of_ours("generator", generator, ThumbnailGenerator)
        checks.flags(repair=repair)
        prefixes = checks.texts("prefixes", prefixes, "2026/")
        size = checks.whole("memory_size", memory_size, *MEMORY)
        if disk is not None and not isinstance(disk, Size):
            raise UsageError(f"disk: expected a size, as Size.gibibytes(2), found {disk!r}")
        backfill = generator.backfill
        if repair and backfill is None:
            raise UsageError("repair: expected a generator with backfill=True, whose queue repairs are sent to")
        if not prefixes:
            raise UsageError("prefixes: expected at least one; that of all keys is ''")
        statements = [
            *permissions.audit(generator.source, generator.destination),
            *([permissions.send("SendRepairs", backfill.queue)] if repair and backfill else []),
        ]
        queue = {"THUMBSMITH_BACKFILL": backfill.queue.queue_url} if repair and backfill else {}
        made = LoggedFunction(
            self,
            machine=replace(generator.machine, memory_size=size, timeout=LONGEST, vpc=None),
            handler=HANDLER,
            environment=generator.variables | queue,
            statements=statements,
            props={"ephemeral_storage_size": disk or Size.gibibytes(2), **of_the_code(generator.props)},
        )
        self.function, self.role, self.log_group = made.function, made.role, made.log_group
        when = _schedule(schedule)
        self.rules = [
            self._rule(f"Schedule{at}", when, prefixes[at : at + TARGETS]) for at in range(0, len(prefixes), TARGETS)
        ]

    def metric(self, name: str) -> cloudwatch.Metric:
        """Return a metric: Drift, Missing, Stale, Orphaned, Unknown, Sources, Repairs, Unfinished."""
        return cloudwatch.Metric(
            namespace=NAMESPACE,
            metric_name=name,
            dimensions_map={"Function": self.function.function_name},
            statistic="Sum",
            period=Duration.days(1),
        )

    def _rule(self, id: str, when: events.Schedule, prefixes: Sequence[str]) -> events.Rule:
        made = events.Rule(self, id, schedule=when)
        for prefix in prefixes:
            told = events.RuleTargetInput.from_object({"prefix": prefix})
            made.add_target(targets.LambdaFunction(self.function, event=told, retry_attempts=2))
        return made


def _schedule(found: events.Schedule | str | None) -> events.Schedule:
    if found is None:
        return events.Schedule.cron(minute="0", hour="3")
    if isinstance(found, events.Schedule):
        return found
    if isinstance(found, str) and re.fullmatch(r"(rate|cron)\(.+\)", found):
        return events.Schedule.expression(found)
    raise UsageError(f'schedule: expected a schedule, as events.Schedule.rate(...) or "rate(7 days)", found {found!r}')
