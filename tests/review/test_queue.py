"""The week's list: what the hours bring back most, spread out, with an honest random sample."""

from __future__ import annotations

import json
import time
from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fraud.errors import SpecError
from fraud.review.choosing import Limits, choose
from fraud.review.queue import Candidate, Queue, QueueRules, build_queue, rules_of_settings
from fraud.scoring.triage import ReviewTime

DAY = datetime(2025, 6, 2)
RULES = QueueRules(time=ReviewTime({"claim": 30.0, "provider": 480.0, "T07": 15.0}))


def candidates(seed: int, count: int, providers: int = 20, types: int = 6) -> list[Candidate]:
    """Claims of a few providers and types; a few of both have most of the money."""
    random = np.random.default_rng(seed)
    worth = random.lognormal(6, 1.5, count)
    kinds = [None, "T07", *(f"T{i:02d}" for i in range(20, 18 + types))]
    return [
        Candidate(
            "claim",
            f"C{i:06d}",
            float(random.beta(1, 9)),
            float(worth[i]),
            kinds[min(int(random.exponential(1.5)), len(kinds) - 1)],
            f"H{min(int(random.exponential(max(3, providers / 20))), providers - 1)}",
            stratum=str(random.choice(["outpatient 0", "outpatient 1", "inpatient 2"])),
        )
        for i in range(count)
    ]


def listed(queue: Queue, by: str) -> list[str]:
    return [c.candidate.entity_id for c in queue.cases if c.selected_by == by]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(0, 300), st.floats(0, 60), st.integers(1, 6), st.floats(0, 0.5))
def test_no_limit_is_ever_passed(seed: int, count: int, hours: float, per_provider: int, share: float) -> None:
    rules = replace(RULES, most_per_provider=per_provider, most_of_a_violation=0.25, random_share=share)
    queue = build_queue(candidates(seed, count), rules, as_of=DAY, seed=seed, hours=hours)
    assert sum(c.hours for c in queue.cases) == pytest.approx(queue.hours)
    assert queue.hours <= hours + 1e-6
    chosen = [c.candidate for c in queue.cases if c.selected_by == "expected_recovery"]
    assert max(Counter(c.provider_id for c in chosen).values(), default=0) <= per_provider
    for violation, number in Counter(c.violation for c in chosen).items():
        needed = RULES.time.hours("claim", violation)
        assert violation is None or number <= max(1, 0.25 * hours / needed)
    names = [c.candidate.entity_id for c in queue.cases]
    assert len(names) == len(set(names))
    assert [c.place for c in queue.cases] == list(range(1, len(names) + 1))
    assert queue.expected_recovery == pytest.approx(sum(c.expected_recovery for c in chosen))
    assert queue.expected_recovery <= queue.bound * (1 + 1e-6)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6), st.randoms(use_true_random=False))
def test_the_list_depends_on_the_candidates_and_the_seed_not_on_their_order(seed: int, shuffler: object) -> None:
    given_ = candidates(seed, 200)
    turned = list(given_)
    shuffler.shuffle(turned)  # type: ignore[attr-defined]
    first = build_queue(given_, RULES, as_of=DAY, seed=seed, hours=20)
    assert build_queue(turned, RULES, as_of=DAY, seed=seed, hours=20) == first
    other = build_queue(given_, RULES, as_of=DAY, seed=seed + 1, hours=20)
    assert set(listed(other, "expected_recovery")) == set(listed(first, "expected_recovery"))


def brute_force(values: np.ndarray, hours: np.ndarray, capacity: float, limits: tuple[Limits, Limits]) -> float:
    best = 0.0
    for size in range(len(values) + 1):
        for rows in combinations(range(len(values)), size):
            counts = [Counter(limit.groups[i] for i in rows) for limit in limits]
            kept = all(
                (most := limit.of(group)) is None or number <= most
                for limit, count in zip(limits, counts, strict=True)
                for group, number in count.items()
            )
            if kept and hours[list(rows)].sum() <= capacity + 1e-9:
                best = max(best, float(values[list(rows)].sum()))
    return best


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6))
def test_no_other_list_is_worth_more(seed: int) -> None:
    random = np.random.default_rng(seed)
    count = int(random.integers(1, 11))
    values = np.round(random.lognormal(3, 1, count), 1) * (random.random(count) < 0.9)
    hours = random.choice([0.25, 0.5, 1.5], count)
    kinds = Limits([None if random.random() < 0.2 else int(k) for k in random.integers(0, 3, count)], {0: 1, 1: 2})
    houses = Limits([None if random.random() < 0.2 else int(k) for k in random.integers(0, 3, count)], 2)
    capacity = float(random.choice([0, 1, 2, 3.25]))
    found = choose(values, hours, capacity, (kinds, houses))
    assert found.method == "exact"
    assert found.value == pytest.approx(brute_force(values, hours, capacity, (kinds, houses)))
    assert found.value == pytest.approx(found.bound)
    greedy = choose(values, hours, capacity, (kinds, houses), most=0)
    assert greedy.value <= found.value + 1e-9 <= greedy.bound + 1e-6


