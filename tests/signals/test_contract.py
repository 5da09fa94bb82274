"""One generic test over the whole catalogue: every signal keeps every point of the contract."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path

import numpy as np
import pytest

from fraud.claims.folder import ClaimsFolder
from fraud.signals.catalogue import Catalogue, load_catalogue
from fraud.signals.contract import check_on_claims, check_signal, tables_of
from fraud.signals.definition import Signal
from fraud.signals.examples import ExampleWorld
from fraud.signals.frames import FrameBuilder
from fraud.signals.handbook import handbook
from fraud.signals.rules import findings, rules_of
from tests.features.source_rows import ROWS_OF_SIGNAL

ROOT = Path(__file__).resolve().parents[2]
TODAY = date(2026, 11, 21)


def _marked(signal: Signal) -> object:
    """A signal's id as a parameter; its examples prove that its type and its rows of the documents are looked for."""
    rows = [*filter(None, [signal.violation]), *ROWS_OF_SIGNAL.get(signal.id, ())]
    marks = [pytest.mark.requirement(*rows)] if rows else []
    return pytest.param(signal.id, marks=marks)


SIGNALS = [_marked(s) for s in load_catalogue(ROOT / "features").signals.values()]
# A rule of law that fires on more than this share of honest claims is not believed for long.
MOST_FALSE_ALARMS = {"violation": 1 / 1_000, "suspicion": 1 / 50}


@pytest.mark.parametrize("signal_id", SIGNALS)
def test_signal_is_documented_cited_and_right_on_its_examples(
    catalogue: Catalogue, example_world: ExampleWorld, signal_id: str
) -> None:
    breaches = check_signal(catalogue, catalogue[signal_id], TODAY, example_world)
    assert not breaches, "\n".join(map(str, breaches))


def test_signals_are_blind_to_the_future_and_the_same_alone_in_any_order(
    catalogue: Catalogue, city: ClaimsFolder
) -> None:
    cut = _moment(city)
    breaches = check_on_claims(catalogue, lambda: tables_of(city), cut, most=300)
    assert not breaches, "\n".join(map(str, breaches))


def test_rules_rarely_fire_on_honest_claims(catalogue: Catalogue, clean_city: ClaimsFolder) -> None:
    builder = FrameBuilder(tables_of(clean_city), catalogue, present=clean_city.present)
    builder.learn_norms()
    rules = builder.usable(rules_of(catalogue, "claim"))
    frame = builder.claims(rules)
    query = "SELECT admitted_at, insured_region, care_region FROM claims ORDER BY claim_id"
    judged = [(day, {"insured": at, "care": of}) for day, at, of in builder.connection.execute(query).fetchall()]
    loud = {}
    for rule in rules:
        values = frame.column(rule.id)
        known = np.flatnonzero(~np.isnan(values))
        found = [findings(catalogue, [rule], {rule.id: values[i]}, judged[i][0], regions=judged[i][1]) for i in known]
        fired = [f for hits in found for f in hits if f.status == "hit"]
        if len(fired) > max(2.0, MOST_FALSE_ALARMS[rule.kind] * len(values)):
            loud[rule.id] = f"{len(fired)} of {len(values)}"
    assert rules
    assert not loud


def test_lock_and_handbook_agree_with_the_definitions(catalogue: Catalogue) -> None:
    again = "run `fraud signals lock` and commit catalogue.lock and HANDBOOK.md"
    assert (ROOT / "features/catalogue.lock").read_text("utf-8") == catalogue.lock(), again
    assert (ROOT / "features/HANDBOOK.md").read_text("utf-8") == handbook(catalogue), again


def test_catalogue_has_all_five_folders_and_scale_free_figures_beside_volume(catalogue: Catalogue) -> None:
    folders = {s.id.split(".")[0] for s in catalogue.signals.values()}
    assert folders == {"claim", "patient", "provider", "physician", "network"}
    assert len(catalogue.signals) >= 40
    providers = catalogue.of("provider")
    assert any(s.volume for s in providers)
    assert sum(not s.volume for s in providers) > 10


def _moment(folder: ClaimsFolder) -> datetime:
    row = tables_of(folder).execute("SELECT quantile_disc(settled_at, 0.7) FROM claims").fetchone()
    assert row is not None
    moment: datetime = row[0]
    return moment
