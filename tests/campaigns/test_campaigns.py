"""Campaigns: what is found, declared, put right and accepted, by whom and when."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date, datetime
from hashlib import sha256
from threading import Barrier

import pytest
import sqlalchemy as sa

from fraud.errors import FraudError, InputError, NotKnownError
from fraud.review.campaigns import ACTIONS, Announcement, CampaignRefusedError, Campaigns, File, Plan
from fraud.review.cases import Actor, Casework, Scored, Within
from fraud.review.periodic.figures import share_of
from fraud.store import Store
from fraud.store.campaigns.shapes import OfType
from fraud.store.campaigns.tables import campaign_events, campaign_files, campaign_tasks
from fraud.store.ledger import Record
from fraud.store.retention import Warrant, destroy
from tests.campaigns.parts import (
    LEAD,
    LETTER,
    TRAINING,
    Judged,
    announced,
    hit,
    judge,
    opened,
    ready,
    step,
)
from tests.cases.parts import ANN, BOB, EVERYWHERE, READER, SUE, Clock

# --- opening ----------------------------------------------------------------------------------------------


@pytest.mark.requirement("003-19")
@EVERYWHERE
def test_a_campaign_keeps_what_was_found_at_each_provider_when_it_was_opened(work: Campaigns, store: Store) -> None:
    Casework(store).open(Scored("claim", "a-0", provider_id="h-1", violation="T07"), ANN)
    seen = work.get(opened(work), LEAD)
    # The providers with findings in the period, those with most money at stake first.
    assert [r.provider_id for r in seen.rows] == ["h-1", "h-2"]
    found = seen.rows[0].found
    assert (found.claims, found.flagged, found.with_findings, found.open_cases) == (10, 2, 2, 1)
    # Of two findings about one claim the larger counts; each type has its own.
    assert found.amount == 90.0 + 60.0
    assert found.by_type == {"T02": OfType(1, 90.0), "T07": OfType(2, 100.0)}
    assert found.by_rule == {"claim.duplicate_line": 2, "claim.overlap": 1}
    s = seen.standing
    assert (s.phase, s.providers, s.found, s.found_amount, s.declared) == ("announced", 2, 3, 175.0, 0)


def test_a_scope_of_types_providers_and_regions_is_kept_to(work: Campaigns) -> None:
    only = work.get(opened(work, violations=("T02",)), LEAD)
    assert [(r.provider_id, r.found.with_findings, r.found.amount) for r in only.rows] == [
        ("h-1", 1, 90.0),
        ("h-2", 1, 25.0),
    ]
    named = work.get(opened(work, providers=("h-3", "h-1", "h-3")), LEAD)
    assert {r.provider_id: r.region for r in named.rows} == {"h-1": "330106", "h-3": "440103"}
    with pytest.raises(InputError, match="name providers"):
        opened(work, regions=("44*",))


def test_the_last_answer_of_a_claim_counts(work: Campaigns, store: Store) -> None:
    judge(store, Judged("a-0", "h-1", [], scored_at=datetime(2026, 2, 9)))
    found = work.get(opened(work), LEAD).rows[0].found
    assert (found.claims, found.with_findings, found.amount) == (10, 1, 60.0)


@pytest.mark.requirement("003-19")
def test_phases_are_due_in_working_days(work: Campaigns, clock: Clock) -> None:
    clock.now = datetime(2026, 9, 28, 9)  # the national holiday begins on the 1st of October
    due = work.open(announced(), LEAD).due
    assert due["announced"] == datetime(2026, 10, 8, 9)
    assert due["self_check"] == datetime(2026, 10, 21, 9)
    short = work.open(announced(days={"announced": 1, "self_check": 1, "rectification": 1, "acceptance": 1}), LEAD)
    assert short.acceptance_due == datetime(2026, 10, 9, 9)
    clock.now = datetime(2031, 3, 3, 9)
    assert work.get(opened(work), LEAD).unknown_years == (2031,)


def test_everything_that_is_wrong_with_an_announcement_is_said_at_once(work: Campaigns) -> None:
    wrong = Announcement(" ", "", date(2026, 2, 1), date(2026, 1, 1), ("T99",), days={"announced": 0})  # type: ignore[dict-item]
    with pytest.raises(InputError) as caught:
        work.open(wrong, LEAD)
    assert [f.where for f in caught.value.faults] == [
        "/title", "/legal_basis", "/period_until", "/violations", "/announced_days",
    ]  # fmt: skip
    with pytest.raises(InputError, match="h-9 is not known"):
        opened(work, providers=("h-1", "h-9"))


@pytest.mark.parametrize("actor", [ANN, READER])
def test_only_whoever_leads_opens_decides_and_closes(work: Campaigns, actor: Actor) -> None:
    with pytest.raises(CampaignRefusedError, match="supervisor"):
        work.open(announced(), actor)
    number = opened(work)
    ready(work, number)
    for tried in (lambda: work.decide(number, "h-1", actor, "accepted"), lambda: work.close(number, actor)):
        with pytest.raises(CampaignRefusedError) as refused:
            tried()
        assert refused.value.why == "role"


# --- self-check -------------------------------------------------------------------------------------------


@pytest.mark.requirement("003-19")
def test_a_declaration_keeps_figures_letter_and_who_took_it_and_less_than_found_stands_out(work: Campaigns) -> None:
    number = opened(work)
    assert step(work, number, "tell", ANN).state == "self_check"
    row = step(work, number, "declare", ANN, 2, 120.0, "by post", LETTER)
    assert (row.state, row.declared_count, row.declared_amount, row.declared_by) == ("rectification", 2, 120.0, "ann")
    assert row.declared_less  # 150 were found
    again = step(work, number, "declare", BOB, 3, 150.0)
    assert not again.declared_less
    file = work.dossier(number, "h-1", LEAD)
    # Nothing is overwritten: both stand in the history.
    said = [(e.who, e.details["amount"]) for e in file.history if e.what == "declared"]
    assert said == [("ann", 120.0), ("bob", 150.0)]
    assert [f.digest for f in file.files] == [sha256(LETTER.content).hexdigest()]
    assert work.file(number, "h-1", file.files[0].number, READER)[1] == LETTER.content


def test_who_declares_nothing_in_time_goes_on_with_what_was_found(work: Campaigns, clock: Clock) -> None:
    number = opened(work)
    step(work, number, "tell", ANN)
    with pytest.raises(CampaignRefusedError, match="may declare until 2026-03-19") as refused:
        step(work, number, "undeclared", ANN, "reminded twice")
    assert refused.value.why == "time"
    clock.now = datetime(2026, 3, 20)
    seen = work.get(number, LEAD)
    assert seen.standing.overdue == 2
    row = step(work, number, "undeclared", ANN, "reminded twice")
    assert (row.state, row.declared_count, row.declared_less) == ("rectification", None, False)


def test_figures_that_cannot_be_declared_are_named(work: Campaigns) -> None:
    number = opened(work)
    for said, where in (
        ((None, None), ["/count", "/amount"]),
        ((-1, 5.0), ["/count"]),
        ((1, -5.0), ["/amount"]),
        ((1, 1e13), ["/amount"]),
    ):
        with pytest.raises(InputError) as caught:
            step(work, number, "declare", ANN, *said)
        assert [f.where for f in caught.value.faults] == where


def test_a_file_without_content_is_refused(work: Campaigns) -> None:
    with pytest.raises(InputError) as caught:
        step(work, opened(work), "declare", ANN, 1, 1.0, file=File("a.pdf", "application/pdf", b""))
    assert [f.where for f in caught.value.faults] == ["/file"]


# --- rectification ----------------------------------------------------------------------------------------


@pytest.mark.requirement("000-35", "002-68")
def test_what_is_put_right_has_cause_action_person_day_and_evidence(
    work: Campaigns, store: Store, clock: Clock
) -> None:
    cases = (Casework(store).open(Scored("claim", "a-0", provider_id="h-1"), ANN).case_id,)
    number = opened(work)
    step(work, number, "declare", ANN, 2, 150.0)
    plan = replace(TRAINING, rules=("claim.overlap",), model="claim_risk 8", cases=cases, days=2)
    for action in ACTIONS:
        assert step(work, number, "plan", ANN, replace(plan, action=action)).state == "rectification"
    tasks = work.dossier(number, "h-1", LEAD).tasks
    assert [t.action for t in tasks] == list(ACTIONS)
    task = tasks[-1]
    assert (task.root_cause, task.responsible, task.text) == (plan.root_cause, plan.responsible, plan.text)
    assert (task.rules, task.model, task.cases) == (plan.rules, plan.model, plan.cases)
    assert (task.due_at, task.done) == (datetime(2026, 3, 4, 9), False)
    clock.now = datetime(2026, 3, 5)
    s = work.get(number, LEAD).standing
    assert (s.overdue, s.tasks, s.tasks_done, s.tasks_overdue) == (1, len(ACTIONS), 0, len(ACTIONS))
    for task in tasks:
        done = step(work, number, "finish", BOB, task.number, file=LETTER)
    assert (done.state, {name for _, name in done.hands}) == ("acceptance", {"ann", "bob"})
    dossier = work.dossier(number, "h-1", LEAD)
    assert [t.file for t in dossier.tasks] == [f.number for f in dossier.files]
    assert {(t.done_at, t.done_by) for t in dossier.tasks} == {(clock.now, "bob")}
    assert dossier.history[-1].details["late"] is True
    assert dossier.history[-1].details["sha256"] == sha256(LETTER.content).hexdigest()


def test_a_provider_is_ready_once_all_its_tasks_are_done_or_with_the_reason_why_none_is_needed(work: Campaigns) -> None:
    number = opened(work)
    step(work, number, "declare", ANN, 2, 150.0)
    with pytest.raises(CampaignRefusedError, match="no open task"):
        step(work, number, "finish", ANN, 1, "done")
    for _ in range(2):
        step(work, number, "plan", ANN, TRAINING)
    with pytest.raises(CampaignRefusedError, match="open tasks first"):
        step(work, number, "submit", ANN, "no need")
    with pytest.raises(InputError, match="no open task with this number"):
        step(work, number, "finish", ANN, 7, "done")
    assert step(work, number, "finish", ANN, 2, "done").state == "rectification"
    assert step(work, number, "finish", ANN, 1, "done").state == "acceptance"
    # One more thing to put right, and it is ready no longer.
    assert step(work, number, "plan", ANN, TRAINING).state == "rectification"
    step(work, number, "declare", ANN, 1, 25.0, of="h-2")
    assert step(work, number, "submit", ANN, "It was a mistaken rule.", of="h-2").state == "acceptance"


def test_a_plan_that_says_too_little_is_refused_with_all_that_is_missing(work: Campaigns) -> None:
    number = opened(work)
    step(work, number, "declare", ANN, 2, 150.0)
    for plan, where in (
        (Plan("", "prayer", "", ""), ["/root_cause", "/text", "/responsible", "/action"]),
        (replace(TRAINING, action="rule_change"), ["/rules"]),
        (replace(TRAINING, action="model_change"), ["/model"]),
        (replace(TRAINING, days=0), ["/days"]),
    ):
        with pytest.raises(InputError) as caught:
            step(work, number, "plan", ANN, plan)
        assert [f.where for f in caught.value.faults] == where


def test_a_task_names_only_cases_of_its_provider_and_rules_that_are_there(store: Store, work: Campaigns) -> None:
    other = Casework(store).open(Scored("claim", "b-0", provider_id="h-2"), ANN).case_id
    strict, number = Campaigns(store, work.clock, rules={"claim.overlap"}), opened(work)
    step(work, number, "declare", ANN, 2, 150.0)
    with pytest.raises(InputError) as caught:
        step(strict, number, "plan", ANN, replace(TRAINING, cases=(other, "NOWHERE"), rules=("claim.none",)))
    assert [f.where for f in caught.value.faults] == ["/cases", "/cases", "/rules"]
    assert step(strict, number, "plan", ANN, replace(TRAINING, rules=("claim.overlap",))).state == "rectification"


# --- acceptance -------------------------------------------------------------------------------------------


@pytest.mark.requirement("003-19", "000-35")
def test_whoever_put_right_never_accepts_even_with_another_account(work: Campaigns) -> None:
    number = opened(work)
    step(work, number, "declare", LEAD, 2, 150.0)
    step(work, number, "plan", SUE, TRAINING)
    step(work, number, "finish", ANN, 1, "done")
    same = (SUE, replace(SUE, id="another account"), replace(SUE, name="susan"), replace(ANN, role="supervisor"))
    for who in same:
        assert "accept" not in work.dossier(number, "h-1", who).possible
        with pytest.raises(CampaignRefusedError, match="Somebody else decides") as refused:
            work.decide(number, "h-1", who, "accepted")
        assert refused.value.why == "person"
    # Of two who sign in the account decides, whatever they are called.
    step(work, number, "plan", Actor("user:1", "kim", "investigator"), TRAINING)
    step(work, number, "finish", Actor("user:1", "kim", "investigator"), 2, "done")
    assert "accept" in work.dossier(number, "h-1", Actor("user:2", "kim", "supervisor")).possible
    # Taking a declaration is no rectification.
    row = work.decide(number, "h-1", LEAD, "accepted")
    assert (row.state, row.result, row.decided_by, row.due_at) == ("accepted", "accepted", "lea", None)
    assert work.dossier(number, "h-1", LEAD).possible == ()


@pytest.mark.requirement("000-03", "003-19")
def test_what_is_still_wrong_is_returned_with_reasons_and_a_day_or_referred(work: Campaigns, clock: Clock) -> None:
    number = opened(work)
    ready(work, number)
    with pytest.raises(InputError, match="reason"):
        work.decide(number, "h-1", LEAD, "returned")
    back = work.decide(number, "h-1", LEAD, "returned", "no list of names", days=2)
    assert (back.state, back.result, back.due_at) == ("rectification", "returned", datetime(2026, 3, 4, 9))
    step(work, number, "plan", ANN, TRAINING)
    assert step(work, number, "finish", ANN, 2, "the list").state == "acceptance"
    gone = work.decide(number, "h-1", LEAD, "referred", "the list names nobody")
    assert (gone.state, gone.finished) == ("referred", True)
    said = [(e.what, e.details.get("reason")) for e in work.dossier(number, "h-1", LEAD).history]
    assert ("returned", "no list of names") in said
    assert said[-1] == ("referred", "the list names nobody")
    with pytest.raises(InputError, match="no such decision"):
        work.decide(number, "h-2", LEAD, "forgiven")


@pytest.mark.requirement("001-57")
@EVERYWHERE
def test_whether_it_helped_is_a_rate_before_and_after_with_its_interval(
    work: Campaigns, store: Store, clock: Clock
) -> None:
    number = opened(work)
    step(work, number, "declare", ANN, 2, 150.0)
    step(work, number, "plan", ANN, replace(TRAINING, action="rule_change", rules=("claim.overlap",)))
    clock.now = datetime(2026, 3, 10)
    step(work, number, "finish", ANN, 1, "done")
    after = [Judged(f"d-{n}", "h-1", settled_at=datetime(2026, 3, 20), scored_at=datetime(2026, 3, 21))
             for n in range(20)]  # fmt: skip
    after[0] = replace(after[0], findings=[hit()])
    # A rule that could not judge a claim says nothing of it.
    after[1] = replace(after[1], findings=[{**hit("claim.overlap", "T02"), "status": "error"}])
    before = Judged("d-99", "h-1", [hit("claim.overlap", "T02")], settled_at=datetime(2026, 3, 9))
    judge(store, *after, before)
    clock.now = datetime(2026, 4, 1)
    shown = work.dossier(number, "h-1", LEAD).effects
    row = work.decide(number, "h-1", LEAD, "accepted")
    assert row.effects == shown
    told = {e.what: (e.hits_before, e.claims_before, e.hits_after, e.claims_after) for e in row.effects}
    assert told == {
        "claim.overlap": (1, 10, 0, 19),
        "claim.duplicate_line": (2, 10, 1, 20),
        "flagged": (2, 10, 1, 20),
    }
    assert {(e.since, e.until) for e in row.effects} == {(datetime(2026, 3, 10), clock.now)}
    share = share_of(1, 10)
    assert (share.value, round(share.low or 0, 3), round(share.high or 0, 3)) == (0.1, 0.018, 0.404)
    # Nothing of it is counted anew later on.
    judge(store, Judged("d-100", "h-1", [hit()], settled_at=datetime(2026, 4, 2), scored_at=datetime(2026, 4, 2)))
    clock.now = datetime(2026, 5, 1)
    assert work.dossier(number, "h-1", LEAD).effects == row.effects


def test_what_is_found_at_the_decision_is_kept_beside_what_was_found_first(work: Campaigns, store: Store) -> None:
    number = opened(work)
    ready(work, number)
    judge(store, Judged("a-0", "h-1", [], scored_at=datetime(2026, 2, 20)))
    row = work.decide(number, "h-1", LEAD, "accepted")
    assert row.found_again is not None
    assert (row.found.with_findings, row.found_again.with_findings) == (2, 1)


# --- the whole --------------------------------------------------------------------------------------------


def test_a_campaign_closes_once_all_is_decided_or_with_a_reason(work: Campaigns) -> None:
    number = opened(work)
    assert (work.tell_all(number, ANN), work.tell_all(number, ANN)) == (2, 0)
    ready(work, number)
    work.decide(number, "h-1", LEAD, "accepted")
    with pytest.raises(InputError, match="why it ends"):
        work.close(number, LEAD)
    with pytest.raises(CampaignRefusedError) as refused:
        work.close(number, LEAD, "merged", revision=7)
    assert refused.value.why == "changed"
    closed = work.close(number, LEAD, "merged with another", revision=1)
    assert closed.closed_by == "lea"
    seen = work.get(number, LEAD)
    assert (seen.standing.phase, seen.standing.overdue, seen.possible) == ("closed", 0, ())
    with pytest.raises(CampaignRefusedError, match="closed"):
        step(work, number, "declare", ANN, 1, 1.0, of="h-2")
    # Those under way come first.
    later = opened(work)
    assert [o.campaign.campaign_id for o in work.all()] == [later, number]


@pytest.mark.parametrize("within", [Within(regions=("44*",)), Within(providers=("h-3",))])
def test_bounds_hold_for_lists_figures_and_steps(work: Campaigns, within: Within) -> None:
    number, other = opened(work, providers=("h-1", "h-2", "h-3")), opened(work)
    somebody = replace(SUE, within=within)
    (seen,) = work.all(within)
    assert (seen.campaign.campaign_id, [r.provider_id for r in seen.rows]) == (number, ["h-3"])
    assert seen.standing.found_amount == 0.0
    for tried in (
        lambda: work.get(other, somebody),
        lambda: work.dossier(number, "h-1", somebody),
        lambda: step(work, number, "declare", somebody, 1, 1.0),
        lambda: work.decide(number, "h-1", somebody, "accepted"),
        lambda: work.close(other, somebody),
        lambda: work.get("CMP-0", somebody),
    ):
        with pytest.raises(NotKnownError):
            tried()
    with pytest.raises(InputError, match="h-1 is not known"):
        work.open(announced(providers=("h-1",)), somebody)
    with pytest.raises(CampaignRefusedError, match="outside of your bounds"):
        work.close(number, somebody, "enough")
    assert step(work, number, "tell", somebody, of="h-3").state == "self_check"


@pytest.mark.requirement("003-19")
def test_every_step_is_an_entry_of_the_ledger_and_of_a_history_that_only_grows(work: Campaigns, store: Store) -> None:
    number = opened(work)
    ready(work, number)
    work.decide(number, "h-1", LEAD, "accepted")
    work.close(number, LEAD, "enough")
    told = [e.what for e in reversed(work.ledger.entries(Record("campaign", number)))]
    assert told == [f"campaign.{w}" for w in ("opened", "declared", "planned", "finished", "accepted", "closed")]
    assert work.ledger.verify().holds
    with pytest.raises(sa.exc.IntegrityError, match="only ever added"), store.database.write() as connection:
        connection.execute(sa.update(campaign_events).values(what="other"))


@EVERYWHERE
def test_of_two_who_change_the_same_at_once_one_is_told(work: Campaigns) -> None:
    number = opened(work)
    revision = ready(work, number).revision
    start = Barrier(3)

    def decide(actor: Actor) -> str:
        start.wait()
        try:
            return work.decide(number, "h-1", actor, "accepted", revision=revision).decided_by or ""
        except CampaignRefusedError as refused:
            return refused.why

    leads = [replace(LEAD, id=n, name=n) for n in ("one", "two", "three")]
    with ThreadPoolExecutor(3) as people:
        said = sorted(people.map(decide, leads))
    row = work.dossier(number, "h-1", LEAD).row
    assert row.decided_by in said
    assert sorted(set(said) - {row.decided_by}) in (["changed"], ["state"], ["changed", "state"])
    assert [e.what for e in work.dossier(number, "h-1", LEAD).history].count("accepted") == 1


@EVERYWHERE
def test_what_people_write_is_sealed_at_rest(address: str, clock: Clock) -> None:
    with Store(address, environ={"FRAUD_DATA_KEY": "ab" * 32}) as store:
        work = Campaigns(store, clock=clock)
        judge(store, Judged("a-0", "h-1", [hit()]))
        number = opened(work)
        step(
            work,
            number,
            "declare",
            ANN,
            1,
            40.0,
            "told by zhang-san",
            File("zhang-san.txt", "text/plain", b"zhang-san"),
        )
        step(work, number, "plan", ANN, replace(TRAINING, text="zhang-san is sent to a course"))
        assert work.dossier(number, "h-1", LEAD).tasks[0].text.startswith("zhang-san")
    engine = sa.create_engine(address)
    with engine.connect() as connection:
        for table in (campaign_events, campaign_files, campaign_tasks):
            rows = connection.exec_driver_sql(f"SELECT * FROM {table.name}").all()
            assert rows
            assert "zhang" not in str([bytes(v) if isinstance(v, memoryview) else v for r in rows for v in r])
    engine.dispose()


def test_a_file_that_was_changed_in_the_database_is_not_handed_out(work: Campaigns, store: Store) -> None:
    number = opened(work)
    step(work, number, "declare", ANN, 2, 150.0, file=LETTER)
    with store.database.write() as connection:
        connection.execute(sa.update(campaign_files).values(content=b"other"))
    with pytest.raises(FraudError, match="SHA-256"):
        work.file(number, "h-1", 2, LEAD)
    with pytest.raises(NotKnownError):
        work.file(number, "h-1", 9, LEAD)


def test_closed_campaigns_are_destroyed_in_time_and_others_kept(work: Campaigns, store: Store) -> None:
    old, kept = opened(work), opened(work)
    ready(work, old)
    work.close(old, LEAD, "enough")
    gone = destroy(store.database, datetime(2037, 1, 1), "person:x", Warrant("a", "b", "ten years")).rows
    counts = [gone[f"campaign{part}"] for part in ("s", "_providers", "_tasks", "_events")]
    assert counts == [1, 2, 1, 7]
    assert [o.campaign.campaign_id for o in work.all()] == [kept]
