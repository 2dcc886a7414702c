"""The ready app: its settings, its template, and the findings of cdk-nag and cfn-lint."""

import contextlib
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aws_cdk import App, Stack, Validations
from aws_cdk import aws_s3 as s3
from aws_cdk.assertions import Template
from cdk_nag import AwsSolutionsChecks

from tests.cdk.conftest import inline
from thumbsmith.cdk import ThumbnailAudit, ThumbnailDelivery, ThumbnailGenerator
from thumbsmith.cdk.app import Settings, ThumbsmithStack, settings_of
from thumbsmith.errors import UsageError

ROOT = Path(__file__).parents[2]
EVERYTHING = Settings(
    catalogue=True,
    announce=True,
    alarm_email="a@example.com",
    dashboard=True,
    isolated=True,
    tracing=True,
    api="jwt",
    jwt_issuer="https://issuer.example",
    jwt_audience="thumbs",
    public_renditions=True,
    allow_origins="https://shop.example",
    delivery=True,
    backfill=True,
    batch=True,
    audit_repair=True,
)


def _stack(folder: Path, settings: Settings) -> tuple[App, ThumbsmithStack]:
    app = App(outdir=str(folder / "cdk.out"))
    return app, ThumbsmithStack(app, settings, function_props={"code": inline()}, api_props={"code": inline()})


def synthesized(folder: Path, settings: Settings) -> Template:
    """Write the template of the ready app to `folder`/cdk.out; return it."""
    app, stack = _stack(folder, settings)
    app.synth()
    return Template.from_stack(stack)


@pytest.fixture(
    params=[
        Settings(),
        Settings(trigger="eventbridge", source="photos", destination="thumbs"),
        EVERYTHING,
        replace(EVERYTHING, leave_nothing=True),
    ]
)
def settings(request: pytest.FixtureRequest) -> Settings:
    """Return the fewest settings, other settings, and all settings."""
    return request.param


def test_cdk_nag_finds_nothing_unexplained(tmp_path: Path, settings: Settings):
    """Each finding of cdk-nag's AWS Solutions is acknowledged with its reason."""
    app, _ = _stack(tmp_path, settings)
    Validations.of(app).add_plugins(AwsSolutionsChecks(app))
    app.synth()
    report = json.loads((tmp_path / "cdk.out" / "validation-report.json").read_text())
    assert [plugin["conclusion"] for plugin in report["pluginReports"]] == ["success"]


def test_cfn_lint_finds_nothing(tmp_path: Path, settings: Settings):
    """cfn-lint finds nothing except the dependencies that CDK always writes (W3005)."""
    app, _ = _stack(tmp_path, settings)
    app.synth()
    template = tmp_path / "cdk.out" / "Thumbsmith.template.json"
    lint = [Path(sys.executable).with_name("cfn-lint"), "--ignore-checks", "W3005", "--", str(template)]
    done = subprocess.run(lint, check=False, capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stdout) == (0, "")


def test_new_buckets_are_private(tmp_path: Path):
    """New buckets are encrypted, not public, TLS only, and retained."""
    template = Template.from_stack(_stack(tmp_path, Settings())[1])
    buckets = template.find_resources("AWS::S3::Bucket")
    assert len(buckets) == 2
    for each in buckets.values():
        assert set(each["Properties"]["PublicAccessBlockConfiguration"].values()) == {True}
        assert each["Properties"]["BucketEncryption"]
        assert each["DeletionPolicy"] == "Retain"
    for policy in template.find_resources("AWS::S3::BucketPolicy").values():
        denied = policy["Properties"]["PolicyDocument"]["Statement"]
        assert {"Bool": {"aws:SecureTransport": "false"}} in [each["Condition"] for each in denied]
        assert {each["Effect"] for each in denied} == {"Deny"}


