"""Memory is reserved in order, never too much at once, and a request for more than all runs alone."""

import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thumbsmith.worker.budget import Budget, control_group_limits, default_memory_bytes

from .processes import eventually


@given(amounts=st.lists(st.integers(0, 15), min_size=1, max_size=12))
def test_never_more_than_the_total_is_reserved(amounts: list[int]):
    """All requests are served, and those at the same time are within the total, or are one alone."""
    budget, lock, held, seen = Budget(10), threading.Lock(), [], []

    def use(amount: int) -> None:
        with budget.reserve(amount):
            with lock:
                held.append(amount)
                seen.append(list(held))
            with lock:
                held.remove(amount)

    threads = [threading.Thread(target=use, args=(amount,)) for amount in amounts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == len(amounts)
    assert all(sum(together) <= 10 or len([amount for amount in together if amount]) == 1 for together in seen)


def test_a_large_request_is_not_overtaken():
    """Requests are served in order: a source that needs much memory does not wait forever."""
    budget, order = Budget(10), []

    def use(amount: int) -> None:
        with budget.reserve(amount):
            order.append(amount)

    with budget.reserve(5):
        large = threading.Thread(target=use, args=(9,))
        large.start()
        assert eventually(lambda: len(budget._waiting) == 1)
        small = threading.Thread(target=use, args=(1,))
        small.start()
        assert eventually(lambda: len(budget._waiting) == 2)
        assert order == []
    large.join()
    small.join()
    assert order == [9, 1]


def test_free_memory_is_reserved_without_waiting():
    """Where the memory is in use, or another request waits for it, nothing is reserved."""
    budget, done = Budget(10), threading.Event()

    def wait() -> None:
        with budget.reserve(7):
            done.wait(30)

    first = budget.try_reserve(6)
    assert first is not None
    with first:
        assert budget.try_reserve(5) is None
        second = budget.try_reserve(4)
        assert second is not None
        with second:
            pass
        waiting = threading.Thread(target=wait)
        waiting.start()
        assert eventually(lambda: len(budget._waiting) == 1)
        assert budget.try_reserve(1) is None
    assert eventually(lambda: budget._used == 7)
    assert budget.try_reserve(4) is None
    done.set()
    waiting.join()
    assert budget.try_reserve(10) is not None


def test_memory_is_given_back_after_a_failure():
    """An error while memory is reserved gives it back."""
    budget = Budget(10)
    with pytest.raises(KeyError), budget.reserve(10):
        raise KeyError
    with budget.reserve(10):
        pass


def _group(folder: Path, name: str, text: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text)


def test_limits_of_control_groups_are_found(tmp_path: Path):
    """Version 2 counts the group and its parents, version 1 its memory controller; "max" is no limit."""
    root = tmp_path / "cgroup"
    membership = tmp_path / "membership"
    _group(root / "a.slice" / "b.service", "memory.max", "max\n")
    _group(root / "a.slice", "memory.max", "1000\n")
    _group(root / "memory" / "docker" / "x", "memory.limit_in_bytes", "2000\n")
    membership.write_text("4:cpu,cpuacct:/docker/x\n3:memory:/docker/x\n0::/a.slice/b.service\n")
    assert sorted(control_group_limits(membership, root)) == [1000, 2000]


def test_without_control_groups_there_is_no_limit(tmp_path: Path):
    """A system without control groups, or that does not show them, limits nothing."""
    assert control_group_limits(tmp_path / "none", tmp_path) == []
    (tmp_path / "membership").write_text("0::/somewhere\n")
    assert control_group_limits(tmp_path / "membership", tmp_path) == []


def test_the_default_is_a_share_of_the_memory():
    """It is more than one source may take, and less than a terabyte."""
    assert 64 << 20 < default_memory_bytes() < 1 << 44
