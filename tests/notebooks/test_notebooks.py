"""The notebooks run as Jupyter runs them, show what their text says, and are kept without outputs."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from fraud.errors import GateError

ROOM = Path(__file__).resolve().parents[2] / "notebooks"
NOTEBOOKS = sorted(ROOM.glob("*.ipynb"))
Names = dict[str, Any]


def _cells(path: Path, kind: str = "code") -> list[dict[str, Any]]:
    return [c for c in json.loads(path.read_text("utf-8"))["cells"] if c["cell_type"] == kind]


@pytest.fixture(scope="module")
def var(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the notebooks keep the town that they share."""
    return tmp_path_factory.mktemp("notebooks")


# --- what the text beside a cell says of it -----------------------------------------------------------------


def _claims(names: Names) -> None:
    table = names["imported"].tables["claims"]
    assert (table.rows_in, table.loaded, table.quarantined) == (400, 397, 3)
    known = names["known"].set_index(["truth", "outcome"])["claims"]
    assert known["false", "nobody looked"] > known["false"].sum() / 2, "most false claims were never looked at"
    first, second = (rows["positives"].sum() for rows in names["rows"])
    assert first < second, "labels come late"


def _signal(names: Names) -> None:
    from fraud.signals.contract import check_signal

    assert not check_signal(names["catalogue"], names["signal"], names["date"](2025, 6, 1))
    found = names["found"]
    assert found.loc["dear_prices", "average precision"] > 50 * found.loc["dear_prices", "by chance"]
    assert found.loc["empty_beds", "average precision"] > 10 * found.loc["empty_beds", "by chance"]
    assert (names["values"] == 0).all(), "honest houses of the town never pass the list"
    assert set(names["judged"]) == {"with it", "without it"}


def _promotion(names: Names) -> None:
    assert (names["first"].alias, names["second"].alias) == ("champion", "challenger")
    assert names["decision"].promoted
    assert [c.kind for c in names["registry"].changes("claim_risk")] == ["first", "promotion", "rollback"]
    assert _codes(names) == ["same_person"]


def _codes(names: Names) -> list[str]:
    """Why a change on the word of one person is refused."""
    with pytest.raises(GateError) as refused:
        names["rollback"](names["registry"], "claim_risk", names["alone"], names["catalogue"])
    return [fault.code for fault in refused.value.faults if fault.code != "first"]


def _morning(names: Names) -> None:
    queue, verdicts = names["queue"], [o["verdict"] for o in names["outcomes"]]
    assert sum(c.hours for c in queue.cases) <= 40
    assert {c.selected_by for c in queue.cases} == {"expected_recovery", "random"}
    assert verdicts.count("confirmed_abuse") > 0.2 * len(verdicts), "more than by chance: nine in a hundred are false"
    assert names["own"]["y"].notna().all()
    assert len(names["own"]) == 1, "the outcome of the first case is a label"


def _leak(names: Names) -> None:
    assert names["promotion"].alias == "challenger"
    assert {r.split(":")[0] for r in names["promotion"].reasons} >= {"leak alarm"}
    tested, kept = names["tested"], {(k["model"], k["figure"][:4]): k["average precision"] for k in names["kept"]}
    assert tested["with the leak"].inside > 0.95
    assert kept["with the leak", "prom"] > 0.95
    assert kept["with the leak", "kept"] == pytest.approx(kept["honest", "kept"], abs=0.1)


SAID: dict[str, Callable[[Names], None]] = {
    "1_meet_the_claims": _claims,
    "2_write_a_signal": _signal,
    "3_train_compare_promote": _promotion,
    "4_an_investigators_morning": _morning,
    "5_a_leak_and_how_it_was_caught": _leak,
}


# --- running ------------------------------------------------------------------------------------------------


def _run(cell: dict[str, Any], where: str, names: Names) -> Any:
    """The value of the cell's last expression, which Jupyter would show; None where there is none."""
    body = ast.parse("".join(cell["source"]))
    last = body.body.pop() if isinstance(body.body[-1], ast.Expr) else None
    exec(compile(body, where, "exec"), names)
    return eval(compile(ast.Expression(last.value), where, "eval"), names) if isinstance(last, ast.Expr) else None


def _shown(value: Any) -> str:
    """What Jupyter would show of a value: a drawing or a page where it has one, else its text."""
    bundle = getattr(value, "_repr_mimebundle_", None)
    if bundle is not None:
        kinds = bundle()
        return next(iter((kinds[0] if isinstance(kinds, tuple) else kinds).values()))  # type: ignore[no-any-return]
    page = getattr(value, "_repr_html_", None)
    return str(page()) if page is not None else repr(value)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_notebook_runs_from_top_to_bottom_and_shows_what_its_text_says(
    path: Path, var: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FRAUD_HOME", str(ROOM.parent))
    monkeypatch.setenv("FRAUD_VAR", str(var))
    names: Names = {"__name__": "__main__"}
    shown = [_run(cell, f"{path.name}[{number}]", names) for number, cell in enumerate(_cells(path))]
    texts = [_shown(value) for value in shown if value is not None]
    assert sum("<svg" in text for text in texts) >= 1, "people would rather look"
    assert sum("<table" in text for text in texts) >= 1
    assert not [text for text in texts if re.search(r"<\w+(\.\w+)+ object at 0x", text)], "nobody can read an address"
    SAID[path.stem](names)


def test_there_is_a_check_for_every_notebook() -> None:
    assert [path.stem for path in NOTEBOOKS] == sorted(SAID)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_notebook_is_kept_without_outputs(path: Path) -> None:
    assert not [c for c in _cells(path) if c["outputs"] or c["execution_count"]]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_links_of_a_notebook_lead_somewhere(path: Path) -> None:
    texts = ["".join(c["source"]) for c in _cells(path, "markdown")]
    links = [link for text in texts for link in re.findall(r"\]\(([^)#]+)\)", text)]
    assert not [link for link in links if not (ROOM / link).exists()]
    assert texts[0].startswith(f"# {path.stem[0]} · ")
    files = [name for text in texts for name in re.findall(r"`((?:tests|docs)/[\w/.]+)`", text)]
    assert not [name for name in files if not (ROOM.parent / name).is_file()]


class _Frames(HTMLParser):
    """The pages inside the frames of a text."""

    def __init__(self) -> None:
        super().__init__()
        self.pages: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "iframe":
            self.pages += [value or "" for name, value in attrs if name == "srcdoc"]


def test_a_page_inside_a_notebook_comes_out_of_its_frame_as_it_was_written() -> None:
    source = next(
        "".join(c["source"]) for c in _cells(ROOM / "1_meet_the_claims.ipynb") if "class Page" in str(c)
    )
    names: Names = {}
    body = ast.parse(source)
    body.body = [node for node in body.body if isinstance(node, ast.ClassDef)]
    exec("from html import escape", names)
    exec(compile(body, "Page", "exec"), names)
    page = '<p class="a">5 < 6 &amp; "quoted" \u7ed3\u7b97\u5355</p>'
    frames = _Frames()
    frames.feed(names["Page"](page)._repr_html_())
    assert frames.pages == [page]
