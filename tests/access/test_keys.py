"""Keys: what is stored of them, how long they open, and what the ledger hears."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from fraud.errors import InputError, NotKnownError
from fraud.store import Keys, Ledger, Store
from fraud.store.keys import ROLES, Scope, key_id_of
from tests.access.parts import EVERYWHERE, Clock


def events(store: Store) -> list[str]:
    return [e.what for e in reversed(Ledger(store.database).entries())]


@EVERYWHERE
@pytest.mark.requirement("002-39")
def test_a_key_opens_with_its_role_and_bounds_until_its_last_day(keys: Keys, clock: Clock) -> None:
    made, secret = keys.add("east", "investigator", "person:x", days=90, regions=["33*"], providers=["h-1"])
    found = keys.find(secret)
    assert found == made
    assert found.state(clock()) == "valid"
    clock.pass_by(timedelta(days=90))
    assert found.state(clock()) == "expired"


def test_only_a_hash_of_the_key_is_stored(store: Store, keys: Keys) -> None:
    _, secret = keys.add("east", "auditor", "person:x")
    with store.database.read() as connection:
        kept = repr([connection.execute(sa.text(f"SELECT * FROM {t}")).all() for t in ("api_keys", "ledger")])
    assert secret not in kept
    assert secret.split("_", 2)[2] not in kept
    assert secret not in repr(keys.all())


def test_what_is_not_exactly_the_key_opens_nothing(keys: Keys) -> None:
    _, secret = keys.add("east", "auditor", "person:x")
    other = secret[:-1] + ("A" if secret[-1] != "A" else "B")
    assert [keys.find(s) for s in (other, secret[:-1], secret + "x", "", "fraud_", secret.upper(), "é" * 99)] == [
        None
    ] * 7


def test_keys_never_repeat_and_carry_256_random_bits(keys: Keys) -> None:
    secrets = [keys.add(f"k{i}", "auditor", "person:x")[1] for i in range(20)]
    assert len(set(secrets)) == 20
    assert all(len(s.split("_", 2)[2]) == 43 for s in secrets)
    assert len({key_id_of(s) for s in secrets}) == 20


@EVERYWHERE
@pytest.mark.requirement("002-39")
def test_a_rotated_key_opens_for_the_overlap_and_the_new_one_from_now_on(keys: Keys, clock: Clock) -> None:
    old, secret = keys.add("east", "claims-system", "person:x", regions=["11"], per_second=5)
    new, fresh = keys.rotate(old.key_id, "person:x", overlap_hours=24)
    assert (new.name, new.role, new.scope, new.per_second) == (old.name, old.role, old.scope, 5)
    states = []
    for hours in (0, 23, 24):
        clock.now = old.created_at + timedelta(hours=hours)
        found, after = keys.find(secret), keys.find(fresh)
        assert found is not None
        assert after is not None
        states.append((found.state(clock()), after.state(clock())))
    assert states == [("valid", "valid"), ("valid", "valid"), ("expired", "valid")]


def test_an_overlap_never_makes_a_key_live_longer(keys: Keys) -> None:
    old, _ = keys.add("east", "auditor", "person:x", days=0.5)
    keys.rotate(old.key_id, "person:x", overlap_hours=48)
    assert keys.get(old.key_id).expires_at == old.expires_at


def test_a_revoked_key_stays_revoked_and_cannot_be_rotated(store: Store, keys: Keys, clock: Clock) -> None:
    made, secret = keys.add("east", "auditor", "person:x")
    keys.revoke(made.key_id, "person:y", "lost")
    first = keys.revoke(made.key_id, "person:z")
    clock.pass_by(timedelta(days=1))
    assert keys.revoke(made.key_id, "person:z") == first
    found = keys.find(secret)
    assert found is not None
    assert found.state(clock()) == "revoked"
    with pytest.raises(InputError, match="revoked"):
        keys.rotate(made.key_id, "person:x")
    assert events(store) == ["key.added", "key.revoked"]


@pytest.mark.requirement("000-39")
def test_each_change_of_a_key_is_told_to_the_ledger_with_whoever_made_it(store: Store, keys: Keys) -> None:
    made, _ = keys.add("east", "auditor", "person:x")
    new, _ = keys.rotate(made.key_id, "person:y")
    keys.revoke(new.key_id, "person:z", "left the team")
    told = [(e.what, e.who, e.purpose) for e in reversed(Ledger(store.database).entries())]
    assert told == [
        ("key.added", "person:x", None),
        ("key.rotated", "person:y", None),
        ("key.revoked", "person:z", "left the team"),
    ]


@EVERYWHERE
def test_the_use_of_a_key_is_noted_to_the_minute_and_told_once_a_day(store: Store, keys: Keys, clock: Clock) -> None:
    made, _ = keys.add("east", "auditor", "person:x")
    seen = []
    for seconds in (0, 30, 30, 60, 86_400):
        clock.pass_by(timedelta(seconds=seconds))
        keys.note_use(made.key_id)
        seen.append((keys.get(made.key_id).last_used_at or clock.now) - made.created_at)
    assert [s.total_seconds() for s in seen] == [0, 0, 0, 120, 86_520]
    assert events(store) == ["key.added", "key.used", "key.used"]


def test_everything_that_is_wrong_with_a_new_key_is_said_at_once(keys: Keys) -> None:
    with pytest.raises(InputError) as raised:
        keys.add("", "investigater", "person:x", days=0, per_second=-1)
    message = raised.value.message
    assert all(part in message for part in ('did you mean "investigator"', "a name has", "days", "rate"))
    assert keys.all() == ()


def test_two_valid_keys_never_share_a_name_unless_one_replaces_the_other(keys: Keys) -> None:
    made, _ = keys.add("east", "auditor", "person:x")
    with pytest.raises(InputError, match="Rotate it"):
        keys.add("east", "admin", "person:x")
    keys.revoke(made.key_id, "person:x")
    assert keys.add("east", "admin", "person:x")[0].role == "admin"


def test_a_key_that_is_not_there_is_named_with_the_way_to_see_all(keys: Keys) -> None:
    with pytest.raises(NotKnownError, match="fraud keys list"):
        keys.revoke("ffffffff", "person:x")


def test_the_roles_are_those_of_the_contract() -> None:
    assert ROLES == ("claims-system", "investigator", "supervisor", "data-scientist", "auditor", "admin")


@pytest.mark.parametrize(
    ("regions", "found", "holds"),
    [
        ((), (), True),
        (("3301",), ("3301",), True),
        (("3301",), ("3302", None), False),
        (("33*",), ("3302",), True),
        (("33*",), ("3402",), False),
        (("1101", "33*"), (None, "3302"), True),
        (("3301",), (None,), False),
        (("*",), ("1",), True),
    ],
)
@pytest.mark.requirement("001-65")
def test_a_region_is_within_bounds_by_itself_or_by_its_beginning(
    regions: tuple[str, ...], found: tuple[str | None, ...], holds: bool
) -> None:
    assert Scope(regions=regions).holds_region(*found) is holds


def test_a_time_in_another_zone_is_the_same_moment(keys: Keys) -> None:
    made, _ = keys.add("east", "auditor", "person:x")
    assert keys.get(made.key_id).created_at == made.created_at
    assert keys.get(made.key_id).created_at.tzinfo is not None
    assert datetime(2026, 1, 1, tzinfo=UTC) < made.created_at
