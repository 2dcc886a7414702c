"""Values and combinations that synthesis refuses, each with one sentence."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from aws_cdk import Duration, RemovalPolicy, Size, Stack, Tags
from aws_cdk import aws_apigatewayv2 as gateway
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sns as sns
from aws_cdk.assertions import Annotations, Match
from aws_cdk.aws_apigatewayv2_authorizers import HttpIamAuthorizer, HttpJwtAuthorizer

from tests.cdk.conftest import inline
from thumbsmith import Recipe
from thumbsmith.cdk import (
    IsolatedNetwork,
    ThumbnailApi,
    ThumbnailAudit,
    ThumbnailDelivery,
    ThumbnailGenerator,
    ThumbnailTask,
    Trigger,
)
from thumbsmith.errors import RecipeError, UsageError

Generate = Callable[..., ThumbnailGenerator]

LARGE_RECIPE = "".join(f"[variants.a-long-name-of-a-variant-{each}]\nwidth = {each + 1}\n" for each in range(50))


def _sentence(make: Callable[[], Any]) -> str:
    with pytest.raises(UsageError) as refused:
        make()
    sentence = str(refused.value)
    assert isinstance(refused.value, RecipeError) is sentence.partition(": ")[0].endswith(("recipe", ".toml"))
    assert "\n" not in sentence
    assert "Traceback" not in sentence
    return sentence


def _refusal(generate: Generate, **props: Any) -> str:
    return _sentence(lambda: generate(**props))


def _function(**props: Any) -> dict[str, Any]:
    return {"function_props": {"code": inline(), **props}}


# Props of the generator, and words of the sentence. A function is called with the stack for what needs one.
WRONG: list[tuple[dict[str, Any], str]] = [
    ({"source": "my-photos"}, "source: expected a bucket, such as s3.Bucket.from_bucket_name"),
    ({"destination": None}, "destination: expected a bucket"),
    (
        {"source": lambda stack: s3.Bucket.from_bucket_name(stack, "Named", "photos-abc123-s3alias")},
        "source: expected a bucket, found the alias of an access point, which events do not contain",
    ),
    (
        {"source": lambda stack: s3.Bucket.from_bucket_name(stack, "Named", "photos-abc--ol-s3")},
        "source: expected a bucket, found the alias of an Object Lambda access point",
    ),
    (
        {"destination": lambda stack: s3.Bucket.from_bucket_name(stack, "Named", "photos--use1-az4--x-s3")},
        "destination: expected a bucket, found a directory bucket, which reports no events",
    ),
    ({"leave_nothing": "false"}, "leave_nothing: expected True or False, found 'false'"),
    ({"source_requester_pays": 1}, "source_requester_pays: expected True or False, found 1"),
    ({"extras": "raw"}, "extras: expected a list"),
    ({"extras": ["heic"]}, "extras: expected 'documents' or 'raw', found 'heic'"),
    ({"source": s3.Bucket}, "source: expected a bucket"),
    ({"source": lambda stack: s3.CfnBucket(stack, "L1")}, "source: expected a bucket"),
    ({"source": lambda stack: sns.Topic(stack, "T")}, "found a value of type Topic"),
    ({"source_prefix": None}, "source_prefix: expected a text"),
    ({"destination_prefix": 5}, "destination_prefix: expected a text"),
    ({"source_prefix": "a" * 1024 + "/"}, "at most 1024 bytes"),
    ({"trigger": "sqs"}, "trigger: expected s3 or eventbridge, found 'sqs'"),
    ({"trigger": None}, "trigger: expected s3 or eventbridge"),
    ({"trigger": True}, "trigger: expected s3 or eventbridge"),
    ({"architecture": "arm"}, "architecture: expected arm64 or x86_64, found 'arm'"),
    ({"architecture": lambda_.Architecture.custom("riscv")}, "found 'riscv'"),
    ({"runtime": "3.99"}, "runtime: expected a version of Python"),
    ({"runtime": 3.13}, "runtime: expected a version of Python"),
    ({"runtime": "nodejs22.x"}, "runtime: expected a version of Python"),
    ({"runtime": lambda_.Runtime.NODEJS_22_X}, "runtime: expected one of Python 3.11"),
    ({"runtime": "3.9"}, "runtime: expected one of Python 3.11 or later"),
    ({"memory_size": 127}, "memory_size: expected a whole number from 128 to 10240, found 127"),
    ({"memory_size": 10241}, "memory_size"),
    ({"memory_size": "512"}, "memory_size: expected a whole number from 128 to 10240, found '512'"),
    ({"memory_size": True}, "memory_size"),
    ({"memory_size": Size.mebibytes(512)}, "memory_size"),
    ({"timeout": 0}, "timeout: expected whole seconds from 1 to 900, found 0"),
    ({"timeout": 901}, "found 901"),
    ({"timeout": Duration.minutes(16)}, "found 960"),
    ({"timeout": Duration.millis(1500)}, "found 1.5"),
    ({"timeout": "60"}, "timeout: expected a Duration or a number of seconds, found '60'"),
    ({"timeout": float("nan")}, "timeout: expected whole seconds"),
    ({"timeout": float("inf")}, "timeout: expected whole seconds"),
    ({"batch_size": 0}, "batch_size"),
    ({"batch_size": 10_001, "batching_window": 1}, "batch_size: expected a whole number from 1 to 10000"),
    ({"batch_size": 11}, "batch_size: expected at most 10 without a batching_window"),
    ({"batch_size": 2.5}, "batch_size"),
    ({"batching_window": 301}, "batching_window: expected whole seconds from 0 to 300"),
    ({"batching_window": -1}, "batching_window"),
    ({"max_concurrency": 1}, "max_concurrency: expected a whole number from 2 to 1000, found 1"),
    ({"max_concurrency": 1001}, "max_concurrency"),
    ({"max_receive_count": 0}, "max_receive_count: expected a whole number from 1 to 1000"),
    ({"backfill": True, "backfill_max_concurrency": 1}, "backfill_max_concurrency: expected a whole number from 2"),
    ({"backfill": "false"}, "backfill: expected True or False, found 'false'"),
    ({"alarms": "yes"}, "alarms: expected True or False"),
    ({"catalogue": 1}, "catalogue: expected True or False"),
    ({"log_retention": 31}, "log_retention: expected a number of days that CloudWatch knows"),
    ({"log_retention": "month"}, "log_retention: expected a word such as one_month"),
    ({"log_retention": Duration.days(30)}, "log_retention"),
    ({"tracing": "on"}, "tracing: expected active or pass_through or disabled"),
    ({"removal_policy": "delete"}, "removal_policy: expected retain or destroy"),
    ({"removal_policy": RemovalPolicy}, "removal_policy"),
    ({"vpc": "vpc-123"}, "vpc: expected a network"),
    ({"inventories": lambda stack: s3.Bucket(stack, "I")}, "inventories: expected a list"),
    ({"batch": True, "inventories": ["inventories"]}, "inventories: expected a bucket"),
    ({"inventories": lambda stack: [s3.Bucket(stack, "I")]}, "inventories: expected batch=True"),
    ({"alarm_email": "not an address"}, "alarm_email: expected an e-mail address"),
    ({"announce_email": ""}, "announce_email: expected an e-mail address"),
    ({"alarm_topic": "arn:aws:sns:eu-central-1:123456789012:mine"}, "alarm_topic: expected a topic"),
    ({"max_age": 60}, "max_age: expected alarms=True"),
    ({"alarms": True, "max_age": 0}, "max_age: expected whole seconds from 1"),
    ({"alarms": True, "max_age": "1h"}, "max_age: expected a Duration"),
    ({"recipe": {"variants": {}}}, "recipe: expected the path of a file or TOML text, found a dict"),
    ({"recipe": Recipe.default()}, "recipe: expected the path of a file or TOML text, found a Recipe"),
    ({"recipe": 5}, "recipe: expected the path"),
    ({"recipe": b"x"}, "recipe: expected the path"),
    ({"recipe": LARGE_RECIPE}, "function_props: expected no code of your own with a recipe of more than 2048 bytes"),
    ({"function_props": "memory_size=5"}, "function_props: expected props by name"),
    ({"function_props": ["code"]}, "function_props: expected props by name"),
    (_function(memory=5), "Function has no prop 'memory'"),
    (_function(memorySize=512), "did you mean 'memory_size'?"),
    (_function(memory_size=64), "memory_size: expected a whole number from 128"),
    (_function(timeout=1000), "timeout: expected whole seconds"),
    (_function(role="arn:aws:iam::123456789012:role/mine"), "expected no role: the construct makes a role"),
    (_function(log_retention=logs.RetentionDays.ONE_DAY), "expected no log_retention"),
    (_function(description=5), "description"),
    (_function(ephemeral_storage_size=Size.mebibytes(5)), "Ephemeral storage size must be between"),
    (_function(environment={"THUMBSMITH_SOURCE": "s3://x"}), "expected no THUMBSMITH_SOURCE in the environment"),
    (_function(environment={"THUMBSMITH_RECIPE": ""}), "expected no THUMBSMITH_RECIPE in the environment"),
    (_function(environment={"LEVEL": 5}), "expected a text for LEVEL in the environment, found 5"),
    (_function(environment=["LEVEL"]), "function_props: environment: expected props by name"),
    (_function(reserved_concurrent_executions=5), "reserved_concurrent_executions of at least 100"),
    ({"function_props": {"runtime": lambda_.Runtime.NODEJS_22_X}}, "runtime: expected one of Python 3.11"),
    ({"function_props": {"code": "src/"}}, "expected code such as lambda_.Code.from_asset"),
]


@pytest.mark.parametrize(
    ("props", "words"), WRONG, ids=[f"{list(props)[-1]}-{at}" for at, (props, _) in enumerate(WRONG)]
)
def test_a_value_that_cannot_work(stack: Stack, generate: Generate, props: dict[str, Any], words: str):
    """A value of another type, outside AWS's limits, or without effect is refused by the name of the prop."""
    made = {
        name: value(stack) if callable(value) and not isinstance(value, type) else value
        for name, value in props.items()
    }
    assert words in _refusal(generate, **made)


