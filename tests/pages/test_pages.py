"""Pages as any browser gets them, without a script: the door, forms, rights, masks, and what went wrong."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import timedelta

import httpx
import pyotp
import pytest

from fraud.store import Keys, Ledger
from fraud.store.guesses import FREE_BY_NAME
from fraud.store.ledger import Record
from fraud.store.people import PEOPLE_ROLES
from fraud.web.bodies.messages import Reply
from fraud.web.pages.book import PAGES
from fraud.web.pages.frame import serving
from fraud.web.pages.frame.doors import is_secure
from fraud.web.pages.frame.forms import read_form
from fraud.web.pages.frame.problems import PageProblem
from fraud.web.pages.frame.rendering import inline_svg
from fraud.web.pages.frame.shapes import Page, Visit, inside, who
from fraud.web.running.runtime import Runtime
from tests.pages.visitors import PASSWORD, Hamlet, Visitor, text_of

Enter = Callable[..., Visitor]


@pytest.fixture
def enter(hamlet: Hamlet) -> Iterator[Enter]:
    """A visitor of the hamlet, signed in as a role or not at all."""
    made: list[Visitor] = []

    def entered(role: str = "", **headers: str) -> Visitor:
        visitor = Visitor(hamlet.url, **headers)
        made.append(visitor)
        return visitor.enter(hamlet, role) if role else visitor

    yield entered
    for visitor in made:
        visitor.close()


# --- the door ---------------------------------------------------------------------------------------------


def test_without_a_session_every_page_leads_to_the_door(enter: Enter) -> None:
    visitor = enter()
    for page in (p for p in PAGES if p.method == "GET" and p.door != "none"):
        shown = visitor.open(re.sub(r"{\w+}", "x", page.path))
        assert shown.url.path == "/workbench/sign-in", page.name


def test_whoever_signs_in_gets_to_the_page_that_was_wanted(hamlet: Hamlet, enter: Enter) -> None:
    visitor = enter()
    visitor.open("/ledger")
    wanted = re.search(r'name="next" value="([^"]*)"', visitor.page.text)  # type: ignore[union-attr]
    assert wanted is not None
    assert visitor.sign_in(hamlet, "auditor", next=wanted[1]).url.path == "/workbench/ledger"


def test_a_wrong_code_is_refused_in_the_words_of_a_wrong_password_and_five_are_too_many(
    hamlet: Hamlet, enter: Enter
) -> None:
    visitor = enter()
    said = {
        text_of(visitor.sign_in(hamlet, "auditor", **wrong))
        for wrong in ({"code": "1"}, {"code": "1", "password": "wrong!"})
    }
    assert len(said) == 1
    assert "do not fit together" in said.pop()
    for _ in range(FREE_BY_NAME - 2):
        assert visitor.sign_in(hamlet, "auditor", code="1").status_code == 401
    locked = visitor.sign_in(hamlet, "auditor")
    assert locked.status_code == 429
    assert "Too many attempts" in text_of(locked)
    hamlet.clock.pass_by(timedelta(minutes=1))
    assert visitor.sign_in(hamlet, "auditor").url.path != "/workbench/sign-in"


def test_the_first_sign_in_asks_for_a_password_and_a_second_factor_and_then_opens(hamlet: Hamlet, enter: Enter) -> None:
    person, first = hamlet.desk.people.add("new", "investigator", "person:test")
    visitor = enter()
    visitor.open("/sign-in")
    assert "Choose a password" in text_of(visitor.send("/sign-in", name="new", password=first, code=""))
    assert visitor.open("/tips").url.path == "/workbench/setup"
    wrong = visitor.send("/setup/password", old=first, password="short", again="short")
    assert (wrong.status_code, "12 to 256" in text_of(wrong)) == (422, True)
    page = visitor.send("/setup/password", old=first, password=PASSWORD, again=PASSWORD)
    assert "<svg" in page.text
    before = visitor.client.cookies["fraud_session"]
    secret = hamlet.desk.people.enrolment(person.user_id)
    assert visitor.send("/setup/code", code="000000").status_code == 422
    page = visitor.send("/setup/code", code=str(pyotp.TOTP(secret).at(hamlet.clock())))
    assert len(re.findall(r"<code>[a-z0-9]{5}-[a-z0-9]{5}</code>", page.text)) == 10
    assert visitor.client.cookies["fraud_session"] != before
    assert visitor.open("/tips").url.path == "/workbench/tips"


def test_signing_out_ends_the_session_for_good(enter: Enter) -> None:
    visitor = enter("auditor")
    visitor.open("/ledger")
    secret = visitor.client.cookies["fraud_session"]
    assert visitor.send("/sign-out").url.path == "/workbench/sign-in"
    visitor.client.cookies.set("fraud_session", secret, path="/workbench")
    assert visitor.open("/ledger").url.path == "/workbench/sign-in"


def test_a_session_ends_when_nobody_uses_it(hamlet: Hamlet, enter: Enter) -> None:
    visitor = enter("auditor")
    assert visitor.open("/ledger").url.path == "/workbench/ledger"
    hamlet.clock.pass_by(timedelta(minutes=31))
    assert visitor.open("/ledger").url.path == "/workbench/sign-in"


def test_the_cookie_is_for_this_site_alone_and_for_no_script(hamlet: Hamlet, enter: Enter) -> None:
    visitor = enter()
    visitor.client.follow_redirects = False
    cookies = visitor.sign_in(hamlet, "auditor").headers["set-cookie"]
    assert all(part in cookies for part in ("HttpOnly", "SameSite=Strict", "Path=/workbench"))
    assert "Secure" not in cookies


@pytest.mark.parametrize(
    ("host", "server", "scheme", "secure"),
    [
        ("127.0.0.1:3000", ("127.0.0.1", 3000), "http", False),
        ("localhost:3000", ("127.0.0.1", 3000), "http", False),
        ("fraud.example", ("127.0.0.1", 3000), "http", True),
        ("localhost:3000", ("10.0.0.8", 3000), "http", True),
        ("localhost:3000", ("127.0.0.1", 3000), "https", True),
    ],
)
def test_cookies_travel_over_https_alone_except_on_the_machine_itself(
    host: str, server: tuple[str, int], scheme: str, secure: bool
) -> None:
    assert is_secure({"host": host}, server, scheme) is secure


def test_before_there_is_anybody_the_door_says_how_the_first_is_added(hamlet: Hamlet, enter: Enter) -> None:
    assert "fraud users add" not in enter().open("/sign-in").text
    with hamlet.runtime.store.database.write() as connection:
        connection.exec_driver_sql("DELETE FROM people")
    assert "fraud users add NAME --role admin" in enter().open("/sign-in").text


@pytest.mark.parametrize(
    ("address", "path"),
    [
        ("/workbench/tips?state=closed", "/tips?state=closed"),
        ("https://evil.example/workbench/tips", "/home"),
        ("/workbench//evil.example", "/home"),
        ("/workbench/..//x", "/home"),
        ("/workbench/\\evil", "/home"),
        ("/other", "/home"),
    ],
)
def test_a_form_returns_to_the_workbench_and_nowhere_else(address: str, path: str) -> None:
    assert inside(address) == path


# --- forms ------------------------------------------------------------------------------------------------


def test_a_form_without_the_token_of_the_session_or_from_another_site_changes_nothing(
    hamlet: Hamlet, enter: Enter
) -> None:
    visitor = enter("admin")
    visitor.open("/keys")
    given = {"name": "east", "role": "claims-system"}
    for fields, headers in (
        ({"token": ""}, {}),
        ({"token": "0" * 64}, {}),
        ({}, {"Origin": "https://evil.example"}),
        ({}, {"Origin": "null"}),
        ({}, {"Sec-Fetch-Site": "cross-site"}),
    ):
        visitor.client.headers.update(headers)
        shown = visitor.send("/keys", **given, **fields)
        assert (shown.status_code, "no longer valid" in text_of(shown)) == (403, True)
        for name in headers:
            del visitor.client.headers[name]
        visitor.open("/keys")
    assert Keys(hamlet.runtime.store.database).all() == ()
    visitor.client.headers["Origin"] = hamlet.url
    assert visitor.send("/keys", **given).status_code == 200


def test_a_form_with_files_is_read_whole() -> None:
    sent = httpx.Request(
        "POST", "http://x/", data={"note": "看", "two": ["1", "2"]},
        files={"file": ("C:\\secret\\scan.pdf", b"%PDF-1.7", "application/pdf")},
    )  # fmt: skip
    form = read_form(sent.read(), sent.headers["content-type"])
    assert (form.text("note"), form.all("two")) == ("看", ("1", "2"))
    assert (form.files["file"].name, form.files["file"].content) == ("scan.pdf", b"%PDF-1.7")


@pytest.mark.parametrize(
    ("body", "kind"),
    [(b"\xff\xfe", "application/x-www-form-urlencoded"), (b"{}", "application/json"), (b"x", "multipart/form-data")],
)
def test_what_is_no_form_is_refused(body: bytes, kind: str) -> None:
    with pytest.raises(PageProblem):
        read_form(body, kind)


# --- rights -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", PEOPLE_ROLES)
def test_each_role_opens_its_pages_and_no_others(enter: Enter, role: str) -> None:
    visitor = enter(role)
    for page in (p for p in PAGES if p.method == "GET" and "{" not in p.path and p.door == "full"):
        expected = 200 if role in page.rule.roles else 403
        assert visitor.open(page.path).status_code == expected, page.name
    menu = set(re.findall(r'<li><a href="/workbench(/[a-z-]+)"', visitor.open("/account").text))
    assert menu == {p.path for p in PAGES if p.menu and role in p.rule.roles}


@pytest.mark.parametrize("role", [r for r in PEOPLE_ROLES if r != "admin"])
def test_nobody_but_an_administrator_changes_people_and_keys(hamlet: Hamlet, enter: Enter, role: str) -> None:
    visitor = enter(role)
    for page in (p for p in PAGES if p.method == "POST" and p.path.startswith(("/users", "/keys"))):
        visitor.open("/account")
        own = hamlet.members[role].user_id
        assert visitor.send(re.sub(r"{\w+}", own, page.path), role="admin").status_code == 403, page.name
    assert hamlet.desk.people.get(own).role == role


def test_every_page_has_roles_and_what_changes_something_is_a_form() -> None:
    assert [p.name for p in PAGES if not p.rule.roles] == []
    assert len({p.name for p in PAGES}) == len(PAGES)
    assert len({(p.path, p.method) for p in PAGES}) == len(PAGES)


@pytest.mark.parametrize("role", PEOPLE_ROLES)
def test_every_page_comes_with_its_policy_and_is_kept_nowhere(enter: Enter, role: str) -> None:
    shown = enter(role).open("/account")
    assert "script-src 'self'; style-src 'self'" in shown.headers["content-security-policy"]
    assert shown.headers["cache-control"] == "no-store"
    assert "<style" not in shown.text
    assert " style=" not in shown.text
    assert re.findall(r"<script(?![^>]*\bsrc=)", shown.text) == []


def test_assets_carry_their_digest_and_may_be_kept_for_good(enter: Enter) -> None:
    visitor = enter()
    found = re.findall(r'(?:href|src)="/workbench(/static/[^"]+)"', visitor.open("/sign-in").text)
    assert len(found) == 4
    for address in found:
        asset = visitor.open(address)
        assert (asset.status_code, "immutable" in asset.headers["cache-control"]) == (200, True)
    assert visitor.open(re.sub(r"/[0-9a-f]{16}/", "/0123456789abcdef/", found[0])).status_code == 404


# --- identities -------------------------------------------------------------------------------------------


@pytest.fixture
def probe(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page of a patient, as a page of records is written."""

    def patient(runtime: Runtime, visit: Visit) -> Reply:
        known = runtime.store.party("patient", visit.path["patient_id"])
        shown = visit.shown("patient_id", visit.path["patient_id"])
        return Reply(f"{shown} {bool(known)} {visit.caller.purpose}".encode(), media_type="text/plain")

    roles = ("investigator", "supervisor")
    page = Page("probe", "/probe/{patient_id}", patient,
                who(*roles, record="patient", parameter="patient_id"), sealed=("patient_id",))  # fmt: skip
    monkeypatch.setattr(serving, "PAGES", (*PAGES, page))


