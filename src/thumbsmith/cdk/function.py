"""The function that converges, with its role, its logs, and the queue it is fed from."""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final

from aws_cdk import RemovalPolicy, Stack, Token
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct

from thumbsmith.cdk import packaging, permissions
from thumbsmith.cdk import props as checks
from thumbsmith.cdk.machine import Machine, python_of
from thumbsmith.cdk.parts import RUNTIME, EventQueue, acknowledge, acknowledge_wildcards
from thumbsmith.errors import RecipeError, UsageError
from thumbsmith.recipe import Recipe

# All variables of a function together hold 4 KB: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
RECIPE_BYTES: Final = 2048

RECIPE_FILE: Final = "thumbsmith.toml"

# Variables that tell a function its work: a second value for one of them would lead it elsewhere.
OWN_VARIABLES: Final = frozenset(
    f"THUMBSMITH_{each}"
    for each in ("SOURCE", "DESTINATION", "RECIPE", "ORIGINS", "BACKFILL", "CATALOGUE", "LARGE", "QUEUE")
)

# Props of aws_lambda.Function that other parts depend on, and what to use in their place.
REFUSED: Final = {
    "role": "the construct makes a role with the least permissions; add to its attribute role",
    "log_retention": "the construct has a prop log_retention",
    "log_retention_role": "the construct has a prop log_retention",
    "log_removal_policy": "give a log_group of your own",
}


class LoggedFunction:
    """`function`, its `role` and its `log_group`, made in a construct that is theirs alone."""

    def __init__(
        self,
        scope: Construct,
        *,
        machine: Machine,
        handler: str,
        environment: Mapping[str, str],
        statements: Sequence[iam.PolicyStatement],
        props: Mapping[str, Any],
    ) -> None:
        self.log_group = props.get("log_group") or logs.LogGroup(
            scope, "Logs", retention=machine.log_retention, removal_policy=RemovalPolicy.DESTROY
        )
        allowed = [*statements, *permissions.run(self.log_group, in_vpc=machine.vpc is not None)]
        self.role = permissions.role(scope, "Role", allowed)
        given: dict[str, Any] = {
            "runtime": machine.runtime,
            "architecture": machine.architecture,
            "memory_size": machine.memory_size,
            "timeout": machine.timeout,
            "tracing": machine.tracing,
            "log_group": self.log_group,
            "role": self.role,
            "handler": handler,
            **_network(machine.vpc),
        }
        further = {**props, "environment": {**environment, **props.get("environment", {})}}
        self.function: lambda_.Function = checks.built(
            lambda_.Function, scope, "Function", given, "function_props", further
        )
        if machine.vpc is not None:
            leave = iam.Policy(scope, "LeaveNetwork", statements=[permissions.leave_network(self.function)])
            self.role.attach_inline_policy(leave)
        acknowledge(scope, {"L1": RUNTIME})
        acknowledge_wildcards(self.role, allowed)


