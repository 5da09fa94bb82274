"""What workers of one service know of each other, with processes of their own where it is about processes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from fraud.web.running.colleagues import Colleagues

# Sits down at the table, says so, and leaves when its input ends.
_WORKER = """
import sys
from pathlib import Path
from fraud.web.running.colleagues import Colleagues
own = Colleagues(Path(sys.argv[1]))
own.tell(int(sys.argv[2]))
print("here", flush=True)
sys.stdin.read()
"""


@dataclass
class Clock:
    now: float = 1_000.0

    def __call__(self) -> float:
        return self.now


def worker(table: Path, inside: int) -> subprocess.Popen[str]:
    line = [sys.executable, "-c", _WORKER, str(table), str(inside)]
    started = subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert started.stdout is not None
    assert started.stdout.readline() == "here\n"
    return started


def end(started: subprocess.Popen[str]) -> None:
    started.kill()
    # Its pipes are closed with it.
    started.communicate(timeout=30)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return tmp_path / "new" / "colleagues"


@pytest.fixture
def idle(table: Path) -> Iterator[subprocess.Popen[str]]:
    """Another worker, in a process of its own, that has nothing to do."""
    started = worker(table, 0)
    yield started
    end(started)


def busy(table: Path, inside: int, seconds: float = 10.0) -> tuple[Colleagues, Clock]:
    """A worker that had so many requests inside for so long."""
    clock = Clock()
    own = Colleagues(table, clock)
    own.tell(inside)
    clock.now += seconds
    return own, clock


def test_who_works_alone_sends_nobody_away(table: Path) -> None:
    own, _ = busy(table, 64)
    assert not own.sends_on()


@pytest.mark.usefixtures("idle")
def test_who_has_much_more_to_do_than_another_sends_one_client_at_a_time_away(table: Path) -> None:
    own, clock = busy(table, 20)
    assert [own.sends_on() for _ in range(3)] == [True, False, False]
    clock.now += 0.11
    assert own.sends_on()


@pytest.mark.usefixtures("idle")
@pytest.mark.parametrize(("inside", "seconds"), [(7, 10.0), (64, 0.01)], ids=["little more", "only just now"])
def test_little_more_or_for_a_moment_only_is_no_reason(table: Path, inside: int, seconds: float) -> None:
    own, _ = busy(table, inside, seconds)
    assert not own.sends_on()


def test_a_worker_that_is_gone_is_nobody_to_send_clients_to_and_its_place_is_taken(table: Path) -> None:
    gone = worker(table, 0)
    own, _ = busy(table, 20)
    end(gone)
    assert not own.sends_on()
    size = table.stat().st_size
    for _ in range(300):
        passing = Colleagues(table, Clock())
        passing.leave()
    assert table.stat().st_size == size


def test_it_is_quiet_when_no_worker_has_anybody_inside_or_had_a_moment_ago(table: Path) -> None:
    own, clock = busy(table, 1)
    assert not own.quiet(2)
    own.tell(0)
    assert not own.quiet(2)
    clock.now += 2
    assert own.quiet(2)
    started = worker(table, 1)
    try:
        assert not own.quiet(2)
    finally:
        end(started)
