"""ThumbnailTask: tasks on Fargate for sources that need more memory or time than a function has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from aws_cdk import Duration, RemovalPolicy
from aws_cdk import aws_applicationautoscaling as scaling
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from constructs import Construct

from thumbsmith.cdk import permissions
from thumbsmith.cdk import props as checks
from thumbsmith.cdk.generator import ThumbnailGenerator
from thumbsmith.cdk.machine import RECEIVE_COUNT_RANGE
from thumbsmith.cdk.network import require_endpoints
from thumbsmith.cdk.parts import TIMEOUTS_PER_VISIBILITY, EventQueue, acknowledge, acknowledge_wildcards
from thumbsmith.environment import Setting
from thumbsmith.errors import RecipeError, UsageError
from thumbsmith.recipe.recipe import RECIPE_FILE

# The program and its arguments. Both are stated, so that an image with an entry point of its own works as well.
PROGRAM: Final = ["python"]
ARGUMENTS: Final = ["-m", "thumbsmith.aws.task"]

# The capacity provider for tasks that AWS may stop. It announces that two minutes before by SIGTERM, and the task
# returns its messages. https://docs.aws.amazon.com/AmazonECS/latest/developerguide/fargate-capacity-providers.html
SPOT: Final = "FARGATE_SPOT"

VARIABLES: Final = "The variables of a task are addresses and a recipe, and no secrets."
INSIGHTS: Final = "Container Insights cost more than these tasks. To use them, pass your own cluster."
FETCHING: Final = "A token for ECR is valid for all repositories: AWS cannot limit that action to one."

# Pairs of a number of messages and the number of tasks that run from there on.
SCALING_STEPS: Final = ((1, 1), (100, 2), (1_000, 10))

# Tasks of one service: https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-quotas.html
MAX_TASKS: Final = 5_000

# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SetQueueAttributes.html
MAX_VISIBILITY_SECONDS: Final = 12 * 60 * 60

# Default of the prop `timeout`.
TASK_SECONDS: Final = 600

# Possible memory in MiB, by CPU units.
# https://docs.aws.amazon.com/AmazonECS/latest/developerguide/fargate-tasks-services.html#fargate-tasks-size
MEMORY_MIB_BY_CPU: Final[dict[int, Sequence[int]]] = {
    256: (512, 1024, 2048),
    512: range(1024, 4097, 1024),
    1024: range(2048, 8193, 1024),
    2048: range(4096, 16385, 1024),
    4096: range(8192, 30721, 1024),
    8192: range(16384, 61441, 4096),
    16384: range(32768, 122881, 8192),
}

# The endpoints that a task needs in a network without internet access: for its image (ECR, and S3 for the layers), its
# logs and its queue.
# https://docs.aws.amazon.com/AmazonECR/latest/userguide/vpc-endpoints.html
TASK_SERVICES: Final = ("ecr.api", "ecr.dkr", "s3", "logs", "sqs")


class ThumbnailTask(Construct):
    """Tasks that run while their queue has messages. Attributes: `queue`, `dead_letters`, `definition`, `service`.

    Props:

    - `generator`: the ThumbnailGenerator whose source, destination and recipe the tasks use.
    - `image`: your container image with thumbsmith installed, built from a checkout (Dockerfile) or from a release
      (examples/task/Dockerfile).
    - `vpc`: the network of the tasks. `cluster`: your own cluster. Default: a new one.
    - `route`: let the function of the generator send sources here that are too large for it: those that would need
      more memory than it has, or more than twice its time. Default True. Otherwise only messages that you send to
      `queue` are handled.
    - `cpu`: CPU units (2048). `memory_limit_mib`: memory in MiB (8192). `max_tasks`: tasks at the same time (10).
    - `spot`: use spare capacity, which is cheaper, and which AWS may take back (False). A `cluster` of your own needs
      the capacity provider FARGATE_SPOT.
    - `timeout`: seconds for one source (600). `max_receive_count`: tries before the dead-letter queue (3).

    In a network without internet access, a function that routes needs an endpoint for SQS, and tasks need those of
    Fargate.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        generator: ThumbnailGenerator,
        image: ecs.ContainerImage,
        vpc: ec2.IVpc,
        route: bool = True,
        cpu: int = 2048,
        memory_limit_mib: int = 8192,
        max_tasks: int = 10,
        timeout: Duration | float | None = None,
        max_receive_count: int = 3,
        cluster: ecs.ICluster | None = None,
        spot: bool = False,
    ) -> None:
        """Create all parts.

        Raises RecipeError for a recipe that is too large for a variable, and UsageError for a value that cannot work.
        """
        super().__init__(scope, id)
        checks.instance("generator", generator, ThumbnailGenerator)
        checks.resource("image", image, "bind", "an image, such as ecs.ContainerImage.from_registry(...)")
        checks.resource("vpc", vpc, "vpc_id", "a network, such as an ec2.Vpc")
        checks.flags(route=route, spot=spot)
        checks.integer("max_tasks", max_tasks, 1, MAX_TASKS)
        checks.integer("max_receive_count", max_receive_count, *RECEIVE_COUNT_RANGE)
        _require_size(cpu, memory_limit_mib)
        if generator.variables.get(Setting.RECIPE) == RECIPE_FILE:
            raise RecipeError("ThumbnailTask: expected a recipe of up to 2 KB, since a task gets it in a variable")
        _require_routes(generator, vpc, route=route)
        limit = checks.duration(
            "timeout", TASK_SECONDS if timeout is None else timeout, TIMEOUTS_PER_VISIBILITY, MAX_VISIBILITY_SECONDS
        )
        sixth = Duration.seconds(limit.to_seconds() // TIMEOUTS_PER_VISIBILITY)  # the queue multiplies it again
        large = EventQueue(self, "Large", function_timeout=sixth, max_receive_count=max_receive_count)
        self.queue, self.dead_letters = large.queue, large.dead_letters
        self.log_group = logs.LogGroup(
            self, "Logs", retention=generator.machine.log_retention, removal_policy=RemovalPolicy.DESTROY
        )
        self.definition = self._definition(generator, image, cpu, memory_limit_mib)
        self.cluster = cluster or self._cluster(vpc, spot=spot)
        self.service = ecs.FargateService(
            self,
            "Service",
            cluster=self.cluster,
            task_definition=self.definition,
            desired_count=0,
            min_healthy_percent=0,
            max_healthy_percent=200,
            circuit_breaker=ecs.DeploymentCircuitBreaker(rollback=True),
            capacity_provider_strategies=[ecs.CapacityProviderStrategy(capacity_provider=SPOT, weight=1)]
            if spot
            else None,
        )
        self._scale(max_tasks)
        if generator.alarms:
            generator.alarms.add_dead_letters(self, "LargeDeadLetters", self.dead_letters)
        if route:
            self._route(generator)

    def _definition(
        self, generator: ThumbnailGenerator, image: ecs.ContainerImage, cpu: int, memory: int
    ) -> ecs.FargateTaskDefinition:
        statements = [
            *permissions.read_source(generator.source),
            *permissions.update_destination(generator.destination),
            permissions.receive("ReceiveLarge", self.queue),
        ]
        role = permissions.role(self, "Role", statements, service="ecs-tasks.amazonaws.com")
        arm = generator.machine.architecture.name == "arm64"
        definition = ecs.FargateTaskDefinition(
            self,
            "Definition",
            cpu=cpu,
            memory_limit_mib=memory,
            task_role=role,
            runtime_platform=ecs.RuntimePlatform(
                cpu_architecture=ecs.CpuArchitecture.ARM64 if arm else ecs.CpuArchitecture.X86_64,
                operating_system_family=ecs.OperatingSystemFamily.LINUX,
            ),
        )
        definition.add_container(
            "Thumbsmith",
            image=image,
            entry_point=PROGRAM,
            command=ARGUMENTS,
            environment=generator.variables | {Setting.QUEUE: self.queue.queue_url},
            logging=ecs.LogDrivers.aws_logs(stream_prefix="task", log_group=self.log_group),
            stop_timeout=Duration.seconds(120),
        )
        acknowledge_wildcards(role, statements)
        acknowledge(definition, {"ECS2": VARIABLES, "IAM5[Resource::*]": FETCHING})
        return definition

    def _cluster(self, vpc: ec2.IVpc, *, spot: bool) -> ecs.Cluster:
        cluster = ecs.Cluster(self, "Cluster", vpc=vpc, enable_fargate_capacity_providers=spot)
        acknowledge(cluster, {"ECS4": INSIGHTS})
        return cluster

    def _scale(self, max_tasks: int) -> None:
        """Run tasks by the number of messages in the queue, with those in progress; no task for an empty queue."""
        waiting = self.queue.metric_approximate_number_of_messages_visible(period=Duration.minutes(1))
        in_progress = self.queue.metric_approximate_number_of_messages_not_visible(period=Duration.minutes(1))
        uppers = [*(lower for lower, _ in SCALING_STEPS[1:]), None]
        steps = [scaling.ScalingInterval(upper=SCALING_STEPS[0][0], change=0)]
        steps += [
            scaling.ScalingInterval(lower=lower, upper=upper, change=min(tasks, max_tasks))
            for (lower, tasks), upper in zip(SCALING_STEPS, uppers, strict=True)
        ]
        target = self.service.auto_scale_task_count(min_capacity=0, max_capacity=max_tasks)
        target.scale_on_metric(
            "Length",
            metric=cloudwatch.MathExpression(
                expression="waiting + hand",
                using_metrics={"waiting": waiting, "hand": in_progress},
                period=Duration.minutes(1),
            ),
            scaling_steps=steps,
            adjustment_type=scaling.AdjustmentType.EXACT_CAPACITY,
            cooldown=Duration.minutes(2),
        )

    def _route(self, generator: ThumbnailGenerator) -> None:
        """Let the function of the generator send sources here that are too large for it."""
        generator.function.add_environment(Setting.LARGE, self.queue.queue_url)
        generator.role.attach_inline_policy(
            iam.Policy(self, "Route", statements=[permissions.send("SendLarge", self.queue)])
        )


def _require_size(cpu: int, memory: int) -> None:
    """Raise UsageError for a size of tasks that Fargate does not have."""
    if not isinstance(cpu, int) or cpu not in MEMORY_MIB_BY_CPU:
        raise UsageError(f"cpu: expected {', '.join(map(str, MEMORY_MIB_BY_CPU))}, found {cpu!r}")
    if memory not in MEMORY_MIB_BY_CPU[cpu]:
        sizes = ", ".join(map(str, MEMORY_MIB_BY_CPU[cpu]))
        raise UsageError(f"memory_limit_mib: expected one of {sizes} with a cpu of {cpu}, found {memory!r}")


def _require_routes(generator: ThumbnailGenerator, vpc: ec2.IVpc, *, route: bool) -> None:
    """Raise UsageError if the function cannot reach the queue, or if tasks cannot start in their network."""
    machine = generator.machine
    if route and machine.vpc is not None and machine.vpc.isolated_subnets and "vpc_subnets" not in generator.props:
        require_endpoints(machine.vpc, ["sqs"], "the function of the generator sends large sources there")
    if not isinstance(vpc, ec2.Vpc) or vpc.private_subnets:
        return
    if not vpc.isolated_subnets:
        raise UsageError("vpc: expected private subnets: a task without a public address cannot start in public ones")
    require_endpoints(vpc, TASK_SERVICES, "tasks need it for their image, logs and queue")
