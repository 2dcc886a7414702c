"""One invocation: the keys that its payload is about, each made right once, and the answer to whoever asked."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from thumbsmith.aws.deadline import Deadline
from thumbsmith.aws.telemetry import Telemetry
from thumbsmith.aws.work import Converger, Done, Job
from thumbsmith.errors import ThumbsmithError
from thumbsmith.events import Hint, Other, Said, Unreadable, said_in, said_in_text


class HandedBack(ThumbsmithError):
    """Not all of an invocation could be done: Lambda is to try it again, or to put it where somebody looks."""

    transient = True


@dataclass(slots=True)
class Invocation:
    """Collects what is to be done, for whoever asks: a message by its id, a task by its, or nobody in particular."""

    converger: Converger
    telemetry: Telemetry
    deadline: Deadline
    jobs: dict[str, Job] = field(default_factory=dict)
    askers: dict[str, list[str]] = field(default_factory=dict)

    def take(
        self, said: Iterable[Said], asker: str = "", sent: float | None = None, *, again: bool = False
    ) -> list[Other | Unreadable]:
        """Take note of all keys; tell of the rest, and return it."""
        rest: list[Other | Unreadable] = []
        for each in said:
            found = self.converger.settings.key_of(each) if isinstance(each, Hint) else each
            if isinstance(found, str):
                self._ask(Job(found, isinstance(each, Hint) and each.restored, sent, again), asker)
                continue
            if isinstance(found, Unreadable):
                self.telemetry.unreadable(found.detail, asker or None)
            else:
                self.telemetry.ignored(found)
            rest.append(found)
        return rest

    def carry_out(self) -> list[Done]:
        """Make all keys right; tell of each as it is done, and return them."""
        done = []
        for each in self.converger.make_right(self.jobs.values(), self.deadline) if self.jobs else ():
            self.telemetry.image(each)
            done.append(each)
        return done

    def _ask(self, job: Job, asker: str) -> None:
        """Take note of a key; where it was asked for before, that is one job, as old as the older of them."""
        known = self.jobs.setdefault(job.key, job)
        sent = [each for each in (known.sent, job.sent) if each is not None]
        self.jobs[job.key] = replace(
            known, retry=known.retry or job.retry, sent=min(sent, default=None), again=known.again or job.again
        )
        self.askers.setdefault(job.key, []).append(asker)


def deliver(records: list[Any], invocation: Invocation) -> dict[str, Any]:
    """Carry out a batch of a queue's messages; return those that are to be delivered again.

    A message is done when all of its keys are. What Lambda makes of the answer:
    https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html#services-sqs-batchfailurereporting
    """
    failed: set[str] = set()
    for record in records:
        message = record["messageId"]
        rest = invocation.take(_said_in(record), message, _sent(record), again=_is_again(record))
        if any(isinstance(each, Unreadable) for each in rest):
            failed.add(message)
    for done in invocation.carry_out():
        if done.error:
            failed.update(invocation.askers[done.job.key])
    messages = [record["messageId"] for record in records]
    return {"batchItemFailures": [{"itemIdentifier": each} for each in dict.fromkeys(messages) if each in failed]}


def answer(payload: object, invocation: Invocation) -> dict[str, Any]:
    """Carry out an event that no queue stands before; return what became of its keys.

    Raises HandedBack where something is left to do: an event that was sent asynchronously is then sent twice more.
    https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html
    """
    unreadable = [each.detail for each in invocation.take(said_in(payload)) if isinstance(each, Unreadable)]
    done = invocation.carry_out()
    failed = [f"{each.job.key!a}: {each.error}" for each in done if each.error]
    if failed or unreadable:
        first, *rest = [*failed, *unreadable]
        raise HandedBack(f"{first}{f' (and {len(rest)} more)' if rest else ''}")
    outcomes = [(each.job.key, each.outcome) for each in done if each.outcome]
    return {"images": [{"key": key, "outcome": it.status, "code": it.code} for key, it in outcomes]}


def _said_in(record: dict[str, Any]) -> Iterable[Said]:
    body = record.get("body")
    return said_in_text(body) if isinstance(body, str) else [Unreadable("a message without a body")]


def _is_again(record: dict[str, Any]) -> bool:
    """Return whether a message was delivered before."""
    return str(record.get("attributes", {}).get("ApproximateReceiveCount", "1")) != "1"


def _sent(record: dict[str, Any]) -> float | None:
    """Return when a message was sent, in epoch seconds; None where it does not say."""
    sent = str(record.get("attributes", {}).get("SentTimestamp", ""))
    return int(sent) / 1000 if sent.isdecimal() else None