@pytest.mark.requirement("002-44")
@pytest.mark.usefixtures("probe")
def test_an_identity_is_shown_to_a_supervisor_for_a_purpose_for_one_record_and_a_while(
    hamlet: Hamlet, enter: Enter
) -> None:
    sealed = hamlet.desk.references.seal("p-1")
    visitor = enter("supervisor")
    assert "p-1" not in visitor.open(f"/probe/{sealed}").text
    visitor.open("/account")
    asked = {"kind": "patient", "record": sealed, "back": f"/workbench/probe/{sealed}"}
    assert visitor.send("/unmask", **asked, purpose="x").status_code == 422
    visitor.open("/account")
    assert visitor.send("/unmask", **asked, purpose="hearing of 3 March").text == "p-1 False hearing of 3 March"
    assert "p-2" not in visitor.open(f"/probe/{hamlet.desk.references.seal('p-2')}").text
    assert "p-1" not in enter("supervisor").open(f"/probe/{sealed}").text
    hamlet.clock.pass_by(timedelta(minutes=29))
    assert visitor.open(f"/probe/{sealed}").text.startswith("p-1")
    hamlet.clock.pass_by(timedelta(minutes=2))
    assert "p-1" not in visitor.open(f"/probe/{sealed}").text
    told = Ledger(hamlet.runtime.store.database).entries(Record("patient", "p-1"))
    assert [(e.what, e.purpose) for e in reversed(told)][:3] == [
        ("patient.read", None),
        ("identity.unmasked", "hearing of 3 March"),
        ("patient.read", "hearing of 3 March"),
    ]


