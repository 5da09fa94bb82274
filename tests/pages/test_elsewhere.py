"""Signing in at a provider over HTTP: who is let in, as what, and every way not to be."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from typing import Any

import pyotp
import pytest

from fraud.commands.doctor import _sign_in
from fraud.errors import InputError, SpecError
from fraud.store.ledger import Ledger
from fraud.web.access.claimed import NoEntryError, stated
from fraud.web.access.oidc import ProviderAwayError
from fraud.web.access.oidc_settings import OidcSettings, oidc_settings
from fraud.web.pages.frame.doors import PASSING_COOKIE, SESSION_COOKIE
from tests.pages.providers import (
    CLIENT,
    EC,
    OTHER_RSA,
    RSA,
    SECRET,
    START,
    House,
    come_back,
    housed,
    signed_in,
    signed_with_the_public_key,
    unsigned,
)
from tests.pages.visitors import Hamlet, Visitor, text_of

Spoil = Callable[[House], Any]


@pytest.fixture
def house(hamlet: Hamlet, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    monkeypatch.setenv("FRAUD_OIDC_SECRET", SECRET)
    with housed(hamlet) as found:
        yield found


@pytest.fixture
def visitor(hamlet: Hamlet) -> Iterator[Visitor]:
    with closing(Visitor(hamlet.url)) as found:
        yield found


def why(hamlet: Hamlet) -> str:
    """The reason that the ledger has for the last sign-in that came to nothing."""
    last = Ledger(hamlet.runtime.store.database).entries(what="session.refused")[0]
    return str(json.loads(last.details)["why"])


# --- in ---------------------------------------------------------------------------------------------------


@pytest.mark.requirement("001-64")
def test_whoever_the_provider_knows_is_let_in_with_role_and_bounds_and_without_a_second_code(
    hamlet: Hamlet, house: House, visitor: Visitor
) -> None:
    house.claims |= {"preferred_username": "Wang.Wei", "name": "王伟", "locale": "zh-CN"}
    came = signed_in(visitor, f"{START}?next=/tips/new")
    assert (came.status_code, 'content="0; url=/workbench/tips/new"' in came.text) == (200, True)
    assert "SameSite=Strict" in came.headers["set-cookie"]
    page = visitor.open("/account")
    assert page.status_code == 200
    assert "王伟" in text_of(page)
    person = hamlet.desk.people.named("wang.wei")
    assert (person.role, person.state, person.language) == ("investigator", "active", "zh")
    told = Ledger(hamlet.runtime.store.database).entries(what="user.added")[0]
    assert told.who == f"provider:{house.issuer}"


def test_the_same_person_comes_back_to_the_same_account_with_the_role_of_the_day(
    hamlet: Hamlet, house: House, visitor: Visitor
) -> None:
    signed_in(visitor)
    first = hamlet.desk.identities.find(house.issuer, "s-1")
    house.claims |= {"groups": ["leads"], "name": "Another name"}
    signed_in(visitor)
    again = hamlet.desk.identities.find(house.issuer, "s-1")
    assert first is not None
    assert again is not None
    assert (again.user_id, again.role, again.display_name) == (first.user_id, "supervisor", "Another name")


def test_a_name_that_somebody_has_here_opens_nothing_of_theirs(hamlet: Hamlet, house: House, visitor: Visitor) -> None:
    own = hamlet.desk.people.get(hamlet.members["admin"].user_id)
    house.claims |= {
        "preferred_username": own.name,
        "name": own.display_name,
        "email": own.name,
        "email_verified": True,
    }
    signed_in(visitor)
    other = hamlet.desk.identities.find(house.issuer, "s-1")
    assert other is not None
    assert other.user_id != own.user_id
    assert (other.role, other.name) == ("investigator", f"{own.name}-{other.name[-6:]}")
    assert other.display_name.casefold() != own.display_name.casefold()
    assert hamlet.desk.people.get(own.user_id) == own


def test_who_signs_in_elsewhere_has_no_password_here(hamlet: Hamlet, house: House, visitor: Visitor) -> None:
    house.claims["preferred_username"] = "wang"
    signed_in(visitor)
    person = hamlet.desk.people.named("wang")
    assert hamlet.desk.people.reset(person.user_id, "person:test") == ""
    visitor.client.cookies.clear()
    visitor.open("/sign-in")
    assert visitor.send("/sign-in", name="wang", password="").status_code == 401
    assert hamlet.desk.people.get(person.user_id).must_change is False


def test_tokens_of_es256_open_too_and_a_new_key_is_looked_for(hamlet: Hamlet, house: House, visitor: Visitor) -> None:
    signed_in(visitor)
    house.keys, house.sign, house.header = [RSA, EC], EC, {"alg": "ES256", "kid": "curve"}
    hamlet.clock.pass_by(timedelta(minutes=1))
    assert signed_in(visitor).status_code == 200
    assert house.asked.count("keys") == 2


def test_keys_that_nobody_has_are_looked_for_at_most_twice_a_minute(
    hamlet: Hamlet, house: House, visitor: Visitor
) -> None:
    house.sign, house.header = OTHER_RSA, {"alg": "RS256", "kid": "two"}
    assert [signed_in(visitor).status_code for _ in range(3)] == [401] * 3
    assert house.asked.count("keys") == 1


def test_what_the_token_leaves_out_is_asked_for_of_the_same_person(
    hamlet: Hamlet, house: House, visitor: Visitor
) -> None:
    del house.claims["groups"]
    house.more = {"groups": ["reviewers"]}
    assert signed_in(visitor).status_code == 200
    house.more = {"groups": ["heads"], "sub": "s-2"}
    assert signed_in(visitor).status_code == 401
    assert why(hamlet) == "subject"


# --- the second factor ------------------------------------------------------------------------------------


@pytest.mark.requirement("001-64")
def test_where_the_provider_states_no_second_factor_ours_is_asked_for(
    hamlet: Hamlet, house: House, visitor: Visitor
) -> None:
    house.claims["amr"] = ["pwd"]
    signed_in(visitor)
    assert visitor.open("/home").url.path == "/workbench/setup"
    person = hamlet.desk.identities.find(house.issuer, "s-1")
    assert person is not None
    phone = pyotp.TOTP(hamlet.desk.people.enrolment(person.user_id))
    visitor.send("/setup/code", code=phone.at(hamlet.clock()))
    assert visitor.open("/account").status_code == 200
    # The next time the code is asked for at once, and nothing else opens the door.
    hamlet.clock.pass_by(timedelta(minutes=1))
    signed_in(visitor)
    page = visitor.open("/account")
    assert (page.url.path, "Second factor" in page.text) == ("/workbench/setup", True)
    used = phone.at(hamlet.clock() - timedelta(minutes=1))
    assert visitor.send("/setup/code", code=phone.at(hamlet.clock())).status_code == 422
    assert visitor.open("/setup").url.path == "/workbench/setup"
    assert visitor.send("/setup/second", code=used).status_code == 401
    assert (
        visitor.send("/setup/second", code=phone.at(hamlet.clock()), next="/tips/new").url.path == "/workbench/tips/new"
    )


def test_guesses_at_the_second_factor_are_counted(hamlet: Hamlet, house: House, visitor: Visitor) -> None:
    house.claims["amr"] = ["pwd"]
    signed_in(visitor)
    person = hamlet.desk.identities.find(house.issuer, "s-1")
    assert person is not None
    phone = pyotp.TOTP(hamlet.desk.people.enrolment(person.user_id))
    hamlet.desk.people.enrol(person.user_id, phone.at(hamlet.clock()))
    visitor.open("/setup")
    assert [visitor.send("/setup/second", code="000000").status_code for _ in range(6)] == [401] * 5 + [429]


# --- not in -----------------------------------------------------------------------------------------------

_SPOILT: dict[str, tuple[str, Spoil]] = {
    "another nonce": ("nonce", lambda h: setattr(h, "spoil", lambda t: t.update(nonce="guessed"))),
    "no nonce": ("nonce", lambda h: setattr(h, "spoil", lambda t: t.pop("nonce"))),
    "for another client": ("audience", lambda h: setattr(h, "spoil", lambda t: t.update(aud="other"))),
    "for several, asked for by another": (
        "audience", lambda h: setattr(h, "spoil", lambda t: t.update(aud=[CLIENT, "other"], azp="other"))
    ),
    "for several, asked for by nobody": (
        "audience", lambda h: setattr(h, "spoil", lambda t: t.update(aud=[CLIENT, "other"]))
    ),
    "asked for by another": ("audience", lambda h: setattr(h, "spoil", lambda t: t.update(azp="other"))),
    "of another issuer": ("issuer", lambda h: setattr(h, "spoil", lambda t: t.update(iss="https://evil.example"))),
    "too old": ("expired", lambda h: setattr(h, "spoil", lambda t: t.update(exp=t["iat"] - 61))),
    "without an end": ("expired", lambda h: setattr(h, "spoil", lambda t: t.pop("exp"))),
    "of tomorrow": ("early", lambda h: setattr(h, "spoil", lambda t: t.update(iat=t["iat"] + 120, exp=t["exp"] + 120))),
    "not yet": ("early", lambda h: setattr(h, "spoil", lambda t: t.update(nbf=t["iat"] + 120))),
    "of nobody": ("subject", lambda h: setattr(h, "spoil", lambda t: t.pop("sub"))),
    "without a signature": ("signature", lambda h: setattr(h, "token", unsigned)),
    "of a key of somebody else": ("signature", lambda h: setattr(h, "sign", OTHER_RSA)),
    "of a key that nobody knows": (
        "key", lambda h: (setattr(h, "sign", OTHER_RSA), setattr(h, "header", {"alg": "RS256", "kid": "two"}))
    ),
    "changed on the way": ("signature", lambda h: setattr(h, "token", lambda s: s[:-6] + "AAAAAA")),
    "signed with what everybody knows": ("signature", lambda h: setattr(h, "token", signed_with_the_public_key)),
    "no token at all": ("signature", lambda h: setattr(h, "token", lambda s: "gibberish")),
    "another one that answers": ("issuer", lambda h: h.answer.update(iss="https://evil.example")),
    "no word of who answers": ("issuer", lambda h: h.about.update(authorization_response_iss_parameter_supported=True)),
    "refused there": ("denied", lambda h: h.answer.update(error="access_denied")),
}  # fmt: skip


def test_what_proves_nothing_opens_nothing(hamlet: Hamlet, house: House, visitor: Visitor) -> None:
    as_it_was = {**vars(house)}
    for case, (reason, spoil) in _SPOILT.items():
        # Each breaks one rule of a provider that keeps them all.
        vars(house).update(as_it_was, answer={}, about={})
        vars(hamlet.desk).pop("provider", None)
        spoil(house)
        came = signed_in(visitor)
        assert (came.status_code, why(hamlet)) == (401, reason), case
    assert SESSION_COOKIE not in visitor.client.cookies
    assert hamlet.desk.identities.find(house.issuer, "s-1") is None


def test_the_clocks_may_differ_by_the_leeway(hamlet: Hamlet, house: House, visitor: Visitor) -> None:
    house.spoil = lambda token: token.update(exp=token["iat"] - 59)
    assert signed_in(visitor).status_code == 200


def test_an_answer_opens_once(hamlet: Hamlet, house: House, visitor: Visitor) -> None:
    answer: Any = come_back(visitor)
    assert visitor.client.send(answer, follow_redirects=False).status_code == 200
    assert visitor.client.send(answer, follow_redirects=False).status_code == 401
    assert why(hamlet) == "used"
    assert house.asked.count("token") == 1


def test_an_answer_opens_nothing_in_another_browser_nor_with_another_state_nor_late(
    hamlet: Hamlet, house: House, visitor: Visitor
) -> None:
    answer: Any = come_back(visitor)
    with closing(Visitor(hamlet.url)) as stranger:
        assert stranger.client.get(str(answer.url)).status_code == 401
        assert why(hamlet) == "cookie"
        # Their own attempt, with the answer to somebody else's.
        come_back(stranger)
        assert stranger.client.get(str(answer.url)).status_code == 401
        assert why(hamlet) == "state"
    hamlet.clock.pass_by(timedelta(minutes=11))
    assert visitor.client.send(answer).status_code == 401
    assert why(hamlet) == "late"
    assert "token" not in house.asked


def test_whoever_sends_a_browser_back_with_a_made_up_answer_spoils_no_attempt(
    hamlet: Hamlet, house: House, visitor: Visitor
) -> None:
    answer: Any = come_back(visitor)
    assert visitor.client.get(str(answer.url.copy_set_param("state", "made-up"))).status_code == 401
    assert visitor.client.send(answer, follow_redirects=False).status_code == 200


def test_a_code_of_another_attempt_opens_nothing(hamlet: Hamlet, house: House, visitor: Visitor) -> None:
    with closing(Visitor(hamlet.url)) as victim:
        stolen: Any = come_back(victim)
    own: Any = come_back(visitor)
    mixed = own.url.copy_set_param("code", stolen.url.params["code"])
    assert visitor.client.get(str(mixed)).status_code == 401
    assert why(hamlet) == "code"


def test_a_reference_to_a_record_is_no_attempt(hamlet: Hamlet, house: House, visitor: Visitor) -> None:
    answer: Any = come_back(visitor)
    text = '{"state":"x","nonce":"x","verifier":"x","until":9999999999,"then":""}'
    visitor.client.cookies.set(PASSING_COOKIE, hamlet.desk.references.seal(text), path="/workbench/sign-in")
    assert visitor.client.get(str(answer.url.copy_set_param("state", "x"))).status_code == 401


def test_who_has_no_role_here_is_told_so_and_stays_out(hamlet: Hamlet, house: House, visitor: Visitor) -> None:
    signed_in(visitor)
    groups: tuple[object, ...] = (["strangers"], [], "", None, {"reviewers": 1})
    for house.claims["groups"] in groups:
        came = signed_in(visitor)
        assert came.status_code == 403
        assert "none of your groups has a role here" in text_of(came)
    # The session of the day before ends with the role.
    assert visitor.open("/account").url.path == "/workbench/sign-in"


def test_who_is_disabled_or_suspended_here_stays_out_whatever_the_provider_says(
    hamlet: Hamlet, house: House, visitor: Visitor
) -> None:
    signed_in(visitor)
    person = hamlet.desk.identities.find(house.issuer, "s-1")
    assert person is not None
    hamlet.desk.people.disable(person.user_id, "person:test")
    assert "withdrawn" in text_of(signed_in(visitor))
    hamlet.desk.people.enable(person.user_id, "person:test")
    hamlet.desk.people.suspend(person.user_id, {})
    assert "suspended" in text_of(signed_in(visitor))


def test_nobody_is_led_to_another_site(hamlet: Hamlet, house: House, visitor: Visitor) -> None:
    for then in ("//evil.example", "/\\evil.example", "https://evil.example", "/../v1/ledger"):
        assert 'content="0; url=/workbench/home"' in signed_in(visitor, f"{START}?next={then}").text


# --- around -----------------------------------------------------------------------------------------------


def test_signing_out_ends_the_session_here_and_leads_to_where_it_ends_there(
    hamlet: Hamlet, house: House, visitor: Visitor
) -> None:
    signed_in(visitor)
    visitor.open("/account")
    left = visitor.send("/sign-out")
    assert f'content="0; url={house.issuer}/end?client_id={CLIENT}' in left.text
    assert "id_token_hint=" in left.text
    assert visitor.open("/account").url.path == "/workbench/sign-in"


def test_a_provider_that_is_away_is_told_and_passwords_still_open(
    hamlet: Hamlet, house: House, visitor: Visitor
) -> None:
    house.away = True
    assert visitor.client.get(START).status_code == 503
    assert "Sign in with Payer ID" in text_of(visitor.open("/sign-in"))
    assert visitor.sign_in(hamlet, "auditor").status_code == 200


def test_a_provider_that_says_odd_things_of_itself_is_not_used(house: House, visitor: Visitor) -> None:
    odd: tuple[dict[str, Any], ...] = (
        {"issuer": "https://other.example"}, {"token_endpoint": "http://far.example/token"}, {"jwks_uri": 7},
    )  # fmt: skip
    for house.about in odd:
        assert visitor.client.get(START, follow_redirects=False).status_code == 503


def test_the_doctor_says_whether_the_provider_answers(hamlet: Hamlet, house: House) -> None:
    (found,) = _sign_in(hamlet.desk.settings)
    assert (found.state, found.says) == ("ok", f"{house.issuer} answers; signing keys: 1")
    house.away = True
    with pytest.raises(ProviderAwayError):
        _sign_in(hamlet.desk.settings)


def test_passwords_can_be_ruled_out(hamlet: Hamlet, visitor: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    with housed(hamlet, passwords=False):
        assert "Password" not in text_of(visitor.open("/sign-in"))
        visitor.open("/tips")
        assert visitor.client.post("/workbench/sign-in", data={"name": "a"}).status_code == 403
        assert "</form>" not in visitor.open("/sign-in").text


def test_without_a_provider_there_is_no_way_there(hamlet: Hamlet, visitor: Visitor) -> None:
    assert visitor.client.get(START).status_code == 404
    assert "Sign in with" not in visitor.open("/sign-in").text


def test_an_account_of_here_is_linked_by_an_administrator_alone_and_keeps_its_number(
    hamlet: Hamlet, house: House, visitor: Visitor
) -> None:
    own = hamlet.desk.people.get(hamlet.members["investigator"].user_id)
    hamlet.desk.identities.link(own.user_id, house.issuer, "s-1", "person:test")
    house.claims |= {"groups": ["leads"], "name": "Reviewer One"}
    signed_in(visitor)
    found = hamlet.desk.people.get(own.user_id)
    assert (found.name, found.role, found.display_name) == (own.name, "supervisor", "Reviewer One")
    with pytest.raises(InputError, match="linked already"):
        hamlet.desk.identities.link(hamlet.members["admin"].user_id, house.issuer, "s-1", "person:test")
    _, first = hamlet.desk.identities.unlink(own.user_id, "person:test")
    assert hamlet.desk.people.sign_in(own.name, first, "", "127.0.0.1").must_change
    with pytest.raises(InputError, match="already"):
        hamlet.desk.identities.unlink(own.user_id, "person:test")


def test_an_administrator_sees_where_somebody_signs_in(hamlet: Hamlet, house: House, visitor: Visitor) -> None:
    house.claims["groups"] = ["heads"]
    signed_in(visitor)
    person = hamlet.desk.identities.find(house.issuer, "s-1")
    assert person is not None
    assert house.issuer in text_of(visitor.open(f"/users/{person.user_id}"))
    assert visitor.send(f"/users/{person.user_id}/reset").status_code == 200


# --- what claims stand for --------------------------------------------------------------------------------


def of(**settings: Any) -> OidcSettings:
    return OidcSettings(issuer="https://id.example", roles={"investigator": ("r",), "admin": ("a",)}, **settings)


def test_a_role_may_lie_deep_and_the_first_that_fits_counts() -> None:
    claims = {"sub": "s", "realm_access": {"roles": ["a", "r"]}}
    assert stated(of(roles_claim="realm_access.roles"), claims).role == "investigator"
    assert stated(of(roles_claim="https://x.example/g"), {"sub": "s", "https://x.example/g": "a"}).role == "admin"


@pytest.mark.parametrize(
    ("given", "found"), [(["3301*", "h"], ("3301*", "h")), ("3301,3302", ("3301", "3302")), ("*", ())]
)
def test_bounds_come_from_the_claim(given: object, found: tuple[str, ...]) -> None:
    assert stated(of(regions_claim="reg"), {"sub": "s", "groups": ["r"], "reg": given}).regions == found


@pytest.mark.parametrize("given", [None, "", [], ["*", "33"], ["a b"], [7], ["33", "x;y"]])
def test_who_has_no_bounds_where_they_are_asked_for_has_no_entry(given: object) -> None:
    with pytest.raises(NoEntryError, match="bounds"):
        stated(of(regions_claim="reg"), {"sub": "s", "groups": ["r"], "reg": given})


def test_all_wrong_settings_are_named_at_once() -> None:
    given = {"issuer": "http://far.example", "scopes": ["profile"], "leeway_seconds": 4000, "roles": {"boss": []}}
    with pytest.raises(SpecError) as refused:
        oidc_settings(given, {})
    assert [f.where for f in refused.value.faults] == [
        "/oidc/issuer", "/oidc/address", "/oidc/client_id", "/oidc/scopes", "/oidc/leeway_seconds",
        "/oidc/roles/boss", "/oidc/roles/boss",
    ]  # fmt: skip
    assert oidc_settings({}, {}) is None
