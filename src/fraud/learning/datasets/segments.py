"""Segments of rows: where a provider is and of what kind, who a patient is; to see whether all are treated alike."""

from __future__ import annotations

import duckdb
import numpy as np
import pyarrow as pa

from fraud.signals.peers import AGE_BANDS

__all__ = ["SEGMENTS", "segments_of_claims", "segments_of_entities"]

# What describes whom. A physician is where the house is at which he or she is registered.
SEGMENTS: dict[str, tuple[str, ...]] = {
    "claim": ("region", "level", "kind", "age_band", "sex", "insurance_type"),
    "provider": ("region", "level", "kind"),
    "physician": ("region", "level", "kind", "specialty"),
    "patient": ("region", "age_band", "sex", "insurance_type"),
}


def _age_band(on: str) -> str:
    years = f"date_diff('day', p.birth_date, {on}::DATE) / 365.25"
    bands = " ".join(f"WHEN {years} < {upper} THEN '{name}'" for upper, name in AGE_BANDS if upper is not None)
    return f"CASE WHEN p.birth_date IS NULL THEN NULL {bands} ELSE '{AGE_BANDS[-1][1]}' END"


_OF_CLAIM = f"""
    SELECT h.region, h.level, h.kind, {_age_band("c.admitted_at")} AS age_band, p.sex, p.insurance_type
    FROM "{{target}}" c LEFT JOIN providers h USING (provider_id) LEFT JOIN patients p USING (patient_id)
    ORDER BY c.claim_id"""
_OF_ENTITY = {
    "provider": "SELECT h.region, h.level, h.kind FROM segment_keys k LEFT JOIN providers h ON h.provider_id = k.id",
    "physician": """
        SELECT h.region, h.level, h.kind, d.specialty FROM segment_keys k
        LEFT JOIN physicians d ON d.physician_id = k.id LEFT JOIN providers h ON h.provider_id = d.provider_id""",
    "patient": f"""
        SELECT p.insured_region AS region, {_age_band("k.snapshot")} AS age_band, p.sex, p.insurance_type
        FROM segment_keys k LEFT JOIN patients p ON p.patient_id = k.id""",
}


def segments_of_claims(connection: duckdb.DuckDBPyConnection, target: str = "claims") -> dict[str, np.ndarray]:
    """Segments of each claim of `target`, in order of id; None where a register does not say."""
    return _columns(connection.sql(_OF_CLAIM.format(target=target)).to_arrow_table())


def segments_of_entities(connection: duckdb.DuckDBPyConnection, entity: str, pairs: pa.Table) -> dict[str, np.ndarray]:
    """Segments of each (entity_id, snapshot), in the order of `pairs`."""
    keys = {"id": pairs["entity_id"], "snapshot": pairs["snapshot"], "place": np.arange(pairs.num_rows)}
    connection.register("segment_keys", pa.table(keys))
    found = connection.sql(f"{_OF_ENTITY[entity]} ORDER BY k.place").to_arrow_table()
    connection.unregister("segment_keys")
    return _columns(found)


def _columns(table: pa.Table) -> dict[str, np.ndarray]:
    """Object arrays that share one string for each value: millions of rows fit into memory."""
    return {name: _shared(table[name]) for name in table.column_names}


def _shared(column: pa.ChunkedArray) -> np.ndarray:
    encoded = column.combine_chunks().dictionary_encode()
    names = np.array([*encoded.dictionary.to_pylist(), None], dtype=object)
    return np.asarray(names[encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False)])