@pytest.mark.usefixtures("probe")
def test_an_investigator_cannot_lift_the_mask(hamlet: Hamlet, enter: Enter) -> None:
    visitor = enter("investigator")
    visitor.open("/account")
    asked = {"kind": "patient", "record": hamlet.desk.references.seal("p-1"), "purpose": "because I want to"}
    assert visitor.send("/unmask", **asked).status_code == 403


@pytest.mark.usefixtures("probe")
def test_addresses_hold_no_identity_and_a_made_up_reference_leads_nowhere(hamlet: Hamlet, enter: Enter) -> None:
    sealed = hamlet.desk.references.seal("p-1")
    assert "p-1" not in sealed
    assert hamlet.desk.references.open(sealed) == "p-1"
    visitor = enter("investigator")
    for made_up in ("p-1", ("B" if sealed[0] == "A" else "A") + sealed[1:], "%00", "_" * 40):
        assert visitor.open(f"/probe/{made_up}").status_code == 404


@pytest.mark.requirement("002-40")
@pytest.mark.usefixtures("probe")
def test_whoever_opens_more_persons_than_is_usual_is_signed_out_until_an_administrator_has_looked(
    hamlet: Hamlet, enter: Enter
) -> None:
    visitor = enter("investigator")
    opened = [visitor.open(f"/probe/{hamlet.desk.references.seal(f'p-{n}')}") for n in (1, 1, 2, 3, 4)]
    assert [page.status_code for page in opened] == [200, 200, 200, 200, 403]
    assert "suspended" in text_of(opened[-1])
    assert visitor.open("/tips").url.path == "/workbench/sign-in"
    again = enter().sign_in(hamlet, "investigator")
    assert (again.status_code, "suspended for unusual use" in text_of(again)) == (401, True)
    (entry,) = Ledger(hamlet.runtime.store.database).entries(what="session.suspended")
    assert '"persons":4' in entry.details
    admin, own = enter("admin"), hamlet.members["investigator"].user_id
    admin.open(f"/users/{own}")
    admin.send(f"/users/{own}/unlock")
    assert enter("investigator").open("/tips").url.path == "/workbench/tips"


