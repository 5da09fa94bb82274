"""Keyed pseudonyms: persons never reach the tables, and joins still work."""

from __future__ import annotations

import json
from pathlib import Path

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fraud.claims.importing import import_claims
from fraud.claims.pseudonyms import fingerprint, install, looks_personal, mask, pseudonym
from fraud.errors import ClaimsError

from .files import KEY, as_csv, canonical, claims_csv, cms_folder, raw_folder, rows

CARD = "11010519491231002X"  # the example of the standard, GB 11643
PHONE = "13800138000"


@pytest.fixture(scope="module")
def connection() -> duckdb.DuckDBPyConnection:
    with duckdb.connect() as opened:
        install(opened, KEY)
        yield opened


@settings(max_examples=80, deadline=None)
@given(value=st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), min_size=1))
def test_the_engine_gives_the_pseudonym_that_hmac_gives(connection: duckdb.DuckDBPyConnection, value: str) -> None:
    ((found,),) = connection.execute("SELECT pseudonym(?::VARCHAR)", [value]).fetchall()
    assert found == pseudonym(value, KEY)


@settings(max_examples=200, deadline=None)
@given(
    value=st.one_of(
        st.from_regex(r"[1-9]\d{5}(19|20)\d{2}(0[1-9]|1[0-2])[0-3]\d{4}[\dXx]", fullmatch=True),
        st.from_regex(r"(\+?86[- ]?)?1\d{10}", fullmatch=True),
        st.sampled_from([CARD, CARD.lower(), PHONE, "", "1380013800"]),
    )
)
def test_the_engine_knows_personal_numbers_as_python_does(connection: duckdb.DuckDBPyConnection, value: str) -> None:
    ((found,),) = connection.execute("SELECT looks_personal(?::VARCHAR)", [value]).fetchall()
    assert found == (looks_personal(value) if value.isascii() else False)


def test_a_wrong_check_digit_is_no_identity_card() -> None:
    assert looks_personal(CARD)
    assert not looks_personal(CARD[:-1] + "1")


def test_numbers_of_persons_are_masked_within_text(connection: duckdb.DuckDBPyConnection) -> None:
    text = f"see {CARD}, call {PHONE}; not 123456789012345678901"
    expected = "see [masked], call [masked]; not 123456789012345678901"
    ((found,),) = connection.execute("SELECT mask(?::VARCHAR)", [text]).fetchall()
    assert found == mask(text) == expected


def test_another_key_gives_another_pseudonym_and_another_mark() -> None:
    other = b"another key for the tests, long.."
    assert pseudonym("P1", KEY) != pseudonym("P1", other)
    assert fingerprint(KEY) != fingerprint(other)
    assert fingerprint(None) is None


def test_a_short_key_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ClaimsError, match="at least 16"):
        canonical(tmp_path, {"claims.csv": claims_csv({})}, key=b"short")


def _people(**more: str) -> dict[str, str]:
    claim = {"patient_id": CARD, "payee_account": "6222021234", "invoice_no": "77", "operator_id": "Zhang"}
    return {
        "claims.csv": claims_csv(claim | more),
        "patients.csv": as_csv([{"patient_id": CARD}]),
        "physicians.csv": as_csv([{"physician_id": "D1", "patient_id": CARD}]),
        "outcomes.csv": as_csv(
            [{"entity": "patient", "entity_id": CARD, "verdict": "waste", "decided_at": "2024-05-01"}]
        ),
    }


@pytest.mark.requirement("001-23")
def test_with_a_key_no_personal_number_is_in_any_file_and_the_tables_still_join(tmp_path: Path) -> None:
    files = _people(department=f"call {PHONE}")
    files["claims.csv"] += f"C2,{CARD},,outpatient\n"  # too short, with a person in it
    files["lines.csv"] = f"claim_id,line_no,item_code,quantity,amount,item_name\nC1,1,A,{PHONE}x,1,{PHONE}\n"
    result = canonical(tmp_path, files, key=KEY)
    written = b"".join(path.read_bytes() for path in result.to.rglob("*") if path.suffix in (".json", ".html"))
    told = repr([rows(result.to, str(path.parent.relative_to(result.to))) for path in result.to.rglob("*.parquet")])
    for secret in (CARD, "6222021234", "Zhang", KEY.decode()):
        assert secret not in told
        assert secret.encode() not in written
    columns = {
        "claims": "patient_id",
        "patients": "patient_id",
        "physicians": "patient_id",
        "outcomes": "entity_id",
    }
    ids = {rows(result.to, table, column)[0][0] for table, column in columns.items()}
    assert ids == {pseudonym(CARD, KEY)}


@pytest.mark.parametrize("column", ["patient_id", "physician_id", "payee_account", "department"])
@pytest.mark.parametrize("number", [CARD, PHONE])
def test_without_a_key_personal_numbers_are_refused_with_the_place_and_not_the_number(
    tmp_path: Path, column: str, number: str
) -> None:
    with pytest.raises(ClaimsError, match="FRAUD_PSEUDONYM_KEY") as caught:
        canonical(tmp_path, {"claims.csv": claims_csv({column: number})})
    assert [(fault.where, fault.count) for fault in caught.value.faults] == [(f"claims.csv:{column}", 1)]
    assert number not in caught.value.message
    assert not (tmp_path / "claims").exists()


def test_a_claim_number_with_as_many_digits_as_a_telephone_is_no_person(tmp_path: Path) -> None:
    result = canonical(tmp_path, {"claims.csv": claims_csv({"claim_id": PHONE})})
    assert rows(result.to, "claims", "claim_id") == [(PHONE,)]


def test_ids_that_are_pseudonyms_already_stay_as_they_are(tmp_path: Path) -> None:
    first = canonical(tmp_path, _people(), key=KEY)
    again = import_claims("canonical", first.to, tmp_path / "again", key=KEY)
    assert again.digest == first.digest


def test_without_a_key_ids_stay_and_with_one_they_change_alike_everywhere(tmp_path: Path) -> None:
    raw = cms_folder(tmp_path / "raw")
    plain = import_claims("cms", raw, tmp_path / "plain")
    hidden = import_claims("cms", raw, tmp_path / "hidden", key=KEY)
    assert rows(plain.to, "patients", "patient_id") == [("BENE1",)]
    assert rows(hidden.to, "patients", "patient_id") == [(pseudonym("BENE1", KEY),)]
    assert set(rows(hidden.to, "claims", "patient_id")) == {(pseudonym("BENE1", KEY),)}


def test_a_second_key_for_the_same_folder_is_refused(tmp_path: Path) -> None:
    raw = raw_folder(tmp_path / "raw", {"claims.csv": claims_csv({})})
    folder = import_claims("canonical", raw, tmp_path / "claims", key=KEY).to
    for other in (None, b"another key for the tests, long.."):
        with pytest.raises(ClaimsError, match="the same person would get two ids"):
            import_claims("canonical", raw, folder, key=other)
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["pseudonyms"] == {"key": fingerprint(KEY)}
