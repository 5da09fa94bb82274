"""Every signal of the rooms reads well in both languages and cites what exists.

That each is right on its own examples is part of the contract: see `tests/signals/test_contract.py`.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from fraud.signals.catalogue import FOLDERS, load_catalogue
from fraud.signals.definition import LOCALES
from fraud.signals.sentences import sentence

ROOM = Path(__file__).resolve().parents[2] / "features"
CATALOGUE = load_catalogue(ROOM)
SIGNALS = list(CATALOGUE.signals.values())
RULES = [s for s in SIGNALS if s.limit]


@pytest.mark.parametrize("locale", LOCALES)
def test_sentences_read_well_with_and_without_peers(locale: str) -> None:
    for signal in SIGNALS:
        alone = sentence(signal, locale, 3.0)
        among_peers = sentence(signal, locale, 3.0, limit=2.0, peer_median=1.0, peer_percentile=97.0)
        for text in (alone, among_peers):
            assert "{" not in text, signal.id
            assert text.endswith("." if locale == "en" else "。"), signal.id
        assert any(digit in among_peers for digit in "0123456789"), signal.id


def test_a_sentence_about_a_limit_gives_it() -> None:
    silent = [s.id for s in RULES for locale in LOCALES if "{limit" not in s.says[locale]]
    assert not silent
    assert not [s.id for s in SIGNALS if not s.limit and any("{limit" in s.says[x] for x in LOCALES)]


def test_every_signal_cites_and_names_a_type_of_violation() -> None:
    for signal in SIGNALS:
        assert signal.cites, signal.id
        assert set(signal.cites) <= set(CATALOGUE.sources), signal.id
        # What counts the rules that hit speaks of the types of those rules.
        assert signal.violation or "rules" in signal.scopes, signal.id


def test_every_limit_is_read_and_has_a_source() -> None:
    read = {name for s in SIGNALS for name in (*s.limits_read, *([s.limit] if s.limit else []))}
    assert set(CATALOGUE.limits) == read
    for limit in CATALOGUE.limits.values():
        assert limit.source in CATALOGUE.sources, limit.name
        assert (limit.tag == "DEF") or limit.source not in ("default", "cms-files"), limit.name


def test_every_source_is_cited_by_a_signal_or_a_limit() -> None:
    cited = {c for s in SIGNALS for c in s.cites} | {limit.source for limit in CATALOGUE.limits.values()}
    assert set(CATALOGUE.sources) == cited


def test_all_five_folders_hold_signals_and_scale_free_ones_outnumber_volume() -> None:
    assert {s.id.split(".")[0] for s in SIGNALS} == set(FOLDERS)
    assert sum(s.volume for s in SIGNALS) < len(SIGNALS) / 2


def test_national_codes_are_codes_of_the_national_rule_library() -> None:
    codes = [s.national_code for s in SIGNALS if s.national_code]
    assert codes
    assert all(len(c) == 16 and c[:2] in ("GZ", "ZB") and c[2:].isdigit() for c in codes)


def test_signals_lie_in_the_folder_of_their_entity_and_network_holds_no_claim_signals() -> None:
    misplaced = [s.id for s in SIGNALS if (f := s.id.split(".")[0]) != "network" and f != s.entity]
    assert not misplaced
    assert all(s.entity != "claim" for s in SIGNALS if s.id.startswith("network."))
