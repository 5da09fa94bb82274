"""The rows behind the findings and the leading reasons of an explanation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fraud.explaining.reasons import Reason
from fraud.signals.evidence import Evidence, evidence
from fraud.signals.frames import FrameBuilder
from fraud.signals.rules import Finding

__all__ = ["MOST_REASONS", "claims_among", "rows_behind"]

# Evidence is looked up for the reasons that a reader will read first.
MOST_REASONS = 4
# Rows of each that a report keeps: a page shows the first few, the table to download all of them.
MOST_ROWS = 200


def rows_behind(
    builder: FrameBuilder, entity: str, key: Mapping[str, Any], reasons: Sequence[Reason], findings: Sequence[Finding]
) -> dict[str, Sequence[Evidence]]:
    """Evidence by signal id, for what hit and for the leading reasons that the entity itself gives.

    A reason that a snapshot gives (of a claim's provider, say) is about other rows, and has a report of its own.
    """
    hits = [f.signal.id for f in findings if f.status == "hit"]
    leading = [r.signal for r in reasons[:MOST_REASONS] if r.contribution > 0 and r.entity == entity]
    found = {i: evidence(builder, builder.catalogue[i], key, MOST_ROWS) for i in dict.fromkeys([*hits, *leading])}
    return {i: parts for i, parts in found.items() if parts}


def claims_among(behind: Mapping[str, Sequence[Evidence]]) -> set[str]:
    """Ids of the claims that are evidence."""
    tables = [e.rows for parts in behind.values() for e in parts if "claim_id" in e.rows.column_names]
    return {str(i) for rows in tables for i in rows["claim_id"].to_pylist()}
