"""Traces: where the time of an image went, for AWS X-Ray.

If a function is traced, Lambda names the trace of each invocation in a variable, and the address of a daemon in another
one. Each image becomes a subsegment with its stages. It is one datagram: nothing is received, nothing waits for it, and
a function whose role may not write traces works as before.

https://docs.aws.amazon.com/xray/latest/devguide/xray-api-segmentdocuments.html
https://docs.aws.amazon.com/xray/latest/devguide/xray-api-sendingdata.html
"""

from __future__ import annotations

import json
import secrets
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, Self

from thumbsmith.dispatch.converger import KeyResult
from thumbsmith.environment import trace_daemon, trace_header
from thumbsmith.reconcile.converge import outcome_word

_HEADER: Final = '{"format": "json", "version": 1}\n'


@dataclass(frozen=True, slots=True)
class Trace:
    """The trace of one invocation: its identifier, the segment that it belongs to, and the daemon's host and port."""

    id: str
    parent: str
    daemon: tuple[str, int]

    @classmethod
    def of_invocation(cls) -> Self | None:
        """Return the trace of this invocation; None if it is not traced, or not chosen to be recorded."""
        fields = dict(each.partition("=")[::2] for each in trace_header().split(";"))
        host, _, port = trace_daemon().rpartition(":")
        if fields.get("Sampled") != "1" or not fields.get("Root") or not host or not port.isdecimal():
            return None
        return cls(fields["Root"], fields.get("Parent", ""), (host, int(port)))

    def record(self, result: KeyResult) -> None:
        """Send one image. A datagram that cannot be sent is dropped."""
        text = _HEADER + json.dumps(self._subsegment(result))
        with suppress(OSError, OverflowError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.setblocking(False)
            sender.sendto(text.encode(), self.daemon)

    def _subsegment(self, result: KeyResult) -> dict[str, Any]:
        began = time.time() - result.total_seconds
        word, code = outcome_word(result.outcome), result.outcome.code if result.outcome else None
        return {
            "type": "subsegment",
            "trace_id": self.id,
            "parent_id": self.parent,
            "id": _new_id(),
            "name": "image",
            "start_time": began,
            "end_time": began + result.total_seconds,
            "fault": result.error is not None,
            "annotations": {"outcome": word, **({"code": code} if code else {})},
            "metadata": {"thumbsmith": {"key": result.job.key}},
            "subsegments": list(_stages(result, began)),
        }


def _stages(result: KeyResult, began: float) -> Iterator[dict[str, Any]]:
    """Yield a subsegment for each stage that the key reached: look, render, store."""
    stages = (("look", result.before_seconds), ("render", result.render_seconds), ("store", result.after_seconds))
    for name, seconds in stages:
        if seconds is not None:
            yield {"id": _new_id(), "name": name, "start_time": began, "end_time": began + seconds}
            began += seconds


def _new_id() -> str:
    """Return the identifier of a subsegment: 16 hexadecimal digits."""
    return secrets.token_hex(8)
