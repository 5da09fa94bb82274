"""False claims and lines beside honest ones of the same house, kind of care and time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from fraud.claims.simulation.describing.comparing import Array
from fraud.claims.simulation.describing.judging import judged
from fraud.claims.simulation.describing.opening import Payer
from fraud.claims.simulation.describing.stamps import claim_stamps, line_stamps
from fraud.claims.simulation.describing.traces import Leak

__all__ = ["FEWEST", "false_claims", "false_lines", "texts"]

# Fewer false claims than this cannot show anything.
FEWEST = 8
# Honest claims for each false one: more add time and no certainty.
PER_FALSE, MOST = 5, 800
NEAR_DAYS = 60
# Of all schemes together: a stamp that many of them share shows here first.
ANY = "any scheme"


def false_claims(payer: Payer, seed: int, only: str | None = None) -> Iterator[Leak]:
    """Proof 1, for claims: of every scheme and of all together, or of one alone."""
    payer.connection.execute(_PLAYED.format(any=ANY))
    schemes = _schemes(payer, "played_claims")
    payer.connection.execute(_COMPARABLE.format(most=MOST, per=PER_FALSE, near=NEAR_DAYS, seed=seed))
    stamps = claim_stamps(payer, "SELECT DISTINCT claim_id FROM comparable")
    groups = _actor_groups(payer)
    for scheme in [s for s in schemes if only in (None, s)]:
        rows = payer.connection.execute(
            """SELECT claim_id, odd, stratum, content, sized, patient_id, physician_id, terminal_id, payee_account,
            operator_id, provider_id FROM comparable WHERE scheme = ? ORDER BY claim_id""",
            [scheme],
        ).fetchnumpy()
        sides = with_groups(texts(rows), groups[scheme])
        yield from judged("false claims", scheme, stamps, sides, len(schemes), seed)


_PLAYED = """
    CREATE OR REPLACE TEMP TABLE played_claims AS
    SELECT DISTINCT scheme, claim_id FROM true_claims UNION SELECT '{any}', claim_id FROM true_claims"""
# Honest claims of the same house and kind of care, settled while its false ones were, or nearly. Cents follow
# from what was billed, so they are compared among claims with the same dearest item (`content`); a short course is
# more easily the same as another by chance than a long one, so courses are compared among claims of one length.
_COMPARABLE = """
    CREATE OR REPLACE TEMP TABLE comparable AS
    WITH deeds AS (SELECT scheme, claim_id, provider_id, visit_type, settled_at
        FROM played_claims JOIN claims USING (claim_id)),
    wanted AS (SELECT scheme, provider_id, visit_type, count(*) AS n,
        min(settled_at) - INTERVAL {near} DAY AS first, max(settled_at) + INTERVAL {near} DAY AS last
        FROM deeds GROUP BY ALL),
    honest AS (SELECT w.scheme, c.claim_id, row_number() OVER (PARTITION BY w.scheme, w.provider_id, w.visit_type
            ORDER BY hash(c.claim_id || '{seed}')) AS turn, greatest(20, {per} * w.n) AS most
        FROM claims c JOIN wanted w ON c.provider_id = w.provider_id AND c.visit_type = w.visit_type
        AND c.settled_at BETWEEN w.first AND w.last
        WHERE c.claim_id NOT IN (SELECT claim_id FROM true_claims)),
    fewer AS (SELECT scheme, claim_id, true AS odd, row_number() OVER (PARTITION BY scheme
        ORDER BY hash(claim_id || '{seed}')) AS turn, {most} AS most FROM deeds),
    both_sides AS (SELECT scheme, claim_id, false AS odd FROM honest WHERE turn <= most
        UNION ALL SELECT scheme, claim_id, odd FROM fewer WHERE turn <= most)
    SELECT b.*, c.provider_id || c.visit_type AS stratum, stratum || coalesce(dearest, '') AS content,
        stratum || coalesce(length, 0) AS sized,
        provider_id, patient_id, physician_id, terminal_id, payee_account, operator_id
    FROM both_sides b JOIN claims c USING (claim_id)
    LEFT JOIN (SELECT claim_id, arg_max(item_code, amount) AS dearest, count(*) AS length FROM lines
        SEMI JOIN both_sides USING (claim_id) GROUP BY 1) USING (claim_id)"""


def texts(rows: dict[str, Any]) -> dict[str, Array]:
    """The columns as plain arrays; an empty cell is an empty text."""
    filled = {n: np.ma.filled(np.ma.asarray(v, dtype=object), "").astype(str) for n, v in rows.items() if n != "odd"}
    return filled | {"odd": np.asarray(rows["odd"], bool)}


def _schemes(payer: Payer, table: str) -> list[str]:
    found = payer.rows(f"SELECT scheme FROM {table} GROUP BY 1 HAVING count(DISTINCT claim_id) >= {FEWEST} ORDER BY 1")
    return [row["scheme"] for row in found]


# --- who belongs together -------------------------------------------------------------------------------

# A group that did more than this of all deeds leaves too little to test on.
MOST_IN_ONE = 0.4
ENTITIES = ("provider", "operator", "physician", "patient")


def _actor_groups(payer: Payer) -> dict[str, dict[str, str]]:
    """For each scheme, the group of every actor: those who did false claims together are one."""
    deeds: dict[str, list[tuple[str, ...]]] = {}
    query = f"""
        SELECT t.scheme, list(DISTINCT a.entity || ':' || a.entity_id ORDER BY a.entity || ':' || a.entity_id) AS who
        FROM played_claims t JOIN claims c USING (claim_id) JOIN true_actors a ON t.scheme IN (a.scheme, '{ANY}')
        AND a.entity_id IN (c.provider_id, c.patient_id, c.physician_id, c.operator_id) GROUP BY t.scheme, t.claim_id"""
    for row in payer.rows(query):
        deeds.setdefault(row["scheme"], []).append(tuple(row["who"]))
    known = _schemes(payer, "played_claims")
    return {scheme: _best_groups(deeds.get(scheme, [])) for scheme in known}


def _best_groups(deeds: Sequence[tuple[str, ...]]) -> dict[str, str]:
    """Groups of all actors; where somebody joins them all, groups of the people who come to that house or desk.

    A house cannot give them away: claims are compared within it.
    """
    choices = [_united(deeds, ENTITIES[i:]) for i in range(len(ENTITIES))]
    shares = [_largest(deeds, groups) for groups in choices]
    fair = [groups for groups, share in zip(choices, shares, strict=True) if share <= MOST_IN_ONE]
    return fair[0] if fair else choices[int(np.argmin(shares))]


def _largest(deeds: Sequence[tuple[str, ...]], groups: Mapping[str, str]) -> float:
    """Share of the deeds that the largest group did; deeds of nobody in a group stand alone."""
    done = Counter(groups[next(w for w in deed if w in groups)] for deed in deeds if any(w in groups for w in deed))
    return max(done.values(), default=0) / max(len(deeds), 1)


def _united(deeds: Sequence[tuple[str, ...]], kept: tuple[str, ...]) -> dict[str, str]:
    """The group of each actor of the kept kinds, named by its first member."""
    group: dict[str, str] = {}

    def first(who: str) -> str:
        while group.setdefault(who, who) != who:
            who = group[who]
        return who

    for deed in {tuple(w for w in deed if w.split(":")[0] in kept) for deed in deeds}:
        for one, other in combinations(deed, 2):
            a, b = sorted((first(one), first(other)))
            group[b] = a
        for who in deed:
            first(who)
    return {who: first(who) for who in group}


def with_groups(rows: dict[str, Array], groups: Mapping[str, str]) -> dict[str, Array]:
    """The rows with the `group` of actors that each belongs to."""
    return rows | {"group": np.array([_group(rows, i, groups) for i in range(len(rows["odd"]))])}


def _group(rows: dict[str, Array], i: int, groups: Mapping[str, str]) -> str:
    """The actor, or group of actors, that a claim belongs to; by its patient or house where there is none."""
    for entity in reversed(ENTITIES):
        name = f"{entity}:{rows[f'{entity}_id'][i]}"
        if name in groups:
            return groups[name]
    return f"house:{rows['provider_id'][i]}" if rows["odd"][i] else f"patient:{rows['patient_id'][i]}"


# --- false lines ----------------------------------------------------------------------------------------

# One line of each claim, as the lines of a claim share their times; schemes that bend some lines and leave others.
_LINES = """
    CREATE OR REPLACE TEMP TABLE comparable_lines AS
    WITH counted AS (SELECT scheme, claim_id, count(DISTINCT line_no) AS n FROM true_lines GROUP BY ALL),
    parts AS (SELECT DISTINCT scheme FROM counted
        JOIN (SELECT claim_id, count(*) AS held FROM lines GROUP BY 1) USING (claim_id) WHERE n < held),
    bent AS (FROM true_lines SEMI JOIN parts USING (scheme)),
    deeds AS (SELECT DISTINCT scheme, claim_id, line_no FROM bent UNION SELECT '{any}', claim_id, line_no FROM bent),
    sides AS (SELECT scheme, claim_id, line_no, true AS odd FROM deeds
        UNION ALL SELECT c.scheme, claim_id, line_no, false FROM lines JOIN comparable c USING (claim_id)
        WHERE NOT c.odd AND c.scheme IN (SELECT scheme FROM deeds)),
    drawn AS (SELECT *, row_number() OVER (PARTITION BY scheme, odd, claim_id ORDER BY hash(claim_id || line_no))
        AS turn FROM sides)
    SELECT d.scheme, d.claim_id, d.line_no, d.odd, claim_id || '|' || line_no AS key,
        provider_id || visit_type || item_code AS stratum, stratum AS content, stratum AS sized,
        provider_id, patient_id, physician_id, operator_id
    FROM drawn d JOIN claims USING (claim_id)
    JOIN (SELECT claim_id, line_no, item_code FROM lines) USING (claim_id, line_no) WHERE turn = 1"""


def false_lines(payer: Payer, seed: int) -> Iterator[Leak]:
    """Proof 1, for lines that are false in claims that are not."""
    payer.connection.execute(_LINES.format(any=ANY))
    stamps = line_stamps(payer, "SELECT DISTINCT claim_id, line_no FROM comparable_lines")
    groups = _actor_groups(payer)
    schemes = [
        row["scheme"]
        for row in payer.rows(f"""SELECT scheme FROM comparable_lines WHERE odd GROUP BY 1
            HAVING count(*) >= {FEWEST} ORDER BY 1""")
        if row["scheme"] in groups
    ]
    for scheme in schemes:
        rows = payer.connection.execute(
            "SELECT * EXCLUDE (scheme, line_no) FROM comparable_lines WHERE scheme = ? ORDER BY key", [scheme]
        ).fetchnumpy()
        sides = with_groups(texts(rows), groups[scheme])
        yield from judged("false lines", scheme, stamps, sides, len(schemes), seed)
