"""One case: read, taken, proposed, signed by somebody else, appealed against, handed over."""

from __future__ import annotations

import io
import re
import zipfile
from datetime import date

import httpx
import pytest
import sqlalchemy as sa

from fraud.store.ledger import Record
from fraud.store.tables import CANONICAL
from fraud.web.bodies.faults import checked
from fraud.web.bodies.shapes import ScoreBody, bundle_of
from fraud.web.pages.work.case_around import seen_together
from fraud.web.pages.work.case_charts import MOST_LANES, Pairing, Stay, network_chart, overlaps_among, timeline_chart
from tests.pages.cases import confirmed, inside, scored
from tests.pages.visitors import Hamlet, Visitor, text_of
from tests.web.client import body

PROPOSAL = {"propose_result": "violation", "propose_reason": "Billed twice.", "propose_violation": "T07"}


def take(visitor: Visitor, case_id: str, step: str, **fields: str) -> httpx.Response:
    """The page after a step, sent from the page of the case as it is."""
    page = visitor.open(f"/cases/{case_id}")
    revision = re.search(r'name="revision" value="(\d+)"', page.text)
    seen = revision[1] if revision else "1"
    return visitor.send(f"/cases/{case_id}/{step}", revision=seen, **fields)


def outcomes(hamlet: Hamlet) -> list[tuple[str, str]]:
    rows = CANONICAL["outcomes"]
    with hamlet.runtime.store.database.read() as connection:
        return [tuple(r) for r in connection.execute(sa.select(rows.c.entity_id, rows.c.verdict))]


@pytest.mark.requirement("000-48", "002-24")
@pytest.mark.parametrize(
    ("language", "alone", "signed"), [("en", "second person", "Signed"), ("zh", "另一人", "已签字")]
)
def test_one_takes_and_proposes_another_signs_and_the_outcome_is_there(
    hamlet: Hamlet, language: str, alone: str, signed: str
) -> None:
    (case,) = scored(hamlet)
    with inside(hamlet, "investigator", language) as one, inside(hamlet, "supervisor", language) as other:
        assert take(one, case.case_id, "take").status_code == 200
        proposed = take(one, case.case_id, "propose", **PROPOSAL, propose_amount="120")
        assert proposed.status_code == 200
        # The form to sign is not there for whoever proposed, and does not work for them either.
        assert f"/cases/{case.case_id}/confirm" not in proposed.text
        refused = take(one, case.case_id, "confirm")
        assert (refused.status_code, alone in text_of(refused)) == (409, True)
        assert outcomes(hamlet) == []
        done = take(other, case.case_id, "confirm", confirm_remark="As proposed.")
    assert (done.status_code, signed in text_of(done)) == (200, True)
    after = hamlet.runtime.casework.get(case.case_id)
    assert (after.state, after.proposer, after.signer) == ("confirmed", "investigator-1", "supervisor-1")
    assert (after.confirmed_amount, outcomes(hamlet)) == (120.0, [(case.entity_id, "improper_payment")])


def test_findings_stand_apart_from_what_the_model_leaned_on(hamlet: Hamlet) -> None:
    (case,) = scored(hamlet)
    with inside(hamlet, "investigator") as visitor:
        page = visitor.open(f"/cases/{case.case_id}").text
    places = [page.index(mark) for mark in ('id="findings"', "Above: rules whose limit was passed", 'id="reasons"')]
    assert places == sorted(places)
    for said in ("5 lines; 3 at most.", "A law", "A long stay.", "X5"):
        assert said in page
    # No style stands in an attribute: the policy of the pages would not let it pass.
    assert 'style="' not in page


def test_whom_it_is_about_is_shown_to_a_supervisor_who_says_why(hamlet: Hamlet) -> None:
    (case,) = scored(hamlet, patient_id="person-4711")
    with inside(hamlet, "investigator") as one, inside(hamlet, "supervisor") as other:
        pages = [v.open(f"/cases/{case.case_id}").text for v in (one, other)]
        record = re.search(r'name="record" value="([^"]+)"', pages[1])
        assert record
        back = f"/workbench/cases/{case.case_id}"
        given = {"kind": "case", "record": record[1], "back": back, "purpose": "a hearing"}
        shown = other.send("/unmask", **given)
        again = one.open(f"/cases/{case.case_id}")
    assert ["person-4711" in page for page in (*pages, shown.text, again.text)] == [False, False, True, False]
    read = hamlet.desk.guard.ledger.entries(Record("case", case.case_id), most=50)
    assert {e.what for e in read} >= {"case.read"}


