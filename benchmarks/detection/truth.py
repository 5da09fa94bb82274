"""Who did what on a simulated payer: the guilty and the innocent of each scheme and type, by kind of entity."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fraud.claims.folder import ClaimsFolder, connect
from fraud.signals.relations import ENTITY_KEYS

from .scoring import Scores

__all__ = ["Sides", "Truth", "mistakes", "read_truth"]

# A claim that repeats an earlier one to the cent was sent twice, whether the check of the data found it or not.
_SENT_TWICE = """
    SELECT claim_id FROM claims WHERE invoice_no IS NOT NULL
    QUALIFY count(*) OVER (PARTITION BY patient_id, provider_id, invoice_no, admitted_at, total_amount) > 1"""


@dataclass(frozen=True)
class Sides:
    """Masks over the rows of some scores: the guilty, and those with no part in anything.

    `named` tells that the guilty are those named on false claims, because nobody of this kind is an actor.
    """

    guilty: np.ndarray
    innocent: np.ndarray
    named: bool = False

    @property
    def base(self) -> float:
        """Share of the guilty among the rows that count."""
        return float(self.guilty.sum()) / max(int(self.guilty.sum() + self.innocent.sum()), 1)


@dataclass(frozen=True)
class Truth:
    """Ids by (scheme, kind of entity): of false claims, of actors, and of those whom false claims name."""

    violations: Mapping[str, str]
    claims: Mapping[str, frozenset[str]]
    actors: Mapping[tuple[str, str], frozenset[str]]
    named: Mapping[tuple[str, str], frozenset[str]]

    @property
    def types(self) -> dict[str, tuple[str, ...]]:
        """Schemes of each type of violation."""
        found: dict[str, list[str]] = {}
        for scheme, violation in sorted(self.violations.items(), key=lambda item: (item[1], item[0])):
            found.setdefault(violation, []).append(scheme)
        return {violation: tuple(schemes) for violation, schemes in found.items()}

    def sides(self, scores: Scores, schemes: Sequence[str], *, named: bool = False) -> Sides:
        """The guilty of some schemes and the innocent of all; who had a part in other schemes only is neither.

        With `named`, and nobody of the kind among the actors, those whom false claims name stand in for them.
        """
        if scores.entity == "claim":
            false_ = scores.rows(_all(self.claims.values()))
            return Sides(scores.rows(_all(self.claims[s] for s in schemes)), ~false_)
        actors = {key: ids for key, ids in self.actors.items() if key[1] == scores.entity}
        acting = scores.rows(_all(actors.values()))
        guilty = _all(actors.get((s, scores.entity), ()) for s in schemes)
        if guilty or not named:
            return Sides(scores.rows(guilty), ~acting)
        rows = scores.rows(_all(self.named.get((s, scores.entity), ()) for s in schemes))
        return Sides(rows, ~acting & ~rows, named=True)


def mistakes(folder: str | Path) -> frozenset[str]:
    """Claims of honest people that are wrong all the same: sent twice, or found out by the check of the data.

    Only for a payer without schemes: elsewhere a claim sent twice may be a deed.
    """
    connection = connect()
    try:
        ClaimsFolder(folder).attach(connection, ["claims", "outcomes"])
        found = connection.execute(
            f"""SELECT entity_id FROM outcomes WHERE entity = 'claim' AND verdict = 'data_error'
                UNION {_SENT_TWICE}"""
        ).fetchall()
    finally:
        connection.close()
    return frozenset(row[0] for row in found)


def _all(groups: Iterable[Iterable[str]]) -> frozenset[str]:
    return frozenset(i for group in groups for i in group)


def read_truth(folder: str | Path) -> Truth:
    """The truth beside a simulated payer."""
    connection = connect()
    try:
        ClaimsFolder(folder).attach(connection, ["claims"])
        claims = f"read_parquet('{folder}.truth/claims.parquet')"
        actors = f"read_parquet('{folder}.truth/actors.parquet')"
        violations = connection.execute(f"SELECT DISTINCT scheme, violation FROM {claims}").fetchall()
        false_ = connection.execute(f"SELECT scheme, list(DISTINCT claim_id) FROM {claims} GROUP BY 1").fetchall()
        cast = connection.execute(
            f"SELECT scheme, entity, list(DISTINCT entity_id) FROM {actors} GROUP BY ALL"
        ).fetchall()
        named: dict[tuple[str, str], frozenset[str]] = {}
        for entity, key in ENTITY_KEYS.items():
            rows = connection.execute(
                f"""SELECT scheme, list(DISTINCT "{key}") FROM {claims} JOIN claims USING (claim_id)
                    WHERE "{key}" IS NOT NULL GROUP BY 1"""
            ).fetchall()
            named |= {(scheme, entity): frozenset(ids) for scheme, ids in rows}
    finally:
        connection.close()
    return Truth(
        dict(violations),
        {scheme: frozenset(ids) for scheme, ids in false_},
        {(scheme, entity): frozenset(ids) for scheme, entity, ids in cast},
        named,
    )