@pytest.mark.parametrize(
    ("props", "attribute", "expected"),
    [
        ({"timeout": 30}, "timeout", 30),
        ({"timeout": timedelta(minutes=1)}, "timeout", 60),
        ({"timeout": Duration.minutes(2)}, "timeout", 120),
        ({"runtime": "python3.12"}, "runtime", "python3.12"),
        ({"runtime": "3.12"}, "runtime", "python3.12"),
        ({"architecture": "X86_64"}, "architecture", "x86_64"),
        ({"tracing": True}, "tracing", lambda_.Tracing.ACTIVE),
        ({"tracing": "pass_through"}, "tracing", lambda_.Tracing.PASS_THROUGH),
        ({"log_retention": 90}, "log_retention", logs.RetentionDays.THREE_MONTHS),
        ({"log_retention": 3653}, "log_retention", logs.RetentionDays.TEN_YEARS),
        ({"log_retention": "infinite"}, "log_retention", logs.RetentionDays.INFINITE),
        ({"batch_size": 100, "batching_window": 1}, "batching_window", 1),
    ],
)
def test_plain_values_are_understood(generate: Generate, props: dict[str, Any], attribute: str, expected: Any):
    """Words, and numbers of seconds and days, become CDK's values."""
    found = getattr(generate(**props).machine, attribute)
    if isinstance(found, Duration):
        found = found.to_seconds()
    assert getattr(found, "name", found) == getattr(expected, "name", expected)


