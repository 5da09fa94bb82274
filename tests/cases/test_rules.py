"""Settings of cases, and the calendar of working days."""

from __future__ import annotations

import tomllib
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fraud.config import load_settings
from fraud.errors import SpecError
from fraud.review.cases import CaseRules, Threshold, case_rules
from fraud.review.cases.calendar import working_days

ROOT = Path(__file__).resolve().parents[2]


def test_the_settings_of_the_rooms_are_the_defaults() -> None:
    settings = load_settings({"FRAUD_HOME": str(ROOT)})
    assert settings.cases
    assert case_rules(settings.cases) == CaseRules()
    assert case_rules({}) == CaseRules()


def test_what_is_set_counts_and_the_rest_stays() -> None:
    given = {"urgent": {"amount": 5}, "hours": {"normal": 72}, "days": {"appeal": 15}, "alone_below": 0}
    rules = case_rules(given, {"hours_per_week": 80, "minutes": {"claim": 20}})
    assert rules.urgent == Threshold(amount=5)
    assert rules.hours == {"urgent": 1.0, "important": 24.0, "normal": 72}
    assert (rules.appeal_days, rules.file_days, rules.alone_below) == (15, 2, 0.0)
    assert (rules.hours_per_week, rules.time.hours("claim")) == (80.0, 20 / 60)


def test_all_wrong_settings_are_named_at_once() -> None:
    wrong = {"urgnt": {}, "days": {"file": 0.5, "fle": 2}, "hours": 3, "alone_below": -1, "urgent": {"band": "worst"}}
    with pytest.raises(SpecError) as refused:
        case_rules(wrong)
    assert [f.where for f in refused.value.faults] == [
        "/cases/urgnt",
        "/cases/days/file",
        "/cases/days/fle",
        "/cases/hours",
        "/cases/alone_below",
        "/cases/urgent/band",
    ]
    assert 'did you mean "urgent"' in refused.value.faults[0].detail


@pytest.mark.parametrize(
    ("since", "days", "until"),
    [
        ((2026, 3, 6, 15), 1, (2026, 3, 9, 15)),  # a weekend
        ((2026, 2, 13, 9), 1, (2026, 2, 14, 9)),  # a Saturday that is worked
        ((2026, 2, 14, 9), 1, (2026, 2, 24, 9)),  # nine days of holidays
        ((2025, 9, 30, 9), 10, (2025, 10, 21, 9)),  # eight days of holidays, a Saturday that is worked
        ((2026, 3, 7, 9), 0, (2026, 3, 7, 9)),
    ],
)
def test_working_days_leave_out_weekends_and_holidays(
    since: tuple[int, ...], days: int, until: tuple[int, ...]
) -> None:
    assert working_days().after(datetime(*since), days) == datetime(*until)  # type: ignore[arg-type]


@given(st.datetimes(datetime(2024, 1, 1), datetime(2033, 1, 1)), st.integers(0, 30))
def test_a_deadline_lies_on_a_working_day_with_as_many_between(moment: datetime, days: int) -> None:
    calendar = working_days()
    until = calendar.after(moment, days)
    between = [moment.date() + timedelta(days=n) for n in range(1, (until.date() - moment.date()).days + 1)]
    assert sum(map(calendar.worked, between)) == days
    assert until.time() == moment.time()
    assert days == 0 or calendar.worked(until.date())


def test_the_years_of_the_calendar_have_a_source_and_lie_within_themselves() -> None:
    text = (ROOT / "src/fraud/review/cases/holidays.toml").read_text("utf-8")
    years = tomllib.loads(text)
    for year, told in years.items():
        assert told["source"]
        assert {d.year for d in (*told["off"], *told["work"])} == {int(year)}
        assert all(d.weekday() >= 5 for d in told["work"])
        assert not set(told["off"]) & set(told["work"])
        assert date(int(year), 10, 1) in told["off"]
    assert working_days().unknown(datetime(2026, 12, 1), datetime(2027, 1, 8)) == (2027,)