def test_nothing_is_left(tmp_path: Path):
    """With leave_nothing, each bucket is emptied and deleted with the stack, and so is each log group."""
    template = Template.from_stack(_stack(tmp_path, replace(EVERYTHING, leave_nothing=True))[1])
    found = template.to_json()["Resources"].values()
    assert {each.get("DeletionPolicy", "Delete") for each in found} == {"Delete"}
    emptied = [each for each in found if each["Type"] == "Custom::S3AutoDeleteObjects"]
    names = {each["Properties"]["BucketName"]["Ref"] for each in emptied}
    assert names == set(template.find_resources("AWS::S3::Bucket"))
    assert len(names) == 3
    functions = template.find_resources("AWS::Lambda::Function").values()
    assert all("LogGroup" in each["Properties"]["LoggingConfig"] for each in functions)


def test_outputs_name_what_people_ask_for(tmp_path: Path):
    """The outputs name both buckets, both queues and the function."""
    outputs = Template.from_stack(_stack(tmp_path, Settings())[1]).find_outputs("*")
    assert {"SourceBucket", "DestinationBucket", "Function", "Queue", "DeadLetters"} <= set(outputs)
    assert not {"ApiUrl", "DeliveryUrl"} & set(outputs)


def test_context_is_read(tmp_path: Path):
    """Each setting may be text, from a command line, or JSON, from cdk.json."""
    app = App(
        outdir=str(tmp_path),
        context={"memory": "512", "catalogue": "yes", "tracing": True, "source": "a", "timeout": 5},
    )
    assert settings_of(app.node) == Settings(memory=512, catalogue=True, tracing=True, source="a", timeout=5)


@pytest.mark.parametrize(
    ("context", "sentence"),
    [
        ({"memory": "much"}, "context memory: expected a whole number, found 'much'"),
        ({"catalogue": "maybe"}, "context catalogue: expected true or yes or on"),
        ({"source_key": "alias/photos"}, "context source_key: expected the ARN of a KMS key"),
        ({"destination_key": "arn:aws:kms:eu-central-1:123456789012:alias/x"}, "context destination_key: expected"),
        ({"read_scopes": "thumbs/read"}, "expected api=jwt with them"),
        ({"trigger": "sns"}, "context trigger: expected s3 or eventbridge, found 'sns'"),
        ({"api": "open"}, "context api: expected off or iam or jwt, found 'open'"),
        ({"api": "jwt"}, "context api: jwt: expected jwt_issuer and jwt_audience with it"),
        ({"architecture": "mips"}, "context architecture: expected arm64 or x86_64, found 'mips'"),
    ],
)
def test_context_that_cannot_be(tmp_path: Path, context: dict[str, Any], sentence: str):
    """An invalid value of a setting gives one sentence with its name."""
    with pytest.raises(UsageError, match=sentence):
        settings_of(App(outdir=str(tmp_path), context=context).node)


def test_a_python_that_lambda_does_not_run():
    """A version of Python that Lambda does not have is refused."""
    with pytest.raises(UsageError, match=r"3\.99"):
        _ = Settings(python="3.99").runtime


