"""A simulated payer open to questions in SQL: its tables, and the truth about them where it lies beside."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from fraud.claims.folder import ClaimsFolder, connect

__all__ = ["GUILTY", "Payer", "opened", "truth_folder"]

TRUTH = {
    "claims": "claim_id VARCHAR, scheme VARCHAR, violation VARCHAR, amount DOUBLE",
    "lines": "claim_id VARCHAR, line_no BIGINT, scheme VARCHAR, violation VARCHAR, amount DOUBLE",
    "actors": "entity VARCHAR, entity_id VARCHAR, scheme VARCHAR, violation VARCHAR, "
    '"from" DATE, "to" DATE, amount DOUBLE',
}
# Verdicts of an investigation that found something.
GUILTY = "('confirmed_fraud', 'confirmed_abuse', 'improper_payment', 'waste')"


@dataclass(frozen=True)
class Payer:
    """Canonical tables as views, and `true_claims`, `true_lines`, `true_actors` (empty without a truth)."""

    folder: ClaimsFolder
    connection: duckdb.DuckDBPyConnection
    has_truth: bool

    def rows(self, query: str) -> list[dict[str, Any]]:
        """Rows of a query as dictionaries."""
        cursor = self.connection.execute(query)
        names = [column[0] for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def one(self, query: str) -> Any:
        """The first cell of a query; `None` when it has no row."""
        row = self.connection.execute(query).fetchone()
        return row[0] if row else None


def truth_folder(folder: str | Path) -> Path:
    """Where the truth about a simulated payer lies."""
    return Path(f"{folder}.truth")


@contextmanager
def opened(folder: str | Path) -> Iterator[Payer]:
    """A payer for as long as the block lasts; raises `ClaimsError` when the folder holds no claims."""
    held = ClaimsFolder(folder)
    truth = truth_folder(folder)
    connection = connect()
    try:
        held.attach(connection)
        for part, columns in TRUTH.items():
            _attach_truth(connection, truth / f"{part}.parquet", part, columns)
        yield Payer(held, connection, (truth / "claims.parquet").is_file())
    finally:
        connection.close()


def _attach_truth(connection: duckdb.DuckDBPyConnection, file: Path, part: str, columns: str) -> None:
    if file.is_file():
        path = str(file).replace("'", "''")
        connection.execute(f"CREATE VIEW true_{part} AS FROM read_parquet('{path}')")
    else:
        connection.execute(f"CREATE TABLE true_{part} ({columns})")
