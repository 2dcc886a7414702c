"""The template of ThumbnailApi."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from aws_cdk import Stack
from aws_cdk import aws_apigatewayv2 as gateway
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from aws_cdk.assertions import Template
from aws_cdk.aws_apigatewayv2_authorizers import HttpIamAuthorizer, HttpJwtAuthorizer

from tests.cdk.conftest import inline
from tests.cdk.test_construct import resources, statements
from thumbsmith import Recipe
from thumbsmith.aws import api as function
from thumbsmith.cdk import ThumbnailApi, ThumbnailGenerator
from thumbsmith.cdk.api import GROUPS, ROUTES, TIMEOUT
from thumbsmith.errors import UsageError
from thumbsmith.store.memory import MemoryStore
from thumbsmith.web.app_on_aws import app_on_aws
from thumbsmith.web.settings import WebSettings

Render = Callable[[], Template]
Make = Callable[..., ThumbnailApi]


@pytest.fixture
def make(stack: Stack, generate: Callable[..., ThumbnailGenerator]) -> Make:
    """Return a function that creates an API for a generator, without a build."""

    def made(thumbnails: dict[str, Any] | None = None, **props: Any) -> ThumbnailApi:
        given = {"authorizer": HttpIamAuthorizer(), "function_props": {"code": inline()}} | props
        return ThumbnailApi(stack, "Api", thumbnails=generate(**(thumbnails or {})), **given)

    return made


def routes(template: Template) -> dict[str, str]:
    """Return how each route is authorized, by method and path."""
    return {each["RouteKey"]: each["AuthorizationType"] for each in resources(template, "AWS::ApiGatewayV2::Route")}


def test_nobody_gets_in_without_an_authorizer(stack: Stack, generate: Callable[..., ThumbnailGenerator]):
    """An API needs an authorizer."""
    with pytest.raises(TypeError, match="authorizer"):
        ThumbnailApi(stack, "Api", thumbnails=generate())


def test_every_route_asks_who_it_is(make: Make, template: Render):
    """Each method of each path has the authorizer, and there is no default route."""
    make()
    found = routes(template())
    assert set(found.values()) == {"AWS_IAM"}
    assert set(found) == {f"{method} {path}" for path, methods in ROUTES for method in methods}


def test_tokens_will_do(make: Make, template: Render):
    """With a JWT authorizer, each route needs a token of that issuer and audience."""
    make(authorizer=HttpJwtAuthorizer("Jwt", "https://issuer.example", jwt_audience=["thumbs"]))
    assert set(routes(template()).values()) == {"JWT"}
    (authorizer,) = resources(template(), "AWS::ApiGatewayV2::Authorizer")
    assert authorizer["JwtConfiguration"] == {"Audience": ["thumbs"], "Issuer": "https://issuer.example"}


def test_only_thumbnails_can_be_made_public(make: Make, template: Render):
    """With public_renditions everyone may read renditions, and nothing else."""
    make(public_renditions=True)
    opened = {route for route, kind in routes(template()).items() if kind == "NONE"}
    assert opened == {"GET /renditions/{key+}", "HEAD /renditions/{key+}"}


def test_the_routes_are_the_applications():
    """The gateway has exactly the routes of the application."""
    app = app_on_aws(MemoryStore("a"), MemoryStore("b"), Recipe.default(), WebSettings())
    while not hasattr(app, "routes"):  # middleware
        app = app.app
    known = {
        (route.path.replace("{key:key}", "{key+}"), method)
        for route in app.routes
        for method in route.methods
        if method != "HEAD" or "renditions" in route.path
    }
    assert {(path, method) for path, methods in ROUTES for method in methods} == known


def test_nobody_waits_longer_than_the_gateway():
    """The function waits for thumbnails for less than its timeout, which is less than the gateway's 30 seconds."""
    assert function.MAX_WAIT_SECONDS + 3 <= TIMEOUT.to_seconds() < 30