def test_the_recipe_of_the_folder_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The app uses the recipe of the context, else ./thumbsmith.toml if it exists."""
    monkeypatch.chdir(tmp_path)
    assert Settings().recipe_file is None
    (tmp_path / "thumbsmith.toml").touch()
    assert Settings().recipe_file == "thumbsmith.toml"
    assert Settings(recipe="other.toml").recipe_file == "other.toml"


def test_a_mistake_is_one_sentence(tmp_path: Path):
    """The app ends with exit code 2 and one sentence, without a traceback."""
    (tmp_path / "thumbsmith.toml").write_text("[variants.a]\nwidth = -1\n")
    run = [sys.executable, "-m", "thumbsmith.cdk.app"]
    done = subprocess.run(run, cwd=tmp_path, check=False, capture_output=True, text=True, timeout=300)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("thumbsmith: thumbsmith.toml: [variants.a] width")


def test_what_cdk_refuses_is_one_sentence_too(tmp_path: Path):
    """An invalid bucket name gives CDK's message without its traceback."""
    context = {"CDK_CONTEXT_JSON": json.dumps({"source": "a"})}
    run = [sys.executable, "-m", "thumbsmith.cdk.app"]
    done = subprocess.run(
        run, cwd=tmp_path, env=os.environ | context, check=False, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 2
    assert "Invalid S3 bucket name (value: a)" in done.stderr
    assert done.stderr.count("\n") == 1


KEYS = {
    "source_key": "arn:aws:kms:eu-central-1:123456789012:key/1111",
    "destination_key": "arn:aws:kms:eu-central-1:123456789012:key/2222",
}


def test_existing_buckets_with_keys_are_used(tmp_path: Path):
    """With KMS keys of existing buckets, each role may use them as it uses the buckets."""
    settings = Settings(source="photos", destination="thumbs", api="iam", audit_repair=True, catalogue=True, **KEYS)
    template = Template.from_stack(_stack(tmp_path, settings)[1])
    template.resource_count_is("AWS::S3::Bucket", 0)
    used: dict[str, set[str]] = {}
    for name, role in template.find_resources("AWS::IAM::Role").items():
        for policy in role["Properties"].get("Policies", []):
            for each in policy["PolicyDocument"]["Statement"]:
                if "crypt" in each.get("Sid", ""):
                    used.setdefault(each["Sid"], set()).add(name[:10])
                    wanted = KEYS["source_key" if each["Sid"].endswith("Source") else "destination_key"]
                    assert each["Resource"] == wanted
    assert {sid: len(names) for sid, names in used.items()} == {
        "DecryptSource": 2,  # the function and the API
        "EncryptSource": 1,
        "EncryptDestination": 1,
        "DecryptDestination": 2,  # the API and the audit
        "DecryptManifests": 1,
    }


def test_a_new_bucket_may_have_a_key(tmp_path: Path):
    """With a key and no bucket, the new bucket uses the key, with a bucket key."""
    template = Template.from_stack(_stack(tmp_path, Settings(destination_key=KEYS["destination_key"]))[1])
    (rule,) = [
        each["Properties"]["BucketEncryption"]["ServerSideEncryptionConfiguration"][0]
        for name, each in template.find_resources("AWS::S3::Bucket").items()
        if name.startswith("Destination")
    ]
    assert rule["BucketKeyEnabled"] is True
    assert rule["ServerSideEncryptionByDefault"]["KMSMasterKeyID"] == KEYS["destination_key"]


def test_the_app_says_what_to_add_to_existing_buckets(tmp_path: Path):
    """For existing buckets, outputs have the bucket policy, the key policy and the CORS rules to add."""
    settings = Settings(
        source="photos", destination="thumbs", delivery=True, api="iam", allow_origins="https://a.example", **KEYS
    )
    outputs = Template.from_stack(_stack(tmp_path, settings)[1]).find_outputs("*")
    for start in ("DeliveryBucketPolicy", "DeliveryKeyPolicy", "ApiSourceCors"):
        assert [each for name, each in outputs.items() if name.startswith(start)]


def test_one_word_opens_delivery_and_api_to_pages(tmp_path: Path):
    """allow_origins is also for the delivery; without it, pages of all origins may use thumbnails."""
    for origins, expected in (
        ("https://a.example, https://b.example", ["https://a.example", "https://b.example"]),
        ("", ["*"]),
    ):
        template = Template.from_stack(_stack(tmp_path, Settings(delivery=True, allow_origins=origins))[1])
        (policy,) = template.find_resources("AWS::CloudFront::ResponseHeadersPolicy").values()
        cors = policy["Properties"]["ResponseHeadersPolicyConfig"]["CorsConfig"]
        assert cors["AccessControlAllowOrigins"]["Items"] == expected


def test_scopes_come_from_context(tmp_path: Path):
    """The scopes of tokens are comma-separated settings."""
    settings = Settings(
        api="jwt",
        jwt_issuer="https://issuer.example",
        jwt_audience="a, b",
        read_scopes="r",
        upload_scopes="u, admin",
        delete_scopes="admin",
    )
    template = Template.from_stack(_stack(tmp_path, settings)[1])
    template.has_resource_properties(
        "AWS::ApiGatewayV2::Route", {"RouteKey": "POST /uploads", "AuthorizationScopes": ["u", "admin"]}
    )


def test_nothing_stays_that_is_not_to_be_kept(tmp_path: Path):
    """With keep=false no bucket is retained, including that of jobs."""
    template = Template.from_stack(_stack(tmp_path, Settings(keep=False, batch=True))[1])
    buckets = template.find_resources("AWS::S3::Bucket").values()
    assert [each["DeletionPolicy"] for each in buckets] == ["Delete"] * 3


def test_no_log_stays_for_ever(tmp_path: Path):
    """Each function writes to a log group that expires, including CDK's own function."""
    template = Template.from_stack(_stack(tmp_path, EVERYTHING)[1])
    groups = template.find_resources("AWS::Logs::LogGroup")
    assert all(each["Properties"]["RetentionInDays"] for each in groups.values())
    functions = template.find_resources("AWS::Lambda::Function").values()
    assert len(functions) == 5
    for each in functions:
        assert each["Properties"]["LoggingConfig"]["LogGroup"]["Ref"] in groups


def test_without_the_extra_one_sentence_names_it():
    """Without CDK, an import of the construct names the extra to install."""
    code = "import sys; sys.modules['aws_cdk'] = None\nimport thumbsmith.cdk"
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True, timeout=300)
    assert 'thumbsmith.cdk needs the extra "cdk": run ' in done.stderr.splitlines()[-1]


