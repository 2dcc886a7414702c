"""A plain CloudFormation template of the ready app, and the code of its functions: `thumbsmith aws synth`.

    python -m thumbsmith.cdk.plain FOLDER [NAME=VALUE...]

CloudFormation deploys them without CDK and without Python. The code is uploaded to a bucket, whose name is a parameter
of the template. The name of a file with code contains a digest of it, so that an update replaces the code.
"""

from __future__ import annotations

import hashlib
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Final

from aws_cdk import App, CfnParameter, DefaultStackSynthesizer, Stack
from aws_cdk import aws_lambda as lambda_

from thumbsmith.cdk import packaging
from thumbsmith.cdk.app import Settings, ThumbsmithStack, listed, settings_of
from thumbsmith.cdk.function import MAX_RECIPE_BYTES, recipe_text
from thumbsmith.cdk.machine import Machine, machine_of, python_of
from thumbsmith.errors import RecipeError, ThumbsmithError, UsageError

TEMPLATE: Final = "template.json"

# The parameters of the template: the bucket with the code, and the key of each zip.
CODE_BUCKET: Final = "CodeBucket"
CODE_KEY: Final = "CodeKey"
API_CODE_KEY: Final = "ApiCodeKey"

# CloudFormation accepts a template of this size in the request itself, and a larger one from a bucket.
# https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html
MAX_TEMPLATE_BYTES: Final = 51_200

# Lists of the files that CDK would upload: only the template itself may be one.
_FILE_ASSETS: Final = "*.assets.json"

# Settings for the deployment by CDK, and those that need code of CDK's own in addition to the template.
REFUSED: Final = ("cli_credentials", "leave_nothing")


class BucketCode:
    """The code of functions in a bucket that parameters name. `keys` are the defaults of these parameters, by name."""

    def __init__(self, keys: dict[str, str]) -> None:
        self._keys = keys

    def function_props(self, stack: Stack) -> dict[str, Any]:
        """Return the props with the code of the function that makes thumbnails."""
        return self._props(stack, CODE_KEY)

    def api_props(self, stack: Stack) -> dict[str, Any] | None:
        """Return the props with the code of the API; None without an API."""
        return self._props(stack, API_CODE_KEY) if API_CODE_KEY in self._keys else None

    def _props(self, stack: Stack, name: str) -> dict[str, Any]:
        bucket = stack.node.try_find_child(CODE_BUCKET) or CfnParameter(
            stack, CODE_BUCKET, description="A bucket in the region of this stack, with the code."
        )
        key = CfnParameter(stack, name, default=self._keys[name], description="The key of the code in this bucket.")
        return {"code": lambda_.Code.from_cfn_parameters(bucket_name_param=bucket, object_key_param=key)}  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class Written:
    """The name of the stack, and the paths of the template and of the zips."""

    stack: str
    template: Path
    code: tuple[Path, ...]


def write(folder: Path, context: dict[str, str]) -> Written:
    """Write the template and the code for these settings to a folder.

    Raises UsageError for a setting that does not exist, has no such value, or needs CDK; RecipeError for the recipe.
    """
    known = [each.name for each in fields(Settings)]
    for name in context:
        if name not in known:
            raise UsageError(f"-c {name}: there is no such setting; docs/aws.md lists all of them")
        if name in REFUSED:
            raise UsageError(f"-c {name}: expected no such setting for a plain template: use thumbsmith aws deploy")
    with tempfile.TemporaryDirectory(prefix="thumbsmith-synth-") as temporary:
        app = App(context=context, outdir=temporary, analytics_reporting=False)
        settings = settings_of(app.node)
        recipe = recipe_text(settings.recipe_file)
        if recipe and len(recipe.encode()) > MAX_RECIPE_BYTES:
            raise RecipeError(f"recipe: expected at most {MAX_RECIPE_BYTES} bytes for a plain template")
        folder.mkdir(parents=True, exist_ok=True)
        files = _code(folder, settings)
        code = BucketCode({name: path.name for name, path in files.items()})
        synthesizer = DefaultStackSynthesizer(generate_bootstrap_version_rule=False)
        stack = ThumbsmithStack(app, settings, code=code, synthesizer=synthesizer)
        app.synth()
        _require_no_assets(Path(temporary), stack.template_file)
        template = json.loads(Path(temporary, stack.template_file).read_text(encoding="utf-8"))
    target, text = folder / TEMPLATE, json.dumps(template, indent=1, ensure_ascii=False)
    if len(text.encode()) > MAX_TEMPLATE_BYTES:
        text = json.dumps(template, separators=(",", ":"), ensure_ascii=False)
    target.write_text(text + "\n", encoding="utf-8")
    return Written(settings.stack, target, tuple(files.values()))


def _code(folder: Path, settings: Settings) -> dict[str, Path]:
    """Build the zips; return their paths by the parameter for the key."""
    machine = machine_of(runtime=settings.runtime, architecture=settings.architecture)
    extras = tuple(each for each in packaging.EXTRAS if each in listed(settings.extras))
    kinds = {CODE_KEY: replace(packaging.CONVERGING, extras=extras)}
    if settings.api != "off":
        kinds[API_CODE_KEY] = packaging.API
    return {name: _built(folder, machine, contents) for name, contents in kinds.items()}


def _built(folder: Path, machine: Machine, contents: packaging.Contents) -> Path:
    target = folder / f"{contents.name}.zip"
    packaging.build(
        target, python=python_of(machine.runtime), architecture=machine.architecture.name, contents=contents
    )
    digest = hashlib.sha256(target.read_bytes()).hexdigest()
    return target.rename(folder / f"thumbsmith-{contents.name}-{digest[:16]}.zip")


def _require_no_assets(assembly: Path, template: str) -> None:
    """Raise UsageError if the template refers to a file that only CDK uploads."""
    for file in assembly.glob(_FILE_ASSETS):
        for asset in json.loads(file.read_text(encoding="utf-8"))["files"].values():
            if asset["source"]["path"] != template:
                raise UsageError(f"{asset.get('displayName', asset['source']['path'])}: expected no file but the code")


def guide(written: Written) -> str:
    """Return the commands that deploy what was written."""
    upload = [f"  aws s3 cp {path} s3://CODE_BUCKET/" for path in written.code]
    deploy = f"  aws cloudformation deploy --stack-name {written.stack} --template-file {written.template}"
    if written.template.stat().st_size > MAX_TEMPLATE_BYTES:
        deploy += " --s3-bucket CODE_BUCKET"
    deploy += f" --parameter-overrides {CODE_BUCKET}=CODE_BUCKET --capabilities CAPABILITY_IAM"
    return "\n".join(["To deploy, with a bucket in the region of the stack as CODE_BUCKET:", *upload, deploy])


def main(arguments: Sequence[str]) -> int:
    """Write to the folder in the first argument, with the settings in the others; return the exit code."""
    folder, context = Path(arguments[0]), dict(each.partition("=")[::2] for each in arguments[1:])
    try:
        written = write(folder, context)
    except (ThumbsmithError, RuntimeError) as error:  # CDK's own checks raise RuntimeError
        sys.stderr.write(f"thumbsmith: {' '.join(str(error).split())}\n")
        return 2
    except OSError as error:
        sys.stderr.write(f"thumbsmith: {error.filename or folder}: cannot be written: {error.strerror}\n")
        return 1
    sys.stdout.write("".join(f"{path}\n" for path in (written.template, *written.code)))
    sys.stderr.write(guide(written) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
