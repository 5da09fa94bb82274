"""The contract, checked by several processes and in one world after another, finds what it found before."""

from __future__ import annotations

import textwrap
from datetime import date

import pytest

from fraud.signals.catalogue import Catalogue, load_catalogue
from fraud.signals.contract import check_catalogue
from fraud.signals.definition import Example
from fraud.signals.examples import ExampleWorld, example_value

TODAY = date(2026, 11, 21)
SIGNAL = """
    from fraud.signals import signal
    T = {"en": "{value}", "zh": "{value}"}

    @signal(title=T, says=T, unit="claims", riskier="high", default=0, cites=["law"], excuses=T)
    def NAME(past):
        "Claims before this one.\\n\\nBlind spot: none."
        return past.count()

    NAME.fires(2, past=[{"days_ago": 3}, {"days_ago": 5}])
    NAME.quiet(QUIET, past=[{"days_ago": 3}])
"""


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Catalogue:
    """A room with two signals that keep the contract and one whose quiet example is wrong."""
    path = tmp_path_factory.mktemp("room")
    (path / "limits.toml").write_text("", "utf-8")
    (path / "sources.toml").write_text('[law]\ntitle = { en = "Law", zh = "法" }\nurl = ""\n', "utf-8")
    (path / "claim").mkdir()
    for name, quiet in (("before", 1), ("earlier", 9), ("previous", 1)):
        code = textwrap.dedent(SIGNAL).replace("NAME", name).replace("QUIET", str(quiet))
        (path / "claim" / f"{name}.py").write_text(code, "utf-8")
    found = load_catalogue(path)
    (path / "catalogue.lock").write_text(found.lock(), "utf-8")
    return found


def test_a_wrong_example_is_found_whether_one_process_checks_or_two(room: Catalogue) -> None:
    alone = check_catalogue(room, TODAY, workers=1)
    assert [(b.signal, b.point) for b in alone] == [("claim.earlier", "examples")]
    assert "example 2 gives 1.0, not 9" in alone[0].detail
    assert check_catalogue(room, TODAY, workers=2) == alone


def test_an_example_has_the_same_value_after_others_in_the_same_world(catalogue: Catalogue) -> None:
    ids = ("claim.days_since_stay", "provider.split_stay_share", "network.closest_companion", "claim.price_over_cap")
    with ExampleWorld(catalogue) as place:
        for signal_id in (*ids, *reversed(ids)):
            for example in catalogue[signal_id].examples:
                assert place.value(catalogue[signal_id], example) == pytest.approx(example.value)


def test_an_example_leaves_nothing_behind_for_the_next_one(catalogue: Catalogue) -> None:
    signal = catalogue["provider.split_stay_share"]
    empty = Example(None, False, {})
    with ExampleWorld(catalogue) as place:
        place.value(signal, signal.examples[0])
        assert place.value(signal, empty) == example_value(catalogue, signal, empty)