@pytest.mark.usefixtures("probe")
def test_whoever_has_bounds_gets_no_record_beyond_them(hamlet: Hamlet, enter: Enter) -> None:
    own = hamlet.members["investigator"].user_id
    hamlet.desk.people.change(own, "person:test", display_name="i", role="investigator", regions=(), providers=("h-2",))
    visitor = enter("investigator")
    visitor.open("/tips/new")
    told = {"entity": "claim", "text": "told", "channel": "phone"}
    visitor.send("/tips", **told, entity_id="c-1")
    visitor.open("/tips/new")
    assert visitor.send("/tips", **told, entity_id="c-2").url.path == "/workbench/tips"
    assert re.findall(r"claim (c-\d)", text_of(visitor.open("/tips"))) == ["c-1"]
    hidden = next(t for t in hamlet.desk.tips.all() if t.entity_id == "c-2")
    assert visitor.open(f"/tips/{hidden.receipt}").status_code == 404


# --- administration ---------------------------------------------------------------------------------------


def test_an_administrator_adds_changes_and_disables_somebody(hamlet: Hamlet, enter: Enter) -> None:
    admin = enter("admin")
    assert "one record at a time, with a stated purpose" in text_of(admin.open("/users"))
    wrong = admin.send("/users", name="a b", role="auditor", language="en", display_name="", regions="", providers="")
    assert (wrong.status_code, "1 to 64 letters" in text_of(wrong)) == (422, True)
    shown = admin.send("/users", name="li", role="auditor", language="zh", display_name="李", regions="33*,44")
    first = re.search(r'<code class="secret">([^<]+)</code>', shown.text)
    assert first is not None
    person = hamlet.desk.people.sign_in("li", first[1], "", "127.0.0.1")
    assert (person.scope.regions, person.language) == (("33*", "44"), "zh")
    admin.open(f"/users/{person.user_id}")
    admin.send(f"/users/{person.user_id}/change", display_name="Li", role="supervisor", regions="", providers="h-1")
    assert hamlet.desk.people.get(person.user_id).role == "supervisor"
    shown = admin.send(f"/users/{person.user_id}/disable", reason="left")
    assert "can no longer sign in" in text_of(shown)
    assert hamlet.desk.people.get(person.user_id).state == "disabled"


