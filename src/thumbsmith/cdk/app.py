"""The settings of the ready app. They come from CDK context: `-c NAME=VALUE`, or "context" in cdk.json.

The ready app: `cdk deploy` in the project's folder, or `thumbsmith aws deploy` anywhere.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Final

from aws_cdk import App, CfnOutput, CliCredentialsStackSynthesizer, RemovalPolicy, Stack
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_s3 as s3
from aws_cdk.aws_apigatewayv2 import IHttpRouteAuthorizer
from aws_cdk.aws_apigatewayv2_authorizers import HttpIamAuthorizer, HttpJwtAuthorizer
from constructs import Construct, Node

from thumbsmith.cdk.api import ThumbnailApi
from thumbsmith.cdk.audit import ThumbnailAudit
from thumbsmith.cdk.delivery import ThumbnailDelivery
from thumbsmith.cdk.generator import ThumbnailGenerator
from thumbsmith.cdk.machine import ARCHITECTURES, runtime_of
from thumbsmith.cdk.network import IsolatedNetwork
from thumbsmith.cdk.notifications import Trigger, keep_logs_a_month
from thumbsmith.cdk.parts import ACCESS_LOGS, acknowledge, acknowledge_cdks_own, bucket
from thumbsmith.errors import UsageError

RECIPE_FILE: Final = "thumbsmith.toml"

KEY: Final = re.compile(r"arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+")
WORDS: Final = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings. Buckets that are not named are made; they stay when the stack is removed if `keep` is true."""

    stack: str = "Thumbsmith"
    source: str | None = None
    source_key: str | None = None
    source_prefix: str = ""
    destination: str | None = None
    destination_key: str | None = None
    destination_prefix: str = ""
    recipe: str | None = None
    trigger: str = "s3"
    python: str = "3.13"
    architecture: str = "arm64"
    memory: int = 1769
    timeout: int = 60
    batch_size: int = 10
    batching_window: int = 0
    max_concurrency: int = 100
    max_receive_count: int = 5
    backfill: bool = False
    backfill_max_concurrency: int = 20
    batch: bool = False
    audit: bool = False
    audit_repair: bool = False
    isolated: bool = False
    tracing: bool = False
    catalogue: bool = False
    announce: bool = False
    announce_email: str | None = None
    alarms: bool = False
    alarm_email: str | None = None
    dashboard: bool = False
    api: str = "off"
    jwt_issuer: str | None = None
    jwt_audience: str | None = None
    read_scopes: str = ""
    upload_scopes: str = ""
    delete_scopes: str = ""
    public_renditions: bool = False
    allow_origins: str = ""
    delivery: bool = False
    keep: bool = True
    cli_credentials: bool = False

    def __post_init__(self) -> None:
        """Raise UsageError for a value that is none of those expected."""
        _one_of("trigger", self.trigger, [each.value for each in Trigger])
        _one_of("architecture", self.architecture, list(ARCHITECTURES))
        _one_of("api", self.api, ["off", "iam", "jwt"])
        if self.api == "jwt" and not (self.jwt_issuer and self.jwt_audience):
            raise UsageError("context api: jwt: expected jwt_issuer and jwt_audience with it")
        if self.scopes and self.api != "jwt":
            raise UsageError("context read_scopes, upload_scopes, delete_scopes: expected api=jwt with them")
        for name, key in (("source_key", self.source_key), ("destination_key", self.destination_key)):
            if key is not None and not KEY.fullmatch(key):
                raise UsageError(
                    f"context {name}: expected the ARN of a key of KMS, as"
                    f" arn:aws:kms:eu-central-1:123456789012:key/..., found {key!r}"
                )

    @property
    def scopes(self) -> dict[str, list[str]]:
        """Return the scopes of tokens that are named, by group of routes."""
        named = {"read": self.read_scopes, "upload": self.upload_scopes, "delete": self.delete_scopes}
        return {group: listed(text) for group, text in named.items() if listed(text)}

    @property
    def authorizer(self) -> IHttpRouteAuthorizer | None:
        """Return the authorizer of the API; None where there is no API."""
        if self.api == "jwt":
            return HttpJwtAuthorizer("Jwt", self.jwt_issuer or "", jwt_audience=listed(self.jwt_audience or ""))
        return HttpIamAuthorizer() if self.api == "iam" else None

    @property
    def recipe_file(self) -> str | None:
        """Return the recipe that was named, else ./thumbsmith.toml where there is one, else None for the default."""
        return self.recipe or (RECIPE_FILE if os.path.lexists(RECIPE_FILE) else None)

    @property
    def runtime(self) -> lambda_.Runtime:
        """Return the runtime. Raises UsageError for a version that Lambda does not have."""
        return runtime_of("context python", self.python)


def listed(text: str) -> list[str]:
    """Return the parts of a text that has commas between them."""
    return [each.strip() for each in text.split(",") if each.strip()]


def settings_of(node: Node) -> Settings:
    """Return the settings of the app's context. Raises UsageError for a value that a setting cannot have."""
    kinds = {field.name: str(field.type) for field in fields(Settings)}
    given = {name: node.try_get_context(name) for name in kinds}
    return Settings(**{name: _value(name, kinds[name], value) for name, value in given.items() if value is not None})


def _value(name: str, kind: str, found: Any) -> Any:
    if kind == "bool":
        return found if isinstance(found, bool) else WORDS[_one_of(name, str(found).lower(), list(WORDS))]
    if kind == "int":
        try:
            return int(found)
        except (TypeError, ValueError):
            raise UsageError(f"context {name}: expected a whole number, found {found!r}") from None
    return str(found)


def _one_of(name: str, found: str, expected: list[str]) -> str:
    if found not in expected:
        raise UsageError(f"context {name}: expected {' or '.join(expected)}, found {found!r}")
    return found


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
    except (UsageError, RuntimeError) as error:  # the latter is what CDK's own checks raise
        sys.exit(_said(str(error)))
    app.synth()


def _said(sentence: str) -> int:
    sys.stderr.write(f"thumbsmith: {' '.join(sentence.split())}\n")
    return 2


if __name__ == "__main__":
    main()
