"""Options that a run would ignore give one sentence and exit code 2."""

import pytest

from tests.cli.command import Command


@pytest.mark.parametrize(
    ("arguments", "option"),
    [
        ("plan photos thumbs --json --all", "--all"),
        ("html a.jpg thumbs --variant icon --sizes 50vw", "--sizes"),
        ("redrive sqs://letters --recipe r.toml", "--recipe"),
        ("redrive sqs://letters --dry-run --to sqs://other", "--to"),
        ("cost --images 10 --via here --memory 512", "--memory"),
        ("conformance --wait 5", "--wait"),
        ("conformance thumbs/ --wait 5", "--wait"),
        ("conformance s3://a s3://b --recipe r.toml", "--recipe"),
        ("sync s3://a s3://b --via sqs://q --drain --rate 5", "--rate"),
        ("sync s3://a s3://b --via sqs://q --drain --no-wait", "--no-wait"),
        ("sync s3://a s3://b --via sqs://q --drain --dry-run", "--dry-run"),
        ("sync s3://a s3://b --via sqs://q --stop --drain", "--drain"),
        ("sync s3://a s3://b --via sqs://q --stop --yes", "--yes"),
        ("sync s3://a s3://b --via sqs://q --stop --prefix p", "--prefix"),
        ("sync s3://a s3://b --via sqs://q --dry-run --rate 5", "--rate"),
        ("sync s3://a s3://b --via batch --inventory s3://i/manifest.json --prefix p", "--prefix"),
        ("sync s3://a s3://b --via batch --inventory s3://i/manifest.json --retry-rejected", "--retry-rejected"),
    ],
)
def test_an_option_without_effect_is_refused(thumbsmith: Command, arguments: str, option: str):
    """The sentence names the option and the runs that use it."""
    ran = thumbsmith(*arguments.split())
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith(f"thumbsmith: {option}: expected only with")
    assert ran.err.endswith("; this run would ignore it\n")
    assert len(ran.err.splitlines()) == 1


def test_a_field_that_is_given_twice(thumbsmith: Command, monkeypatch: pytest.MonkeyPatch):
    """Sign refuses two values for one name."""
    monkeypatch.setenv("THUMBSMITH_SIGNING_SECRET", "a secret of 16 letters and more")
    ran = thumbsmith("sign", "a.jpg", "width=1", "width=2")
    assert (ran.code, ran.err) == (2, "thumbsmith: width: expected once, found '1' and '2'\n")
