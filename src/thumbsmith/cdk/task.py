"""Tasks on Fargate, for sources that need more memory or time than a function has."""

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
from thumbsmith.cdk.function import RECIPE_FILE
from thumbsmith.cdk.generator import ThumbnailGenerator
from thumbsmith.cdk.machine import RECEIVES
from thumbsmith.cdk.network import require_endpoints
from thumbsmith.cdk.parts import VISIBILITY_TIMEOUTS, EventQueue, acknowledge, acknowledge_wildcards
from thumbsmith.errors import RecipeError, UsageError

COMMAND: Final = ["python", "-m", "thumbsmith.aws.task"]

VARIABLES: Final = "The variables of a task are places and a recipe: no secret is among them."
INSIGHTS: Final = "Container Insights cost more than such tasks do. To have them, give a cluster of your own."
FETCHING: Final = "An image in ECR is fetched with a token for all repositories: AWS scopes that action to nothing."

# From this number of messages on, this number of tasks.
STEPS: Final = ((1, 1), (100, 2), (1_000, 10))


# https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-quotas.html: tasks of one service.
MOST_TASKS: Final = 5_000

# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SetQueueAttributes.html
LONGEST_HIDDEN: Final = 12 * 60 * 60

# Memory in MiB by CPU units.
# https://docs.aws.amazon.com/AmazonECS/latest/developerguide/fargate-tasks-services.html#fargate-tasks-size
SIZES: Final[dict[int, Sequence[int]]] = {
    256: (512, 1024, 2048),
    512: range(1024, 4097, 1024),
    1024: range(2048, 8193, 1024),
    2048: range(4096, 16385, 1024),
    4096: range(8192, 30721, 1024),
    8192: range(16384, 61441, 4096),
    16384: range(32768, 122881, 8192),
}

# What Fargate asks for where there is no way out, besides S3, where layers of images are, and the task's own queue.
# https://docs.aws.amazon.com/AmazonECR/latest/userguide/vpc-endpoints.html
OF_FARGATE: Final = ("ecr.api", "ecr.dkr", "s3", "logs", "sqs")


