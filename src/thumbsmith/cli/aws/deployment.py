"""A deployed stack, found by its name."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass

from thumbsmith.errors import StoreError
from thumbsmith.fleet.calls import answering, client
from thumbsmith.fleet.calls import outputs as _outputs
from thumbsmith.store import open_store
from thumbsmith.store.types import Store


@dataclass(frozen=True, slots=True)
class Deployment:
    """Where a deployed stack takes its sources from, and puts thumbnails."""

    source: Store
    destination: Store
    function: str

    def open_layers(self) -> list[str] | None:
        """Return the layers of isolation that the function found open at its last start, None where its log has none.

        Raises StoreError where the function or its log cannot be read.
        """
        with answering(f"function {self.function}"):
            found = client("lambda").get_function_configuration(FunctionName=self.function)
            group = found.get("LoggingConfig", {}).get("LogGroup", f"/aws/lambda/{self.function}")
            pages = client("logs").get_paginator("filter_log_events")
            pattern = '{ $.event = "isolation" }'
            lines = [
                each["message"]
                for page in pages.paginate(logGroupName=group, filterPattern=pattern, startTime=_an_hour_ago())
                for each in page["events"]
                if '"event": "isolation"' in each["message"]
            ]
        return list(json.loads(lines[-1])["open"]) if lines else None


def _an_hour_ago() -> int:
    return int((time.time() - 3600) * 1000)


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
        function=outputs.get("Function", ""),
    )
