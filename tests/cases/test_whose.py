"""People of cases are told apart by their accounts; names are what is shown."""

from __future__ import annotations

from dataclasses import replace

import pytest
import sqlalchemy as sa

from fraud.review.cases import Actor, CaseRefusedError, Casework
from fraud.store import Keys, Store
from fraud.store.casework.shapes import Chosen
from fraud.store.casework.tables import cases
from fraud.store.migrating import downgrade, upgrade
from fraud.store.people import People, Person
from tests.cases.parts import ANN, BOB, EVERYWHERE, FOUND, SUE, scored, taken
from tests.pages.visitors import QUICK


def person(store: Store, name: str, shown: str) -> tuple[Person, Actor]:
    """Somebody who signs in, and how cases know them."""
    made, _ = People(store.database, hasher=QUICK).add(name, "investigator", "person:test", display_name=shown)
    return made, Actor(made.who, shown, "investigator")


def called(store: Store, who: Person, shown: str) -> Actor:
    """The same person under another name."""
    People(store.database).change(
        who.user_id, "person:test", display_name=shown, role=who.role, regions=(), providers=()
    )
    return Actor(who.who, shown, "investigator")


@EVERYWHERE
def test_whoever_goes_by_another_name_keeps_the_cases_and_signs_no_second_time(store: Store, work: Casework) -> None:
    first, one = person(store, "reviewer-1", "Li")
    _, other = person(store, "reviewer-2", "Wang")
    case = work.take(work.open(scored(), one).case_id, one)
    renamed = called(store, first, "Li (east)")
    assert work.get(case.case_id).assignee == "Li (east)"
    assert [c.case_id for c in work.search(Chosen(assignee="Li (east)")).cases] == [case.case_id]
    work.propose(case.case_id, renamed, FOUND)
    again = called(store, first, "Somebody else")
    with pytest.raises(CaseRefusedError, match="you proposed this result yourself"):
        work.confirm(case.case_id, again)
    assert work.confirm(case.case_id, other).state == "confirmed"


def test_whoever_gets_the_name_of_another_gets_neither_the_cases_nor_the_signatures(
    store: Store, work: Casework
) -> None:
    first, one = person(store, "reviewer-1", "Li")
    case = work.take(work.open(scored(), one).case_id, one)
    called(store, first, "Li (east)")
    _, other = person(store, "reviewer-2", "Li")
    with pytest.raises(CaseRefusedError, match="Somebody else works on this case"):
        work.propose(case.case_id, other, FOUND)
    work.propose(case.case_id, replace(one, name="Li (east)"), FOUND)
    assert work.confirm(case.case_id, other).signer_id == other.id


def test_a_case_can_be_given_by_the_name_to_show_the_name_to_sign_in_or_that_of_a_key(
    store: Store, work: Casework
) -> None:
    made, one = person(store, "reviewer-1", "Li")
    Keys(store.database).add("desk-east", "investigator", "person:test")
    case_id = work.open(scored(), SUE).case_id
    given = [work.assign(case_id, SUE, to) for to in ("Li", "Reviewer-1", "desk-east", "a stranger", "sue")]
    assert [(c.assignee, c.assignee_id) for c in given] == [
        ("Li", made.who), ("Li", made.who), ("desk-east", "key:desk-east"), ("a stranger", None), ("sue", "key:sue"),
    ]  # fmt: skip
    assert one.is_them(made.who, "whatever")


def test_a_key_that_was_rotated_is_the_same_person_and_so_is_one_who_signs_in_by_its_name() -> None:
    for account in ("k1", "key:ann"):
        assert Actor("k2", "ann", "investigator").is_them(account, "ann")
        assert Actor("user:1", "ann", "investigator").is_them(account, "ann")
        assert not Actor("k3", "bob", "investigator").is_them(account, "ann")
    assert Actor("k1", "renamed", "investigator").is_them("k1", "ann")
    assert not Actor("user:2", "ann", "investigator").is_them("user:1", "ann")
    assert not Actor("open", "", "open").is_them(None, None)


@pytest.mark.parametrize("signs", [Actor("k1", "renamed", "investigator"), Actor("k2", "ann", "investigator")])
def test_rows_that_hold_a_key_or_a_name_alone_are_understood(store: Store, work: Casework, signs: Actor) -> None:
    case = work.propose(taken(work).case_id, ANN, FOUND)
    with store.database.write() as connection:
        connection.execute(sa.update(cases).values(proposer_id="k1", assignee_id=None))
    with pytest.raises(CaseRefusedError, match="you proposed this result yourself"):
        work.confirm(case.case_id, signs)
    assert work.confirm(case.case_id, BOB).state == "confirmed"


@EVERYWHERE
def test_the_revision_fills_in_whose_cases_there_are(address: str) -> None:
    with Store(address) as store:
        made, one = person(store, "reviewer-1", "Li")
        work = Casework(store)
        known, stranger = (work.take(work.open(scored(c), a).case_id, a) for c, a in (("c-1", one), ("c-2", ANN)))
        downgrade(store.database, "0009")
        upgrade(store.database)
        assert work.get(known.case_id).assignee_id == made.who
        assert (work.get(stranger.case_id).assignee, work.get(stranger.case_id).assignee_id) == ("ann", None)
        assert work.hand_back(stranger.case_id, ANN, "on leave").state == "open"