def test_the_role_may_do_this_and_nothing_else(make: Make, template: Render):
    """Each statement names its resources. The role writes and deletes sources, and only reads thumbnails."""
    make({"source_prefix": "in/", "destination_prefix": "out/"})
    found = statements(template(), "ApiRole")
    assert {sid: each["Action"] for sid, each in found.items()} == {
        "ReadSource": ["s3:GetObject", "s3:GetObjectTagging"],
        "TellAbsentSource": "s3:ListBucket",
        "TakeUploads": "s3:PutObject",
        "DeleteSources": "s3:DeleteObject",
        "ReadDestination": "s3:GetObject",
        "ListDestination": "s3:ListBucket",
        "WriteLogs": ["logs:CreateLogStream", "logs:PutLogEvents"],
    }
    for sid, prefix in (("TakeUploads", "/in/*"), ("DeleteSources", "/in/*"), ("ReadDestination", "/out/*")):
        assert found[sid]["Resource"]["Fn::Join"][1][1] == prefix


def test_keys_are_used_through_s3_alone(stack: Stack, make: Make, template: Render):
    """With KMS keys, the role may encrypt uploads and decrypt what it reads, through S3 only."""
    buckets = {
        name: s3.Bucket(stack, name, encryption_key=kms.Key(stack, f"{name}Key")) for name in ("source", "destination")
    }
    make(buckets)
    found = statements(template(), "ApiRole")
    used = {sid: each["Action"] for sid, each in found.items() if "crypt" in sid}
    assert used == {
        "DecryptSource": "kms:Decrypt",
        "EncryptSource": "kms:GenerateDataKey",
        "DecryptDestination": "kms:Decrypt",
    }
    assert all("kms:ViaService" in found[sid]["Condition"]["StringEquals"] for sid in used)


def test_it_goes_by_the_generators_recipe_and_places(make: Make, template: Render):
    """The function has the stores, the recipe and the machine of the generator."""
    make({"recipe": "[variants.tiny]\nwidth = 32\n", "source_prefix": "in/"})
    one, other = (
        resources(template(), "AWS::Lambda::Function", name)[0] for name in ("ApiFunction", "ThumbnailsConverge")
    )
    assert one["Environment"] == other["Environment"]
    assert (one["Runtime"], one["Architectures"]) == (other["Runtime"], other["Architectures"])
    assert (one["Handler"], one["Timeout"]) == ("thumbsmith.aws.api.handler", 29)


def test_pages_of_other_origins_are_named(stack: Stack, make: Make, template: Render):
    """With origins, the gateway, the function and the source bucket have them; without, none does."""
    make(allow_origins=["https://Shop.example"])
    (api,) = resources(template(), "AWS::ApiGatewayV2::Api")
    assert api["CorsConfiguration"]["AllowOrigins"] == ["https://shop.example"]
    (running,) = resources(template(), "AWS::Lambda::Function", "ApiFunction")
    assert running["Environment"]["Variables"]["THUMBSMITH_ORIGINS"] == "https://shop.example"
    (bucket,) = resources(template(), "AWS::S3::Bucket", "Source")
    (rule,) = bucket["CorsConfiguration"]["CorsRules"]
    assert (rule["AllowedMethods"], rule["AllowedOrigins"]) == (["PUT"], ["https://shop.example"])
    assert "if-none-match" in rule["AllowedHeaders"]


def test_by_default_no_page_may_ask(make: Make, template: Render):
    """Without origins there are no CORS rules."""
    make()
    assert "CorsConfiguration" not in resources(template(), "AWS::ApiGatewayV2::Api")[0]
    assert "CorsConfiguration" not in resources(template(), "AWS::S3::Bucket", "Source")[0]


@pytest.mark.parametrize("origin", ["*", "https://*", "shop.example", "https://shop.example/", "javascript:x"])
def test_what_is_no_origin_is_refused(make: Make, origin: str):
    """A wildcard, a path or a name without scheme is refused as an origin."""
    with pytest.raises(UsageError, match="allow_origins: expected origins"):
        make(allow_origins=[origin])


def test_an_imported_bucket_is_left_as_it_is(stack: Stack, make: Make, template: Render):
    """The app does not change the CORS rules of an imported bucket."""
    make({"source": s3.Bucket.from_bucket_name(stack, "Mine", "photos")}, allow_origins=["https://shop.example"])
    template().resource_count_is("AWS::S3::Bucket", 1)


