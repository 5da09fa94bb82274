"""Whoever finds the door full: sent away within a moment, and not so quickly that trying again is all there is."""

from __future__ import annotations

import asyncio
import threading
from time import perf_counter

import pytest

from fraud.web.bodies.problems import Problem
from fraud.web.running import door
from fraud.web.running.door import Door


async def _nothing() -> bytes:
    return b""


async def _turned_away(at: Door, times: int) -> list[float]:
    """Seconds until each of so many was told, while somebody is inside."""
    go = threading.Event()

    async def one() -> float:
        began = perf_counter()
        with pytest.raises(Problem) as caught:
            await at.through(_nothing, lambda _: at.start(go.wait))
        assert caught.value.name == "overloaded"
        return perf_counter() - began

    inside = asyncio.create_task(at.through(_nothing, lambda _: at.start(go.wait)))
    while not at.inside:
        await asyncio.sleep(0.001)
    try:
        return list(await asyncio.gather(*(one() for _ in range(times))))
    finally:
        go.set()
        await inside
        at.close()


def test_who_is_sent_away_hears_of_it_after_a_moment() -> None:
    took = asyncio.run(_turned_away(Door(most=1, threads=1), 20))
    assert min(took) > 0.45
    assert max(took) < 5


def test_of_very_many_only_some_are_kept_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "_MOST_AWAY", 3)
    monkeypatch.setattr(door, "_AWAY_SECONDS", 1.0)
    took = asyncio.run(_turned_away(Door(most=1, threads=1), 20))
    assert sum(seconds >= 1.0 for seconds in took) == 3
