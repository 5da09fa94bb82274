"""The page about a simulated payer: one file that shows what is in it, and margins that are computed right."""

from __future__ import annotations

import json
import re
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from fraud.claims.folder import TableWriter
from fraud.claims.schema import TABLES
from fraud.claims.simulation import simulate
from fraud.claims.simulation.describing import Margin, describe, margins
from fraud.claims.simulation.describing import page as pages
from fraud.claims.simulation.describing.drawing import svg
from fraud.claims.simulation.describing.guilt import label_table, scheme_rows
from fraud.claims.simulation.describing.innocents import innocents
from fraud.claims.simulation.describing.margins import FIGURES, of_figure, published
from fraud.claims.simulation.describing.opening import opened
from fraud.errors import ClaimsError

MOST_BYTES = 2_000_000


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return simulate(tmp_path_factory.mktemp("page") / "town", seed=5, claims=6_000).to


@pytest.fixture(scope="module")
def page(town: Path) -> str:
    return describe(town).read_text("utf-8")


# --- the page --------------------------------------------------------------------------------------------


def test_the_page_lies_beside_the_folder_and_is_one_small_file_without_network_or_script(town, page):
    assert len(page.encode()) < MOST_BYTES
    assert Path(f"{town}.html").read_text("utf-8") == page
    assert "<script" not in page
    links = set(re.findall(r'(?:src|href|xlink:href)="([^"]*)"', page))
    assert links
    assert all(link.startswith("#") for link in links)
    assert "@import" not in page
    assert not re.search(r"url\((?!#)", page)


def test_every_link_of_the_page_leads_somewhere_and_no_id_is_there_twice(page):
    ids = re.findall(r'\sid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#([^"]+)"', page)) <= set(ids)


def test_the_page_names_preset_seed_tables_and_schemes_with_their_counts(town, page):
    assert "demo, seed 5" in page
    manifest = json.loads((town / "manifest.json").read_text("utf-8"))
    for name in TABLES:
        assert re.search(rf"<code>{name}</code></td><td class=\"n\">{manifest['rows'][name]:,}<", page), name
    with opened(town) as payer:
        for row in scheme_rows(payer):
            assert row.scheme.replace("_", " ") in page


def test_the_page_has_the_pictures_of_care_and_of_guilt(page):
    titles = set(re.findall(r"<figcaption><b>([^<]+)</b>", page))
    assert {
        "Age and sex", "Claims by kind of care and level", "Claims a month", "Days of the week", "Hours of the day",
        "Length of stay", "Cost of a stay", "Cost of a visit or purchase", "What the money buys",
        "Refills of chronic patients", "Beds in use", "Seasons and epidemics", "Prices",
        "When the actors are at it", "Money at stake", "How much of it is false", "How late labels come",
    } <= titles  # fmt: skip
    assert page.count("<svg ") == len(re.findall(r"<figure ", page))


def test_no_drawing_shows_the_name_of_a_column_value_as_it_is_stored(page):
    said = {
        said for drawn in re.findall(r"<svg.*?</svg>", page, re.DOTALL) for said in re.findall(r">([^<>]+)<", drawn)
    }
    assert "long-term care" in said
    assert [text for text in said if "_" in text] == []


def test_labels_of_columns_leave_room_for_each_other(page):
    """At eleven pixels a letter takes less than seven, in the widest of the fonts."""
    figure = page[page.index("Claims by kind of care and level") :]
    drawn = figure[: figure.index("</figure>")]
    labels = re.findall(r'translate\(([\d.]+),-[\d.]+\)"[^>]*font-size="11px"[^>]*>(.*?)</text>', drawn)
    placed = sorted((float(x), max(len(line) for line in re.findall(r"[^<>]+(?=<|$)", text))) for x, text in labels)
    assert len(placed) >= 6
    for (left, wide), (right, other) in pairwise(placed):
        assert right - left > 6.6 * (wide + other) / 2


def test_colours_that_the_dark_page_replaces_are_those_that_charts_are_drawn_in(page):
    replaced = set(re.findall(r'figure svg \[(?:fill|stroke)="(#\w+)"\]', page))
    drawn = set(re.findall(r'(?:fill|stroke)="(#\w+)"', page[page.index("<main>") :]))
    assert len(replaced) >= 4
    assert replaced <= drawn


def test_without_the_truth_the_page_shows_care_alone(town, tmp_path):
    alone = tmp_path / "alone"
    alone.symlink_to(town, target_is_directory=True)
    text = describe(alone, tmp_path / "out/page.html").read_text("utf-8")
    assert 'id="care"' in text
    assert 'id="schemes"' not in text
    assert 'id="labels"' not in text


