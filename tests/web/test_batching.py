"""Requests that wait are taken together, and each gets its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from fraud.web.running import batching
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

    async def two() -> list[int]:
        takes = batcher(pool, work)
        return [await takes.submit(n) for n in (2, 4)]

    assert asyncio.run(two()) == [4, 8]
    assert work.batches == [[2], [4]]


def test_those_that_come_while_others_are_worked_on_are_taken_together(pool: ThreadPoolExecutor) -> None:
    work = Work()

    async def nine() -> list[int]:
        takes = batcher(pool, work, most=5)
        first = _held(takes, work, 2)
        rest = [takes.submit(2 * n) for n in range(2, 10)]
        work.go.set()
        return list(await asyncio.gather(first, *rest))

    assert asyncio.run(nine()) == [4 * n for n in range(1, 10)]
    assert [len(b) for b in work.batches] == [1, 5, 3]


def _again(pool: ThreadPoolExecutor, work: Work, coming_back: int, monkeypatch: pytest.MonkeyPatch) -> list[list[int]]:
    """The batches when three that were answered together come back one after another, or only some of them."""

    async def all_of_them() -> None:
        takes = batcher(pool, work)
        first = _held(takes, work, 2)
        together = [takes.submit(n) for n in (4, 6, 8)]
        work.go.set()
        await first
        again = []
        for n, result in enumerate(together[:coming_back]):
            await result
            await asyncio.sleep(0.01)
            if n + 1 == coming_back:
                # After these nobody comes: the thread is not to wait for them.
                monkeypatch.setattr(batching, "_MOST_PATIENCE", 0.0)
            again.append(takes.submit(10 + 2 * n))
        await asyncio.wait_for(asyncio.gather(*again), 20)

    asyncio.run(all_of_them())
    return work.batches


def test_those_who_were_answered_together_are_waited_for(
    pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batching, "_PATIENCE", 1e9)
    monkeypatch.setattr(batching, "_MOST_PATIENCE", 30.0)
    assert _again(pool, Work(), 3, monkeypatch) == [[2], [4, 6, 8], [10, 12, 14]]


def test_who_does_not_come_back_is_not_waited_for_long(
    pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batching, "_PATIENCE", 1e9)
    monkeypatch.setattr(batching, "_MOST_PATIENCE", 0.5)
    found = _again(pool, Work(), 2, monkeypatch)
    assert found[:2] == [[2], [4, 6, 8]]
    assert [n for batch in found[2:] for n in batch] == [10, 12]


def test_an_error_of_one_is_not_that_of_the_others(pool: ThreadPoolExecutor) -> None:
    work = Work()

    async def three() -> list[Any]:
        takes = batcher(pool, work)
        work.hold()
        results = [takes.submit(n) for n in (2, 3, 4)]
        work.go.set()
        return list(await asyncio.gather(*results, return_exceptions=True))

    first, second, third = asyncio.run(three())
    assert (first, third) == (4, 8)
    assert isinstance(second, LookupError)


def test_a_batch_that_fails_as_a_whole_tells_everybody_and_the_next_one_is_worked_on(pool: ThreadPoolExecutor) -> None:
    work = Work()

    async def two() -> int:
        takes = batcher(pool, work)
        with pytest.raises(ValueError, match="thirteen"):
            await takes.submit(13)
        return await takes.submit(6)

    assert asyncio.run(two()) == 12


def test_whoever_gave_up_while_waiting_is_not_worked_for(pool: ThreadPoolExecutor) -> None:
    work = Work()

    async def three() -> None:
        takes = batcher(pool, work)
        first = _held(takes, work, 2)
        given_up, last = takes.submit(4), takes.submit(6)
        assert given_up.cancel()
        work.go.set()
        assert (await first, await last) == (4, 12)
        with pytest.raises(asyncio.CancelledError):
            await given_up

    asyncio.run(three())
    assert work.batches == [[2], [6]]


def test_what_is_worked_on_cannot_be_given_up(pool: ThreadPoolExecutor) -> None:
    """It is recorded all the same, so that nobody may take it for undone."""
    work = Work()

    async def one() -> int:
        worked_on = _held(batcher(pool, work), work, 2)
        assert not worked_on.cancel()
        work.go.set()
        return await worked_on

    assert asyncio.run(one()) == 4


def test_none_is_lost_or_done_twice_when_many_loops_send(pool: ThreadPoolExecutor) -> None:
    work = Work()
    takes = batcher(pool, work, most=7)

    async def some(sender: int) -> list[int]:
        return list(await asyncio.gather(*(takes.submit(n) for n in range(200 * sender, 200 * (sender + 1), 2))))

    with ThreadPoolExecutor(4) as senders:
        results = list(senders.map(lambda n: asyncio.run(some(n)), range(4)))
    assert [r for own in results for r in own] == [2 * n for n in range(0, 800, 2)]
    assert sorted(n for b in work.batches for n in b) == list(range(0, 800, 2))


def _held(takes: Batcher[int, int], work: Work, item: int) -> asyncio.Future[int]:
    """The result of an item that is being worked on until `work.go` is set."""
    work.hold()
    result = takes.submit(item)
    assert work.began.wait(30)
    return result
