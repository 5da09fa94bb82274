"""The command that writes reports: the format follows from what is asked for, or from the file's name."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from fraud.cli import app
from fraud.commands.report import format_of
from fraud.errors import InputError


@pytest.mark.parametrize(
    ("form", "out", "chosen"),
    [
        (None, None, "html"),
        (None, "why.pdf", "pdf"),
        (None, "why.XLSX", "xlsx"),
        (None, "why.txt", "html"),
        ("json", "why.pdf", "json"),
    ],
)
def test_the_format_is_that_which_is_named_or_that_of_the_file(form: str | None, out: str | None, chosen: str) -> None:
    assert format_of(form, Path(out) if out else None) == chosen


def test_a_format_or_an_entity_that_there_is_not_is_refused_before_anything_is_loaded() -> None:
    with pytest.raises(InputError, match="no format; did you mean"):
        format_of("xls", None)
    for call in (["claim", "c-1", "--format", "docx"], ["hospital", "h-1"]):
        result = CliRunner().invoke(app, ["report", *call, "--claims", "nowhere"])
        assert isinstance(result.exception, InputError)