def test_where_the_spread_binds_the_list_beats_taking_the_highest_first() -> None:
    # The dearest cases of type A all sit in one house, which could fill its places with dearer ones of type B.
    values = np.array([10.0, 9.9, 9.0, 8.9, 1.0, 1.0])
    kinds, houses = Limits(["A", "B", "A", "B", "C", "C"], {"A": 1, "B": 1}), Limits(list("xxyxzz"), 1)
    hours = np.ones(6)
    exact, greedy = (choose(values, hours, 2.0, (kinds, houses), most=m) for m in (100, 0))
    assert exact.rows == (1, 2)
    assert greedy.rows == (0, 4)
    assert (exact.value, greedy.value) == pytest.approx((18.9, 11.0))
    assert greedy.bound >= exact.value - 1e-9


def test_the_hours_of_a_review_count_not_only_its_money() -> None:
    long, short = (Candidate("claim", f"C{i}", 0.5, 100.0, v) for i, v in enumerate((None, "T07")))
    queue = build_queue([long, short], RULES, as_of=DAY, seed=1, hours=0.25)
    assert listed(queue, "expected_recovery") == ["C1"]
    assert queue.cases[0].recovery_per_hour == pytest.approx(400)


def test_without_limits_the_list_is_the_ranking() -> None:
    free = replace(RULES, most_per_provider=10**6, most_of_a_violation=1.0, random_share=0.0, time=ReviewTime())
    given_ = candidates(3, 400)
    queue = build_queue(given_, free, as_of=DAY, seed=1, hours=10)
    best = sorted(given_, key=lambda c: -c.expected_recovery)[:20]
    assert listed(queue, "expected_recovery") == [c.entity_id for c in best]
    spread = build_queue(given_, replace(free, most_per_provider=3), as_of=DAY, seed=1, hours=10)
    assert max(Counter(c.provider_id for c in best).values()) > 3, "else the limit would prove nothing"
    assert spread.expected_recovery < queue.expected_recovery


# --- who is not on it -------------------------------------------------------------------------------------


def test_whoever_was_decided_is_left_out_for_a_while_and_a_claim_for_good() -> None:
    house = Candidate("provider", "H1", 0.5, 1e5)
    claim = Candidate("claim", "C1", 0.5, 1e4)
    lately, long_ago = DAY - timedelta(days=RULES.cool_down_days - 1), DAY - timedelta(days=RULES.cool_down_days + 1)

    def names(*given_: Candidate) -> list[str]:
        return [c.candidate.entity_id for c in build_queue(given_, RULES, as_of=DAY, seed=1, hours=80).cases]

    assert names(replace(house, decided_at=lately), claim) == ["C1"]
    assert sorted(names(replace(house, decided_at=long_ago), claim)) == ["C1", "H1"]
    assert names(house, replace(claim, decided_at=long_ago)) == ["H1"]
    assert names(house, replace(claim, open=True)) == ["H1"]
    queue = build_queue([replace(house, decided_at=lately), replace(claim, open=True)], RULES, as_of=DAY, seed=1)
    assert queue.cases == ()
    assert queue.left_out == {"decided lately": 1, "somebody has the case already": 1}


def test_nobody_is_on_the_list_twice_and_the_dearer_entry_counts() -> None:
    entries = [Candidate("claim", "C1", 0.5, worth, "T20") for worth in (10.0, 30.0, 20.0)]
    queue = build_queue(entries, RULES, as_of=DAY, seed=1)
    assert [c.candidate.expected_recovery for c in queue.cases] == [30.0]
    assert queue.left_out == {"named twice": 2}


def test_a_list_is_plain_json() -> None:
    queue = build_queue(candidates(2, 100), RULES, as_of=DAY, seed=2, hours=10)
    plain = json.loads(json.dumps(queue.as_dict()))
    assert plain["as_of"] == "2025-06-02T00:00:00"
    assert [c["entity_id"] for c in plain["cases"]] == [c.candidate.entity_id for c in queue.cases]
    assert {c["selected_by"] for c in plain["cases"]} == {"expected_recovery", "random"}


def test_a_week_without_hours_or_candidates_is_an_empty_list() -> None:
    assert build_queue([], RULES, as_of=DAY, seed=1).cases == ()
    empty = build_queue(candidates(1, 50), RULES, as_of=DAY, seed=1, hours=0)
    assert (empty.cases, empty.gap, empty.expected_recovery) == ((), 0.0, 0.0)


# --- the random sample ------------------------------------------------------------------------------------


def test_one_place_in_twenty_is_random_on_average_even_in_short_weeks() -> None:
    few = candidates(1, 40)
    counts = [len(listed(build_queue(few, RULES, as_of=DAY, seed=s, hours=5), "random")) for s in range(100)]
    assert set(counts) == {0, 1}
    # Four standard deviations.
    assert np.mean(counts) == pytest.approx(0.5, abs=0.2)
    long = build_queue(candidates(1, 2_000), RULES, as_of=DAY, seed=1, hours=40)
    assert len(listed(long, "random")) == 4


