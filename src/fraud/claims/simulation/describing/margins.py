"""Margins of a simulated payer beside published figures of health care.

What is published lies in `library/published.csv` (figure, population, value, low, high, unit, year, source);
here is one query for each figure. `low` and `high` are the band in which a simulated payer should fall.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Literal

from fraud.claims.simulation.describing.opening import Payer, opened

__all__ = ["FIGURES", "Margin", "Published", "margins", "of_figure", "of_payer", "published"]


@dataclass(frozen=True)
class Published:
    """One published figure of one population, with the band in which a simulated payer should fall."""

    figure: str
    population: str
    value: float
    low: float
    high: float
    unit: str
    year: str
    source: str


@dataclass(frozen=True)
class Margin:
    """A published figure and the same one of a simulated payer; `simulated` is `None` where there is no query."""

    figure: str
    population: str
    published: float
    low: float
    high: float
    simulated: float | None
    unit: str
    year: str
    source: str

    @property
    def verdict(self) -> Literal["in band", "below", "above", "not computed"]:
        """Where the simulated figure lies."""
        if self.simulated is None:
            return "not computed"
        if self.simulated < self.low:
            return "below"
        return "above" if self.simulated > self.high else "in band"


# Claims with what is known of house and patient; people with their age at the end of the period. `priced` are
# visits without dialysis, and stays: three sessions a week are no visits in the sense of the bulletins. `payable`
# is what the fund may pay from: the patient's first share is off, and items outside the catalogue are out.
_VIEWS = """
    CREATE OR REPLACE TEMP TABLE span AS
        SELECT max(admitted_at)::DATE AS ends,
        greatest(date_diff('day', min(admitted_at), max(admitted_at)), 1) / 365.25 AS years FROM claims;
    CREATE OR REPLACE TEMP VIEW care AS
        SELECT c.*, h.kind, h.level, p.insurance_type, p.sex,
            date_diff('day', p.birth_date, c.admitted_at::DATE) / 365.25 AS age,
            c.visit_type = 'inpatient' AS stay, c.visit_type IN ('outpatient', 'emergency', 'chronic') AS visit,
            date_diff('day', c.admitted_at, c.discharged_at) AS nights
        FROM claims c LEFT JOIN providers h USING (provider_id) LEFT JOIN patients p USING (patient_id);
    CREATE OR REPLACE TEMP VIEW priced AS
        FROM care WHERE stay OR coalesce(primary_diagnosis, '') NOT LIKE 'N185%';
    CREATE OR REPLACE TEMP VIEW items AS
        SELECT l.claim_id, l.amount, k.category, l.report_positive, k.large_equipment,
            l.amount * CASE k.class WHEN 'A' THEN 1 WHEN 'B' THEN 0.9 WHEN 'special_A' THEN 0.85
                WHEN 'special_B' THEN 0.75 ELSE 0 END AS payable
        FROM lines l LEFT JOIN catalogue k USING (item_code);
    CREATE OR REPLACE TEMP VIEW people AS
        SELECT *, date_diff('day', birth_date, ends) / 365.25 AS age FROM patients, span;
