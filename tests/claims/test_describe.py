"""The page about the tables says what the schema says."""

from __future__ import annotations

from pathlib import Path

from fraud.claims.describe import as_markdown
from fraud.claims.pseudonyms import PERSONAL
from fraud.claims.schema import TABLES

PAGE = Path(__file__).parents[2] / "docs/claims.md"


def test_the_page_is_the_one_made_from_the_schema() -> None:
    assert PAGE.read_text("utf-8") == as_markdown(), "run: python -m fraud.claims.describe > docs/claims.md"


def test_every_column_has_a_line_with_its_type() -> None:
    page = as_markdown()
    for table in TABLES.values():
        section = page.split(f"## {table.name}\n")[1].split("\n## ")[0]
        for column in table.columns:
            assert f"| `{column.name}` | " in section
    assert "| `verdict` | text, **required**, `confirmed_fraud` / " in page
    assert "| `latitude` | float, may be negative |" in page


def test_the_page_names_every_personal_column() -> None:
    rules = as_markdown().split("## What an import does")[1]
    for columns in PERSONAL.values():
        for column in columns:
            assert column in rules
