"""When keys are converged (once they stop changing), when they are tried again, and when everything is scanned."""

from hypothesis import given
from hypothesis import strategies as st

from thumbsmith.bulk.watch import (
    MAX_RESCAN_SECONDS,
    MAX_SCAN_SHARE,
    MAX_TRIES,
    RESCAN_SECONDS,
    Debouncer,
    RescanSchedule,
    RetryCounter,
    retry_delay,
)

QUIET_SECONDS = 5.0
KEYS = st.sampled_from("abc")
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("hint"), KEYS),
        st.tuples(st.just("write"), KEYS),
        st.tuples(st.just("schedule"), KEYS),
        st.tuples(st.just("wait"), st.integers(0, 9)),
    ),
    max_size=60,
)


def _debouncer(states: dict[str, int]) -> Debouncer:
    return Debouncer(lambda key: states.get(key, 0), QUIET_SECONDS)


def test_a_key_is_ready_after_the_quiet_time():
    """A key with a hint is ready once, after the quiet time."""
    debouncer = _debouncer({})
    debouncer.hint("a", 0)
    assert list(debouncer.ready(4.9)) == []
    assert list(debouncer.ready(5)) == ["a"]
    assert list(debouncer.ready(99)) == []


def test_each_hint_restarts_the_quiet_time():
    """After several hints for one key, only the last one counts."""
    debouncer = _debouncer({})
    for now in range(4):
        debouncer.hint("a", now)
    assert list(debouncer.ready(7.9)) == []
    assert list(debouncer.ready(8)) == ["a"]


def test_a_key_that_changes_without_a_hint_waits():
    """A key whose state changed during the quiet time waits again, even without a hint."""
    states = {"a": 1}
    debouncer = _debouncer(states)
    debouncer.hint("a", 0)
    for now in (5, 10, 15):
        states["a"] += 1
        assert list(debouncer.ready(now)) == []
    assert list(debouncer.ready(20)) == ["a"]


def test_a_scheduled_key_is_ready_sooner_after_a_hint():
    """A scheduled key is ready at its time, or sooner if it waits already or gets a hint."""
    debouncer = _debouncer({})
    debouncer.schedule("a", 100)
    debouncer.hint("b", 0)
    debouncer.schedule("b", 100)
    assert list(debouncer.ready(99)) == ["b"]
    debouncer.hint("a", 99)
    assert list(debouncer.ready(104)) == ["a"]
    assert list(debouncer.ready(999)) == []


def test_keys_that_are_not_taken_stay():
    """Keys that the caller did not take are yielded the next time, those with the longest wait first."""
    debouncer = _debouncer({})
    for now, key in enumerate("abc"):
        debouncer.hint(key, now)
    assert next(debouncer.ready(50)) == "a"
    assert len(debouncer) == 2
    assert list(debouncer.ready(50)) == ["b", "c"]


@given(STEPS)
def test_no_key_is_ready_early_or_lost(steps: list[tuple[str, str | int]]):
    """After any steps: a ready key did not change since its hint, and in the end no key waits."""
    states: dict[str, int] = {}
    debouncer = _debouncer(states)
    now, hinted, changed = 0.0, {}, {}
    for step, argument in [*steps, ("wait", 200), ("wait", QUIET_SECONDS)]:
        if step == "hint":
            debouncer.hint(argument, now)
            hinted[argument] = now
        elif step == "schedule":
            debouncer.schedule(argument, now + 50)
            hinted.setdefault(argument, now)
        elif step == "write":
            states[argument] = states.get(argument, 0) + 1
            changed[argument] = now
        else:
            now += argument
            for key in debouncer.ready(now):
                assert now - hinted.pop(key) >= QUIET_SECONDS
                assert now - changed.get(key, -QUIET_SECONDS) >= QUIET_SECONDS
    assert not hinted
    assert len(debouncer) == 0


