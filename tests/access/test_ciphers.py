"""Encryption at rest: what is in the files, what is found again, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from fraud.errors import SpecError
from fraud.store import Decision, Ledger, Store
from fraud.store.ciphers import KEY, KEY_FILE, Algorithm, Cipher, UnreadableError, cipher_from
from fraud.store.scrubbing import scrub
from fraud.store.sealing import check_sample, key_of, reseal, sealed_columns
from fraud.store.versions import as_json
from tests.access.parts import EVERYWHERE
from tests.store.made import DAY, bundle, claim, row

ALGORITHMS = get_args(Algorithm)
AES, SM4 = Cipher(b"a" * 32), Cipher(b"s" * 32, "sm4")
ENVIRONS = {"aes": {KEY: (b"a" * 32).hex()}, "sm4": {KEY: "sm4:" + (b"s" * 32).hex()}, "plain": {}}
CIPHERS = {"aes": AES, "sm4": SM4, "plain": None}
NAMES = ("zhang-san", "ACCOUNT-622", "INVOICE-77", "OPERATOR-9")


def fill(store: Store) -> None:
    """A database with something in every sealed column."""
    persons = {"patient_id": NAMES[0], "payee_account": NAMES[1], "invoice_no": NAMES[2], "operator_id": NAMES[3]}
    for n in range(3):
        store.add_claim(bundle(f"c-{n}", days=n, **persons))
    store.add_claim(bundle("c-2", days=2, total_amount=1.0, uploaded_at=DAY.replace(year=2025), **persons))
    store.add_claim(bundle("c-9", patient_id="somebody else"))
    given = as_json(bundle("c-0", **persons))
    store.idempotent("k", b"digest")
    store.put_decision(Decision("r-1", "c-0", DAY, "pass", b'{"about": "zhang-san"}', given), key="k")
    store.put_snapshots("patient", DAY.replace(year=2023), ["zhang-san"], ["x"], [[1.5]])  # type: ignore[arg-type]
    store.add_outcomes([row("outcomes", entity="patient", entity_id="zhang-san", verdict="waste", decided_at=DAY)])
    with store.database.write() as connection:
        metadata = next(iter(sealed_columns())).metadata
        connection.execute(metadata.tables["patients"].insert(), row("patients", patient_id="zhang-san", sex="female"))
        connection.execute(
            metadata.tables["physicians"].insert(), row("physicians", physician_id="d1", patient_id=NAMES[0])
        )


def told(store: Store) -> list[object]:
    """Everything that can be read of the one patient."""
    known = store.history(claim("own", days=9, patient_id="zhang-san"))
    decision = store.decision("r-1")
    assert decision is not None
    with store.database.read() as connection:
        kept = sorted(bytes(b) for (b,) in connection.execute(sa.select(_table("claims_history").c.bundle)))
    claims = sorted(known.claims, key=lambda c: str(c["claim_id"]))
    return [
        claims,
        sorted(map(str, known.lines)),
        known.patient,
        known.snapshots["patient"].values,
        decision,
        store.idempotent("k", b"digest"),
        store.table("outcomes").to_pylist(),
        store.party("physician", "d1"),
        kept,
    ]


def _table(name: str) -> sa.Table:
    return next(t for t in sealed_columns() if t.name == name)


def files(path: Path) -> bytes:
    return b"".join(f.read_bytes() for f in path.parent.glob(f"{path.name}*"))


# --- sealing ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@given(plain=st.binary(max_size=200), text=st.text(max_size=50))
@pytest.mark.requirement("001-39", "001-63")
def test_what_is_sealed_comes_back_and_nothing_of_it_shows(algorithm: str, plain: bytes, text: str) -> None:
    cipher = CIPHERS[algorithm]
    assert cipher is not None
    assert cipher.open(cipher.seal(plain)) == plain
    assert cipher.text(cipher.token(text)) == text
    if len(plain) > 8:
        assert plain not in cipher.seal(plain)


@pytest.mark.parametrize("cipher", [AES, SM4])
def test_records_never_look_the_same_and_equal_identifiers_always_do(cipher: Cipher) -> None:
    assert cipher.seal(b"x") != cipher.seal(b"x")
    assert cipher.token("p-1") == Cipher(b"a" * 32 if cipher is AES else b"s" * 32, cipher.algorithm).token("p-1")
    assert len({cipher.token(f"p-{i}") for i in range(500)}) == 500


@pytest.mark.parametrize("cipher", [AES, SM4])
def test_what_was_changed_or_sealed_with_another_key_is_not_opened(cipher: Cipher) -> None:
    sealed, token = cipher.seal(b"record"), cipher.token("p-1")
    for place in range(len(sealed)):
        forged = sealed[:place] + bytes([sealed[place] ^ 1]) + sealed[place + 1 :]
        with pytest.raises(UnreadableError):
            cipher.open(forged)
    other = Cipher(b"o" * 32, cipher.algorithm)
    for attempt in (lambda: other.open(sealed), lambda: other.text(token), lambda: cipher.text("p-1")):
        with pytest.raises(UnreadableError) as raised:
            attempt()
        assert "p-1" not in raised.value.message
    for forged_token in (token[:-2], token[:12] + ("B" if token[12] == "A" else "A") + token[13:], token + "!"):
        with pytest.raises(UnreadableError):
            cipher.text(forged_token)


def test_a_cipher_shows_the_id_of_its_key_and_not_the_key() -> None:
    assert (b"a" * 32).hex() not in repr(AES)
    assert len({c.key_id for c in (AES, SM4, Cipher(b"s" * 32), Cipher(b"b" * 32))}) == 4


def test_the_same_word_under_two_algorithms_gives_two_keys() -> None:
    assert Cipher(b"s" * 32).token("p-1") != SM4.token("p-1")


# --- keys from outside ------------------------------------------------------------------------------------


def test_a_key_comes_from_the_environment_or_a_file_and_none_means_off(tmp_path: Path) -> None:
    file = tmp_path / "data.key"
    file.write_text(ENVIRONS["sm4"][KEY] + "\n")
    found = cipher_from({KEY_FILE: str(file)})
    assert found is not None
    assert found.name == SM4.name
    assert cipher_from(ENVIRONS["aes"]) is not None
    assert cipher_from({}) is None


@pytest.mark.parametrize("text", ["secret", "ab" * 31, "des:" + "ab" * 32, "ab" * 32 + "zz"])
def test_a_key_that_is_none_is_refused_without_repeating_it(tmp_path: Path, text: str) -> None:
    file = tmp_path / "data.key"
    file.write_text(text)
    for environ in ({KEY: text}, {KEY_FILE: str(file)}):
        with pytest.raises(SpecError, match="openssl rand -hex 32") as raised:
            cipher_from(environ)
        assert text not in raised.value.message


def test_two_keys_at_once_and_a_file_that_is_not_there_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="both set"):
        cipher_from({KEY: "x", KEY_FILE: "y"})
    with pytest.raises(SpecError, match="cannot be read"):
        cipher_from({KEY_FILE: str(tmp_path / "absent")})


# --- the database -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.requirement("001-39", "001-07")
def test_a_sealed_database_answers_as_an_open_one_and_its_files_name_nobody(tmp_path: Path, algorithm: str) -> None:
    found = {}
    for kind in ("plain", algorithm):
        path = tmp_path / f"{kind}.db"
        with Store(f"sqlite:///{path}", lambda: DAY, environ=ENVIRONS[kind]) as store:
            fill(store)
            found[kind] = told(store), [name for name in NAMES if name.encode() in files(path)]
    assert found[algorithm][0] == found["plain"][0]
    assert (found["plain"][1], found[algorithm][1]) == (list(NAMES), [])


def test_a_sealed_history_is_found_by_the_same_index(tmp_path: Path) -> None:
    plans = {}
    for kind in ("plain", "aes"):
        with Store(f"sqlite:///{tmp_path / kind}.db", environ=ENVIRONS[kind]) as store, store.database.read() as reader:
            claims = _table("claims")
            query = sa.select(claims.c.claim_id).where(claims.c.patient_id == "p-1", claims.c.settled_at < DAY)
            compiled = query.compile(reader, compile_kwargs={"literal_binds": False})
            plan = reader.exec_driver_sql(f"EXPLAIN QUERY PLAN {compiled}", ("p-1", str(DAY)))
            plans[kind] = [step[-1] for step in plan]
    assert plans["aes"] == plans["plain"]
    assert "ix_claims_patient_id_settled" in plans["aes"][0]


@pytest.mark.parametrize(
    ("first", "then", "says"),
    [
        ("plain", "aes", "filled without a data key"),
        ("aes", "plain", "no key is given"),
        ("aes", "sm4", f"sealed with the data key {AES.name}"),
    ],
)
def test_a_database_is_never_opened_with_another_key_than_its_own(
    tmp_path: Path, first: str, then: str, says: str
) -> None:
    url = f"sqlite:///{tmp_path / 'service.db'}"
    with Store(url, lambda: DAY, environ=ENVIRONS[first]) as store:
        fill(store)
        before = told(store)
    with pytest.raises(SpecError, match=says):
        Store(url, environ=ENVIRONS[then])
    with Store(url, lambda: DAY, environ=ENVIRONS[first]) as store:
        assert told(store) == before


def test_an_empty_database_takes_the_key_that_it_is_first_opened_with(url: str) -> None:
    Store(url, environ={}).close()
    with Store(url, environ=ENVIRONS["aes"]) as store:
        assert key_of(store.database) == AES.name
    with pytest.raises(SpecError, match="no key is given"):
        Store(url, environ={})


@EVERYWHERE
@pytest.mark.requirement("001-39", "001-63")
def test_everything_can_be_sealed_resealed_and_unsealed_again(url: str, tmp_path: Path) -> None:
    path = tmp_path / "service.db"
    on_disk = url.startswith("sqlite")
    with Store(url, lambda: DAY, environ={}) as store:
        fill(store)
        before = told(store)
    for old, new in (("plain", "aes"), ("aes", "sm4"), ("sm4", "plain")):
        with Store(url, lambda: DAY, environ=ENVIRONS[old]) as store:
            done = reseal(store.database, CIPHERS[old], CIPHERS[new], "person:x")
            scrub(store.database, done)
            assert done["claims"] == 4
            assert done["decisions"] == 1
        with Store(url, lambda: DAY, environ=ENVIRONS[new]) as store:
            assert told(store) == before
            check_sample(store.database)
            assert key_of(store.database) == (CIPHERS[new].name if new != "plain" else None)  # type: ignore[union-attr]
        if on_disk:
            assert [n for n in NAMES if n.encode() in files(path)] == (list(NAMES) if new == "plain" else [])
    with Store(url, environ={}) as store:
        events = Ledger(store.database).entries()
        assert [e.what for e in events] == ["data_key.rotated"] * 3
        assert Ledger(store.database).verify().holds


def test_resealing_with_a_wrong_key_changes_nothing(url: str) -> None:
    with Store(url, lambda: DAY, environ=ENVIRONS["aes"]) as store:
        fill(store)
        before = told(store)
        with pytest.raises(SpecError, match="sealed with"):
            reseal(store.database, SM4, None, "person:x")
        assert told(store) == before


def test_every_column_that_names_a_person_is_sealed() -> None:
    found = {f"{t.name}.{c.name}" for t, columns in sealed_columns().items() for c in columns}
    assert found >= {
        "claims.patient_id",
        "claims.payee_account",
        "claims.invoice_no",
        "claims.operator_id",
        "patients.patient_id",
        "physicians.patient_id",
        "snapshots.entity_id",
        "outcomes.entity_id",
        "decisions.request",
        "decisions.response",
        "claims_history.bundle",
        "idempotency.response",
    }
