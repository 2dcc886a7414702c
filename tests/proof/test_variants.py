"""The protocol with one rule broken: the exploration finds a wrong state, so each rule is needed and tested."""

import pytest

from tests.proof import variants
from tests.proof.explorer import Answer, Run, explore
from tests.proof.variants import altered

QUIET = {"crashes": 0, "duplicates": 0}


@pytest.mark.parametrize(
    ("protocol", "history", "settings"),
    [
        (altered(variants.trust_the_event), "AB", QUIET),
        (variants.sequencer_first, "AB", {"crashes": 1, "duplicates": 0}),
        (altered(variants.re_read_then_put), "AB", QUIET),
        (altered(variants.manifest_alone), "AB", QUIET),
        (altered(variants.no_check_afterwards), "AB", QUIET),
        (altered(variants.deletions_without_a_check), "AXA", {"made": "X", **QUIET}),
        (altered(variants.etag_of_the_listing), "BABA", {"made": "A", **QUIET}),
        (variants.never_listing, "AP", {"crashes": 1, "duplicates": 0, "counted": True}),
        (altered(variants.size_alone, record_digest=True), "AB", {"fresh_etags": True, "digests": True, **QUIET}),
        (
            altered(variants.digest_of_any_version, record_digest=True),
            "BA",
            {"fresh_etags": True, "digests": True, **QUIET},
        ),
        (
            altered(variants.touched_without_a_check, record_digest=True),
            "AB",
            {"made": "A", "fresh_etags": True, "digests": True, **QUIET},
        ),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_a_broken_rule_ends_wrong(protocol, history: str, settings: dict[str, int]):
    """There is an order of effects after which the destination is wrong; it is printed (pytest -rP)."""
    result = explore(Run(protocol=protocol, history=history, numbered=True, **settings))
    print("\n".join([result.wrong, *result.trace]))  # noqa: T201 - for pytest -rP
    assert result.wrong
    assert len(result.trace) > 5


@pytest.mark.parametrize("answer", [Answer.OPEN, Answer.AT_ONCE])
def test_a_message_returned_too_early_ends_wrong(answer: Answer):
    """If a connection stays open, or a message is visible while a write may be applied, the end is wrong."""
    result = explore(Run(protocol=variants.real, history="AB", answer=answer, freezes=1, **QUIET))
    print("\n".join([result.wrong, *result.trace]))  # noqa: T201 - for pytest -rP
    assert result.wrong
    assert any("frozen worker's write is applied" in action for action in result.trace)


@pytest.mark.parametrize("rule", [variants.source_first, variants.manifest_first, variants.delete_last])
@pytest.mark.parametrize("history", ["AB", "A-", "AX"])
def test_other_orders_are_correct(rule, history: str):
    """The order within a round does not matter: what matters is the check of the source after all writes."""
    result = explore(Run(protocol=altered(rule), history=history, duplicates=0))
    assert not result.wrong
    assert result.states > 2_500