def test_what_is_wrong_with_a_proposal_is_said_at_its_fields_and_nothing_is_lost(hamlet: Hamlet) -> None:
    (case,) = scored(hamlet)
    with inside(hamlet, "investigator") as visitor:
        take(visitor, case.case_id, "take")
        page = take(
            visitor, case.case_id, "propose", propose_result="violation", propose_amount="much", propose_plan="a plan"
        )
        said = text_of(page)
    assert page.status_code == 422
    faults = set(re.findall(r'id="e-propose_(\w+)"', page.text))
    assert faults == {"amount", "reason", "violation"}
    assert "This is not a number." in said
    assert 'value="much"' in page.text
    assert ">a plan</textarea>" in page.text
    assert hamlet.runtime.casework.get(case.case_id).state == "assigned"


def test_nobody_overwrites_what_somebody_else_has_done_meanwhile(hamlet: Hamlet) -> None:
    (case,) = scored(hamlet)
    with inside(hamlet, "investigator") as one, inside(hamlet, "supervisor") as other:
        one.open(f"/cases/{case.case_id}")
        take(other, case.case_id, "take")
        late = one.send(f"/cases/{case.case_id}/take", revision="1")
    assert (late.status_code, "Somebody else has changed the case" in text_of(late)) == (409, True)
    assert hamlet.runtime.casework.get(case.case_id).assignee == "supervisor-1"


def test_whoever_only_reads_sees_no_form_and_is_refused(hamlet: Hamlet) -> None:
    (case,) = scored(hamlet)
    with inside(hamlet, "auditor") as visitor:
        page = visitor.open(f"/cases/{case.case_id}")
        assert (page.status_code, f"/cases/{case.case_id}/" in re.sub(r'href="[^"]*"', "", page.text)) == (200, False)
        assert visitor.send(f"/cases/{case.case_id}/take", revision="1").status_code == 403
        assert visitor.open(f"/cases/{case.case_id}/pack").status_code == 403
    with inside(hamlet, "data-scientist") as visitor:
        assert visitor.open(f"/cases/{case.case_id}").status_code == 403
    assert hamlet.runtime.casework.get(case.case_id).state == "open"


def test_a_case_outside_of_somebodys_bounds_is_one_that_is_not_there(hamlet: Hamlet) -> None:
    (case,) = scored(hamlet)
    user, bounds = hamlet.members["investigator"].user_id, {"regions": [], "providers": ["h-9"]}
    hamlet.desk.people.change(user, "person:test", display_name="i", role="investigator", **bounds)
    with inside(hamlet, "investigator") as visitor:
        assert visitor.open(f"/cases/{case.case_id}").status_code == 404
        assert visitor.send(f"/cases/{case.case_id}/take", revision="1").status_code in (403, 404)
        assert visitor.open(f"/cases/{case.case_id}/pack").status_code == 404
        assert visitor.open("/cases/NOBODY").status_code == 404
    assert hamlet.runtime.casework.get(case.case_id).state == "open"


def test_innocent_explanations_are_looked_into_and_notes_kept(hamlet: Hamlet) -> None:
    (case,) = scored(hamlet)
    with inside(hamlet, "investigator") as visitor:
        take(visitor, case.case_id, "take")
        fields = {"check_explanation": "claim.many_lines", "check_answer": "refuted"}
        assert take(visitor, case.case_id, "check", **fields).status_code == 422
        page = take(visitor, case.case_id, "check", **fields, check_remark="One night only.")
        assert "One night only." in text_of(page)
        page = take(visitor, case.case_id, "note", note_text="Asked the ward.", note_kind="cause")
        assert "Asked the ward." in text_of(page)
    assert [e.what for e in hamlet.runtime.casework.history(case.case_id)] == ["opened", "taken", "checked", "noted"]


