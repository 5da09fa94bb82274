"""People and their sessions, as the store keeps them."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pyotp
import pytest
import sqlalchemy as sa
from argon2 import PasswordHasher

from fraud.errors import InputError
from fraud.store import Ledger, Store
from fraud.store.ciphers import KEY
from fraud.store.guesses import FREE_BY_ADDRESS, FREE_BY_NAME, RefusedError
from fraud.store.ledger import Record
from fraud.store.people import People, Person, people
from fraud.store.sessions import IDLE, MOST, Sessions, sessions
from tests.access.parts import Clock
from tests.pages.visitors import PASSWORD, QUICK

HERE = "198.51.100.7"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path, empty: Path) -> Iterator[Store]:
    shutil.copyfile(empty, tmp_path / "people.db")
    with Store(f"sqlite:///{tmp_path / 'people.db'}", busy_ms=60_000) as opened:
        yield opened


@pytest.fixture
def known(store: Store, clock: Clock) -> People:
    return People(store.database, clock, QUICK)


@pytest.fixture
def add(known: People, clock: Clock) -> Callable[..., tuple[Person, pyotp.TOTP]]:
    """Somebody who has been through the first sign-in, and the app on the phone."""

    def added(name: str = "wang", role: str = "investigator") -> tuple[Person, pyotp.TOTP]:
        person, first = known.add(name, role, "person:test")
        known.change_password(person.user_id, first, PASSWORD)
        phone = pyotp.TOTP(known.enrolment(person.user_id))
        known.enrol(person.user_id, code(phone, clock))
        clock.pass_by(timedelta(minutes=2))
        return known.get(person.user_id), phone

    return added


def code(phone: pyotp.TOTP, clock: Clock, steps: int = 0) -> str:
    return str(phone.generate_otp(int(clock().timestamp()) // 30 + steps))


def refused(known: People, *given: str) -> RefusedError:
    with pytest.raises(RefusedError) as caught:
        known.sign_in(*given)
    return caught.value


# --- people -----------------------------------------------------------------------------------------------


def test_a_new_person_has_a_first_password_and_must_change_it(known: People) -> None:
    person, first = known.add("Wang", "investigator", "person:test", regions=["33*"], language="zh")
    assert (person.name, person.state, person.ready) == ("wang", "new", False)
    assert known.sign_in("WANG", first, "", HERE).user_id == person.user_id


def test_everything_that_is_wrong_with_a_new_person_is_said_at_once(known: People) -> None:
    with pytest.raises(InputError) as caught:
        known.add("a b", "claims-system", "person:test", language="fr", password="short")
    assert [f.code for f in caught.value.faults] == ["bad_name", "bad_role", "bad_language", "password_length"]


def test_no_two_people_have_one_name(known: People) -> None:
    known.add("wang", "auditor", "person:test")
    with pytest.raises(InputError, match="already"):
        known.add("WANG ", "auditor", "person:test")


def test_no_two_people_are_shown_by_one_name_since_two_signatures_are_told_apart_by_it(known: People) -> None:
    known.add("wang", "investigator", "person:test", display_name="王伟")
    with pytest.raises(InputError, match="tells the two apart"):
        known.add("wang2", "investigator", "person:test", display_name="王伟")
    other, _ = known.add("wang2", "investigator", "person:test", display_name="王伟 (二科)")
    with pytest.raises(InputError, match="tells the two apart"):
        known.change(other.user_id, "person:test", display_name="王伟", role="investigator", regions=(), providers=())


@pytest.mark.parametrize("weak", ["aaaaaaaaaaaaaaa", "my name is wang!", "x" * 300])
def test_a_password_that_is_easy_or_endless_is_refused(known: People, weak: str) -> None:
    person, first = known.add("wang", "auditor", "person:test")
    with pytest.raises(InputError):
        known.change_password(person.user_id, first, weak)


def test_the_last_administrator_can_be_neither_disabled_nor_demoted(known: People) -> None:
    person, _ = known.add("root", "admin", "person:test")
    with pytest.raises(InputError, match="last"):
        known.disable(person.user_id, "person:test")
    with pytest.raises(InputError, match="last"):
        known.change(person.user_id, "person:test", display_name="", role="auditor", regions=(), providers=())
    known.add("second", "admin", "person:test")
    assert known.disable(person.user_id, "person:test").state == "disabled"


def test_passwords_and_the_second_factor_are_stored_so_that_the_database_alone_opens_nothing(
    tmp_path: Path, clock: Clock
) -> None:
    key = {KEY: "7" * 64}
    with Store(f"sqlite:///{tmp_path / 'sealed.db'}", environ=key) as store:
        known = People(store.database, clock, QUICK)
        person, first = known.add("wang", "admin", "person:test")
        known.change_password(person.user_id, first, PASSWORD)
        secret = known.enrolment(person.user_id)
        codes = known.enrol(person.user_id, code(pyotp.TOTP(secret), clock))
        session = Sessions(store.database, clock).begin(person, HERE, "a browser")
    stored = b"".join(p.read_bytes() for p in tmp_path.iterdir())
    for plain in (PASSWORD, first, secret, session, *codes):
        assert plain.encode() not in stored
    assert b"$argon2id$" in stored


def test_a_password_is_hashed_anew_when_the_parameters_have_changed(store: Store, clock: Clock, known: People) -> None:
    person, first = known.add("wang", "auditor", "person:test")
    stronger = PasswordHasher(time_cost=2, memory_cost=16, parallelism=1)
    People(store.database, clock, stronger).sign_in("wang", first, "", HERE)
    with store.database.read() as connection:
        kept = connection.execute(sa.select(people.c.password).where(people.c.user_id == person.user_id)).scalar_one()
    assert "m=16,t=2" in kept


# --- the second factor ------------------------------------------------------------------------------------


def test_a_code_opens_once(known: People, clock: Clock, add: Callable[..., tuple[Person, pyotp.TOTP]]) -> None:
    _, phone = add()
    known.sign_in("wang", PASSWORD, code(phone, clock), HERE)
    assert refused(known, "wang", PASSWORD, code(phone, clock), HERE).why == "refused"


@pytest.mark.parametrize(("steps", "opens"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)])
def test_the_clock_of_the_phone_may_be_one_step_off(
    known: People, clock: Clock, add: Callable[..., tuple[Person, pyotp.TOTP]], steps: int, opens: bool
) -> None:
    _, phone = add()
    given = code(phone, clock, steps)
    if opens:
        assert known.sign_in("wang", PASSWORD, given, HERE).name == "wang"
    else:
        refused(known, "wang", PASSWORD, given, HERE)


def test_a_recovery_code_opens_once_in_place_of_the_phone(
    known: People, add: Callable[..., tuple[Person, pyotp.TOTP]]
) -> None:
    person, _ = add()
    first, *others = known.recover(person.user_id)
    assert known.sign_in("wang", PASSWORD, f" {first.upper()} ", HERE).recovery_left == len(others)
    refused(known, "wang", PASSWORD, first, HERE)


def test_the_second_factor_cannot_be_replaced_by_whoever_is_signed_in(
    known: People, add: Callable[..., tuple[Person, pyotp.TOTP]]
) -> None:
    person, _ = add()
    with pytest.raises(InputError, match="set up already"):
        known.enrolment(person.user_id)


# --- wrong guesses ----------------------------------------------------------------------------------------


def test_nobody_learns_which_part_of_a_sign_in_was_wrong(
    known: People, clock: Clock, add: Callable[..., tuple[Person, pyotp.TOTP]]
) -> None:
    person, phone = add()
    known.add("gone", "auditor", "person:test", password=PASSWORD)
    known.disable(known.named("gone").user_id, "person:test")
    tried = [
        ("wang", "a wrong password!", code(phone, clock)),
        ("wang", PASSWORD, "000000"),
        ("nobody", PASSWORD, code(phone, clock)),
        ("gone", PASSWORD, ""),
    ]
    said = {(str(e), e.why, e.wait) for e in (refused(known, *t, HERE) for t in tried)}
    assert len(said) == 1


def test_after_five_wrong_guesses_each_further_one_costs_twice_the_time(
    known: People, clock: Clock, add: Callable[..., tuple[Person, pyotp.TOTP]]
) -> None:
    person, phone = add()
    for _ in range(FREE_BY_NAME):
        assert refused(known, "wang", "wrong wrong wrong", "", HERE).why == "refused"
    waits = []
    for _ in range(3):
        locked = refused(known, "wang", PASSWORD, code(phone, clock), "203.0.113.9")
        assert locked.why == "locked"
        waits.append(locked.wait)
        clock.pass_by(locked.wait)
        refused(known, "wang", "wrong wrong wrong", "", HERE)
    assert waits == [timedelta(seconds=30), timedelta(seconds=60), timedelta(seconds=120)]
    assert known.locked_until(person) is not None
    known.unlock(person.user_id, "person:test")
    assert known.sign_in("wang", PASSWORD, code(phone, clock), HERE).name == "wang"


def test_an_address_that_tries_many_names_has_to_wait_too(
    known: People, clock: Clock, add: Callable[..., tuple[Person, pyotp.TOTP]]
) -> None:
    _, phone = add()
    for i in range(FREE_BY_ADDRESS):
        refused(known, f"name-{i}", "wrong wrong wrong", "", HERE)
    assert refused(known, "wang", PASSWORD, code(phone, clock), HERE).why == "locked"
    assert known.sign_in("wang", PASSWORD, code(phone, clock), "203.0.113.9").name == "wang"


def test_wrong_guesses_are_told_to_the_ledger_without_what_was_typed(
    store: Store, clock: Clock, known: People, add: Callable[..., tuple[Person, pyotp.TOTP]]
) -> None:
    person, _ = add()
    refused(known, "wang", "a secret typed wrong", "", HERE)
    refused(known, "a secret in the wrong field", "x", "", HERE)
    entries = Ledger(store.database, clock).entries(what="session.refused")
    assert [e.who for e in entries] == ["nobody", person.who]
    stored = b"".join(p.read_bytes() for p in Path(store.database.writing.url.database or "").parent.iterdir())
    assert b"secret" not in stored.replace(b"ledger_secret", b"")


# --- sessions ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("step", "times"), [(IDLE, 1), (timedelta(minutes=20), MOST // timedelta(minutes=20))])
def test_a_session_ends_when_it_is_idle_and_in_any_case_after_its_longest_time(
    store: Store, clock: Clock, known: People, step: timedelta, times: int
) -> None:
    person, _ = known.add("wang", "auditor", "person:test")
    kept = Sessions(store.database, clock)
    secret = kept.begin(person, HERE, "a browser")
    for _ in range(times):
        assert kept.find(secret) is not None
        clock.pass_by(step)
    assert kept.find(secret) is None
    assert kept.of(person.user_id) == ()


def test_a_renewed_session_leaves_the_old_secret_worth_nothing(store: Store, clock: Clock, known: People) -> None:
    person, _ = known.add("wang", "auditor", "person:test")
    kept = Sessions(store.database, clock)
    old = kept.begin(person, HERE, "a browser")
    new = kept.renew(old)
    assert kept.find(old) is None
    found = kept.find(new)
    assert found is not None
    with store.database.read() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(sessions)).scalar_one() == 1


def test_all_sessions_but_one_can_be_ended(store: Store, clock: Clock, known: People) -> None:
    person, _ = known.add("wang", "auditor", "person:test")
    kept = Sessions(store.database, clock)
    secrets = [kept.begin(person, HERE, f"browser {i}") for i in range(3)]
    own = kept.find(secrets[0])
    assert own is not None
    assert kept.end(person.user_id, person.who, but=own.session_id) == 2
    assert [kept.find(s) is not None for s in secrets] == [True, False, False]


def test_records_that_a_session_opened_are_counted_once_each_and_forgotten_after_an_hour(
    store: Store, clock: Clock, known: People
) -> None:
    person, _ = known.add("wang", "auditor", "person:test")
    kept = Sessions(store.database, clock)
    found = kept.find(kept.begin(person, HERE, "a browser"))
    assert found is not None
    counts = [kept.note_opened(found.session_id, Record("patient", p)) for p in ("p-1", "p-1", "p-2")]
    clock.pass_by(timedelta(minutes=61))
    assert [*counts, kept.note_opened(found.session_id, Record("patient", "p-3"))] == [1, 1, 2, 1]