def test_the_chances_of_all_the_others_add_up_to_the_places_of_the_sample() -> None:
    queue = build_queue(candidates(4, 1_000), RULES, as_of=DAY, seed=4, hours=40)
    chances = {c.inclusion_probability for c in queue.cases if c.selected_by == "random"}
    assert len(chances) == 1
    assert chances.pop() * queue.others == pytest.approx(40 * 0.05 / 0.5)
    assert queue.others == 1_000 - len(listed(queue, "expected_recovery"))
    assert {c.inclusion_probability for c in queue.cases if c.selected_by == "expected_recovery"} == {1.0}


def test_everyone_else_is_drawn_as_often_as_the_list_says() -> None:
    given_, drawn, chance = candidates(5, 40), Counter[str](), 0.0
    rules = replace(RULES, random_share=0.2)
    for seed in range(200):
        queue = build_queue(given_, rules, as_of=DAY, seed=seed, hours=10)
        drawn.update(listed(queue, "random"))
        chance = next(c.inclusion_probability for c in queue.cases if c.selected_by == "random")
    others = [drawn[c.entity_id] for c in given_ if c.entity_id not in listed(queue, "expected_recovery")]
    assert len(others) == queue.others
    # Five standard deviations of a binomial for the most and the least drawn.
    assert np.abs(np.array(others) / 200 - chance).max() < 5 * np.sqrt(chance * (1 - chance) / 200)


def test_each_stratum_has_its_share_of_the_sample() -> None:
    given_ = candidates(6, 3_000)
    rules = replace(RULES, random_share=0.5)
    queue = build_queue(given_, rules, as_of=DAY, seed=6, hours=60)
    chosen = set(listed(queue, "expected_recovery"))
    others = Counter(c.stratum for c in given_ if c.entity_id not in chosen)
    random = [c.candidate for c in queue.cases if c.selected_by == "random"]
    sample = Counter(c.stratum for c in random)
    for stratum, number in others.items():
        assert abs(sample[stratum] - number * len(random) / queue.others) <= 1


def test_an_estimate_from_the_sample_is_right_on_average_and_one_from_the_chosen_is_not() -> None:
    random = np.random.default_rng(7)
    given_ = candidates(7, 150)
    guilty = {c.entity_id: bool(random.random() < min(0.9, c.expected_recovery / 8_000)) for c in given_}
    rules, estimates, risky = replace(RULES, random_share=0.3), [], []
    for seed in range(100):
        queue = build_queue(given_, rules, as_of=DAY, seed=seed, hours=20)
        weights = {c.candidate.entity_id: 1 / c.inclusion_probability for c in queue.cases}
        estimates.append(sum(w for i, w in weights.items() if guilty[i]) / len(given_))
        risky.append(np.mean([guilty[i] for i in listed(queue, "expected_recovery")]))
    truth = np.mean(list(guilty.values()))
    assert np.mean(estimates) == pytest.approx(truth, rel=0.12)
    assert np.mean(risky) > 2 * truth


# --- size and settings ------------------------------------------------------------------------------------


def test_a_hundred_thousand_candidates_take_less_than_two_seconds() -> None:
    given_ = candidates(8, 100_000, providers=2_000, types=20)
    began = time.process_time()
    queue = build_queue(given_, RULES, as_of=DAY, seed=8, hours=200)
    assert time.process_time() - began < 2
    assert queue.gap < 0.02
    assert queue.hours > 195


def test_the_settings_of_fraud_toml_are_the_rules() -> None:
    rules = rules_of_settings({"hours_per_week": 120, "most_per_provider": 3, "minutes": {"T07": 20}}, ["T07"])
    assert (rules.hours_per_week, rules.most_per_provider, rules.random_share) == (120.0, 3, 0.05)
    assert rules.time.hours("claim", "T07") == pytest.approx(1 / 3)
    assert rules.time.hours("claim", "T20") == rules.time.hours("claim") == 0.5
    assert rules.time.hours("provider") == 8


def test_every_wrong_setting_is_named_at_once() -> None:
    wrong = {"hours_per_weak": 3, "random_share": 0.9, "cool_down_days": "long", "minutes": {"T99": 5, "claim": 0}}
    with pytest.raises(SpecError) as caught:
        rules_of_settings(wrong, ["T07"])
    assert [f.where for f in caught.value.faults] == [
        "/review/hours_per_weak",
        "/review/random_share",
        "/review/cool_down_days",
        "/review/minutes/T99",
        "/review/minutes/claim",
    ]
    assert 'did you mean "hours_per_week"?' in str(caught.value)
    with pytest.raises(SpecError, match="expected a table"):
        rules_of_settings({"minutes": 5})
