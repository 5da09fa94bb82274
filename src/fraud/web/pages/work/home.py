"""The way to the page that somebody's day begins with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fraud.web.pages.frame.rendering import home_of
from fraud.web.pages.frame.shapes import Moved, Page, Visit, who

if TYPE_CHECKING:
    from fraud.web.running.runtime import Runtime

__all__ = ["PAGES"]


def home(runtime: Runtime, visit: Visit) -> Moved:
    """The first page of the menu of this role."""
    return Moved(home_of(visit), visit.query.get("said", ""))


PAGES = (Page("home", "/home", home, who()),)
