"""Any keys and bodies are answered in the form that the calling service expects, with valid log lines."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.aws.scene import Context, Scene, eventbridge_event, notification, sns_message
from tests.aws.test_batch_operations import job, task
from thumbsmith.dispatch.invocation import PERMANENT, SUCCEEDED
from thumbsmith.errors import EventFailed
from thumbsmith.events import backfill_message

KEYS = st.text(min_size=1, max_size=40) | st.sampled_from(["../../etc/passwd", "a\0b", "%2e%2e/x", "a//b", "💥" * 300])
BODIES = (
    KEYS.map(lambda key: json.dumps(notification(key)))
    | KEYS.map(lambda key: json.dumps(eventbridge_event(key)))
    | KEYS.map(lambda key: json.dumps(sns_message(notification(key))))
    | KEYS.map(lambda key: backfill_message("src", key))
    | st.text(max_size=80)
)
# All examples share the stores of one fixture. No key has a source, so the stores stay empty.
STEADY = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)


def _encodes(text: str) -> bool:
    return not any(0xD800 <= ord(each) <= 0xDFFF for each in text)


@given(bodies=st.lists(BODIES.filter(_encodes), min_size=1, max_size=4))
@STEADY
def test_any_batch_of_messages_is_answered(scene: Scene, capsys: pytest.CaptureFixture[str], bodies: list[str]):
    """The answer names only messages of the batch, each log line is JSON, and nothing is stored."""
    records = [{"eventSource": "aws:sqs", "messageId": f"m{n}", "body": body} for n, body in enumerate(bodies)]
    answer = scene.call({"Records": records}, Context())
    failed = [each["itemIdentifier"] for each in answer["batchItemFailures"]]
    assert len(set(failed)) == len(failed)
    assert set(failed) <= {each["messageId"] for each in records}
    assert all(isinstance(json.loads(line), dict) for line in capsys.readouterr().out.splitlines())
    assert list(scene.destination.list()) == []


@given(keys=st.lists(st.text(max_size=40), min_size=1, max_size=4))
@STEADY
def test_any_job_of_tasks_is_answered(scene: Scene, keys: list[str]):
    """Each task has one final result, for any key."""
    tasks = [task(key, number=number) for number, key in enumerate(keys)]
    answer = scene.call(job(*tasks))
    assert sorted(each["taskId"] for each in answer["results"]) == sorted(each["taskId"] for each in tasks)
    assert {each["resultCode"] for each in answer["results"]} <= {SUCCEEDED, PERMANENT}


@given(payload=st.recursive(st.none() | st.text(max_size=9), lambda x: st.lists(x) | st.dictionaries(st.text(), x)))
@STEADY
def test_any_other_payload_is_an_error(scene: Scene, payload: Any):
    """Any payload that is not an event is an error; only an empty list of records is answered."""
    if isinstance(payload, dict) and payload.get("Records") == []:
        assert scene.call(payload) == {"images": []}
        return
    with pytest.raises(EventFailed, match=r"unknown (event|record)"):
        scene.call(payload)
