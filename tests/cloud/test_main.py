"""What `make cloud` refuses, and what it leaves out."""

from pathlib import Path

import pytest
from aws_cdk import App
from aws_cdk import aws_lambda as lambda_
from aws_cdk.assertions import Template

from tests.cloud.__main__ import main, refusal
from tests.cloud.local_app import leave_out_expressions
from thumbsmith.cdk.app import Settings, ThumbsmithStack


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"alarm": "true"}, "there is no setting 'alarm'"),
        ({"alarms": "true", "catalogue": "true"}, None),
    ],
)
def test_unsupported_settings_are_refused(settings: dict[str, str], sentence: str | None):
    """A setting that the emulator does not support is one sentence with its name."""
    message = refusal(settings)
    assert message is None if sentence is None else message.startswith(sentence)


def test_a_refusal_ends_the_program(capsys: pytest.CaptureFixture[str]):
    """The sentence is on stderr, the exit code is 2, and nothing is started."""
    with pytest.raises(SystemExit) as ended:
        main("alarm=true")
    assert ended.value.code == 2
    assert capsys.readouterr() == ("", "make cloud: " + refusal({"alarm": "true"}) + "\n")


def test_alarms_that_the_emulator_lacks_are_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """Alarms on expressions are removed and named; all others stay."""
    code = {"code": lambda_.Code.from_inline("pass")}
    stack = ThumbsmithStack(App(outdir=str(tmp_path / "cdk.out")), Settings(alarms=True), function_props=code)
    assert leave_out_expressions(stack) == ["Rejected"]
    assert "without the alarm Rejected" in capsys.readouterr().err
    alarms = Template.from_stack(stack).find_resources("AWS::CloudWatch::Alarm")
    assert len(alarms) == 5
    assert all("MetricName" in each["Properties"] for each in alarms.values())
