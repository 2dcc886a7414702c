"""ThumbnailAudit: compares all sources with all thumbnails on a schedule, and repairs differences on request."""

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
from thumbsmith.cdk.function import LoggedFunction, code_props
from thumbsmith.cdk.generator import ThumbnailGenerator
from thumbsmith.cdk.machine import MAX_TIMEOUT_SECONDS, MEMORY_MB_RANGE
from thumbsmith.cdk.monitoring import FIVE_MINUTES, Alarms
from thumbsmith.environment import METRICS_NAMESPACE, Setting
from thumbsmith.errors import UsageError

HANDLER: Final = "thumbsmith.aws.audit.handler"

# https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-quota.html
TARGETS_PER_RULE: Final = 5

# Default size of the function's disk.
DISK_GIB: Final = 2


class ThumbnailAudit(Construct):
    """Checks all sources of a generator on a schedule. Attributes: `function`, `rules`, `role`, `log_group`.

    Props:

    - `generator`: the ThumbnailGenerator to check. If it has alarms, the audit adds its own.
    - `schedule`: a Schedule or a text such as "rate(7 days)". Default: each night at 03:00 UTC.
    - `prefixes`: prefixes of keys in the source. Each is a separate call with 15 minutes and its own disk.
      Default: one call for all keys.
    - `repair`: send keys with differences to the backfill of the generator. Default: only report them as metrics.
    - `memory_size`: MB of memory (512). `disk`: size of the disk for listings, 150 bytes for each object (2 GiB).
    """

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
        """Create all parts.

        Raises UsageError for `repair` without a backfill, for no prefixes, and for a value that cannot work.
        """
        super().__init__(scope, id)
        checks.instance("generator", generator, ThumbnailGenerator)
        checks.flags(repair=repair)
        prefixes = checks.texts("prefixes", prefixes, "2026/")
        size = checks.integer("memory_size", memory_size, *MEMORY_MB_RANGE)
        if disk is not None and not isinstance(disk, Size):
            raise UsageError(f"disk: expected a size, such as Size.gibibytes(2), found {disk!r}")
        backfill = generator.backfill
        if repair and backfill is None:
            raise UsageError("repair: expected a generator with backfill=True, whose queue gets the repairs")
        if not prefixes:
            raise UsageError("prefixes: expected at least one; '' selects all keys")
        statements = [
            *permissions.audit(generator.source, generator.destination),
            *([permissions.send("SendRepairs", backfill.queue)] if repair and backfill else []),
        ]
        queue = {Setting.BACKFILL: backfill.queue.queue_url} if repair and backfill else {}
        logged = LoggedFunction(
            self,
            machine=replace(
                generator.machine, memory_size=size, timeout=Duration.seconds(MAX_TIMEOUT_SECONDS), vpc=None
            ),
            handler=HANDLER,
            environment=generator.variables | queue,
            statements=statements,
            props={"ephemeral_storage_size": disk or Size.gibibytes(DISK_GIB), **code_props(generator.props)},
        )
        self.function, self.role, self.log_group = logged.function, logged.role, logged.log_group
        when = _schedule(schedule)
        self.rules = [
            self._rule(f"Schedule{start}", when, prefixes[start : start + TARGETS_PER_RULE])
            for start in range(0, len(prefixes), TARGETS_PER_RULE)
        ]

        if generator.alarms:
            self._watch(generator.alarms)

    def _watch(self, alarms: Alarms) -> None:
        """Add alarms for what an audit finds, and for an audit that does not end."""
        alarms.add(self, "Drift", self.metric("Drift"), 0, "Thumbnails are not as expected, without an event.")
        alarms.add(self, "Unfinished", self.metric("Unfinished"), 0, "An audit did not check all keys.")
        errors = self.function.metric_errors(period=FIVE_MINUTES)
        alarms.add(self, "AuditErrors", errors, 0, "An audit failed: it found nothing out.")

    def metric(self, name: str) -> cloudwatch.Metric:
        """Return the daily sum of Drift, Missing, Stale, Orphaned, Unknown, Sources, Repairs or Unfinished."""
        return cloudwatch.Metric(
            namespace=METRICS_NAMESPACE,
            metric_name=name,
            dimensions_map={"Function": self.function.function_name},
            statistic="Sum",
            period=Duration.days(1),
        )

    def _rule(self, id: str, when: events.Schedule, prefixes: Sequence[str]) -> events.Rule:
        rule = events.Rule(self, id, schedule=when)
        for prefix in prefixes:
            event = events.RuleTargetInput.from_object({"prefix": prefix})
            rule.add_target(targets.LambdaFunction(self.function, event=event, retry_attempts=2))
        return rule


def _schedule(found: events.Schedule | str | None) -> events.Schedule:
    if found is None:
        return events.Schedule.cron(minute="0", hour="3")
    if isinstance(found, events.Schedule):
        return found
    if isinstance(found, str) and re.fullmatch(r"(rate|cron)\(.+\)", found):
        return events.Schedule.expression(found)
    raise UsageError(
        f'schedule: expected a schedule, such as events.Schedule.rate(...) or "rate(7 days)", found {found!r}'
    )
