"""A changed limit over the history of a simulated city, beside what is counted by hand."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from fraud.claims.folder import ClaimsFolder, connect
from fraud.cli import app
from fraud.errors import InputError
from fraud.signals.backtest import Backtest, backtest, changes_of, wilson
from fraud.signals.catalogue import Catalogue
from fraud.signals.frames import FrameBuilder, months_of_claims

ROOT = Path(__file__).resolve().parents[2]
CHANGE = {"claim_cost_ratio": 3.0}
RULE = "claim.amount_against_expected"


@pytest.fixture(scope="module")
def found(city: ClaimsFolder, catalogue: Catalogue) -> Backtest:
    return backtest(city, catalogue, CHANGE)


@pytest.fixture(scope="module")
def by_hand(city: ClaimsFolder, catalogue: Catalogue) -> dict[str, tuple[float, str, str, float, str]]:
    """Value, patient, provider, amount and month of each claim."""
    connection = connect()
    city.attach(connection)
    builder = FrameBuilder(connection, catalogue)
    builder.learn_norms()
    frame = builder.claims([catalogue[RULE]])
    query = "SELECT patient_id, provider_id, fund_amount, strftime(settled_at, '%Y-%m') FROM claims ORDER BY claim_id"
    rows = connection.execute(query).fetchall()
    connection.close()
    values = frame.column(RULE).tolist()
    return {i: (v, *row) for i, v, row in zip(frame.ids, values, rows, strict=True)}


@pytest.mark.requirement("002-66")
def test_claims_people_providers_and_money_are_those_counted_by_hand(
    found: Backtest, by_hand: dict[str, tuple[float, str, str, float, str]]
) -> None:
    (rule,) = found.rules
    for side, limit in ((rule.now, 4.0), (rule.then, 3.0)):
        fired = [row for row in by_hand.values() if row[0] > limit]
        assert side.claims == len(fired) > 0
        assert side.patients == len({row[1] for row in fired})
        assert side.providers == len({row[2] for row in fired})
        assert side.amount == pytest.approx(sum(row[3] for row in fired), abs=0.01)
    assert (rule.added, rule.dropped) == (rule.then.claims - rule.now.claims, 0)
    assert found.claims == len(by_hand)


def test_months_and_providers_add_up_and_examples_fire_newly(
    found: Backtest, by_hand: dict[str, tuple[float, str, str, float, str]]
) -> None:
    (rule,) = found.rules
    assert sum(now for _, now, _ in rule.months) == rule.now.claims
    assert sum(then for _, _, then in rule.months) == rule.then.claims
    for month, _, then in rule.months:
        assert then == sum(row[0] > 3 and row[4] == f"{month:%Y-%m}" for row in by_hand.values())
    changes = [then - now for _, now, then, _ in rule.providers]
    assert changes == sorted(changes, reverse=True)
    assert 0 < len(rule.examples) <= 5
    for example in rule.examples:
        assert example.value == by_hand[example.claim_id][0]
        assert 3 < example.value <= 4


def test_how_often_wrongly_is_counted_from_decided_claims_with_an_interval(
    found: Backtest, city: ClaimsFolder, by_hand: dict[str, tuple[float, str, str, float, str]]
) -> None:
    connection = connect()
    city.attach(connection)
    query = "SELECT entity_id, verdict FROM outcomes WHERE entity = 'claim' ORDER BY decided_at"
    last = {
        i: v
        for i, v in connection.execute(query).fetchall()
        if v not in ("insufficient_evidence", "data_error", "operation_error", "pending")
    }
    connection.close()
    decided = [last[i] for i, row in by_hand.items() if row[0] > 3 and i in last]
    cleared = sum(v in ("false_positive", "appeal_upheld") for v in decided)
    outcomes = found.rules[0].then.outcomes
    assert (outcomes.cleared, outcomes.confirmed) == (cleared, len(decided) - cleared)
    assert outcomes.wrong == pytest.approx(cleared / len(decided))
    low, high = outcomes.interval or (1.0, 0.0)
    assert low <= cleared / len(decided) <= high


def test_the_wilson_interval_is_that_of_the_books() -> None:
    assert wilson(0, 10) == pytest.approx((0.0, 0.2775), abs=1e-4)
    assert wilson(5, 10) == pytest.approx((0.2366, 0.7634), abs=1e-4)
    assert wilson(10, 10) == pytest.approx((0.7225, 1.0), abs=1e-4)


def test_a_period_keeps_the_claims_settled_in_it(found: Backtest, city: ClaimsFolder, catalogue: Catalogue) -> None:
    part = backtest(city, catalogue, CHANGE, since=date(2025, 3, 1), until=date(2025, 5, 31))
    months = {m: (now, then) for m, now, then in part.rules[0].months}
    whole = {m: (now, then) for m, now, then in found.rules[0].months}
    assert months == {m: counts for m, counts in whole.items() if date(2025, 3, 1) <= m <= date(2025, 5, 1)}


def test_a_region_is_changed_alone(found: Backtest, city: ClaimsFolder, catalogue: Catalogue) -> None:
    connection = connect()
    city.attach(connection)
    names = [r[0] for r in connection.execute("SELECT DISTINCT insured_region FROM claims").fetchall()]
    connection.close()
    parts = [backtest(city, catalogue, CHANGE, region=name) for name in names]
    assert len(parts) > 1
    assert sum(p.rules[0].then.claims for p in parts) == found.rules[0].then.claims
    assert sum(p.claims for p in parts) == found.claims


def test_a_limit_that_the_signal_itself_reads_is_changed_as_well(city: ClaimsFolder, catalogue: Catalogue) -> None:
    found = backtest(city, catalogue, {"month_days": 60})
    rules = {r.signal.id: r for r in found.rules}
    assert "claim.recent_claims" in rules
    assert rules["claim.recent_claims"].then.claims > rules["claim.recent_claims"].now.claims


def test_a_rule_about_providers_stands_for_the_claims_of_the_month(city: ClaimsFolder, catalogue: Catalogue) -> None:
    found = backtest(city, catalogue, {"positive_rate": 0.9, "few_reports": 3})
    rule = next(r for r in found.rules if r.signal.id == "provider.positive_rate")
    connection = connect()
    city.attach(connection)
    builder = FrameBuilder(connection, catalogue)
    frame = builder.entities(
        [catalogue["provider.positive_rate"]], "provider", months_of_claims(connection, "provider")
    )
    low = np.flatnonzero(frame.column("provider.positive_rate") < 0.3)
    fired = {(frame.ids[i], frame.keys["snapshot"][int(i)].as_py()) for i in low}
    query = "SELECT provider_id, date_trunc('month', settled_at)::TIMESTAMP, count(*) FROM claims GROUP BY ALL"
    claims = sum(n for who, month, n in connection.execute(query).fetchall() if (who, month) in fired)
    connection.close()
    assert rule.now.claims == claims
    assert rule.then.providers > rule.now.providers


def test_features_of_models_that_change_too_are_named(city: ClaimsFolder, catalogue: Catalogue) -> None:
    found = backtest(city, catalogue, {"split_admission_days": 31})
    assert "provider.split_stay_share" in found.features


def test_rules_whose_columns_the_data_lack_are_skipped_with_the_reason(
    city: ClaimsFolder, catalogue: Catalogue
) -> None:
    found = backtest(city, catalogue, {"suspended_staff": 1, **CHANGE})
    assert RULE in {r.signal.id for r in found.rules}
    assert all("lack" in why for why in found.skipped.values())


def test_wrong_changes_are_all_named_at_once(catalogue: Catalogue) -> None:
    with pytest.raises(InputError) as caught:
        changes_of(
            ["claim_cost_ration=3", "month_days", "monthly_claims=many", "few_stays=1", "few_stays=2"], catalogue.limits
        )
    codes = {fault.code for fault in caught.value.faults}
    assert codes == {"not_known", "no_value", "no_number", "twice"}
    assert "claim_cost_ratio" in " ".join(f.detail for f in caught.value.faults)


def test_a_limit_without_a_rule_and_a_period_without_claims_are_refused(
    city: ClaimsFolder, catalogue: Catalogue
) -> None:
    with pytest.raises(InputError, match="no finding"):
        backtest(city, catalogue, {"month_end_day": 20})
    with pytest.raises(InputError, match="No claims were settled"):
        backtest(city, catalogue, CHANGE, since=date(2031, 1, 1))


# --- the command -----------------------------------------------------------------------------------------------------


def _run(*arguments: str, monkeypatch: pytest.MonkeyPatch) -> object:
    monkeypatch.setenv("FRAUD_HOME", str(ROOT))
    return CliRunner().invoke(app, ["signals", "backtest", *arguments])


def test_the_command_prints_tables_or_json(
    city: ClaimsFolder, found: Backtest, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = ["claim_cost_ratio=3", "--data", str(city.path)]
    shown = _run(*data, monkeypatch=monkeypatch)
    assert shown.exit_code == 0  # type: ignore[attr-defined]
    for part in (RULE, "claim_cost_ratio: 4 now, 3 then", "By month", "Providers that change most", "Newly firing"):
        assert part in shown.stdout  # type: ignore[attr-defined]
    printed = _run(*data, "--json", monkeypatch=monkeypatch)
    (rule,) = json.loads(printed.stdout)["rules"]  # type: ignore[attr-defined]
    assert rule["then"]["claims"] == found.rules[0].then.claims
    assert rule["then"]["outcomes"]["interval"] == list(found.rules[0].then.outcomes.interval or ())


def test_the_command_refuses_bad_input_and_usage(city: ClaimsFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = _run("claim_cost_ration=3", "--data", str(city.path), monkeypatch=monkeypatch)
    assert isinstance(wrong.exception, InputError)  # type: ignore[attr-defined]
    assert wrong.exception.exit_code == 1  # type: ignore[attr-defined]
    dates = ["--from", "2025-02-01", "--to", "2025-01-01"]
    late = _run("claim_cost_ratio=3", "--data", str(city.path), *dates, monkeypatch=monkeypatch)
    assert isinstance(late.exception, InputError)  # type: ignore[attr-defined]
    assert _run("--data", str(city.path), monkeypatch=monkeypatch).exit_code == 2  # type: ignore[attr-defined]


def test_help_has_an_example(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = _run("--help", monkeypatch=monkeypatch)
    assert "fraud signals backtest split_admission_days=31 --data city/" in shown.stdout  # type: ignore[attr-defined]
