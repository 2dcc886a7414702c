"""What `make cloud` refuses."""

import pytest

from tests.cloud.__main__ import main, refusal


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"alarms": "true"}, "the emulator has no alarms on metric math: leave out alarms, or deploy to AWS"),
        ({"alarm_email": "a@b.example"}, "the emulator has no alarms on metric math: leave out alarm_email, or deploy"),
        ({"alarm": "true"}, "there is no setting 'alarm'"),
        ({"alarms": "off", "catalogue": "true"}, None),
    ],
)
def test_unsupported_settings_are_refused(settings: dict[str, str], sentence: str | None):
    """A setting that the emulator does not support is one sentence with its name."""
    message = refusal(settings)
    assert message is None if sentence is None else message.startswith(sentence)


def test_a_refusal_ends_the_program(capsys: pytest.CaptureFixture[str]):
    """The sentence is on stderr, the exit code is 2, and nothing is started."""
    with pytest.raises(SystemExit) as ended:
        main("alarms=true")
    assert ended.value.code == 2
    assert capsys.readouterr() == ("", "make cloud: " + refusal({"alarms": "true"}) + "\n")
