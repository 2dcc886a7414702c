"""The ready app: one stack with a generator and all optional parts. docs/aws.md lists its settings.

Settings come from CDK context: `-c NAME=VALUE`, or "context" in cdk.json. Deploy with `thumbsmith aws deploy`, or with
`cdk deploy` in the folder of the project.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Final, Protocol

from aws_cdk import App, CfnOutput, CliCredentialsStackSynthesizer, IStackSynthesizer, RemovalPolicy, Stack
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
from thumbsmith.cdk.notifications import Trigger, expire_handler_logs
from thumbsmith.cdk.parts import ACCESS_LOGS, acknowledge, bucket
from thumbsmith.errors import UsageError
from thumbsmith.recipe.recipe import RECIPE_FILE

KMS_KEY_ARN: Final = re.compile(r"arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+")
BOOLEANS: Final = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}


# Settings of the generator that have another name than its prop.
GENERATOR_PROPS: Final = {"memory": "memory_size"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings of the app. None selects the default of the construct's prop.

    The app creates the buckets that are not named. If `keep` is true, they stay when the stack is deleted. With
    `leave_nothing`, they are deleted with all objects in them.
    """

    stack: str = "Thumbsmith"
    source: str | None = None
    source_key: str | None = None
    source_prefix: str = ""
    source_requester_pays: bool = False
    destination: str | None = None
    destination_key: str | None = None
    destination_prefix: str = ""
    recipe: str | None = None
    trigger: str | None = None
    python: str | None = None
    architecture: str | None = None
    memory: int | None = None
    timeout: int | None = None
    batch_size: int | None = None
    batching_window: int | None = None
    max_concurrency: int | None = None
    max_receive_count: int | None = None
    backfill: bool = False
    backfill_max_concurrency: int | None = None
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
    extras: str = ""
    delivery: bool = False
    keep: bool = True
    leave_nothing: bool = False
    cli_credentials: bool = False

    def __post_init__(self) -> None:
        """Raise UsageError for a value that a setting cannot have, and for settings that need each other."""
        if self.trigger is not None:
            _require_one_of("trigger", self.trigger, [each.value for each in Trigger])
        if self.architecture is not None:
            _require_one_of("architecture", self.architecture, list(ARCHITECTURES))
        _require_one_of("api", self.api, ["off", "iam", "jwt"])
        if self.api == "jwt" and not (self.jwt_issuer and self.jwt_audience):
            raise UsageError("context api: jwt: expected jwt_issuer and jwt_audience with it")
        if self.scopes and self.api != "jwt":
            raise UsageError("context read_scopes, upload_scopes, delete_scopes: expected api=jwt with them")
        for name, key in (("source_key", self.source_key), ("destination_key", self.destination_key)):
            if key is not None and not KMS_KEY_ARN.fullmatch(key):
                raise UsageError(
                    f"context {name}: expected the ARN of a KMS key, as"
                    f" arn:aws:kms:eu-central-1:123456789012:key/..., found {key!r}"
                )

    @property
    def scopes(self) -> dict[str, list[str]]:
        """Return the scopes of tokens, by group of routes."""
        texts = {"read": self.read_scopes, "upload": self.upload_scopes, "delete": self.delete_scopes}
        return {group: listed(text) for group, text in texts.items() if listed(text)}

    @property
    def authorizer(self) -> IHttpRouteAuthorizer | None:
        """Return the authorizer of the API; None without an API."""
        if self.api == "jwt":
            return HttpJwtAuthorizer("Jwt", self.jwt_issuer or "", jwt_audience=listed(self.jwt_audience or ""))
        return HttpIamAuthorizer() if self.api == "iam" else None

    @property
    def recipe_file(self) -> str | None:
        """Return the recipe of the setting, else ./thumbsmith.toml if it exists, else None for the default recipe."""
        return self.recipe or (RECIPE_FILE if os.path.lexists(RECIPE_FILE) else None)

    @property
    def runtime(self) -> lambda_.Runtime | None:
        """Return the runtime; None for the default. Raises UsageError for a version that Lambda does not have."""
        return None if self.python is None else runtime_of("context python", self.python)

    @property
    def generator_props(self) -> dict[str, Any]:
        """Return the props of the generator that are plain settings; without those that have their default."""
        names = (
            "source_prefix",
            "source_requester_pays",
            "destination_prefix",
            "architecture",
            "memory",
            "timeout",
            "batch_size",
            "batching_window",
            "max_concurrency",
            "max_receive_count",
            "backfill_max_concurrency",
            "batch",
            "trigger",
            "tracing",
            "catalogue",
            "announce",
            "announce_email",
            "alarms",
            "alarm_email",
            "dashboard",
        )
        props = {GENERATOR_PROPS.get(name, name): getattr(self, name) for name in names}
        props["extras"] = listed(self.extras) or None
        return {name: value for name, value in props.items() if value is not None}


def listed(text: str) -> list[str]:
    """Return the parts of a comma-separated text."""
    return [each.strip() for each in text.split(",") if each.strip()]


def settings_of(node: Node) -> Settings:
    """Return the settings in the context of the app. Raises UsageError for a value that a setting cannot have."""
    kinds = {field.name: str(field.type).removesuffix(" | None") for field in fields(Settings)}
    given = {name: node.try_get_context(name) for name in kinds}
    return Settings(**{name: _value(name, kinds[name], value) for name, value in given.items() if value is not None})