@pytest.mark.parametrize("word", ["eventbridge", "EventBridge", Trigger.EVENTBRIDGE])
def test_a_trigger_may_be_a_word(generate: Generate, word: str):
    """The word creates the rule of EventBridge, like the enumeration."""
    assert generate(trigger=word).rule is not None


API_WRONG: list[tuple[dict[str, Any], str]] = [
    ({"authorizer": None}, "authorizer: expected an authorizer, such as HttpIamAuthorizer(), or HttpNoneAuthorizer()"),
    ({"authorizer": "iam"}, "authorizer: expected an authorizer"),
    ({"authorizer": HttpIamAuthorizer}, "authorizer: expected an authorizer"),
    ({"authorizer": False}, "authorizer: expected an authorizer"),
    ({"thumbnails": None}, "thumbnails: expected a ThumbnailGenerator"),
    ({"public_renditions": "no"}, "public_renditions: expected True or False"),
    ({"allow_origins": "https://shop.example"}, "allow_origins: expected a list"),
    ({"allow_origins": [None]}, "allow_origins: expected texts"),
    ({"memory_size": 64}, "memory_size: expected a whole number"),
    ({"throttle": 5}, "throttle: expected gateway.ThrottleSettings"),
    ({"throttle": {"rate_limit": 5}}, "throttle: expected gateway.ThrottleSettings"),
    ({"scopes": {"read": ["a"]}}, "scopes: expected an authorizer of tokens"),
    (_function(environment={"THUMBSMITH_ORIGINS": "*"}), "expected no THUMBSMITH_ORIGINS"),
    (_function(timeout=60), "timeout of at most 29 seconds"),
    (_function(handlr="x"), "did you mean 'handler'?"),
]


