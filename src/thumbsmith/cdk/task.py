"""Beyond Lambda: sources that need more memory or time than a function has, made by tasks on Fargate."""

from __future__ import annotations

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
from thumbsmith.cdk.acknowledgements import acknowledge, acknowledge_wildcards
from thumbsmith.cdk.generator import ThumbnailGenerator
from thumbsmith.cdk.queues import VISIBILITY_TIMEOUTS, EventQueue
from thumbsmith.errors import RecipeError

COMMAND: Final = ["python", "-m", "thumbsmith.aws.task"]

VARIABLES: Final = "What a task is told are places and a recipe: no secret is among them."
INSIGHTS: Final = "Container Insights cost more than such tasks do: who wants them names a cluster of their own."
FETCHING: Final = "An image in ECR is fetched with a token for all repositories: AWS scopes that action to nothing."

# From so many messages on there are so many tasks.
STEPS: Final = ((1, 1), (100, 2), (1_000, 10))


class ThumbnailTask(Construct):
    """Tasks that are there as long as there is something for them: `queue`, `dead_letters`, `definition`, `service`."""

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
        timeout: Duration | None = None,
        max_receive_count: int = 3,
        cluster: ecs.ICluster | None = None,
    ) -> None:
        """Make all parts. `image` is yours, with thumbsmith installed (examples/task/Dockerfile); `timeout` 10 minutes.

        With `route`, the generator's function passes on what is too large for it: what would take more memory than it
        has, or twice more time; else only what you send to `queue` is made. Raises RecipeError where the recipe is not
        among the variables of the function, but beside its code.
        """
        super().__init__(scope, id)
        if generator.variables.get("THUMBSMITH_RECIPE") == "thumbsmith.toml":
            raise RecipeError("ThumbnailTask: expected a recipe of up to 2 KB, which a task is told as a variable")
        limit = timeout or Duration.minutes(10)
        part = Duration.seconds(max(1, limit.to_seconds() // VISIBILITY_TIMEOUTS))
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
