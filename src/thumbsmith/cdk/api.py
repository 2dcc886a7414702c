"""The construct: an API before the thumbnails, into which nobody gets by default."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, cast

from aws_cdk import Duration, RemovalPolicy, Tags
from aws_cdk import aws_apigatewayv2 as gateway
from aws_cdk import aws_apigatewayv2_integrations as integrations
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3
from constructs import Construct, IConstruct

from thumbsmith.cdk import function as functions
from thumbsmith.cdk import packaging, permissions
from thumbsmith.cdk.acknowledgements import PUBLIC, acknowledge
from thumbsmith.cdk.function import LoggedFunction
from thumbsmith.cdk.generator import ThumbnailGenerator
from thumbsmith.errors import RecipeError

HANDLER: Final = "thumbsmith.aws.api.handler"

# An HTTP API waits for 30 seconds at most; the function waits for thumbnails for 25.
# https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html
TIMEOUT: Final = Duration.seconds(29)

# All that there is: any other path or method is refused before the function is asked.
RENDITIONS: Final = "/renditions/{key+}"
ROUTES: Final = (
    ("/uploads", ("POST",)),
    ("/images", ("GET",)),
    ("/images/{key+}", ("GET", "DELETE")),
    (RENDITIONS, ("GET", "HEAD")),
    ("/recipe", ("GET",)),
    ("/recipe/check", ("POST",)),
    ("/openapi.json", ("GET",)),
    ("/health", ("GET",)),
)

# https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-logging-variables.html
LOGGED: Final = (
    "requestId",
    "requestTime",
    "routeKey",
    "status",
    "responseLength",
    "integrationLatency",
    "error.message",
)

_ORIGIN: Final = re.compile(r"https?://[^/*\s]+")


class ThumbnailApi(Construct):
    """HTTP API -> function -> both buckets of a generator; every part of it is an attribute.

    `api`, `url`, `function`, `role`, `log_group`, `access_log_group`.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        thumbnails: ThumbnailGenerator,
        authorizer: gateway.IHttpRouteAuthorizer,
        public_renditions: bool = False,
        allow_origins: Sequence[str] = (),
        memory_size: int = 1024,
        throttle: gateway.ThrottleSettings | None = None,
        function_props: Mapping[str, Any] | None = None,
    ) -> None:
        """Make all parts, for the source, destination and recipe of `thumbnails`, on the same kind of machine.

        `authorizer` decides who gets in: CDK's HttpIamAuthorizer or HttpJwtAuthorizer, or one of one's own. With
        `public_renditions` everybody may look at thumbnails, and at nothing else. `allow_origins` are web pages that
        may ask and upload (CORS), as https://example.com; the source's rules for that are added where the app makes it.
        `memory_size` is in MB. `throttle` bounds requests a second. `function_props` are props of `aws_lambda.Function`
        that win over all that is set here.

        Raises RecipeError, one sentence, for an origin that is none.
        """
        super().__init__(scope, id)
        self.origins = [_origin(each) for each in allow_origins]
        made = self._function(thumbnails, memory_size, dict(function_props or {}))
        self.function, self.role, self.log_group = made.function, made.role, made.log_group
        self.api = gateway.HttpApi(self, "Api", default_authorizer=authorizer, cors_preflight=self._cors())
        self.url = self.api.api_endpoint
        self._route(public=public_renditions)
        self.access_log_group = self._log(throttle)
        if self.origins and isinstance(thumbnails.source.bucket, s3.Bucket):
            self._let_pages_upload(thumbnails.source.bucket)
        Tags.of(self).add("thumbsmith", self.node.path)

    def grant_invoke(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let somebody in whom an IAM authorizer asks for; return the grant."""
        arn = self.api.arn_for_execute_api()
        return iam.Grant.add_to_principal(grantee=grantee, actions=["execute-api:Invoke"], resource_arns=[arn])

    def _function(self, thumbnails: ThumbnailGenerator, memory_size: int, props: dict[str, Any]) -> LoggedFunction:
        machine = replace(thumbnails.machine, memory_size=memory_size, timeout=TIMEOUT)
        variables, files = functions.recipe_setting(thumbnails.recipe)
        props["code"] = props.get("code") or functions.code(self, machine, files, packaging.API)
        origins = {"THUMBSMITH_ORIGINS": ",".join(self.origins)} if self.origins else {}
        source, destination = thumbnails.source, thumbnails.destination
        return LoggedFunction(
            self,
            machine=machine,
            handler=HANDLER,
            environment=thumbnails.places | variables | origins,
            statements=[*permissions.read_source(source), *permissions.answer(source, destination)],
            props=props,
        )

    def _route(self, *, public: bool) -> None:
        """Make the routes. They have the authorizer, but for those that are said to be public."""
        answering = integrations.HttpLambdaIntegration(
            "Function",
            self.function,
            payload_format_version=gateway.PayloadFormatVersion.VERSION_2_0,
            scope_permission_to_route=False,
        )
        for path, methods in ROUTES:
            opened = gateway.HttpNoneAuthorizer() if public and path == RENDITIONS else None
            routes = self.api.add_routes(
                path=path,
                methods=[gateway.HttpMethod[each] for each in methods],
                integration=answering,
                authorizer=opened,  # None: the API's own
            )
            if opened:
                for route in routes:
                    acknowledge(route, {"APIG4": PUBLIC})

    def _cors(self) -> gateway.CorsPreflightOptions | None:
        if not self.origins:
            return None
        return gateway.CorsPreflightOptions(
            allow_origins=self.origins,
            allow_methods=[gateway.CorsHttpMethod[each] for each in ("GET", "HEAD", "POST", "DELETE")],
            allow_headers=[
                "authorization",
                "content-type",
                "if-none-match",
                "range",
                "x-amz-date",
                "x-amz-security-token",
            ],
            expose_headers=["etag", "location", "content-range", "retry-after"],
            max_age=Duration.minutes(10),
        )

    def _log(self, throttle: gateway.ThrottleSettings | None) -> logs.LogGroup:
        """Have each request logged, without whose it was, and bounded; return the log group."""
        group = logs.LogGroup(
            self, "AccessLogs", retention=logs.RetentionDays.ONE_MONTH, removal_policy=RemovalPolicy.DESTROY
        )
        stage = cast("gateway.CfnStage", cast("IConstruct", self.api.default_stage).node.default_child)
        stage.access_log_settings = gateway.CfnStage.AccessLogSettingsProperty(
            destination_arn=group.log_group_arn,
            format=json.dumps({name.partition(".")[0]: f"$context.{name}" for name in LOGGED}),
        )
        if throttle:
            stage.default_route_settings = gateway.CfnStage.RouteSettingsProperty(
                throttling_burst_limit=throttle.burst_limit, throttling_rate_limit=throttle.rate_limit
            )
        return group

    def _let_pages_upload(self, bucket: s3.Bucket) -> None:
        """Let pages send what they have leave to upload."""
        bucket.add_cors_rule(
            allowed_methods=[s3.HttpMethods.PUT],
            allowed_origins=self.origins,
            allowed_headers=["content-type", "if-none-match", "x-amz-expected-bucket-owner"],
            max_age=600,
        )


def _origin(text: str) -> str:
    if not _ORIGIN.fullmatch(text):
        raise RecipeError(f"allow_origins: expected origins as https://example.com, found {text!r}")
    return text.lower()
