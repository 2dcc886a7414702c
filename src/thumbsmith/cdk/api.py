"""ThumbnailApi: an HTTP API for the sources and thumbnails of a generator. An authorizer decides who may call it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, cast

from aws_cdk import Duration, RemovalPolicy, Tags
from aws_cdk import aws_apigatewayv2 as gateway
from aws_cdk import aws_apigatewayv2_integrations as integrations
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3
from aws_cdk.aws_apigatewayv2_authorizers import HttpIamAuthorizer, HttpLambdaAuthorizer
from constructs import Construct, IConstruct

from thumbsmith.cdk import function as functions
from thumbsmith.cdk import packaging, permissions
from thumbsmith.cdk import props as checks
from thumbsmith.cdk.function import LoggedFunction
from thumbsmith.cdk.generator import ThumbnailGenerator
from thumbsmith.cdk.machine import MEMORY_MB_RANGE, overridden
from thumbsmith.cdk.monitoring import FIVE_MINUTES
from thumbsmith.cdk.parts import PUBLIC_ROUTE, acknowledge, require_manual_change
from thumbsmith.environment import Setting
from thumbsmith.errors import UsageError

HANDLER: Final = "thumbsmith.aws.api.handler"

# An HTTP API waits for at most 30 seconds. The function waits for thumbnails for 25 seconds.
# https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html
TIMEOUT: Final = Duration.seconds(29)

# All routes, by group. The gateway refuses all other paths and methods without a call of the function.
RENDITIONS: Final = "/renditions/{key+}"
READ: Final = "read"
GROUPS: Final = {
    READ: (
        ("/images", ("GET",)),
        ("/images/{key+}", ("GET",)),
        (RENDITIONS, ("GET", "HEAD")),
        ("/recipe", ("GET",)),
        ("/recipe/check", ("POST",)),
        ("/openapi.json", ("GET",)),
        ("/health", ("GET",)),
    ),
    "upload": (("/uploads", ("POST",)),),
    "delete": (("/images/{key+}", ("DELETE",)),),
}
ROUTES: Final = tuple(route for routes in GROUPS.values() for route in routes)

# The time for which a browser may cache the answer to a CORS preflight request.
CORS_SECONDS: Final = 600

# https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-logging-variables.html
LOGGED_FIELDS: Final = (
    "requestId",
    "requestTime",
    "routeKey",
    "status",
    "responseLength",
    "integrationLatency",
    "error.message",
)


class ThumbnailApi(Construct):
    """HTTP API -> function -> both buckets of a generator.

    Props:

    - `thumbnails`: the ThumbnailGenerator whose source, destination, recipe and machine the API uses.
    - `authorizer`: decides who may call: CDK's HttpIamAuthorizer, HttpJwtAuthorizer or HttpUserPoolAuthorizer, or your
      Lambda authorizer. HttpNoneAuthorizer opens the API to everyone.
    - `scopes`: for tokens, the scopes for each group of routes: {"read": [...], "upload": [...], "delete": [...]}. One
      scope of a group is enough. Without `scopes`, a valid token may call all routes.
    - `public_renditions`: let everyone read thumbnails, and nothing else. Default False.
    - `allow_origins`: origins of web pages that may call and upload (CORS), such as "https://example.com". Default:
      none. The source bucket gets its CORS rule if the app creates it. For an imported bucket there is a warning, and
      an output with the rule to add.
    - `memory_size`: MB of memory (1024).
    - `throttle`: limits of requests per second. Default: those of the account.
    - `function_props`: more props of `aws_lambda.Function`. They win over the props above. Their `environment` is
      added to the variables that the construct sets.

    Attributes: `api`, `url`, `function`, `role`, `log_group`, `access_log_group`.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        thumbnails: ThumbnailGenerator,
        authorizer: gateway.IHttpRouteAuthorizer,
        scopes: Mapping[str, Sequence[str]] | None = None,
        public_renditions: bool = False,
        allow_origins: Sequence[str] = (),
        memory_size: int = 1024,
        throttle: gateway.ThrottleSettings | None = None,
        function_props: Mapping[str, Any] | None = None,
    ) -> None:
        """Create all parts. Raises UsageError, one sentence, for a value that cannot work."""
        super().__init__(scope, id)
        checks.instance("thumbnails", thumbnails, ThumbnailGenerator)
        checks.flags(public_renditions=public_renditions)
        _require_authorizer(authorizer)
        self._scopes = _scopes(scopes, authorizer)
        self.origins = checks.origins("allow_origins", allow_origins)
        size = checks.integer("memory_size", memory_size, *MEMORY_MB_RANGE)
        logged = self._function(thumbnails, size, functions.checked_props(function_props))
        self.function, self.role, self.log_group = logged.function, logged.role, logged.log_group
        self.api = gateway.HttpApi(self, "Api", default_authorizer=authorizer, cors_preflight=self._cors())
        self.url = self.api.api_endpoint
        self._add_routes(public=public_renditions)
        self.access_log_group = self._configure_stage(throttle)
        if self.origins:
            self._allow_uploads(thumbnails.source.bucket)
        if thumbnails.alarms:
            failures = self.api.metric_server_error(period=FIVE_MINUTES, statistic="Sum")
            thumbnails.alarms.add(self, "ApiErrors", failures, 0, "The API answers 5xx.", periods=3, of=2)
        Tags.of(self).add("thumbsmith", self.node.path)

    def grant_invoke(self, grantee: iam.IGrantable) -> iam.Grant:
        """Allow all routes, for an IAM authorizer; return the grant."""
        return self._grant(grantee, [self.api.arn_for_execute_api()])

    def grant_read(self, grantee: iam.IGrantable) -> iam.Grant:
        """Allow reads of images, thumbnails and the recipe, for an IAM authorizer; return the grant."""
        return self._grant(grantee, self._arns(READ))

    def grant_upload(self, grantee: iam.IGrantable) -> iam.Grant:
        """Allow uploads only, for an IAM authorizer; return the grant."""
        return self._grant(grantee, self._arns("upload"))

    def grant_delete(self, grantee: iam.IGrantable) -> iam.Grant:
        """Allow deletion of images only, for an IAM authorizer; return the grant."""
        return self._grant(grantee, self._arns("delete"))

    def _grant(self, grantee: iam.IGrantable, arns: Sequence[str]) -> iam.Grant:
        actions = ["execute-api:Invoke"]
        return iam.Grant.add_to_principal(grantee=grantee, actions=actions, resource_arns=list(arns))

    def _arns(self, group: str) -> list[str]:
        """Return the ARNs of the routes of a group. A key in a path becomes "*"."""
        return [
            self.api.arn_for_execute_api(method, path.replace("{key+}", "*"))
            for path, methods in GROUPS[group]
            for method in methods
        ]

    def _function(self, thumbnails: ThumbnailGenerator, memory_size: int, props: dict[str, Any]) -> LoggedFunction:
        machine = overridden(replace(thumbnails.machine, memory_size=memory_size, timeout=TIMEOUT), props)
        if machine.timeout.to_seconds() > TIMEOUT.to_seconds():
            raise UsageError("function_props: expected a timeout of at most 29 seconds, since an HTTP API waits for 30")
        variables, files = functions.recipe_setting(thumbnails.recipe)
        props["code"] = functions.code(self, machine, files, packaging.API, given=props.get("code"))
        origins = {Setting.ORIGINS: ",".join(self.origins)} if self.origins else {}
        source, destination = thumbnails.source, thumbnails.destination
        return LoggedFunction(
            self,
            machine=machine,
            handler=HANDLER,
            environment=thumbnails.places | variables | origins,
            statements=[*permissions.read_source(source), *permissions.serve_api(source, destination)],
            props=props,
        )

    def _add_routes(self, *, public: bool) -> None:
        """Add the routes with the authorizer and the scopes of their group. `public` opens the routes of thumbnails."""
        integration = integrations.HttpLambdaIntegration(
            "Function",
            self.function,
            payload_format_version=gateway.PayloadFormatVersion.VERSION_2_0,
            scope_permission_to_route=False,
        )
        for group, path, methods in ((group, *route) for group, routes in GROUPS.items() for route in routes):
            no_authorizer = gateway.HttpNoneAuthorizer() if public and path == RENDITIONS else None
            routes = self.api.add_routes(
                path=path,
                methods=[gateway.HttpMethod[each] for each in methods],
                integration=integration,
                authorizer=no_authorizer,  # None selects the one of the API
                authorization_scopes=None if no_authorizer else self._scopes.get(group),
            )
            if no_authorizer:
                for route in routes:
                    acknowledge(route, {"APIG4": PUBLIC_ROUTE})

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
            max_age=Duration.seconds(CORS_SECONDS),
        )

    def _configure_stage(self, throttle: gateway.ThrottleSettings | None) -> logs.LogGroup:
        """Log each request without its caller, and limit requests per second; return the log group."""
        checks.resource("throttle", throttle or gateway.ThrottleSettings(), "burst_limit", "gateway.ThrottleSettings")
        group = logs.LogGroup(
            self, "AccessLogs", retention=logs.RetentionDays.ONE_MONTH, removal_policy=RemovalPolicy.DESTROY
        )
        stage = cast("gateway.CfnStage", cast("IConstruct", self.api.default_stage).node.default_child)
        stage.access_log_settings = gateway.CfnStage.AccessLogSettingsProperty(
            destination_arn=group.log_group_arn,
            format=json.dumps({name.partition(".")[0]: f"$context.{name}" for name in LOGGED_FIELDS}),
        )
        if throttle:
            stage.default_route_settings = gateway.CfnStage.RouteSettingsProperty(
                throttling_burst_limit=throttle.burst_limit, throttling_rate_limit=throttle.rate_limit
            )
        return group

    def _allow_uploads(self, bucket: s3.IBucket) -> None:
        """Let web pages send presigned uploads to the source bucket. For an imported bucket, output the rule."""
        headers = ["content-type", "if-none-match", "x-amz-expected-bucket-owner"]
        if isinstance(bucket, s3.Bucket):
            bucket.add_cors_rule(
                allowed_methods=[s3.HttpMethods.PUT],
                allowed_origins=self.origins,
                allowed_headers=headers,
                max_age=CORS_SECONDS,
            )
            return
        rule = {
            "AllowedMethods": ["PUT"],
            "AllowedOrigins": self.origins,
            "AllowedHeaders": headers,
            "MaxAgeSeconds": CORS_SECONDS,
        }
        what = "The imported source bucket must let web pages upload (CORS). Else browsers refuse all uploads."
        require_manual_change(self, "SourceCors", what, {"CORSRules": [rule]})