def test_requests_are_logged_and_bounded(make: Make, template: Render):
    """Each request is a JSON line without its caller, kept for a month; requests per second have the limit given."""
    make(throttle=gateway.ThrottleSettings(rate_limit=50, burst_limit=100))
    (stage,) = resources(template(), "AWS::ApiGatewayV2::Stage")
    logged = json.loads(stage["AccessLogSettings"]["Format"])
    assert "routeKey" in logged
    assert not {"ip", "path", "user"} & set(logged)
    assert stage["DefaultRouteSettings"] == {"ThrottlingRateLimit": 50, "ThrottlingBurstLimit": 100}


def test_who_may_invoke_is_granted(stack: Stack, make: Make, template: Render):
    """One call grants access to a role."""
    role = iam.Role(stack, "Caller", assumed_by=iam.ServicePrincipal("ec2.amazonaws.com"))
    make().grant_invoke(role)
    (policy,) = resources(template(), "AWS::IAM::Policy", "Caller")
    assert policy["PolicyDocument"]["Statement"][0]["Action"] == "execute-api:Invoke"


SCOPES = {"read": ["thumbs/read"], "upload": ["thumbs/upload", "thumbs/admin"], "delete": ["thumbs/admin"]}


def test_each_group_of_routes_has_its_scopes(make: Make, template: Render):
    """A token needs a scope of the group of the route: read, upload or delete."""
    jwt = HttpJwtAuthorizer("Jwt", "https://issuer.example", jwt_audience=["thumbs"])
    make(authorizer=jwt, scopes=SCOPES, public_renditions=True)
    found = {
        each["RouteKey"]: each.get("AuthorizationScopes") for each in resources(template(), "AWS::ApiGatewayV2::Route")
    }
    assert found.pop("POST /uploads") == SCOPES["upload"]
    assert found.pop("DELETE /images/{key+}") == SCOPES["delete"]
    for public in ("GET /renditions/{key+}", "HEAD /renditions/{key+}"):
        assert found.pop(public) is None
    assert len(found) == 6
    assert all(scopes == SCOPES["read"] for scopes in found.values())


@pytest.mark.parametrize(
    ("grant", "expected"),
    [
        ("grant_upload", {"POST/uploads"}),
        ("grant_delete", {"DELETE/images/*"}),
        (
            "grant_read",
            {
                "GET/images",
                "GET/images/*",
                "GET/renditions/*",
                "HEAD/renditions/*",
                "GET/recipe",
                "POST/recipe/check",
                "GET/openapi.json",
                "GET/health",
            },
        ),
    ],
)
def test_a_grant_is_for_its_routes_alone(stack: Stack, make: Make, template: Render, grant: str, expected: set[str]):
    """Reads, uploads and deletions are granted separately, by methods and paths."""
    getattr(make(), grant)(iam.Role(stack, "Caller", assumed_by=iam.ServicePrincipal("ec2.amazonaws.com")))
    (policy,) = resources(template(), "AWS::IAM::Policy", "Caller")
    (statement,) = policy["PolicyDocument"]["Statement"]
    assert statement["Action"] == "execute-api:Invoke"
    listed = statement["Resource"] if isinstance(statement["Resource"], list) else [statement["Resource"]]
    assert {each["Fn::Join"][1][-1].removeprefix("/*/") for each in listed} == expected


def test_every_route_belongs_to_one_group():
    """The groups share no route, and contain all routes."""
    grouped = [(path, method) for routes in GROUPS.values() for path, methods in routes for method in methods]
    assert len(grouped) == len(set(grouped))
    assert {(path, method) for path, methods in ROUTES for method in methods} == set(grouped)


def test_further_variables_of_the_api_are_added(make: Make, template: Render):
    """`environment` in function_props is added to the variables of the API; memory_size there wins."""
    props = {"code": inline(), "environment": {"LEVEL": "debug"}, "memory_size": 2048}
    make(function_props=props, allow_origins=["https://shop.example"])
    (function,) = resources(template(), "AWS::Lambda::Function", "ApiFunction")
    assert function["MemorySize"] == 2048
    assert set(function["Environment"]["Variables"]) == {
        "LEVEL",
        "THUMBSMITH_SOURCE",
        "THUMBSMITH_DESTINATION",
        "THUMBSMITH_ORIGINS",
    }