class QueueFunction(Construct):
    """A function fed from a queue: `queue`, `dead_letters`, `function`, `role`, `log_group`, `event_source`.

    With `backfill`, the number of functions at once that it may take, there is a second queue for what can wait:
    `backfill` and `backfill_source`, else None.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        machine: Machine,
        handler: str,
        environment: Mapping[str, str],
        statements: Sequence[iam.PolicyStatement],
        props: Mapping[str, Any],
        backfill: int | None = None,
    ) -> None:
        super().__init__(scope, id)
        events = self._events("Queue", machine)
        self.backfill = self._events("Backfill", machine) if backfill else None
        self.queue, self.dead_letters = events.queue, events.dead_letters
        receiving = [permissions.receive("ReceiveEvents", self.queue)]
        if self.backfill:
            receiving.append(permissions.receive("ReceiveBackfill", self.backfill.queue))
        made = LoggedFunction(
            self,
            machine=machine,
            handler=handler,
            environment=environment,
            statements=[*statements, *receiving],
            props=props,
        )
        self.function, self.role, self.log_group = made.function, made.role, made.log_group
        self.event_source = self._feed("EventSource", events, machine, machine.max_concurrency)
        self.backfill_source = (
            self._feed("BackfillSource", self.backfill, machine, backfill) if self.backfill and backfill else None
        )

    def _events(self, id: str, machine: Machine) -> EventQueue:
        return EventQueue(
            self,
            id,
            function_timeout=machine.timeout,
            batching_window=machine.batching_window,
            max_receive_count=machine.max_receive_count,
        )

    def _feed(self, id: str, events: EventQueue, machine: Machine, at_once: int) -> lambda_.EventSourceMapping:
        return self.function.add_event_source_mapping(
            id,
            event_source_arn=events.queue.queue_arn,
            batch_size=machine.batch_size,
            max_batching_window=machine.batching_window if machine.batching_window.to_seconds() else None,
            max_concurrency=at_once,
            report_batch_item_failures=True,
        )


def checked_props(found: Any, max_concurrency: int = 0) -> dict[str, Any]:
    """Return a copy of `function_props`. Raises UsageError for a prop that would break the function, and says why."""
    props = checks.further("function_props", found)
    for name, why in REFUSED.items():
        if name in props:
            raise UsageError(f"function_props: expected no {name}: {why}")
    environment = checks.further("function_props: environment", props.get("environment"))
    for name, value in environment.items():
        if name in OWN_VARIABLES:
            raise UsageError(f"function_props: expected no {name} in the environment, which the construct sets itself")
        if not isinstance(value, str):
            raise UsageError(f"function_props: expected a text for {name} in the environment, found {value!r}")
    reserved = props.get("reserved_concurrent_executions")
    if isinstance(reserved, int) and reserved < max_concurrency and not Token.is_unresolved(reserved):
        raise UsageError(
            f"function_props: expected reserved_concurrent_executions of at least {max_concurrency}, as max_concurrency"
            f" is, found {reserved}: events that find no function end in the dead letters"
        )
    return props | {"environment": environment}


def recipe_text(recipe: str | os.PathLike[str] | None) -> str | None:
    """Return the recipe's TOML, checked; None for the default. Raises RecipeError for what is no recipe.

    A text with a line break or a "=" is the TOML itself, any other the path of a file.
    """
    if recipe is None:
        return None
    if not isinstance(recipe, str | os.PathLike):
        raise RecipeError(f"recipe: expected the path of a file or TOML text, found a {type(recipe).__name__}")
    if isinstance(recipe, str) and ("\n" in recipe or "=" in recipe):
        Recipe.loads(recipe, file="recipe")
        return recipe
    Recipe.load(recipe)
    return Path(recipe).read_text(encoding="utf-8-sig")


def recipe_setting(text: str | None) -> tuple[dict[str, str], dict[str, str]]:
    """Return how the function is told of a recipe: variables of its environment, and files beside its code."""
    if text is None:
        return {}, {}
    if len(text.encode()) <= RECIPE_BYTES:
        return {"THUMBSMITH_RECIPE": text}, {}
    return {"THUMBSMITH_RECIPE": RECIPE_FILE}, {RECIPE_FILE: text}


def code(
    scope: Construct, machine: Machine, files: dict[str, str], contents: packaging.Contents = packaging.CONVERGING
) -> lambda_.Code:
    """Return the function's code, built for its machine, and tell of it. Raises UsageError where it cannot be.

    Where nothing is deployed, as with `cdk list`, nothing is built.
    """
    python = python_of(machine.runtime)
    if not Stack.of(scope).bundling_required:
        return lambda_.Code.from_asset(str(Path(__file__).parent))
    return lambda_.Code.from_asset(_built(python, machine.architecture.name, tuple(files.items()), contents))


def code_or(
    given: Any,
    scope: Construct,
    machine: Machine,
    files: dict[str, str],
    contents: packaging.Contents = packaging.CONVERGING,
) -> lambda_.Code:
    """Return the code that a user gives, else ours. Raises UsageError where theirs would lack the recipe."""
    if given is None:
        return code(scope, machine, files, contents)
    if not isinstance(given, lambda_.Code):
        raise UsageError(f"function_props: expected code as lambda_.Code.from_asset(...), found {given!r}")
    if files:
        raise UsageError(
            f"function_props: expected no code of your own with a recipe of more than {RECIPE_BYTES} bytes: such a"
            f" recipe travels with the code as {RECIPE_FILE}"
        )
    return given


@cache
def _built(python: str, architecture: str, files: tuple[tuple[str, str], ...], contents: packaging.Contents) -> str:
    """Return the zip's path; it is there until the app ends: CDK takes it when a function is made."""
    folder = tempfile.mkdtemp(prefix="thumbsmith-code-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    target = Path(folder) / f"{contents.name}.zip"
    built = packaging.build(target, python=python, architecture=architecture, contents=contents, files=dict(files))
    _tell(built, contents.name, python, architecture)
    return str(target)


def _tell(built: packaging.Package, name: str, python: str, architecture: str) -> None:
    without = f"; without bytecode, as there is no Python {python} here to make it: cold starts take longer"
    sizes = f"{built.zip_bytes / 1e6:.1f} MB as a zip, {built.bytes / 1e6:.1f} MB unpacked"
    sys.stderr.write(f"{name} for Python {python} on {architecture}: {sizes}{'' if built.bytecode else without}\n")


def _network(vpc: ec2.IVpc | None) -> dict[str, Any]:
    """Return the function's place in a VPC: in subnets without a way to the internet, where there are any."""
    if vpc is None:
        return {}
    kind = ec2.SubnetType.PRIVATE_ISOLATED if vpc.isolated_subnets else ec2.SubnetType.PRIVATE_WITH_EGRESS
    return {"vpc": vpc, "vpc_subnets": ec2.SubnetSelection(subnet_type=kind)}