def _require_authorizer(authorizer: Any) -> None:
    """Raise UsageError for a value that is no authorizer. With None, the gateway would let in everyone."""
    if isinstance(authorizer, type) or not hasattr(authorizer, "bind"):
        raise UsageError(
            "authorizer: expected an authorizer, such as HttpIamAuthorizer(), or HttpNoneAuthorizer() to let in"
            f" everyone, found {authorizer!r}"
        )


def _scopes(
    found: Mapping[str, Sequence[str]] | None, authorizer: gateway.IHttpRouteAuthorizer
) -> dict[str, list[str]]:
    """Return the scopes by group. Raises UsageError for an unknown group, and for an authorizer without scopes."""
    given = checks.by_name("scopes", found)
    without_tokens = HttpIamAuthorizer | HttpLambdaAuthorizer | gateway.HttpNoneAuthorizer
    if given and isinstance(authorizer, without_tokens):
        raise UsageError("scopes: expected an authorizer of tokens, such as HttpJwtAuthorizer")
    for group in given:
        if group not in GROUPS:
            raise UsageError(f"scopes: expected {', '.join(GROUPS)}, found {group!r}")
    checked = {group: checks.texts(f"scopes: {group}", each, f"thumbs/{group}") for group, each in given.items()}
    if given and (missing := [group for group in GROUPS if not checked.get(group)]):
        raise UsageError(f"scopes: expected one for each group of routes, found none for {', '.join(missing)}")
    return checked
