"""The ready app: `cdk deploy` in the project's folder, or `thumbsmith aws deploy` anywhere."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from aws_cdk import App, CfnOutput, CliCredentialsStackSynthesizer, Duration, Stack
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_s3 as s3
from constructs import Construct

from thumbsmith.cdk.acknowledgements import ACCESS_LOGS, acknowledge, acknowledge_cdks_own
from thumbsmith.cdk.api import ThumbnailApi
from thumbsmith.cdk.audit import ThumbnailAudit
from thumbsmith.cdk.buckets import bucket
from thumbsmith.cdk.delivery import ThumbnailDelivery
from thumbsmith.cdk.generator import ThumbnailGenerator
from thumbsmith.cdk.network import IsolatedNetwork
from thumbsmith.cdk.notifications import Trigger
from thumbsmith.cdk.settings import ARCHITECTURES, Settings, settings_of
from thumbsmith.errors import RecipeError


class ThumbsmithStack(Stack):
    """One generator, with buckets of its own where none are named; its outputs are what people ask for."""

    def __init__(
        self,
        scope: Construct,
        settings: Settings,
        *,
        function_props: Mapping[str, Any] | None = None,
        api_props: Mapping[str, Any] | None = None,
    ) -> None:
        """Make all that the settings ask for; `function_props` and `api_props` are those of its functions."""
        synthesizer = CliCredentialsStackSynthesizer() if settings.cli_credentials else None
        super().__init__(scope, settings.stack, synthesizer=synthesizer)
        source = self._bucket("Source", settings.source, keep=settings.keep)
        destination = self._bucket("Destination", settings.destination, keep=settings.keep)
        network = (
            IsolatedNetwork(self, "Network", buckets=[source, destination], dynamodb=settings.catalogue)
            if settings.isolated
            else None
        )
        self.generator = ThumbnailGenerator(
            self,
            "Thumbnails",
            source=source,
            destination=destination,
            source_prefix=settings.source_prefix,
            destination_prefix=settings.destination_prefix,
            recipe=settings.recipe_file,
            trigger=Trigger(settings.trigger),
            runtime=settings.runtime,
            architecture=ARCHITECTURES[settings.architecture],
            memory_size=settings.memory,
            timeout=Duration.seconds(settings.timeout),
            batch_size=settings.batch_size,
            max_concurrency=settings.max_concurrency,
            max_receive_count=settings.max_receive_count,
            backfill=settings.backfill or settings.audit_repair,
            backfill_max_concurrency=settings.backfill_max_concurrency,
            batch=settings.batch,
            tracing=lambda_.Tracing.ACTIVE if settings.tracing else lambda_.Tracing.DISABLED,
            vpc=network.vpc if network else None,
            catalogue=settings.catalogue,
            announce=settings.announce,
            announce_email=settings.announce_email,
            alarms=settings.alarms,
            alarm_email=settings.alarm_email,
            dashboard=settings.dashboard,
            function_props=function_props,
        )
        self.api = self._api(settings, api_props)
        self.delivery = ThumbnailDelivery(self, "Delivery", thumbnails=self.generator) if settings.delivery else None
        if settings.audit or settings.audit_repair:
            ThumbnailAudit(self, "Audit", generator=self.generator, repair=settings.audit_repair)
        acknowledge(self, {"S1": ACCESS_LOGS})
        acknowledge_cdks_own(self)
        self._tell()

    def _api(self, settings: Settings, props: Mapping[str, Any] | None) -> ThumbnailApi | None:
        authorizer = settings.authorizer
        if authorizer is None:
            return None
        return ThumbnailApi(
            self,
            "Api",
            thumbnails=self.generator,
            authorizer=authorizer,
            public_renditions=settings.public_renditions,
            allow_origins=[each.strip() for each in settings.allow_origins.split(",") if each.strip()],
            function_props=props,
        )

    def _bucket(self, id: str, name: str | None, *, keep: bool) -> s3.IBucket:
        """Return the bucket of that name, which is there already, or a new one."""
        return s3.Bucket.from_bucket_name(self, id, name) if name else bucket(self, id, keep=keep)

    def _tell(self) -> None:
        made = self.generator
        outputs = {
            "SourceBucket": made.source.bucket.bucket_name,
            "SourcePrefix": made.source.prefix,
            "DestinationBucket": made.destination.bucket.bucket_name,
            "DestinationPrefix": made.destination.prefix,
            "Function": made.function.function_name,
            "Queue": made.queue.queue_url,
            "DeadLetters": made.dead_letters.queue_url,
        }
        if made.backfill:
            outputs["Backfill"] = made.backfill.queue.queue_url
            outputs["BackfillDeadLetters"] = made.backfill.dead_letters.queue_url
        if made.jobs:
            outputs["FunctionArn"] = made.function.function_arn
            outputs["BatchRole"] = made.jobs.role.role_arn
            outputs["BatchBucket"] = made.jobs.bucket.bucket_name
        if made.catalogue:
            outputs["Catalogue"] = made.catalogue.table.table_name
        if self.api:
            outputs |= {"ApiUrl": self.api.url, "ApiFunction": self.api.function.function_name}
        if self.delivery:
            outputs["DeliveryUrl"] = self.delivery.url
        for name, value in outputs.items():
            if value:
                CfnOutput(self, name, value=value)


def main() -> None:
    """Synthesize the app. A setting or a recipe that is wrong is one sentence, and exit code 2."""
    app = App()
    try:
        ThumbsmithStack(app, settings_of(app.node))
    except (RecipeError, RuntimeError) as error:  # the latter is what CDK's own checks raise
        sys.exit(_said(str(error)))
    app.synth()


def _said(sentence: str) -> int:
    sys.stderr.write(f"thumbsmith: {' '.join(sentence.split())}\n")
    return 2


if __name__ == "__main__":
    main()
