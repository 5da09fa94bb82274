"""Requests that wait are taken together, and each gets its own."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor
from typing import Any

import pytest

from fraud.web.running.batching import Batcher


class Work:
    """Doubles numbers, batch by batch; what is computed waits until `go` is set."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.go, self.began = threading.Event(), threading.Event()
        self.go.set()

    def compute(self, items: Sequence[int]) -> list[int]:
        self.began.set()
        assert self.go.wait(30)
        self.batches.append(list(items))
        if 13 in items:
            raise ValueError("thirteen")
        return [2 * i for i in items]

    def record(self, made: Sequence[int]) -> list[Any]:
        return [LookupError("odd") if m % 4 else m for m in made]

    def hold(self) -> None:
        """From now on batches wait."""
        self.go.clear()
        self.began.clear()


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as made:
        yield made


def batcher(pool: ThreadPoolExecutor, work: Work, most: int = 64) -> Batcher[int, int]:
    turn = threading.Lock()
    return Batcher(pool, lambda: turn, work.compute, work.record, most)


def test_whoever_comes_alone_is_worked_on_at_once(pool: ThreadPoolExecutor) -> None:
    work = Work()
    takes = batcher(pool, work)
    assert [takes.submit(n).result(30) for n in (2, 4)] == [4, 8]
    assert work.batches == [[2], [4]]


def test_those_that_come_while_others_are_worked_on_are_taken_together(pool: ThreadPoolExecutor) -> None:
    work = Work()
    takes = batcher(pool, work, most=5)
    work.hold()
    first = takes.submit(2)
    assert work.began.wait(30)
    rest = [takes.submit(2 * n) for n in range(2, 10)]
    work.go.set()
    assert [f.result(30) for f in (first, *rest)] == [4 * n for n in range(1, 10)]
    assert [len(b) for b in work.batches] == [1, 5, 3]


def test_an_error_of_one_is_not_that_of_the_others(pool: ThreadPoolExecutor) -> None:
    work = Work()
    takes = batcher(pool, work)
    work.hold()
    results = [takes.submit(n) for n in (2, 3, 4)]
    work.go.set()
    assert (results[0].result(30), results[2].result(30)) == (4, 8)
    with pytest.raises(LookupError):
        results[1].result(30)


def test_a_batch_that_fails_as_a_whole_tells_everybody_and_the_next_one_is_worked_on(pool: ThreadPoolExecutor) -> None:
    work = Work()
    takes = batcher(pool, work)
    with pytest.raises(ValueError, match="thirteen"):
        takes.submit(13).result(30)
    assert takes.submit(6).result(30) == 12


def test_whoever_gave_up_while_waiting_is_not_worked_for(pool: ThreadPoolExecutor) -> None:
    work = Work()
    takes = batcher(pool, work)
    work.hold()
    first = takes.submit(2)
    assert work.began.wait(30)
    given_up, last = takes.submit(4), takes.submit(6)
    assert given_up.cancel()
    work.go.set()
    assert (first.result(30), last.result(30)) == (4, 12)
    assert work.batches == [[2], [6]]
    with pytest.raises(CancelledError):
        given_up.result(0)


def test_none_is_lost_or_done_twice_when_many_threads_send(pool: ThreadPoolExecutor) -> None:
    work = Work()
    takes = batcher(pool, work, most=7)
    with ThreadPoolExecutor(8) as senders:
        results = list(senders.map(lambda n: takes.submit(n).result(30), range(0, 800, 2)))
    assert results == [2 * n for n in range(0, 800, 2)]
    assert sorted(n for b in work.batches for n in b) == list(range(0, 800, 2))