def test_a_scan_is_due_first_and_every_few_minutes():
    """The first scan is due at once, the next one after the fixed time."""
    schedule = RescanSchedule()
    assert schedule.is_due(0)
    schedule.finished(0, 1, failed=False)
    assert not schedule.is_due(RESCAN_SECONDS)
    assert schedule.is_due(RESCAN_SECONDS + 1)


def test_a_requested_scan_is_due_soon_but_not_at_once():
    """A requested scan waits only as long as the last one took."""
    schedule = RescanSchedule()
    schedule.finished(0, 2, failed=False)
    schedule.requested = True
    assert not schedule.is_due(3.9)
    assert schedule.is_due(4)


@given(st.floats(0, 1e6), st.booleans())
def test_pauses_between_scans_are_in_proportion_and_limited(took: float, failed: bool):
    """After a scan of any duration, the pause is in proportion to it, but not longer than the maximum."""
    schedule = RescanSchedule()
    schedule.finished(0, took, failed=failed)
    schedule.requested = False
    assert not schedule.is_due(took + min(took / MAX_SCAN_SHARE, MAX_RESCAN_SECONDS) * 0.999 - 1e-6)
    assert schedule.is_due(took + MAX_RESCAN_SECONDS)
    schedule.requested = True
    assert not schedule.is_due(took + min(took, RESCAN_SECONDS) * 0.999 - 1e-6)
    assert schedule.is_due(took + RESCAN_SECONDS)


def test_failed_scans_are_repeated_with_growing_delays():
    """A failed scan is repeated after seconds, and after many failures as rarely as any other."""
    schedule = RescanSchedule()
    schedule.finished(0, 0, failed=True)
    assert not schedule.is_due(3)
    assert schedule.is_due(8)
    for _ in range(50):
        schedule.finished(0, 0, failed=True)
    assert not schedule.is_due(RESCAN_SECONDS - 1)
    assert schedule.is_due(RESCAN_SECONDS)


@given(st.integers(1, 2000))
def test_the_delay_doubles_at_random_up_to_a_limit(failures: int):
    """The delay is between 2^(n-1) and 2^n seconds, and never more than the time between scans."""
    shortest, longest = (min(2 ** min(doublings, 30), RESCAN_SECONDS) for doublings in (failures - 1, failures))
    assert shortest <= retry_delay(failures) <= longest


def test_consecutive_failures_are_limited():
    """A key that fails too often is left to the next scan, and its failures are forgotten."""
    failures = RetryCounter()
    for _ in range(2):
        delays = [failures.next_delay("a") for _ in range(MAX_TRIES)]
        assert delays[-1] is None
        assert sum(delays[:-1]) > 2 ** (MAX_TRIES - 1) - 1


def test_a_success_resets_the_failures():
    """After a success the next failure is the first one. A key that never failed can be reset too."""
    failures = RetryCounter()
    failures.reset("a")
    for _ in range(5):
        failures.next_delay("a")
    failures.reset("a")
    assert failures.next_delay("a") <= 2


def test_a_key_that_always_changes_is_ready_in_the_end():
    """A key that changes at each moment is ready after the longest time, again and again."""
    states = {"a": 0}
    debouncer = Debouncer(lambda key: states[key], QUIET_SECONDS, 20)
    ready = []
    for now in range(100):
        states["a"] = now
        debouncer.hint("a", now)
        ready += [now for _ in debouncer.ready(now)]
    assert ready == [20, 41, 62, 83]
    assert list(debouncer.ready(99 + QUIET_SECONDS)) == ["a"]


def test_a_key_scheduled_far_ahead_waits_no_longer_after_a_hint():
    """A key that is scheduled far ahead is, after a hint, ready after the quiet time or the longest time."""
    debouncer = Debouncer(lambda _: 0, QUIET_SECONDS, 20)
    debouncer.schedule("a", 1000)
    for now in range(20):
        debouncer.hint("a", now)
        assert list(debouncer.ready(now)) == []
    assert list(debouncer.ready(20)) == ["a"]
