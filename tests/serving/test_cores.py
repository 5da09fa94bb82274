"""How many processors there are to use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fraud.config import cores


@pytest.mark.parametrize(
    ("limit", "expected"), [("150000 100000", 2), ("50000 100000", 1), ("max 100000", 64), ("", 64), (None, 64)]
)
def test_a_container_gets_as_many_as_its_limit_lets_it_use(
    limit: str | None, expected: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if limit is not None:
        (tmp_path / "cpu.max").write_text(limit, "ascii")
    monkeypatch.setattr("fraud.config._CONTAINER", tmp_path / "cpu.max")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: set(range(64)), raising=False)
    assert cores() == expected
