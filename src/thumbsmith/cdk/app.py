"""The ready app: `cdk deploy` in the project's folder, or `thumbsmith aws deploy` anywhere."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from aws_cdk import App, CfnOutput, CliCredentialsStackSynthesizer, RemovalPolicy, Stack
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from constructs import Construct

from thumbsmith.cdk.acknowledgements import ACCESS_LOGS, acknowledge, acknowledge_cdks_own
from thumbsmith.cdk.api import ThumbnailApi
from thumbsmith.cdk.audit import ThumbnailAudit
from thumbsmith.cdk.buckets import bucket
from thumbsmith.cdk.delivery import ThumbnailDelivery
from thumbsmith.cdk.generator import ThumbnailGenerator
from thumbsmith.cdk.network import IsolatedNetwork
from thumbsmith.cdk.notifications import keep_logs_a_month
from thumbsmith.cdk.settings import Settings, listed, settings_of
from thumbsmith.errors import RecipeError


class ThumbsmithStack(Stack):
    """One generator, with new buckets where none are named. The outputs name its parts."""

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
        removal = RemovalPolicy.RETAIN if settings.keep else RemovalPolicy.DESTROY
        source = self._bucket("Source", settings.source, settings.source_key, removal)
        destination = self._bucket("Destination", settings.destination, settings.destination_key, removal)
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
            trigger=settings.trigger,
            runtime=settings.runtime,
            architecture=settings.architecture,
            memory_size=settings.memory,
            timeout=settings.timeout,
            batch_size=settings.batch_size,
            batching_window=settings.batching_window,
            max_concurrency=settings.max_concurrency,
            max_receive_count=settings.max_receive_count,
            backfill=settings.backfill or settings.audit_repair,
            backfill_max_concurrency=settings.backfill_max_concurrency,
            batch=settings.batch,
            removal_policy=removal,
            tracing=settings.tracing,
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
        self.delivery = self._delivery(listed(settings.allow_origins)) if settings.delivery else None
        if settings.audit or settings.audit_repair:
            ThumbnailAudit(self, "Audit", generator=self.generator, repair=settings.audit_repair)
        acknowledge(self, {"S1": ACCESS_LOGS})
        acknowledge_cdks_own(self)
        keep_logs_a_month(self)
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
            scopes=settings.scopes,
            allow_origins=listed(settings.allow_origins),
            function_props=props,
        )

    def _delivery(self, origins: list[str]) -> ThumbnailDelivery:
        """Return the delivery, for pages of these origins or, where none is named, of all."""
        return ThumbnailDelivery(self, "Delivery", thumbnails=self.generator, allow_origins=origins or ["*"])

    def _bucket(self, id: str, name: str | None, key: str | None, removal: RemovalPolicy) -> s3.IBucket:
        """Return the existing bucket of that name, or a new one; with its key where one is named."""
        encryption = kms.Key.from_key_arn(self, f"{id}Key", key) if key else None
        if name:
            return s3.Bucket.from_bucket_attributes(self, id, bucket_name=name, encryption_key=encryption)
        return bucket(self, id, removal_policy=removal, key=encryption)

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
