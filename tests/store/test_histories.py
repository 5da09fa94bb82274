"""What was known before many claims is what was known before each."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

import numpy as np
import pytest
import sqlalchemy as sa

from fraud.store import EVERYTHING, NO_LINES, History, Store, Wanted
from tests.store.made import bundle, claim, row

FIRST = datetime(2024, 1, 1)


@pytest.fixture
def store(address: str) -> Iterator[Store]:
    """Three patients' claims of two years, and snapshots of some months."""
    with Store(address) as opened:
        for person in range(3):
            for n in range(12):
                made = bundle(f"p{person}-{n}", days=60 * n - 400, patient_id=f"p{person}", provider_id=f"h{n % 2}")
                opened.add_claim(made)
        for month in (1, 2, 3):
            day = datetime(2024, month, 1)
            opened.put_snapshots("patient", day, ["p0", "p1"], ["a", "b"], np.full((2, 2), float(month)))
            opened.put_snapshots("provider", day, ["h0"], ["c"], np.full((1, 1), month / 8), model="m")
        opened.put_snapshots("provider", datetime(2024, 2, 1), ["h0"], ["c"], np.full((1, 1), 9.0))
        yield opened


def asked() -> list[dict[str, object]]:
    """Claims of known and unknown persons, of the same one twice, long ago, and of no physician."""
    first = [claim(f"new-{n}", days=n * 35 - 70, patient_id=f"p{n % 4}", provider_id=f"h{n % 3}") for n in range(9)]
    old = claim("old", patient_id="p0", settled_at=datetime(1, 2, 1))
    return [*first, claim("p0-7", days=20, patient_id="p0", physician_id=None), old]


def plain(known: History) -> object:
    rows = [sorted(map(repr, r)) for r in (known.claims, known.lines)]
    return rows, known.patient, known.provider, known.physician, dict(known.snapshots)


FEW = Wanted(frozenset({"provider_id"}), frozenset({"item_code", "quantity"}))


@pytest.mark.parametrize("wanted", [EVERYTHING, NO_LINES, FEW])
def test_many_histories_are_those_of_each_claim(store: Store, wanted: Wanted) -> None:
    claims = asked()
    together = store.histories(claims, wanted, "m")
    alone = [store.history(c, wanted, "m") for c in claims]
    assert [plain(h) for h in together] == [plain(h) for h in alone]
    assert any(h.lines for h in together) == wanted.any_lines
    assert {e for h in together for e in h.snapshots} == {"patient", "provider"}


def test_only_what_is_wanted_is_read_and_by_what_it_is_known(store: Store) -> None:
    found = store.histories(asked(), FEW, "m")
    assert {name for h in found for c in h.claims for name in c} == FEW.claims | {
        "claim_id",
        "patient_id",
        "settled_at",
        "uploaded_at",
    }
    assert {name for h in found for line in h.lines for name in line} == FEW.lines | {"claim_id"}


def test_the_number_of_queries_does_not_grow_with_the_claims(store: Store) -> None:
    store.histories(asked(), model="m")

    def queries(count: int) -> int:
        seen: list[str] = []
        engine = store.database.reading
        sa.event.listen(engine, "before_cursor_execute", lambda *a: seen.append(a[2]))
        store.histories(asked()[:count], model="m")
        return len(seen)

    assert queries(2) <= queries(9) <= 10


def test_no_claim_has_no_history(store: Store) -> None:
    assert store.histories([]) == []
    nobody = claim("alone", patient_id="nobody", provider_id=None, physician_id=None)
    assert store.histories([nobody]) == [History()]


def test_a_claim_is_never_part_of_its_own_past_nor_are_later_ones(store: Store) -> None:
    own = row("claims", **claim("p0-5", days=-100, patient_id="p0"))
    (known,) = store.histories([own])
    assert known.claims
    assert all(c["claim_id"] != "p0-5" for c in known.claims)
    assert all(FIRST - timedelta(days=700) < c["settled_at"] < own["settled_at"] for c in known.claims)
