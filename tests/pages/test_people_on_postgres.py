"""People, sessions and tips on PostgreSQL."""

from __future__ import annotations

from dataclasses import replace

import pyotp

from fraud.store import Store
from fraud.store.identities import Identities, Stated
from fraud.store.ledger import Record
from fraud.store.people import People
from fraud.store.sessions import Sessions
from fraud.store.tips import Tips
from tests.access.parts import Clock
from tests.pages.visitors import PASSWORD, QUICK
from tests.store.servers import Server


def test_what_people_do_on_sqlite_they_do_on_postgresql(postgres: Server) -> None:
    address, clock = postgres.ready_database(), Clock()
    with Store(address) as store:
        people, sessions, tips = (
            People(store.database, clock, QUICK),
            Sessions(store.database, clock),
            Tips(store.database, clock),
        )
        person, first = people.add("wang", "investigator", "person:test", regions=["33*"])
        people.change_password(person.user_id, first, PASSWORD)
        phone = pyotp.TOTP(people.enrolment(person.user_id))
        spare, *_ = people.enrol(person.user_id, str(phone.at(clock())))
        assert people.sign_in("wang", PASSWORD, spare, "127.0.0.1").recovery_left == 9
        found = sessions.find(sessions.renew(sessions.begin(person, "127.0.0.1", "a browser")))
        assert found is not None
        assert sessions.note_opened(found.session_id, Record("patient", "p-1")) == 1
        sessions.unmask(found.session_id, person.who, Record("patient", "p-1"), "a hearing", "p-1")
        assert sessions.unmasking(found.session_id, Record("patient", "p-1")) is not None
        assert sessions.end(person.user_id, person.who) == 1
        identities, known = (
            Identities(store.database, clock),
            Stated("https://id.example", "s-1", "wang", "", "auditor"),
        )
        elsewhere = identities.admit(known)
        assert identities.admit(replace(known, role="admin")) == replace(elsewhere, role="admin")
        assert [identities.spend("a state", clock()) for _ in range(2)] == [True, False]
        begun = sessions.find(sessions.begin(elsewhere, "127.0.0.1", "a browser", factor="provider", id_token="a.b.c"))
        assert begun is not None
        assert sessions.id_token(begun.session_id) == "a.b.c"
        tip = tips.receive(person.who, entity="patient", entity_id="p-1", text="told", channel="phone")
        assert tips.close(tip.receipt, "answered", person.who).state == "closed"
    postgres.drop(address)
