"""A key that is used in an unusual way is suspended, and opens again when somebody has looked into it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator

import pytest
from prometheus_client import REGISTRY
from typer.testing import CliRunner

from fraud.cli import app
from fraud.errors import InputError, SpecError
from fraud.store import Keys, Ledger, Store
from fraud.web.access.guard import Guard
from fraud.web.access.unusual import Limits, limits_of
from fraud.web.bodies.problems import Problem
from fraud.web.running.runtime import Runtime
from tests.access.parts import EVERYWHERE, Clock, Ticks, bearer
from tests.store.made import bundle
from tests.web.client import Client, body, check_problem
from tests.web.room import write_room

HOUR = 3_600


@pytest.fixture
def guard(runtime: Runtime, store: Store, clock: Clock, ticks: Ticks) -> Iterator[Guard]:
    """Three persons and two addresses in an hour."""
    runtime.guard.close()
    runtime.guard = Guard(store, limits=Limits(3, 2), clock=clock, ticks=ticks)
    yield runtime.guard
    runtime.guard.close()


@pytest.fixture
def desk(keys: Keys) -> dict[str, str]:
    """Headers of an investigator."""
    return bearer(keys.add("desk", "investigator", "person:x")[1])


def read(client: Client, person: str, headers: dict[str, str]) -> int:
    return client.get(f"/v1/patients/{person}/risk", headers=headers).status_code


def told(store: Store) -> list[tuple[str, str]]:
    entries = reversed(Ledger(store.database).entries(most=1_000))
    return [(e.what, e.who) for e in entries if e.what in ("key.suspended", "key.resumed")]


@pytest.mark.requirement("002-40")
def test_a_key_that_reads_of_too_many_persons_in_an_hour_opens_nothing_until_it_is_resumed(
    client: Client, guard: Guard, keys: Keys, store: Store, desk: dict[str, str]
) -> None:
    before = REGISTRY.get_sample_value("fraud_keys_suspended_total", {"because": "persons"}) or 0
    assert [read(client, p, desk) for p in ("p-1", "p-2", "p-3", "p-1", "p-2")] == [404] * 5
    check_problem(client.get("/v1/patients/p-4/risk", headers=desk), 403, "not-allowed")
    check_problem(client.get("/v1/model", headers=desk), 403, "not-allowed")
    (key,) = keys.all()
    assert key.suspended_for == "more than 3 persons in an hour"
    keys.resume(key.key_id, "person:admin", "the yearly audit")
    guard._ticks.now += 3  # type: ignore[attr-defined]
    assert read(client, "p-4", desk) == 404
    assert told(store) == [("key.suspended", key.key_id), ("key.resumed", "person:admin")]
    assert REGISTRY.get_sample_value("fraud_keys_suspended_total", {"because": "persons"}) == before + 1


@pytest.mark.requirement("002-40")
def test_nothing_is_told_of_the_record_that_was_one_too_many(
    client: Client, guard: Guard, store: Store, desk: dict[str, str]
) -> None:
    for n in range(4):
        store.add_claim(bundle(f"c-{n}", patient_id=f"p-{n}"))
    answers = [client.get(f"/v1/claims/c-{n}/report", headers=desk) for n in range(4)]
    assert [a.status_code for a in answers] == [200, 200, 200, 403]
    assert "c-3" not in answers[3].text
    assert "claim.read" not in [e.what for e in Ledger(store.database).entries(most=1)]


def test_persons_of_an_hour_ago_are_not_counted(
    client: Client, guard: Guard, ticks: Ticks, desk: dict[str, str]
) -> None:
    for n in range(12):
        assert read(client, f"p-{n}", desk) == 404
        ticks.now += HOUR / 3 + 1


def test_several_claims_of_one_person_are_one_person(
    client: Client, guard: Guard, store: Store, desk: dict[str, str]
) -> None:
    for n in range(6):
        store.add_claim(bundle(f"c-{n}", patient_id="p-1"))
    assert {client.get(f"/v1/claims/c-{n}/report", headers=desk).status_code for n in range(6)} == {200}


def test_whoever_tries_out_numbers_of_records_that_are_not_for_the_key_is_stopped_too(
    client: Client, guard: Guard, keys: Keys, store: Store
) -> None:
    for n in range(4):
        store.add_claim(bundle(f"c-{n}", patient_id=f"p-{n}"))
    narrow = bearer(keys.add("narrow", "investigator", "person:x", providers=["h-999"])[1])
    answers = [client.get(f"/v1/claims/c-{n}/report", headers=narrow).status_code for n in range(4)]
    assert answers == [404, 404, 404, 403]


def test_institutions_are_no_persons(client: Client, guard: Guard, desk: dict[str, str]) -> None:
    answers = [client.get(f"/v1/providers/h-{n}/risk", headers=desk).status_code for n in range(6)]
    assert answers == [404] * 6


def test_a_claims_system_that_asks_for_its_decisions_again_is_not_suspended(
    client: Client, guard: Guard, keys: Keys
) -> None:
    system = bearer(keys.add("east", "claims-system", "person:x")[1])
    scored = [
        client.post("/v1/claims/score", json=body(f"c-{n}", patient_id=f"p-{n}"), headers=system) for n in range(5)
    ]
    again = [client.get(f"/v1/decisions/{s.json()['request_id']}", headers=system) for s in scored]
    assert [a.status_code for a in again] == [200] * 5


@pytest.mark.requirement("002-40")
def test_a_key_that_comes_from_too_many_addresses_in_an_hour_is_suspended(guard: Guard, keys: Keys) -> None:
    _, secret = keys.add("east", "claims-system", "person:x")

    async def come(*hosts: str) -> None:
        for host in hosts:
            await guard.admit("model", {"authorization": f"Bearer {secret}"}, None, (host, 4_711))

    asyncio.run(come("10.0.0.1", "10.0.0.2", "10.0.0.1"))
    with pytest.raises(Problem, match="unusual") as raised:
        asyncio.run(come("10.0.0.3"))
    assert raised.value.kind.status == 403
    assert keys.all()[0].suspended_for == "more than 2 addresses in an hour"
    with pytest.raises(Problem, match="unusual"):
        asyncio.run(come("10.0.0.1"))


def test_without_limits_nothing_is_counted(
    client: Client, runtime: Runtime, store: Store, desk: dict[str, str]
) -> None:
    runtime.guard.close()
    runtime.guard = Guard(store, limits=Limits(0, 0))
    assert {read(client, f"p-{n}", desk) for n in range(10)} == {404}


@EVERYWHERE
def test_a_key_is_suspended_once_however_many_workers_notice(keys: Keys, store: Store) -> None:
    key, secret = keys.add("desk", "auditor", "person:x")
    assert [keys.suspend(key.key_id, "first"), keys.suspend(key.key_id, "second")] == [True, False]
    found = keys.find(secret)
    assert found is not None
    assert (found.state(found.created_at), found.suspended_for) == ("suspended", "first")
    with pytest.raises(InputError, match="suspended"):
        keys.rotate(key.key_id, "person:x")
    keys.resume(key.key_id, "person:x")
    with pytest.raises(InputError, match="not suspended"):
        keys.resume(key.key_id, "person:x")
    assert told(store) == [("key.suspended", key.key_id), ("key.resumed", "person:x")]


def test_the_command_line_shows_and_lifts_a_suspension(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = write_room(tmp_path_factory.mktemp("home"))
    monkeypatch.setenv("FRAUD_HOME", str(home))
    for name in ("FRAUD_VAR", "FRAUD_DATABASE_URL"):
        monkeypatch.delenv(name, raising=False)
    with Store(f"sqlite:///{home / 'var' / 'fraud.db'}") as store:
        key, _ = Keys(store.database).add("desk", "auditor", "person:x")
        Keys(store.database).suspend(key.key_id, "more than 3 persons in an hour")
    (listed,) = json.loads(CliRunner().invoke(app, ["keys", "list", "--json"]).stdout)
    assert (listed["state"], listed["suspended_for"]) == ("suspended", "more than 3 persons in an hour")
    checks = json.loads(CliRunner().invoke(app, ["doctor", "--quick", "--json"]).stdout)
    (on_duty,) = [c for c in checks["checks"] if c["name"] == "keys"]
    assert "more than 3 persons in an hour" in on_duty["says"]
    done = CliRunner().invoke(app, ["keys", "resume", key.key_id, "--reason", "looked into", "--json"])
    assert (done.exit_code, json.loads(done.stdout)["suspended_at"]) == (0, None)


def test_limits_are_whole_numbers_and_all_that_are_wrong_are_named() -> None:
    assert limits_of({"persons_per_hour": 20}) == Limits(20, 50)
    with pytest.raises(SpecError, match=r"persons_per_hour = -1, addresses_per_hour = 'x'"):
        limits_of({"persons_per_hour": -1, "addresses_per_hour": "x"})
