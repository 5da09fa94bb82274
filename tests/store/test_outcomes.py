"""What others tell afterwards, on both engines: never doubled, never changed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

from fraud.store import Store
from fraud.store.outcomes import Feedback

MOMENT = datetime(2024, 4, 1, 12)


def outcome(number: int, **changes: Any) -> dict[str, Any]:
    row = {"entity": "claim", "entity_id": f"c-{number}", "verdict": "waste", "decided_at": MOMENT}
    return row | {"investigators": ["a", "b"], "amount": 5.0} | changes


def reply(warning: str, message: str = "m-1", response: str = "change") -> Feedback:
    return Feedback(warning, message, "r-1", "before", response, None, MOMENT)


def at_once(address: str, call: Callable[[Store], Any]) -> list[Any]:
    """What four stores get that call at the same time."""
    stores = [Store(address, busy_ms=60_000) for _ in range(4)]
    with ThreadPoolExecutor(len(stores)) as pool:
        found = list(pool.map(call, stores))
    for store in stores:
        store.close()
    return found


def test_an_outcome_that_many_tell_at_once_is_there_once(address: str) -> None:
    rows = [outcome(n) for n in range(20)]
    became = Counter(b for found in at_once(address, lambda s: s.add_outcomes(rows)) for b in found)
    assert became == {"added": 20, "unchanged": 60}
    with Store(address) as store:
        assert len(store.table("outcomes")) == 20


def test_what_is_there_stays_as_it_was_and_a_violation_tells_two_outcomes_apart(address: str) -> None:
    with Store(address) as store:
        assert store.add_outcomes([outcome(1), outcome(1, amount=6.0)]) == ["added", "different"]
        assert store.add_outcomes([outcome(1, violation="T07"), outcome(1, violation="T07")]) == ["added", "unchanged"]
        assert [r["amount"] for r in store.table("outcomes").to_pylist()] == [5.0, 5.0]


def test_a_reply_is_kept_once_for_each_message(address: str) -> None:
    replies = [reply("w-1"), reply("w-1"), reply("w-2")]
    with Store(address) as store:
        assert [store.add_feedback(replies), store.add_feedback(replies)] == [2, 0]
        assert store.add_feedback([reply("w-1", "m-2", "go_on")]) == 1
        assert [(f.warning_id, f.message_id, f.response) for f in store.feedback_on("r-1")] == [
            ("w-1", "m-1", "change"),
            ("w-2", "m-1", "change"),
            ("w-1", "m-2", "go_on"),
        ]
        assert store.feedback_on("r-2") == ()


def test_the_same_reply_from_many_at_once_fails_nobody(address: str) -> None:
    told = at_once(address, lambda s: s.add_feedback([reply(f"w-{n}") for n in range(5)]))
    assert sum(told) == 5
