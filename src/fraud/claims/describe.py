"""The canonical tables as markdown: what `docs/claims.md` says, made from the schema itself."""

from __future__ import annotations

from collections.abc import Iterator

from fraud.claims.schema import TABLES, Column, Table

__all__ = ["as_markdown"]

HEADER = """# The canonical claims tables

<!-- Made from src/fraud/claims/schema.py by `python -m fraud.claims.describe`; a test keeps them equal. -->

Every source is imported into these tables, and everything after the import reads only them. On disk a
table is `DIR/<table>.parquet` or `DIR/<table>/*.parquet`. A column marked **required** is never null; every
other one may be null or absent, and a signal that needs it is then skipped with a reason, never guessed.
"""

IMPORT_RULES = """## What an import does

`fraud import cms | canonical | mapped RAW --to DIR` reads the files of a folder into `DIR`:

| in `DIR` | what it holds |
|---|---|
| `<table>/part-0.parquet` | the table, sorted by its key |
| `history/<table>/` | older versions: claims, their rows (with the claim's `uploaded_at`), registers |
| `quarantine/<table>/` | rows not loaded: `file`, `sha256`, `row`, `reasons`, `raw` (the row as JSON) |
| `faults/` | cells not read: `table`, `file`, `sha256`, `row`, `column`, `code`, `value` |
| `quality.json`, `quality.html` | the data-quality report |
| `manifest.json` | files imported, counts, faults, the mark of the key for pseudonyms (never the key) |

- **Every row is accounted for**: rows read = loaded + quarantined + superseded + duplicates, in every table.
- **Required cells** that are missing or cannot be read put the whole row in quarantine. **Other cells**
  that cannot be read are null in the table and stand in `faults/`. That covers text that is no number or
  date, years outside 1900 to 2100, negative amounts, and values outside a closed set.
- **Lines of a file that cannot be split into its columns** (cut short, a quote never closed, bytes that are
  not text) go to quarantine one by one; the rows around them load. `row` is the line in the file, the
  header being line 1.
- **Twice the same key**: equal rows are loaded once. A claim with a later `uploaded_at` replaces the
  earlier one, which goes to history; a version without `uploaded_at` counts as the oldest. Of other rows
  that differ the first stands, and the others go to quarantine.
- **Into a folder that holds claims** an import merges. The diagnoses, procedures and lines of a replaced
  claim go to history with it, where this import brings such a table. In registers (patients, providers,
  physicians, catalogue, exclusions) the later import stands, and what it leaves empty stays as it was.
- **The same files again** change no byte of a table; an interrupted import leaves the folder as it was.
- **Orphans and impossible dates** are loaded as they came and shown in the report: they are errors in
  data, and say nothing about fraud.
- **Codes** lose their dot (`I10.9` is `I109`), ids keep their leading zeros, text loses blanks around it,
  and an offset on a time is dropped: tables hold civil time as written. Instants in a parquet file are
  read in the `timezone` of a mapping, in UTC otherwise, and that is a fault.
- **Persons**: with `FRAUD_PSEUDONYM_KEY` set, `patient_id`, `payee_account`, `invoice_no` and `operator_id`
  of claims, `patient_id` of patients and of physicians, the `entity_id` of outcomes about patients, columns
  that a mapping names, and anything that has the form of an ID-card or mobile number become keyed
  pseudonyms (HMAC-SHA256). Without a key, an import that meets such a number is refused. The ids of the
  public `cms` files are pseudonyms already and stay as they are without a key.
"""


def as_markdown() -> str:
    """The page about all tables."""
    return "\n".join([HEADER, *(_section(table) for table in TABLES.values()), IMPORT_RULES])


def _section(table: Table) -> str:
    key = ", ".join(f"`{part}`" for part in table.key)
    rows = "\n".join(_row(column) for column in table.columns)
    head = "| column | type | what it holds |\n|---|---|---|"
    return f"## {table.name}\n\nOne row is {table.grain}. Key: {key}.\n\n{head}\n{rows}\n"


def _row(column: Column) -> str:
    return f"| `{column.name}` | {', '.join(_type(column))} | {column.doc} |"


def _type(column: Column) -> Iterator[str]:
    yield "list of text" if column.kind == "ids" else column.kind
    if column.required:
        yield "**required**"
    if column.values:
        yield " / ".join(f"`{value}`" for value in column.values)
    if column.signed:
        yield "may be negative"


if __name__ == "__main__":
    print(as_markdown(), end="")
