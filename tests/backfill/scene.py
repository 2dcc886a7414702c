"""A queue in memory with the behavior of SQS, a backfill that fills it, and a function that handles it."""

import itertools
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.aws.scene import Scene
from thumbsmith.backfill.clients import QueueDepth
from thumbsmith.backfill.send import NO_LIMITS, KeySender, SendLimits, SentTotals
from thumbsmith.backfill.sent_log import SentLog
from thumbsmith.bulk.cost import Model
from thumbsmith.bulk.scan import Scope, scan
from thumbsmith.bulk.sync import classify
from thumbsmith.events import backfill_message
from thumbsmith.reconcile.protocol import DEFAULTS, Options

BATCH = 10


@dataclass
class MemoryQueue:
    """Messages in order. One that fails `max_receives` times is moved to `dead`."""

    max_receives: int = 5
    waiting: deque[tuple[str, str, int]] = field(default_factory=deque)  # id, body, receives
    dead: list[str] = field(default_factory=list)
    sent: int = 0
    _ids: "itertools.count[int]" = field(default_factory=itertools.count)

    def send(self, bodies: Sequence[str]) -> None:
        """Add messages."""
        assert 0 < len(bodies) <= BATCH
        self.waiting.extend((f"m{next(self._ids)}", body, 0) for body in bodies)
        self.sent += len(bodies)

    def depth(self) -> QueueDepth:
        """Return the number of waiting messages."""
        return QueueDepth(len(self.waiting), 0)

    def feed(self, scene: Scene) -> None:
        """Call the function until no message is left; failed ones are delivered again, or moved to `dead`."""
        while self.waiting:
            batch = [self.waiting.popleft() for _ in range(min(BATCH, len(self.waiting)))]
            records = [
                {
                    "messageId": name,
                    "body": body,
                    "eventSource": "aws:sqs",
                    "attributes": {"ApproximateReceiveCount": str(receives + 1)},
                }
                for name, body, receives in batch
            ]
            failed = {each["itemIdentifier"] for each in scene.call({"Records": records})["batchItemFailures"]}
            for name, body, receives in batch:
                if name in failed and receives + 1 < self.max_receives:
                    self.waiting.append((name, body, receives + 1))
                elif name in failed:
                    self.dead.append(body)


def never() -> bool:
    """Return False: do not stop."""
    return False


def backfill(
    scene: Scene,
    queue: MemoryQueue,
    sent_log: Path | None = None,
    limits: SendLimits = NO_LIMITS,
    options: Options = DEFAULTS,
) -> SentTotals:
    """Scan and send as the command does; return the totals."""
    scope = Scope(source=scene.source, destination=scene.destination, recipe=scene.recipe, options=options)
    model = Model(recipe=scene.recipe, way="queue")
    with SentLog(sent_log, scene.recipe.fingerprint) as opened, scan(scope) as found:
        for _ in classify(found, stop=never, allow_mass_delete=True):
            pass
        sending = KeySender(
            queue,
            lambda pending: backfill_message("src", pending.key),
            opened,
            model,
            limits,
            empty=not queue.depth().total,
        )
        for _ in sending.run(found.join, never, threads=2):
            pass
        return sending.sent


def counted(scene: Scene) -> Counter[str]:
    """Make the scene's renderer count the renderings of each source; return the counts."""
    counts: Counter[str] = Counter()
    inner = scene.renderer

    class Counting:
        def render(self, reader, recipe, wanted=None, *, until=None):
            counts[reader.info.key] += 1
            return inner.render(reader, recipe, wanted, until=until)

    scene.renderer = Counting()
    return counts