def test_leaks_are_shown_when_asked_for(town, tmp_path, page):
    assert 'id="leaks"' not in page
    text = describe(town, tmp_path / "leaks.html", with_leaks=True).read_text("utf-8")
    assert 'id="leaks"' in text
    assert "order of identifiers" in text


def test_the_same_payer_gives_the_same_figures_and_progress_is_told_from_nought_to_one(town, tmp_path, page):
    said: list[tuple[str, float]] = []
    again = describe(town, tmp_path / "again.html", progress=lambda stage, share: said.append((stage, share)))
    tables = [re.sub(r"<svg.*?</svg>", "", text, flags=re.DOTALL) for text in (page, again.read_text("utf-8"))]
    assert tables[0] == tables[1]
    shares = [share for _, share in said]
    assert shares == sorted(shares)
    assert (shares[0], shares[-1]) == (0.0, 1.0)


def test_text_from_the_folder_is_escaped(tmp_path):
    folder = tiny(tmp_path / "tiny")
    (folder / "manifest.json").write_text(json.dumps({"preset": "<script>x</script>", "seed": 1}), "utf-8")
    text = describe(folder).read_text("utf-8")
    assert "<script>" not in text
    assert "&lt;script&gt;" in text


def test_a_folder_without_claims_is_refused(tmp_path):
    with pytest.raises(ClaimsError, match="no such folder"):
        describe(tmp_path / "nowhere")


def test_ids_of_two_drawings_never_meet():
    spec: dict[str, Any] = {
        "data": {"values": [{"x": 1}]},
        "mark": {"type": "bar", "clip": True},
        "width": 40,
        "height": 40,
        "encoding": {"x": {"field": "x", "type": "quantitative"}},
    }
    one, other = (set(re.findall(r'\sid="([^"]+)"', svg(spec, name))) for name in ("one", "other"))
    assert one
    assert not one & other


# --- what stands in it -----------------------------------------------------------------------------------


def test_schemes_add_up_to_the_truth(town):
    with opened(town) as payer:
        rows = scheme_rows(payer)
        assert sum(r.claims for r in rows) == payer.one("SELECT count(*) FROM true_claims")
        assert sum(r.lines for r in rows) == payer.one("SELECT count(*) FROM true_lines")
        assert sum(r.amount for r in rows) == pytest.approx(payer.one("SELECT sum(amount) FROM true_claims"))
        assert all(0 <= r.found <= 1 and (r.stealth is None or 0 <= r.stealth <= 1) for r in rows)
        assert any(0 < r.found < 1 for r in rows)


def test_labels_add_up_to_the_outcomes_of_claims(town):
    with opened(town) as payer:
        rows = label_table(payer)
        assert sum(r["outcomes"] for r in rows) == payer.one("SELECT count(*) FROM outcomes WHERE entity = 'claim'")
        fraud = next(r for r in rows if r["verdict"] == "confirmed_fraud")
        cleared = next(r for r in rows if r["verdict"] == "false_positive")
        assert fraud["truly_false"] / fraud["outcomes"] > 0.8 > 0.1 > cleared["truly_false"] / cleared["outcomes"]


def test_innocents_are_honest_and_the_guilty_beside_them_are_counted(town):
    with opened(town) as payer:
        rows = {i.what: i for i in innocents(payer)}
        unregistered = rows["Visits that were not registered at the desk"]
        everything = payer.one("SELECT count(*) FROM claims WHERE NOT registered")
        assert unregistered.claims + unregistered.false_claims == everything
        assert rows["Dialysis three times a week"].claims > 50
        assert len(rows) >= 8


# --- margins ---------------------------------------------------------------------------------------------


