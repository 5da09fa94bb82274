"""Problems that only pages have, beside those of the API."""

from __future__ import annotations

from fraud.web.bodies.problems import PROBLEMS, Kind, Problem

__all__ = ["PAGE_PROBLEMS", "PageProblem"]

PAGE_PROBLEMS: dict[str, Kind] = {
    "not-a-form": Kind(400, "The form cannot be read"),
    "stale-form": Kind(403, "The form is not of this session"),
    "suspended": Kind(403, "The session was suspended"),
    "conflict": Kind(409, "Somebody else was faster"),
    "provider-away": Kind(503, "The sign-in elsewhere cannot be reached", retry_after=5),
}


class PageProblem(Problem):
    """A problem of a page; `name` is a key of `PAGE_PROBLEMS` or of `PROBLEMS`."""

    @property
    def kind(self) -> Kind:
        """Status and title."""
        return PAGE_PROBLEMS.get(self.name) or PROBLEMS[self.name]
