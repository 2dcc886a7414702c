"""How well a child is isolated on this machine, tried out by one: for people who ask."""

from __future__ import annotations

from typing import Final

from thumbsmith.errors import WorkerError
from thumbsmith.recipe import Recipe
from thumbsmith.worker.layers import LAYERS
from thumbsmith.worker.process import Template
from thumbsmith.worker.wire import Channel, Closed, Garbled

SECONDS: Final = 60.0


def examine(recipe: Recipe) -> dict[str, bool]:
    """Return of each of LAYERS whether it is on for a child that works by this recipe. Raises WorkerError."""
    template = Template()
    try:
        with template.begin() as end:
            channel = Channel(end, SECONDS)
            channel.send("examine", recipe.to_json().encode())
            said = channel.receive(largest=0).fields
        template.ending()
    except (Closed, Garbled, TimeoutError) as problem:
        raise WorkerError("the worker process ended before it could say how it is isolated") from problem
    finally:
        template.discard()
    return {layer: said.get(layer) is True for layer in LAYERS}
