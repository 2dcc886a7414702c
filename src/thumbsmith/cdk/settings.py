"""What the ready app is told by CDK context: `-c NAME=VALUE`, or "context" in cdk.json."""

from __future__ import annotations

import os
from dataclasses import dataclass, fields
from typing import Any, Final

from aws_cdk import aws_lambda as lambda_
from aws_cdk.aws_apigatewayv2 import IHttpRouteAuthorizer
from aws_cdk.aws_apigatewayv2_authorizers import HttpIamAuthorizer, HttpJwtAuthorizer
from constructs import Node

from thumbsmith.cdk.notifications import Trigger
from thumbsmith.errors import RecipeError

RECIPE_FILE: Final = "thumbsmith.toml"

ARCHITECTURES: Final = {"arm64": lambda_.Architecture.ARM_64, "x86_64": lambda_.Architecture.X86_64}
WORDS: Final = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All that can be told. Buckets that are not named are made, and stay when the stack goes if `keep` is true."""

    stack: str = "Thumbsmith"
    source: str | None = None
    source_prefix: str = ""
    destination: str | None = None
    destination_prefix: str = ""
    recipe: str | None = None
    trigger: str = "s3"
    python: str = "3.13"
    architecture: str = "arm64"
    memory: int = 1769
    timeout: int = 60
    batch_size: int = 10
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
    public_renditions: bool = False
    allow_origins: str = ""
    delivery: bool = False
    keep: bool = True
    cli_credentials: bool = False

    def __post_init__(self) -> None:
        """Raise RecipeError for a word that is none of those expected."""
        _one_of("trigger", self.trigger, [each.value for each in Trigger])
        _one_of("architecture", self.architecture, list(ARCHITECTURES))
        _one_of("api", self.api, ["off", "iam", "jwt"])
        if self.api == "jwt" and not (self.jwt_issuer and self.jwt_audience):
            raise RecipeError("context api: jwt: expected jwt_issuer and jwt_audience with it")

    @property
    def authorizer(self) -> IHttpRouteAuthorizer | None:
        """Return who decides who gets into the API; None where there is none."""
        if self.api == "jwt":
            audience = (self.jwt_audience or "").split(",")
            return HttpJwtAuthorizer("Jwt", self.jwt_issuer or "", jwt_audience=audience)
        return HttpIamAuthorizer() if self.api == "iam" else None

    @property
    def recipe_file(self) -> str | None:
        """Return the recipe that was named, else ./thumbsmith.toml where there is one, else None for the default."""
        return self.recipe or (RECIPE_FILE if os.path.lexists(RECIPE_FILE) else None)

    @property
    def runtime(self) -> lambda_.Runtime:
        """Return the runtime. Raises RecipeError for a version that Lambda does not have."""
        runtime = getattr(lambda_.Runtime, f"PYTHON_{self.python.replace('.', '_')}", None)
        if not isinstance(runtime, lambda_.Runtime):
            raise RecipeError(f"context python: expected a version that Lambda runs, as 3.13, found {self.python!r}")
        return runtime


def settings_of(node: Node) -> Settings:
    """Return what the app's context says. Raises RecipeError for a value that a setting cannot have."""
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
