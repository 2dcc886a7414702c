"""The settings of the ready app. They come from CDK context: `-c NAME=VALUE`, or "context" in cdk.json."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, fields
from typing import Any, Final

from aws_cdk import aws_lambda as lambda_
from aws_cdk.aws_apigatewayv2 import IHttpRouteAuthorizer
from aws_cdk.aws_apigatewayv2_authorizers import HttpIamAuthorizer, HttpJwtAuthorizer
from constructs import Node

from thumbsmith.cdk.machine import ARCHITECTURES, runtime_of
from thumbsmith.cdk.notifications import Trigger
from thumbsmith.errors import RecipeError

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
        """Raise RecipeError for a value that is none of those expected."""
        _one_of("trigger", self.trigger, [each.value for each in Trigger])
        _one_of("architecture", self.architecture, list(ARCHITECTURES))
        _one_of("api", self.api, ["off", "iam", "jwt"])
        if self.api == "jwt" and not (self.jwt_issuer and self.jwt_audience):
            raise RecipeError("context api: jwt: expected jwt_issuer and jwt_audience with it")
        if self.scopes and self.api != "jwt":
            raise RecipeError("context read_scopes, upload_scopes, delete_scopes: expected api=jwt with them")
        for name, key in (("source_key", self.source_key), ("destination_key", self.destination_key)):
            if key is not None and not KEY.fullmatch(key):
                raise RecipeError(
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
        """Return the runtime. Raises RecipeError for a version that Lambda does not have."""
        return runtime_of("context python", self.python)


def listed(text: str) -> list[str]:
    """Return the parts of a text that has commas between them."""
    return [each.strip() for each in text.split(",") if each.strip()]


def settings_of(node: Node) -> Settings:
    """Return the settings of the app's context. Raises RecipeError for a value that a setting cannot have."""
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
            raise RecipeError(f"context {name}: expected a whole number, found {found!r}") from None
    return str(found)


def _one_of(name: str, found: str, expected: list[str]) -> str:
    if found not in expected:
        raise RecipeError(f"context {name}: expected {' or '.join(expected)}, found {found!r}")
    return found