@pytest.mark.parametrize(("props", "words"), API_WRONG)
def test_an_api_that_cannot_work(stack: Stack, generate: Generate, props: dict[str, Any], words: str):
    """An API is closed unless it is opened explicitly, and its props are checked."""
    given = {"thumbnails": generate(), "authorizer": HttpIamAuthorizer(), **_function()} | props
    assert words in _sentence(lambda: ThumbnailApi(stack, "Api", **given))


@pytest.mark.parametrize(
    ("scopes", "words"),
    [
        ({"write": ["a"]}, "scopes: expected read, upload, delete, found 'write'"),
        ({"read": "thumbs/read"}, "scopes: read: expected a list"),
        ({"read": ["a"]}, "found none for upload, delete"),
        ({"read": ["a"], "upload": ["b"], "delete": []}, "found none for delete"),
        (["a"], "scopes: expected props by name"),
    ],
)
def test_scopes_that_leave_a_route_open(stack: Stack, generate: Generate, scopes: Any, words: str):
    """A group of routes without a scope is refused, since each token could use it."""
    authorizer = HttpJwtAuthorizer("Jwt", "https://issuer.example", jwt_audience=["thumbs"])
    given = {"thumbnails": generate(), "authorizer": authorizer, "scopes": scopes, **_function()}
    assert words in _sentence(lambda: ThumbnailApi(stack, "Api", **given))


@pytest.mark.parametrize(
    ("props", "words"),
    [
        ({"thumbnails": "thumbs"}, "thumbnails: expected a ThumbnailGenerator"),
        ({"domain_names": "img.example"}, "domain_names: expected a list"),
        ({"domain_names": ["img.example"], "certificate": "arn:aws:acm:..."}, "certificate: expected a certificate"),
        ({"log_bucket": "logs"}, "log_bucket: expected a bucket"),
        ({"log_prefix": "thumbs/"}, "log_prefix: expected a log_bucket"),
        ({"allow_origins": ["shop.example"]}, "allow_origins: expected origins such as https://example.com"),
        ({"allow_origins": "*"}, "allow_origins: expected a list"),
        ({"distribution_props": {"coment": "ours"}}, "did you mean 'comment'?"),
        ({"distribution_props": {"comment": 5}}, "comment"),
        ({"distribution_props": 5}, "distribution_props: expected props by name"),
    ],
)
def test_a_delivery_that_cannot_work(stack: Stack, generate: Generate, props: dict[str, Any], words: str):
    """The props of a delivery are checked."""
    given = {"thumbnails": generate()} | props
    assert words in _sentence(lambda: ThumbnailDelivery(stack, "Delivery", **given))


