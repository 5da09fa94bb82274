"""What can be done with cases, beyond the steps themselves."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import replace
from datetime import date, datetime, timedelta
from hashlib import sha256

import pytest
import sqlalchemy as sa

from fraud.errors import InputError, NotKnownError
from fraud.review.cases import (
    CaseRefusedError,
    CaseRules,
    Casework,
    Chosen,
    Proposal,
    Scored,
    Threshold,
    Within,
    workflow,
)
from fraud.review.cases.referral import referral_pack
from fraud.review.queue import Candidate, Queue, QueuedCase
from fraud.store import Store
from fraud.store.casework.tables import events
from fraud.store.ledger import Record
from tests.cases.parts import ANN, BOB, EVE, EVERYWHERE, FOUND, NOTHING, READER, SUE, Clock, confirmed, scored, taken


def test_there_is_one_case_about_a_claim_until_it_is_decided(work: Casework) -> None:
    first = work.open(scored(amount=400.0), ANN)
    assert work.open(scored(amount=400.0), BOB) == first
    work.take(first.case_id, ANN)
    work.unfounded(first.case_id, ANN, "both were done")
    second = work.open(scored(), BOB)
    assert (second.round, second.state) == (1, "open")
    assert second.case_id != first.case_id
    assert work.about("claim", "c-1") == (second, work.get(first.case_id))


@pytest.mark.requirement("002-60")
def test_every_case_has_a_number_of_its_own_that_does_not_tell_whom_it_is_about(work: Casework) -> None:
    about = [("claim", "c-1"), ("claim", "c-2"), ("patient", "p-1"), ("provider", "h-1"), ("patient", "p-2")]
    numbers = [work.open(Scored(e, i), ANN).case_id for e, i in about]  # type: ignore[arg-type]
    assert len(set(numbers)) == len(about)
    assert all(len(n) == 16 and n.isalnum() for n in numbers)


@pytest.mark.requirement("002-72")
def test_a_case_is_as_urgent_as_its_findings_its_band_and_its_money(work: Casework) -> None:
    def priority(**figures: object) -> str:
        return work.open(scored(str(figures), **figures), ANN).priority

    assert priority(severity="critical", amount=5.0) == "urgent"
    assert priority(amount=100_000.0) == "urgent"
    assert priority(severity="serious", amount=5.0) == "important"
    assert priority(band="critical", amount=5.0) == "important"
    assert priority(severity="general", band="general", amount=5.0) == "normal"


@pytest.mark.requirement("002-71")
@pytest.mark.parametrize(("priority", "hours"), [("urgent", 1), ("important", 24), ("normal", 48)])
def test_a_new_case_says_when_somebody_should_have_begun(work: Casework, priority: str, hours: int) -> None:
    figures = {"urgent": {"severity": "critical"}, "important": {"severity": "serious"}, "normal": {}}[priority]
    case = work.open(scored(**figures), ANN)
    assert case.due_at == case.opened_at + timedelta(hours=hours)


# --- clocks -----------------------------------------------------------------------------------------------


@pytest.mark.requirement("002-33")
def test_a_proposed_result_is_signed_within_a_working_day(work: Casework, clock: Clock) -> None:
    clock.now = datetime(2026, 3, 6, 15)  # a Friday
    case = work.propose(taken(work).case_id, ANN, FOUND)
    assert (case.clock, case.due_at) == ("signature", datetime(2026, 3, 9, 15))


@pytest.mark.requirement("002-32", "002-34", "002-35")
def test_the_clock_stands_still_while_evidence_is_awaited(work: Casework, clock: Clock) -> None:
    case = taken(work)
    assert case.due_at == datetime(2026, 3, 5, 9)  # three working days for the findings
    clock.pass_by(hours=6)
    waiting = work.ask_evidence(case.case_id, ANN, "file", "the record of the ward", "h-1")
    assert waiting.evidence_due_at == datetime(2026, 3, 4, 15)  # two working days for a file
    assert waiting.due_at is None
    clock.pass_by(days=30)
    assert not work.get(case.case_id).overdue(clock())
    assert work.counts().overdue == 0
    there = work.evidence_arrived(case.case_id, ANN)
    assert there.due_at == clock.now + timedelta(days=2, hours=18)
    assert work.history(case.case_id)[-1].details == {"late": True}
    asked = work.ask_evidence(case.case_id, ANN, "inquiry", "who treated the patient there", "another city")
    assert asked.evidence_due_at == datetime(2026, 4, 9, 15)  # five working days, and a holiday between


def test_a_case_that_is_late_is_overdue_whatever_its_state(work: Casework, clock: Clock) -> None:
    case = taken(work)
    clock.pass_by(days=4)
    found = work.search(Chosen(overdue=True))
    assert [c.case_id for c in found.cases] == [case.case_id]
    assert (found.cases[0].state, found.cases[0].seconds_left(clock())) == ("assigned", 0.0)
    assert work.counts().overdue == 1


@pytest.mark.requirement("002-72")
def test_a_record_that_is_lost_is_noted_with_the_reason_and_the_case_goes_on(work: Casework) -> None:
    case = taken(work)
    work.ask_evidence(case.case_id, ANN, "file", "the record of the ward")
    with pytest.raises(InputError, match="remark"):
        work.evidence_arrived(case.case_id, ANN, missing=True)
    found = work.evidence_arrived(case.case_id, ANN, "burnt in 2024, no backup", missing=True)
    assert (found.state, found.paused) == ("evidence", False)
    assert work.history(case.case_id)[-1].what == "evidence_missing"


def test_a_deadline_in_a_year_whose_holidays_nobody_knows_says_so(work: Casework, clock: Clock) -> None:
    clock.now = datetime(2031, 3, 3, 9)
    case = taken(work)
    assert case.due_at == datetime(2031, 3, 6, 9)
    assert "2031" in work.file(case.case_id, ANN).notes[0]


# --- deciding ---------------------------------------------------------------------------------------------


@pytest.mark.requirement("000-48", "001-27", "002-24")
def test_nobody_signs_what_they_proposed_even_with_another_key(work: Casework) -> None:
    case = work.propose(taken(work).case_id, ANN, FOUND)
    for signer in (
        ANN,
        replace(ANN, id="another key"),
        replace(ANN, name="Ann-Marie"),
        replace(ANN, role="supervisor"),
    ):
        with pytest.raises(CaseRefusedError, match="second investigator") as refused:
            work.confirm(case.case_id, signer)
        assert refused.value.why == "person"
    signed = work.confirm(case.case_id, BOB)
    assert (signed.state, signed.proposer, signed.signer) == ("confirmed", "ann", "bob")


def test_whoever_only_reads_cases_takes_no_step(work: Casework) -> None:
    case = work.open(scored(), ANN)
    with pytest.raises(CaseRefusedError, match="auditor") as refused:
        work.take(case.case_id, READER)
    assert refused.value.why == "role"
    assert work.possible(case, READER) == ()


@EVERYWHERE
def test_a_decision_is_an_outcome_with_both_investigators_and_says_whether_it_was_drawn(
    work: Casework, store: Store
) -> None:
    confirmed(work)
    drawn = work.open(scored("c-2"), ANN, selected_by="random", chance=0.0125)
    work.take(drawn.case_id, ANN)
    work.propose(drawn.case_id, ANN, NOTHING)
    work.confirm(drawn.case_id, SUE)
    (found,) = work.outcomes(work.about("claim", "c-1")[0])
    usual = {"entity": "claim", "entity_id": "c-1", "period_from": None, "period_to": None}
    assert found == usual | {
        "verdict": "improper_payment",
        "violation": "T07",
        "amount": 60.0,
        "decided_at": datetime(2026, 3, 2, 9),
        "investigators": ["ann", "bob"],
        "source": "desk_review",
    }
    (found,) = work.outcomes(work.about("claim", "c-2")[0])
    assert (found["verdict"], found["source"], found["violation"]) == ("false_positive", "random_check", None)
    assert work.get(drawn.case_id).inclusion_probability == 0.0125


@pytest.mark.requirement("001-27")
def test_one_person_finds_a_case_unfounded_only_where_little_is_at_stake(work: Casework) -> None:
    small, large, unknown = taken(work), taken(work, "c-2", amount=10_000.0), taken(work, "c-3", amount=None)
    assert work.unfounded(small.case_id, ANN, "both were done").state == "unfounded"
    for case in (large, unknown):
        assert "unfounded" not in work.possible(case, ANN)
        with pytest.raises(CaseRefusedError, match="two persons"):
            work.unfounded(case.case_id, ANN, "both were done")
    work.propose(large.case_id, ANN, NOTHING)
    assert work.unfounded(large.case_id, BOB, "both were done").signer == "bob"


def test_more_evidence_is_agreed_by_a_second_person_and_no_outcome(work: Casework) -> None:
    case = work.propose(taken(work).case_id, ANN, Proposal("needs_more_evidence", "no record yet"))
    agreed = work.confirm(case.case_id, BOB)
    assert (agreed.state, agreed.result, agreed.decided_at) == ("evidence", None, None)
    assert work.outcomes(agreed) == ()


def test_a_case_that_is_sent_back_is_with_its_investigator_again(work: Casework) -> None:
    case = work.propose(taken(work).case_id, ANN, FOUND)
    assert work.file(case.case_id, BOB).proposal is not None
    back = work.send_back(case.case_id, BOB, "ask the ward first")
    assert (back.state, back.assignee, back.result) == ("assigned", "ann", None)
    assert work.file(case.case_id, BOB).proposal is None


@pytest.mark.requirement("001-18", "001-21", "001-57", "002-68")
def test_a_proposal_keeps_its_reason_rating_answer_root_cause_and_plan(work: Casework) -> None:
    said = Proposal(
        "violation", "Two were billed.", "confirmed_abuse", "T07", 60.0, ("claim.duplicate_line",), "block",
        "The form prints two lines.", "rectification", "Mend the form by May.", 4,
    )  # fmt: skip
    case = work.propose(taken(work).case_id, ANN, said)
    work.note(case.case_id, BOB, "claim.duplicate_line version 4", kind="change")
    file = work.file(case.case_id, BOB)
    told = {name: list(v) if isinstance(v, tuple) else v for name, v in vars(said).items()}
    assert file.proposal == {**told, "who": "ann", "at": datetime(2026, 3, 2, 9)}
    assert (file.case.disposition, file.history[-1].details["kind"]) == ("block", "change")


def test_all_faults_of_a_proposal_are_named_at_once(work: Casework) -> None:
    case = taken(work)
    with pytest.raises(InputError) as refused:
        work.propose(
            case.case_id, ANN, Proposal("violation", " ", "false_positive", "T99", -1.0, disposition="nod", rating=6)
        )
    found = {(f.where, f.code) for f in refused.value.faults}
    assert found == {
        ("/reason", "missing"),
        ("/verdict", "not_in_set"),
        ("/violation", "not_in_set"),
        ("/amount", "out_of_range"),
        ("/disposition", "not_in_set"),
        ("/rating", "out_of_range"),
    }
    assert work.get(case.case_id).state == "assigned"


# --- appeals and afterwards -------------------------------------------------------------------------------


@pytest.mark.requirement("002-45")
def test_an_appeal_is_decided_by_somebody_who_neither_proposed_nor_signed(work: Casework) -> None:
    case = work.appeal(confirmed(work).case_id, ANN, "both were done", "the hospital")
    for judge in (ANN, BOB, replace(BOB, id="another key"), replace(BOB, name="Robert")):
        with pytest.raises(CaseRefusedError, match="neither proposed nor signed"):
            work.decide_appeal(case.case_id, judge, upheld=False, reason="no")
    closed = work.decide_appeal(case.case_id, EVE, upheld=True, reason="the record was found")
    assert closed.state == "closed"
    assert [o["verdict"] for o in work.outcomes(closed)] == ["appeal_upheld", "improper_payment"]


def test_an_appeal_comes_within_ten_working_days(work: Casework, clock: Clock) -> None:
    case = confirmed(work)
    assert case.appeal_until == datetime(2026, 3, 16, 9)
    clock.now = datetime(2026, 3, 16, 9)
    assert "appeal" in work.possible(case, EVE)
    with pytest.raises(CaseRefusedError, match="2026-03-16"):
        work.close(case.case_id, EVE)
    clock.pass_by(seconds=1)
    with pytest.raises(CaseRefusedError, match="ended"):
        work.appeal(case.case_id, EVE, "too late")
    assert work.close(case.case_id, EVE).state == "closed"


def test_an_upheld_appeal_can_open_the_case_again_unless_another_one_is_under_way(work: Casework) -> None:
    case = work.appeal(confirmed(work).case_id, ANN, "both were done")
    other = work.open(scored(), ANN)
    with pytest.raises(CaseRefusedError, match=other.case_id):
        work.decide_appeal(case.case_id, EVE, upheld=True, reason="right", reopen=True)
    work.take(other.case_id, ANN)
    work.unfounded(other.case_id, ANN, "the same")
    again = work.decide_appeal(case.case_id, EVE, upheld=True, reason="right", reopen=True)
    assert (again.state, again.assignee, again.proposer, again.clock) == ("open", None, None, "first_action")


def test_no_decision_is_made_without_an_outcome_of_its_own(work: Casework, clock: Clock) -> None:
    case = taken(work)
    work.unfounded(case.case_id, ANN, "both were done")
    work.appeal(case.case_id, ANN, "one was not", "a complaint")
    work.decide_appeal(case.case_id, BOB, upheld=True, reason="look again")
    work.take(case.case_id, ANN)
    # At the very same moment the outcome would be the one that is there.
    with pytest.raises(CaseRefusedError):
        work.unfounded(case.case_id, ANN, "both were done")
    assert work.get(case.case_id).state == "assigned"
    clock.pass_by(seconds=1)
    work.unfounded(case.case_id, ANN, "both were done")
    assert len(work.outcomes(case)) == 2


@pytest.mark.requirement("000-50")
def test_a_decided_case_is_followed_up_with_a_day_and_satisfaction(work: Casework) -> None:
    case = confirmed(work)
    later = work.follow_up(case.case_id, ANN, date(2026, 6, 1), 4, "the form is mended", "rectification")
    assert (later.follow_up_on, later.satisfaction) == (date(2026, 6, 1), 4)
    with pytest.raises(InputError, match="1 to 5"):
        work.follow_up(case.case_id, ANN, satisfaction=9)


# --- history, files, hands --------------------------------------------------------------------------------


@EVERYWHERE
def test_of_two_who_change_a_case_at_once_the_second_is_told(work: Casework) -> None:
    case = work.open(scored(), ANN)
    work.take(case.case_id, ANN, revision=case.revision)
    with pytest.raises(CaseRefusedError, match="Read it again") as refused:
        work.prioritise(case.case_id, BOB, "urgent", "a complaint", revision=case.revision)
    assert refused.value.why == "changed"
    assert work.get(case.case_id).priority == "normal"


@EVERYWHERE
@pytest.mark.requirement("000-48")
def test_the_history_of_a_case_is_only_ever_added_to(work: Casework, store: Store) -> None:
    case = work.note(taken(work).case_id, ANN, "Zhang San was not at home")
    change = sa.update(events).where(events.c.case_id == case.case_id).values(who="nobody")
    with pytest.raises(sa.exc.DBAPIError, match="only ever added"), store.database.write() as connection:
        connection.execute(change)


def test_the_ledger_knows_each_change_and_no_word_of_it(work: Casework) -> None:
    case = work.note(taken(work).case_id, ANN, "Zhang San was not at home")
    entries = work.ledger.entries(Record("patient", "p-1"))
    assert [e.what for e in entries] == ["case.noted", "case.taken", "case.opened"]
    assert entries == work.ledger.entries(Record("case", case.case_id))
    assert "Zhang" not in "".join(e.details for e in entries)


@EVERYWHERE
def test_a_file_comes_back_as_it_was_and_one_that_is_too_large_is_refused(work: Casework) -> None:
    case, file = work.attach(taken(work).case_id, ANN, "../up/record.pdf", "application/pdf", b"%PDF one")
    assert (file.name, file.size, file.digest) == ("record.pdf", 8, sha256(b"%PDF one").hexdigest())
    assert work.attachment(case.case_id, file.number) == (file, b"%PDF one")
    with pytest.raises(InputError) as refused:
        work.attach(case.case_id, ANN, "", "nonsense", bytes((10 << 20) + 1))
    assert {f.where for f in refused.value.faults} == {"/name", "/media_type", "/content"}
    with pytest.raises(NotKnownError):
        work.attachment(case.case_id, 99)


def test_an_innocent_explanation_is_checked_off_with_what_refutes_it(work: Casework) -> None:
    case = taken(work)
    with pytest.raises(InputError, match="remark"):
        work.check(case.case_id, ANN, "A long stay.", "refuted")
    work.check(case.case_id, ANN, "A long stay.", "open")
    work.check(case.case_id, ANN, "A long stay.", "refuted", "discharged on the day")
    checked = work.file(case.case_id, ANN).checks["A long stay."]
    assert (checked["answer"], checked["remark"], checked["who"]) == ("refuted", "discharged on the day", "ann")


def test_cases_go_into_somebodys_hands_together_and_the_others_say_why_not(work: Casework) -> None:
    ids = [work.open(scored(f"c-{n}"), ANN).case_id for n in range(3)]
    done = confirmed(work, "c-9").case_id
    assigned, refused = work.assign_many([*ids, done, "NOSUCHCASE"], SUE, "eve")
    assert [c.case_id for c in assigned] == ids
    assert set(refused) == {done, "NOSUCHCASE"}
    with pytest.raises(CaseRefusedError, match="Somebody else"):
        work.propose(ids[0], ANN, FOUND)
    assert work.hand_back(ids[0], EVE, "on leave").assignee is None


def test_several_steps_at_once_are_all_taken_or_none(work: Casework) -> None:
    case = work.open(scored(), ANN)
    steps = (
        lambda c, at: workflow.take(c, ANN, at),
        lambda c, at: workflow.confirm(c, ANN, at),
    )
    with pytest.raises(CaseRefusedError, match="cannot confirm"):
        work.change(case.case_id, ANN, steps)
    assert work.get(case.case_id) == case


# --- looking for cases ------------------------------------------------------------------------------------


@EVERYWHERE
def test_cases_are_found_by_every_filter_and_within_bounds(work: Casework, clock: Clock) -> None:
    far = work.open(scored("c-far", region="110101", provider_id="h-9", amount=9e5, violation="T02", worth=5.0), ANN)
    near = taken(work, "c-near", worth=7.0)
    clock.pass_by(hours=2)
    own = confirmed(work, "c-own", patient_id="p-7", worth=6.0)

    def found(chosen: Chosen, within: Within = Within(), order: str = "-worth") -> list[str]:  # noqa: B008
        return [c.entity_id for c in work.search(chosen, within, order).cases]

    assert found(Chosen()) == ["c-near", "c-own", "c-far"]
    assert found(Chosen(), order="worth") == ["c-far", "c-own", "c-near"]
    assert found(Chosen(), order="due") == ["c-far", "c-near", "c-own"]
    assert found(Chosen(), order="priority") == ["c-far", "c-near", "c-own"]
    assert found(Chosen(states=("open", "assigned"))) == ["c-near", "c-far"]
    assert found(Chosen(violations=("T02",))) == ["c-far"]
    assert found(Chosen(regions=("3301*",))) == ["c-near", "c-own"]
    assert found(Chosen(provider_id="h-9")) == found(Chosen(amount_at_least=1e5)) == ["c-far"]
    assert found(Chosen(assignee="ann", states=("assigned",))) == ["c-near"]
    assert found(Chosen(assignee="")) == ["c-far"]
    assert found(Chosen(overdue=True)) == ["c-far"]  # urgent: an hour
    assert found(Chosen(overdue=False)) == ["c-near", "c-own"]
    assert found(Chosen(patient_id="p-7")) == found(Chosen(text=own.case_id[:8].lower())) == ["c-own"]
    assert found(Chosen(text="c-near")) == found(Chosen(entity_id="c-near")) == ["c-near"]
    assert found(Chosen(opened_from=clock.now)) == ["c-own"]
    assert found(Chosen(), Within(regions=("11*",))) == found(Chosen(), Within(providers=("h-9",))) == ["c-far"]
    assert found(Chosen(), Within(("330106",), ("h-1",))) == ["c-near", "c-own"]
    page = work.search(Chosen(), most=1, skip=1)
    assert ([c.case_id for c in page.cases], page.total) == ([own.case_id], 3)
    counts = work.counts()
    assert (counts.total, counts.undecided, counts.overdue) == (3, 2, 1)
    assert (counts.by_state["confirmed"], counts.by_priority["urgent"]) == (1, 1)
    assert near.case_id not in {c.case_id for c in work.similar(own)}
    assert far.case_id not in {c.case_id for c in work.similar(near)}
    assert [c.case_id for c in work.similar(near)] == [own.case_id]


# --- the week ---------------------------------------------------------------------------------------------


def queue(*chosen: tuple[str, str]) -> Queue:
    """A list of claims, each chosen or drawn."""
    places = tuple(
        QueuedCase(n, Candidate("claim", i, 0.4, 200.0, "T07", "h-1", at_stake=500.0), 0.5, by, 0.02)  # type: ignore[arg-type]
        for n, (i, by) in enumerate(chosen, start=1)
    )
    hours = sum(p.hours for p in places)
    return Queue(datetime(2026, 3, 2), places, hours, 400.0, 400.0, "exact", {}, 100, 1)


@EVERYWHERE
def test_the_weeks_list_is_put_onto_cases_once_and_its_progress_is_told(work: Casework) -> None:
    flagged = work.open(scored("c-1"), ANN)
    begun = taken(work, "c-2")
    listed = queue(("c-1", "expected_recovery"), ("c-2", "random"), ("c-3", "random"))
    planned = work.plan(listed, SUE)
    assert planned.kept == (flagged.case_id, begun.case_id)
    assert len(planned.opened) == 1
    assert work.plan(listed, SUE).opened == ()
    found = work.search(Chosen(week=date(2026, 3, 2)), order="place").cases
    # Drawn before anybody had begun: a random case. The other was being looked at already.
    assert [(c.entity_id, c.place, c.selected_by) for c in found] == [
        ("c-1", 1, "investigator"),
        ("c-2", 2, "investigator"),
        ("c-3", 3, "random"),
    ]
    assert (found[2].inclusion_probability, found[2].worth, found[2].amount) == (0.02, 400.0, 500.0)
    work.propose(begun.case_id, ANN, FOUND)
    work.confirm(begun.case_id, BOB)
    told = work.progress(date(2026, 3, 2))
    assert (told.cases, told.begun, told.decided, told.random_cases, told.random_decided) == (3, 1, 1, 1, 0)
    assert (told.hours, told.hours_decided, told.capacity_hours, told.recovered) == (1.5, 0.5, 40.0, 60.0)
    assert work.plan(listed, SUE).decided == (begun.case_id,)


# --- handing over -----------------------------------------------------------------------------------------


def test_the_archive_of_a_case_has_everything_with_its_hash_and_the_same_bytes_each_time(work: Casework) -> None:
    case, _ = work.attach(taken(work).case_id, ANN, "record.txt", "text/plain", b"one examination")
    work.propose(case.case_id, ANN, FOUND)
    work.confirm(case.case_id, BOB)
    pack = referral_pack(work, case.case_id, {"report.html": b"<p>why</p>"})
    assert pack == referral_pack(work, case.case_id, {"report.html": b"<p>why</p>"})
    with zipfile.ZipFile(io.BytesIO(pack)) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    manifest = json.loads(parts.pop("manifest.json"))
    assert manifest["files"] == {name: sha256(content).hexdigest() for name, content in parts.items()}
    assert parts["files/003 record.txt"] == b"one examination"
    assert parts["reports/report.html"] == b"<p>why</p>"
    assert [e["what"] for e in json.loads(parts["history.json"])][-2:] == ["proposed", "confirmed"]
    assert [e["what"] for e in json.loads(parts["ledger.json"])][-2:] == ["case.proposed", "case.confirmed"]
    assert json.loads(parts["outcomes.json"])[0]["verdict"] == "improper_payment"


def test_the_archive_masks_whom_it_is_about_where_that_is_asked(work: Casework) -> None:
    pack = referral_pack(work, confirmed(work).case_id, show=lambda column, value: f"somebody ({column})")
    with zipfile.ZipFile(io.BytesIO(pack)) as archive:
        told = json.loads(archive.read("case.json"))
    assert (told["patient_id"], told["entity_id"]) == ("somebody (patient_id)", "somebody (claim_id)")


def test_other_rules_make_other_priorities_and_clocks(store: Store, clock: Clock) -> None:
    rules = CaseRules(urgent=Threshold(amount=100.0), hours={"urgent": 2.0, "important": 3.0, "normal": 4.0})
    case = Casework(store, rules, clock).open(scored(), ANN)
    assert (case.priority, case.due_at) == ("urgent", datetime(2026, 3, 2, 11))