def test_a_disabled_person_is_signed_out_at_once(hamlet: Hamlet, enter: Enter) -> None:
    visitor, own = enter("auditor"), hamlet.members["auditor"].user_id
    assert visitor.open("/ledger").url.path == "/workbench/ledger"
    hamlet.desk.people.disable(own, "person:test")
    assert visitor.open("/ledger").url.path == "/workbench/sign-in"


def test_a_key_is_made_shown_once_and_revoked(hamlet: Hamlet, enter: Enter) -> None:
    admin = enter("admin")
    admin.open("/keys")
    assert admin.send("/keys", name="east", role="claims-system", days="soon").status_code == 422
    shown = admin.send("/keys", name="east", role="claims-system", days="30")
    secret = re.search(r"fraud_[0-9a-f]{8}_[\w-]{43}", shown.text)
    assert secret is not None
    assert secret[0] not in admin.open("/keys").text
    (key,) = Keys(hamlet.runtime.store.database).all()
    Keys(hamlet.runtime.store.database).suspend(key.key_id, "unusual")
    assert "suspended unusual" in text_of(admin.open("/keys"))
    assert "opens again" in text_of(admin.send(f"/keys/{key.key_id}/resume"))
    admin.send(f"/keys/{key.key_id}/revoke")
    assert "revoked" in text_of(admin.open("/keys"))


def test_the_ledger_is_searched_and_its_chain_checked(hamlet: Hamlet, enter: Enter) -> None:
    auditor = enter("auditor")
    auditor.open("/ledger")
    shown = text_of(auditor.open("/ledger?what=user.added&who="))
    assert shown.count("added a person") == len(PEOPLE_ROLES)
    assert "added a person" not in text_of(auditor.open("/ledger?who=auditor-1"))
    assert "signed in" in text_of(auditor.open("/ledger?who=auditor-1&what=session."))
    assert auditor.open("/ledger?record=p-1").status_code == 400
    assert "entries holds" in text_of(auditor.send("/ledger", seal=""))
    assert auditor.send("/ledger", seal="nonsense").status_code == 422
    seal = str(hamlet.desk.guard.ledger.seal())
    assert "entries holds" in text_of(auditor.send("/ledger", seal=seal))
    with hamlet.runtime.store.database.write() as connection:
        connection.exec_driver_sql("DROP TRIGGER IF EXISTS ledger_no_update")
        connection.exec_driver_sql("UPDATE ledger SET who = 'x' WHERE position = 2")
    assert "does not hold in 1 places" in text_of(auditor.send("/ledger", seal=""))


def test_a_tip_goes_its_way_from_receipt_to_answer(enter: Enter) -> None:
    visitor = enter("investigator")
    visitor.open("/tips/new")
    wrong = visitor.send("/tips", entity="patient", entity_id="p-1", text="", channel="phone", violation="T01")
    assert wrong.status_code == 422
    shown = visitor.send("/tips", entity="patient", entity_id="p-1", text="<b>lent</b>", channel="phone")
    assert ("&lt;b&gt;lent" in shown.text, "p-1" in shown.text) == (True, False)
    address = shown.url.path.removeprefix("/workbench")
    assert "linked to a case" in text_of(visitor.send(f"{address}/link", case_id="case-7"))
    assert "closed" in text_of(visitor.send(f"{address}/close", feedback="Looked into."))
    visitor.open("/account")
    assert visitor.send(f"{address}/link", case_id="case-8").status_code == 422


