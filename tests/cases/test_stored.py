"""Cases in the database: opened with their decision, sealed where there is a key, kept as long as they must be."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime
from threading import Barrier

import pytest
import sqlalchemy as sa

from fraud.errors import FraudError
from fraud.review.cases import Actor, CaseRefusedError, CaseRules, Casework, Chosen, Scored
from fraud.review.cases.opening import Flagged, new_case, opened_for
from fraud.scoring.shapes import Score
from fraud.store import Answer, Decision, Store
from fraud.store.casework.opening import Opened
from fraud.store.casework.tables import attachments, cases, events
from fraud.store.ciphers import Cipher
from fraud.store.retention import Warrant, destroy
from fraud.store.sealing import reseal
from tests.cases.parts import ANN, BOB, EVE, EVERYWHERE, FOUND, NOTHING, SUE, Clock, confirmed, scored, taken
from tests.store.made import bundle

NOW = datetime(2026, 3, 2, 9)
RULES = CaseRules()


def decided(request_id: str, opened: Opened | None) -> Answer:
    """An answer with its case."""
    return Answer(Decision(request_id, "c-1", NOW, "hold", b"{}", b"{}"), None, None, None, opened)


def flagged(request: bytes, request_id: str = "r") -> Flagged:
    """A claim that does not pass, without findings or a model."""
    return Flagged(bundle("c-1").claim, Score("review", (), None, NOW), request_id, NOW, request)


@EVERYWHERE
def test_a_case_is_stored_with_its_decision_or_not_at_all(store: Store, work: Casework) -> None:
    (opened,) = opened_for(store, RULES, [flagged(b"1")])
    assert opened is not None
    # Two that open it at once: the second finds it there, and changes nothing.
    store.put_answers([decided("r-1", opened), decided("r-2", opened)])
    store.put_answers([decided("r-3", replace(opened, case=replace(opened.case, priority="urgent")))])
    found = work.get(opened.case.case_id)
    assert found == opened.case
    assert len(work.history(found.case_id)) == 1
    with pytest.raises(sa.exc.IntegrityError):
        store.put_answers([decided("r-4", Opened(new_case(scored("c-2"), NOW, RULES), NOW)), decided("r-1", None)])
    assert work.search().total == 1


@EVERYWHERE
def test_another_version_brings_new_figures_while_nothing_is_proposed(store: Store, work: Casework) -> None:
    def score(request: bytes, request_id: str) -> None:
        store.put_answers([decided(request_id, opened_for(store, RULES, [flagged(request, request_id)])[0])])

    score(b"1", "r-1")
    score(b"1", "r-2")
    (case,) = work.about("claim", "c-1")
    assert (case.request_id, case.events) == ("r-2", 1)
    score(b"2", "r-3")
    work.take(case.case_id, ANN)
    score(b"3", "r-4")
    assert [e.what for e in work.history(case.case_id)] == ["opened", "scored_again", "taken", "scored_again"]
    work.propose(case.case_id, ANN, NOTHING)
    score(b"4", "r-5")
    assert (work.get(case.case_id).request_id, len(work.history(case.case_id))) == ("r-4", 5)


@EVERYWHERE
def test_another_version_that_is_graver_makes_its_case_more_urgent_and_never_less(store: Store, work: Casework) -> None:
    def score(request: bytes, amount: float) -> Opened:
        graver = replace(flagged(request, f"r-{request!r}"), claim=bundle("c-1", fund_amount=amount).claim)
        (opened,) = opened_for(store, RULES, [graver])
        assert opened is not None
        store.put_answers([decided(graver.request_id, opened)])
        return opened

    first = score(b"1", 500.0)
    assert (first.case.priority, first.case.due_at) == ("normal", datetime(2026, 3, 4, 9))
    second = score(b"2", 500_000.0)
    stored = work.get(first.case.case_id)
    assert (stored.priority, stored.due_at) == (second.case.priority, second.case.due_at)
    assert (stored.priority, stored.due_at) == ("urgent", datetime(2026, 3, 2, 10))
    score(b"3", 5.0)
    assert (work.get(stored.case_id).priority, work.get(stored.case_id).amount) == ("urgent", 5.0)
    begun = work.take(stored.case_id, ANN)
    score(b"4", 500_000.0)
    assert work.get(stored.case_id).due_at == begun.due_at


@EVERYWHERE
def test_what_names_a_person_is_sealed_and_cases_are_found_all_the_same(address: str, clock: Clock) -> None:
    key, other = "ab" * 32, "cd" * 32
    with Store(address, environ={"FRAUD_DATA_KEY": key}) as store:
        work = Casework(store, clock=clock)
        case = work.take(work.open(Scored("patient", "zhang-san", patient_id="zhang-san"), ANN).case_id, ANN)
        work.note(case.case_id, ANN, "Zhang San was not at home")
        work.attach(case.case_id, ANN, "zhang-san.txt", "text/plain", b"zhang-san")
        assert work.about("patient", "zhang-san")[0].case_id == case.case_id
        assert work.search(Chosen(patient_id="zhang-san")).total == 1
        reseal(store.database, Cipher(bytes.fromhex(key)), Cipher(bytes.fromhex(other)), "person:x")
    engine = sa.create_engine(address)
    with engine.connect() as connection:
        for table in (cases, events, attachments):
            stored = connection.exec_driver_sql(f"SELECT * FROM {table.name}").all()
            assert stored
            assert "zhang" not in str([bytes(v) if isinstance(v, memoryview) else v for r in stored for v in r]).lower()
    engine.dispose()
    with Store(address, environ={"FRAUD_DATA_KEY": other}) as store:
        work = Casework(store, clock=clock)
        assert work.history(case.case_id)[2].details["text"] == "Zhang San was not at home"
        assert work.attachment(case.case_id, 4)[1] == b"zhang-san"


def test_closed_cases_are_destroyed_in_time_with_all_that_is_theirs_and_others_are_kept(
    work: Casework, store: Store, clock: Clock
) -> None:
    closed, kept = confirmed(work, "c-1"), taken(work, "c-2")
    work.attach(closed.case_id, ANN, "a.txt", "text/plain", b"a")
    work.close(closed.case_id, BOB, "nobody objects", waived=True)
    gone = destroy(store.database, datetime(2037, 1, 1), "person:x", Warrant("a", "b", "ten years")).rows
    assert (gone["cases"], gone["case_events"], gone["case_attachments"]) == (1, 6, 1)
    assert work.search().cases == (work.get(kept.case_id),)


def test_a_file_that_was_changed_in_the_database_is_not_handed_out(work: Casework, store: Store) -> None:
    case, file = work.attach(taken(work).case_id, ANN, "a.txt", "text/plain", b"a")
    with store.database.write() as connection:
        connection.execute(sa.update(attachments).values(content=b"b"))
    with pytest.raises(FraudError, match="SHA-256"):
        work.attachment(case.case_id, file.number)


@EVERYWHERE
@pytest.mark.requirement("000-48")
def test_of_two_who_sign_at_the_same_moment_one_signs_and_there_is_one_outcome(work: Casework) -> None:
    number = work.propose(taken(work).case_id, ANN, FOUND).case_id
    start = Barrier(4)

    def sign(actor: Actor) -> str:
        start.wait()
        try:
            return work.confirm(number, actor).signer or ""
        except CaseRefusedError as refused:
            return refused.why

    with ThreadPoolExecutor(4) as people:
        said = list(people.map(sign, (BOB, EVE, SUE, ANN)))
    signer = work.get(number).signer
    assert sorted(said) == sorted([str(signer), "state", "state", said[3]])
    assert said[3] in ("person", "state")
    assert len(work.outcomes(work.get(number))) == 1
    assert [e.what for e in work.history(number)].count("confirmed") == 1