@pytest.mark.parametrize(
    ("props", "words"),
    [
        ({"generator": None}, "generator: expected a ThumbnailGenerator"),
        ({"schedule": "daily"}, "schedule: expected a schedule"),
        ({"prefixes": "2026/"}, "prefixes: expected a list"),
        ({"memory_size": 11_000}, "memory_size: expected a whole number"),
        ({"disk": 2048}, "disk: expected a size"),
        ({"disk": Size.mebibytes(100)}, "Ephemeral storage size"),
        ({"repair": "yes"}, "repair: expected True or False"),
    ],
)
def test_an_audit_of_wrong_values(stack: Stack, generate: Generate, props: dict[str, Any], words: str):
    """The props of an audit are checked."""
    given = {"generator": generate()} | props
    assert words in _sentence(lambda: ThumbnailAudit(stack, "Audit", **given))


@pytest.mark.parametrize(
    ("props", "words"),
    [
        ({"generator": 5}, "generator: expected a ThumbnailGenerator"),
        ({"image": "example.com/thumbsmith:1"}, "image: expected an image"),
        ({"vpc": None}, "vpc: expected a network"),
        ({"cpu": 1000}, "cpu: expected 256, 512"),
        ({"cpu": 256}, "memory_limit_mib: expected one of 512, 1024, 2048 with a cpu of 256, found 8192"),
        ({"memory_limit_mib": 5000}, "memory_limit_mib: expected one of 4096"),
        ({"max_tasks": 0}, "max_tasks: expected a whole number from 1"),
        ({"timeout": 13 * 3600}, "timeout: expected whole seconds from 6 to 43200"),
        ({"route": "no"}, "route: expected True or False"),
        ({"max_receive_count": 0}, "max_receive_count"),
    ],
)
def test_a_task_of_wrong_values(stack: Stack, generate: Generate, props: dict[str, Any], words: str):
    """The props of tasks are checked, and their sizes are those of Fargate."""
    image = ecs.ContainerImage.from_registry("example.com/thumbsmith:1")
    given = {"generator": generate(), "image": image, "vpc": ec2.Vpc(stack, "Vpc", max_azs=2)} | props
    assert words in _sentence(lambda: ThumbnailTask(stack, "Task", **given))


@pytest.mark.parametrize(
    ("props", "words"),
    [
        ({"buckets": []}, "buckets: expected at least one"),
        ({"buckets": ["photos"]}, "buckets: expected a bucket"),
        ({"buckets": "photos"}, "buckets: expected a list"),
        ({"max_azs": 0}, "max_azs: expected a whole number"),
        ({"dynamodb": "yes"}, "dynamodb: expected True or False"),
    ],
)
def test_a_network_of_wrong_values(stack: Stack, props: dict[str, Any], words: str):
    """The props of a network are checked."""
    given = {"buckets": [s3.Bucket(stack, "Mine")]} | props
    assert words in _sentence(lambda: IsolatedNetwork(stack, "Network", **given))


def test_an_api_may_be_opened_in_so_many_words(stack: Stack, generate: Generate):
    """HttpNoneAuthorizer opens the API to everyone."""
    made = ThumbnailApi(stack, "Api", thumbnails=generate(), authorizer=gateway.HttpNoneAuthorizer(), **_function())
    assert made.url


def test_numbers_that_only_deployment_knows(stack: Stack, generate: Generate):
    """A parameter of the stack is accepted as a number."""
    from aws_cdk import CfnParameter  # noqa: PLC0415 - of this test alone

    memory = CfnParameter(stack, "Memory", type="Number").value_as_number
    assert generate(memory_size=memory).machine.memory_size == memory


