"""AWS's prices for the cost model: list prices, or those of a file."""

from __future__ import annotations

import math
import os
import tomllib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Final, Self

from thumbsmith.errors import UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """US dollars by unit, as AWS's pages list them: us-east-1, 2025, arm64, S3 Standard, without free tier.

    https://aws.amazon.com/s3/pricing, /lambda/pricing, /sqs/pricing, /cloudwatch/pricing. A call of SQS has up to ten
    messages and 64 KB. Raises UsageError for a price that is not a number from 0.
    """

    thousand_puts: float = 0.005
    thousand_lists: float = 0.005
    thousand_gets: float = 0.0004
    thousand_heads: float = 0.0004
    gigabyte_second: float = 0.0000133334
    million_invocations: float = 0.20
    million_message_calls: float = 0.40
    logged_gigabyte: float = 0.50
    batch_job: float = 0.25
    million_batch_tasks: float = 1.00
    stored_gigabyte_month: float = 0.023

    def __post_init__(self) -> None:
        for each in fields(self):
            price: object = getattr(self, each.name)
            if isinstance(price, bool) or not isinstance(price, int | float) or not 0 <= price < math.inf:
                raise UsageError(f"{each.name}: expected a price in US dollars, found {price!r}")

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Return the prices of a TOML file with lines such as `thousand_puts = 0.0054`; others are list prices.

        Raises UsageError for a file that cannot be read, an unknown name, or a value that is no price.
        """
        try:
            given = tomllib.loads(Path(path).read_text(encoding="utf-8"))
        except OSError as error:
            raise UsageError(f"{os.fspath(path)!a}: cannot read the prices: {error.strerror}") from error
        except ValueError as error:  # not TOML, or not UTF-8
            raise UsageError(f"{os.fspath(path)!a}: expected prices in TOML: {error}") from error
        known = [each.name for each in fields(cls)]
        for name in given:
            if name not in known:
                raise UsageError(f"{os.fspath(path)!a}: unknown price {name!a}; expected {', '.join(known)}")
        try:
            return cls(**given)
        except UsageError as error:
            raise UsageError(f"{os.fspath(path)!a}: {error}") from error


PRICES: Final = Prices()
