"""The construct: thumbnails of the sources in a bucket, kept up to date in another."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from aws_cdk import Duration, RemovalPolicy, Tags
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_events as events
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from constructs import Construct

from thumbsmith.cdk import function as functions
from thumbsmith.cdk import permissions
from thumbsmith.cdk import props as checks
from thumbsmith.cdk.catalogue import Announcements, Catalogue, topic
from thumbsmith.cdk.function import QueueFunction
from thumbsmith.cdk.machine import CONCURRENCY, machine_of, overridden, python_of
from thumbsmith.cdk.monitoring import Alarms, dashboard_of
from thumbsmith.cdk.network import keep_apart, place, require_buckets, require_endpoints
from thumbsmith.cdk.notifications import (
    Trigger,
    Work,
    keep_neighbors_apart,
    keep_one_construct,
    notify_by_eventbridge,
    notify_by_s3,
)
from thumbsmith.cdk.parts import RETENTION
from thumbsmith.cdk.permissions import BatchJobs
from thumbsmith.errors import UsageError

HANDLER: Final = "thumbsmith.aws.handler.handler"

# Writing an item takes a fraction of what a picture takes.
WRITER_MEMORY: Final = 256

# Props that go with the code, and so hold for whatever else runs it.
OF_THE_CODE: Final = ("code", "layers")

REMOVALS: Final = {"retain": RemovalPolicy.RETAIN, "destroy": RemovalPolicy.DESTROY}


def of_the_code(props: Mapping[str, Any]) -> dict[str, Any]:
    """Return those props of a function that go with its code."""
    return {name: value for name, value in props.items() if name in OF_THE_CODE}


class ThumbnailGenerator(Construct):
    """S3 event -> queue -> function -> thumbnails; every part of it is an attribute.

    `queue`, `dead_letters`, `function`, `role`, `log_group`, `event_source`; `rule` with trigger EVENTBRIDGE; what
    others go by: `source`, `destination`, `recipe` (its TOML, None for the default), `machine`, `props`, `variables`;
    and where they were asked for `backfill` (with its `queue` and `dead_letters`) and `backfill_source`, `jobs` (with
    `role` and `bucket`), `alarms`, `dashboard`, `catalogue` (with its `table`), `announcements` (with its `topic`).
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        source: s3.IBucket,
        destination: s3.IBucket,
        source_prefix: str = "",
        destination_prefix: str = "",
        recipe: str | os.PathLike[str] | None = None,
        trigger: Trigger | str = Trigger.S3,
        runtime: lambda_.Runtime | str | None = None,
        architecture: lambda_.Architecture | str | None = None,
        memory_size: int = 1769,
        timeout: Duration | float | None = None,
        batch_size: int = 10,
        batching_window: Duration | float | None = None,
        max_concurrency: int = 100,
        max_receive_count: int = 5,
        backfill: bool = False,
        backfill_max_concurrency: int = 20,
        batch: bool = False,
        inventories: Sequence[s3.IBucket] = (),
        removal_policy: RemovalPolicy | str = RemovalPolicy.RETAIN,
        log_retention: logs.RetentionDays | int | str = logs.RetentionDays.ONE_MONTH,
        tracing: lambda_.Tracing | bool | str = lambda_.Tracing.DISABLED,
        vpc: ec2.IVpc | None = None,
        catalogue: bool = False,
        announce: bool = False,
        announce_email: str | None = None,
        alarms: bool = False,
        alarm_topic: sns.ITopic | None = None,
        alarm_email: str | None = None,
        max_age: Duration | float | None = None,
        dashboard: bool = False,
        function_props: Mapping[str, Any] | None = None,
    ) -> None:
        """Make all parts. `recipe` is a path or TOML text; without one, the default recipe holds.

        Prefixes end in "/". `trigger` is "s3" or "eventbridge", `runtime` a version of Python as "3.13" (the default),
        `architecture` "arm64" (the default) or "x86_64", `tracing` True or False, `log_retention` a number of days;
        all of these may be CDK's types too. Times (`timeout`, 60 s; `batching_window`, 0; `max_age`, 15 minutes) are
        seconds or a Duration. `memory_size` is in MB, `batch_size` messages a call, `max_concurrency` functions at
        once, `max_receive_count` tries before the dead letters. More than 10 messages a call need a `batching_window`.

        `backfill` makes a queue for what can wait, with `backfill_max_concurrency` functions at once. `batch` makes
        what a job of S3 Batch Operations needs; it may read the inventories in the buckets given, and its own bucket
        has the `removal_policy` "retain" (the default) or "destroy". A topic or an address for alarms turns them on.
        An event may wait for `max_age` before an alarm. `function_props` are further props of `aws_lambda.Function`,
        which win over all that is set here; its `environment` is added to the variables that are set here.

        Raises UsageError, one sentence, for a recipe, a place, a value or a combination that cannot work.
        """
        super().__init__(scope, id)
        checks.flags(backfill=backfill, batch=batch, catalogue=catalogue, announce=announce)
        checks.flags(alarms=alarms, dashboard=dashboard)
        self.source = place(source, source_prefix, "source")
        self.destination = place(destination, destination_prefix, "destination")
        self._keep_apart(checks.choice("trigger", trigger, Trigger, {each.value: each for each in Trigger}))
        machine = machine_of(
            runtime=runtime or lambda_.Runtime.PYTHON_3_13,
            architecture=architecture or lambda_.Architecture.ARM_64,
            memory_size=memory_size,
            timeout=60 if timeout is None else timeout,
            batch_size=batch_size,
            batching_window=0 if batching_window is None else batching_window,
            max_concurrency=max_concurrency,
            max_receive_count=max_receive_count,
            log_retention=log_retention,
            tracing=tracing,
            vpc=vpc,
        )
        python_of(machine.runtime)
        most = checks.whole("backfill_max_concurrency", backfill_max_concurrency, *CONCURRENCY)
        self.props = functions.checked_props(function_props, machine.max_concurrency + (most if backfill else 0))
        self.machine, self.recipe = overridden(machine, self.props), functions.recipe_text(recipe)
        if self.machine.vpc is not None:
            self._look_for_ways(self.machine.vpc, catalogue=catalogue)
        variables, files = functions.recipe_setting(self.recipe)
        self.props["code"] = functions.code_or(self.props.get("code"), self, self.machine, files)
        self.variables = self.places | variables
        self.converging = self._converge(most if backfill else None)
        self.function, self.role = self.converging.function, self.converging.role
        self.queue, self.dead_letters = self.converging.queue, self.converging.dead_letters
        self.log_group, self.event_source = self.converging.log_group, self.converging.event_source
        self.backfill, self.backfill_source = self.converging.backfill, self.converging.backfill_source
        self.jobs = self._jobs(batch=batch, inventories=inventories, removal_policy=removal_policy)
        self.rule = self._listen()
        self.catalogue = self._catalogue() if catalogue else None
        address = checks.email("announce_email", announce_email)
        self.announcements = self._announce(address) if announce or address else None
        self.alarms = self._alarm(alarm_topic, checks.email("alarm_email", alarm_email), max_age, alarms=alarms)
        self.dashboard = dashboard_of(self, "Dashboard", self.converging) if dashboard else None
        Tags.of(self).add("thumbsmith", self.node.path)

    @property
    def places(self) -> dict[str, str]:
        """Return the variables that tell a function where sources and thumbnails are."""
        return {"THUMBSMITH_SOURCE": self.source.url, "THUMBSMITH_DESTINATION": self.destination.url}

    def _keep_apart(self, trigger: Trigger) -> None:
        """Raise UsageError where source and destination, or other generators of the app, are in the way."""
        keep_apart(self.source, self.destination)
        keep_one_construct(self.source.bucket, self.destination.bucket)
        others = [each for each in self.node.root.node.find_all() if isinstance(each, ThumbnailGenerator)]
        self.work = Work(self.node.path, self.source, self.destination, trigger)
        keep_neighbors_apart(
            self, self.work, [each.work for each in others if each is not self and hasattr(each, "work")]
        )

    def _look_for_ways(self, vpc: ec2.IVpc, *, catalogue: bool) -> None:
        """Raise UsageError where the function's network cannot reach what it needs."""
        require_buckets(vpc, [self.source.bucket, self.destination.bucket])
        if "vpc_subnets" not in self.props and vpc.isolated_subnets:
            require_endpoints(vpc, ["s3"], "the function reads and writes there")
            if catalogue:
                require_endpoints(vpc, ["dynamodb"], "the catalogue is a table")

    def _converge(self, backfill: int | None) -> QueueFunction:
        statements = [*permissions.read_source(self.source), *permissions.keep_destination(self.destination)]
        return QueueFunction(
            self,
            "Converge",
            machine=self.machine,
            handler=HANDLER,
            environment=self.variables,
            statements=statements,
            props=self.props,
            backfill=backfill,
        )

    def _jobs(
        self, *, batch: bool, inventories: Sequence[s3.IBucket], removal_policy: RemovalPolicy | str
    ) -> BatchJobs | None:
        listed = [
            checks.bucket("inventories", each) for each in checks.several("inventories", inventories, "inventories")
        ]
        removal = checks.choice("removal_policy", removal_policy, RemovalPolicy, REMOVALS)
        if listed and not batch:
            raise UsageError("inventories: expected batch=True with them, whose jobs read them")
        if not batch:
            return None
        return BatchJobs(self, "Jobs", function=self.function, inventories=listed, removal_policy=removal)

    def _listen(self) -> events.Rule | None:
        if self.work.trigger is Trigger.EVENTBRIDGE:
            return notify_by_eventbridge(self, "Changes", self.source, self.queue, self.dead_letters)
        notify_by_s3(self.source, self.queue)
        return None

    def _catalogue(self) -> Catalogue:
        small = replace(self.machine, memory_size=WRITER_MEMORY)
        return Catalogue(self, "Catalogue", destination=self.destination, machine=small, props=of_the_code(self.props))

    def _announce(self, email: str | None) -> Announcements:
        return Announcements(self, "Announcements", destination=self.destination, email=email)

    def _alarm(
        self, given: sns.ITopic | None, email: str | None, max_age: Duration | float | None, *, alarms: bool
    ) -> Alarms | None:
        """Return the alarms where they are asked for by a topic, an address or a word; else None."""
        if given is None and email is None and not alarms:
            if max_age is not None:
                raise UsageError("max_age: expected alarms=True with it, as it is a limit for an alarm")
            return None
        if given is None:
            alarmed: sns.ITopic = topic(self, "AlarmTopic", email)
        else:
            alarmed = checks.resource("alarm_topic", given, "topic_arn", "a topic, as an sns.Topic")
            if email:
                alarmed.add_subscription(subscriptions.EmailSubscription(email))
        return Alarms(
            self,
            "Alarms",
            queue=self.queue,
            dead_letters=self.dead_letters,
            function=self.function,
            topic=alarmed,
            max_age=checks.duration("max_age", 15 * 60 if max_age is None else max_age, 1, RETENTION.to_seconds()),
        )