def test_a_role_cannot_be_swapped(stack: Stack, generate: Generate):
    """A role is refused, and the sentence names the attribute to add permissions to."""
    role = iam.Role(stack, "Mine", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
    assert "attribute role" in _refusal(generate, **_function(role=role))


@pytest.mark.parametrize(
    ("source", "destination"),
    [("", ""), ("in/", ""), ("", "out/"), ("a/", "a/b/"), ("a/b/", "a/"), ("a/", "a/")],
)
def test_no_place_may_lie_in_the_other(stack: Stack, generate: Generate, source: str, destination: str):
    """Two prefixes of one bucket, one inside the other, are refused."""
    bucket = s3.Bucket(stack, "Both")
    props = {"source": bucket, "destination": bucket, "source_prefix": source, "destination_prefix": destination}
    assert "overlap" in _refusal(generate, **props)


def test_a_bucket_is_known_by_its_name(stack: Stack, generate: Generate):
    """A bucket with a name, and an import of that name, are one bucket."""
    made = s3.Bucket(stack, "Made", bucket_name="photos")
    imported = [s3.Bucket.from_bucket_name(stack, f"Imported{number}", "photos") for number in range(2)]
    assert "overlap" in _refusal(generate, source=made, destination=imported[0])


def test_two_imports_of_one_bucket_are_one(stack: Stack, generate: Generate):
    """Two constructs that name one bucket are one bucket."""
    one, other = (s3.Bucket.from_bucket_name(stack, name, "photos") for name in ("One", "Other"))
    assert "overlap" in _refusal(generate, source=one, destination=other)


def test_one_bucket_is_one_construct(stack: Stack, generate: Generate):
    """Two constructs of one bucket in a stack are refused: CDK would overwrite notifications."""
    one, other = (s3.Bucket.from_bucket_name(stack, name, "photos") for name in ("One", "Other"))
    props = {"source": one, "destination": other, "source_prefix": "in/", "destination_prefix": "out/"}
    assert "one construct for one bucket, found Test/One and Test/Other" in _refusal(generate, **props)


@pytest.mark.parametrize("prefix", ["in", "in/x", "a*/", "a?/", "${aws:x}/"])
def test_a_prefix_is_a_folder(generate: Generate, prefix: str):
    """A prefix ends in "/", and has no characters with a meaning in policies."""
    assert "source_prefix" in _refusal(generate, source_prefix=prefix)


def test_a_prefix_that_no_filter_holds_for_certain(generate: Generate):
    """Filters of S3 accept plain ASCII only; the sentence names the alternative."""
    assert "trigger" in _refusal(generate, source_prefix="été/")


@pytest.mark.parametrize("recipe", ["[variants.a]\nwidth = 0\n", "variants = 3", "[variants.a]\nwidht = 3"])
def test_a_recipe_that_cannot_be(generate: Generate, recipe: str):
    """A recipe is checked at synthesis."""
    assert _refusal(generate, recipe=recipe).startswith("recipe: ")


def test_a_recipe_that_is_not_there(generate: Generate, tmp_path: Path):
    """The sentence names the file."""
    assert "nowhere.toml" in _refusal(generate, recipe=tmp_path / "nowhere.toml")


def _second(stack: Stack, **props: Any) -> ThumbnailGenerator:
    """Return a second generator with its own stores, except for the props given."""
    given = {"destination_prefix": "second/", **_function()} | props
    if "destination" not in given:
        given["destination"] = s3.Bucket(stack, "SecondDestination")
    if "source" not in given:
        given["source"] = s3.Bucket(stack, "SecondSource")
    return ThumbnailGenerator(stack, "Second", **given)


@pytest.mark.parametrize(("one", "other"), [("", ""), ("a/", ""), ("", "a/"), ("a/", "a/b/"), ("a/b/", "a/b/")])
def test_s3_tells_one_queue(stack: Stack, generate: Generate, one: str, other: str):
    """Two generators of overlapping sources need EventBridge for one, since S3 refuses a second rule."""
    first = generate(source_prefix=one)
    assert 'trigger="eventbridge"' in _sentence(lambda: _second(stack, source=first.source.bucket, source_prefix=other))
    made = _second(Stack(stack, "Nested"), source=first.source.bucket, source_prefix=other, trigger="eventbridge")
    assert made.rule is not None


def test_sources_may_lie_side_by_side(stack: Stack, generate: Generate):
    """Separate prefixes of one bucket are two rules of S3."""
    first = generate(source_prefix="a/")
    assert _second(stack, source=first.source.bucket, source_prefix="ab/").rule is None


@pytest.mark.parametrize(("one", "other"), [("", ""), ("a/", ""), ("", "a/"), ("a/", "a/")])
def test_two_generators_share_no_destination(stack: Stack, generate: Generate, one: str, other: str):
    """Two generators with overlapping destinations are refused."""
    first = generate(destination_prefix=one)
    props = {"destination": first.destination.bucket, "destination_prefix": other}
    assert "no other generator writes to" in _sentence(lambda: _second(stack, **props))


def test_generators_do_not_feed_each_other(stack: Stack, generate: Generate):
    """Thumbnails of one generator may not be sources of another."""
    first = generate()
    sentence = _sentence(lambda: _second(stack, source=first.destination.bucket, destination=first.source.bucket))
    assert "would be sources of the other" in sentence


def test_two_generators_name_a_bucket_once(stack: Stack, generate: Generate):
    """Two imports of one source bucket in one stack are refused; in two stacks they are allowed."""
    generate(source=s3.Bucket.from_bucket_name(stack, "One", "photos"), source_prefix="a/")
    again = s3.Bucket.from_bucket_name(stack, "Other", "photos")
    assert "one construct" in _sentence(lambda: _second(stack, source=again, source_prefix="b/"))
    elsewhere = Stack(stack.node.root, "Elsewhere")  # type: ignore[arg-type]
    apart = s3.Bucket.from_bucket_name(elsewhere, "Other", "photos")
    assert _second(elsewhere, source=apart, source_prefix="c/").queue


def test_two_stacks_may_name_one_bucket(stack: Stack, generate: Generate):
    """Two stacks may import the same bucket; a warning states the conflict if both are deployed."""
    generate(source=s3.Bucket.from_bucket_name(stack, "One", "photos"))
    elsewhere = Stack(stack.node.root, "Elsewhere")  # type: ignore[arg-type]
    assert _second(elsewhere, source=s3.Bucket.from_bucket_name(elsewhere, "Other", "photos")).queue
    Annotations.from_stack(elsewhere).has_warning("*", Match.string_like_regexp("If both stacks are deployed: source"))


def test_a_bucket_of_the_app_is_known_in_every_stack(stack: Stack, generate: Generate):
    """A second stack that uses or imports a bucket of the app is refused."""
    generate(source=s3.Bucket(stack, "Made", bucket_name="photos"))
    elsewhere = Stack(stack.node.root, "Elsewhere")  # type: ignore[arg-type]
    apart = s3.Bucket.from_bucket_name(elsewhere, "Other", "photos")
    assert 'trigger="eventbridge"' in _sentence(lambda: _second(elsewhere, source=apart))


def _isolated(stack: Stack, *services: Any) -> ec2.Vpc:
    subnets = [ec2.SubnetConfiguration(name="Isolated", subnet_type=ec2.SubnetType.PRIVATE_ISOLATED)]
    vpc = ec2.Vpc(stack, "Isolated", max_azs=2, nat_gateways=0, subnet_configuration=subnets)
    for number, each in enumerate(services):
        if isinstance(each, ec2.GatewayVpcEndpointAwsService):
            vpc.add_gateway_endpoint(f"Gateway{number}", service=each)
        else:
            ec2.InterfaceVpcEndpoint(stack, f"Interface{number}", vpc=vpc, service=each)
    return vpc


S3 = ec2.GatewayVpcEndpointAwsService.S3


def test_an_isolated_function_reaches_its_buckets(stack: Stack, generate: Generate):
    """A network without internet access needs an endpoint for S3."""
    assert "endpoint for s3" in _refusal(generate, vpc=_isolated(stack))


def test_an_isolated_function_reaches_its_own_buckets(stack: Stack, generate: Generate):
    """The IsolatedNetwork must include source and destination."""
    network = IsolatedNetwork(stack, "Network", buckets=[s3.Bucket(stack, "Other")])
    assert "among the buckets of its IsolatedNetwork" in _refusal(generate, vpc=network.vpc)


@pytest.mark.parametrize("given", ["network", "vpc", "function_props"])
def test_an_isolated_catalogue_reaches_its_table(stack: Stack, generate: Generate, given: str):
    """A catalogue needs an endpoint for DynamoDB in each kind of isolated network."""
    buckets = {"source": s3.Bucket(stack, "In"), "destination": s3.Bucket(stack, "Out")}
    if given == "network":
        props: dict[str, Any] = {"vpc": IsolatedNetwork(stack, "Network", buckets=list(buckets.values())).vpc}
    elif given == "vpc":
        props = {"vpc": _isolated(stack, S3)}
    else:
        props = _function(vpc=_isolated(stack, S3))
    assert "IsolatedNetwork: dynamodb=True" in _refusal(generate, catalogue=True, **buckets, **props)


def _routed(stack: Stack, generator: ThumbnailGenerator, **props: Any) -> ThumbnailTask:
    image = ecs.ContainerImage.from_registry("example.com/thumbsmith:1")
    given = {"vpc": ec2.Vpc(stack, "Tasks", max_azs=2)} | props
    return ThumbnailTask(stack, "Task", generator=generator, image=image, **given)


def test_an_isolated_function_reaches_the_tasks_queue(stack: Stack, generate: Generate):
    """Routing needs an endpoint for SQS in such a network; without routing it needs none."""
    made = generate(vpc=_isolated(stack, S3))
    assert "IsolatedNetwork: sqs=True" in _sentence(lambda: _routed(stack, made))
    assert _routed(Stack(stack, "Nested"), made, route=False).queue


def test_an_endpoint_for_the_tasks_queue_is_a_way(stack: Stack, generate: Generate):
    """An endpoint for SQS, of IsolatedNetwork or the user's, is enough."""
    buckets = [s3.Bucket(stack, "In"), s3.Bucket(stack, "Out")]
    network = IsolatedNetwork(stack, "Network", buckets=buckets, sqs=True)
    made = generate(source=buckets[0], destination=buckets[1], vpc=network.vpc)
    assert _routed(stack, made).queue
    nested = Stack(stack, "Nested")
    mine = _second(nested, vpc=_isolated(nested, S3, ec2.InterfaceVpcEndpointAwsService.SQS))
    assert _routed(nested, mine).queue


@pytest.mark.parametrize(
    ("kind", "words"),
    [(ec2.SubnetType.PRIVATE_ISOLATED, "endpoint for ecr.api"), (ec2.SubnetType.PUBLIC, "expected private subnets")],
)
def test_tasks_can_start_in_their_network(stack: Stack, generate: Generate, kind: ec2.SubnetType, words: str):
    """Tasks in a network from which they cannot fetch their image are refused."""
    subnets = [ec2.SubnetConfiguration(name="Only", subnet_type=kind)]
    vpc = ec2.Vpc(stack, "Closed", max_azs=2, nat_gateways=0, subnet_configuration=subnets)
    assert words in _sentence(lambda: _routed(stack, generate(), vpc=vpc))


def test_a_function_in_public_subnets_alone(stack: Stack, generate: Generate):
    """A network without private subnets is refused with CDK's message."""
    subnets = [ec2.SubnetConfiguration(name="Public", subnet_type=ec2.SubnetType.PUBLIC)]
    assert "Function: " in _refusal(generate, vpc=ec2.Vpc(stack, "Public", subnet_configuration=subnets))


def test_a_network_is_named_once(stack: Stack, generate: Generate):
    """Two networks for one function are refused."""
    one, other = ec2.Vpc(stack, "One"), ec2.Vpc(stack, "Other")
    assert "no other vpc" in _refusal(generate, vpc=one, **_function(vpc=other))


def test_an_imported_network_is_not_judged(stack: Stack, generate: Generate):
    """The endpoints of an imported network are not checked."""
    imported = ec2.Vpc.from_vpc_attributes(
        stack, "Mine", vpc_id="vpc-1", availability_zones=["a"], isolated_subnet_ids=["subnet-1"]
    )
    made = generate(vpc=imported, catalogue=True)
    assert _routed(stack, made).queue
    Tags.of(made).add("team", "pictures")
