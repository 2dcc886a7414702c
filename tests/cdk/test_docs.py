"""The Python examples in docs/aws.md run unchanged."""

import re
from pathlib import Path
from typing import Any

import pytest
from aws_cdk import App, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from aws_cdk.assertions import Template

PAGE = (Path(__file__).parents[2] / "docs" / "aws.md").read_text()


@pytest.mark.parametrize("code", re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL))
def test_it_makes_what_it_says(code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Each example creates a function, in a stack with two buckets, a role, and a recipe in the working folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "thumbsmith.toml").write_text("[variants.small]\nwidth = 30\n")
    context = {"aws:cdk:bundling-stacks": []}  # nothing is deployed, so that no code is built
    stack = Stack(App(outdir=str(tmp_path / "cdk.out"), context=context), "Docs")
    names: dict[str, Any] = {
        "stack": stack,
        "photos": s3.Bucket(stack, "Photos"),
        "thumbs": s3.Bucket(stack, "Thumbs"),
        "your_role": iam.Role(stack, "Role", assumed_by=iam.ServicePrincipal("ec2.amazonaws.com")),
    }
    exec(code, names)
    functions = Template.from_stack(stack).find_resources("AWS::Lambda::Function")
    assert len(functions) >= 2  # CDK's own for notifications is one of them
