"""What strangers may send: bodies, cookies and addresses of any kind end in a form or a page, never in a fault."""

from __future__ import annotations

from urllib.parse import urljoin, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fraud.web.pages.frame.doors import check_form, cookies_of, token_of
from fraud.web.pages.frame.forms import Form, read_form
from fraud.web.pages.frame.problems import PageProblem
from fraud.web.pages.frame.shapes import PREFIX, inside
from fraud.web.pages.frame.wording import language_of

_QUICK = settings(max_examples=60)
_KINDS = st.sampled_from(
    ["application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "multipart/form-data", "", ";;="]
)


@_QUICK
@given(body=st.binary(max_size=400), kind=_KINDS)
def test_a_body_is_a_form_or_is_refused(body: bytes, kind: str) -> None:
    for sent in (body, b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n' + body + b"\r\n--x--\r\n"):
        try:
            found: Form | int = read_form(sent, kind)
        except PageProblem as problem:
            found = problem.kind.status
        assert isinstance(found, Form) or found in (400, 415)


@_QUICK
@given(address=st.text(max_size=60), lead=st.sampled_from(["", PREFIX, f"{PREFIX}/", "https:", "//", "/\\"]))
def test_wherever_a_form_says_to_go_on_it_is_within_the_workbench(address: str, lead: str) -> None:
    path = inside(lead + address)
    whole = urljoin("https://fraud.example/workbench/x", PREFIX + path)
    assert urlsplit(whole).netloc == "fraud.example"
    assert whole.startswith("https://fraud.example/workbench/")
    assert path.isprintable()


@_QUICK
@given(text=st.text(max_size=80))
def test_no_header_of_a_browser_breaks_anything(text: str) -> None:
    assert isinstance(cookies_of({"cookie": text}), dict)
    assert language_of(text) in ("en", "zh")


@_QUICK
@given(secret=st.text(max_size=20), token=st.text(max_size=70))
def test_no_token_is_guessed(secret: str, token: str) -> None:
    if secret and token == token_of(secret):
        return
    with pytest.raises(PageProblem):
        check_form({}, token, secret)


def test_the_token_of_a_session_opens_its_forms_alone() -> None:
    check_form({"host": "fraud.example", "origin": "https://FRAUD.example"}, token_of("mine"), "mine")
    with pytest.raises(PageProblem):
        check_form({}, token_of("mine"), "yours")
    with pytest.raises(PageProblem):
        check_form({}, token_of(""), "")
