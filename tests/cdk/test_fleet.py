"""The parts of a backfill on AWS: a queue, resources of jobs, an audit, and tasks for large sources."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from aws_cdk import App, Size, Stack, Validations
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_events as events
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from aws_cdk.assertions import Match, Template
from cdk_nag import AwsSolutionsChecks

from tests.cdk.test_construct import resources, statements
from thumbsmith.cdk import ThumbnailAudit, ThumbnailGenerator, ThumbnailTask
from thumbsmith.errors import RecipeError, UsageError

KEY = "arn:aws:kms:eu-central-1:123456789012:key/1234"

Generate = Callable[..., ThumbnailGenerator]
Render = Callable[[], Template]


def test_without_it_there_is_none(generate: Generate, template: Render):
    """By default there is one queue with dead letters, one mapping, and no role for jobs."""
    made = generate()
    assert (made.backfill, made.backfill_source, made.jobs) == (None, None, None)
    template().resource_count_is("AWS::SQS::Queue", 2)
    template().resource_count_is("AWS::Lambda::EventSourceMapping", 1)


def test_a_backfill_has_a_queue_of_its_own(generate: Generate, template: Render):
    """A backfill has a queue, dead letters and a mapping on the same function, with lower concurrency."""
    generate(backfill=True, max_receive_count=4)
    told = template()
    told.resource_count_is("AWS::Lambda::Function", 2)  # the other is CDK's, for notifications
    uploads, backfill = sorted(
        (each["ScalingConfig"]["MaximumConcurrency"] for each in resources(told, "AWS::Lambda::EventSourceMapping")),
        reverse=True,
    )
    assert (uploads, backfill) == (100, 20)
    mappings = resources(told, "AWS::Lambda::EventSourceMapping")
    assert len({json.dumps(each["EventSourceArn"]) for each in mappings}) == 2
    assert len({json.dumps(each["FunctionName"]) for each in mappings}) == 1
    assert all(each["FunctionResponseTypes"] == ["ReportBatchItemFailures"] for each in mappings)
    (queue,) = resources(told, "AWS::SQS::Queue", "BackfillEvents")
    assert queue["RedrivePolicy"]["maxReceiveCount"] == 4
    assert queue["VisibilityTimeout"] == 360
    role = statements(told, "ThumbnailsConvergeRole")
    assert role["ReceiveBackfill"]["Action"] == role["ReceiveEvents"]["Action"]
    assert role["ReceiveBackfill"]["Resource"] != role["ReceiveEvents"]["Resource"]


def test_a_job_may_do_what_it_must(generate: Generate, template: Render, stack: Stack):
    """Jobs may only call the function, read manifests and the inventories given, and write reports."""
    generate(batch=True, inventories=[s3.Bucket.from_bucket_name(stack, "Inventories", "inventories")])
    told = template()
    (role,) = resources(told, "AWS::IAM::Role", "Jobs")
    (trusted,) = role["AssumeRolePolicyDocument"]["Statement"]
    assert trusted["Principal"] == {"Service": "batchoperations.s3.amazonaws.com"}
    allowed = statements(told, "ThumbnailsJobsRole")
    assert {sid: each["Action"] for sid, each in allowed.items()} == {
        "CallFunction": "lambda:InvokeFunction",
        "ReadManifests": ["s3:GetObject", "s3:GetObjectVersion"],
        "WriteReports": "s3:PutObject",
    }
    text = json.dumps(allowed["ReadManifests"]["Resource"])
    assert "/manifests/*" in text
    assert "inventories/*" in text
    assert "/reports/*" in json.dumps(allowed["WriteReports"]["Resource"])
    (bucket,) = resources(told, "AWS::S3::Bucket", "Jobs")
    assert bucket["LifecycleConfiguration"]["Rules"][0]["ExpirationInDays"] == 90


def test_an_audit_looks_every_night(generate: Generate, template: Render, stack: Stack):
    """By default at three, for 15 minutes, with disk for listings; it may only read, and send to the backfill."""
    audit = ThumbnailAudit(stack, "Audit", generator=generate(backfill=True), repair=True)
    told = template()
    (function,) = resources(told, "AWS::Lambda::Function", "AuditFunction")
    assert (function["Handler"], function["Timeout"]) == ("thumbsmith.aws.audit.handler", 900)
    assert function["EphemeralStorage"] == {"Size": 2048}
    assert {"THUMBSMITH_SOURCE", "THUMBSMITH_DESTINATION", "THUMBSMITH_BACKFILL"} == set(
        function["Environment"]["Variables"]
    )
    (rule,) = resources(told, "AWS::Events::Rule", "Audit")
    assert rule["ScheduleExpression"] == "cron(0 3 * * ? *)"
    assert [json.loads(each["Input"]) for each in rule["Targets"]] == [{"prefix": ""}]
    allowed = {sid: each["Action"] for sid, each in statements(told, "AuditRole").items()}
    assert allowed == {
        "ListSource": "s3:ListBucket",
        "ReadDestination": "s3:GetObject",
        "ListDestination": "s3:ListBucket",
        "WriteLogs": ["logs:CreateLogStream", "logs:PutLogEvents"],
        "SendRepairs": "sqs:SendMessage",
    }
    assert audit.metric("Drift").namespace == "Thumbsmith"


def test_each_prefix_is_looked_at_by_itself(generate: Generate, template: Render, stack: Stack):
    """Twelve prefixes are twelve calls in three rules; without repairs it may send nothing."""
    prefixes = [f"{number}/" for number in range(12)]
    ThumbnailAudit(
        stack,
        "Audit",
        generator=generate(),
        prefixes=prefixes,
        schedule=events.Schedule.expression("rate(7 days)"),
        disk=Size.gibibytes(10),
    )
    rules = resources(template(), "AWS::Events::Rule", "Audit")
    assert len(rules) == 3
    told = [json.loads(each["Input"])["prefix"] for rule in rules for each in rule["Targets"]]
    assert sorted(told) == sorted(prefixes)
    assert "SendRepairs" not in statements(template(), "AuditRole")


@pytest.mark.parametrize(
    ("props", "sentence"), [({"repair": True}, "backfill=True"), ({"prefixes": []}, "at least one")]
)
def test_an_audit_that_could_not_work_is_refused(
    generate: Generate, stack: Stack, props: dict[str, Any], sentence: str
):
    """Repairs without a backfill, and an empty list of prefixes, give one sentence."""
    with pytest.raises(UsageError, match=sentence):
        ThumbnailAudit(stack, "Audit", generator=generate(), **props)


def _task(stack: Stack, generator: ThumbnailGenerator, **props: Any) -> ThumbnailTask:
    image = ecs.ContainerImage.from_registry("example.com/thumbsmith:1")
    return ThumbnailTask(stack, "Task", generator=generator, image=image, vpc=ec2.Vpc(stack, "Vpc", max_azs=2), **props)


def test_tasks_make_what_is_too_large(generate: Generate, template: Render, stack: Stack):
    """A Fargate service has the stores and the recipe of the generator, and no task while its queue is empty."""
    _task(stack, generate(recipe="[variants.a]\nwidth = 9\n"), max_tasks=5, memory_limit_mib=16384)
    told = template()
    (definition,) = resources(told, "AWS::ECS::TaskDefinition")
    assert (definition["Cpu"], definition["Memory"]) == ("2048", "16384")
    assert definition["RuntimePlatform"]["CpuArchitecture"] == "ARM64"
    (container,) = definition["ContainerDefinitions"]
    assert container["EntryPoint"] + container["Command"] == ["python", "-m", "thumbsmith.aws.task"]
    variables = {each["Name"]: each["Value"] for each in container["Environment"]}
    assert variables["THUMBSMITH_RECIPE"] == "[variants.a]\nwidth = 9\n"
    assert {"THUMBSMITH_SOURCE", "THUMBSMITH_DESTINATION", "THUMBSMITH_QUEUE"} <= variables.keys()
    (service,) = resources(told, "AWS::ECS::Service")
    assert service["LaunchType"] == "FARGATE"
    assert service["DesiredCount"] == 0
    (target,) = resources(told, "AWS::ApplicationAutoScaling::ScalableTarget")
    assert (target["MinCapacity"], target["MaxCapacity"]) == (0, 5)
    (function,) = resources(told, "AWS::Lambda::Function", "ThumbnailsConverge")
    assert function["Environment"]["Variables"]["THUMBSMITH_LARGE"] == variables["THUMBSMITH_QUEUE"]
    told.has_resource_properties(
        "AWS::IAM::Policy",
        {"PolicyDocument": {"Statement": Match.array_with([Match.object_like({"Sid": "SendLarge"})])}},
    )
    assert set(statements(told, "TaskRole")) == {
        "ReadSource",
        "TellAbsentSource",
        "KeepDestination",
        "ListDestination",
        "ReceiveLarge",
    }


def test_tasks_may_use_spare_capacity(generate: Generate, template: Render, stack: Stack):
    """With spot, the service uses only FARGATE_SPOT, which its own cluster has."""
    _task(stack, generate(), spot=True)
    (service,) = resources(template(), "AWS::ECS::Service")
    assert service["CapacityProviderStrategy"] == [{"CapacityProvider": "FARGATE_SPOT", "Weight": 1}]
    assert "LaunchType" not in service
    (cluster,) = resources(template(), "AWS::ECS::ClusterCapacityProviderAssociations")
    assert "FARGATE_SPOT" in cluster["CapacityProviders"]


def test_routing_is_a_choice(generate: Generate, template: Render, stack: Stack):
    """Without routing the function does not change; tasks handle only what is sent to the queue."""
    _task(stack, generate(), route=False)
    (function,) = resources(template(), "AWS::Lambda::Function", "ThumbnailsConverge")
    assert "THUMBSMITH_LARGE" not in function["Environment"]["Variables"]


def test_a_recipe_that_no_variable_holds_is_refused(tmp_path: Path):
    """A large recipe is a file in the code of the function, which a task does not have."""
    context = {"aws:cdk:bundling-stacks": []}  # nothing is deployed, so that no code is built
    stack = Stack(App(outdir=str(tmp_path / "cdk.out"), context=context), "Large")
    photos, thumbs = s3.Bucket(stack, "Photos"), s3.Bucket(stack, "Thumbs")
    recipe = "".join(f"[variants.a-long-name-of-a-variant-{number}]\nwidth = {number + 1}\n" for number in range(50))
    generator = ThumbnailGenerator(stack, "Thumbnails", source=photos, destination=thumbs, recipe=recipe)
    with pytest.raises(RecipeError, match="up to 2 KB"):
        _task(stack, generator)


def test_cdk_nag_finds_nothing_unexplained(tmp_path: Path):
    """With all parts, each finding of AWS Solutions is acknowledged with its reason."""
    from tests.cdk.conftest import inline  # noqa: PLC0415 - it must be loaded before aws_cdk, and is
    from thumbsmith.cdk.parts import acknowledge, acknowledge_cdk_handler  # noqa: PLC0415 - as above

    app = App(outdir=str(tmp_path / "cdk.out"))
    stack = Stack(app, "Everything")
    buckets = [s3.Bucket.from_bucket_name(stack, name, name.lower()) for name in ("Photos", "Thumbs")]
    made = ThumbnailGenerator(
        stack,
        "Thumbnails",
        source=buckets[0],
        destination=buckets[1],
        backfill=True,
        batch=True,
        function_props={"code": inline()},
    )
    ThumbnailAudit(stack, "Audit", generator=made, repair=True)
    vpc = ec2.Vpc(stack, "Vpc", max_azs=2)
    acknowledge(vpc, {"VPC7": "The network is the test's."})
    ThumbnailTask(
        stack, "Task", generator=made, image=ecs.ContainerImage.from_registry("example.com/thumbsmith:1"), vpc=vpc
    )
    acknowledge_cdk_handler(stack)
    Validations.of(app).add_plugins(AwsSolutionsChecks(app))
    app.synth()
    report = json.loads((tmp_path / "cdk.out" / "validation-report.json").read_text())
    found = {
        (violation["ruleName"], construct.get("constructPath"))
        for plugin in report["pluginReports"]
        for violation in plugin["violations"]
        for construct in violation["violatingConstructs"]
    }
    assert found == set()


def test_a_job_reads_inventories_with_a_key(generate: Generate, template: Render, stack: Stack):
    """If the bucket of an inventory has a key, the role of jobs may decrypt with it, through S3."""
    key = kms.Key.from_key_arn(stack, "Key", KEY)
    mine = s3.Bucket.from_bucket_attributes(stack, "Mine", bucket_name="inventories", encryption_key=key)
    generate(batch=True, inventories=[s3.Bucket.from_bucket_name(stack, "Plain", "plain"), mine])
    allowed = statements(template(), "ThumbnailsJobsRole")
    assert [sid for sid in allowed if sid.startswith("Decrypt")] == ["DecryptInventory1"]
    statement = allowed["DecryptInventory1"]
    assert (statement["Action"], statement["Resource"]) == ("kms:Decrypt", KEY)
    assert "kms:ViaService" in statement["Condition"]["StringEquals"]


@pytest.mark.parametrize(("policy", "expected"), [("retain", "Retain"), ("destroy", "Delete")])
def test_the_bucket_of_jobs_stays_as_asked(generate: Generate, template: Render, policy: str, expected: str):
    """The removal policy of the bucket of jobs is the prop."""
    generate(batch=True, removal_policy=policy)
    buckets = template().find_resources("AWS::S3::Bucket")
    assert {each["DeletionPolicy"] for name, each in buckets.items() if "Jobs" in name} == {expected}


def test_a_schedule_may_be_a_text(generate: Generate, template: Render, stack: Stack):
    """A schedule may be a text in the syntax of EventBridge."""
    ThumbnailAudit(stack, "Audit", generator=generate(), schedule="rate(7 days)")
    (rule,) = resources(template(), "AWS::Events::Rule", "Audit")
    assert rule["ScheduleExpression"] == "rate(7 days)"
