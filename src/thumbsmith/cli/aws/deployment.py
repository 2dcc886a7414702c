"""A deployed stack, found by its name."""

from __future__ import annotations

from dataclasses import dataclass

from thumbsmith.errors import StoreError
from thumbsmith.fleet.calls import outputs as _outputs
from thumbsmith.store import open_store
from thumbsmith.store.types import Store


@dataclass(frozen=True, slots=True)
class Deployment:
    """Where a deployed stack takes its sources from, and puts thumbnails."""

    source: Store
    destination: Store


def deployment_of(stack: str) -> Deployment:
    """Return the deployment that the stack's outputs tell of.

    Raises StoreError, not transient, for a stack that is not there or is not one of ours.
    """
    outputs = _outputs(stack)
    try:
        source, destination = outputs["SourceBucket"], outputs["DestinationBucket"]
    except KeyError:
        raise StoreError(
            f"stack {stack}: expected the outputs of thumbsmith aws deploy, found none", transient=False
        ) from None
    return Deployment(
        source=open_store(f"s3://{source}/{outputs.get('SourcePrefix', '')}"),
        destination=open_store(f"s3://{destination}/{outputs.get('DestinationPrefix', '')}"),
    )