def test_while_evidence_is_awaited_the_clock_stands_still(hamlet: Hamlet) -> None:
    (case,) = scored(hamlet)
    with inside(hamlet, "investigator") as visitor:
        take(visitor, case.case_id, "take")
        fields = {
            "ask_evidence_kind": "file",
            "ask_evidence_asked": "The record of the ward.",
            "ask_evidence_days": "3",
        }
        page = text_of(take(visitor, case.case_id, "ask_evidence", **fields))
        assert all(said in page for said in ("waits for evidence", "evidence is due", "The record of the ward."))
        lost = take(visitor, case.case_id, "evidence_arrived", evidence_arrived_missing="yes")
        assert lost.status_code == 422
        page = text_of(take(visitor, case.case_id, "evidence_arrived"))
    assert "waits for evidence" not in page
    assert not hamlet.runtime.casework.get(case.case_id).paused


@pytest.mark.parametrize(
    ("language", "took", "none"), [("en", "takes off number", "No money has come back"), ("zh", "冲销第", "尚无款项")]
)
def test_money_is_entered_on_the_page_and_taken_off_again(hamlet: Hamlet, language: str, took: str, none: str) -> None:
    case = confirmed(hamlet, scored(hamlet)[0], 100.0)
    today = f"{hamlet.runtime.now():%Y-%m-%d}"
    with inside(hamlet, "investigator", language) as visitor:
        assert none in text_of(visitor.open(f"/cases/{case.case_id}"))
        paid = {"recover_amount": "1,000", "recover_on": today, "recover_reference": "transfer 7"}
        beyond = take(visitor, case.case_id, "recover", **paid)
        assert (beyond.status_code, re.findall(r'id="e-recover_(\w+)"', beyond.text)) == (422, ["reason"])
        page = take(visitor, case.case_id, "recover", **paid, recover_reason="with a fine")
        assert (page.status_code, "1,000.00" in text_of(page), "transfer 7" in page.text) == (200, True, True)
        number = str(hamlet.runtime.casework.get(case.case_id).events)
        off = {"reverse_corrects": number, "reverse_amount": "900", "reverse_reason": "no fine"}
        said = text_of(take(visitor, case.case_id, "reverse", **off))
    assert (took in said, "-900.00" in said) == (True, True)
    assert hamlet.runtime.casework.get(case.case_id).recovered_amount == 100.0


def test_a_file_is_handed_in_kept_and_handed_over_with_the_case(hamlet: Hamlet) -> None:
    (case,) = scored(hamlet)
    address = f"/workbench/cases/{case.case_id}"
    with inside(hamlet, "investigator") as visitor:
        page = visitor.open(f"/cases/{case.case_id}").text
        token = re.search(r'name="token" value="([0-9a-f]+)"', page)
        assert token
        fields = {"token": token[1], "revision": "1"}
        files = {"attach_file": ("C:\\ward\\record <1>.pdf", b"%PDF-1.4", "application/pdf")}
        done = visitor.client.post(f"{address}/attach", data=fields, files=files)
        assert (done.status_code, "record &lt;1&gt;.pdf" in done.text) == (200, True)
        empty = visitor.client.post(f"{address}/attach", data={**fields, "revision": "2"}, files={"x": ("", b"")})
        assert empty.status_code == 422
        listed = re.findall(rf'href="({address}/files/\d+)"', done.text)
        found = visitor.client.get(*listed)
        assert (found.content, found.headers["content-disposition"].split(";")[0]) == (b"%PDF-1.4", "attachment")
        assert "sandbox" in found.headers["content-security-policy"]
        pack = visitor.client.get(f"{address}/pack")
    with zipfile.ZipFile(io.BytesIO(pack.content)) as archive:
        names = set(archive.namelist())
        told = b"".join(archive.read(n) for n in names if n.endswith((".json", ".html")))
    assert {"manifest.json", "case.json", "history.json", "reports/report.html", "reports/report.xlsx"} <= names
    assert b"%PDF-1.4" not in told
    assert any(n.startswith("files/") for n in names)


