"""What a notebook shows of an explanation: the report itself, in a frame that lets nothing in or out."""

from __future__ import annotations

from html.parser import HTMLParser

from fraud.explaining.renderers.notebook import in_frame
from fraud.explaining.report import render_html
from tests.explaining.worlds import HOSTILE, claim_explanation


class _Frame(HTMLParser):
    """The one element of a text, with its attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def test_a_notebook_shows_the_report_in_a_frame_without_rights() -> None:
    explanation = claim_explanation()
    ((tag, frame),) = _Frame(explanation._repr_html_()).found
    assert tag == "iframe"
    assert frame["sandbox"] == ""
    page, base = frame["srcdoc"] or "", '<base href="about:srcdoc">'
    assert page.replace(base, "") == render_html(explanation, "en")
    # A link to a section leads into the frame, and not to the notebook.
    assert page.index(base) < page.index('href="#')


def test_whatever_a_page_or_its_title_says_stays_inside_of_the_frame() -> None:
    ((_, frame),) = _Frame(in_frame(HOSTILE, HOSTILE)).found
    assert (frame["srcdoc"], frame["title"]) == (HOSTILE, HOSTILE)
