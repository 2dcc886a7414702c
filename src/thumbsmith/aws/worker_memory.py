"""What a Lambda function's memory allows: how many workers, and how much each may take.

Lambda kills a function whose processes together exceed its memory, and everything it had in hand is begun again. A
picture that needs too much must end in a rejection instead: so each worker's process may take its share, and no more.
"""

from __future__ import annotations

from typing import Final

from thumbsmith.worker import Workers, usable_cores
from thumbsmith.worker.launch import Launched

# "At 1,769 MB, a function has the equivalent of one vCPU": a worker for each of them.
# https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html
CORE: Final = 1769 << 20

# Bytes that are not a picture's. Measured: this process holds 60 MiB with all that is loaded, and a template 40; each
# has some for what it sends, and Lambda's own part some.
OURS: Final = 112 << 20
TEMPLATE: Final = 48 << 20


def worker_count(memory: int | None) -> int:
    """Return how many workers a function with so many bytes of memory has; None is no function, but any machine."""
    return max(1, min(usable_cores(), memory // CORE)) if memory else usable_cores()


def worker_share(memory: int, count: int) -> int:
    """Return the bytes that each of `count` workers may take for its picture; at the least a quarter of all."""
    return max(memory - OURS - count * TEMPLATE, memory // 4) // count


def started_workers(memory: int | None, launched: Launched | None = None) -> Workers:
    """Return workers for a function with so many bytes of memory, the first of them started: that which was launched.

    Raises WorkerError where none can be started.
    """
    count = worker_count(memory)
    share = worker_share(memory, count) if memory else None
    workers = Workers(count, memory=share and share * count, ceiling=share)
    workers.start(launched)
    return workers
