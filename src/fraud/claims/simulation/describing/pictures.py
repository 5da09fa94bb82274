"""Pictures of the care of a payer: people, visits, stays, money, prices."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from fraud.claims.simulation.describing.drawing import ACCENT, MUTED, WARN, WRAPPED, axis, chart, field, layered, svg
from fraud.claims.simulation.describing.opening import Payer

__all__ = ["Picture", "Scene", "drawn", "pictures"]

Spec = dict[str, Any]
KINDS = ["outpatient", "emergency", "chronic", "pharmacy", "inpatient", "long_term_care"]
LEVELS = ["tertiary", "secondary", "primary", "clinic", "pharmacy", "long_term_care", "other"]
_TENFOLD = axis(format="~s", tickCount=4, grid=False)
SPAN = "SELECT min(admitted_at)::DATE FROM claims"


@dataclass(frozen=True)
class Picture:
    """One chart of the page with its title and a sentence of what to look for."""

    title: str
    note: str
    svg: str


@dataclass(frozen=True)
class Scene:
    """A picture that can be drawn of any payer; a chart without rows is left out."""

    title: str
    note: str
    paint: Callable[[Payer], Spec]


def drawn(payer: Payer, scenes: Iterable[Scene]) -> Iterator[Picture]:
    """The pictures for which the payer has data."""
    for scene in scenes:
        spec = scene.paint(payer)
        if spec.get("layer", [spec])[0]["data"]["values"]:
            yield Picture(scene.title, scene.note, svg(spec, scene.paint.__name__.strip("_")))


def pictures(payer: Payer) -> list[Picture]:
    """All pictures of care."""
    payer.connection.execute(_HOUSES)
    return list(drawn(payer, _SCENES))


# The level of a house as readers know it: clinics and pharmacies are levels of their own.
_HOUSES = """
    CREATE OR REPLACE TEMP VIEW houses AS
    SELECT *, CASE WHEN kind = 'hospital' THEN coalesce(level, 'other') ELSE coalesce(kind, level, 'other') END AS place
    FROM providers"""


def _age_pyramid(payer: Payer) -> Spec:
    rows = payer.rows(f"""
        WITH aged AS (SELECT sex, date_diff('day', birth_date, ({SPAN})) // 365 AS age FROM patients)
        SELECT sex, least(age // 5 * 5, 90)::INT AS years, count(*)::INT AS people,
            (count(*) * CASE WHEN sex = 'male' THEN -1 ELSE 1 END)::INT AS side
        FROM aged WHERE sex IS NOT NULL AND age >= 0 GROUP BY sex, least(age // 5 * 5, 90)::INT ORDER BY 2""")
    people = axis(labelExpr="format(abs(datum.value), '~s')", tickCount=5)
    return chart(
        rows, {"type": "bar", "height": 9}, 190,
        x=field("side", title="people", **people),
        y=field("years", "ordinal", sort="descending", axis={"labelExpr": "datum.value % 20 ? '' : datum.value"}),
        color=field("sex", "nominal"),
    )  # fmt: skip


def _months(payer: Payer) -> Spec:
    rows = payer.rows("""
        SELECT date_trunc('month', admitted_at)::DATE::VARCHAR AS month, visit_type AS kind, count(*)::INT AS claims
        FROM claims GROUP BY ALL ORDER BY ALL""")
    return chart(
        rows, "area", x=field("month", "temporal", **axis(format="%b %y", labelAngle=0, tickCount=6)),
        y=field("claims", stack=True, **axis(format="~s")),
        color=field("kind", "nominal", scale={"domain": _present(rows, "kind", KINDS)}),
    )  # fmt: skip


def _present(rows: list[dict[str, Any]], column: str, order: list[str]) -> list[str]:
    """Values that occur, in the given order."""
    found = {row[column] for row in rows}
    return [v for v in order if v in found] + sorted(str(v) for v in found if v not in order)


def _weekdays(payer: Payer) -> Spec:
    names = "['Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat', 'Sun']"
    rows = payer.rows(f"""
        SELECT {names}[isodow(admitted_at)] AS day, visit_type AS kind,
            count(*) / sum(count(*)) OVER (PARTITION BY visit_type) AS share
        FROM claims WHERE visit_type <> 'long_term_care' GROUP BY 1, 2""")
    days = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]
    return chart(
        rows, {"type": "line", "point": True},
        x=field("day", "ordinal", sort=days, **axis(labelAngle=0)),
        y=field("share", **axis(format=".0%")),
        color=field("kind", "nominal", scale={"domain": _present(rows, "kind", KINDS)}),
    )  # fmt: skip


def _hours(payer: Payer) -> Spec:
    rows = payer.rows("""
        SELECT hour(admitted_at)::INT AS hour, visit_type AS kind,
            count(*) / sum(count(*)) OVER (PARTITION BY visit_type) AS share
        FROM claims WHERE visit_type <> 'long_term_care' GROUP BY 1, 2 ORDER BY 1""")
    return chart(
        rows, "line",
        x=field("hour", **axis(values=[0, 6, 12, 18, 24], format="d"), scale={"domain": [0, 24]}, title="o'clock"),
        y=field("share", **axis(format=".0%")),
        color=field("kind", "nominal", scale={"domain": _present(rows, "kind", KINDS)}),
    )  # fmt: skip


def _kinds_by_level(payer: Payer) -> Spec:
    rows = payer.rows("""
        SELECT visit_type AS kind, place, count(*)::INT AS claims, format('{:,}', count(*)) AS said
        FROM claims JOIN houses USING (provider_id) GROUP BY ALL""")
    plain = {"labelExpr": WRAPPED, "domain": False, "ticks": False, "labelFontSize": 11}
    # Lines are added downwards: room for two above the boxes.
    above = {"orient": "top", "labelAngle": 0, "labelBaseline": "bottom", "labelPadding": 19}
    x = field("place", "ordinal", sort=LEVELS, **axis(**above, **plain))
    y = field("kind", "ordinal", sort=KINDS, **axis(labelPadding=6, **plain))
    boxes = chart(
        rows, {"type": "rect", "cornerRadius": 3}, {"step": 30}, x=x, y=y,
        opacity=field("claims", scale={"type": "sqrt", "range": [0.08, 0.6]}, legend=None), fill={"value": ACCENT},
    )  # fmt: skip
    words = chart(rows, "text", {"step": 30}, x=x, y=y, text=field("said", "nominal"))
    return layered(boxes, words)


def _stay_days(payer: Payer) -> Spec:
    rows = payer.rows("""
        SELECT place, least(date_diff('day', admitted_at, discharged_at), 40)::INT AS nights, count(*)::INT AS stays
        FROM claims JOIN houses USING (provider_id) WHERE visit_type = 'inpatient' GROUP BY ALL ORDER BY nights""")
    return chart(
        rows, "bar", x=field("nights", "ordinal", **axis(labelAngle=0, values=list(range(0, 41, 5)))),
        y=field("stays", **axis(format="~s")),
        color=field("place", "nominal", scale={"domain": _present(rows, "place", LEVELS)}),
    )  # fmt: skip


def _costs(payer: Payer, stays: bool) -> Spec:
    rows = payer.rows(f"""
        WITH binned AS (SELECT place, floor(ln(total_amount) / ln(10) * 8) AS bin FROM claims
            JOIN houses USING (provider_id)
            WHERE (visit_type = 'inpatient') = {stays} AND visit_type <> 'long_term_care' AND total_amount > 0)
        SELECT place, power(10, (bin + 0.5) / 8) AS cost,
            count(*) / sum(count(*)) OVER (PARTITION BY place) AS share
        FROM binned GROUP BY place, bin QUALIFY sum(count(*)) OVER (PARTITION BY place) >= 30 ORDER BY cost""")
    return chart(
        rows, {"type": "line", "interpolate": "monotone"},
        x=field("cost", scale={"type": "log", "nice": False}, title="yuan", **_TENFOLD),
        y=field("share", **axis(format=".0%")),
        color=field("place", "nominal", scale={"domain": _present(rows, "place", LEVELS)}),
    )  # fmt: skip


def _cost_of_stays(payer: Payer) -> Spec:
    return _costs(payer, stays=True)


def _cost_of_visits(payer: Payer) -> Spec:
    return _costs(payer, stays=False)


def _what_money_buys(payer: Payer) -> Spec:
    rows = payer.rows("""
        WITH billed AS (SELECT CASE WHEN visit_type = 'inpatient' THEN 'stay, ' ELSE 'visit, ' END || place AS where_,
            coalesce(category, 'other') AS category, sum(l.amount) AS amount
            FROM lines l JOIN claims USING (claim_id) JOIN houses USING (provider_id)
            LEFT JOIN catalogue USING (item_code)
            WHERE visit_type NOT IN ('pharmacy', 'long_term_care') GROUP BY ALL),
        lumped AS (SELECT where_, CASE WHEN category IN ('drug', 'consumable', 'surgery', 'bed') THEN category
            WHEN category IN ('examination', 'laboratory') THEN 'tests'
            WHEN category IN ('treatment', 'therapy', 'nursing') THEN 'treatment, nursing' ELSE 'other' END AS item,
            sum(amount) AS amount FROM billed GROUP BY ALL)
        SELECT *, amount / sum(amount) OVER (PARTITION BY where_) AS share FROM lumped""")
    order = [f"{kind}, {place}" for kind in ("stay", "visit") for place in LEVELS]
    items = ["drug", "tests", "treatment, nursing", "surgery", "consumable", "bed", "other"]
    return chart(
        rows, "bar", {"step": 26},
        x=field("share", stack=True, **axis(format=".0%", tickCount=5)),
        y=field("where_", "ordinal", sort=order),
        color=field("item", "nominal", scale={"domain": _present(rows, "item", items)}, legend={"columns": 3}),
        order={"field": "item", "sort": "ascending"},
    )  # fmt: skip


def _refills(payer: Payer) -> Spec:
    rows = payer.rows("""
        WITH fetched AS (SELECT patient_id, l.item_code, admitted_at::DATE AS day, max(days_supply) AS supply
            FROM lines l JOIN claims USING (claim_id)
            WHERE days_supply >= 14 AND visit_type IN ('chronic', 'pharmacy', 'outpatient') GROUP BY ALL),
        gaps AS (SELECT date_diff('day', day, lead(day) OVER past) - supply AS gap FROM fetched
            WINDOW past AS (PARTITION BY patient_id, item_code ORDER BY day))
        SELECT gap::INT AS gap, count(*)::INT AS refills FROM gaps WHERE gap BETWEEN -30 AND 60
        GROUP BY ALL ORDER BY gap""")
    return chart(
        rows, {"type": "bar", "width": 3.4},
        x=field("gap", title="days after the supply ran out", scale={"domain": [-30, 60], "nice": False}),
        y=field("refills", **axis(format="~s")),
    )  # fmt: skip


def _occupancy(payer: Payer) -> Spec:
    rows = payer.rows("""
        WITH nights AS (SELECT provider_id, unnest(generate_series(admitted_at::DATE,
                greatest(discharged_at::DATE - 1, admitted_at::DATE), INTERVAL 1 DAY))::DATE AS night
            FROM claims WHERE visit_type = 'inpatient'),
        taken AS (SELECT provider_id, night, count(*) AS beds FROM nights GROUP BY ALL),
        span AS (SELECT date_diff('day', min(night), max(night)) + 1 AS days FROM taken),
        full_ AS (SELECT provider_id, sum(beds) / any_value(days) AS mean, max(beds) AS most
            FROM taken, span GROUP BY 1)
        SELECT place, licensed_beds::INT AS beds, mean / licensed_beds AS mean, most / licensed_beds AS most
        FROM full_ JOIN houses USING (provider_id) WHERE licensed_beds > 0 ORDER BY beds DESC LIMIT 400""")
    x = field("beds", scale={"type": "log"}, title="licensed beds", **_TENFOLD)
    span = chart(
        rows, {"type": "rule", "color": MUTED}, x=x, y=field("mean", **axis(format=".0%")), y2={"field": "most"}
    )
    mean = chart(
        rows, {"type": "point", "filled": True, "opacity": 1, "size": 36}, x=x, y=field("mean"),
        color=field("place", "nominal", scale={"domain": _present(rows, "place", LEVELS)}),
    )  # fmt: skip
    return layered(span, mean)


def _epidemic(payer: Payer) -> Spec:
    rows = payer.rows("""
        WITH weekly AS (SELECT date_trunc('week', admitted_at)::DATE AS week,
            count(*) FILTER (regexp_matches(primary_diagnosis, '^(J0|J1|J20|J21|J22|U07|B34)')) AS ill,
            count(*) FILTER (NOT regexp_matches(primary_diagnosis, '^(J0|J1|J20|J21|J22|U07|B34)')) AS rest
            FROM claims WHERE primary_diagnosis IS NOT NULL GROUP BY 1),
        whole AS (FROM weekly WHERE week >= (SELECT min(admitted_at)::DATE FROM claims)
            AND week + 6 <= (SELECT max(admitted_at)::DATE FROM claims)),
        scaled AS (SELECT week, ill / avg(ill) OVER () AS ill, rest / avg(rest) OVER () AS rest FROM whole)
        UNPIVOT scaled ON ill, rest INTO NAME what VALUE level""")
    for row in rows:
        row["week"], row["what"] = (
            str(row["week"]),
            {"ill": "airway infections", "rest": "everything else"}[row["what"]],
        )
    return chart(
        rows, "line", x=field("week", "temporal", **axis(format="%b %y", labelAngle=0, tickCount=6)),
        y=field("level", title="mean = 1"),
        color=field("what", "nominal", scale={"range": [WARN, MUTED]}),
    )  # fmt: skip


def _prices(payer: Payer) -> Spec:
    rows = payer.rows("""
        WITH monthly AS (SELECT date_trunc('month', service_at)::DATE AS month, provider_id, item_code, category,
            avg(unit_price) AS price, count(*) AS n FROM lines JOIN claims USING (claim_id)
            LEFT JOIN catalogue USING (item_code) WHERE service_at IS NOT NULL AND unit_price > 0 GROUP BY ALL),
        changes AS (SELECT month, CASE WHEN category IN ('drug', 'consumable') THEN category
            WHEN category IN ('examination', 'laboratory') THEN 'tests' ELSE 'services' END AS item, n,
            price / first_value(price) OVER (PARTITION BY provider_id, item_code ORDER BY month) AS ratio FROM monthly)
        SELECT month::VARCHAR AS month, item, sum(ratio * n) / sum(n) - 1 AS change FROM changes
        WHERE ratio BETWEEN 0.1 AND 10 GROUP BY month, item
        QUALIFY sum(n) > 0.3 * avg(sum(n)) OVER (PARTITION BY item) ORDER BY ALL""")
    # Rounding alone should not look like a change.
    span = [min(-0.01, *(row["change"] for row in rows)), max(0.01, *(row["change"] for row in rows))] if rows else []
    return chart(
        rows, {"type": "line", "interpolate": "step-after"},
        x=field("month", "temporal", **axis(format="%b %y", labelAngle=0, tickCount=6)),
        y=field("change", scale={"domain": span}, **axis(format="+.2~%")),
        color=field("item", "nominal", scale={"domain": _present(rows, "item", ["drug", "consumable", "tests"])}),
    )  # fmt: skip


_SCENES = (
    Scene("Age and sex", "Insured people by five years of age, on the first day.", _age_pyramid),
    Scene("Claims by kind of care and level", "How many claims each kind of house bills.", _kinds_by_level),
    Scene("Claims a month", "By the month of admission, stacked by kind of care.", _months),
    Scene("Days of the week", "Share of each kind of care that begins on each day.", _weekdays),
    Scene("Hours of the day", "Share of each kind of care that begins in each hour.", _hours),
    Scene("Length of stay", "Nights in hospital; 40 stands for 40 and more.", _stay_days),
    Scene("Cost of a stay", "Share of the claims of each level, by cost, on a scale of tenfolds.", _cost_of_stays),
    Scene(
        "Cost of a visit or purchase",
        "Share of the claims of each level, by cost, on a scale of tenfolds.",
        _cost_of_visits,
    ),
    Scene(
        "What the money buys",
        "Drugs, tests, treatment: share of the charges by kind of care and level.",
        _what_money_buys,
    ),
    Scene(
        "Refills of chronic patients",
        "Days between the end of a supply and the next box of the same drug; below nought: early.",
        _refills,
    ),
    Scene(
        "Beds in use",
        "Each hospital: mean share of licensed beds taken by this payer's people; the line ends at the fullest night.",
        _occupancy,
    ),
    Scene(
        "Seasons and epidemics",
        "Claims a week for infections of the airways (J00–J22, U07, B34), beside all other claims.",
        _epidemic,
    ),
    Scene(
        "Prices",
        "How far each house's price of each item lies from its own first price: a step is a change of prices.",
        _prices,
    ),
)
