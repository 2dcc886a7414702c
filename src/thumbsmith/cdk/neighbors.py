"""What generators of one app may not share: each pair that would break at deployment, or later, is refused."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from aws_cdk import Annotations, Stack
from aws_cdk import aws_s3 as s3
from constructs import IConstruct

from thumbsmith.cdk.notifications import Trigger
from thumbsmith.cdk.place import Place, overlap, same
from thumbsmith.errors import RecipeError


@dataclass(frozen=True, slots=True)
class Work:
    """What one generator does: from where, to where, and how it hears of changes; `path` names it."""

    path: str
    source: Place
    destination: Place
    trigger: Trigger


def keep_neighbors_apart(scope: IConstruct, one: Work, others: Sequence[Work]) -> None:
    """Raise RecipeError where a generator and one that the app has already cannot work together.

    Where two stacks import one bucket by its name, perhaps only one of them is deployed: that is a warning.
    """
    for other in others:
        for mine, known, sentence in _conflicts(one, other):
            if Stack.of(mine.bucket) is Stack.of(known.bucket) or _made(mine.bucket) or _made(known.bucket):
                raise RecipeError(sentence)
            Annotations.of(scope).add_warning_v2("@thumbsmith/Neighbors", f"If both stacks are deployed: {sentence}")
        for mine in (one.source, one.destination):
            for known in (other.source, other.destination):
                keep_one_construct(mine.bucket, known.bucket)


def _conflicts(one: Work, other: Work) -> Iterator[tuple[Place, Place, str]]:
    """Yield each pair of places that must not overlap and does, with the sentence about it."""
    if overlap(one.destination, other.destination):
        yield (
            one.destination,
            other.destination,
            f"destination: expected one that no other generator writes to, found that of {other.path}: each would"
            " replace or remove thumbnails of the other; give each a destination_prefix of its own",
        )
    for mine, known in ((one.destination, other.source), (one.source, other.destination)):
        if overlap(mine, known):
            yield (
                mine,
                known,
                f"source and destination: expected no overlap with those of {other.path}: thumbnails of one generator"
                " would be sources of the other",
            )
    if one.trigger is other.trigger is Trigger.S3 and overlap(one.source, other.source):
        yield (
            one.source,
            other.source,
            f"source: expected a prefix that does not overlap with that of {other.path}, as S3 notifies one queue"
            ' of a change; use trigger="eventbridge" for one of them',
        )


def keep_one_construct(one: s3.IBucket, other: s3.IBucket) -> None:
    """Raise RecipeError for two constructs of one bucket whose notifications CDK would write over each other's.

    Imports of one bucket by two stacks are no harm: CDK adds to what is there, and tells its own by the stack.
    """
    if _place(one) == _place(other) or not same(one, other):
        return
    if _made(one) or _made(other) or Stack.of(one) is Stack.of(other):
        raise RecipeError(
            "source and destination: expected one construct for one bucket, found"
            f" {_place(one)} and {_place(other)}: CDK would write their notifications over each other"
        )


def _place(construct: IConstruct) -> str:
    return construct.node.path


def _made(bucket: s3.IBucket) -> bool:
    """Return whether the app makes the bucket."""
    return isinstance(bucket, s3.Bucket)
