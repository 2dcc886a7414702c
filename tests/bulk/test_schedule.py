"""When keys are looked at: each once it stands still; everything when something may have gone unseen."""

from hypothesis import given
from hypothesis import strategies as st

from thumbsmith.bulk.watch import AT_LEAST_EVERY, EVERY, SHARE, TRIES, Debouncer, Failures, RescanSchedule, backoff

QUIET = 5.0
KEYS = st.sampled_from("abc")
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("hint"), KEYS),
        st.tuples(st.just("write"), KEYS),
        st.tuples(st.just("later"), KEYS),
        st.tuples(st.just("wait"), st.integers(0, 9)),
    ),
    max_size=60,
)


def _settling(states: dict[str, int]) -> Debouncer:
    return Debouncer(lambda key: states.get(key, 0), QUIET)


def test_a_key_is_given_out_once_it_stands_still():
    """A hint is held back for the quiet time, then given out, once."""
    settling = _settling({})
    settling.hint("a", 0)
    assert list(settling.settled(4.9)) == []
    assert list(settling.settled(5)) == ["a"]
    assert list(settling.settled(99)) == []


def test_each_hint_starts_the_wait_anew():
    """Of many hints at one key only the last one counts."""
    settling = _settling({})
    for now in range(4):
        settling.hint("a", now)
    assert list(settling.settled(7.9)) == []
    assert list(settling.settled(8)) == ["a"]


def test_what_grows_unannounced_waits_on():
    """A key that looks different after the wait than before waits again, though no hint said so."""
    states = {"a": 1}
    settling = _settling(states)
    settling.hint("a", 0)
    for now in (5, 10, 15):
        states["a"] += 1
        assert list(settling.settled(now)) == []
    assert list(settling.settled(20)) == ["a"]


def test_a_failure_is_put_off_but_not_a_hint():
    """A key to be looked at later comes then; where it waits already, or is hinted at, it comes sooner."""
    settling = _settling({})
    settling.later("a", 100)
    settling.hint("b", 0)
    settling.later("b", 100)
    assert list(settling.settled(99)) == ["b"]
    settling.hint("a", 99)
    assert list(settling.settled(104)) == ["a"]
    assert list(settling.settled(999)) == []


def test_keys_not_taken_stay():
    """Who takes only some of the keys that stand still gets the others the next time, the longest waiting first."""
    settling = _settling({})
    for now, key in enumerate("abc"):
        settling.hint(key, now)
    assert next(settling.settled(50)) == "a"
    assert len(settling) == 2
    assert list(settling.settled(50)) == ["b", "c"]


@given(STEPS)
def test_nothing_is_given_out_early_or_lost(steps: list[tuple[str, str | int]]):
    """Whatever happens: what is given out has stood still since it was hinted at, and in the end nothing waits."""
    states: dict[str, int] = {}
    settling = _settling(states)
    now, hinted, changed = 0.0, {}, {}
    for step, given_ in [*steps, ("wait", 200), ("wait", QUIET)]:
        if step == "hint":
            settling.hint(given_, now)
            hinted[given_] = now
        elif step == "later":
            settling.later(given_, now + 50)
            hinted.setdefault(given_, now)
        elif step == "write":
            states[given_] = states.get(given_, 0) + 1
            changed[given_] = now
        else:
            now += given_
            for key in settling.settled(now):
                assert now - hinted.pop(key) >= QUIET
                assert now - changed.get(key, -QUIET) >= QUIET
    assert not hinted
    assert len(settling) == 0


def test_everything_is_looked_at_first_and_every_few_minutes():
    """The first round is due at once, the next one after the fixed time."""
    rounds = RescanSchedule()
    assert rounds.due(0)
    rounds.ended(0, 1, failed=False)
    assert not rounds.due(EVERY)
    assert rounds.due(EVERY + 1)


def test_a_loss_brings_a_round_soon_but_not_all_the_time():
    """A round that is wanted waits only for as long as the last one took."""
    rounds = RescanSchedule()
    rounds.ended(0, 2, failed=False)
    rounds.wanted = True
    assert not rounds.due(3.9)
    assert rounds.due(4)


@given(st.floats(0, 1e6), st.booleans())
def test_rounds_leave_room_and_have_an_end(took: float, failed: bool):
    """However long a round takes, the next one comes after a rest in proportion, and never later than promised."""
    rounds = RescanSchedule()
    rounds.ended(0, took, failed=failed)
    rounds.wanted = False
    assert not rounds.due(took + min(SHARE * took, AT_LEAST_EVERY) * 0.999 - 1e-6)
    assert rounds.due(took + AT_LEAST_EVERY)
    rounds.wanted = True
    assert not rounds.due(took + min(took, EVERY) * 0.999 - 1e-6)
    assert rounds.due(took + EVERY)


def test_rounds_that_fail_come_sooner_then_rarer():
    """A failed round is repeated after seconds, and after failures in a row no later than any other."""
    rounds = RescanSchedule()
    rounds.ended(0, 0, failed=True)
    assert not rounds.due(3)
    assert rounds.due(8)
    for _ in range(50):
        rounds.ended(0, 0, failed=True)
    assert not rounds.due(EVERY - 1)
    assert rounds.due(EVERY)


@given(st.integers(1, 2000))
def test_backoff_doubles_with_chance_and_has_an_end(failures: int):
    """The wait is between 2^(n-1) and 2^n seconds, never more than the time between rounds."""
    assert min(2 ** min(failures - 1, 30), EVERY) <= backoff(failures) <= min(2 ** min(failures, 30), EVERY)


def test_failures_in_a_row_have_an_end():
    """A key that fails again and again is given up for a while, and what it did before is then forgotten."""
    failures = Failures()
    for _ in range(2):
        pauses = [failures.pause("a") for _ in range(TRIES)]
        assert pauses[-1] is None
        assert sum(pauses[:-1]) > 2 ** (TRIES - 1) - 1


def test_success_ends_a_row_of_failures():
    """After a success the next failure is the first one; a key that never failed may succeed too."""
    failures = Failures()
    failures.forget("a")
    for _ in range(5):
        failures.pause("a")
    failures.forget("a")
    assert failures.pause("a") <= 2


def test_what_changes_all_the_time_is_given_out_in_the_end():
    """A key that changes at each moment is given out after the longest time, again and again."""
    states = {"a": 0}
    settling = Debouncer(lambda key: states[key], QUIET, 20)
    given = []
    for now in range(100):
        states["a"] = now
        settling.hint("a", now)
        given += [now for _ in settling.settled(now)]
    assert given == [20, 41, 62, 83]
    assert list(settling.settled(99 + QUIET)) == ["a"]


def test_what_was_put_off_waits_no_longer_for_a_hint():
    """A key that is due long from now is, once hinted at, given out after the quiet time or the longest."""
    settling = Debouncer(lambda _: 0, QUIET, 20)
    settling.later("a", 1000)
    for now in range(20):
        settling.hint("a", now)
        assert list(settling.settled(now)) == []
    assert list(settling.settled(20)) == ["a"]