def _value(name: str, kind: str, found: Any) -> Any:
    if kind == "bool":
        return found if isinstance(found, bool) else BOOLEANS[_require_one_of(name, str(found).lower(), list(BOOLEANS))]
    if kind == "int":
        try:
            return int(found)
        except (TypeError, ValueError):
            raise UsageError(f"context {name}: expected a whole number, found {found!r}") from None
    return str(found)


def _require_one_of(name: str, found: str, expected: list[str]) -> str:
    if found not in expected:
        raise UsageError(f"context {name}: expected {' or '.join(expected)}, found {found!r}")
    return found


class CodeParameters(Protocol):
    """The code of functions in a bucket that parameters of the stack name: `cdk/plain.py`."""

    def function_props(self, stack: Stack) -> dict[str, Any]:
        """Return the props with the code of the function that makes thumbnails."""
        ...

    def api_props(self, stack: Stack) -> dict[str, Any] | None:
        """Return the props with the code of the API; None without an API."""
        ...


class ThumbsmithStack(Stack):
    """One generator with its optional parts. Its outputs name the parts."""

    def __init__(
        self,
        scope: Construct,
        settings: Settings,
        *,
        function_props: Mapping[str, Any] | None = None,
        api_props: Mapping[str, Any] | None = None,
        code: CodeParameters | None = None,
        synthesizer: IStackSynthesizer | None = None,
    ) -> None:
        """Create the parts that the settings select. `function_props` and `api_props` are props of the functions.

        With `code`, their code is in a bucket that parameters name.
        """
        if settings.cli_credentials:
            synthesizer = CliCredentialsStackSynthesizer()
        super().__init__(scope, settings.stack, synthesizer=synthesizer)
        if code:
            function_props, api_props = code.function_props(self), code.api_props(self)
        removal = RemovalPolicy.RETAIN if settings.keep and not settings.leave_nothing else RemovalPolicy.DESTROY
        source = self._bucket("Source", settings, settings.source, settings.source_key, removal)
        destination = self._bucket("Destination", settings, settings.destination, settings.destination_key, removal)
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
            recipe=settings.recipe_file,
            runtime=settings.runtime,
            backfill=settings.backfill or settings.audit_repair,
            removal_policy=removal,
            leave_nothing=settings.leave_nothing,
            vpc=network.vpc if network else None,
            function_props=function_props,
            **settings.generator_props,
        )
        self.api = self._api(settings, api_props)
        self.delivery = self._delivery(listed(settings.allow_origins)) if settings.delivery else None
        if settings.audit or settings.audit_repair:
            ThumbnailAudit(self, "Audit", generator=self.generator, repair=settings.audit_repair)
        acknowledge(self, {"S1": ACCESS_LOGS})
        expire_handler_logs(self)
        self._add_outputs()

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
        """Return the delivery for pages of these origins; without origins, for all pages."""
        return ThumbnailDelivery(self, "Delivery", thumbnails=self.generator, allow_origins=origins or ["*"])

    def _bucket(
        self, id: str, settings: Settings, name: str | None, key: str | None, removal: RemovalPolicy
    ) -> s3.IBucket:
        """Return the existing bucket of that name, or a new one; with its KMS key, if given."""
        encryption = kms.Key.from_key_arn(self, f"{id}Key", key) if key else None
        if name:
            return s3.Bucket.from_bucket_attributes(self, id, bucket_name=name, encryption_key=encryption)
        return bucket(self, id, removal_policy=removal, key=encryption, emptied=settings.leave_nothing)

    def _add_outputs(self) -> None:
        generator = self.generator
        outputs = {
            "SourceBucket": generator.source.bucket.bucket_name,
            "SourcePrefix": generator.source.prefix,
            "DestinationBucket": generator.destination.bucket.bucket_name,
            "DestinationPrefix": generator.destination.prefix,
            "Function": generator.function.function_name,
            "Queue": generator.queue.queue_url,
            "DeadLetters": generator.dead_letters.queue_url,
        }
        if generator.backfill:
            outputs["Backfill"] = generator.backfill.queue.queue_url
            outputs["BackfillDeadLetters"] = generator.backfill.dead_letters.queue_url
        if generator.jobs:
            outputs["FunctionArn"] = generator.function.function_arn
            outputs["BatchRole"] = generator.jobs.role.role_arn
            outputs["BatchBucket"] = generator.jobs.bucket.bucket_name
        if generator.catalogue:
            outputs["Catalogue"] = generator.catalogue.table.table_name
        if self.api:
            outputs |= {"ApiUrl": self.api.url, "ApiFunction": self.api.function.function_name}
        if self.delivery:
            outputs["DeliveryUrl"] = self.delivery.url
        for name, value in outputs.items():
            if value:
                CfnOutput(self, name, value=value)


def main() -> None:
    """Synthesize the app. An invalid setting or recipe gives one sentence and exit code 2."""
    app = App()
    try:
        ThumbsmithStack(app, settings_of(app.node))
    except (UsageError, RuntimeError) as error:  # CDK's own checks raise RuntimeError
        sys.stderr.write(f"thumbsmith: {' '.join(str(error).split())}\n")
        sys.exit(2)
    app.synth()


if __name__ == "__main__":
    main()
