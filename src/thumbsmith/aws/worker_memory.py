"""The number of workers in a Lambda function, and the memory and the processor of each.

Lambda ends a function whose processes together exceed its memory, and everything it was doing starts again. A source
that needs too much memory must be rejected instead. So each worker process may use its share of the memory only.
"""

from __future__ import annotations

from typing import Final

from thumbsmith.environment import LAMBDA_CORE_MEGABYTES
from thumbsmith.worker import Workers, usable_cores
from thumbsmith.worker.launch import Launched

# One worker for each whole core.
MEMORY_BYTES_PER_CORE: Final = LAMBDA_CORE_MEGABYTES << 20

# Memory that no picture can use. Measured: this process takes 60 MiB with everything loaded, and a template 40. Each
# also needs some for the data it sends, and Lambda's runtime needs some.
HANDLER_MEMORY_BYTES: Final = 112 << 20
TEMPLATE_MEMORY_BYTES: Final = 48 << 20


def worker_count(memory: int | None) -> int:
    """Return the number of workers for a function with this memory in bytes; None is a machine outside of Lambda."""
    return max(1, min(usable_cores(), memory // MEMORY_BYTES_PER_CORE)) if memory else usable_cores()


def core_share(memory: int | None) -> float:
    """Return the part of a core, at most 1, that a source gets in a function with this memory in bytes."""
    return min(memory / MEMORY_BYTES_PER_CORE, 1.0) if memory else 1.0


def worker_share(memory: int, count: int) -> int:
    """Return the bytes that each of `count` workers may use for its picture. Together they get at least a quarter."""
    return max(memory - HANDLER_MEMORY_BYTES - count * TEMPLATE_MEMORY_BYTES, memory // 4) // count


def started_workers(memory: int | None, launched: Launched | None = None) -> Workers:
    """Return the workers of a function with this memory in bytes. The first one is started, from `launched` if given.

    Raises WorkerError if no worker can be started.
    """
    count = worker_count(memory)
    share = worker_share(memory, count) if memory else None
    workers = Workers(count, memory=share and share * count, ceiling=share)
    workers.start(launched)
    return workers