def tiny(folder: Path) -> Path:
    """A payer small enough to count by hand: two years, four people, two houses, two stays, three visits."""
    start = datetime(2024, 1, 1, 9)

    def claim(n: int, patient: str, house: str, kind: str, day: int, nights: int, total: float) -> dict[str, Any]:
        begins = start + timedelta(days=day)
        ends = begins + timedelta(days=nights)
        fund = total / 2
        return {
            "claim_id": f"C{n}", "patient_id": patient, "provider_id": house, "visit_type": kind,
            "admitted_at": begins, "discharged_at": ends, "settled_at": ends + timedelta(hours=1),
            "primary_diagnosis": "O820" if kind == "inpatient" and n == 1 else "O800",
            "out_of_area": "referral" if n == 1 else "none", "total_amount": total, "fund_amount": fund,
        }  # fmt: skip

    claims = [
        claim(1, "P1", "H1", "inpatient", 0, 4, 9_000.0),
        claim(2, "P2", "H2", "inpatient", 10, 8, 1_000.0),
        claim(3, "P1", "H1", "outpatient", 100, 0, 300.0),
        claim(4, "P3", "H2", "outpatient", 200, 0, 100.0),
        claim(5, "P3", "H2", "emergency", 730, 0, 200.0),
    ]
    born = (("P1", 1994, []), ("P2", 1990, ["I10"]), ("P3", 1950, ["E119", "J449"]), ("P4", 2016, []))
    rows: dict[str, list[dict[str, Any]]] = {
        "claims": claims,
        "lines": [
            {"claim_id": "C3", "line_no": 1, "item_code": "D", "quantity": 1.0, "amount": 75.0},
            {"claim_id": "C3", "line_no": 2, "item_code": "X", "quantity": 1.0, "amount": 225.0},
            {"claim_id": "C1", "line_no": 1, "item_code": "D", "quantity": 1.0, "amount": 9_000.0},
        ],
        "patients": [
            {"patient_id": p, "birth_date": datetime(y, 6, 1).date(), "sex": "female", "insurance_type": "resident",
             "chronic_conditions": ill} for p, y, ill in born
        ],
        "providers": [
            {"provider_id": "H1", "kind": "hospital", "level": "tertiary"},
            {"provider_id": "H2", "kind": "hospital", "level": "primary"},
        ],
        "catalogue": [
            {"item_code": "D", "category": "drug", "class": "B"},
            {"item_code": "X", "category": "examination", "class": "A"},
        ],
    }  # fmt: skip
    import pyarrow as pa

    for name, content in rows.items():
        columns = {k: [row.get(k) for row in content] for k in content[0]}
        with TableWriter(folder, name) as writer:
            writer.write(pa.table(columns))
    return folder


@pytest.mark.parametrize(
    ("figure", "population", "by_hand"),
    [
        ("stay_days", "all", 6.0),
        ("stay_days", "tertiary", 4.0),
        ("stay_days", "primary", 8.0),
        ("stay_cost", "hospital", 9_000.0),
        ("visit_cost", "all", 200.0),
        ("visit_share", "primary", 2 / 3),
        ("visits_per_person", "all", 3 / 4 / (730 / 365.25)),
        ("stays_per_person", "resident", 2 / 4 / (730 / 365.25)),
        ("visit_drug_share", "hospital", 0.25),
        ("visit_examination_share", "hospital", 0.75),
        ("fund_share_within_policy", "resident", 4_500 / (9_000 * 0.9)),
        ("age_0_14_share", "all", 0.25),
        ("age_60_up_share", "all", 0.25),
        ("hypertension_share", "adults", 1 / 3),
        ("diabetes_share", "all", 0.25),
        ("copd_share", "40 and over", 1.0),
        ("caesarean_share", "births", 0.5),
        ("out_of_area_stay_share", "all", 0.5),
        ("births_per_thousand", "all", 1_000 * 2 / 4 / (730 / 365.25)),
    ],
)
def test_a_figure_is_what_one_counts_by_hand(tmp_path, figure, population, by_hand):
    with opened(tiny(tmp_path / "tiny")) as payer:
        assert of_figure(payer, figure, population) == pytest.approx(by_hand)


def test_what_is_not_known_is_not_computed(tmp_path):
    with opened(tiny(tmp_path / "tiny")) as payer:
        assert of_figure(payer, "happiness", "all") is None
        assert of_figure(payer, "stay_days", "martians") is None
        assert of_figure(payer, "copd_share", "99+") is None  # nobody is that old


def test_every_published_figure_has_a_query_and_a_population(town):
    if not published():
        pytest.skip("library/published.csv is not here yet")
    assert {p.figure for p in published()} <= set(FIGURES)
    lacking = [(m.figure, m.population) for m in margins(town) if m.verdict == "not computed"]
    assert lacking == []


@pytest.mark.parametrize(
    ("simulated", "verdict"),
    [(None, "not computed"), (0.9, "below"), (1.0, "in band"), (2.0, "in band"), (2.1, "above")],
)
def test_a_margin_says_where_it_lies(simulated, verdict):
    margin = Margin("stay_days", "all", 1.5, 1.0, 2.0, simulated, "days", "2023", "a yearbook")
    assert margin.verdict == verdict
    at = pages._band(margin, simulated if simulated is not None else margin.published)
    assert (25 <= at <= 75) == (verdict in ("in band", "not computed"))
