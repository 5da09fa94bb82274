from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from fraud.config import load_settings
from fraud.errors import SpecError
from fraud.web.exchange.audit_settings import FILE, load_audit_settings

ROOM = Path(__file__).resolve().parents[2] / "serving"


def test_the_room_shows_every_default() -> None:
    """Whoever edits the file sees what is in force, and an empty one changes nothing."""
    assert load_audit_settings(ROOM) == load_audit_settings()
    assert set(tomllib.loads((ROOM / FILE).read_text("utf-8"))) == set(load_audit_settings().tables)


def test_what_a_province_leaves_out_keeps_its_default(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text('[med_type]\n31 = "long_term_care"\n[sev_deg.suspicion]\ngeneral = "4"\n', "utf-8")
    own = load_audit_settings(tmp_path)
    assert (own.word("med_type", "31"), own.word("med_type", "21")) == ("long_term_care", "inpatient")
    assert (own.severity("suspicion", "general"), own.severity("suspicion", "serious")) == ("4", "2")


def test_the_room_is_found_through_the_settings(tmp_path: Path) -> None:
    (tmp_path / "fraud.toml").write_text('[rooms]\nserving = "mine"\n', "utf-8")
    assert load_settings({"FRAUD_HOME": str(tmp_path)}).serving == tmp_path / "mine"
    (tmp_path / "fraud.toml").write_text("", "utf-8")
    assert load_settings({"FRAUD_HOME": str(tmp_path)}).serving == tmp_path / "serving"


def test_a_code_of_an_institution_is_known_by_its_longest_beginning(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text('[medins_type]\nA1 = "clinic"\n', "utf-8")
    own = load_audit_settings(tmp_path)
    found = [own.word_by_beginning("medins_type", code) for code in ("A101", "A2", "Z", "", None)]
    assert found == ["clinic", "hospital", None, None, None]


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ("[path]\nbefore = '/x'", 'did you mean "paths"'),
        ("[paths]\nbefore = 'x'", 'must begin with "/"'),
        ("[paths]\nafter = '/x'", "paths.after is not known"),
        ("[answer]\nlocale = 'de'", "answer.locale is one of en, zh-CN"),
        ("[answer]\nkinds = ['model']", "answer.kinds is a list of violation, suspicion"),
        ("[scenes]\nsettled = ['11']", "scenes.settled"),
        ("[gend]\n1 = 'man'", "gend.1 is one of male, female"),
        ("[sev_deg.suspicion]\ngrave = '1'", "sev_deg.suspicion.grave is not known"),
        ("[sev_deg]\nviolation = '1'", "sev_deg.violation must be a table"),
        ("[sev_deg.violation]\ngeneral = 1", "sev_deg.violation.general must be text"),
        ("[vola_bhvr_type]\nT99 = '1'", "vola_bhvr_type.T99 is not known"),
        ("[vola_amt_stas]\nknown = 1", "vola_amt_stas.known must be text"),
        ("gend = 3", "gend must be a table"),
        ("[gend", "not valid TOML"),
    ],
)
def test_a_wrong_entry_is_named(tmp_path: Path, entry: str, says: str) -> None:
    (tmp_path / FILE).write_text(entry, "utf-8")
    with pytest.raises(SpecError) as caught:
        load_audit_settings(tmp_path)
    assert says in caught.value.message


def test_all_wrong_entries_are_named_at_once(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text("[paths]\nafter = '/x'\n[gend]\n1 = 'man'\n[house]\na = 1\n", "utf-8")
    with pytest.raises(SpecError) as caught:
        load_audit_settings(tmp_path)
    assert all(name in caught.value.message for name in ("paths.after", "gend.1", "[house]"))
