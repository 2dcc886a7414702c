"""Whatever keys and bodies a payload holds, the function answers as the services before it expect, and logs parse."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.aws.scene import Context, Scene, announcement, enveloped, notification
from tests.aws.test_batch_operations import job, task
from thumbsmith.aws.invocation import PERMANENT, SUCCEEDED
from thumbsmith.errors import EventFailed
from thumbsmith.events import backfill_message

KEYS = st.text(min_size=1, max_size=40) | st.sampled_from(["../../etc/passwd", "a\0b", "%2e%2e/x", "a//b", "💥" * 300])
BODIES = (
    KEYS.map(lambda key: json.dumps(notification(key)))
    | KEYS.map(lambda key: json.dumps(announcement(key)))
    | KEYS.map(lambda key: json.dumps(enveloped(notification(key))))
    | KEYS.map(lambda key: backfill_message("src", key))
    | st.text(max_size=80)
)
# A fixture's stores stay the same from example to example: no key has a source, so that nothing is ever in them.
STEADY = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)


def _encodes(text: str) -> bool:
    return not any(0xD800 <= ord(each) <= 0xDFFF for each in text)


@given(bodies=st.lists(BODIES.filter(_encodes), min_size=1, max_size=4))
@STEADY
def test_any_batch_of_messages_is_answered(scene: Scene, capsys: pytest.CaptureFixture[str], bodies: list[str]):
    """The answer names messages of the batch and no others; every line that is logged is JSON; nothing is stored."""
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
    """Each task has one result, which is for good: no key makes a job try again for ever, or stop."""
    tasks = [task(key, number=number) for number, key in enumerate(keys)]
    answer = scene.call(job(*tasks))
    assert sorted(each["taskId"] for each in answer["results"]) == sorted(each["taskId"] for each in tasks)
    assert {each["resultCode"] for each in answer["results"]} <= {SUCCEEDED, PERMANENT}


@given(payload=st.recursive(st.none() | st.text(max_size=9), lambda x: st.lists(x) | st.dictionaries(st.text(), x)))
@STEADY
def test_what_is_no_event_is_handed_back(scene: Scene, payload: Any):
    """Whoever calls the function with anything else is told that it is no event; only a list of none is an answer."""
    if isinstance(payload, dict) and payload.get("Records") == []:
        assert scene.call(payload) == {"images": []}
        return
    with pytest.raises(EventFailed, match=r"no (event|record) that is known"):
        scene.call(payload)
