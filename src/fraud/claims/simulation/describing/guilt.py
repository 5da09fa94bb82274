"""What the truth says of a simulated payer: its schemes, their actors, and how much of it outcomes found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fraud.claims.simulation.describing.drawing import LINE, MUTED, WARN, axis, chart, field, layered
from fraud.claims.simulation.describing.opening import GUILTY, Payer
from fraud.claims.simulation.describing.pictures import Picture, Scene, drawn

__all__ = ["SchemeRow", "guilt_pictures", "label_table", "scheme_rows"]

Spec = dict[str, Any]


@dataclass(frozen=True)
class SchemeRow:
    """One scheme in figures; money in the payer's currency, `found` a share of the false claims.

    `delay_days` is the median from settlement to decision; `stealth` the median share of an actor's claims,
    within its span, that is false.
    """

    scheme: str
    violation: str
    actors: int
    first: str
    last: str
    claims: int
    lines: int
    amount: float
    found: float
    delay_days: float | None
    stealth: float | None


# Claims of each actor within its span, and how many of them are false.
_TAKEN_PART = """
    CREATE OR REPLACE TEMP TABLE taken_part AS
    WITH parts AS (SELECT DISTINCT scheme, violation, entity, entity_id, "from" AS first, "to" AS last
        FROM true_actors),
    owned AS (
        SELECT 'provider' AS entity, provider_id AS entity_id, claim_id, settled_at FROM claims UNION ALL
        SELECT 'patient', patient_id, claim_id, settled_at FROM claims UNION ALL
        SELECT 'physician', physician_id, claim_id, settled_at FROM claims WHERE physician_id IS NOT NULL UNION ALL
        SELECT 'operator', operator_id, claim_id, settled_at FROM claims WHERE operator_id IS NOT NULL)
    SELECT p.scheme, p.entity, p.entity_id, count(o.claim_id) AS claims,
        count(t.claim_id) AS false_
    FROM parts p JOIN owned o ON o.entity = p.entity AND o.entity_id = p.entity_id
        AND o.settled_at::DATE BETWEEN p.first AND p.last
    LEFT JOIN (SELECT DISTINCT scheme, claim_id FROM true_claims) t
        ON t.scheme = p.scheme AND t.claim_id = o.claim_id
    GROUP BY ALL"""


def scheme_rows(payer: Payer) -> list[SchemeRow]:
    """Every scheme of the truth, by its type of violation."""
    payer.connection.execute(_TAKEN_PART)
    rows = payer.rows(f"""
        WITH false_ AS (SELECT scheme, any_value(violation) AS violation, count(DISTINCT claim_id) AS claims,
            sum(amount) AS amount FROM true_claims GROUP BY 1),
        decided AS (SELECT entity_id AS claim_id, min(decided_at) AS decided_at FROM outcomes
            WHERE entity = 'claim' AND verdict IN {GUILTY} GROUP BY 1),
        found AS (SELECT scheme, count(decided_at) / count(*) AS found,
            median(date_diff('day', settled_at, decided_at)) AS delay
            FROM true_claims JOIN claims USING (claim_id) LEFT JOIN decided USING (claim_id) GROUP BY 1),
        cast_ AS (SELECT scheme, count(DISTINCT entity || entity_id) AS actors, min("from")::VARCHAR AS first,
            max("to")::VARCHAR AS last FROM true_actors GROUP BY 1),
        lined AS (SELECT scheme, count(*) AS lines FROM true_lines GROUP BY 1),
        hidden AS (SELECT scheme, median(false_ / claims) AS stealth FROM taken_part GROUP BY 1)
        SELECT scheme, violation, coalesce(actors, 0) AS actors, coalesce(first, '') AS first,
            coalesce(last, '') AS last, claims, coalesce(lines, 0) AS lines, amount, found, delay AS delay_days, stealth
        FROM false_ JOIN found USING (scheme) LEFT JOIN cast_ USING (scheme) LEFT JOIN lined USING (scheme)
        LEFT JOIN hidden USING (scheme) ORDER BY violation, scheme""")
    return [SchemeRow(**row) for row in rows]


def label_table(payer: Payer) -> list[dict[str, Any]]:
    """Outcomes of claims against the truth: for each verdict, how many, how many truly false, and how late."""
    return payer.rows("""
        SELECT verdict, count(*) AS outcomes,
            count(*) FILTER (entity_id IN (SELECT claim_id FROM true_claims)) AS truly_false,
            median(date_diff('day', settled_at, decided_at)) AS delay_days,
            quantile_cont(date_diff('day', settled_at, decided_at), 0.95) AS late_days
        FROM outcomes JOIN claims ON entity = 'claim' AND entity_id = claim_id
        GROUP BY verdict ORDER BY outcomes DESC, verdict""")


def guilt_pictures(payer: Payer) -> list[Picture]:
    """Pictures of the schemes; `scheme_rows` must have been asked for before."""
    return list(drawn(payer, _SCENES))


def _order(payer: Payer) -> list[str]:
    rows = payer.rows("SELECT scheme FROM true_claims GROUP BY scheme ORDER BY min(violation), scheme")
    return [row["scheme"] for row in rows]


_SPACED = "replace(datum.label, /_/g, ' ')"


def _by_scheme(order: list[str], **more: Any) -> Spec:
    return field("scheme", "ordinal", sort=order, **axis(domain=False, ticks=False, labelExpr=_SPACED), **more)


def _timeline(payer: Payer) -> Spec:
    rows = payer.rows("""
        SELECT scheme, entity, "from"::VARCHAR AS first, "to"::VARCHAR AS last,
            (row_number() OVER (PARTITION BY scheme ORDER BY "from", "to") - 0.5) / count(*) OVER (PARTITION BY scheme)
            AS turn FROM true_actors ORDER BY ALL LIMIT 3000""")
    return chart(
        rows, {"type": "bar", "height": 1.6}, {"step": 30},
        x=field("first", "temporal", **axis(format="%b %y", labelAngle=0, tickCount=4, labelOverlap=True)),
        x2={"field": "last"},
        y=_by_scheme(_order(payer)), yOffset=field("turn", scale={"domain": [0, 1]}),
        color=field("entity", "nominal"),
    )  # fmt: skip


def _money(payer: Payer) -> Spec:
    rows = payer.rows(f"""
        WITH found AS (SELECT DISTINCT entity_id AS claim_id FROM outcomes
            WHERE entity = 'claim' AND verdict IN {GUILTY})
        SELECT scheme, sum(amount) AS amount,
            CASE WHEN claim_id IN (SELECT claim_id FROM found) THEN 'found by outcomes' ELSE 'not found' END AS known
        FROM true_claims GROUP BY scheme, known ORDER BY ALL""")
    return chart(
        rows, "bar", {"step": 22}, x=field("amount", stack=True, title="yuan", **axis(format="~s", tickCount=5)),
        y=_by_scheme(_order(payer)),
        color=field("known", "nominal", scale={"domain": ["found by outcomes", "not found"], "range": [WARN, MUTED]}),
    )  # fmt: skip


def _stealth(payer: Payer) -> Spec:
    rows = payer.rows(
        "SELECT scheme, entity, false_ / claims AS share FROM taken_part WHERE claims > 0 ORDER BY ALL LIMIT 4000"
    )
    return chart(
        rows, {"type": "point", "filled": True, "opacity": 0.6, "size": 34}, {"step": 22},
        x=field("share", scale={"domain": [0, 1]}, **axis(format=".0%", tickCount=5)),
        y=_by_scheme(_order(payer)), color=field("entity", "nominal"),
    )  # fmt: skip


def _delays(payer: Payer) -> Spec:
    rows = payer.rows("""
        SELECT least(date_diff('day', settled_at, decided_at) // 10 * 10, 360)::INT AS days,
            CASE WHEN entity_id IN (SELECT claim_id FROM true_claims) THEN 'truly false' ELSE 'honest' END AS truth,
            count(*)::INT AS outcomes
        FROM outcomes JOIN claims ON entity = 'claim' AND entity_id = claim_id
        WHERE verdict <> 'pending' GROUP BY ALL ORDER BY days""")
    by_month = axis(labelAngle=0, values=list(range(0, 361, 30)))
    return chart(
        rows, "bar", x=field("days", "ordinal", title="days from settlement to decision", **by_month),
        y=field("outcomes"),
        color=field("truth", "nominal", scale={"domain": ["truly false", "honest"], "range": [WARN, MUTED]}),
    )  # fmt: skip


def _share_a_month(payer: Payer) -> Spec:
    rows = payer.rows(f"""
        WITH found AS (SELECT DISTINCT entity_id AS claim_id FROM outcomes
            WHERE entity = 'claim' AND verdict IN {GUILTY}),
        monthly AS (SELECT date_trunc('month', settled_at)::DATE::VARCHAR AS month,
            avg((claim_id IN (SELECT claim_id FROM true_claims))::INT) AS truth,
            avg((claim_id IN (SELECT claim_id FROM found))::INT) AS labels FROM claims GROUP BY 1)
        UNPIVOT monthly ON truth, labels INTO NAME what VALUE share ORDER BY month""")
    return chart(
        rows, {"type": "line", "point": True},
        x=field("month", "temporal", **axis(format="%b %y", labelAngle=0, tickCount=6)),
        y=field("share", **axis(format=".1%")),
        color=field("what", "nominal", scale={"domain": ["truth", "labels"], "range": [WARN, MUTED]}),
    )  # fmt: skip


# Among the false claims of which scheme do most people meet in one house on one day?
_MEETINGS = """
    WITH met AS (SELECT scheme, patient_id, provider_id, admitted_at::DATE AS day,
        count(DISTINCT patient_id) OVER (PARTITION BY scheme, provider_id, admitted_at::DATE) AS company
        FROM true_claims JOIN claims USING (claim_id)
        SEMI JOIN (SELECT scheme, entity_id AS patient_id FROM true_actors WHERE entity = 'patient')
            USING (scheme, patient_id)),
    chosen AS (SELECT scheme FROM met GROUP BY 1 HAVING max(company) >= 3 ORDER BY avg(company) DESC LIMIT 1),
    shown AS (SELECT * FROM met SEMI JOIN chosen USING (scheme) WHERE company >= 2),
    folk AS (SELECT patient_id, min(provider_id) AS home FROM shown GROUP BY 1
        ORDER BY home, patient_id LIMIT 45)
    SELECT DISTINCT scheme, dense_rank() OVER (ORDER BY home, patient_id) AS person,
        'house ' || dense_rank() OVER (ORDER BY provider_id) AS house, day::VARCHAR AS day
    FROM shown JOIN folk USING (patient_id) ORDER BY person, day"""


def _meetings(payer: Payer) -> Spec:
    rows = payer.rows(_MEETINGS)
    x = field("day", "temporal", **axis(format="%b %y", labelAngle=0, tickCount=5))
    y = field("person", "ordinal", title="patients", **axis(labels=False, ticks=False))
    days = chart(rows, {"type": "rule", "color": LINE}, {"step": 9}, x=x)
    dots = chart(
        rows, {"type": "point", "filled": True, "opacity": 1, "size": 26}, {"step": 9}, x=x, y=y,
        color=field("house", "nominal", legend=None),
    )  # fmt: skip
    return layered(days, dots)


_SCENES = (
    Scene("When the actors are at it", "One line for each actor, from its first to its last day.", _timeline),
    Scene("Money at stake", "False amounts by scheme, and the part that outcomes found.", _money),
    Scene(
        "How much of it is false",
        "Each actor: the share of its claims within its span that is false. What is left is honest cover.",
        _stealth,
    ),
    Scene(
        "False claims a month",
        "Share of the claims settled in a month that is false, in truth and by labels so far: labels come late.",
        _share_a_month,
    ),
    Scene("How late labels come", "Outcomes of claims by the days they took.", _delays),
    Scene(
        "Together at the same house",
        "False visits of the closest ring: a row for each person, a dot for each visit, a colour for each house.",
        _meetings,
    ),
)
