"""Lambda's execution environment as a process. Each line of stdin, keys and milliseconds, is one invocation."""

import json
import sys
import time
from dataclasses import dataclass

from thumbsmith.aws.handler import handler


@dataclass(frozen=True)
class Context:
    """Lambda's context, with a real clock."""

    end: float
    function_name: str = "f"
    aws_request_id: str = "r"

    def get_remaining_time_in_millis(self) -> int:
        """Return the milliseconds left."""
        return int((self.end - time.monotonic()) * 1000)


def main() -> None:
    """Answer each line until stdin ends."""
    for line in sys.stdin:
        *keys, milliseconds = line.split()
        records = [
            {
                "messageId": key,
                "eventSource": "aws:sqs",
                "body": json.dumps({"thumbsmith": 1, "bucket": "src", "keys": [key]}),
                "attributes": {"ApproximateReceiveCount": "1"},
            }
            for key in keys
        ]
        answer = handler({"Records": records}, Context(time.monotonic() + int(milliseconds) / 1000))
        print("ANSWER", json.dumps(answer), flush=True)  # noqa: T201 - what the test waits for


if __name__ == "__main__":
    main()
