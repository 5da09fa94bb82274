"""Charts are plain SVG with escaped text."""

from __future__ import annotations

from datetime import date
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fraud.explaining.charts import (
    Bar,
    Mark,
    columns,
    contribution_chart,
    event_chart,
    month_chart,
    peer_chart,
    wrapped,
)
from tests.explaining.worlds import HOSTILE


@given(st.text(max_size=80), st.integers(4, 40))
def test_wrapped_lines_fit_and_only_an_ellipsis_hides_text(text: str, width: int) -> None:
    lines = wrapped(text, width)
    assert len(lines) <= 2
    assert all(columns(line) <= width + 1 for line in lines)
    kept = "".join("".join(lines).split())
    whole = "".join(text.split())
    assert kept == whole or ("…" in lines[-1] and whole.startswith(kept.removesuffix("…")))


def test_chinese_wraps_between_characters() -> None:
    assert wrapped("同病短期再入院次数", 10) == ("同病短期再", "入院次数")


@pytest.mark.parametrize("narrow", [False, True])
def test_labels_are_escaped_in_the_chart_of_contributions(narrow: bool) -> None:
    bars = [Bar((HOSTILE,), -1.0, 0.5, "up", "+1.50"), Bar(("a", "b"), 0.5, 0.5, "total", "0.50")]
    svg = contribution_chart(bars, "log-odds", narrow)
    assert "<script" not in svg
    assert HOSTILE in _text(svg)


def _text(svg: str) -> str:
    return "\n".join(ElementTree.fromstring(svg).itertext())


@pytest.mark.parametrize(
    ("quantiles", "value"),
    [
        (np.zeros(201), 0.0),
        (np.zeros(201), None),
        (np.full(201, 3.0), 1e9),
        (np.repeat([0.0, 1.0, 2.0], 67), 2.0),
        (np.linspace(-5, 5, 201), -7.5),
        (np.geomspace(1, 1e6, 201), 2e6),
    ],
)
def test_the_chart_of_peers_can_be_drawn_for_every_shape(quantiles: np.ndarray, value: float | None) -> None:
    svg = peer_chart(quantiles.tolist(), value, float(np.median(quantiles)))
    assert "NaN" not in svg
    assert "Infinity" not in svg
    assert ('stroke="#c2410c"' in svg) == (value is not None)


def test_months_are_drawn_with_their_titles() -> None:
    months = [(date(2025, m, 1), m, m * 1000.0) for m in range(1, 13)]
    text = _text(month_chart(months, "Amount (CNY)", "Claims", narrow=True))
    assert "Amount (CNY)" in text
    assert "2025-01" in text


def test_a_single_event_can_be_drawn_and_a_marked_one_stands_out() -> None:
    svg = event_chart([Mark(date(2025, 1, 1), date(2025, 1, 1), HOSTILE, 0.0, True)])
    assert "#c2410c" in svg
    assert "<script" not in svg
    assert HOSTILE[:20] in _text(svg)