@pytest.mark.parametrize("trigger", ["s3", "eventbridge"])
def test_a_construct_explains_its_findings_in_any_app(tmp_path: Path, trigger: str):
    """In an app of one's own, cdk-nag finds nothing in the constructs: only the app's own buckets."""
    app = App(outdir=str(tmp_path / "cdk.out"))
    stack = Stack(app, "Mine")
    buckets = {name: s3.Bucket(stack, name.title()) for name in ("source", "destination")}
    props: dict[str, Any] = {"backfill": True, "batch": True, "catalogue": True, "announce": True, "alarms": True}
    generator = ThumbnailGenerator(
        stack, "Thumbnails", **buckets, **props, trigger=trigger, function_props={"code": inline()}
    )
    ThumbnailAudit(stack, "Audit", generator=generator, repair=True)
    ThumbnailDelivery(stack, "Delivery", thumbnails=generator)
    Validations.of(app).add_plugins(AwsSolutionsChecks(app))
    with contextlib.suppress(RuntimeError):  # the findings in the app's own buckets
        app.synth()
    report = json.loads((tmp_path / "cdk.out" / "validation-report.json").read_text())
    places = {
        violation["constructPath"]
        for plugin in report["pluginReports"]
        for found in plugin["violations"]
        for violation in found["violatingConstructs"]
    }
    assert places
    assert all(place.startswith(("Mine/Source/", "Mine/Destination/")) for place in places)


@pytest.mark.parametrize("keep", [True, False])
def test_what_a_removed_stack_leaves(tmp_path: Path, *, keep: bool):
    """With all settings, only the new buckets stay after the stack is deleted; with keep=false, nothing does."""
    resources = synthesized(tmp_path, replace(EVERYTHING, keep=keep)).to_json()["Resources"]
    kept = {each["Type"] for each in resources.values() if each.get("DeletionPolicy") == "Retain"}
    assert kept == ({"AWS::S3::Bucket"} if keep else set())
    functions = [each["Properties"] for each in resources.values() if each["Type"] == "AWS::Lambda::Function"]
    assert all("LogGroup" in each["LoggingConfig"] for each in functions)  # a group that Lambda makes would stay
