"""Lambda functions with their role and logs, the queue that feeds one, and their code and recipe."""

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
from thumbsmith.environment import Setting
from thumbsmith.errors import RecipeError, UsageError
from thumbsmith.recipe import Recipe
from thumbsmith.recipe.recipe import RECIPE_FILE

# The variables of a function have 4 KB together: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
MAX_RECIPE_BYTES: Final = 2048

# The constructs set these variables. Another value would make a function work on other stores.
RESERVED_VARIABLES: Final = frozenset(
    {
        Setting.SOURCE,
        Setting.DESTINATION,
        Setting.RECIPE,
        Setting.ORIGINS,
        Setting.BACKFILL,
        Setting.CATALOGUE,
        Setting.LARGE,
        Setting.QUEUE,
    }
)

# Props of aws_lambda.Function that belong to the code. Other functions with the same code get them too.
CODE_PROPS: Final = ("code", "layers")

# Props of aws_lambda.Function that other parts depend on, and what to use instead.
REFUSED_PROPS: Final = {
    "role": "the construct makes a role with the least permissions; add to its attribute role",
    "log_retention": "the construct has a prop log_retention",
    "log_retention_role": "the construct has a prop log_retention",
    "log_removal_policy": "pass your own log_group",
}


class LoggedFunction:
    """A function with least permissions: `function`, `role`, `log_group`. They are children of `scope`."""

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
        allowed = [*statements, *permissions.run_function(self.log_group, in_vpc=machine.vpc is not None)]
        self.role = permissions.role(scope, "Role", allowed)
        ours: dict[str, Any] = {
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
        theirs = {**props, "environment": {**environment, **props.get("environment", {})}}
        self.function: lambda_.Function = checks.construct(
            lambda_.Function, scope, "Function", ours, "function_props", theirs
        )
        if machine.vpc is not None:
            denied = iam.Policy(scope, "LeaveNetwork", statements=[permissions.deny_network(self.function)])
            self.role.attach_inline_policy(denied)
        acknowledge(scope, {"L1": RUNTIME})
        acknowledge_wildcards(self.role, allowed)


class QueueFunction(Construct):
    """A function that a queue feeds: `queue`, `dead_letters`, `function`, `role`, `log_group`, `event_source`.

    `backfill` is a number of concurrent functions. With it there is a second queue for work that can wait:
    the attributes `backfill` and `backfill_source`, else None.
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
        receive = [permissions.receive("ReceiveEvents", self.queue)]
        if self.backfill:
            receive.append(permissions.receive("ReceiveBackfill", self.backfill.queue))
        logged = LoggedFunction(
            self,
            machine=machine,
            handler=handler,
            environment=environment,
            statements=[*statements, *receive],
            props=props,
        )
        self.function, self.role, self.log_group = logged.function, logged.role, logged.log_group
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

    def _feed(self, id: str, events: EventQueue, machine: Machine, concurrency: int) -> lambda_.EventSourceMapping:
        return self.function.add_event_source_mapping(
            id,
            event_source_arn=events.queue.queue_arn,
            batch_size=machine.batch_size,
            max_batching_window=machine.batching_window if machine.batching_window.to_seconds() else None,
            max_concurrency=concurrency,
            report_batch_item_failures=True,
        )


def code_props(props: Mapping[str, Any]) -> dict[str, Any]:
    """Return those props of a function that belong to its code."""
    return {name: value for name, value in props.items() if name in CODE_PROPS}


def checked_props(found: Any, max_concurrency: int = 0) -> dict[str, Any]:
    """Return a copy of `function_props`. Raises UsageError for a prop that would break the function, with the reason.

    `max_concurrency` is the number of functions that the queues may start at the same time.
    """
    props = checks.by_name("function_props", found)
    for name, instead in REFUSED_PROPS.items():
        if name in props:
            raise UsageError(f"function_props: expected no {name}: {instead}")
    environment = checks.by_name("function_props: environment", props.get("environment"))
    for name, value in environment.items():
        if name in RESERVED_VARIABLES:
            raise UsageError(f"function_props: expected no {name} in the environment, which the construct sets")
        if not isinstance(value, str):
            raise UsageError(f"function_props: expected a text for {name} in the environment, found {value!r}")
    reserved = props.get("reserved_concurrent_executions")
    if isinstance(reserved, int) and reserved < max_concurrency and not Token.is_unresolved(reserved):
        raise UsageError(
            f"function_props: expected reserved_concurrent_executions of at least {max_concurrency}, which is"
            f" max_concurrency, found {reserved}: events without a free function end as dead letters"
        )
    return props | {"environment": environment}


def recipe_text(recipe: str | os.PathLike[str] | None) -> str | None:
    """Return the TOML of the recipe after validation; None for the default. Raises RecipeError for an invalid recipe.

    A text with a line break or a "=" is TOML. Any other text is the path of a file.
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


def parsed_recipe(text: str | None) -> Recipe:
    """Return the recipe of a text that was checked; the default recipe for None."""
    return Recipe.default() if text is None else Recipe.loads(text, file="recipe")


def recipe_setting(text: str | None) -> tuple[dict[str, str], dict[str, str]]:
    """Return how the function gets the recipe: environment variables, and files for the folder of its code, by name."""
    if text is None:
        return {}, {}
    if len(text.encode()) <= MAX_RECIPE_BYTES:
        return {Setting.RECIPE: text}, {}
    return {Setting.RECIPE: RECIPE_FILE}, {RECIPE_FILE: text}


def code(
    scope: Construct,
    machine: Machine,
    files: dict[str, str],
    contents: packaging.Contents = packaging.CONVERGING,
    *,
    given: Any = None,
) -> lambda_.Code:
    """Return the code of a function: the user's if `given`, else ours, built for the machine.

    `files` are texts by file name. A command that deploys nothing, such as `cdk list`, builds nothing. Raises
    UsageError if the code cannot be built, and if the user's code would lack a file.
    """
    if given is None:
        python = python_of(machine.runtime)
        if not Stack.of(scope).bundling_required:
            return lambda_.Code.from_asset(str(Path(__file__).parent))
        return lambda_.Code.from_asset(_built(python, machine.architecture.name, tuple(files.items()), contents))
    if not isinstance(given, lambda_.Code):
        raise UsageError(f"function_props: expected code such as lambda_.Code.from_asset(...), found {given!r}")
    if files:
        raise UsageError(
            f"function_props: expected no code of your own with a recipe of more than {MAX_RECIPE_BYTES} bytes: such a"
            f" recipe is a file {RECIPE_FILE} in our code"
        )
    return given


@cache
def _built(python: str, architecture: str, files: tuple[tuple[str, str], ...], contents: packaging.Contents) -> str:
    """Return the path of the zip. It exists until the app ends, since CDK copies it later."""
    folder = tempfile.mkdtemp(prefix="thumbsmith-code-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    target = Path(folder) / f"{contents.name}.zip"
    built = packaging.build(target, python=python, architecture=architecture, contents=contents, files=dict(files))
    _report(built, contents.name, python, architecture)
    return str(target)


def _report(built: packaging.Package, name: str, python: str, architecture: str) -> None:
    """Print the size of the code to stderr."""
    without = f"; without bytecode, since no Python {python} is installed here: cold starts take longer"
    sizes = f"{built.zip_bytes / 1e6:.1f} MB as a zip, {built.bytes / 1e6:.1f} MB unpacked"
    sys.stderr.write(f"{name} for Python {python} on {architecture}: {sizes}{'' if built.bytecode else without}\n")


def _network(vpc: ec2.IVpc | None) -> dict[str, Any]:
    """Return the network props: isolated subnets if the VPC has any, else private ones."""
    if vpc is None:
        return {}
    kind = ec2.SubnetType.PRIVATE_ISOLATED if vpc.isolated_subnets else ec2.SubnetType.PRIVATE_WITH_EGRESS
    return {"vpc": vpc, "vpc_subnets": ec2.SubnetSelection(subnet_type=kind)}
