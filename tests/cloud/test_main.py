"""What `make cloud` says before it deploys anything."""

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
def test_what_the_emulator_cannot_do_is_refused(settings: dict[str, str], sentence: str | None):
    """A setting that cannot be deployed there is one sentence that names it."""
    said = refusal(settings)
    assert said is None if sentence is None else said.startswith(sentence)


def test_a_refusal_ends_the_program(capsys: pytest.CaptureFixture[str]):
    """Nothing is started: the sentence is on stderr, and the exit code is 2."""
    with pytest.raises(SystemExit) as ended:
        main("alarms=true")
    assert ended.value.code == 2
    assert capsys.readouterr() == ("", "make cloud: " + refusal({"alarms": "true"}) + "\n")