class ThumbnailTask(Construct):
    """Tasks that run while their queue has messages: `queue`, `dead_letters`, `definition`, `service`."""

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
    ) -> None:
        """Make all parts. `image` is yours, with thumbsmith installed (examples/task/Dockerfile); `timeout` 10 minutes.

        With `route`, the generator's function passes on what is too large for it: what would take more memory than it
        has, or twice more time; else only what you send to `queue` is made. A function in a network without a way out
        needs an endpoint for SQS then, and tasks in such a network need those of Fargate.

        Raises RecipeError for a recipe that is too large for a variable, and UsageError for a value that cannot work.
        """
        super().__init__(scope, id)
        checks.one_of_ours("generator", generator, ThumbnailGenerator)
        checks.resource("image", image, "bind", "an image, as ecs.ContainerImage.from_registry(...)")
        checks.resource("vpc", vpc, "vpc_id", "a network, as an ec2.Vpc")
        checks.flags(route=route)
        checks.whole("max_tasks", max_tasks, 1, MOST_TASKS)
        checks.whole("max_receive_count", max_receive_count, *RECEIVES)
        _fargate(cpu, memory_limit_mib)
        if generator.variables.get("THUMBSMITH_RECIPE") == RECIPE_FILE:
            raise RecipeError("ThumbnailTask: expected a recipe of up to 2 KB, which a task gets as a variable")
        _look_for_ways(generator, vpc, route=route)
        limit = checks.duration("timeout", 600 if timeout is None else timeout, VISIBILITY_TIMEOUTS, LONGEST_HIDDEN)
        part = Duration.seconds(limit.to_seconds() // VISIBILITY_TIMEOUTS)
        large = EventQueue(self, "Large", function_timeout=part, max_receive_count=max_receive_count)
        self.queue, self.dead_letters = large.queue, large.dead_letters
        self.log_group = logs.LogGroup(
            self, "Logs", retention=generator.machine.log_retention, removal_policy=RemovalPolicy.DESTROY
        )
        self.definition = self._definition(generator, image, cpu, memory_limit_mib)
        self.cluster = cluster or self._cluster(vpc)
        self.service = ecs.FargateService(
            self,
            "Service",
            cluster=self.cluster,
            task_definition=self.definition,
            desired_count=0,
            min_healthy_percent=0,
            max_healthy_percent=200,
            circuit_breaker=ecs.DeploymentCircuitBreaker(rollback=True),
        )
        self._scale(max_tasks)
        if route:
            self._route(generator)

    def _definition(
        self, generator: ThumbnailGenerator, image: ecs.ContainerImage, cpu: int, memory: int
    ) -> ecs.FargateTaskDefinition:
        statements = [
            *permissions.read_source(generator.source),
            *permissions.keep_destination(generator.destination),
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
            command=COMMAND,
            environment=generator.variables | {"THUMBSMITH_QUEUE": self.queue.queue_url},
            logging=ecs.LogDrivers.aws_logs(stream_prefix="task", log_group=self.log_group),
            stop_timeout=Duration.seconds(120),
        )
        acknowledge_wildcards(role, statements)
        acknowledge(definition, {"ECS2": VARIABLES, "IAM5[Resource::*]": FETCHING})
        return definition

    def _cluster(self, vpc: ec2.IVpc) -> ecs.Cluster:
        made = ecs.Cluster(self, "Cluster", vpc=vpc)
        acknowledge(made, {"ECS4": INSIGHTS})
        return made

    def _scale(self, max_tasks: int) -> None:
        """Have as many tasks as the queue's length asks for, and none where it is empty, messages in hand included."""
        waiting = self.queue.metric_approximate_number_of_messages_visible(period=Duration.minutes(1))
        in_hand = self.queue.metric_approximate_number_of_messages_not_visible(period=Duration.minutes(1))
        uppers = [*(lower for lower, _ in STEPS[1:]), None]
        steps = [scaling.ScalingInterval(upper=STEPS[0][0], change=0)]
        steps += [
            scaling.ScalingInterval(lower=lower, upper=upper, change=min(tasks, max_tasks))
            for (lower, tasks), upper in zip(STEPS, uppers, strict=True)
        ]
        target = self.service.auto_scale_task_count(min_capacity=0, max_capacity=max_tasks)
        target.scale_on_metric(
            "Length",
            metric=cloudwatch.MathExpression(
                expression="waiting + hand",
                using_metrics={"waiting": waiting, "hand": in_hand},
                period=Duration.minutes(1),
            ),
            scaling_steps=steps,
            adjustment_type=scaling.AdjustmentType.EXACT_CAPACITY,
            cooldown=Duration.minutes(2),
        )

    def _route(self, generator: ThumbnailGenerator) -> None:
        """Have the generator's function send on what is too large for it."""
        generator.function.add_environment("THUMBSMITH_LARGE", self.queue.queue_url)
        generator.role.attach_inline_policy(
            iam.Policy(self, "Route", statements=[permissions.send("SendLarge", self.queue)])
        )


def _fargate(cpu: int, memory: int) -> None:
    """Raise UsageError for a size of tasks that Fargate does not have."""
    if not isinstance(cpu, int) or cpu not in SIZES:
        raise UsageError(f"cpu: expected {', '.join(map(str, SIZES))}, found {cpu!r}")
    if memory not in SIZES[cpu]:
        sizes = ", ".join(map(str, SIZES[cpu]))
        raise UsageError(f"memory_limit_mib: expected one of {sizes} with a cpu of {cpu}, found {memory!r}")


def _look_for_ways(generator: ThumbnailGenerator, vpc: ec2.IVpc, *, route: bool) -> None:
    """Raise UsageError where the function cannot reach the tasks' queue, or tasks cannot start in their network."""
    machine = generator.machine
    if route and machine.vpc is not None and machine.vpc.isolated_subnets and "vpc_subnets" not in generator.props:
        require_endpoints(machine.vpc, ["sqs"], "the generator's function sends there what is too large for it")
    if not isinstance(vpc, ec2.Vpc) or vpc.private_subnets:
        return
    if not vpc.isolated_subnets:
        raise UsageError("vpc: expected private subnets: in public ones a task without an address cannot start")
    require_endpoints(vpc, OF_FARGATE, "tasks fetch their image and work by them")