def test_the_report_comes_for_us_and_for_the_provider_in_every_format(hamlet: Hamlet) -> None:
    (case,) = scored(hamlet)
    with inside(hamlet, "investigator") as visitor:
        ours, theirs, book = (
            visitor.open(f"/cases/{case.case_id}/report/{form}") for form in ("html", "html?audience=provider", "xlsx")
        )
        assert visitor.open(f"/cases/{case.case_id}/report/doc").status_code == 404
    assert [r.status_code for r in (ours, theirs, book)] == [200, 200, 200]
    assert ours.text != theirs.text
    assert f'filename="case-{case.case_id}-provider.html"' in theirs.headers["content-disposition"]
    assert book.content[:2] == b"PK"


def test_an_appeal_is_decided_by_somebody_who_neither_proposed_nor_signed(hamlet: Hamlet) -> None:
    case = confirmed(hamlet, scored(hamlet)[0])
    with inside(hamlet, "investigator") as visitor:
        early = take(visitor, case.case_id, "close")
        assert early.status_code == 409
        page = take(visitor, case.case_id, "appeal", appeal_reason="Two wards.", appeal_by="the hospital")
        assert "appealed" in text_of(page)
        page = take(visitor, case.case_id, "decide_appeal", decide_appeal_became="no", decide_appeal_reason="x")
        assert page.status_code == 422
        fields = {"decide_appeal_became": "upheld", "decide_appeal_reason": "Two wards indeed."}
        assert take(visitor, case.case_id, "decide_appeal", **fields).status_code == 200
        page = take(visitor, case.case_id, "follow_up", follow_up_on="soon", follow_up_satisfaction="4")
        assert page.status_code == 422
        page = take(visitor, case.case_id, "follow_up", follow_up_on="2026-09-01", follow_up_satisfaction="4")
    after = hamlet.runtime.casework.get(case.case_id)
    assert (after.state, after.follow_up_on, after.satisfaction) == ("closed", date(2026, 9, 1), 4)
    assert sorted(v for _, v in outcomes(hamlet)) == ["appeal_upheld", "improper_payment"]


# --- around -----------------------------------------------------------------------------------------------


def stay(claim_id: str, first: int, last: int, place: str = "A", marked: bool = False) -> Stay:
    return Stay(claim_id, date(2026, 3, first), date(2026, 3, last), place, "stay", "I10", 100.0, marked)


def test_stays_that_share_days_overlap_and_a_transfer_does_not() -> None:
    stays = [stay("1", 1, 9), stay("2", 4, 4, "B"), stay("3", 9, 12, "B"), stay("4", 5, 5), stay("5", 10, 11)]
    assert [(o.one.claim_id, o.other.claim_id) for o in overlaps_among(stays)] == [("1", "2"), ("3", "5")]
    assert overlaps_among(stays)[1].days == (date(2026, 3, 10), date(2026, 3, 11))


def test_the_course_names_providers_and_what_does_not_fit_shares_a_lane() -> None:
    stays = [stay(str(n), n, n, f"House <{n}>", marked=n == 1) for n in range(1, MOST_LANES + 4)]
    drawn = timeline_chart(stays, overlaps_among(stays), "the others", narrow=True)
    assert drawn.count("House &lt;") == MOST_LANES
    assert "House &lt;1&gt;" in drawn
    assert "the others" in drawn


def test_people_who_were_there_on_several_days_are_drawn_with_the_patient(hamlet: Hamlet) -> None:
    (case,) = scored(hamlet, patient_id="p-own", provider_id="h-1")
    for day in ("2024-02-10", "2024-02-20"):
        for who in ("p-own", "p-friend", *(["p-once"] if day.endswith("10") else [])):
            row = {"patient_id": who, "provider_id": "h-1", "settled_at": day, "admitted_at": day}
            read = checked(ScoreBody, body(f"{who}-{day}", **row, discharged_at=day))
            hamlet.runtime.store.add_claim(bundle_of(read))

    class Eyes:
        def shown(self, column: str, value: str) -> str:
            return value

    store_case = hamlet.runtime.casework.get(case.case_id)
    hamlet.runtime.store.add_claim(bundle_of(checked(ScoreBody, body("now", patient_id="p-own", provider_id="h-1"))))
    pairs = seen_together(hamlet.runtime, store_case, Eyes())  # type: ignore[arg-type]
    assert {(p.person, p.place, p.days) for p in pairs if not p.own} == {("p-friend", "h-1", 2)}
    assert "p-friend" in network_chart(pairs)
    assert network_chart([Pairing("a", "b", 1, True)]).startswith("<svg")
