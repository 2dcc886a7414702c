"""A stack of the previous release is updated to this one, with another recipe, and removed.

`releases/previous.json` is the template of the release before, with backfill, batch and catalogue, as CDK wrote it. Its
code is a parameter. No test writes the file. After a release, replace it with the template of that release:
`thumbsmith aws synth -c backfill=true -c batch=true -c catalogue=true -c keep=false`.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cloud import local_app
from tests.cloud.deployed import Deployed
from tests.cloud.emulator import Cloud, eventually
from tests.cloud.test_plain import adapted, created
from tests.pictures import picture
from tests.servers.fixtures import needs_servers
from thumbsmith.cdk import packaging

PREVIOUS = json.loads((Path(__file__).parent / "releases" / "previous.json").read_text(encoding="utf-8"))
SETTINGS = {"backfill": True, "batch": True, "catalogue": True}
OLD = "[variants.small]\nwidth = 40\n[variants.large]\nwidth = 50\n"
RENAMED = "[variants.thumb]\nwidth = 40\n[variants.large]\nwidth = 50\n"
CHANGED = "[variants.thumb]\nwidth = 30\n[variants.large]\nwidth = 50\n"

# Resources that hold something: if one is replaced, that is lost.
STATEFUL = ("AWS::S3::Bucket", "AWS::SQS::Queue", "AWS::DynamoDB::Table")

pytestmark = [needs_servers, pytest.mark.deep]


@pytest.fixture(scope="module")
def previous(where: Cloud) -> Deployed:
    """Return a stack of the previous release, made by CloudFormation; its function has the code of today."""
    s3 = where.client("s3")
    s3.create_bucket(Bucket="code")
    with (local_app.code() / f"{packaging.CONVERGING.name}.zip").open("rb") as code:
        s3.put_object(Bucket="code", Key="function.zip", Body=code)
    template = adapted(PREVIOUS)
    for each in functions(template):
        variables = each["Properties"]["Environment"]["Variables"]
        if "THUMBSMITH_SOURCE" in variables:
            variables["THUMBSMITH_RECIPE"] = OLD
    return Deployed(where, created(where, "Thumbsmith", template, CodeBucket="code", CodeKey="function.zip"))


def functions(template: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the functions of a template that have the code of a parameter."""
    every = [each for each in template["Resources"].values() if each["Type"] == "AWS::Lambda::Function"]
    return [each for each in every if "Ref" in str(each["Properties"]["Code"])]


def stateful(where: Cloud) -> dict[str, str]:
    """Return the physical names of the stack's resources that hold something, by logical name."""
    found = where.client("cloudformation").describe_stack_resources(StackName="Thumbsmith")["StackResources"]
    return {each["LogicalResourceId"]: each["PhysicalResourceId"] for each in found if each["ResourceType"] in STATEFUL}


def test_a_stack_of_the_previous_release_is_updated(previous: Deployed, where: Cloud, key: str, tmp_path: Path):
    """No bucket, queue or table is replaced; a renamed and a changed variant are made, and the rest is kept.

    The stack is removed at the end.
    """
    etag = previous.put(key, picture("#102030"))
    previous.manifest(key, etag)
    assert previous.names(key) == {"small.webp", "large.webp", "manifest.json"}
    before, large = stateful(where), previous.read(f"{key}/large.webp")
    assert len(before) == len([each for each in PREVIOUS["Resources"].values() if each["Type"] in STATEFUL])

    recipe = tmp_path / "recipe.toml"
    recipe.write_text(RENAMED)
    updated = Deployed(where, where.deploy(recipe=recipe, **SETTINGS))
    assert stateful(where) == before
    assert updated.outputs.items() >= previous.outputs.items()
    assert updated.names(key) == {"small.webp", "large.webp", "manifest.json"}  # until its next event, or a sync
    stores = (f"s3://{updated.source}", f"s3://{updated.destination}")
    where.thumbsmith("sync", *stores, "--recipe", str(recipe), "--via", updated.outputs["Backfill"])
    assert updated.names(key) == {"thumb.webp", "large.webp", "manifest.json"}
    assert updated.read(f"{key}/large.webp") == large
    assert updated.manifest(f"{key}2", updated.put(f"{key}2", picture("#a0b0c0")))["status"] == "ok"

    recipe.write_text(CHANGED)
    where.deploy(recipe=recipe, **SETTINGS)
    assert stateful(where) == before
    thumb = updated.read(f"{key}/thumb.webp")
    where.thumbsmith("sync", *stores, "--recipe", str(recipe), "--via", updated.outputs["Backfill"])
    assert updated.read(f"{key}/thumb.webp") != thumb
    assert updated.read(f"{key}/large.webp") == large

    for each in (key, f"{key}2"):
        updated.delete(each)
        eventually(lambda name=each: not updated.names(name))
    where.destroy(recipe=recipe, **SETTINGS)
    stacks = where.client("cloudformation").list_stacks(StackStatusFilter=["CREATE_COMPLETE", "UPDATE_COMPLETE"])
    assert "Thumbsmith" not in {each["StackName"] for each in stacks["StackSummaries"]}
    assert not {updated.source, updated.destination} & {each["Name"] for each in updated.s3.list_buckets()["Buckets"]}
