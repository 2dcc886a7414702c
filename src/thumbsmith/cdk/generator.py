"""The construct: thumbnails of all that is put into a bucket, kept right in another."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from aws_cdk import Duration, Tags
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_events as events
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sns as sns
from constructs import Construct

from thumbsmith.cdk import function as functions
from thumbsmith.cdk import permissions
from thumbsmith.cdk.alarms import Alarms
from thumbsmith.cdk.catalogue import Announcements, Catalogue, topic
from thumbsmith.cdk.dashboard import dashboard_of
from thumbsmith.cdk.function import Machine, QueueFunction
from thumbsmith.cdk.jobs import BatchJobs
from thumbsmith.cdk.notifications import Trigger, notify_by_eventbridge, notify_by_s3
from thumbsmith.cdk.place import keep_apart, place

HANDLER: Final = "thumbsmith.aws.handler.handler"

# Writing an item takes a fraction of what a picture takes.
WRITER_MEMORY: Final = 256

# Props that go with the code, and so hold for whatever else runs it.
OF_THE_CODE: Final = ("code", "runtime", "architecture", "layers")


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
        trigger: Trigger = Trigger.S3,
        runtime: lambda_.Runtime | None = None,
        architecture: lambda_.Architecture | None = None,
        memory_size: int = 1769,
        timeout: Duration | None = None,
        batch_size: int = 10,
        max_concurrency: int = 100,
        max_receive_count: int = 5,
        backfill: bool = False,
        backfill_max_concurrency: int = 20,
        batch: bool = False,
        inventories: Sequence[s3.IBucket] = (),
        log_retention: logs.RetentionDays = logs.RetentionDays.ONE_MONTH,
        tracing: lambda_.Tracing = lambda_.Tracing.DISABLED,
        vpc: ec2.IVpc | None = None,
        catalogue: bool = False,
        announce: bool = False,
        announce_email: str | None = None,
        alarms: bool = False,
        alarm_topic: sns.ITopic | None = None,
        alarm_email: str | None = None,
        max_age: Duration | None = None,
        dashboard: bool = False,
        function_props: Mapping[str, Any] | None = None,
    ) -> None:
        """Make all parts. `recipe` is a path or TOML text; without one, the default recipe holds.

        Prefixes end in "/". `runtime` (default Python 3.13), `architecture` (arm64), `memory_size` in MB, `timeout`
        (60 seconds), `batch_size` (messages a call), `max_concurrency` (functions at once), `max_receive_count` (tries
        before the dead letters) and `log_retention` are as in CDK. `backfill` makes a queue for what can wait, of which
        `backfill_max_concurrency` functions at once are fed; `batch` what a job of S3 Batch Operations needs, which may
        read the inventories in the buckets given. A topic or an address for alarms turns them on;
        `max_age` (15 minutes) is how long an event may wait before one. `function_props` are props of `aws_lambda.
        Function` that win over all that is set here.

        Raises RecipeError, one sentence, for a recipe that is none and for places that overlap.
        """
        super().__init__(scope, id)
        self.source = place(source, source_prefix, "source")
        self.destination = place(destination, destination_prefix, "destination")
        keep_apart(self.source, self.destination)
        machine = Machine(
            runtime=runtime or lambda_.Runtime.PYTHON_3_13,
            architecture=architecture or lambda_.Architecture.ARM_64,
            memory_size=memory_size,
            timeout=timeout or Duration.seconds(60),
            batch_size=batch_size,
            max_concurrency=max_concurrency,
            max_receive_count=max_receive_count,
            log_retention=log_retention,
            tracing=tracing,
            vpc=vpc,
        )
        props = dict(function_props or {})
        self.machine, self.recipe = machine, functions.recipe_text(recipe)
        variables, files = functions.recipe_setting(self.recipe)
        props["code"] = props.get("code") or functions.code(self, machine, files)
        self.converging = self._converge(machine, variables, props, backfill_max_concurrency if backfill else None)
        self.props = props
        self.function, self.role = self.converging.function, self.converging.role
        self.queue, self.dead_letters = self.converging.queue, self.converging.dead_letters
        self.log_group, self.event_source = self.converging.log_group, self.converging.event_source
        self.backfill, self.backfill_source = self.converging.backfill, self.converging.backfill_source
        self.jobs = BatchJobs(self, "Jobs", function=self.function, inventories=inventories) if batch else None
        self.rule = self._listen(trigger)
        self.catalogue = self._catalogue(machine, props) if catalogue else None
        self.announcements = self._announce(announce_email) if announce or announce_email else None
        alarmed = alarm_topic or (topic(self, "AlarmTopic", alarm_email) if alarms or alarm_email else None)
        self.alarms = self._alarm(alarmed, max_age or Duration.minutes(15)) if alarmed else None
        self.dashboard = dashboard_of(self, "Dashboard", self.converging) if dashboard else None
        Tags.of(self).add("thumbsmith", self.node.path)

    @property
    def places(self) -> dict[str, str]:
        """Return the variables that tell a function where sources and thumbnails are."""
        return {"THUMBSMITH_SOURCE": self.source.url, "THUMBSMITH_DESTINATION": self.destination.url}

    def _converge(
        self, machine: Machine, variables: dict[str, str], props: dict[str, Any], backfill: int | None
    ) -> QueueFunction:
        self.variables = self.places | variables
        statements = [*permissions.read_source(self.source), *permissions.keep_destination(self.destination)]
        return QueueFunction(
            self,
            "Converge",
            machine=machine,
            handler=HANDLER,
            environment=self.variables,
            statements=statements,
            props=props,
            backfill=backfill,
        )

    def _listen(self, trigger: Trigger) -> events.Rule | None:
        if trigger is Trigger.EVENTBRIDGE:
            return notify_by_eventbridge(self, "Changes", self.source, self.queue)
        notify_by_s3(self.source, self.queue)
        return None

    def _catalogue(self, machine: Machine, props: dict[str, Any]) -> Catalogue:
        small = replace(machine, memory_size=WRITER_MEMORY)
        return Catalogue(self, "Catalogue", destination=self.destination, machine=small, props=of_the_code(props))

    def _announce(self, email: str | None) -> Announcements:
        return Announcements(self, "Announcements", destination=self.destination, email=email)

    def _alarm(self, alarmed: sns.ITopic, max_age: Duration) -> Alarms:
        return Alarms(
            self,
            "Alarms",
            queue=self.queue,
            dead_letters=self.dead_letters,
            function=self.function,
            topic=alarmed,
            max_age=max_age,
        )