"""
_YEARS = "(SELECT years FROM span)"
_BIRTH = "regexp_matches(primary_diagnosis, '^O8[0-4]')"


def _a_person(kind: str) -> str:
    """Claims of a kind by person and year."""
    return f"""SELECT (SELECT count(*) FROM care WHERE {kind} AND {{care}})
        / (SELECT count(*) FROM people WHERE {{people}}) / {_YEARS}"""


def _of_amount(kind: str, category: str) -> str:
    """Share of the charges that is for one category of items."""
    return f"""SELECT sum(amount) FILTER (category = '{category}') / sum(amount)
        FROM items JOIN priced USING (claim_id) WHERE {kind} AND {{care}}"""


def _of_people(age: str) -> str:
    return f"SELECT avg(({age})::INT) FROM people WHERE {{people}}"


def _with_condition(*prefixes: str) -> str:
    """Share of people who live with a condition."""
    codes = " OR ".join(f"starts_with(c, '{p}')" for p in prefixes)
    return f"""SELECT avg((len(list_filter(chronic_conditions, lambda c: {codes})) > 0)::INT)
        FROM people WHERE {{people}}"""


def _a_thousand(what: str) -> str:
    """How often something happens among a thousand persons and year."""
    return f"SELECT 1000 * ({what}) / (SELECT count(*) FROM people WHERE {{people}}) / {_YEARS}"


# The first column of the first row is the figure. `{care}` and `{people}` stand for the population.
FIGURES: Mapping[str, str] = {
    "visits_per_person": _a_person("visit"),
    "stays_per_person": _a_person("stay"),
    "visit_share": "SELECT avg(({care})::INT) FROM care WHERE visit",
    "stay_share": "SELECT avg(({care})::INT) FROM care WHERE stay",
    "chronic_claim_share": "SELECT avg((visit_type = 'chronic')::INT) FROM care WHERE {care}",
    "stay_claim_share": "SELECT avg(stay::INT) FROM care WHERE {care}",
    "out_of_area_stay_share": "SELECT avg((out_of_area <> 'none')::INT) FROM care WHERE stay AND {care}",
    "visit_cost": "SELECT avg(total_amount) FROM priced WHERE visit AND {care}",
    "stay_cost": "SELECT avg(total_amount) FROM priced WHERE stay AND {care}",
    "stay_days": "SELECT avg(nights) FROM priced WHERE stay AND {care}",
    "fund_share_within_policy": """SELECT sum(fund_amount) / sum(payable) FROM care
        JOIN (SELECT claim_id, sum(payable) AS payable FROM items GROUP BY 1) USING (claim_id) WHERE stay AND {care}""",
    **{
        f"{kind}_{name}_share": _of_amount(kind, name)
        for kind in ("visit", "stay")
        for name in ("drug", "examination", "laboratory", "consumable", "surgery", "treatment", "bed", "nursing")
    },
    "large_equipment_positive_share": """SELECT avg(report_positive::INT) FROM items JOIN care USING (claim_id)
        WHERE large_equipment AND {care}""",
    "age_0_14_share": _of_people("age < 15"),
    "age_15_59_share": _of_people("age >= 15 AND age < 60"),
    "age_60_up_share": _of_people("age >= 60"),
    "age_65_up_share": _of_people("age >= 65"),
    "age_80_up_share": _of_people("age >= 80"),
    "hypertension_share": _with_condition("I10", "I11", "I12", "I13", "I15"),
    "diabetes_share": _with_condition("E10", "E11", "E12", "E13", "E14"),
    "copd_share": _with_condition("J44"),
    "dialysis_per_million": """SELECT avg(list_contains(chronic_conditions, 'N185')::INT) * 1e6
        FROM people WHERE {people}""",
    "births_per_thousand": _a_thousand(f"SELECT count(*) FROM care WHERE stay AND {_BIRTH} AND {{care}}"),
    "deaths_per_thousand": _a_thousand("SELECT count(died_on) FROM people WHERE {people}"),
    "caesarean_share": """SELECT avg(starts_with(primary_diagnosis, 'O82')::INT) FROM care
        WHERE stay AND {care}""",
}

_EVERYBODY = "true"
# Populations as conditions on claims and on people; ages such as "15-59" and "40 and over" are read from the name.
_HOUSES = {
    "all": _EVERYBODY,
    "births": _BIRTH,
    "hospital": "kind = 'hospital' AND level IS DISTINCT FROM 'primary'",
    "tertiary": "level = 'tertiary'",
    "secondary": "level = 'secondary'",
    "primary": "level = 'primary'",
    "clinic": "kind = 'clinic'",
}


def _population(name: str) -> dict[str, str] | None:
    """Conditions for claims and for people; `None` for a population that is not known."""
    if name in _HOUSES:
        return {"care": _HOUSES[name], "people": _EVERYBODY}
    if name in ("employee", "resident"):
        return dict.fromkeys(("care", "people"), f"insurance_type = '{name}'")
    if name == "adults":
        return dict.fromkeys(("care", "people"), "age >= 18")
    years = re.fullmatch(r"(\d+)(?:-(\d+)|\+| and over)", name)
    if not years:
        return None
    upper = f" AND age < {int(years[2]) + 1}" if years[2] else ""
    return dict.fromkeys(("care", "people"), f"age >= {int(years[1])}{upper}")


def published() -> list[Published]:
    """The published figures of the library, in the order of the file; empty where the file is absent."""
    file = files("fraud.claims.simulation").joinpath("library", "published.csv")
    if not file.is_file():
        return []
    rows = csv.DictReader(file.read_text("utf-8").splitlines())
    return [_published(row) for row in rows]


def _published(row: Mapping[str, str]) -> Published:
    numbers = {name: float(row[name]) for name in ("value", "low", "high")}
    return Published(
        row["figure"], row["population"], numbers["value"], numbers["low"], numbers["high"],
        row["unit"], row["year"], row["source"],
    )  # fmt: skip


def margins(folder: str | Path) -> list[Margin]:
    """Every published figure beside the same one of the payer in the folder.

    Raises:
        ClaimsError: the folder holds no claims.
    """
    with opened(folder) as payer:
        return list(of_payer(payer))


def of_payer(payer: Payer) -> Iterator[Margin]:
    """The margins of an opened payer."""
    for p in published():
        simulated = of_figure(payer, p.figure, p.population)
        yield Margin(p.figure, p.population, p.value, p.low, p.high, simulated, p.unit, p.year, p.source)


def of_figure(payer: Payer, figure: str, population: str) -> float | None:
    """One figure of one population; `None` where no query or no population of that name is known."""
    payer.connection.execute(_VIEWS)
    where = _population(population)
    if figure not in FIGURES or where is None:
        return None
    found = payer.one(FIGURES[figure].format(**where))
    return None if found is None else float(found)