@pytest.mark.requirement("000-06")
def test_a_case_is_opened_from_a_tip_and_says_nothing_of_guilt(hamlet: Hamlet, enter: Enter) -> None:
    visitor = enter("investigator")
    addresses = []
    for claim in ("c-1", "c-nobody-knows"):
        visitor.open("/tips/new")
        shown = visitor.send("/tips", entity="claim", entity_id=claim, text="told", channel="phone", violation="T07")
        addresses.append(shown.url.path.removeprefix("/workbench"))
        shown = visitor.send(f"{addresses[-1]}/case")
    assert "Nothing of this id is known" in text_of(shown)
    (case,) = hamlet.runtime.casework.about("claim", "c-1")
    assert (case.patient_id, case.provider_id, case.violation) == ("p-1", "h-2", "T07")
    assert (case.state, case.findings, case.verdict, case.probability) == ("open", (), None, None)
    assert hamlet.desk.tips.get(addresses[0].split("/")[-1]).case_id == case.case_id
    assert hamlet.runtime.casework.outcomes(case) == ()


def test_own_sessions_are_listed_and_ended_and_the_password_changed(hamlet: Hamlet, enter: Enter) -> None:
    here, there = enter("auditor"), enter("auditor")
    there.open("/account")
    here.open("/account")
    wrong = here.send("/account/password", old="wrong wrong wrong", password="another long walk", again="another one")
    assert "not the same" in text_of(wrong)
    changed = {"old": PASSWORD, "password": "another long walk", "again": "another long walk"}
    assert "was changed" in text_of(here.send("/account/password", **changed))
    assert there.open("/account").url.path == "/workbench/sign-in"
    assert len(re.findall(r"<code>", here.send("/account/recovery").text)) == 10


# --- languages and what went wrong ------------------------------------------------------------------------


def test_pages_are_in_the_language_of_the_browser_and_then_of_the_person(enter: Enter) -> None:
    assert 'lang="zh-CN"' in enter(**{"Accept-Language": "zh-CN,zh"}).open("/sign-in").text[:120]
    assert "登录" in enter().open("/sign-in?language=zh").text
    visitor = enter("auditor", **{"Accept-Language": "zh-CN,zh"})
    assert "Handbook" in text_of(visitor.open("/handbook"))
    shown = visitor.send("/account/language", language="zh", back="/workbench/handbook?q=lines")
    assert (shown.url.path, str(shown.url.query, "ascii")) == ("/workbench/handbook", "q=lines")
    assert "规则手册" in text_of(shown)


@pytest.mark.parametrize(("language", "words"), [("en", "This page is not there"), ("zh", "页面不存在")])
def test_an_address_with_nothing_at_it_is_a_page_too(hamlet: Hamlet, enter: Enter, language: str, words: str) -> None:
    hamlet.desk.people.speak(hamlet.members["auditor"].user_id, language)
    for address in ("/nowhere", "/users/x/y/z", "/handbook/claim.nothing"):
        shown = enter("auditor").open(address)
        assert (shown.status_code, words in text_of(shown)) == (404, True)


def test_a_fault_of_the_program_is_a_page_without_its_traces(
    hamlet: Hamlet, enter: Enter, caplog: pytest.LogCaptureFixture
) -> None:
    hamlet.runtime.catalogue = None  # type: ignore[assignment]
    shown = enter("auditor").open("/handbook")
    assert (shown.status_code, "went wrong on our side" in text_of(shown)) == (500, True)
    assert "Traceback" not in shown.text
    assert shown.headers["x-request-id"] in shown.text
    assert "AttributeError" in caplog.text


def test_a_page_that_a_script_asks_for_after_the_session_ended_leads_to_the_door(enter: Enter) -> None:
    visitor = enter(**{"HX-Request": "true"})
    assert visitor.open("/handbook").headers["hx-redirect"] == "/workbench/sign-in?next=/handbook"


def test_styles_of_a_chart_become_attributes_that_the_policy_lets_pass() -> None:
    svg = '<svg><path style="fill: red; stroke-width:2; -webkit-x: 1"/></svg>'
    assert str(inline_svg(svg)) == '<svg><path fill="red" stroke-width="2"/></svg>'


def test_where_somebody_signs_in_the_api_asks_for_a_key_too_and_no_session_opens_it(
    hamlet: Hamlet, enter: Enter
) -> None:
    assert hamlet.runtime.guard.access == "keys"
    visitor = enter("admin")
    visitor.open("/account")
    assert visitor.client.get("/v1/model").status_code == 401
    _, secret = hamlet.desk.keys.add("east", "auditor", "person:test")
    assert visitor.client.get("/v1/model", headers={"Authorization": f"Bearer {secret}"}).status_code == 200
    assert enter(Authorization=f"Bearer {secret}").open("/ledger").url.path == "/workbench/sign-in"
