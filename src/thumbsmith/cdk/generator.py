"""ThumbnailGenerator: makes thumbnails of the sources in one bucket and keeps them up to date in another."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from aws_cdk import Duration, RemovalPolicy, Stack, Tags
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_events as events
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from thumbsmith.cdk import function as functions
from thumbsmith.cdk import packaging, permissions
from thumbsmith.cdk import props as checks
from thumbsmith.cdk.catalogue import Announcements, Catalogue, topic
from thumbsmith.cdk.dashboard import dashboard_of
from thumbsmith.cdk.function import QueueFunction
from thumbsmith.cdk.machine import CONCURRENCY_RANGE, Machine, machine_of, overridden
from thumbsmith.cdk.monitoring import Alarms
from thumbsmith.cdk.network import location, require_buckets, require_disjoint, require_endpoints
from thumbsmith.cdk.notifications import (
    Claim,
    Trigger,
    expire_handler_logs,
    notify_by_eventbridge,
    notify_by_s3,
    require_compatible,
    require_one_construct,
)
from thumbsmith.cdk.parts import MESSAGE_RETENTION, acknowledge_cdk_handler
from thumbsmith.cdk.permissions import BatchJobs
from thumbsmith.environment import Setting
from thumbsmith.errors import UsageError

HANDLER: Final = "thumbsmith.aws.handler.handler"

# Defaults of props that are no part of a Machine.
BACKFILL_CONCURRENCY: Final = 20
ALARM_AGE_SECONDS: Final = 15 * 60

# The catalogue's writer handles no pictures.
WRITER_MEMORY_MB: Final = 256

REMOVAL_POLICIES: Final = {"retain": RemovalPolicy.RETAIN, "destroy": RemovalPolicy.DESTROY}


class ThumbnailGenerator(Construct):
    """S3 event -> queue -> function -> thumbnails.

    Props. A value may be CDK's type or a plain one; None selects the default.

    - `source`, `destination`: buckets, new or imported.
    - `source_prefix`, `destination_prefix`: limit each of them to keys below a prefix, which ends in "/".
    - `source_requester_pays`: the source belongs to another account, which does not pay for requests.
    - `recipe`: the path of a file, or TOML text. Default: Thumbsmith's default recipe.
    - `trigger`: the service that reports changes, "s3" (default) or "eventbridge".
    - `runtime`: a version of Python, such as "3.13" (default). `architecture`: "arm64" (default) or "x86_64".
    - `memory_size`: MB of memory (1024). `timeout`: seconds for one call (60).
    - `batch_size`: messages for each call (10). More than 10 need a `batching_window`: seconds to wait for them (0).
    - `max_concurrency`: functions that run at the same time (100).
    - `max_receive_count`: tries before a message is moved to the dead-letter queue (5).
    - `backfill`: add a second queue for work that can wait, with `backfill_max_concurrency` functions (20).
    - `batch`: add the role and the bucket for jobs of S3 Batch Operations. They may read the buckets `inventories`.
      `removal_policy` of that bucket: "retain" (default) or "destroy".
    - `log_retention`: days (one month). `tracing`: True or False (default).
    - `vpc`: a network for the function. Default: none.
    - `catalogue`: add a DynamoDB table with one item for each source.
    - `announce`: add a topic with a message for each new or deleted manifest. `announce_email` subscribes to it.
    - `alarms`: add alarms, also for an audit, an API and tasks; `alarm_topic` or `alarm_email` also add them.
      `max_age`: seconds that an event may wait before an alarm (15 minutes).
    - `dashboard`: add a CloudWatch dashboard.
    - `extras`: decoders for more formats: "documents" (SVG, PDF), "raw" (the sensor's data of raw photographs).
    - `leave_nothing`: when the stack is deleted, also delete the bucket of jobs with its objects, and the log of CDK's
      function for notifications of the stack.
    - `function_props`: more props of `aws_lambda.Function`. They win over the props above. Their `environment` is
      added to the variables that the construct sets.

    Attributes: `queue`, `dead_letters`, `function`, `role`, `log_group`, `event_source`; `rule` with
    `trigger="eventbridge"`; `source`, `destination`, `recipe` (TOML, None for the default), `machine`, `props`,
    `variables`. None unless requested: `backfill` (`.queue`, `.dead_letters`), `backfill_source`,
    `jobs` (`.role`, `.bucket`), `alarms`, `dashboard`, `catalogue` (`.table`), `announcements` (`.topic`).
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
        source_requester_pays: bool = False,
        recipe: str | os.PathLike[str] | None = None,
        trigger: Trigger | str = Trigger.S3,
        runtime: lambda_.Runtime | str | None = None,
        architecture: lambda_.Architecture | str | None = None,
        memory_size: int | None = None,
        timeout: Duration | float | None = None,
        batch_size: int | None = None,
        batching_window: Duration | float | None = None,
        max_concurrency: int | None = None,
        max_receive_count: int | None = None,
        backfill: bool = False,
        backfill_max_concurrency: int | None = None,
        batch: bool = False,
        inventories: Sequence[s3.IBucket] = (),
        removal_policy: RemovalPolicy | str = RemovalPolicy.RETAIN,
        log_retention: logs.RetentionDays | int | str | None = None,
        tracing: lambda_.Tracing | bool | str | None = None,
        vpc: ec2.IVpc | None = None,
        catalogue: bool = False,
        announce: bool = False,
        announce_email: str | None = None,
        alarms: bool = False,
        alarm_topic: sns.ITopic | None = None,
        alarm_email: str | None = None,
        max_age: Duration | float | None = None,
        dashboard: bool = False,
        extras: Sequence[str] = (),
        leave_nothing: bool = False,
        function_props: Mapping[str, Any] | None = None,
    ) -> None:
        """Create all parts. Raises UsageError, one sentence, for a value or a combination that cannot work."""
        super().__init__(scope, id)
        checks.flags(backfill=backfill, batch=batch, catalogue=catalogue, announce=announce)
        checks.flags(alarms=alarms, dashboard=dashboard, leave_nothing=leave_nothing)
        checks.flags(source_requester_pays=source_requester_pays)
        self.source = replace(location(source, source_prefix, "source"), requester_pays=source_requester_pays)
        self.destination = location(destination, destination_prefix, "destination")
        self._claim(checks.choice("trigger", trigger, Trigger, {each.value: each for each in Trigger}))
        machine = machine_of(
            runtime=runtime,
            architecture=architecture,
            memory_size=memory_size,
            timeout=timeout,
            batch_size=batch_size,
            batching_window=batching_window,
            max_concurrency=max_concurrency,
            max_receive_count=max_receive_count,
            log_retention=log_retention,
            tracing=tracing,
            vpc=vpc,
        )
        concurrency = _backfill_concurrency(backfill_max_concurrency, backfill=backfill)
        self.recipe = functions.recipe_text(recipe)
        self.extras = _extras(extras)
        self._configure(machine, function_props, concurrency, catalogue=catalogue)
        self._create_function(concurrency)
        self.jobs = self._jobs(inventories, removal_policy, batch=batch, leave_nothing=leave_nothing)
        self.rule = self._subscribe()
        self.catalogue = self._catalogue() if catalogue else None
        self.announcements = self._announcements(announce_email, announce=announce)
        self.alarms = self._alarms(alarm_topic, alarm_email, max_age, alarms=alarms)
        self.dashboard = (
            dashboard_of(self, "Dashboard", self.converging, self.machine, functions.parsed_recipe(self.recipe))
            if dashboard
            else None
        )
        for place in (self.source, self.destination):  # CDK's function is in the stack of the bucket
            acknowledge_cdk_handler(Stack.of(place.bucket))
            if leave_nothing:
                expire_handler_logs(Stack.of(place.bucket))
        Tags.of(self).add("thumbsmith", self.node.path)

    @property
    def places(self) -> dict[str, str]:
        """Return the environment variables with the addresses of sources and thumbnails."""
        return {Setting.SOURCE: self.source.url, Setting.DESTINATION: self.destination.url}

    def _claim(self, trigger: Trigger) -> None:
        """Raise UsageError if source and destination overlap, or conflict with another generator of the app."""
        require_disjoint(self.source, self.destination)
        require_one_construct(self.source.bucket, self.destination.bucket)
        others = [each for each in self.node.root.node.find_all() if isinstance(each, ThumbnailGenerator)]
        self.claim = Claim(self.node.path, self.source, self.destination, trigger)
        require_compatible(
            self, self.claim, [each.claim for each in others if each is not self and hasattr(each, "claim")]
        )

    def _configure(
        self, machine: Machine, function_props: Mapping[str, Any] | None, backfill: int | None, *, catalogue: bool
    ) -> None:
        """Set `machine`, `props` and `variables`, which the function and all that depends on it use."""
        self.props = functions.checked_props(function_props, machine.max_concurrency + (backfill or 0))
        self.machine = overridden(machine, self.props)
        if self.machine.vpc is not None:
            self._require_routes(self.machine.vpc, catalogue=catalogue)
        variables, files = functions.recipe_setting(self.recipe)
        contents = replace(packaging.CONVERGING, extras=self.extras)
        self.props["code"] = functions.code(self, self.machine, files, contents, given=self.props.get("code"))
        self.variables = self.places | variables

    def _require_routes(self, vpc: ec2.IVpc, *, catalogue: bool) -> None:
        """Raise UsageError if the function cannot reach a service that it needs from its network."""
        require_buckets(vpc, [self.source.bucket, self.destination.bucket])
        if "vpc_subnets" not in self.props and vpc.isolated_subnets:
            require_endpoints(vpc, ["s3"], "the function reads and writes there")
            if catalogue:
                require_endpoints(vpc, ["dynamodb"], "the catalogue is a table")

    def _create_function(self, backfill: int | None) -> None:
        self.converging = QueueFunction(
            self,
            "Converge",
            machine=self.machine,
            handler=HANDLER,
            environment=self.variables,
            statements=[*permissions.read_source(self.source), *permissions.update_destination(self.destination)],
            props=self.props,
            backfill=backfill,
        )
        self.function, self.role = self.converging.function, self.converging.role
        self.queue, self.dead_letters = self.converging.queue, self.converging.dead_letters
        self.log_group, self.event_source = self.converging.log_group, self.converging.event_source
        self.backfill, self.backfill_source = self.converging.backfill, self.converging.backfill_source

    def _jobs(
        self,
        inventories: Sequence[s3.IBucket],
        removal_policy: RemovalPolicy | str,
        *,
        batch: bool,
        leave_nothing: bool,
    ) -> BatchJobs | None:
        buckets = [
            checks.bucket("inventories", each) for each in checks.sequence("inventories", inventories, "inventories")
        ]
        removal = checks.choice("removal_policy", removal_policy, RemovalPolicy, REMOVAL_POLICIES)
        if buckets and not batch:
            raise UsageError("inventories: expected batch=True with them, whose jobs read them")
        if not batch:
            return None
        return BatchJobs(
            self,
            "Jobs",
            function=self.function,
            inventories=buckets,
            removal_policy=RemovalPolicy.DESTROY if leave_nothing else removal,
            emptied=leave_nothing,
        )

    def _subscribe(self) -> events.Rule | None:
        """Connect the source bucket with the queue; return the rule of EventBridge, if that is the trigger."""
        if self.claim.trigger is Trigger.EVENTBRIDGE:
            return notify_by_eventbridge(self, "Changes", self.source, self.queue, self.dead_letters)
        notify_by_s3(self.source, self.queue)
        return None

    def _catalogue(self) -> Catalogue:
        machine = replace(self.machine, memory_size=WRITER_MEMORY_MB)
        props = functions.code_props(self.props)
        return Catalogue(self, "Catalogue", destination=self.destination, machine=machine, props=props)

    def _announcements(self, email: str | None, *, announce: bool) -> Announcements | None:
        address = checks.email("announce_email", email)
        if not (announce or address):
            return None
        return Announcements(self, "Announcements", destination=self.destination, email=address)

    def _alarms(
        self, given: sns.ITopic | None, email: str | None, max_age: Duration | float | None, *, alarms: bool
    ) -> Alarms | None:
        """Return the alarms if a topic, an address or `alarms` requests them; else None."""
        address = checks.email("alarm_email", email)
        if given is None and address is None and not alarms:
            if max_age is not None:
                raise UsageError("max_age: expected alarms=True with it, as it is a limit for an alarm")
            return None
        seconds = ALARM_AGE_SECONDS if max_age is None else max_age
        created = Alarms(
            self,
            "Alarms",
            converging=self.converging,
            topic=self._alarm_topic(given, address),
            max_age=checks.duration("max_age", seconds, 1, MESSAGE_RETENTION.to_seconds()),
        )
        for name, queue in self._further_dead_letters():
            created.add_dead_letters(created, name, queue)
        return created

    def _further_dead_letters(self) -> Iterator[tuple[str, sqs.IQueue]]:
        """Yield the dead-letter queues of the optional parts, with the names of their alarms."""
        if self.backfill:
            yield "BackfillDeadLetters", self.backfill.dead_letters
        if self.catalogue:
            yield "CatalogueDeadLetters", self.catalogue.writer.dead_letters
        if self.announcements:
            yield "AnnouncementDeadLetters", self.announcements.dead_letters

    def _alarm_topic(self, given: sns.ITopic | None, email: str | None) -> sns.ITopic:
        if given is None:
            return topic(self, "AlarmTopic", email)
        found: sns.ITopic = checks.resource("alarm_topic", given, "topic_arn", "a topic, such as an sns.Topic")
        if email:
            found.add_subscription(subscriptions.EmailSubscription(email))
        return found


def _backfill_concurrency(found: Any, *, backfill: bool) -> int | None:
    """Return the number of functions for the backfill, None without a backfill. Raises UsageError for a bad value."""
    functions_at_once = checks.integer(
        "backfill_max_concurrency", BACKFILL_CONCURRENCY if found is None else found, *CONCURRENCY_RANGE
    )
    return functions_at_once if backfill else None


def _extras(found: Sequence[str]) -> tuple[str, ...]:
    """Return the extras, each once, in one order. Raises UsageError for another name."""
    wanted = checks.texts("extras", found, packaging.EXTRAS[0])
    for each in wanted:
        if each not in packaging.EXTRAS:
            raise UsageError(f"extras: expected {' or '.join(map(repr, packaging.EXTRAS))}, found {each!r}")
    return tuple(each for each in packaging.EXTRAS if each in wanted)
