"""The template of `thumbsmith aws synth` is deployed by CloudFormation alone, without CDK."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cloud import local_app
from tests.cloud.deployed import Deployed
from tests.cloud.emulator import Cloud, cloud, eventually
from tests.pictures import picture
from tests.servers.fixtures import needs_servers
from thumbsmith.cdk import packaging

pytestmark = [needs_servers, pytest.mark.deep]


def adapted(template: dict[str, Any]) -> dict[str, Any]:
    """Change what the emulator cannot hold: Lambda's own runtime, its processor, and statements about TLS."""
    for resource in template["Resources"].values():
        properties = resource.get("Properties", {})
        if resource["Type"] == "AWS::Lambda::Function" and "Ref" in str(properties["Code"]):
            properties |= {"Runtime": "provided.al2023", "Architectures": [local_app.ARCHITECTURE]}
        if resource["Type"] in {"AWS::S3::BucketPolicy", "AWS::SQS::QueuePolicy"}:
            first = properties["PolicyDocument"]["Statement"][0]
            assert first["Effect"] == "Deny"
            first["Condition"]["StringEquals"] = {"aws:userid": "nobody"}
    return template


def created(where: Cloud, name: str, template: dict[str, Any], **parameters: str) -> dict[str, str]:
    """Create a stack by CloudFormation alone; return its outputs."""
    cloudformation = where.client("cloudformation")
    cloudformation.create_stack(
        StackName=name,
        TemplateBody=json.dumps(template),
        Parameters=[{"ParameterKey": each, "ParameterValue": value} for each, value in parameters.items()],
        Capabilities=["CAPABILITY_IAM"],
    )

    def stack() -> dict[str, Any]:
        (found,) = cloudformation.describe_stacks(StackName=name)["Stacks"]
        return found

    eventually(lambda: not stack()["StackStatus"].endswith("IN_PROGRESS"))
    assert stack()["StackStatus"] == "CREATE_COMPLETE"
    return {each["OutputKey"]: each["OutputValue"] for each in stack()["Outputs"]}


@pytest.fixture
def where(tmp_path: Path) -> Iterator[Cloud]:
    """Return a cloud that was not prepared for CDK."""
    with cloud(tmp_path) as made:
        yield made


def test_a_plain_template_deploys(where: Cloud, key: str):
    """CloudFormation gets the template, and the code from a bucket; then pictures get thumbnails."""
    folder = where.folder / "plain"
    output = where.thumbsmith("aws", "synth", "-o", str(folder), "-c", "stack=Plain", "-c", "keep=false")
    written = [Path(line) for line in output.splitlines()]
    assert written[0] == folder / "template.json"
    template = json.loads(written[0].read_text())
    assert template["Parameters"]["CodeKey"]["Default"] == written[1].name
    assert "BootstrapVersion" not in template["Parameters"]
    s3 = where.client("s3")
    s3.create_bucket(Bucket="code")
    with (local_app.code() / f"{packaging.CONVERGING.name}.zip").open("rb") as code:
        s3.put_object(Bucket="code", Key=written[1].name, Body=code)
    outputs = created(where, "Plain", adapted(template), CodeBucket="code")
    plain = Deployed(where, outputs)
    assert plain.manifest(key, plain.put(key, picture("#334455")))["status"] == "ok"
    plain.delete(key)
    eventually(lambda: not plain.names(key))
    where.thumbsmith("aws", "status", "Plain")
